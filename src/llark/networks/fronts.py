"""The first layers of the taggers: filters of which only the highest value along frequency counts.

As they are written, convolutions of one channel take nearly all of a tagger's time. Two things make them
cheap. Filters that slide along frequency do so on its Fourier transform, where a slide of 59 places is a
product of 49 values; and of each place and its mirror image about the middle, only the higher one is made:
the cosine part is the same at both, the sine part its negative, so it is C + |S|. Filters that do not slide
multiply the spectrogram where it lies, without copies of each window.

The products are many and small. OpenBLAS, which numpy brings, has a way for such, of up to a million
multiplications each and on one thread, that is a quarter quicker than PyTorch's on processors of AMD.
"""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

BANDS = 96
"""Of the spectrogram; just enough for a slide not to wrap round, whatever the filter's height."""

WAVES = BANDS // 2 + 1
TIMBRAL_FRAMES_AT_ONCE = 32
TEMPORAL_FRAMES_AT_ONCE = 32
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
        self.taps = (taps * self.sign.view(-1, *[1] * (taps.dim() - 1))).detach().contiguous().numpy()

    def __call__(self, grid: Tensor) -> Tensor:
        """[batch, frames, 96] → [batch, filters, frames]; there is silence, 0, around the grid in time."""
        highest = torch.stack([torch.from_numpy(self.highest(one)) for one in grid]).mul_(self.sign[:, None])
        return self.norm(highest.add_(self.bias[:, None]).relu_())

    @abc.abstractmethod
    def highest(self, grid: Tensor) -> np.ndarray:
        """[frames, 96] → [filters, frames]: the highest product of each of `taps` with the grid."""


def _blocks(frames: int, at_once: int) -> Iterator[slice]:
    """Blocks of one length that cover the frames, so that all fit one place in memory; the last may overlap.

    New memory for each block would cost a tenth of the time.
    """
    for start in range(0, frames, at_once):
        first = max(0, min(start, frames - at_once))
        yield slice(first, first + min(at_once, frames))


@dataclass(frozen=True, eq=False)
class _Waves:
    """Filters of one size on the Fourier transform of frequency, and the way back to their places.

    `filters` is [49 waves, 2 * filters, 2 * frames tall]: for the cosine and for the sine part of each filter
    the factors of the real and the imaginary part of each frame that it covers. `even` and `odd` are
    [ceil(places / 2), 49]: from those parts to half of the places, counted from the middle.
    """

    filters: np.ndarray
    even: np.ndarray
    odd: np.ndarray

    @classmethod
    def of(cls, taps: np.ndarray) -> _Waves:
        """`taps` is [filters, frames tall, bands high]."""
        places = BANDS - taps.shape[2] + 1
        middle = (places - 1) / 2
        turns = 2 * math.pi * np.arange(WAVES) / BANDS
        spectra = np.fft.rfft(taps.astype(np.float64), n=BANDS, axis=2).conj() * np.exp(1j * turns * middle)
        real, imaginary = spectra.real.transpose(2, 0, 1), spectra.imag.transpose(2, 0, 1)
        cosine = np.concatenate([real, -imaginary], axis=2)
        sine = np.concatenate([imaginary, real], axis=2)
        count = np.full(WAVES, 2.0)
        count[0] = count[-1] = 1.0
        angles = (np.arange(places // 2, places) - middle)[:, None] * turns
        even, odd = (wave(angles) * count / BANDS for wave in (np.cos, np.sin))
        filters = np.concatenate([cosine, sine], axis=1)
        return cls(*(np.ascontiguousarray(part, np.float32) for part in (filters, even, odd)))


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

    def highest(self, grid: Tensor) -> np.ndarray:
        tall, frames, filters = self.taps.shape[1], len(grid), len(self.taps)
        spectrum = functional.pad(grid @ _transform(), (0, 0, tall // 2, tall // 2)).T
        windows = spectrum.unfold(1, frames, 1).reshape(2, WAVES, tall, frames).transpose(0, 1).flatten(1, 2)
        length = min(TIMBRAL_FRAMES_AT_ONCE, frames)
        products = np.empty((WAVES, 2, filters, length), np.float32)
        even, odd = np.empty((2, len(self._waves.even), filters, length), np.float32)
        maxima = np.empty((filters, frames), np.float32)
        for block in _blocks(frames, length):
            np.matmul(
                self._waves.filters, windows.numpy()[:, :, block], out=products.reshape(WAVES, -1, length)
            )
            for waves, part, values in ((self._waves.even, 0, even), (self._waves.odd, 1, odd)):
                np.matmul(waves, products[:, part].transpose(1, 0, 2), out=values.transpose(1, 0, 2))
            even += np.abs(odd, out=odd)
            maxima[:, block] = even.max(axis=0)
        return maxima


class TemporalFront(Front):
    """Filters one band high and many frames wide."""

    def highest(self, grid: Tensor) -> np.ndarray:
        filters, size = self.taps.shape
        along = functional.pad(grid, (0, 0, (size - 1) // 2, size // 2)).numpy()
        windows = np.lib.stride_tricks.sliding_window_view(along, size, axis=0).transpose(0, 2, 1)
        length = min(TEMPORAL_FRAMES_AT_ONCE, len(grid))
        products = torch.empty(length, filters, BANDS)
        maxima = torch.empty(len(grid), filters)
        for block in _blocks(len(grid), length):
            np.matmul(self.taps, windows[block], out=products.numpy())
            torch.amax(products, 2, out=maxima[block])  # numpy is slow along so short an axis
        return maxima.numpy().T
