"""Sounds that are nothing but a pulse, that the rhythm nets learn to believe in: claps, clicks,
knocks, blips."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RATE = 22_050
SECONDS = (6.0, 20.0)
Kind = Callable[[np.random.Generator], Callable[[], np.ndarray]]
METERS = (None, None, 2, 3, 4)
"""One strike in so many is stressed; with None all are alike, and the meter is unknown."""


@dataclass(frozen=True, eq=False)
class Steady:
    """[samples] float32 at 22,050 Hz, and where in seconds its strikes and its stressed strikes are."""

    samples: np.ndarray
    bpm: float
    meter: int | None
    beats: tuple[float, ...]
    downbeats: tuple[float, ...]


def sound(number: int) -> Steady:
    """The same for the same number. Hands are up to 15 ms late or early; some sounds have fainter strikes
    between, a few strikes missing, or noise below."""
    draw = np.random.default_rng([21, number])
    bpm, meter = math.exp(draw.uniform(math.log(60), math.log(170))), METERS[draw.integers(len(METERS))]
    count = int(draw.uniform(*SECONDS) * RATE)
    period = 60 / bpm
    first, phase = draw.uniform(0, period), int(draw.integers(0, meter or 1))
    places = np.arange(first, count / RATE - 0.05, period)
    stressed = [meter is not None and (index + phase) % meter == 0 for index in range(len(places))]
    weak = draw.uniform(0.25, 0.6)
    loud = np.array([1.0 if stress or meter is None else weak for stress in stressed])
    loud *= draw.random(len(places)) >= draw.choice([0.0, 0.0, 0.06])
    kinds: list[Kind] = [clap, click, knock, blip]
    strike = kinds[number % len(kinds)](draw)
    out = draw.choice([0.0, 0.002, 0.02]) * draw.standard_normal(count)
    waver = draw.choice([0.0, 0.004, 0.015]) / 2
    between = draw.choice([0.0, 0.0, 0.3])
    for place, level in zip(places, loud, strict=True):
        _add(out, place + draw.normal(0, waver), level * draw.uniform(0.85, 1.15) * strike())
        if between:
            _add(out, place + period / 2 + draw.normal(0, waver), between * weak * strike())
    level = 10 ** (draw.uniform(-30, -3) / 20)
    samples = (out / max(float(np.abs(out).max()), 1e-9) * level).astype(np.float32)
    downbeats = tuple(float(place) for place, stress in zip(places, stressed, strict=True) if stress)
    return Steady(samples, bpm, meter, tuple(map(float, places)), downbeats)


def clap(draw: np.random.Generator) -> Callable[[], np.ndarray]:
    """Bursts of noise, each other noise."""
    decay, length = draw.uniform(12, 80), int(0.35 * RATE)
    shape = np.exp(-decay * np.arange(length) / RATE)
    return lambda: shape * draw.standard_normal(length)


def click(draw: np.random.Generator) -> Callable[[], np.ndarray]:
    """A few milliseconds of noise, always the same."""
    length = int(draw.uniform(0.002, 0.012) * RATE)
    same = draw.standard_normal(length) * np.hanning(length)
    return lambda: same


def knock(draw: np.random.Generator) -> Callable[[], np.ndarray]:
    """A low tone that falls and dies."""
    time = np.arange(int(0.3 * RATE)) / RATE
    hertz = draw.uniform(60, 400) * (1 + draw.uniform(0, 1) * np.exp(-40 * time))
    same = np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.exp(-draw.uniform(10, 40) * time)
    return lambda: same


def blip(draw: np.random.Generator) -> Callable[[], np.ndarray]:
    """A short high tone, as a metronome's."""
    time = np.arange(int(draw.uniform(0.02, 0.1) * RATE)) / RATE
    same = np.sin(2 * np.pi * draw.uniform(500, 2500) * time) * np.minimum(1, 8 * (1 - time / time[-1]))
    return lambda: same


def _add(out: np.ndarray, place: float, strike: np.ndarray) -> None:
    start = max(0, round(place * RATE))
    stop = min(len(out), start + len(strike))
    if stop > start:
        out[start:stop] += strike[: stop - start]
