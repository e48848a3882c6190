"""Beats and bars: the likeliest course through the rhythm nets' probabilities.

The nets say what the tempo and the meter are over the clip; a bar-pointer model then finds the beats near
that tempo, in bars of that many beats.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from llark.records import Beats

SOURCE = "pulse+metricon"


@dataclass(frozen=True)
class BeatConfig:
    frames_per_second: int = 50
    tempo_reach: float = 1.2
    """Beats are looked for at the tempo times or over this, at most."""
    slowest_bpm: float = 30.0
    fewest_beats: int = 4
    least_confidence: float = 0.2
    """Beats of less confidence are not reported. On validation clips F is .53 between .2 and .4 (6 clips),
    and .60 between .4 and .6 (16)."""
    least_certainty: float = 0.4
    """Nor are beats in noise or a tone of less certainty."""
    even_odds: float = 0.3
    """Mean probability on the weaker half of the beats at which they are as likely right as wrong."""
    steepness: float = 12.0
    """How fast confidence rises with it there."""


def track(activations: np.ndarray, bpm: float, per_bar: int, config: BeatConfig = BeatConfig()) -> Beats:
    """Beats near `bpm` with their places in bars of `per_bar`.

    `activations` is [frames, 2], the probability of any beat and of a downbeat. Fewer than four beats, or
    beats that the nets hardly believe in, are unknown: an empty record of confidence 0.
    """
    times, places = _decode(activations, bpm, per_bar, config)
    if len(times) < config.fewest_beats:
        return Beats(source=SOURCE)
    confidence = _confidence(peaks(activations[:, 0], times, config.frames_per_second), config)
    if confidence < config.least_confidence:
        return Beats(source=SOURCE)
    seconds = tuple(round(float(time), 3) for time in times)
    return Beats(seconds, tuple(int(place) for place in places), round(confidence, 4), SOURCE)


def doubted(beats: Beats, certainty: float, config: BeatConfig = BeatConfig()) -> Beats:
    """Beats no surer than `certainty`; unknown if that is too little.

    In noise the nets find beats, but hardly ever a tempo.
    """
    confidence = min(beats.confidence, certainty)
    if confidence < config.least_certainty:
        return Beats(source=SOURCE)
    return replace(beats, confidence=round(confidence, 4))


def _decode(
    activations: np.ndarray, bpm: float, per_bar: int, config: BeatConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and places in the bar."""
    from metricon import track_downbeats

    if len(activations) < config.frames_per_second:
        return np.zeros(0), np.zeros(0, int)
    decoded = track_downbeats(
        _logit(activations[:, 0]), _logit(np.minimum(activations[:, 1], activations[:, 0])),
        beats_per_bar=(per_bar,), min_bpm=max(config.slowest_bpm, bpm / config.tempo_reach),
        max_bpm=bpm * config.tempo_reach, fps=config.frames_per_second, snap="center",
    )  # fmt: skip
    return np.asarray(decoded.times, float), np.asarray(decoded.numbers, int)


def _logit(probabilities: np.ndarray) -> np.ndarray:
    clipped = np.clip(probabilities, 1e-4, 1 - 1e-4)
    return np.log(clipped / (1 - clipped)).astype(np.float32)


def peaks(curve: np.ndarray, times_seconds: np.ndarray, frames_per_second: int, reach: int = 2) -> np.ndarray:
    """The highest value of `curve` within `reach` frames of each time."""
    frames = np.rint(times_seconds * frames_per_second).astype(int)
    near = np.clip(frames[:, None] + np.arange(-reach, reach + 1), 0, len(curve) - 1)
    return curve[near].max(axis=1)


def _confidence(strengths: np.ndarray, config: BeatConfig) -> float:
    weaker = np.sort(strengths)[: -(-len(strengths) // 2)].mean()
    return float(1 / (1 + np.exp(-config.steepness * (weaker - config.even_odds))))
