"""Tempo: the likeliest one of the rhythm nets, made exact by the slope of a line through the beats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llark.networks.rhythm import RhythmOutput
from llark.records import Beats, Tempo

SOURCE = "pulse"
"""The rhythm nets, under the name that stored annotations give them."""


SAME = 0.04
"""Tempi that differ by no more than this share are one."""
LEAST_CONFIDENCE = 0.3
"""Tempi of less confidence are not reported."""
FEWEST_BEATS = 4
COMFORTABLE_BPM = 116.0
"""Where neither octave is likelier, the alternative is the one on this side."""
FACTORS = (2.0, 0.5, 3.0, 1 / 3)
"""What a listener might tap instead."""


@dataclass(frozen=True)
class Likeliest:
    """The likeliest tempo, and how probable it is."""

    bpm: float
    probability: float


def likeliest(output: RhythmOutput, bins_bpm: np.ndarray) -> Likeliest:
    """The mean (in log) of the likeliest bin and its neighbours, and what they hold together."""
    best = int(np.argmax(output.tempo))
    near = slice(max(0, best - 1), best + 2)
    weight = output.tempo[near]
    bpm = float(np.exp((weight * np.log(bins_bpm[near])).sum() / max(float(weight.sum()), 1e-9)))
    return Likeliest(bpm, float(weight.sum()))


def measure(output: RhythmOutput, bins_bpm: np.ndarray, beats: Beats) -> Tempo:
    """The tempo with the octave that a listener might tap instead; unknown where there are no beats."""
    likely = likeliest(output, bins_bpm)
    confidence = likely.probability * min(1.0, 1.2 * beats.confidence)
    if len(beats.times_seconds) < FEWEST_BEATS or confidence < LEAST_CONFIDENCE:
        return Tempo(source=SOURCE)
    slope = 60 / seconds_per_beat(np.asarray(beats.times_seconds))
    bpm = slope if abs(slope / likely.bpm - 1) <= SAME else likely.bpm
    other = bpm * _other_octave(output.tempo, bins_bpm, bpm)
    return Tempo(round(bpm, 2), round(confidence, 4), SOURCE, round(other, 2))


def _other_octave(probabilities: np.ndarray, bins_bpm: np.ndarray, bpm: float) -> float:
    """The factor of the likeliest other tempo that the same music could be tapped at."""

    def mass(factor: float) -> float:
        inside = np.abs(bins_bpm / (bpm * factor) - 1) <= SAME
        return float(probabilities[inside].sum())

    best = max(FACTORS, key=mass)
    if mass(best) > 0.01:
        return best
    return 0.5 if bpm > COMFORTABLE_BPM else 2.0


def seconds_per_beat(times_seconds: np.ndarray) -> float:
    """The median of the slopes between beats half the clip apart, so that a stray beat does not tilt it."""
    number = _counted(times_seconds)
    apart = max(1, len(times_seconds) // 2)
    steps = np.maximum(number[apart:] - number[:-apart], 1)
    return float(np.median((times_seconds[apart:] - times_seconds[:-apart]) / steps))


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
