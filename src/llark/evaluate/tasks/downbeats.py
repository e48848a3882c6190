"""Downbeats: the F-measure of `mir_eval.beat` over the times of the bars' first beats, within 70 ms.

As `beats`; a clip counts where the truth knows the places of the beats in their bars.
"""

from __future__ import annotations

from llark.evaluate.task import TimesTask, evenly_every, from_start

TASK = TimesTask(
    about=__doc__,
    version=1,
    question="At which times do the bars begin? List the seconds from the start of the clip.",
    truth=from_start(lambda annotation: annotation.beats.downbeats_seconds),
    constants=evenly_every(1.6, 2.0, 2.4),
)
