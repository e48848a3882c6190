"""Codes → activations: the first layers of Jukebox's top-level prior.

The three attention patterns take turns. Each position sees itself and what is before it, in every pattern,
so that the first n activations of a window need its first n codes alone.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from llark.embed.jukebox.sizes import PriorSizes


class _Linear(nn.Module):
    """A matrix, stored in float16 as the reference holds it, and used in the precision of the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(outputs), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class _Norm(nn.Module):
    """Layer normalisation in float32, whatever the precision."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(width), requires_grad=False)

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
        heard = functional.scaled_dot_product_attention(*rows, is_causal=self.pattern != 3)
        heard = heard.view(query.shape)
        order = (0, 3, 1, 2, 4) if self.pattern == 2 else (0, 1, 3, 2, 4)
        return heard.permute(order).reshape(batch, positions, self.heads * each)


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

    def forward(self, codes: torch.Tensor, places: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """int64 [batch, n ≤ context] → float32 [batch, n, width]: the last kept layer's output."""
        x = self.begin(codes, places, dtype)
        for layer in self.layers:
            x = layer(x)
        return x[:, : codes.shape[1]].float()
