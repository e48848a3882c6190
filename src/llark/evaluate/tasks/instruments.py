"""Instruments: F1 over the words of `records.INSTRUMENTS`.

`f1` pools all clips (micro), `macro_f1` is the mean over the instruments that the truth or an answer names,
`clip_f1` the mean over clips. A family word ("guitar") stands for one of its members, one that the truth has
and the answer does not name besides; where the truth has none it is a wrong instrument. No answer names
nothing, so that it costs recall, and is counted apart as missing coverage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set

import numpy as np

from llark.evaluate import pool, readers
from llark.evaluate import strict as strictly
from llark.music.lexicon import FAMILIES
from llark.records import INSTRUMENTS, Annotation, Score

VERSION = 1
QUESTION = "What instruments do you hear?"
HEADLINE = "f1"
DEFAULT = True


def read(answer: str, truth: object = None) -> frozenset[str] | None:
    return readers.read_instruments(answer)


def strict(answer: str, truth: object = None) -> frozenset[str] | None:
    return strictly.read_instruments(answer)


_COUNT = len(INSTRUMENTS)


def truth(annotation: Annotation) -> frozenset[str] | None:
    """Scored where the hall has a word for every instrument; other lists are their own benchmarks."""
    labels = frozenset(annotation.instruments.labels)
    return labels if labels and labels <= set(INSTRUMENTS) else None


def resolve(value: Set[str], truth: Set[str]) -> frozenset[str]:
    """The named instruments, each family word replaced by the member that it stands for."""
    named = set(value) - set(FAMILIES)
    for family in FAMILIES:
        if family not in value:
            continue
        members = FAMILIES[family]
        heard = [member for member in members if member in truth and member not in named]
        if heard:
            named.add(heard[0])
        elif not named & set(members):
            named.add(members[0])
    return frozenset(named)


def points(value: Set[str] | None, truth: Set[str]) -> tuple[float, ...]:
    """1, answered, the clip's F1; then for each instrument: rightly named, wrongly named, missed."""
    named = resolve(value or frozenset(), truth)
    right = [float(word in named and word in truth) for word in INSTRUMENTS]
    wrong = [float(word in named and word not in truth) for word in INSTRUMENTS]
    missed = [float(word not in named and word in truth) for word in INSTRUMENTS]
    return (1, value is not None, credit(value, truth), *right, *wrong, *missed)


def rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    right, wrong, missed = (sums[..., 3 + part * _COUNT : 3 + (part + 1) * _COUNT] for part in range(3))
    occurs = (right + wrong + missed) > 0
    by_instrument = _f1(right, wrong, missed)
    return {
        "coverage": pool.ratio(sums[..., 1], sums[..., 0]),
        "f1": _f1(right.sum(-1), wrong.sum(-1), missed.sum(-1)),
        "macro_f1": pool.ratio((by_instrument * occurs).sum(-1), occurs.sum(-1)),
        "clip_f1": pool.ratio(sums[..., 2], sums[..., 0]),
    }


def _f1(right: np.ndarray, wrong: np.ndarray, missed: np.ndarray) -> np.ndarray:
    return pool.ratio(2 * right, 2 * right + wrong + missed)


def credit(value: Set[str] | None, truth: Set[str]) -> float:
    if value is None:
        return 0.0
    named = resolve(value, truth)
    return 2 * len(named & truth) / (len(named) + len(truth))


def constants(truths: Sequence[Set[str]]) -> list[frozenset[str]]:
    """The one, two, three … most frequent instruments."""
    counts = Counter(word for words in truths for word in words)
    ranked = sorted(counts, key=lambda word: (-counts[word], INSTRUMENTS.index(word)))
    return [frozenset(ranked[:size]) for size in range(1, len(ranked) + 1)]


def score(pairs: Sequence[tuple[Set[str] | None, Set[str]]]) -> list[Score]:
    return pool.scores("instruments", [points(value, truth) for value, truth in pairs], rates)
