"""Tempo: Acc1 and Acc2 (Gouyon et al. 2006, "An experimental comparison of audio tempo induction").

Acc1: the answer is within 4 % of the true tempo. Acc2: it is within 4 % of the true tempo times 1, 2, 3, 1/2
or 1/3, since listeners do not agree on the octave. A range counts as its middle. No answer counts as wrong
and is counted apart as missing coverage.
"""

from __future__ import annotations

from collections.abc import Sequence

from llark.evaluate import pool, readers
from llark.evaluate import strict as strictly
from llark.records import Annotation, Score

VERSION = 1
QUESTION = "What is the tempo of this music in BPM?"
HEADLINE = "acc2"
DEFAULT = True
TOLERANCE = 0.04
FACTORS = (1.0, 2.0, 3.0, 1 / 2, 1 / 3)


def read(answer: str, truth: object = None) -> float | None:
    return readers.read_tempo(answer)


def strict(answer: str, truth: object = None) -> float | None:
    return strictly.read_tempo(answer)


def truth(annotation: Annotation) -> float | None:
    return annotation.tempo.bpm


def points(value: float | None, truth: float) -> tuple[float, ...]:
    if value is None:
        return (1, 0, 0, 0)
    hits = [abs(value - factor * truth) <= TOLERANCE * factor * truth for factor in FACTORS]
    return (1, 1, hits[0], any(hits))


rates = pool.means("coverage", "acc1", "acc2")


def credit(value: float | None, truth: float) -> float:
    return points(value, truth)[2]


def remark(value: float | None, truth: float) -> str:
    """What a report says beside the verdict on one answer."""
    found = points(value, truth)
    return "an octave off: Acc2 counts it as right" if found[3] and not found[2] else ""


def constants(truths: Sequence[float]) -> list[float]:
    return sorted({float(round(bpm)) for bpm in truths})


def score(pairs: Sequence[tuple[float | None, float]]) -> list[Score]:
    return pool.scores("tempo", [points(value, truth) for value, truth in pairs], rates)
