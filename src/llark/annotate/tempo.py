"""Tempo: the slope of a straight line through the beats, trusted as far as the beats keep to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llark.records import Beats, Tempo

SOURCE = "beatnet+metricon"


@dataclass(frozen=True)
class TempoConfig:
    fewest_beats: int = 4
    steady_seconds: float = 0.012
    """Typical distance of the beats from the line up to which the tempo is trusted fully."""
    unsteady_seconds: float = 0.15
    """… and from which on it is unknown."""
    least_confidence: float = 0.2
    """Tempos of less confidence are not reported."""
    comfortable_bpm: float = 116.0
    """The octave alternative is the one on this side."""


def measure(beats: Beats, config: TempoConfig | None = None) -> Tempo:
    """The tempo of the beats. Too few beats, or beats far from any line, are unknown (confidence 0)."""
    config = config or TempoConfig()
    if len(beats.times_seconds) < config.fewest_beats:
        return Tempo(source=SOURCE)
    seconds_per_beat, residual_seconds = fit_line(np.asarray(beats.times_seconds))
    span = np.log(config.unsteady_seconds / config.steady_seconds)
    distance = np.log(max(residual_seconds, 1e-6) / config.steady_seconds) / span
    confidence = beats.confidence * float(np.clip(1 - distance, 0, 1))
    if confidence < config.least_confidence:
        return Tempo(source=SOURCE)
    bpm = 60 / seconds_per_beat
    other = bpm / 2 if bpm > config.comfortable_bpm else bpm * 2
    return Tempo(round(bpm, 2), confidence, SOURCE, round(other, 2))


def fit_line(times_seconds: np.ndarray) -> tuple[float, float]:
    """Seconds a beat, and the typical distance of the beats from the line in seconds.

    The slope is the median of the slopes between beats half the clip apart, so that a stray beat does not
    tilt it.
    """
    number = _counted(times_seconds)
    apart = max(1, len(times_seconds) // 2)
    steps = np.maximum(number[apart:] - number[:-apart], 1)
    slope = float(np.median((times_seconds[apart:] - times_seconds[:-apart]) / steps))
    start = np.median(times_seconds - slope * number)
    residual = np.abs(times_seconds - slope * number - start)
    return slope, float(1.25 * residual.mean())


def _counted(times_seconds: np.ndarray) -> np.ndarray:
    """[beats]: the number of each beat, two further after a missing one and the same for a stray one."""
    period = float(np.median(np.diff(times_seconds)))
    numbers, last_number, last_time = [], 0, float(times_seconds[0])
    for time in times_seconds:
        steps = (time - last_time) / period
        numbers.append(last_number + round(steps))
        if abs(steps - round(steps)) < 0.25:
            last_number, last_time = numbers[-1], float(time)
    return np.array(numbers)
