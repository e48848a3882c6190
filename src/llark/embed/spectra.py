"""Mel spectrograms as torchaudio computes them by default: HTK's scale, filters of height 1, power."""

from __future__ import annotations

import functools

import numpy as np
import torch

QUIETEST_POWER = 1e-10


@functools.cache
def htk_filters(bands: int, frame: int, sample_rate: int, lowest: float, highest: float) -> np.ndarray:
    """Triangular filters of height 1 on HTK's mel scale: [frame // 2 + 1, bands] float32."""
    mels = np.linspace(2595 * np.log10(1 + lowest / 700), 2595 * np.log10(1 + highest / 700), bands + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bins = np.linspace(0, sample_rate // 2, frame // 2 + 1)
    slopes = edges[None, :] - bins[:, None]
    falling, rising = -slopes[:, :-2] / np.diff(edges)[:-1], slopes[:, 2:] / np.diff(edges)[1:]
    filters: np.ndarray = np.maximum(0.0, np.minimum(falling, rising)).astype(np.float32)
    filters.setflags(write=False)
    return filters


def mel_decibels(
    samples: torch.Tensor, *, sample_rate: int, frame: int, hop: int, bands: int, top: float | None = None
) -> torch.Tensor:
    """Power in dB: float32 [batch, samples] → [batch, bands, 1 + samples // hop].

    `top`: what lies more than so many dB below the loudest of its own row is raised to that.
    """
    spectrum = torch.stft(
        samples,
        frame,
        hop,
        window=torch.hann_window(frame, device=samples.device),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    filters = torch.tensor(htk_filters(bands, frame, sample_rate, 0.0, sample_rate / 2)).to(samples.device)
    level = 10 * torch.log10((filters.T @ power).clamp(min=QUIETEST_POWER))
    if top is not None:
        level = torch.maximum(level, level.amax((1, 2), keepdim=True) - top)
    return level
