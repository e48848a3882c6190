"""Reading and scoring over a closed list of labels that a data set has and the hall has not.

`Labels` finds the words for each label in an answer; the benchmarks with one right label per clip, and those
with several, share their scores here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set

import numpy as np

from llark.evaluate import pool
from llark.evaluate.said import plain, said
from llark.music.lexicon import Phrases
from llark.records import Score


class Labels:
    """`table`: each label → other words for it, divided by `|`."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self.names = tuple(table)
        self._phrases = Phrases(table)

    def first(self, answer: str) -> str | None:
        """The first label that is named and not denied."""
        found = self._phrases.find(_spaced(said(answer)))
        return found[0][0] if found else None

    def every(self, answer: str) -> frozenset[str] | None:
        """All labels that are named and not denied."""
        return frozenset(word for word, _, _ in self._phrases.find(_spaced(said(answer)))) or None

    def alone(self, answer: str) -> str | None:
        """The label that the answer consists of, as it is written in the data set."""
        text = " ".join(plain(answer).lower().strip(" .\"'*`\n").split())
        return text if text in self.names else None

    def listed(self, answer: str) -> frozenset[str] | None:
        """The labels of an answer that is a list of nothing else."""
        parts = [part.strip(" .\"'*") for part in re.split(r",|;|\band\b|\n", plain(answer).lower())]
        named = {part for part in parts if part}
        return frozenset(named) if named and named <= set(self.names) else None


def _spaced(text: str) -> str:
    return text.lower().replace("_", " ")


def one_points(value: str | None, truth: str) -> tuple[float, ...]:
    """1, answered, right."""
    return (1, value is not None, value == truth)


def one_credit(value: str | None, truth: str) -> float:
    return float(value == truth)


def set_points(value: Set[str] | None, truth: Set[str]) -> tuple[float, ...]:
    """1, answered, the clip's F1; then how many are rightly named, wrongly named, missed."""
    named = set(value or ())
    right, wrong, missed = len(named & truth), len(named - truth), len(set(truth) - named)
    return (1, value is not None, set_credit(value, truth), right, wrong, missed)


def set_rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Micro precision, recall and F1 over all clips, and the mean over clips of the clip's F1."""
    right, wrong, missed = sums[..., 3], sums[..., 4], sums[..., 5]
    return {
        "coverage": pool.ratio(sums[..., 1], sums[..., 0]),
        "precision": pool.ratio(right, right + wrong),
        "recall": pool.ratio(right, right + missed),
        "f1": pool.ratio(2 * right, 2 * right + wrong + missed),
        "clip_f1": pool.ratio(sums[..., 2], sums[..., 0]),
    }


def set_credit(value: Set[str] | None, truth: Set[str]) -> float:
    if not value:
        return 0.0
    return 2 * len(set(value) & set(truth)) / (len(value) + len(truth))


def set_constants(truths: Sequence[Set[str]]) -> list[frozenset[str]]:
    """The one, two, three … most frequent labels."""
    counts = Counter(word for words in truths for word in words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return [frozenset(ranked[:size]) for size in range(1, len(ranked) + 1)]


def scores(task: str, points: Sequence[Sequence[float]], rates: pool.Rates) -> list[Score]:
    return pool.scores(task, points, rates)
