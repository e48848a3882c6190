"""NoteNet: which notes sound, and where they begin.

The model of Basic Pitch (R. Bittner et al., "A lightweight instrument-agnostic model for polyphonic note
transcription and multipitch estimation", ICASSP 2022; Apache-2.0). It stacks eight harmonics of a constant-Q
spectrogram, and takes two seconds at a time, each window brought to its own range of decibels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from llark.networks import load_weights

SAMPLE_RATE = 22050
HOP_SAMPLES = 256
FRAMES_PER_SECOND = SAMPLE_RATE / HOP_SAMPLES
LOWEST_MIDI = 21
PITCHES = 88
"""The keys of a piano, from A0."""

CONTOUR_BINS_PER_SEMITONE = 3
CONTOUR_BINS = PITCHES * CONTOUR_BINS_PER_SEMITONE

WINDOW_SAMPLES = 2 * SAMPLE_RATE - HOP_SAMPLES
WINDOW_FRAMES = 1 + WINDOW_SAMPLES // HOP_SAMPLES
MARGIN_FRAMES = 15
"""Frames at each end of a window that lack surroundings and are thrown away."""

KEPT_FRAMES = WINDOW_FRAMES - 2 * MARGIN_FRAMES
WINDOWS_AT_ONCE = 4

_OCTAVE_BINS, _TAPS = 12 * CONTOUR_BINS_PER_SEMITONE, 256
_CQT_BINS = 309
_OCTAVES = -(-_CQT_BINS // _OCTAVE_BINS)
_HARMONIC_SHIFTS = (-36, 0, 36, 57, 72, 84, 93, 101)
"""Bins from the fundamental down to half its frequency, and up to 1, 2, … 7 times of it."""
_SILENCE = 1e-10


@dataclass(frozen=True, eq=False)
class NoteOutput:
    """What the net says at 86.13 frames a second; frame *i* is centred on second `i * 256 / 22050`.

    `notes` and `onsets` are [frames, 88]: the probability that the pitch sounds, and that it begins, from A0.
    `contours` is [frames, 264]: the probability of a pitch at three bins a semitone; bin 1 is A0 in tune.
    """

    notes: np.ndarray
    onsets: np.ndarray
    contours: np.ndarray


class _ConstantQ(nn.Module):
    """Nine octaves with the wavelets of the top one, on a signal that is halved for each octave down."""

    def __init__(self) -> None:
        super().__init__()
        self.real = nn.Buffer(torch.zeros(_OCTAVE_BINS, 1, _TAPS))
        self.imaginary = nn.Buffer(torch.zeros(_OCTAVE_BINS, 1, _TAPS))
        self.lowpass = nn.Buffer(torch.zeros(1, 1, _TAPS))
        self.loudness = nn.Buffer(torch.zeros(_CQT_BINS))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """[windows, 43844] → power [windows, 172 frames, 309 bins]."""
        octave, hop = samples[:, None], HOP_SAMPLES
        powers: list[torch.Tensor] = []
        for _ in range(_OCTAVES):
            padded = functional.pad(octave, (_TAPS // 2, _TAPS // 2), mode="reflect")
            real = functional.conv1d(padded, self.real, stride=hop)
            imaginary = functional.conv1d(padded, self.imaginary, stride=hop)
            powers.insert(0, real.square() + imaginary.square())
            around = (_TAPS - 1) // 2
            octave = functional.conv1d(functional.pad(octave, (around, around)), self.lowpass, stride=2)
            hop //= 2
        power = torch.cat(powers, dim=1)[:, -_CQT_BINS:].transpose(1, 2)
        return power * self.loudness.square()


class _NoteLayers(nn.Module):
    """Three pairs of convolutions; frequency strides of three go from contour bins to semitones."""

    def __init__(self) -> None:
        super().__init__()
        harmonics = len(_HARMONIC_SHIFTS)
        self.cqt = _ConstantQ()
        self.scale = nn.Buffer(torch.zeros(1))
        self.shift = nn.Buffer(torch.zeros(1))
        self.contour_in = nn.Conv2d(harmonics, 8, (3, 39), padding=(1, 19))
        self.contour_out = nn.Conv2d(8, 1, 5, padding=2)
        self.note_in = nn.Conv2d(1, 32, 7, stride=(1, 3), padding=(3, 2))
        self.note_out = nn.Conv2d(32, 1, (7, 3), padding=(3, 1))
        self.onset_in = nn.Conv2d(harmonics, 32, 5, stride=(1, 3), padding=(2, 1))
        self.onset_out = nn.Conv2d(33, 1, 3, padding=1)

    def forward(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[windows, 43844] → notes, onsets [windows, 172, 88] and contours [windows, 172, 264]."""
        stacked = _stack_harmonics(_own_range(self.cqt(samples)) * self.scale + self.shift)
        stacked = stacked.contiguous(memory_format=torch.channels_last)  # twice as fast
        contours = torch.sigmoid(self.contour_out(functional.relu(self.contour_in(stacked))))
        notes = torch.sigmoid(self.note_out(functional.relu(self.note_in(contours))))
        edges = functional.relu(self.onset_in(stacked))
        onsets = torch.sigmoid(self.onset_out(torch.cat([notes, edges], dim=1)))
        return notes[:, 0], onsets[:, 0], contours[:, 0]


