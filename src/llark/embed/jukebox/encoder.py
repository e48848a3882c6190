"""Jukebox as an encoder: clips of any length → frames of width 4800.

The corrected mode covers the whole clip: windows of 23.78 s overlap, so that what lies after the first
one has at least `OVERLAP_SECONDS` before it; activations are averaged onto an exact grid; the level is left
as it is. `compat="llark"` is the published extraction, to the number: see `published`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from llark.embed import windowed
from llark.embed.encoder import Card, Device, EncoderOptions, Sound
from llark.embed.jukebox import convert
from llark.embed.jukebox.net import Jukebox
from llark.embed.jukebox.sizes import SAMPLE_RATE, Sizes
from llark.errors import BadAudio, UserMustAct

VERSION = "1"

OVERLAP_SECONDS = 12
"""About half a window: what the first frames of a later window have before them."""


@dataclass(frozen=True)
class JukeboxEncoder:
    """Made by `load`."""

    net: Jukebox
    card: Card
    compat: str | None = None

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        """float32 [frames, width] for each clip."""
        if self.compat == "llark":
            return published(self.net, sounds)
        sizes = self.net.sizes
        block = sizes.prior.block
        overlap = OVERLAP_SECONDS * SAMPLE_RATE // sizes.vq.hop // block * block
        overlap = min(overlap, sizes.prior.context // 2)
        spans: list[list[tuple[int, int]]] = []
        windows: list[torch.Tensor] = []
        for sound in sounds:
            samples = sound.at(SAMPLE_RATE)
            total = max(1, -(-len(samples) // sizes.vq.hop))
            spans.append(windowed.windows(total, sizes.prior.context, overlap))
            windows += [self._codes(samples, start, end) for start, end in spans[-1]]
        activations = self.net.activations(windows)
        return windowed.frames_of(activations, spans, sounds, sizes.code_rate, self.card, causal=True)

    def _codes(self, samples: np.ndarray, start: int, end: int) -> torch.Tensor:
        """Codes [start, end) of a recording, with the sound around the window taken into account."""
        hop, reach = self.net.sizes.vq.hop, -(-self.net.sizes.vq.reach // self.net.sizes.vq.hop)
        first = max(0, start - reach)
        cut = samples[first * hop : (end + reach) * hop]
        return self.net.codes(cut, end - first)[start - first :]


def load(settings: EncoderOptions, device: Device) -> JukeboxEncoder:
    """The encoder with the weights of a folder that `convert` wrote.

    Raises:
        UserMustAct: The folder holds none, or a setting is not available.
    """
    settings.refuse(layer=settings.layer)
    if settings.compat not in (None, "llark"):
        raise UserMustAct(f"jukebox knows no --compat {settings.compat}; it can be llark, or left out.")
    if settings.weights is None:
        raise UserMustAct("jukebox needs --weights FOLDER: " + convert.HOW_TO_GET)
    net = Jukebox(Path(settings.weights), device, in_memory=device.name != "cpu")
    rate = settings.frames_per_second(net.sizes.code_rate)
    if settings.compat:
        settings.refuse(rate=None if settings.rate == "10" else settings.rate)
        rate = published_rate(net.sizes)
    card = Card(
        name="jukebox" if settings.compat is None else f"jukebox-{settings.compat}",
        version=device.version(f"{VERSION}-{convert.digest(Path(settings.weights))}"),
        sample_rate=SAMPLE_RATE,
        width=net.sizes.prior.width,
        frames_per_second=rate,
        window_seconds=Fraction(net.sizes.window_samples, SAMPLE_RATE),
        licence=convert.LICENCE,
    )
    return JukeboxEncoder(net, card, settings.compat)


# --- the published extraction, to the number: what LLark's own embeddings were made by --------------------

# The recording is scaled to a peak of 1; what lies after 23.78 s is left out; activations are averaged over
# 34 at a time, the rest dropped, so that their rate is 10.133 Hz and not 10. It is there for models that were
# trained on such frames. A clip shorter than 34 activations (0.1 s) has none, and is refused.
# https://github.com/spotify-research/llark/blob/a933b94/jukebox/main.py

WANTED_RATE = 10


def pooled(sizes: Sizes) -> int:
    """Activations in a frame: 34."""
    return int(sizes.code_rate / WANTED_RATE)


def published_rate(sizes: Sizes) -> Fraction:
    """10.133: exact."""
    return sizes.code_rate / pooled(sizes)


def normalise(samples: np.ndarray) -> np.ndarray:
    """Scaled to a peak of 1; silence stays."""
    peak = np.abs(samples).max()
    return samples / peak if peak > 0 else samples


def average(activations: np.ndarray, length: int) -> np.ndarray:
    """[n, width] → [n // length, width]: means over `length` at a time, the rest dropped."""
    frames = len(activations) // length
    return activations[: frames * length].reshape(frames, length, -1).mean(axis=1, dtype=np.float32)


def published(net: Jukebox, sounds: Sequence[Sound]) -> list[np.ndarray]:
    """float32 [at most 240, width] for each clip. Raises `BadAudio` where a clip is too short."""
    windows = []
    for sound in sounds:
        samples = normalise(sound.at(SAMPLE_RATE))
        used = min(len(samples), net.sizes.window_samples)
        count = int(net.sizes.prior.context * len(samples) / net.sizes.window_samples)
        count = min(count, net.sizes.prior.context)
        if count < pooled(net.sizes):
            raise BadAudio(
                "too-short", f"{float(sound.duration_seconds):.2f} s is too short for compat llark."
            )
        windows.append(net.codes(samples[:used], count, net.sizes.window_samples))
    return [average(one, pooled(net.sizes)) for one in net.activations(windows)]
