"""The network of Jukebox: samples → codes → activations, with its layers on disk or on a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from llark.embed.encoder import Device
from llark.embed.jukebox import convert
from llark.embed.jukebox.prior import Layer, Prior
from llark.embed.jukebox.sizes import SAMPLE_RATE
from llark.embed.jukebox.vqvae import VQEncoder
from llark.errors import UserMustAct

TOTAL_SECONDS = 62
"""The length that the prior is told its recording has, as the published extraction does."""


class Jukebox:
    """Jukebox on one device.

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
