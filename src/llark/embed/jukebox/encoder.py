"""Jukebox as an encoder: clips of any length → frames of width 4800.

The corrected mode covers the whole clip: windows of 23.78 s overlap, so that what is heard after the first
one has at least `OVERLAP_SECONDS` before it; activations are averaged onto an exact grid; the level is left
as it is. `compat="llark"` is the published extraction, to the number: see `published.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from llark.embed import grid
from llark.embed.encoder import Card, Device, Sound
from llark.embed.jukebox import convert, published
from llark.embed.jukebox.net import Jukebox
from llark.embed.jukebox.sizes import SAMPLE_RATE
from llark.embed.settings import Settings
from llark.errors import UserMustAct

VERSION = "1"

OVERLAP_SECONDS = 12
"""About half a window: what the first frames of a later window have heard before them."""


@dataclass(frozen=True)
class JukeboxEncoder:
    """Made by `load`."""

    net: Jukebox
    card: Card
    frames_per_second: Fraction | None
    compat: str | None = None

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        """float32 [frames, width] for each clip."""
        if self.compat == "llark":
            return published.embed(self.net, sounds)
        return self._embed(sounds)

    def _embed(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        sizes = self.net.sizes
        block = sizes.prior.block
        overlap = OVERLAP_SECONDS * SAMPLE_RATE // sizes.vq.hop // block * block
        overlap = min(overlap, sizes.prior.context // 2)
        spans: list[list[tuple[int, int]]] = []
        windows: list[torch.Tensor] = []
        for sound in sounds:
            samples = sound.at(SAMPLE_RATE)
            total = max(1, -(-len(samples) // sizes.vq.hop))
            spans.append(grid.windows(total, sizes.prior.context, overlap))
            for start, end in spans[-1]:
                windows.append(self._codes(samples, start, end))
        heard = iter(self.net.activations(windows))
        frames = []
        for sound, own in zip(sounds, spans, strict=True):
            joined = grid.join([next(heard) for _ in own], own, causal=True)
            rate = self.frames_per_second or 1 / sound.duration_seconds
            frames.append(grid.regrid(joined, sizes.code_rate, sound.duration_seconds, rate))
        return frames

    def _codes(self, samples: np.ndarray, start: int, end: int) -> torch.Tensor:
        """Codes [start, end) of a recording, with the sound around the window taken into account."""
        hop, reach = self.net.sizes.vq.hop, -(-self.net.sizes.vq.reach // self.net.sizes.vq.hop)
        first = max(0, start - reach)
        cut = samples[first * hop : (end + reach) * hop]
        return self.net.codes(cut, end - first)[start - first :]


def load(settings: Settings, device: Device) -> JukeboxEncoder:
    """The encoder with the weights of a folder that `convert` wrote.

    Raises:
        UserMustAct: The folder holds none, or a setting is not to be had.
    """
    settings.refuse(layer=settings.layer)
    if settings.compat not in (None, "llark"):
        raise UserMustAct(f"jukebox knows no --compat {settings.compat}; it can be llark, or left out.")
    if settings.weights is None:
        raise UserMustAct("jukebox needs --weights FOLDER: " + convert.HOW_TO_GET)
    net = Jukebox(Path(settings.weights), device, kept=device.name != "cpu")
    rate = settings.frames_per_second(net.sizes.code_rate)
    if settings.compat:
        settings.refuse(rate=None if settings.rate == "10" else settings.rate)
        rate = published.frames_per_second(net.sizes)
    version = f"{VERSION}-{convert.digest(Path(settings.weights))}"
    card = Card(
        name="jukebox" if settings.compat is None else f"jukebox-{settings.compat}",
        version=f"{version}-{device.dtype}" if device.dtype != "float32" else version,
        sample_rate=SAMPLE_RATE,
        width=net.sizes.prior.width,
        frames_per_second=rate or Fraction(0),
        window_seconds=Fraction(net.sizes.window_samples, SAMPLE_RATE),
        licence=convert.LICENCE,
    )
    return JukeboxEncoder(net, card, rate, settings.compat)
