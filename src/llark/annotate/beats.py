"""Beats, bars and meter, decoded together.

A bar-pointer model reads the beat net's probabilities. Where chords change, bars tend to begin, so chord
changes are mixed into the downbeat evidence. It counts in bars of three and four; `meter` then asks whether
they are others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from llark.annotate import meter
from llark.annotate.meter import Bars
from llark.records import Beats, Meter

SOURCE = "beatnet+metricon"


class BeatEvidence(Protocol):
    """What `nets.beat.BeatOutput` offers; one row a frame of 1 / 50 s."""

    @property
    def activations(self) -> np.ndarray: ...
    @property
    def onsets(self) -> np.ndarray: ...


@dataclass(frozen=True)
class BeatConfig:
    frames_per_second: int = 50
    slowest_bpm: float = 45.0
    fastest_bpm: float = 220.0
    bare_bpm: float = 112.0
    """From this tempo on, beats in fours with nothing between them and slow chords are taken for halves of
    the real ones."""
    bare_onsets: float = 0.93
    """Onset strength between beats, in units of the mean, below which there is nothing there."""
    slow_changes: float = 0.17
    """Chord changes a beat below which chords are slow."""
    change_weight: float = 0.6
    """Share of chord changes, against the net, in the downbeat evidence."""
    change_reach_seconds: float = 0.16
    fewest_beats: int = 4
    faintest: float = 0.12
    """Mean beat probability on the beats under which there are none."""
    least_confidence: float = 0.4
    """Beats, and meters, of less confidence are not reported."""
    even_odds: float = 0.27
    """Clarity of the beats (see `beat_clarity`) at which they are as likely right as wrong."""
    steepness: float = 8.0
    """How fast confidence rises with clarity there."""


def track(
    heard: BeatEvidence, changes_seconds: Sequence[float] = (), config: BeatConfig | None = None
) -> tuple[Beats, Meter]:
    """Beats with their places in the bar, and the meter; `changes_seconds` are the times of chord changes.

    Fewer than four beats, or activations no stronger than noise gives, are unknown: empty records of
    confidence 0.
    """
    config = config or BeatConfig()
    times, places = _decode(heard.activations, changes_seconds, config.fastest_bpm, config)
    if len(changes_seconds) < config.slow_changes * len(times) and _is_bare(
        heard.onsets, times, places, config
    ):
        slower_bpm = 0.75 * 60 / float(np.median(np.diff(times)))
        times, places = _decode(heard.activations, changes_seconds, slower_bpm, config)
    strengths = _on_beats(heard.activations, times, config)
    confidence = _confidence(beat_clarity(heard.activations, times, config), config) if len(times) else 0.0
    faint = len(times) < config.fewest_beats or strengths.mean() < config.faintest
    if faint or confidence < config.least_confidence:
        return Beats(source=SOURCE), Meter(source=SOURCE)
    nearness = change_nearness(times, changes_seconds, config.change_reach_seconds)
    bars = meter.regroup(Bars(times, places), heard.onsets, nearness)
    contrast = _downbeat_contrast(heard.activations, bars, changes_seconds, config)
    seconds = tuple(round(float(time), 3) for time in bars.times_seconds)
    beats = Beats(seconds, tuple(bars.places.tolist()), confidence, SOURCE)
    certain = confidence * contrast
    return beats, Meter(bars.meter, certain, SOURCE) if certain >= config.least_confidence else Meter(
        source=SOURCE
    )


def _decode(
    activations: np.ndarray, changes_seconds: Sequence[float], fastest_bpm: float, config: BeatConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and places in bars of three or four: the likeliest course through the activations."""
    from metricon import track_downbeats

    beat = activations.sum(axis=1)
    if len(beat) < config.frames_per_second:
        return np.zeros(0), np.zeros(0, int)
    seconds = np.arange(len(beat)) / config.frames_per_second
    change = np.minimum(1, 2 * beat) * change_nearness(seconds, changes_seconds, config.change_reach_seconds)
    weight = config.change_weight if len(changes_seconds) else 0.0
    downbeat = np.clip((1 - weight) * activations[:, 1] + weight * change, 1e-3, np.maximum(beat, 1e-3))
    decoded = track_downbeats(
        _logit(beat), _logit(downbeat), beats_per_bar=(3, 4), min_bpm=config.slowest_bpm,
        max_bpm=fastest_bpm, fps=config.frames_per_second, snap="center",
    )  # fmt: skip
    return np.asarray(decoded.times, float), np.asarray(decoded.numbers, int)


def _is_bare(onsets: np.ndarray, times: np.ndarray, places: np.ndarray, config: BeatConfig) -> bool:
    """Whether these are quick beats in fours that nothing divides."""
    if len(times) < config.fewest_beats or places.max() != 4:
        return False
    if 60 / float(np.median(np.diff(times))) < config.bare_bpm:
        return False
    half, third, two_thirds = meter.strengths_between(onsets, times, meter.MeterConfig())
    return half < config.bare_onsets and max(third, two_thirds) < meter.MeterConfig().triple_onsets


def _logit(probabilities: np.ndarray) -> np.ndarray:
    clipped = np.clip(probabilities, 1e-4, 1 - 1e-4)
    logits: np.ndarray = np.log(clipped / (1 - clipped)).astype(np.float32)
    return logits


def change_nearness(times: np.ndarray, changes_seconds: Sequence[float], reach_seconds: float) -> np.ndarray:
    """For each time 1 if a chord changes there, falling to 0 at the reach."""
    if not len(changes_seconds):
        return np.zeros(len(times))
    distance = np.abs(times[:, None] - np.asarray(changes_seconds)).min(axis=1)
    nearness: np.ndarray = np.maximum(0, 1 - distance / reach_seconds)
    return nearness


def beat_clarity(activations: np.ndarray, times: np.ndarray, config: BeatConfig) -> float:
    """0 to 1: the mean of how probable the weakest fifth of the beats is, and of how far more of all beat
    probability lies on the beats than would by chance."""
    beat = activations.sum(axis=1)
    weakest = float(np.percentile(_on_beats(activations, times, config), 20))
    covered = np.zeros(len(beat), bool)
    frames = np.rint(times * config.frames_per_second).astype(int)
    covered[np.clip(frames[:, None] + np.arange(-2, 3), 0, len(beat) - 1)] = True
    chance = float(covered.mean())
    lift = (float(beat[covered].sum() / max(beat.sum(), 1e-9)) - chance) / max(1 - chance, 1e-9)
    return (weakest + lift) / 2


def _on_beats(activations: np.ndarray, times: np.ndarray, config: BeatConfig) -> np.ndarray:
    return meter.peaks(activations.sum(axis=1), times, config.frames_per_second)


def _confidence(clarity: float, config: BeatConfig) -> float:
    return float(1 / (1 + np.exp(-config.steepness * (clarity - config.even_odds))))


def _downbeat_contrast(
    activations: np.ndarray, bars: Bars, changes_seconds: Sequence[float], config: BeatConfig
) -> float:
    """0 to 1: how much more the downbeats look like downbeats than the other beats do."""
    first = bars.places == 1
    if first.sum() < 2 or first.all():
        return 0.3
    beat = np.maximum(_on_beats(activations, bars.times_seconds, config), 0.1)
    share = meter.peaks(activations[:, 1], bars.times_seconds, config.frames_per_second) / beat
    near = change_nearness(bars.times_seconds, changes_seconds, config.change_reach_seconds)
    evidence = (1 - config.change_weight) * share + config.change_weight * near
    return float(np.clip(0.5 + 1.2 * (evidence[first].mean() - evidence[~first].mean()), 0.2, 0.98))
