"""Two music taggers: what a few seconds sound like, at 62.5 frames a second and as words.

musicnn (Pons & Serra 2019, https://arxiv.org/abs/1909.06654): filters shaped for timbre and for rhythm, then
three residual layers, then pooling over 3 s. One net was trained on MagnaTagATune (MTT), one on the Million
Song Dataset (MSD); both see the same log mel spectrogram.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from llark.networks import load_weights
from llark.networks.fronts import Front, TemporalFront, TimbralFront
from llark.networks.mels import TAG_FRAMES_PER_SECOND, tag_mel

MTT = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano",
    "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals",
    "no vocals", "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft",
    "sitar", "solo", "man", "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal",
    "beats", "harp", "cello", "no voice", "weird", "country", "metal", "female voice", "choral",
)  # fmt: skip
"""The tags of the MagnaTagATune net, in the order of its outputs."""

MSD = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul",
    "indie rock", "Mellow", "electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies",
    "blues", "hard rock", "ambient", "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop",
    "70s", "party", "country", "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal",
    "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip
"""The tags of the Million Song Dataset net, in the order of its outputs."""

FRAMES_PER_SECOND = TAG_FRAMES_PER_SECOND
PATCH_FRAMES = 187
"""Frames (3 s) over which the nets were trained to pool."""

TIMBRAL_KERNELS = ((7, 38), (7, 67))
TIMBRAL_FILTERS = 204
TEMPORAL_KERNELS = (128, 64, 32)
TEMPORAL_FILTERS = 51
FRONT_WIDTH = len(TIMBRAL_KERNELS) * TIMBRAL_FILTERS + len(TEMPORAL_KERNELS) * TEMPORAL_FILTERS
MIDDLE_WIDTH = 64
WIDTH = FRONT_WIDTH + 3 * MIDDLE_WIDTH
DENSE_WIDTH = 200
NORM_EPS = 1e-3


@dataclass(frozen=True, eq=False)
class TagOutput:
    """The outputs of the taggers for one clip.

    `features` is [frames, 753] at 62.5 Hz (frame i is centred on i / 62.5 s), from the MTT net. `mtt` and
    `msd` are [patches, 50] probabilities of the tags in `MTT` and `MSD`; patch i covers
    `patch_frames` frames from frame `patch_starts[i]`.
    """

    features: np.ndarray
    mtt: np.ndarray
    msd: np.ndarray
    patch_starts: tuple[int, ...]
    patch_frames: int


class TagConvNet(nn.Module):
    """One musicnn network."""

    def __init__(self) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm2d(1, eps=NORM_EPS)
        self.timbral = nn.ModuleList(nn.Conv2d(1, TIMBRAL_FILTERS, kernel) for kernel in TIMBRAL_KERNELS)
        self.temporal = nn.ModuleList(nn.Conv1d(1, TEMPORAL_FILTERS, size) for size in TEMPORAL_KERNELS)
        fronts = [TIMBRAL_FILTERS] * len(TIMBRAL_KERNELS) + [TEMPORAL_FILTERS] * len(TEMPORAL_KERNELS)
        self.front_norms = nn.ModuleList(nn.BatchNorm1d(width, eps=NORM_EPS) for width in fronts)
        self.middle = nn.ModuleList(
            nn.Conv1d(width, MIDDLE_WIDTH, 7, padding=3)
            for width in (FRONT_WIDTH, MIDDLE_WIDTH, MIDDLE_WIDTH)
        )
        self.middle_norms = nn.ModuleList(nn.BatchNorm1d(MIDDLE_WIDTH, eps=NORM_EPS) for _ in range(3))
        self.pool_norm = nn.BatchNorm1d(2 * WIDTH, eps=NORM_EPS)
        self.dense = nn.Linear(2 * WIDTH, DENSE_WIDTH)
        self.dense_norm = nn.BatchNorm1d(DENSE_WIDTH, eps=NORM_EPS)
        self.output = nn.Linear(DENSE_WIDTH, len(MTT))

    @functools.cached_property
    def fronts(self) -> tuple[Front, ...]:
        """The first layers, ready to run, with the weights that are in place when first asked for."""
        timbral, temporal = self.front_norms[: len(self.timbral)], self.front_norms[len(self.timbral) :]
        return (
            *(TimbralFront(conv, norm) for conv, norm in zip(self.timbral, timbral, strict=True)),
            *(TemporalFront(conv, norm) for conv, norm in zip(self.temporal, temporal, strict=True)),
        )

    def frames(self, mel: torch.Tensor) -> torch.Tensor:
        """[batch, frames, 96] → [batch, 753, frames]."""
        grid = self.input_norm(mel[:, None])[:, 0]
        layers = mel.new_empty(len(mel), WIDTH, mel.shape[1])
        front, *middle = torch.split(layers, [FRONT_WIDTH, *[MIDDLE_WIDTH] * len(self.middle)], 1)
        torch.cat([front(grid) for front in self.fronts], 1, out=front)
        y = front
        for i, (conv, norm) in enumerate(zip(self.middle, self.middle_norms, strict=True)):
            z = norm(functional.relu(conv(y)))
            y = middle[i].copy_(z + y if i else z)
        return layers

    def tags(self, features: torch.Tensor) -> torch.Tensor:
        """[patches, 753, frames] → probabilities [patches, 50]."""
        pooled = torch.stack((features.amax(2), features.mean(2)), 2).flatten(1)
        dense = self.dense_norm(functional.relu(self.dense(self.pool_norm(pooled))))
        return torch.sigmoid(self.output(dense))


@dataclass(frozen=True)
class TagNet:
    """Both taggers, on one spectrogram."""

    mtt: TagConvNet
    msd: TagConvNet

    @classmethod
    def load(cls) -> TagNet:
        """The networks with the weights of this package, ready to listen."""
        return cls(*(load_weights(TagConvNet(), "tag", prefix) for prefix in ("mtt.", "msd.")))

    @torch.inference_mode()
    def __call__(self, samples_16000: np.ndarray) -> TagOutput:
        """Mono samples at 16 kHz → the outputs of the taggers.

        Each net reads the whole clip at once, and its frames are pooled over overlapping 3 s patches that
        cover the clip (one shorter patch, where the clip is shorter). The nets were trained on patches
        with silence around them; reading the true surroundings instead changes the tags little.
        """
        mel = tag_mel(samples_16000)
        length = min(PATCH_FRAMES, len(mel))
        starts = np.linspace(0, len(mel) - length, -(-len(mel) // length)).round().astype(int)
        features = self.mtt.frames(mel[None])[0]
        tags = []
        for net, frames in ((self.mtt, features), (self.msd, self.msd.frames(mel[None])[0])):
            patches = torch.stack([frames[:, start : start + length] for start in starts])
            tags.append(net.tags(patches).numpy())
        return TagOutput(features.T.numpy(), tags[0], tags[1], tuple(map(int, starts)), length)
