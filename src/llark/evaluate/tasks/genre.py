"""Genre: accuracy of the first style that the answer names, right if the truth has it among its styles.

One guess only, so that naming many styles does not pay. Styles outside `records.GENRES` are answers, and
wrong. No answer counts as wrong and is counted apart as missing coverage.
"""

from __future__ import annotations

from collections.abc import Sequence

from llark.evaluate import pool, readers
from llark.evaluate import strict as strictly
from llark.records import GENRES, Annotation, Score

VERSION = 1
QUESTION = "What genre is this music?"
HEADLINE = "accuracy"
DEFAULT = True


def read(answer: str, truth: object = None) -> str | None:
    return readers.read_genre(answer)


def strict(answer: str, truth: object = None) -> str | None:
    return strictly.read_genre(answer)


def truth(annotation: Annotation) -> tuple[str, ...] | None:
    """Styles that the hall has words for; labels of other lists are their own benchmarks."""
    return tuple(label for label in annotation.genre.labels if label in GENRES) or None


def points(value: str | None, truth: tuple[str, ...]) -> tuple[float, ...]:
    return (1, value is not None, value in truth)


rates = pool.means("coverage", "accuracy")


def credit(value: str | None, truth: tuple[str, ...]) -> float:
    return float(value in truth)


def constants(truths: Sequence[tuple[str, ...]]) -> list[str]:
    return list(GENRES)


def score(pairs: Sequence[tuple[str | None, tuple[str, ...]]]) -> list[Score]:
    return pool.scores("genre", [points(value, truth) for value, truth in pairs], rates)