def _own_range(power: torch.Tensor) -> torch.Tensor:
    """Decibels of each window from its faintest bin, 0, to its loudest, 1; a flat window is 0."""
    decibels = 10.0 * torch.log10(power + _SILENCE)
    above = decibels - decibels.amin((1, 2), keepdim=True)
    most = above.amax((1, 2), keepdim=True)
    return torch.where(most == 0, torch.zeros_like(above), above / torch.where(most == 0, 1.0, most))


def _stack_harmonics(bins: torch.Tensor) -> torch.Tensor:
    """[windows, frames, 309] → [windows, 8, frames, 264]: what sounds at each multiple of a bin's pitch."""
    shifted = [
        functional.pad(bins[:, :, shift:], (0, shift))
        if shift >= 0
        else functional.pad(bins[:, :, :shift], (-shift, 0))
        for shift in _HARMONIC_SHIFTS
    ]
    return torch.stack([one[:, :, :CONTOUR_BINS] for one in shifted], dim=1)


@dataclass(frozen=True)
class NoteNet:
    """The net, in float32. Build one with `NoteNet.load()`; it is never trained."""

    net: _NoteLayers

    @classmethod
    def load(cls) -> NoteNet:
        """The net with the weights that come with this package."""
        return cls(load_weights(_NoteLayers(), "note"))

    @torch.inference_mode()
    def __call__(self, samples: np.ndarray) -> NoteOutput:
        """`samples` is mono float32 at 22,050 Hz; [n] gives 1 + n // 256 frames."""
        frames = 1 + len(samples) // HOP_SAMPLES
        windows = _cut(torch.from_numpy(np.asarray(samples, np.float32)), frames)
        outputs = [self.net(part) for part in torch.split(windows, WINDOWS_AT_ONCE)]
        inner = slice(MARGIN_FRAMES, MARGIN_FRAMES + KEPT_FRAMES)
        notes, onsets, contours = (
            torch.cat([part[:, inner].flatten(0, 1) for part in parts])[:frames].numpy()
            for parts in zip(*outputs, strict=True)
        )
        return NoteOutput(notes, onsets, contours)


def _cut(samples: torch.Tensor, frames: int) -> torch.Tensor:
    """[windows, 43844]: windows whose inner frames lie side by side, with silence around the whole."""
    count = -(-frames // KEPT_FRAMES)
    hop, before = KEPT_FRAMES * HOP_SAMPLES, MARGIN_FRAMES * HOP_SAMPLES
    after = (count - 1) * hop + WINDOW_SAMPLES - before - len(samples)
    return functional.pad(samples, (before, after)).unfold(0, WINDOW_SAMPLES, hop)
