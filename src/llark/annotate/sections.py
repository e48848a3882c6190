"""The sections of a long song: where its sound and harmony change, and which parts are alike.

Each second is a point: the features of the tag net, and the harmony. A boundary is where what went
before is like itself, what comes after is like itself, and the two are not alike (Foote 2000). Parts that lie
close together get the same letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from llark.networks import chord, tag
from llark.networks.features import AudioFeatures
from llark.records import Sections, Span

SOURCE = "musicnn+chroma"
TIMBRE = slice(tag.FRONT_WIDTH, tag.WIDTH)
"""The deeper layers of the tag net."""

WIDTH = tag.WIDTH - tag.FRONT_WIDTH + 12
_LETTERS = "ABCDEFGH"


SHORTEST_SONG_SECONDS = 60.0
REACH_SECONDS = 14
"""What is compared before and after a boundary."""
SHORTEST_SECONDS = 10
"""No section is shorter."""
LEAST_NOVELTY = 0.12
"""Height of a boundary's peak, where 1 is from all alike to all different."""
LEAST_RISE = 0.05
"""How far a peak must stand out of what is around it."""
SAME = 0.38
"""Distance of two sections' means, against what is usual between seconds of the song, up to which they
are the same."""
SNAP_SECONDS = 1.5
"""A boundary moves to a downbeat that is not further away."""
MOST_FRAMES = 1200
"""A longer song is seen in coarser steps, so that memory stays flat."""
LEAST_CONFIDENCE = 0.3


def observe(features: AudioFeatures) -> np.ndarray:
    """[seconds of the clip, WIDTH] float32: sound and harmony of each."""
    seconds = max(1, round(features.duration_seconds))
    if features.is_silent:
        return np.zeros((seconds, WIDTH), np.float32)
    timbre = _by_second(features.tag.features[:, TIMBRE], tag.FRAMES_PER_SECOND, seconds)
    chroma = _by_second(features.chord.chroma, chord.FRAMES_PER_SECOND, seconds)
    shares = np.sqrt(chroma / np.maximum(chroma.sum(axis=1, keepdims=True), 1e-6))
    return np.concatenate([timbre, shares], axis=1, dtype=np.float32)


def find(
    observed: Sequence[np.ndarray],
    start_seconds: float,
    end_seconds: float,
    downbeats_seconds: Sequence[float] = (),
) -> Sections:
    """The sections of a song from what was observed in its windows, in order.

    A song of less than a minute, or one without any clear change, has none.
    """
    every = np.concatenate(observed) if observed else np.zeros((0, WIDTH), np.float32)
    length = end_seconds - start_seconds
    if length < SHORTEST_SONG_SECONDS or not every.any():
        return Sections(source=SOURCE)
    points, step = _coarse(every, MOST_FRAMES)
    points = _on_one_scale(points)
    peaks, heights = _boundaries(points, step)
    if not len(peaks):
        return Sections(source=SOURCE)
    letters, contrast = _letters(points, peaks)
    changes = [i for i, (one, other) in enumerate(pairwise(letters)) if one != other]
    if not changes:
        return Sections(source=SOURCE)
    peaks, heights = peaks[changes], heights[changes]
    letters = [letters[0], *(letters[i + 1] for i in changes)]
    confidence = float(np.clip(contrast * min(1.0, float(heights.mean()) / 0.3), 0, 0.95))
    if confidence < LEAST_CONFIDENCE:
        return Sections(source=SOURCE)
    scale = length / len(points)
    times = [_snap(start_seconds + peak * scale, downbeats_seconds) for peak in peaks]
    edges = [start_seconds, *(round(time, 3) for time in times), end_seconds]
    sure = [1.0, *np.minimum(1.0, heights / 0.3)]
    spans = (
        Span(first, last, letter, round(float(confidence * one), 3))
        for first, last, letter, one in zip(edges, edges[1:], letters, sure, strict=False)
    )
    return Sections(tuple(spans), round(confidence, 3), SOURCE)


def _by_second(values: np.ndarray, rate: float, seconds: int) -> np.ndarray:
    """Means: [n, width] at `rate` a second → [seconds, width]."""
    edges = np.minimum(np.rint(np.arange(seconds + 1) * rate).astype(int), len(values))
    edges[:-1] = np.minimum(edges[:-1], len(values) - 1)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    lengths = np.maximum(np.diff(edges), 1)
    return (sums[np.maximum(edges[1:], edges[:-1] + 1)] - sums[edges[:-1]]) / lengths[:, None]


