"""MuQ (Zhu et al. 2025, https://arxiv.org/abs/2501.01108): 25 values a second of width 1024.

A mel spectrogram of 100 frames a second, two residual convolutions that quarter it, and a Conformer, which is
that of transformers. The heads and quantisers that it was trained with are left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from llark.embed.encoder import Device, EncoderOptions
from llark.embed.hub import fill, licence, run_layer, tensors, version
from llark.embed.mel import mel_decibels
from llark.embed.windowed import WindowedNetwork
from llark.errors import UserMustAct

LICENCE = "CC BY-NC 4.0"
VERSION = "1"
SAMPLE_RATE = 24_000
FRAME = 2048
WINDOW_SECONDS, OVERLAP_SECONDS = 30, 4
"""The published model takes 30 s at once."""

_STRIDES = {4: (2, 2), 2: (2, 1)}
"""Of the two convolutions in time, by how many mel frames make one value."""


class _Residual(nn.Module):
    """Two convolutions over bands and time, and a third one around them where the shape changes."""

    def __init__(self, inside: int, outside: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1, stride=stride)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(outside)
        self.conv3 = nn.Conv2d(inside, outside, 3, padding=1, stride=stride)
        self.bn3 = nn.BatchNorm2d(outside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(self.bn3(self.conv3(x)) + inner)


class _Subsampling(nn.Module):
    def __init__(self, width: int, outside: int, strides: tuple[int, int], bands: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _Residual(1, width, (2, strides[0])), _Residual(width, width, (2, strides[1]))
        )
        self.linear = nn.Linear(width * bands // 4, outside)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """[batch, bands, frames] → [batch, values, width]."""
        return self.linear(self.conv(mel[:, None]).permute(0, 3, 1, 2).flatten(2))


class MuQ(nn.Module):
    """The encoder. Its parts are named as in the published weights."""

    def __init__(self, config: dict[str, Any]) -> None:
        from transformers import Wav2Vec2ConformerConfig
        from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import (
            Wav2Vec2ConformerEncoder,
        )

        super().__init__()
        fold = 100 // int(config.get("label_rate", 25))
        self.bands, self.hop = int(config.get("n_mels", 128)), int(config.get("hop_length", 240))
        self.mean = float(config["stat"]["melspec_2048_mean"])
        self.spread = float(config["stat"]["melspec_2048_std"])
        own = {**config["w2v2_config"], "hidden_size": config["encoder_dim"]}
        own["num_hidden_layers"] = config["encoder_depth"]
        self.conv = _Subsampling(int(config["conv_dim"]), own["hidden_size"], _STRIDES[fold], self.bands)
        full = Wav2Vec2ConformerConfig(**own)
        full._attn_implementation = "eager"
        self.conformer = Wav2Vec2ConformerEncoder(full)
        del self.conformer.pos_conv_embed  # it has weights, and is not used

    def forward(self, samples: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
        """float32 [batch, samples] → what goes into each layer, and the last one's output, normalised."""
        mel = mel_decibels(samples, sample_rate=SAMPLE_RATE, frame=FRAME, hop=self.hop, bands=self.bands)
        x = self.conv(((mel[..., :-1] - self.mean) / self.spread).to(dtype))
        places = self.conformer.embed_positions
        place = None if places is None else places(x)
        states = [x]
        for layer in self.conformer.layers:
            states.append(layer(states[-1], attention_mask=None, relative_position_embeddings=place))
        states[-1] = self.conformer.layer_norm(states[-1])
        return tuple(states)


def load_muq(
    folder: Path, config: dict[str, Any], settings: EncoderOptions, device: Device
) -> WindowedNetwork:
    """The encoder with the folder's weights."""
    if config.get("is_flash"):
        raise UserMustAct(
            f"{folder} is a MuQ of a private attention kernel (is_flash), not the published one."
        )
    model = MuQ(config)
    fill(model, tensors(folder), "model.", folder)
    hop = model.hop * (100 // int(config.get("label_rate", 25)))
    return WindowedNetwork(
        run=run_layer(model, int(config["encoder_depth"]), settings, device),
        sample_rate=SAMPLE_RATE,
        hop=hop,
        window=WINDOW_SECONDS * SAMPLE_RATE // hop,
        overlap=OVERLAP_SECONDS * SAMPLE_RATE // hop,
        width=int(config["encoder_dim"]),
        version=version(VERSION, folder),
        licence=licence(config, LICENCE),
        least=FRAME // hop + 1,
    )
