"""Autocorrelations on lags whose ratio is constant, so that a change of tempo is a shift along them."""

from __future__ import annotations

import functools

import numpy as np

RATE = 50
"""Values a second of the curves whose periodicity is measured."""

LAGS_SECONDS = np.geomspace(0.2, 6.0, 96)
"""Lags of the autocorrelations: 19.4 to an octave."""


@functools.cache
def lag_weights(longest: int) -> np.ndarray:
    """[longest + 1, 96]: averages autocorrelation at whole samples into the lags of `LAGS_SECONDS`.

    Each is a triangle as wide as the distance to the neighbouring lags, and at least one sample, so that no
    peak falls between two of them. Lags beyond `longest` get no weight.
    """
    centres = LAGS_SECONDS * RATE
    reach = np.maximum(1.0, centres * (LAGS_SECONDS[1] / LAGS_SECONDS[0] - 1.0))
    samples = np.arange(longest + 1)[:, None]
    weights: np.ndarray = np.maximum(0.0, 1.0 - np.abs(samples - centres) / reach)
    weights /= np.maximum(weights.sum(axis=0), 1e-9)
    weights[:, centres + reach > longest] = 0.0
    weights.setflags(write=False)
    return weights
