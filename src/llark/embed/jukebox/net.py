"""The network of Jukebox: samples → codes → activations, with its layers on disk or on a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from llark.embed.encoder import Device
from llark.embed.jukebox import convert
from llark.embed.jukebox.sizes import SAMPLE_RATE, PriorSizes, VQSizes
from llark.errors import UserMustAct

TOTAL_SECONDS = 62
"""The length of a recording that the prior is given, as the published extraction does."""


class Jukebox:
    """Jukebox on one device.

    Layers stay in their files, mapped, and are read when used (`in_memory` False); or they are moved
    to the device and its precision once (`in_memory` True), which a GPU wants.
    """

    def __init__(self, folder: Path, device: Device, *, in_memory: bool) -> None:
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
        self._kept = list(self._read()) if in_memory else None

    def _read(self) -> Iterator[Layer]:
        """The layers one after the other, from disk."""
        for depth, layer in enumerate(self.prior.layers):
            assert isinstance(layer, Layer)
            _fill(layer, convert.state(self._folder, convert.layer_file(depth)))
            yield layer if self.device.name == "cpu" else layer.to(self.device.name, self.device.torch_dtype)

    @torch.inference_mode()
    def codes(self, samples: np.ndarray, count: int, most: int | None = None) -> torch.Tensor:
        """float32 [samples] at 44.1 kHz → the first int64 [count] codes, as if silence followed, up to
        `most` samples."""
        sound = torch.from_numpy(np.ascontiguousarray(samples, np.float32))[None].to(self.device.name)
        return self.vq.encode(sound, count, most)[0]

    @torch.inference_mode()
    def activations(self, windows: Sequence[torch.Tensor]) -> list[np.ndarray]:
        """int64 [n ≤ context] codes of each window → float32 [n, width] of each."""
        rows: list[np.ndarray | None] = [None] * len(windows)
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
                rows[index] = state[0, : len(windows[index])].float().cpu().numpy()
        return [one for one in rows if one is not None]


def _fill(module: torch.nn.Module, tensors: dict[str, torch.Tensor], *, strict: bool = True) -> None:
    """Puts tensors in the place of the module's own, without a copy."""
    try:
        module.load_state_dict(tensors, strict=strict, assign=True)
    except RuntimeError as error:
        raise UserMustAct(f"The converted Jukebox does not fit its own sizes: {error}") from error
    module.requires_grad_(False).eval()


# --- samples → codes: the top-level encoder of Jukebox's VQ-VAE -------------------------------------------

_ROWS = 16_384
"""Frames that are compared with the codes at a time."""


class _VQResidual(nn.Module):
    """A dilated convolution and a pointwise one, added to what came in: [batch, width, time]."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.wide = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.point = nn.Conv1d(width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.point(functional.relu_(self.wide(functional.relu(x))))


class _VQBlock(nn.Module):
    """Halves the rate a few times, then gives [batch, code_width, time]."""

    def __init__(self, sizes: VQSizes, channels: int, halvings: int) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for step in range(halvings):
            steps.append(
                nn.Conv1d(channels if step == 0 else sizes.width, sizes.width, 4, stride=2, padding=1)
            )
            steps += [_VQResidual(sizes.width, sizes.dilation_growth**depth) for depth in range(sizes.depth)]
        steps.append(nn.Conv1d(sizes.width, sizes.code_width, 3, padding=1))
        self.steps = nn.Sequential(*steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.steps(x)


class VQEncoder(nn.Module):
    """Always float32, so that the codes are the same on every device and in every precision."""

    def __init__(self, sizes: VQSizes) -> None:
        super().__init__()
        self.sizes = sizes
        widths = [1] + [sizes.code_width] * (len(sizes.halvings) - 1)
        self.blocks = nn.ModuleList(
            _VQBlock(sizes, width, halvings) for width, halvings in zip(widths, sizes.halvings, strict=True)
        )
        self.codebook = nn.Buffer(torch.zeros(sizes.codes, sizes.code_width))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """float32 [batch, samples], a multiple of the hop → int64 [batch, samples / hop]."""
        x = samples[:, None]
        for block in self.blocks:
            x = block(x)
        frames = x.transpose(1, 2)
        rows = frames.reshape(-1, frames.shape[2])
        codes = torch.cat([self._nearest(rows[at : at + _ROWS]) for at in range(0, len(rows), _ROWS)])
        return codes.view(frames.shape[:2])

    def _nearest(self, rows: torch.Tensor) -> torch.Tensor:
        book = self.codebook.t()
        distance = rows.square().sum(1, keepdim=True) - 2 * (rows @ book) + book.square().sum(0, keepdim=True)
        return distance.argmin(1)

    def encode(self, samples: torch.Tensor, count: int, most: int | None = None) -> torch.Tensor:
        """The first codes of float32 [batch, samples], as if silence followed: [batch, count].

        With `most`, the recording ends after so many samples, as in the reference, whose convolutions see
        zeros there, which are not silence.
        """
        hop, have = self.sizes.hop, samples.shape[1]
        length = max(have, count * hop + -(-self.sizes.reach // hop) * hop)
        length = length if most is None else min(length, most)
        return self(functional.pad(samples, (0, length - have)))[:, :count]


# --- codes → activations: the first layers of Jukebox's top-level prior -----------------------------------

# The three attention patterns take turns. Each position sees itself and what is before it, in every pattern,
# so that the first n activations of a window need its first n codes alone.


class _Linear(nn.Linear):
    """A matrix, stored in float16 as the reference holds it, and used in the precision of the input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class _Norm(nn.LayerNorm):
    """Layer normalisation in float32, whatever the precision."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.weight.float(), self.bias.float()
        return functional.layer_norm(x.float(), x.shape[-1:], weight, bias).to(x.dtype)


class Layer(nn.Module):
    """Attention in one pattern (1: in the block, 2: across blocks, 3: the block before), then an MLP."""

    def __init__(self, sizes: PriorSizes, pattern: int) -> None:
        super().__init__()
        self.heads, self.block, self.pattern = sizes.heads, sizes.block, pattern
        self.attention_norm = _Norm(sizes.width)
        self.attention_in = _Linear(sizes.width, 3 * sizes.attention_width)
        self.attention_out = _Linear(sizes.attention_width, sizes.width)
        self.mlp_norm = _Norm(sizes.width)
        self.mlp_in = _Linear(sizes.width, sizes.mlp_width)
        self.mlp_out = _Linear(sizes.mlp_width, sizes.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, positions, width], a multiple of the block → the same shape. May change `x`."""
        mixed = self.attention_in(self.attention_norm(x))
        x = x.add_(self.attention_out(self.attend(mixed)))
        hidden = self.mlp_in(self.mlp_norm(x))
        gate = torch.sigmoid_(hidden * 1.702)
        return x.add_(self.mlp_out(hidden.mul_(gate)))

    def attend(self, mixed: torch.Tensor) -> torch.Tensor:
        """[batch, positions, 3 * attention width] → [batch, positions, attention width]."""
        batch, positions, _ = mixed.shape
        blocks, each = positions // self.block, mixed.shape[2] // 3 // self.heads
        split = mixed.view(batch, blocks, self.block, 3, self.heads, each)
        if self.pattern == 2:
            query, key, value = split.permute(3, 0, 2, 4, 1, 5).unbind(0)
        else:
            query, key, value = split.permute(3, 0, 1, 4, 2, 5).unbind(0)
        if self.pattern == 3:
            key, value = _one_later(key), _one_later(value)
        rows = (query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1))
        output = functional.scaled_dot_product_attention(*rows, is_causal=self.pattern != 3)
        output = output.view(query.shape)
        order = (0, 3, 1, 2, 4) if self.pattern == 2 else (0, 1, 3, 2, 4)
        return output.permute(order).reshape(batch, positions, self.heads * each)


