"""Sounds without a pulse, that the rhythm nets learn silence from: noise, drones, babble, bursts, rumble,
sirens, applause."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import signal

RATE = 22_050
SECONDS = (6.0, 25.0)
Kind = Callable[[np.random.Generator, int], np.ndarray]


def sound(number: int) -> np.ndarray:
    """[samples] float32 at 22,050 Hz; the same for the same number. The kinds come in turn."""
    draw = np.random.default_rng([20, number])
    kinds: list[Callable[[np.random.Generator, int], np.ndarray]] = [
        noise,
        drone,
        babble,
        bursts,
        rumble,
        siren,
        applause,
    ]
    made = kinds[number % len(kinds)](draw, int(draw.uniform(*SECONDS) * RATE))
    loud = 10 ** (draw.uniform(-40, -6) / 20)
    return (made / max(float(np.abs(made).max()), 1e-9) * loud).astype(np.float32)


def noise(draw: np.random.Generator, count: int) -> np.ndarray:
    """White, pinkish or brownish."""
    hiss = draw.standard_normal(count)
    corner = draw.choice([0.0, 200.0, 1000.0, 4000.0])
    return hiss if corner == 0 else signal.sosfilt(signal.butter(1, corner, fs=RATE, output="sos"), hiss)


def drone(draw: np.random.Generator, count: int) -> np.ndarray:
    """One to five steady tones, now and then with slow swells, over faint noise."""
    time = np.arange(count) / RATE
    tones = np.zeros(count)
    for _ in range(draw.integers(1, 6)):
        hertz = 55 * 2 ** (draw.integers(0, 49) / 12)
        swell = 1 + draw.uniform(0, 0.8) * np.sin(
            2 * np.pi * draw.uniform(0.02, 0.2) * time + draw.uniform(0, 6)
        )
        for harmonic in range(1, draw.integers(2, 7)):
            tones += swell * np.sin(2 * np.pi * hertz * harmonic * time) / harmonic**1.5
    return tones + 0.01 * draw.standard_normal(count)


def babble(draw: np.random.Generator, count: int) -> np.ndarray:
    """Voice-like syllables of uneven length and pitch, with pauses between phrases."""
    out, place = np.zeros(count), 0
    pitch = draw.uniform(90, 230)
    while place < count:
        for _ in range(draw.integers(4, 14)):
            length = int(draw.gamma(6.0, 0.028) * RATE) + 400
            time = np.arange(length) / RATE
            hertz = pitch * 2 ** (draw.normal(0, 0.12) + draw.normal(0, 0.3) * time)
            phase = 2 * np.pi * np.cumsum(hertz) / RATE
            voiced = sum(
                np.sin(k * phase) * np.exp(-(((k * pitch - draw.uniform(300, 900)) / 600) ** 2))
                for k in range(1, 12)
            )
            hiss = draw.standard_normal(length) * draw.choice([0.02, 0.4])
            syllable = (voiced + hiss) * np.hanning(length)
            stop = min(count, place + length)
            out[place:stop] += syllable[: max(0, stop - place)]
            place += int(length * draw.uniform(0.7, 1.3))
            if place >= count:
                break
        place += int(draw.gamma(3.0, 0.15) * RATE)
    return out


def bursts(draw: np.random.Generator, count: int) -> np.ndarray:
    """Knocks and plucks at random times."""
    out = 0.003 * draw.standard_normal(count)
    place = 0.0
    while True:
        place += draw.exponential(1 / draw.choice([1.0, 2.0, 4.0]))
        start = int(place * RATE)
        if start >= count:
            return out
        length = min(count - start, int(draw.uniform(0.02, 0.5) * RATE))
        time = np.arange(length) / RATE
        tone = (
            np.sin(2 * np.pi * draw.uniform(80, 1500) * time)
            if draw.random() < 0.5
            else draw.standard_normal(length)
        )
        out[start : start + length] += (
            draw.uniform(0.2, 1) * tone * np.exp(-5 * time / time[-1]) if length > 1 else 0
        )


def rumble(draw: np.random.Generator, count: int) -> np.ndarray:
    """Noise whose loudness and colour wander, as wind, waves and traffic do."""
    hiss = draw.standard_normal(count)
    wander = np.interp(
        np.arange(count), np.arange(0, count + RATE, RATE), draw.uniform(0.1, 1, count // RATE + 2)
    )
    dark = signal.sosfilt(signal.butter(2, draw.uniform(100, 800), fs=RATE, output="sos"), hiss)
    return wander * dark + (1 - wander) * 0.2 * hiss


def siren(draw: np.random.Generator, count: int) -> np.ndarray:
    """One to three tones that glide: up, down, or slowly to and fro at no steady pace."""
    time = np.arange(count) / RATE
    out = 0.002 * draw.standard_normal(count)
    for _ in range(draw.integers(1, 4)):
        corners = np.cumsum(np.concatenate([[0.0], draw.uniform(1.5, 9.0, 24)]))
        octaves = np.cumsum(draw.uniform(0.3, 2.5, 25) * draw.choice([-1, 1], 25))
        if draw.random() < 0.5:
            octaves = np.sign(draw.uniform(-1, 1)) * draw.uniform(0.1, 1.2) * corners
        hertz = np.clip(draw.uniform(80, 900) * 2 ** np.interp(time, corners, octaves - octaves[0]), 30, 9000)
        phase = 2 * np.pi * np.cumsum(hertz) / RATE
        out += np.sin(phase) + draw.choice([0.0, 0.4]) * np.sin(2 * phase)
    return out


def applause(draw: np.random.Generator, count: int) -> np.ndarray:
    """Many hands, each at its own uneven pace."""
    out = np.zeros(count)
    for _ in range(draw.integers(3, 60)):
        pace, place = draw.uniform(0.18, 0.45), draw.uniform(0, 0.5)
        decay, loud = draw.uniform(40, 120), draw.uniform(0.1, 1)
        shape = loud * np.exp(-decay * np.arange(int(0.08 * RATE)) / RATE)
        while int(place * RATE) < count:
            start = int(place * RATE)
            stop = min(count, start + len(shape))
            out[start:stop] += (shape * draw.standard_normal(len(shape)))[: stop - start]
            place += pace * draw.lognormal(0, 0.25)
    return out
