"""The `mel` encoder: the spectrum as it is, in 64 bands. No network, no weights.

What other encoders are measured against: one that says no more than this is not worth its time.
"""

from __future__ import annotations

import functools

import numpy as np
import torch

from llark.embed.encoder import Device, EncoderOptions
from llark.embed.windowed import WindowedEncoder, WindowedNetwork, encoder

VERSION = "1"
SAMPLE_RATE, FRAME, HOP, BANDS = 22_050, 2048, 441, 64
"""50 values a second."""

WINDOW_SECONDS, OVERLAP_SECONDS = 30, 1
QUIETEST_DECIBELS = -100.0


def run(samples: torch.Tensor) -> torch.Tensor:
    """float32 [batch, samples] → [batch, samples / 441, 64], in tens of dB over the quietest level."""
    level = mel_decibels(samples, sample_rate=SAMPLE_RATE, frame=FRAME, hop=HOP, bands=BANDS)
    return ((level[..., : samples.shape[1] // HOP] - QUIETEST_DECIBELS) / 10).transpose(1, 2)


def load(settings: EncoderOptions, device: Device) -> WindowedEncoder:
    """The encoder, always float32 on a CPU. Raises `UserMustAct` for a setting that it has no use for."""
    settings.refuse(weights=settings.weights, compat=settings.compat, layer=settings.layer)
    network = WindowedNetwork(
        run=run,
        sample_rate=SAMPLE_RATE,
        hop=HOP,
        window=WINDOW_SECONDS * SAMPLE_RATE // HOP,
        overlap=OVERLAP_SECONDS * SAMPLE_RATE // HOP,
        width=BANDS,
        version=VERSION,
        licence="none: it has no weights",
        least=FRAME // HOP + 1,
    )
    return encoder("mel", network, settings, Device("cpu", "float32", device.batch))


# --- mel spectrograms as torchaudio computes them by default: HTK's scale, filters of height 1, power -----

QUIETEST_POWER = 1e-10


@functools.cache
def htk_filters(bands: int, frame: int, sample_rate: int, lowest: float, highest: float) -> np.ndarray:
    """Triangular filters of height 1 on HTK's mel scale: [frame // 2 + 1, bands] float32."""
    from transformers.audio_utils import mel_filter_bank

    filters = mel_filter_bank(frame // 2 + 1, bands, lowest, highest, sample_rate, mel_scale="htk")
    singles: np.ndarray = filters.astype(np.float32)
    singles.setflags(write=False)
    return singles


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
