"""Key: the weighted score of MIREX audio key detection, from `mir_eval.key`, and exact accuracy.

1 for the same key, 0.5 for a fifth above with the same mode, 0.3 for the relative and 0.2 for the parallel
key. Enharmonic spellings are the same key. No answer scores 0 and is counted apart as missing coverage.
"""

from __future__ import annotations

from collections.abc import Sequence

from llark.evaluate import pool, readers
from llark.evaluate import strict as strictly
from llark.records import KEYS, Annotation, Score

VERSION = 1
QUESTION = "What key is this music in?"
HEADLINE = "mirex"
DEFAULT = True


def read(answer: str, truth: object = None) -> str | None:
    return readers.read_key(answer)


def strict(answer: str, truth: object = None) -> str | None:
    return strictly.read_key(answer)


def truth(annotation: Annotation) -> str | None:
    return annotation.key.name


def points(value: str | None, truth: str) -> tuple[float, ...]:
    return (1, value is not None, credit(value, truth), value == truth)


rates = pool.means("coverage", "mirex", "exact")


def credit(value: str | None, truth: str) -> float:
    from mir_eval.key import weighted_score

    return float(weighted_score(truth, value)) if value is not None else 0.0


def constants(truths: Sequence[str]) -> list[str]:
    return list(KEYS)


def score(pairs: Sequence[tuple[str | None, str]]) -> list[Score]:
    return pool.scores("key", [points(value, truth) for value, truth in pairs], rates)
