"""EnCodec (Défossez et al. 2022, https://arxiv.org/abs/2210.13438): what it would quantise, width 128."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from llark.embed.encoder import Device
from llark.embed.hub import licence
from llark.embed.settings import Settings
from llark.embed.windowed import Ears

LICENCE = "CC BY-NC 4.0"
VERSION = "1"
WINDOW_SECONDS, OVERLAP_SECONDS = 30, 2


def matches(config: dict[str, Any]) -> bool:
    return config.get("model_type") == "encodec"


def load(folder: Path, config: dict[str, Any], settings: Settings, device: Device) -> Ears:
    """The encoder half; each channel of a stereo model hears the same."""
    from transformers import EncodecModel

    settings.refuse(layer=settings.layer)
    model = EncodecModel.from_pretrained(folder, trust_remote_code=False).encoder
    own = model.to(device.name, device.torch_dtype).eval().requires_grad_(False)
    rate, hop = int(config["sampling_rate"]), math.prod(config["upsampling_ratios"])
    channels, normalised = int(config["audio_channels"]), bool(config.get("normalize", False))

    def hear(samples: torch.Tensor) -> torch.Tensor:
        wave = samples[:, None].expand(-1, channels, -1)
        if normalised:
            wave = wave / (wave.square().mean((1, 2), keepdim=True).sqrt() + 1e-8)
        heard: torch.Tensor = own(wave.to(device.name, device.torch_dtype))
        return heard.transpose(1, 2)

    return Ears(
        hear=hear,
        sample_rate=rate,
        hop=hop,
        window=WINDOW_SECONDS * rate // hop,
        overlap=OVERLAP_SECONDS * rate // hop,
        width=int(config["hidden_size"]),
        version=VERSION,
        licence=licence(config, LICENCE),
    )
