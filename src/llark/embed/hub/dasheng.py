"""Dasheng (Dinkel et al. 2024, https://arxiv.org/abs/2406.06992): 25 values a second.

A plain transformer over patches of 40 ms of a mel spectrogram; it takes at most 10 s at once, as many patches
as its weights have places for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from llark.embed.encoder import Device, EncoderOptions
from llark.embed.hub import fill, licence, run_layer, tensors, version
from llark.embed.mel import mel_decibels
from llark.embed.windowed import WindowedNetwork

LICENCE = "Apache-2.0"
VERSION = "1"
SAMPLE_RATE, FRAME, HOP, PATCH = 16_000, 512, 160, 4
TOP_DECIBELS = 120.0
OVERLAP_SECONDS = 2
NORM_EPSILON = 1e-6

_NAMED = {
    "dasheng-base": (768, 12, 12),
    "dasheng-0.6B": (1280, 32, 16),
    "dasheng-1.2B": (1536, 40, 24),
}
"""Width, depth and heads, which a configuration gives by name alone."""


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, values, width = x.shape
        split = self.qkv(x).view(batch, values, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        output = functional.scaled_dot_product_attention(split[0], split[1], split[2])
        return self.proj(output.transpose(1, 2).reshape(batch, values, width))


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.mlp = _Mlp(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Dasheng(nn.Module):
    """The encoder. Its parts are named as in the published weights."""

    def __init__(self, width: int, depth: int, heads: int, bands: int, longest: int) -> None:
        super().__init__()
        self.bands = bands
        self.init_bn = nn.ModuleDict({"1": nn.BatchNorm2d(bands)})
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(1, width, (bands, PATCH), (bands, PATCH))})
        self.time_pos_embed = nn.Parameter(torch.zeros(1, width, 1, longest // PATCH))
        self.freq_pos_embed = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)

    def forward(self, samples: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
        """float32 [batch, samples] → what goes into each layer, and the last one's output, normalised."""
        mel = mel_decibels(
            samples, sample_rate=SAMPLE_RATE, frame=FRAME, hop=HOP, bands=self.bands, top=TOP_DECIBELS
        )
        levels = self.init_bn["1"](mel[:, :, None].to(dtype)).transpose(1, 2)
        x = self.patch_embed["proj"](levels)
        x = x + self.time_pos_embed[..., : x.shape[3]] + self.freq_pos_embed
        states = [x.flatten(2).transpose(1, 2)]
        for block in self.blocks:
            states.append(block(states[-1]))
        states[-1] = self.norm(states[-1])
        return tuple(states)


def load_dasheng(
    folder: Path, config: dict[str, Any], settings: EncoderOptions, device: Device
) -> WindowedNetwork:
    """The encoder with the folder's weights; its sizes are those of its name where nothing else is said."""
    sizes = {**config, **config.get("encoder_kwargs", {})}
    named = _NAMED.get(str(config.get("name")), _NAMED["dasheng-base"])
    keys = zip(("embed_dim", "depth", "num_heads"), named, strict=True)
    width, depth, heads = (int(sizes.get(key, usual)) for key, usual in keys)
    weights = tensors(folder)
    places = weights.get("encoder.time_pos_embed")
    longest = int(sizes.get("target_length", 1008)) if places is None else PATCH * places.shape[-1]
    model = Dasheng(width, depth, heads, int(sizes.get("n_mels", 64)), longest)
    fill(model, weights, "encoder.", folder)
    hop = HOP * PATCH
    return WindowedNetwork(
        run=run_layer(model, depth, settings, device),
        sample_rate=SAMPLE_RATE,
        hop=hop,
        window=longest // PATCH,
        overlap=min(OVERLAP_SECONDS * SAMPLE_RATE // hop, longest // PATCH // 4),
        width=width,
        version=version(VERSION, folder),
        licence=licence(config, LICENCE),
        least=FRAME // hop + 1,
    )
