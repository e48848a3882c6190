"""Ridge regression as the head of every probe, and what its answers are worth.

Pieces, not clips or frames, are what is held back: two frames of a clip, or two clips of a piece, are too
alike for one of them to tell how the head does on music that it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""Of the ridge on standardised features, as a share of the rows."""

HELD = 5
"""One piece of so many is held back to choose the strength by."""

RESAMPLES = 200
LEAST_TRAINING_ROWS = 10


@dataclass(frozen=True, eq=False)
class Rows:
    """What rows of features belong to: `is_test` is bool [rows], `piece` int [rows]."""

    is_test: np.ndarray
    piece: np.ndarray

    def __post_init__(self) -> None:
        both = np.intersect1d(self.piece[self.is_test], self.piece[~self.is_test])
        if len(both):
            raise ValueError(f"{len(both)} pieces are trained on and tested on")

    @property
    def test(self) -> np.ndarray:
        """Numbers of the rows that are tested on."""
        return np.flatnonzero(self.is_test)


def answers(features: np.ndarray, targets: np.ndarray, rows: Rows, seed: int) -> np.ndarray | None:
    """Ridge regression's values for the test rows.

    The strength is the one that does best on a fifth of the training pieces, after training on the others;
    then all of them are trained on. Features are standardised by what is trained on.

    Args:
        features: [rows, width].
        targets: [rows, values].

    Returns:
        [test rows, values]; `None` where there is nothing to train or to test on.
    """
    training = np.flatnonzero(~rows.is_test)
    if not len(rows.test) or len(training) < LEAST_TRAINING_ROWS or not targets.shape[1]:
        return None
    pieces = np.random.default_rng(seed).permutation(np.unique(rows.piece[training]))
    is_held = np.isin(rows.piece[training], pieces[: len(pieces) // HELD])
    held, kept = training[is_held], training[~is_held]
    best = STRENGTHS[len(STRENGTHS) // 2]
    if len(held):
        tried = ridge(features[kept], targets[kept], features[held], STRENGTHS)
        errors = [float(np.square(said - targets[held]).mean()) for said in tried]
        best = STRENGTHS[int(np.argmin(errors))]
    return ridge(features[training], targets[training], features[rows.test], (best,))[0]


def ridge(
    features: np.ndarray, targets: np.ndarray, asked: np.ndarray, strengths: Sequence[float]
) -> list[np.ndarray]:
    """Ridge regression on standardised features for each strength, solved in rows or in features, whichever
    are fewer. [rows, width], [rows, values], [asked, width] → [asked, values] of each strength."""
    mean, spread = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64) + 1e-6
    x, wanted = (features - mean) / spread, (asked - mean) / spread
    middle = targets.mean(0)
    is_wide = x.shape[1] > x.shape[0]
    products = x @ x.T if is_wide else x.T @ x
    right = targets - middle if is_wide else x.T @ (targets - middle)
    there = wanted @ x.T if is_wide else wanted
    found = []
    for strength in strengths:
        penalised = products.copy()
        penalised.flat[:: len(products) + 1] += strength * len(x)
        solved = scipy.linalg.solve(penalised, right, assume_a="pos", overwrite_a=True)
        found.append(there @ solved + middle)
    return found


def standard_error(score: Callable[[np.ndarray], float], pieces: np.ndarray, seed: int) -> float:
    """How far a score moves with the choice of pieces to test on: by drawing as many of them again, with
    replacement. `score` takes numbers of test rows; `pieces` is int [test rows]."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(pieces == piece) for piece in np.unique(pieces)]
    drawn = rng.integers(len(members), size=(RESAMPLES, len(members)))
    return float(np.std([score(np.concatenate([members[i] for i in row])) for row in drawn]))


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under precision over recall. Equal scores count as found at once, whatever their order."""
    order = np.argsort(-scores, kind="stable")
    hits = truth[order] > 0
    if not hits.any():
        return 0.0
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.cumsum(hits)[ends]
    return float((np.diff(found, prepend=0) * found / (ends + 1)).sum() / hits.sum())
