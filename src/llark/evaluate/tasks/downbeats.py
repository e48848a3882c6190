"""Downbeats: the F-measure of `mir_eval.beat` over the times of the bars' first beats, within 70 ms.

As `beats`; a clip counts where the truth knows the places of the beats in their bars.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llark.evaluate import pool
from llark.evaluate.tasks import beats
from llark.records import Annotation, Score

VERSION = 1
QUESTION = "At which times do the bars begin? List the seconds from the start of the clip."
HEADLINE = "f"
DEFAULT = False
STEP_SECONDS = (1.6, 2.0, 2.4)

read, strict, points, rates, credit = beats.read, beats.strict, beats.points, beats.rates, beats.credit


def truth(annotation: Annotation) -> beats.Times | None:
    times = annotation.beats.downbeats_seconds
    return tuple(round(time - annotation.start_seconds, 6) for time in times) or None


def constants(truths: Sequence[beats.Times]) -> list[beats.Times]:
    last = max((times[-1] for times in truths), default=0.0)
    return [tuple(np.arange(0.0, last + step, step).round(3).tolist()) for step in STEP_SECONDS]


def score(pairs: Sequence[tuple[beats.Times | None, beats.Times]]) -> list[Score]:
    return pool.scores("downbeats", [points(value, truth) for value, truth in pairs], rates)
