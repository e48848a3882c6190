"""Meter: accuracy of the time signature's upper number, 2, 3, 4 or 6 (6/8).

2/4 for 4/4 is wrong, as is 3/4 for 6/8. No answer counts as wrong and is counted apart as missing coverage.
"""

from __future__ import annotations

from collections.abc import Sequence

from llark.evaluate import pool, readers
from llark.evaluate import strict as strictly
from llark.records import METER_NAMES, Annotation, Score

VERSION = 1
QUESTION = "What is the time signature?"
HEADLINE = "accuracy"
DEFAULT = True


def read(answer: str, truth: object = None) -> int | None:
    return readers.read_meter(answer)


def strict(answer: str, truth: object = None) -> int | None:
    return strictly.read_meter(answer)


def truth(annotation: Annotation) -> int | None:
    return annotation.meter.beats_per_bar


def points(value: int | None, truth: int) -> tuple[float, ...]:
    return (1, value is not None, value == truth)


rates = pool.means("coverage", "accuracy")


def credit(value: int | None, truth: int) -> float:
    return float(value == truth)


def constants(truths: Sequence[int]) -> list[int]:
    return sorted(METER_NAMES)


def score(pairs: Sequence[tuple[int | None, int]]) -> list[Score]:
    return pool.scores("meter", [points(value, truth) for value, truth in pairs], rates)
