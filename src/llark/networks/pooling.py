"""From what nets hear many times a second to half seconds, one grid for all of them."""

from __future__ import annotations

import numpy as np

from llark import audio
from llark.networks import tag

FRAMES_PER_SECOND = audio.MINI_FRAMES_PER_SECOND


def pool(values: np.ndarray, rate: float, frames: int) -> np.ndarray:
    """Means over the half seconds of a clip: [n, width] at `rate` a second → [frames, width] float64.

    Value k belongs to the half second that holds second k / rate; where there is none, the last is taken.
    """
    edges = np.ceil(np.arange(frames + 1) * rate / FRAMES_PER_SECOND - 1e-6).astype(int)
    starts = np.minimum(edges[:-1], len(values) - 1)
    ends = np.maximum(np.minimum(edges[1:], len(values)), starts + 1)
    spans = zip(starts, ends, strict=True)
    means: np.ndarray = np.stack([values[start:end].mean(axis=0, dtype=np.float64) for start, end in spans])
    return means


def tag_levels(heard: tag.TagOutput, frames: int) -> np.ndarray:
    """Compressed logits of the tags of the nearest patch: [frames, 100]."""
    probabilities = np.concatenate([heard.mtt, heard.msd], axis=1).clip(1e-4, 1.0 - 1e-4)
    logits = np.log(probabilities / (1.0 - probabilities))
    centres = (np.asarray(heard.patch_starts) + heard.patch_frames / 2.0) / tag.FRAMES_PER_SECOND
    times = (np.arange(frames) + 0.5) / FRAMES_PER_SECOND
    nearest = np.abs(times[:, None] - centres).argmin(axis=1)
    levels: np.ndarray = logits[nearest] / 3.0 + 1.0
    return levels