def _one_later(x: torch.Tensor) -> torch.Tensor:
    """Each block in the place of the next one, zeros in that of the first: [batch, blocks, …]."""
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)


class Prior(nn.Module):
    """The prior as an encoder: unknown artist and genre, and a place in time."""

    def __init__(self, sizes: PriorSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.code_embedding = nn.Parameter(torch.empty(sizes.codes, sizes.width), requires_grad=False)
        self.positions = nn.Parameter(torch.empty(sizes.context, sizes.width), requires_grad=False)
        self.start = nn.Parameter(torch.empty(sizes.width), requires_grad=False)
        """Unknown genre plus unknown artist."""
        self.total_time = nn.Parameter(torch.empty(sizes.time_bins, sizes.width), requires_grad=False)
        self.absolute_time = nn.Parameter(torch.empty(sizes.time_bins, sizes.width), requires_grad=False)
        self.relative_time = nn.Parameter(torch.empty(sizes.time_bins, sizes.width), requires_grad=False)
        self.layers = nn.ModuleList(Layer(sizes, (1, 2, 3)[depth % 3]) for depth in range(sizes.depth))

    def places(self, total_samples: int, window_samples: int, sample_rate: int) -> torch.Tensor:
        """What is added at each position of a window at the start of a recording: float32 [context, width].

        The window's position p stands for the sample p / context * window_samples of `total_samples`.
        """
        sizes, bins = self.sizes, self.sizes.time_bins
        shortest, longest = sizes.shortest_seconds * sample_rate, sizes.longest_seconds * sample_rate
        if not shortest <= total_samples < longest:
            raise ValueError(f"a length of {total_samples} samples is not in [{shortest}, {longest})")
        total = torch.tensor(float(total_samples))
        share = torch.arange(sizes.context, dtype=torch.float32) / sizes.context
        sample = torch.tensor(float(window_samples)) * share
        relative = torch.tensor(float(window_samples)) / total * share
        at_total = (bins * ((total - shortest) / (longest - shortest))).floor().long()
        at_sample = (bins * (sample / longest)).floor().long()
        at_share = (bins * relative).floor().long()
        timed = self.total_time[at_total] + self.absolute_time[at_sample] + self.relative_time[at_share]
        return self.positions + timed

    def begin(self, codes: torch.Tensor, places: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """int64 [batch, n] → the first layer's input [batch, n rounded up to whole blocks, width]."""
        padded = functional.pad(codes, (0, -codes.shape[1] % self.sizes.block))
        x = self.code_embedding[padded.roll(1, 1)]
        x[:, 0] = self.start
        return (x + places[: padded.shape[1]]).to(dtype)