def _coarse(points: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """At most so many points, and how many seconds each stands for."""
    step = -(-len(points) // most)
    starts = np.arange(0, len(points), step)
    sums = np.add.reduceat(points.astype(np.float64), starts, axis=0)
    return sums / np.diff([*starts, len(points)])[:, None], step


def _on_one_scale(points: np.ndarray) -> np.ndarray:
    """Sound and harmony each centred and of unit spread over the song, so that both count."""
    parts = []
    for columns in (slice(0, -12), slice(-12, None)):
        centred = points[:, columns] - points[:, columns].mean(axis=0)
        parts.append(centred * (1.0 / max(float(np.sqrt(np.square(centred).sum(axis=1).mean())), 1e-9)))
    return np.concatenate(parts, axis=1)


def _boundaries(points: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the points that begin a section, and how clear each is."""
    reach = max(2, REACH_SECONDS // step)
    novelty = _novelty(points, reach)
    apart = max(1, SHORTEST_SECONDS // step)
    peaks = _peaks(novelty, apart)
    inside = (peaks >= apart) & (peaks <= len(points) - apart)
    return peaks[inside], novelty[peaks[inside]]


def _peaks(curve: np.ndarray, apart: int) -> np.ndarray:
    """Indices of the peaks that are high enough, so far apart, and rise enough above what is around them.

    The middle of a flat top stands for it. As `scipy.signal.find_peaks`, which takes a third of a second and
    40 MB to load.
    """
    edges = np.flatnonzero(np.diff(curve)) + 1
    runs = zip([0, *edges.tolist()], [*edges.tolist(), len(curve)], strict=True)
    tops = [
        (first + last - 1) // 2
        for first, last in runs
        if first > 0 and last < len(curve) and curve[first - 1] < curve[first] > curve[last]
    ]
    kept: list[int] = []
    for top in sorted(tops, key=lambda top: -curve[top]):
        if curve[top] >= LEAST_NOVELTY and all(abs(top - other) >= apart for other in kept):
            kept.append(top)
    return np.array([top for top in sorted(kept) if _prominence(curve, top) >= LEAST_RISE], int)


def _prominence(curve: np.ndarray, top: int) -> float:
    """How far one must come down from a peak, on either side, before the curve rises above it."""
    higher = np.flatnonzero(curve > curve[top])
    first = higher[higher < top].max(initial=-1) + 1
    last = higher[higher > top].min(initial=len(curve))
    return float(curve[top] - max(curve[first : top + 1].min(), curve[top:last].min()))


def _novelty(points: np.ndarray, reach: int) -> np.ndarray:
    """[n]: how much the mean after each point differs from that before it, against the spread within both."""
    sums = np.concatenate([np.zeros((1, points.shape[1])), np.cumsum(points, axis=0)])
    squares = np.concatenate([[0.0], np.cumsum(np.square(points).sum(axis=1))])
    here = np.arange(len(points))
    first, last = np.maximum(here - reach, 0), np.minimum(here + reach, len(points))
    before, after = np.maximum(here - first, 1), last - here
    past = (sums[here] - sums[first]) / before[:, None]
    future = (sums[last] - sums[here]) / after[:, None]
    spread = (squares[last] - squares[first]) / (last - first) - np.square(
        (sums[last] - sums[first]) / (last - first)[:, None]
    ).sum(axis=1)
    shares = before * after / np.square(last - first)
    novelty: np.ndarray = shares * np.square(future - past).sum(axis=1) / np.maximum(spread, 1e-9)
    novelty[: reach // 2] = 0.0
    novelty[len(novelty) - reach // 2 :] = 0.0
    return novelty


def _letters(points: np.ndarray, peaks: np.ndarray) -> tuple[list[str], float]:
    """A letter for each section, and how much further apart different ones are than the same, 0 to 1."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist, squareform

    edges = [0, *peaks.tolist(), len(points)]
    means = np.stack([points[a:b].mean(axis=0) for a, b in pairwise(edges)])
    distances = pdist(means, "sqeuclidean")
    groups = fcluster(linkage(distances, "average"), SAME, criterion="distance")
    order = list(dict.fromkeys(groups.tolist()))
    names = [_LETTERS[min(order.index(group), len(_LETTERS) - 1)] for group in groups.tolist()]
    alike = squareform(distances) <= SAME
    same = np.equal.outer(groups, groups)
    return names, float((alike == same).mean())


def _snap(second: float, downbeats_seconds: Sequence[float]) -> float:
    nearest = min(downbeats_seconds, key=lambda time: abs(time - second), default=second)
    return float(nearest if abs(nearest - second) <= SNAP_SECONDS else second)
