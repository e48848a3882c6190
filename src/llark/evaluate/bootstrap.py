"""Points of single answers pooled into scores, and how far a score would move with other music.

A task gives each answer a row of points. Rows are added up by track and the task turns sums into rates; the
95 % interval comes from drawing tracks with replacement, because clips of one track are not independent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Rates = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Sums of points [..., points] → metrics by name, each [...]."""

PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class TrackTally:
    """Points summed by track, [tracks, points], and how many answers they come from."""

    by_track: np.ndarray
    n: int

    @property
    def tracks(self) -> int:
        return int(self.by_track.shape[0])


def means(*names: str) -> Rates:
    """Rates for points whose first is 1 for each answer: the mean of each of the others, by name."""

    def rates(sums: np.ndarray) -> dict[str, np.ndarray]:
        return {name: ratio(sums[..., place], sums[..., 0]) for place, name in enumerate(names, start=1)}

    return rates


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, and 0 where below is 0."""
    zeros = np.zeros(np.broadcast(above, below).shape)
    return np.divide(above, below, out=zeros, where=np.asarray(below) != 0)


def tally(track_ids: Sequence[str], points: np.ndarray, *, equal_tracks: bool = False) -> TrackTally:
    """Sum `points` [answers, points] by track, tracks in the order of their ids.

    With `equal_tracks` every track counts once, however many clips it has.
    """
    names, index = np.unique(np.asarray(track_ids, dtype=object).astype(str), return_inverse=True)
    sums = np.zeros((len(names), points.shape[1]))
    np.add.at(sums, index, points)
    if equal_tracks:
        sums /= np.bincount(index)[:, None]
    return TrackTally(sums, len(points))


def draws(tracks: int, count: int, purpose: str) -> np.ndarray:
    """How often each track is drawn, [count, tracks]; the same for the same purpose."""
    rng = _rng(f"bootstrap:{purpose}")
    return rng.multinomial(tracks, np.full(tracks, 1 / tracks), size=count).astype(float)


def _rng(purpose: str) -> np.random.Generator:
    seed = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    return np.random.default_rng(seed)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A rate with its 95 % interval over tracks."""

    value: float
    low: float
    high: float
    redrawn: np.ndarray
    """What the rate would be for other tracks, [draws]."""

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    @property
    def fine(self) -> str:
        """With three digits."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def estimates(
    tallied: TrackTally,
    rates: Rates,
    purpose: str,
    *,
    count: int = 1000,
    widest: tuple[float, float] = (0.0, 1.0),
) -> dict[str, Estimate]:
    """Each rate over all tracks, with its interval from `count` draws of tracks.

    `purpose` seeds the draws. `widest`: the interval where there is one track only.
    """
    # [draws, tracks] @ [tracks, points] = sums of points for each draw
    redrawn = rates(draws(tallied.tracks, count, purpose) @ tallied.by_track)
    return {
        name: Estimate(float(value), *interval(redrawn[name], tallied.tracks, widest), redrawn[name])
        for name, value in rates(tallied.by_track.sum(axis=0)).items()
    }


def interval(values: np.ndarray, tracks: int, widest: tuple[float, float]) -> tuple[float, float]:
    """The middle 95 % of redrawn values. One track says nothing about others: `widest`."""
    if tracks < 2:
        return widest
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high)


def paired(
    first: TrackTally, second: TrackTally, purpose: str, count: int = 10_000
) -> tuple[float, float, float]:
    """(low, high, p) for the mean of `first` minus that of `second`, over the same tracks.

    The tallies hold (answers, credit) by track. `low` to `high` is the 95 % interval of the difference over
    resampled tracks; `p` is the share of random swaps of the two within tracks that part them as far or
    farther (a two-sided permutation test, its least value 1 / (count + 1)).
    """
    difference = first.by_track[:, 1] - second.by_track[:, 1]
    answers = first.by_track[:, 0]
    weights = draws(len(answers), count, purpose)
    low, high = interval(ratio(weights @ difference, weights @ answers), len(answers), (-1.0, 1.0))
    # −1 or 1 for each draw and track, [count, tracks]: whether the two are swapped there
    coins = _rng(f"swap:{purpose}").integers(0, 2, size=(count, len(answers)))
    farther = np.abs((2.0 * coins - 1.0) @ difference) >= abs(difference.sum()) - 1e-12
    return low, high, float((farther.sum() + 1) / (count + 1))
