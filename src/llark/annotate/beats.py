"""Beats and bars: the likeliest course through the rhythm nets' probabilities.

The nets say what the tempo and the meter are over the clip; a bar-pointer model then finds the beats near
that tempo, in bars of that many beats.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llark.records import Beats

SOURCE = "pulse+metricon"


FRAMES_PER_SECOND = 50
TEMPO_REACH = 1.2
"""Beats are looked for at the tempo times or over this, at most."""
SLOWEST_BPM = 30.0
FEWEST_BEATS = 4
LEAST_CONFIDENCE = 0.2
"""Beats of less confidence are not reported. On validation clips F is .53 between .2 and .4 (6 clips),
and .60 between .4 and .6 (16)."""
LEAST_CERTAINTY = 0.4
"""Nor are beats in noise or a tone of less certainty."""
EVEN_ODDS = 0.3
"""Mean probability on the weaker half of the beats at which they are as likely right as wrong."""
STEEPNESS = 12.0
"""How fast confidence rises with it there."""


def track(activations: np.ndarray, bpm: float, per_bar: int) -> Beats:
    """Beats near `bpm` with their places in bars of `per_bar`.

    `activations` is [frames, 2], the probability of any beat and of a downbeat. Fewer than four beats, or
    beats that the nets hardly believe in, are unknown: an empty record of confidence 0.
    """
    times, places = _decode(activations, bpm, per_bar)
    if len(times) < FEWEST_BEATS:
        return Beats(source=SOURCE)
    confidence = _confidence(peaks(activations[:, 0], times, FRAMES_PER_SECOND))
    if confidence < LEAST_CONFIDENCE:
        return Beats(source=SOURCE)
    seconds = tuple(round(float(time), 3) for time in times)
    return Beats(seconds, tuple(int(place) for place in places), round(confidence, 4), SOURCE)


def doubted(beats: Beats, certainty: float) -> Beats:
    """Beats no surer than `certainty`; unknown if that is too little.

    In noise the nets find beats, but hardly ever a tempo.
    """
    confidence = min(beats.confidence, certainty)
    if confidence < LEAST_CERTAINTY:
        return Beats(source=SOURCE)
    return replace(beats, confidence=round(confidence, 4))


def _decode(activations: np.ndarray, bpm: float, per_bar: int) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and places in the bar."""
    from metricon import track_downbeats

    if len(activations) < FRAMES_PER_SECOND:
        return np.zeros(0), np.zeros(0, int)
    decoded = track_downbeats(
        _logit(activations[:, 0]), _logit(np.minimum(activations[:, 1], activations[:, 0])),
        beats_per_bar=(per_bar,), min_bpm=max(SLOWEST_BPM, bpm / TEMPO_REACH),
        max_bpm=bpm * TEMPO_REACH, fps=FRAMES_PER_SECOND, snap="center",
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


def _confidence(strengths: np.ndarray) -> float:
    weaker = np.sort(strengths)[: -(-len(strengths) // 2)].mean()
    return float(1 / (1 + np.exp(-STEEPNESS * (weaker - EVEN_ODDS))))
