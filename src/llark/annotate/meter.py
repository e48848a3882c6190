"""Meter: what bars of three or four beats really are.

Whether a beat is divided in two or in three, and whether a bar of three is one of two dotted beats, is read
off the onsets between the beats; whether a bar of four is two bars of two, off where chords change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Bars:
    """Beat times, [beats], and for each its place in the bar, from 1; `meter` is 2, 3, 4 or 6 (6/8).

    Until it was regrouped, `meter` is the greatest place.
    """

    times_seconds: np.ndarray
    places: np.ndarray
    meter: int = 0


@dataclass(frozen=True)
class MeterConfig:
    frames_per_second: int = 50
    triple_onsets: float = 1.2
    """Onset strength on both thirds of the beat, in units of the mean, that makes a meter compound …"""
    triple_over_duple: float = 1.8
    """… if it is also this many times the strength on its half."""
    half_bar_over_thirds: float = 1.25
    """In a bar of three: onset strength at its half over that at its thirds that makes it two beats."""
    half_bar_changes: float = 0.4
    """Share of chord changes on the first and the third beat of four above which a bar has two beats."""


def regroup(bars: Bars, onsets: np.ndarray, changes: np.ndarray, config: MeterConfig | None = None) -> Bars:
    """The bars as 2/4, 3/4, 4/4 or 6/8. In 6/8 beats are dotted quarters, two a bar.

    `bars` has bars of three or four; `onsets` is [frames]; `changes` is [beats], 1 where a chord changes.
    """
    config = config or MeterConfig()
    times, places = bars.times_seconds, bars.places
    per_bar = int(places.max())
    half, third, two_thirds = strengths_between(onsets, times, config)
    triple = min(third, two_thirds)
    if triple >= config.triple_onsets and triple >= config.triple_over_duple * half:
        return Bars(times, _places_in_two(places), 6)
    downbeats = times[places == 1]
    if per_bar == 3 and len(downbeats) > 2:
        half_bar, first_third, last_third = strengths_between(onsets, downbeats, config)
        if half_bar > config.half_bar_over_thirds * (first_third + last_third) / 2:
            return _in_dotted_beats(bars)
    if per_bar == 4 and min(changes[places == place].mean() for place in (1, 3)) > config.half_bar_changes:
        lilting = two_thirds >= config.triple_onsets and two_thirds >= config.triple_over_duple * half
        return Bars(times, _places_in_two(places), 6 if lilting else 2)
    return Bars(times, places, per_bar)


def peaks(curve: np.ndarray, times_seconds: np.ndarray, frames_per_second: int, reach: int = 2) -> np.ndarray:
    """The highest value of `curve` within `reach` frames of each time."""
    frames = np.rint(times_seconds * frames_per_second).astype(int)
    near = np.clip(frames[:, None] + np.arange(-reach, reach + 1), 0, len(curve) - 1)
    highest: np.ndarray = curve[near].max(axis=1)
    return highest


def strengths_between(
    onsets: np.ndarray, times: np.ndarray, config: MeterConfig
) -> tuple[float, float, float]:
    """Mean onset strength, in units of its overall mean, at 1/2, 1/3 and 2/3 of the way between the times."""
    if len(times) < 2 or onsets.mean() <= 0:
        return 0.0, 0.0, 0.0
    half, third, two_thirds = (
        peaks(onsets, times[:-1] + place * np.diff(times), config.frames_per_second, reach=1).mean()
        for place in (1 / 2, 1 / 3, 2 / 3)
    )
    return float(half / onsets.mean()), float(third / onsets.mean()), float(two_thirds / onsets.mean())


def _places_in_two(places: np.ndarray) -> np.ndarray:
    """Bars of two beats counted from the same first downbeat."""
    counted: np.ndarray = (np.arange(len(places)) - int(np.argmax(places == 1))) % 2 + 1
    return counted


def _in_dotted_beats(bars: Bars) -> Bars:
    """Bars of three beats as bars of two: the downbeat, and one and a half beats later."""
    first = int(np.argmax(bars.places == 1))
    wanted = np.arange(first % 1.5, len(bars.places) - 1 + 1e-9, 1.5)
    places = np.rint((wanted - first) / 1.5).astype(int) % 2 + 1
    return Bars(np.interp(wanted, np.arange(len(bars.places)), bars.times_seconds), places, 6)
