"""Instruments and styles by their own words, by a small net of this project.

It reads the mean and the spread, over half seconds, of the outputs of the speech and tag nets. The taggers
know real recordings but lack words for half of our instruments; this net knows every word, from rendered
clips alone. `llark.annotate` weighs the two against each other.

Trained by `scripts/train_timbre.py` on the open corpus; Apache-2.0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from llark import audio
from llark.networks import load_weights, speech, tag
from llark.records import GENRES, INSTRUMENTS

FRAMES_PER_SECOND = audio.MINI_FRAMES_PER_SECOND
"""Of the grid that everything is pooled on."""

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

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net(((inputs - self.mean) / self.deviation).clamp(-6, 6))


@dataclass(frozen=True)
class TimbreNet:
    """The net with its weights. Build one with `TimbreNet.load()`."""

    net: TinyTimbre

    @classmethod
    def load(cls) -> TimbreNet:
        """The net with the weights that come with this package."""
        return cls(load_weights(TinyTimbre(), "timbre"))

    @torch.inference_mode()
    def __call__(self, row: np.ndarray) -> TimbreOutput:
        """`row` is the [INPUT_WIDTH] of `evidence`."""
        logits = self.net(torch.from_numpy(row)[None])[0]
        several = logits[: len(INSTRUMENTS)].sigmoid().tolist()
        one = logits[len(INSTRUMENTS) :].softmax(0).tolist()
        return TimbreOutput(dict(zip(INSTRUMENTS, several, strict=True)), dict(zip(GENRES, one, strict=True)))


# --- from outputs of nets, many a second, to half seconds, one grid for all of them ------------------------


def pool(values: np.ndarray, rate: float, frames: int) -> np.ndarray:
    """Means over the half seconds of a clip: [n, width] at `rate` a second → [frames, width] float64.

    Value k belongs to the half second that holds second k / rate; where there is none, the last is taken.
    """
    edges = np.ceil(np.arange(frames + 1) * rate / FRAMES_PER_SECOND - 1e-6).astype(int)
    starts = np.minimum(edges[:-1], len(values) - 1)
    ends = np.maximum(np.minimum(edges[1:], len(values)), starts + 1)
    spans = zip(starts, ends, strict=True)
    return np.stack([values[start:end].mean(axis=0, dtype=np.float64) for start, end in spans])


def tag_levels(output: tag.TagOutput, frames: int) -> np.ndarray:
    """Compressed logits of the tags of the nearest patch: [frames, 100]."""
    probabilities = np.concatenate([output.mtt, output.msd], axis=1).clip(1e-4, 1.0 - 1e-4)
    logits = np.log(probabilities / (1.0 - probabilities))
    centres = (np.asarray(output.patch_starts) + output.patch_frames / 2.0) / tag.FRAMES_PER_SECOND
    times = (np.arange(frames) + 0.5) / FRAMES_PER_SECOND
    nearest = np.abs(times[:, None] - centres).argmin(axis=1)
    return logits[nearest] / 3.0 + 1.0
