"""Beats: the F-measure of `mir_eval.beat` over beat times in words, within 70 ms.

The model says the seconds; `f` is the mean over clips. Nothing is cut off at the start (MIREX leaves out the
first five seconds), because a clip is short. No answer scores 0 and is counted apart as missing coverage.
"""

from __future__ import annotations

from llark.evaluate.task import CMI, Published, TimesTask, evenly_every, from_start

TASK = TimesTask(
    about=__doc__,
    version=1,
    question="At which times do the beats fall? List the seconds from the start of the clip.",
    truth=from_start(lambda annotation: annotation.beats.times_seconds),
    constants=evenly_every(0.4, 0.5, 0.6),
    published=(
        Published("f", "GTZAN beats", "beat_this (specialist)", 0.891, "beat_this, quoted", "R"),
        Published("f", "GTZAN beats, best of 2024-25 audio LMs", "CMI-Bench models", 0.237, CMI, "R"),
    ),
)
