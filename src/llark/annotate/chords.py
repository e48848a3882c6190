"""Chords: the most likely line of major, minor and no-chord through what the harmony nets heard.

Sevenths and diminished triads are named where those nets are clear about them, suspended and augmented ones
where the chord net is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from llark.records import PITCH_CLASSES, Chords, ChordSpan

SOURCE = "harmony"
NO_CHORD = "N"
QUALITIES = ("maj", "min", "7", "maj7", "min7", "dim")
"""What the harmony nets tell apart: each of these on twelve roots, then no chord."""
TRIADS = ("maj", "min", "sus4", "sus2", "dim", "aug")
"""The chord net's triads: no chord first, then each of these on twelve roots."""
_MAJOR, _MINOR = (0, 2, 3), (1, 4, 5)
_RARE = (2, 3, 5)
_STATES = 25
_FLOOR = 1e-3


class ChordEvidence(Protocol):
    """What `nets.chord.ChordOutput` offers; one row a frame of 512 / 22050 s."""

    @property
    def triad(self) -> np.ndarray: ...
    @property
    def chroma(self) -> np.ndarray: ...


class HarmonyEvidence(Protocol):
    """What `nets.harmony.HarmonyOutput` offers: [frames, 73] for the same frames."""

    @property
    def chords(self) -> np.ndarray: ...


@dataclass(frozen=True)
class ChordConfig:
    frames_per_second: float = 22050 / 512
    change_cost: float = 10.0
    """What a change must gain in log probability; higher gives longer chords."""
    quality_share: float = 0.5
    """Of a major or minor chord's probability, the share of a seventh or a diminished triad from which on it
    is named."""
    rare_triad_probability: float = 0.5
    """Mean over a chord above which the chord net's suspended or augmented triad is named."""
    quiet: float = 2e-3
    """Chroma sum, in full-scale units, under which nothing sounds."""
    least_share: float = 0.1
    """Share of the clip that must carry a chord; with less, chords are unknown."""
    shortest_seconds: float = 0.2
    """No-chord gaps shorter than this go to the chord before them."""


def decode(heard: ChordEvidence, harmony: HarmonyEvidence, config: ChordConfig | None = None) -> Chords:
    """The spans cover the clip from 0 s without gaps; labels are `C:maj`, `F#:min`, `G:7` or `N`.

    Nothing pitched (silence, noise, drums) gives no spans and confidence 0.
    """
    config = config or ChordConfig()
    probabilities = majmin(heard, harmony, config)
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
        label = _label(int(path[first]), heard.triad[first:last], harmony.chords[first:last], config)
        start, end = (_seconds(edge, len(path), config) for edge in (first, last))
        spans.append(ChordSpan(start, end, label))
    return Chords(_without_slivers(spans, config), confidence, SOURCE)


def majmin(heard: ChordEvidence, harmony: HarmonyEvidence, config: ChordConfig | None = None) -> np.ndarray:
    """[frames, 25]: no chord, then twelve major, then twelve minor chords, each row adding up to 1."""
    config = config or ChordConfig()
    qualities = harmony.chords[:, :-1].reshape(-1, len(QUALITIES), 12)
    families = [qualities[:, kinds, :].sum(axis=1) for kinds in (_MAJOR, _MINOR)]
    probabilities: np.ndarray = np.concatenate([harmony.chords[:, -1:], *families], axis=1)
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


def _label(state: int, triads: np.ndarray, chords: np.ndarray, config: ChordConfig) -> str:
    """`triads` is [frames, 73] of the chord net, `chords` [frames, 73] of the harmony nets, in one chord."""
    if state == 0:
        return NO_CHORD
    minor, root = divmod(state - 1, 12)
    rare = triads[:, 1:].reshape(-1, len(TRIADS), 12)[:, _RARE, root].mean(axis=0)
    if rare.max() > config.rare_triad_probability:
        return f"{PITCH_CLASSES[root]}:{TRIADS[_RARE[int(rare.argmax())]]}"
    family = _MINOR if minor else _MAJOR
    shares = chords[:, :-1].reshape(-1, len(QUALITIES), 12)[:, family, root].mean(axis=0)
    best = int(shares.argmax())
    quality = family[best if shares[best] > config.quality_share * shares.sum() else 0]
    return f"{PITCH_CLASSES[root]}:{QUALITIES[quality]}"


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
