"""Embedding match: the label whose embedding is nearest to the answer's, and accuracy among the k nearest.

The published genre scores use an embedding API; any one that speaks OpenAI's `/embeddings` will do
(`endpoint.Api.embed`). Numbers of different embedding models are not comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from llark.evaluate import bootstrap

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Texts → one vector each."""

DEPTHS = (1, 2, 3, 5)


def ranked(answers: Sequence[str], labels: Sequence[str], embed: Embed) -> list[list[str]]:
    """For each answer all labels, the nearest by cosine first. An empty answer has none."""
    said = _unit(embed([answer or " " for answer in answers]))
    names = _unit(embed(list(labels)))
    order = np.argsort(-(said @ names.T), axis=1, kind="stable")
    return [
        [labels[i] for i in row] if answer.strip() else [] for row, answer in zip(order, answers, strict=True)
    ]


def _unit(vectors: Sequence[Sequence[float]]) -> np.ndarray:
    """[texts, width], each of length 1."""
    array = np.asarray(vectors, dtype=float)
    lengths: np.ndarray = np.linalg.norm(array, axis=1, keepdims=True)
    unit: np.ndarray = array / np.maximum(lengths, 1e-12)
    return unit


def accuracies(
    orders: Sequence[Sequence[str]], truths: Sequence[str], tracks: Sequence[str]
) -> dict[str, tuple[float, float, float]]:
    """`acc@1`, `acc@2` …: value and 95 % interval over tracks, n being what it is (not a thousand)."""
    hits = [[1.0, *(float(t in row[:k]) for k in DEPTHS)] for row, t in zip(orders, truths, strict=True)]
    tallied = bootstrap.tally(tracks, np.asarray(hits))
    rates = bootstrap.means(*(f"acc@{k}" for k in DEPTHS))
    redrawn = bootstrap.redrawn(tallied, rates, bootstrap.draws(tallied.tracks, 1000, "embedding"))
    return {
        name: (value, *bootstrap.interval(redrawn[name], tallied.tracks, (0.0, 1.0)))
        for name, value in bootstrap.rates_of(tallied, rates).items()
    }
