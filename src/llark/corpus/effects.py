"""What a room, a microphone and a master tape do to a mix. numpy and scipy only; time is never moved."""

from __future__ import annotations

import numpy as np
from scipy import signal

from llark.corpus.synth import SAMPLE_RATE


def finish(mix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[samples] float32 → the same, with some of room, tilt, drive, noise, fade; peak −12 to −1 dBFS."""
    if rng.random() < 0.65:
        mix = room(mix, rng.uniform(0.25, 1.8), rng.uniform(-24, -9), rng)
    if rng.random() < 0.25:
        mix = signal.sosfilt(_first_order(rng.uniform(50, 220), "highpass"), mix)
    if rng.random() < 0.3:
        mix = signal.sosfilt(_first_order(np.exp(rng.uniform(np.log(2500), np.log(9000))), "lowpass"), mix)
    mix = mix / max(float(np.abs(mix).max()), 1e-9)
    if rng.random() < 0.15:
        drive = rng.uniform(1.2, 3.0)
        mix = np.tanh(drive * mix) / np.tanh(drive)
    if rng.random() < 0.3:
        mix = mix + noise(mix, rng.uniform(8, 50), rng)
    if rng.random() < 0.08:
        mix = faded(mix, rng)
    peak = 10 ** (rng.uniform(-12, -1) / 20)
    result: np.ndarray = (mix * peak / max(float(np.abs(mix).max()), 1e-9)).astype(np.float32)
    return result


def room(mix: np.ndarray, seconds: float, wet_db: float, rng: np.random.Generator) -> np.ndarray:
    """The mix with a decaying, darkened noise tail that falls by 60 dB in `seconds`."""
    count = int(seconds * SAMPLE_RATE)
    tail = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail = signal.sosfilt(_first_order(rng.uniform(2000, 6000), "lowpass"), tail)
    tail[: int(rng.uniform(0.002, 0.02) * SAMPLE_RATE)] = 0.0
    tail *= 10 ** (wet_db / 20) / max(float(np.sqrt((tail**2).sum())), 1e-9)
    result: np.ndarray = mix + signal.oaconvolve(mix, tail)[: len(mix)]
    return result


def faded(mix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mix rising from, or falling to, 30 dB less over a part of it."""
    count = int(rng.uniform(0.15, 0.6) * len(mix))
    ramp = np.ones(len(mix))
    ramp[:count] = 10 ** (-1.5 * (1 - np.arange(count) / max(count, 1)))
    result: np.ndarray = mix * (ramp if rng.random() < 0.4 else ramp[::-1])
    return result


def noise(mix: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """White or pinkish noise, `snr_db` below the mix."""
    hiss = rng.standard_normal(len(mix))
    if rng.random() < 0.5:
        hiss = signal.sosfilt(_first_order(400.0, "lowpass"), hiss)
    level = np.sqrt((mix**2).mean() / max(float((hiss**2).mean()), 1e-12)) * 10 ** (-snr_db / 20)
    result: np.ndarray = hiss * level
    return result


def _first_order(hertz: float, kind: str) -> np.ndarray:
    sections: np.ndarray = signal.butter(1, hertz, kind, fs=SAMPLE_RATE, output="sos")
    return sections
