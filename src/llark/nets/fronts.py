"""The first layers of the taggers: filters of which only the highest value along frequency counts.

As they are written, convolutions of one channel take nearly all of a tagger's time. Two things make them
cheap. Filters that slide along frequency do so on its Fourier transform, where a slide of 59 places is a
product of 49 values; and of each place and its mirror image about the middle, only the higher one is made:
the cosine part is the same at both, the sine part its negative, so it is C + |S|. Filters that do not slide
multiply the spectrogram where it lies, without copies of each window.
"""

from __future__ import annotations

import abc
import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

BANDS = 96
"""Of the spectrogram; just enough for a slide not to wrap round, whatever the filter's height."""

WAVES = BANDS // 2 + 1
TIMBRAL_FRAMES_AT_ONCE = 32
TEMPORAL_FRAMES_AT_ONCE = 64
"""Frames whose products fit into a core's cache."""


class Front(abc.ABC):
    """The maximum over places of `norm(relu(conv(grid)))`, without normalising what it throws away.

    Where the norm turns its input round, the smallest value is looked for: such filters are negated.
    Build it when the weights are in place; it does not follow them.
    """

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        self.sign = torch.where(norm.get_parameter("weight") < 0, -1.0, 1.0)
        self.bias = conv.get_parameter("bias")
        self.norm = norm
        taps = conv.get_parameter("weight")[:, 0]
        self.taps = (taps * self.sign.view(-1, *[1] * (taps.dim() - 1))).detach()

    def __call__(self, grid: Tensor) -> Tensor:
        """[batch, frames, 96] → [batch, filters, frames]; there is silence, 0, around the grid in time."""
        highest = torch.stack([self.highest(one) for one in grid]) * self.sign[:, None]
        normed: Tensor = self.norm(functional.relu(highest + self.bias[:, None]))
        return normed

    @abc.abstractmethod
    def highest(self, grid: Tensor) -> Tensor:
        """[frames, 96] → [filters, frames]: the highest product of each of `taps` with the grid."""


@dataclass(frozen=True, eq=False)
class _Waves:
    """Filters of one size on the Fourier transform of frequency, and the way back to their places.

    `filters` is [49 waves, 2 * filters, 2 * frames tall]: for the cosine and for the sine part of each filter
    the factors of the real and the imaginary part of each frame that it covers. `even` and `odd` are
    [ceil(places / 2), 49]: from those parts to half of the places, counted from the middle.
    """

    filters: Tensor
    even: Tensor
    odd: Tensor

    @classmethod
    def of(cls, taps: Tensor) -> _Waves:
        """`taps` is [filters, frames tall, bands high]."""
        places = BANDS - taps.shape[2] + 1
        middle = (places - 1) / 2
        turns = 2 * math.pi * torch.arange(WAVES, dtype=torch.float64) / BANDS
        spectra = torch.fft.rfft(taps.double(), n=BANDS, dim=2).conj() * torch.exp(1j * turns * middle)
        real, imaginary = (part.permute(2, 0, 1) for part in (spectra.real, spectra.imag))
        cosine = torch.cat([real, -imaginary], dim=2)
        sine = torch.cat([imaginary, real], dim=2)
        count = torch.full((WAVES,), 2.0, dtype=torch.float64)
        count[0] = count[-1] = 1.0
        angles = (torch.arange(places // 2, places) - middle)[:, None] * turns
        even, odd = (wave(angles) * count / BANDS for wave in (torch.cos, torch.sin))
        return cls(torch.cat([cosine, sine], dim=1).float(), even.float(), odd.float())


@functools.cache
def _transform() -> Tensor:
    """[96, 2 * 49]: from bands to the real, then the imaginary part of each wave."""
    waves = torch.fft.rfft(torch.eye(BANDS, dtype=torch.float64), dim=1)
    return torch.cat([waves.real, waves.imag], dim=1).float()


class TimbralFront(Front):
    """Filters some frames wide that slide along frequency."""

    @functools.cached_property
    def _waves(self) -> _Waves:
        return _Waves.of(self.taps)

    def highest(self, grid: Tensor) -> Tensor:
        around = self.taps.shape[1] // 2
        frames = len(grid)
        spectrum = functional.pad(grid @ _transform(), (0, 0, around, around)).T
        windows = spectrum.unfold(1, frames, 1).reshape(2, WAVES, -1, frames).transpose(0, 1).flatten(1, 2)
        return torch.cat(
            [self._highest(part) for part in torch.split(windows, TIMBRAL_FRAMES_AT_ONCE, 2)], dim=1
        )

    def _highest(self, windows: Tensor) -> Tensor:
        """[49, 2 * frames tall, frames] → [filters, frames]."""
        parts = torch.bmm(self._waves.filters, windows).view(WAVES, 2, -1)
        values = self._waves.even @ parts[:, 0]
        values += (self._waves.odd @ parts[:, 1]).abs_()
        return values.amax(0).view(-1, windows.shape[2])


class TemporalFront(Front):
    """Filters one band high and many frames wide."""

    def highest(self, grid: Tensor) -> Tensor:
        size = self.taps.shape[1]
        along = functional.pad(grid, (0, 0, (size - 1) // 2, size // 2))
        windows = torch.split(along.unfold(0, size, 1).transpose(1, 2), TEMPORAL_FRAMES_AT_ONCE)
        taps = self.taps.contiguous()
        parts = [torch.bmm(taps.expand(len(part), -1, -1), part).amax(2) for part in windows]
        return torch.cat(parts).T
