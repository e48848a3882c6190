"""Beats: the F-measure of `mir_eval.beat` over beat times in words, within 70 ms.

The model says the seconds; `f` is the mean over clips. Nothing is cut off at the start (MIREX leaves out the
first five seconds), because a clip is short. No answer scores 0 and is counted apart as missing coverage.
"""

from __future__ import annotations

from llark.evaluate.task import TimesTask, evenly_every, from_start

TASK = TimesTask(
    about=__doc__,
    version=1,
    question="At which times do the beats fall? List the seconds from the start of the clip.",
    truth=from_start(lambda annotation: annotation.beats.times_seconds),
    constants=evenly_every(0.4, 0.5, 0.6),
)
