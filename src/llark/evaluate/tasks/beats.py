"""Beats: the F-measure of `mir_eval.beat` over beat times in words, within 70 ms.

The model says the seconds; `f` is the mean over clips. Nothing is cut off at the start (MIREX leaves out the
first five seconds), because a clip is short. No answer scores 0 and is counted apart as missing coverage.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llark.evaluate import note_readers, pool
from llark.records import Annotation, Score

VERSION = 1
QUESTION = "At which times do the beats fall? List the seconds from the start of the clip."
HEADLINE = "f"
DEFAULT = False
STEP_SECONDS = (0.4, 0.5, 0.6)

Times = tuple[float, ...]


def read(answer: str, truth: object = None) -> Times | None:
    times = note_readers.read_times(answer)
    return times if times and len(times) > 1 else None


def strict(answer: str, truth: object = None) -> Times | None:
    """A list of numbers and nothing else."""
    return read(answer) if not set(answer.lower()) - set("0123456789.,;: []()s\n") else None


def truth(annotation: Annotation) -> Times | None:
    return _from_start(annotation, annotation.beats.times_seconds)


def _from_start(annotation: Annotation, times: Times) -> Times | None:
    """Seconds from the start of the clip."""
    return tuple(round(time - annotation.start_seconds, 6) for time in times) or None


def points(value: Times | None, truth: Times) -> tuple[float, ...]:
    return (1, value is not None, credit(value, truth))


rates = pool.means("coverage", "f")


def credit(value: Times | None, truth: Times) -> float:
    from mir_eval.beat import f_measure

    return float(f_measure(np.asarray(truth), np.asarray(value))) if value else 0.0


def constants(truths: Sequence[Times]) -> list[Times]:
    """Even beats at a few tempi."""
    last = max((times[-1] for times in truths), default=0.0)
    return [tuple(np.arange(0.0, last + step, step).round(3).tolist()) for step in STEP_SECONDS]


def score(pairs: Sequence[tuple[Times | None, Times]]) -> list[Score]:
    return pool.scores("beats", [points(value, truth) for value, truth in pairs], rates)
