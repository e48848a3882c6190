"""The published extraction, to the number: what LLark's own embeddings were made by.

The recording is scaled to a peak of 1; what lies after 23.78 s is not heard; activations are averaged over 34
at a time, the rest dropped, so that their rate is 10.133 Hz and not 10. It is there for models that were
trained on such frames. A clip shorter than 34 activations (0.1 s) has none, and is refused.
https://github.com/spotify-research/llark/blob/a933b94/jukebox/main.py
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from llark.embed.encoder import Sound
from llark.embed.jukebox.net import Jukebox
from llark.embed.jukebox.sizes import SAMPLE_RATE, Sizes
from llark.errors import BadAudio

WANTED_RATE = 10


def pooled(sizes: Sizes) -> int:
    """Activations in a frame: 34."""
    return int(sizes.code_rate / WANTED_RATE)


def frames_per_second(sizes: Sizes) -> Fraction:
    """10.133: exact."""
    return sizes.code_rate / pooled(sizes)


def normalise(samples: np.ndarray) -> np.ndarray:
    """Scaled to a peak of 1; silence stays."""
    peak = np.abs(samples).max()
    scaled: np.ndarray = samples / peak if peak > 0 else samples
    return scaled


def average(activations: np.ndarray, length: int) -> np.ndarray:
    """[n, width] → [n // length, width]: means over `length` at a time, the rest dropped."""
    frames = len(activations) // length
    parts = activations[: frames * length].reshape(frames, length, -1)
    mean: np.ndarray = parts.mean(axis=1, dtype=np.float32)
    return mean


def embed(net: Jukebox, sounds: Sequence[Sound]) -> list[np.ndarray]:
    """float32 [at most 240, width] for each clip. Raises `BadAudio` where a clip is too short."""
    windows = []
    for sound in sounds:
        samples = normalise(sound.at(SAMPLE_RATE))
        heard = min(len(samples), net.sizes.window_samples)
        wanted = int(net.sizes.prior.context * len(samples) / net.sizes.window_samples)
        wanted = min(wanted, net.sizes.prior.context)
        if wanted < pooled(net.sizes):
            raise BadAudio(
                "too-short", f"{float(sound.duration_seconds):.2f} s is too short for compat llark."
            )
        windows.append(net.codes(samples[:heard], wanted, net.sizes.window_samples))
    return [average(one, pooled(net.sizes)) for one in net.activations(windows)]
