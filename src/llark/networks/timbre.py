"""Instruments and styles by their own words, as a small net of this project hears them.

It reads the mean and the spread, over half seconds, of what the speech and tag nets hear. The taggers know
real recordings but lack words for half of our instruments; this net knows every word, from rendered clips
alone. `llark.annotate` weighs the two against each other.

Trained by `scripts/train_timbre.py` on the open corpus; Apache-2.0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from llark import audio
from llark.networks import load_weights, speech, tag
from llark.networks.pooling import FRAMES_PER_SECOND, pool, tag_levels
from llark.records import GENRES, INSTRUMENTS

HALF_WIDTH = speech.WIDTH + tag.WIDTH + len(tag.MTT) + len(tag.MSD)
INPUT_WIDTH = 2 * HALF_WIDTH


@dataclass(frozen=True)
class TimbreOutput:
    """The probability of each of `INSTRUMENTS` to sound, and of each of `GENRES` to be the style."""

    instruments: dict[str, float]
    genre: dict[str, float]


def evidence(heard_speech: np.ndarray, heard_tags: tag.TagOutput, seconds: float) -> np.ndarray:
    """[INPUT_WIDTH] float32: what the net reads of one clip."""
    frames = audio.frame_count(seconds, FRAMES_PER_SECOND)
    spoken = pool(heard_speech, speech.FRAMES_PER_SECOND, frames)
    tagged = pool(heard_tags.features, tag.FRAMES_PER_SECOND, frames)
    return summary(np.concatenate([spoken, tagged, tag_levels(heard_tags, frames)], axis=1))


def summary(frames: np.ndarray) -> np.ndarray:
    """[frames, HALF_WIDTH] → mean and standard deviation over the frames, [INPUT_WIDTH] float32."""
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)]).astype(np.float32)


class TinyTimbre(nn.Module):
    """[clips, INPUT_WIDTH] → logits [clips, instruments + genres]."""

    def __init__(self, hidden: int = 192, dropout: float = 0.3) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(INPUT_WIDTH))
        self.deviation = nn.Buffer(torch.ones(INPUT_WIDTH))
        self.net = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(INPUT_WIDTH, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(INSTRUMENTS) + len(GENRES)),
        )

    def forward(self, heard: Tensor) -> Tensor:
        logits: Tensor = self.net(((heard - self.mean) / self.deviation).clamp(-6, 6))
        return logits


@dataclass(frozen=True)
class TimbreNet:
    """The net with its weights. Build one with `TimbreNet.load()`."""

    net: TinyTimbre

    @classmethod
    def load(cls) -> TimbreNet:
        """The net with the weights that come with this package."""
        return cls(load_weights(TinyTimbre(), "timbre"))

    @torch.inference_mode()
    def __call__(self, heard: np.ndarray) -> TimbreOutput:
        """`heard` is the [INPUT_WIDTH] of `evidence`."""
        logits = self.net(torch.from_numpy(heard)[None])[0]
        several = logits[: len(INSTRUMENTS)].sigmoid().tolist()
        one = logits[len(INSTRUMENTS) :].softmax(0).tolist()
        return TimbreOutput(dict(zip(INSTRUMENTS, several, strict=True)), dict(zip(GENRES, one, strict=True)))
