"""Jukebox as an encoder: clips of any length → frames of width 4800.

The corrected mode covers the whole clip: windows of 23.78 s overlap, so that what is heard after the first
one has at least `OVERLAP_SECONDS` before it; activations are averaged onto an exact grid; the level is left
as it is. `compat="llark"` is the published extraction, to the number: see `published.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from llark.embed import grid
from llark.embed.encoder import Card, Device, Sound
from llark.embed.jukebox import convert, published
from llark.embed.jukebox.prior import Layer, Prior
from llark.embed.jukebox.sizes import SAMPLE_RATE
from llark.embed.jukebox.vqvae import VQEncoder
from llark.embed.settings import Settings
from llark.errors import UserMustAct

VERSION = "1"

OVERLAP_SECONDS = 12
"""About half a window: what the first frames of a later window have heard before them."""

TOTAL_SECONDS = 62
"""The length that the prior is told its recording has, as the published extraction does."""


class Jukebox:
    """The network itself: samples → codes → activations, on one device.

    Layers stay in their files, mapped, and are read when used (`kept` False); or they are moved to the device
    and its precision once (`kept` True), which a GPU wants.
    """

    def __init__(self, folder: Path, device: Device, *, kept: bool) -> None:
        self.sizes = convert.read_sizes(folder)
        self.device = device
        self._folder = folder
        first = convert.state(folder, convert.FIRST)
        with torch.device("meta"):
            self.vq, self.prior = VQEncoder(self.sizes.vq), Prior(self.sizes.prior)
        _fill(self.vq, {k.removeprefix("vq."): v for k, v in first.items() if k.startswith("vq.")})
        top = {k.removeprefix("prior."): v for k, v in first.items() if k.startswith("prior.")}
        _fill(self.prior, top, strict=False)
        total = TOTAL_SECONDS * SAMPLE_RATE // self.sizes.vq.hop * self.sizes.vq.hop
        self.places = self.prior.places(total, self.sizes.window_samples, SAMPLE_RATE).to(device.name)
        self.vq.to(device.name)
        for name in ("code_embedding", "start"):
            setattr(self.prior, name, torch.nn.Parameter(top[name].to(device.name), requires_grad=False))
        self._kept = list(self._read()) if kept else None

    def _read(self) -> Iterator[Layer]:
        """The layers one after the other, from disk."""
        for depth, layer in enumerate(self.prior.layers):
            assert isinstance(layer, Layer)
            _fill(layer, convert.state(self._folder, convert.layer_file(depth)))
            if self.device.name == "cpu":
                yield layer
                continue
            yield layer.to(self.device.name, self.device.torch_dtype)

    @torch.inference_mode()
    def codes(self, samples: np.ndarray, wanted: int, most: int | None = None) -> torch.Tensor:
        """float32 [samples] at 44.1 kHz → the first int64 [wanted] codes, as if silence followed, up to
        `most` samples."""
        sound = torch.from_numpy(np.ascontiguousarray(samples, np.float32))[None].to(self.device.name)
        return self.vq.encode(sound, wanted, most)[0]

    @torch.inference_mode()
    def activations(self, windows: Sequence[torch.Tensor]) -> list[np.ndarray]:
        """int64 [n ≤ context] codes of each window → float32 [n, width] of each."""
        found: list[np.ndarray | None] = [None] * len(windows)
        by_length = sorted(range(len(windows)), key=lambda i: -len(windows[i]))
        for at in range(0, len(by_length), self.device.batch):
            chosen = by_length[at : at + self.device.batch]
            states = [
                self.prior.begin(windows[i][None], self.places, self.device.torch_dtype) for i in chosen
            ]
            for layer in self._kept if self._kept is not None else self._read():
                for index, state in enumerate(states):
                    states[index] = layer(state)
            for index, state in zip(chosen, states, strict=True):
                found[index] = state[0, : len(windows[index])].float().cpu().numpy()
        return [one for one in found if one is not None]


def _fill(module: torch.nn.Module, tensors: dict[str, torch.Tensor], *, strict: bool = True) -> None:
    """Puts tensors in the place of the module's own, without a copy."""
    try:
        module.load_state_dict(tensors, strict=strict, assign=True)
    except RuntimeError as error:
        raise UserMustAct(f"The converted Jukebox does not fit its own sizes: {error}") from error
    module.requires_grad_(False).eval()


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
