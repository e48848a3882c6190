"""Mel spectrograms of the tag and speech networks, in numpy and PyTorch alone.

Both networks were trained on the Slaney mel scale with filters of equal area.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch

SAMPLE_RATE = 16000
"""Samples a second that every function of this file expects."""

TAG_FRAME, TAG_HOP, TAG_BANDS = 512, 256, 96
TAG_FRAMES_PER_SECOND = SAMPLE_RATE / TAG_HOP
SPEECH_FRAME, SPEECH_HOP, SPEECH_BANDS = 400, 160, 80

LINEAR_MEL_HZ = 200.0 / 3.0
"""Width of one mel below the break of the Slaney scale."""

BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / LINEAR_MEL_HZ
LOG_STEP = math.log(6.4) / 27.0
"""Natural logarithm of the frequency ratio of one mel above the break."""


def hz_to_mel(hz: float) -> float:
    """The Slaney mel scale: linear up to 1 kHz, logarithmic above."""
    return hz / LINEAR_MEL_HZ if hz < BREAK_HZ else BREAK_MEL + math.log(hz / BREAK_HZ) / LOG_STEP


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Inverse of `hz_to_mel`, for an array."""
    above: np.ndarray = BREAK_HZ * np.exp(LOG_STEP * (np.maximum(mel, BREAK_MEL) - BREAK_MEL))
    return np.where(mel < BREAK_MEL, mel * LINEAR_MEL_HZ, above)


@functools.cache
def mel_filters(bands: int, frame: int, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Triangular filters of equal area from 0 Hz to half the sample rate: [bands, frame // 2 + 1] float32."""
    edges = mel_to_hz(np.linspace(0.0, hz_to_mel(sample_rate / 2), bands + 2))
    bins = np.fft.rfftfreq(frame, 1.0 / sample_rate)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    area = (edges[2:] - edges[:-2]) / 2.0
    heights = np.maximum(0.0, np.minimum(rising, falling)) / area[:, None]
    filters: np.ndarray = heights.astype(np.float32)
    filters.setflags(write=False)
    return filters


def mel_power(samples: torch.Tensor, bands: int, frame: int, hop: int, pad_mode: str) -> torch.Tensor:
    """Mel power of frames centred on multiples of `hop`: [1 + samples // hop, bands]."""
    spectrum = torch.stft(
        samples,
        frame,
        hop,
        window=torch.hann_window(frame),
        center=True,
        pad_mode=pad_mode,
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    return (torch.tensor(mel_filters(bands, frame)) @ power).T


def tag_mel(samples_16000: np.ndarray) -> torch.Tensor:
    """Log mel spectrogram of the tag networks: [1 + samples // 256, 96] float32, 62.5 frames a second."""
    samples = torch.as_tensor(samples_16000, dtype=torch.float32)
    power = mel_power(samples, TAG_BANDS, TAG_FRAME, TAG_HOP, "constant")
    return torch.log10(10000.0 * power + 1.0)


def speech_mel(samples_16000: np.ndarray) -> torch.Tensor:
    """Log mel spectrogram of the speech network: [samples // 160, 80] float32, 100 frames a second.

    Levels more than 80 dB below the loudest are raised to that floor, as in the network's training.
    A clip shorter than one frame is lengthened with silence to one.
    """
    samples = torch.as_tensor(samples_16000, dtype=torch.float32)
    samples = torch.nn.functional.pad(samples, (0, max(0, SPEECH_FRAME - len(samples))))
    power = mel_power(samples, SPEECH_BANDS, SPEECH_FRAME, SPEECH_HOP, "reflect")[:-1]
    level = torch.log10(power.clamp(min=1e-10))
    return (torch.maximum(level, level.max() - 8.0) + 4.0) / 4.0
