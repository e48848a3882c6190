"""The `mel` encoder: the spectrum as it is, in 64 bands. No network, no weights.

What other encoders are measured against: one that says no more than this is not worth its time.
"""

from __future__ import annotations

import torch

from llark.embed.encoder import Device
from llark.embed.settings import Settings
from llark.embed.spectra import mel_decibels
from llark.embed.windowed import Ears, WindowedEncoder, encoder

VERSION = "1"
SAMPLE_RATE, FRAME, HOP, BANDS = 22_050, 2048, 441, 64
"""50 values a second."""

WINDOW_SECONDS, OVERLAP_SECONDS = 30, 1
QUIETEST_DECIBELS = -100.0


def hear(samples: torch.Tensor) -> torch.Tensor:
    """float32 [batch, samples] → [batch, samples / 441, 64], in tens of dB over the quietest that is told."""
    level = mel_decibels(samples, sample_rate=SAMPLE_RATE, frame=FRAME, hop=HOP, bands=BANDS)
    tens: torch.Tensor = (level[..., : samples.shape[1] // HOP] - QUIETEST_DECIBELS) / 10
    return tens.transpose(1, 2)


def load(settings: Settings, device: Device) -> WindowedEncoder:
    """The encoder, always float32 on a CPU. Raises `UserMustAct` for a setting that it has no use for."""
    settings.refuse(weights=settings.weights, compat=settings.compat, layer=settings.layer)
    ears = Ears(
        hear=hear,
        sample_rate=SAMPLE_RATE,
        hop=HOP,
        window=WINDOW_SECONDS * SAMPLE_RATE // HOP,
        overlap=OVERLAP_SECONDS * SAMPLE_RATE // HOP,
        width=BANDS,
        version=VERSION,
        licence="none: it has no weights",
        least=FRAME // HOP + 1,
    )
    return encoder("mel", ears, settings, Device("cpu", "float32", device.batch))
