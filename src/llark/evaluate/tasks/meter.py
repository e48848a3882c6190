"""Meter: accuracy of the time signature's upper number, 2, 3, 4 or 6 (6/8).

2/4 for 4/4 is wrong, as is 3/4 for 6/8. No answer counts as wrong and is counted apart as missing coverage.
"""

from __future__ import annotations

from llark.evaluate.task import ACCURACY, Task, equal_points
from llark.music import readers
from llark.records import METER_NAMES

TASK = Task(
    about=__doc__,
    version=1,
    question="What is the time signature?",
    headline="accuracy",
    reader=readers.read_meter,
    strict_reader=readers.read_meter_strictly,
    truth=lambda annotation: annotation.meter.beats_per_bar,
    points=equal_points,
    rates=ACCURACY,
    constants=lambda truths: sorted(METER_NAMES),
)
