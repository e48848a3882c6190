"""How loud each tenth of a second is to the ear: energies through the two filters of ITU-R BS.1770-4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llark import audio

STEPS_PER_SECOND = 10
_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_PASS_HZ, _PASS_Q = 38.13547087602444, 0.5003270373238773
"""The two filters of K-weighting, as analogue corner, gain and quality; 48 kHz gives the standard's table."""

_LOWEST_RATE = 8000

_SAMPLES_AT_ONCE = 16384


@dataclass(frozen=True, eq=False)
class Energies:
    """`steps` is [tenths of a second], K-weighted mean squares; `peak` is the largest sample."""

    steps: np.ndarray
    peak: float


def weigh(samples: np.ndarray, rate: int) -> Energies:
    """The energies of [samples]; a rest of less than a tenth of a second is left out.

    Below twice the shelf's corner its filter would be unstable: there the samples are resampled first.
    """
    peak = float(np.abs(samples).max())
    if rate < _LOWEST_RATE:
        samples, rate = audio.resample(samples, rate, _LOWEST_RATE), _LOWEST_RATE
    weighted = filtered(samples.astype(np.float64), *k_weighting(rate))
    edges = np.rint(np.arange(len(weighted) * STEPS_PER_SECOND // rate + 1) * rate / STEPS_PER_SECOND)
    sums = np.concatenate([[0.0], np.cumsum(np.square(weighted))])[edges.astype(int)]
    return Energies(np.diff(sums) / np.diff(edges), peak)


def join(parts: Sequence[Energies]) -> Energies:
    """The energies of windows side by side."""
    return Energies(np.concatenate([part.steps for part in parts]), max(part.peak for part in parts))


def k_weighting(rate: int) -> tuple[np.ndarray, np.ndarray]:
    """A high shelf and a high pass in one, at a sample rate in Hz: the factors of the samples, [5], and those
    of what was made of them before, [5], of which the first is 1."""
    k = math.tan(math.pi * _SHELF_HZ / rate)
    high = 10 ** (_SHELF_DB / 20)
    middle = high**0.4996667741545416
    norm = 1 + k / _SHELF_Q + k * k
    shelf_in = np.array(
        [high + middle * k / _SHELF_Q + k * k, 2 * (k * k - high), high - middle * k / _SHELF_Q + k * k]
    )
    shelf_out = np.array([norm, 2 * (k * k - 1), 1 - k / _SHELF_Q + k * k])
    k = math.tan(math.pi * _PASS_HZ / rate)
    pass_norm = 1 + k / _PASS_Q + k * k
    pass_out = np.array([pass_norm, 2 * (k * k - 1), 1 - k / _PASS_Q + k * k]) / pass_norm
    return np.convolve(shelf_in / norm, [1, -2, 1]), np.convolve(shelf_out / norm, pass_out)


def filtered(samples: np.ndarray, ahead: np.ndarray, back: np.ndarray) -> np.ndarray:
    """[samples] float64, where each is `ahead` times the samples up to it, less `back[1:]` times those that
    were made before it.

    That is a triangular system of equations with few diagonals, which BLAS solves: `scipy.signal` does it
    as fast, but takes a third of a second and 40 MB to load.
    """
    from scipy.linalg.blas import dtbsv

    lags = len(back) - 1
    bands = np.asfortranarray(np.repeat(back[:, None], _SAMPLES_AT_ONCE, axis=1))
    padded, made = (np.concatenate([np.zeros(lags), part]) for part in (samples, np.empty(len(samples))))
    for first in range(lags, len(made), _SAMPLES_AT_ONCE):
        last = min(first + _SAMPLES_AT_ONCE, len(made))
        part = ahead[0] * padded[first:last]
        for lag in range(1, lags + 1):
            part += ahead[lag] * padded[first - lag : last - lag]
        for place in range(min(lags, len(part))):
            part[place] -= back[place + 1 :] @ made[first - lags + place : first][::-1]
        made[first:last] = dtbsv(lags, bands[:, : len(part)], part, lower=1, diag=1)
    return made[lags:]
