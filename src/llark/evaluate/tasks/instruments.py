"""Instruments: F1 over the words of `records.INSTRUMENTS`.

`f1` pools all clips (micro), `macro_f1` is the mean over the instruments that the truth or an answer names,
`clip_f1` the mean over clips. A family word ("guitar") stands for one of its members, one that the truth has
and the answer does not name besides; where the truth has none it is a wrong instrument. No answer names
nothing, so that it costs recall, and is counted apart as missing coverage.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

from llark.evaluate import bootstrap
from llark.evaluate.task import SetTask, f1, most_frequent
from llark.music import readers
from llark.music.lexicon import FAMILIES
from llark.records import INSTRUMENTS, Annotation

_COUNT = len(INSTRUMENTS)


def _truth(annotation: Annotation) -> frozenset[str] | None:
    """Scored where this package has a word for every instrument; other lists are their own benchmarks."""
    labels = frozenset(annotation.instruments.labels)
    return labels if labels and labels <= set(INSTRUMENTS) else None


def resolve(value: Set[str], truth: Set[str]) -> frozenset[str]:
    """The named instruments, each family word replaced by the member that it stands for."""
    named = set(value) - set(FAMILIES)
    for family in FAMILIES:
        if family not in value:
            continue
        members = FAMILIES[family]
        right = [member for member in members if member in truth and member not in named]
        if right:
            named.add(right[0])
        elif not named & set(members):
            named.add(members[0])
    return frozenset(named)


def _points(value: Set[str] | None, truth: Set[str]) -> tuple[float, ...]:
    """1, answered, the clip's F1; then for each instrument: rightly named, wrongly named, missed."""
    named = resolve(value or frozenset(), truth)
    clip_f1 = 2 * len(named & truth) / (len(named) + len(truth))
    right = [float(word in named and word in truth) for word in INSTRUMENTS]
    wrong = [float(word in named and word not in truth) for word in INSTRUMENTS]
    missed = [float(word not in named and word in truth) for word in INSTRUMENTS]
    return (1, value is not None, clip_f1, *right, *wrong, *missed)


def _rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    # each [..., instruments]
    right, wrong, missed = (sums[..., 3 + part * _COUNT : 3 + (part + 1) * _COUNT] for part in range(3))
    occurs = (right + wrong + missed) > 0
    return {
        "coverage": bootstrap.ratio(sums[..., 1], sums[..., 0]),
        "f1": f1(right.sum(-1), wrong.sum(-1), missed.sum(-1)),
        "macro_f1": bootstrap.ratio((f1(right, wrong, missed) * occurs).sum(-1), occurs.sum(-1)),
        "clip_f1": bootstrap.ratio(sums[..., 2], sums[..., 0]),
    }


def _constants(truths: Sequence[Set[str]]) -> list[frozenset[str]]:
    return most_frequent(truths, INSTRUMENTS.index)


TASK = SetTask(
    about=__doc__,
    version=2,
    question="What instruments do you hear?",
    reader=readers.read_instruments,
    strict_reader=readers.read_instruments_strictly,
    truth=_truth,
    points=_points,
    rates=_rates,
    constants=_constants,
)
