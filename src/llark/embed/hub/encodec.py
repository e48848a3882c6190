"""EnCodec (Défossez et al. 2022, https://arxiv.org/abs/2210.13438): what it would quantise, width 128."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from llark.embed.encoder import Device
from llark.embed.hub import licence, weights
from llark.embed.settings import Settings
from llark.embed.windowed import Ears

LICENCES = {24_000: "not stated by its publisher", 32_000: "CC BY-NC 4.0", 48_000: "MIT"}
"""By sample rate."""

VERSION = "2"
WINDOW_SECONDS, OVERLAP_SECONDS = 30, 2
CHUNK_OVERLAP = 0.2
"""The share that two chunks have in common, of a model that was trained to hear one chunk at a time."""


def matches(config: dict[str, Any]) -> bool:
    return config.get("model_type") == "encodec"


def load(folder: Path, config: dict[str, Any], settings: Settings, device: Device) -> Ears:
    """The encoder half; each channel of a stereo model hears the same."""
    from transformers import EncodecModel

    settings.refuse(layer=settings.layer)
    own = device.settle(EncodecModel.from_pretrained(folder, trust_remote_code=False).encoder)
    rate, hop = int(config["sampling_rate"]), math.prod(config["upsampling_ratios"])
    window, overlap = window_and_overlap(config, rate, hop)
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
        window=window,
        overlap=overlap,
        width=int(config["hidden_size"]),
        version=weights.version(VERSION, folder),
        licence=licence(config, LICENCES.get(rate, "unknown")),
    )


def window_and_overlap(config: dict[str, Any], rate: int, hop: int) -> tuple[int, int]:
    """In values. The 48 kHz model normalises over the chunk of 1 s that it hears, so it is given no more."""
    if not config.get("chunk_length_s"):
        return WINDOW_SECONDS * rate // hop, OVERLAP_SECONDS * rate // hop
    window = max(2, int(config["chunk_length_s"] * rate) // hop)
    return window, max(1, int(window * max(CHUNK_OVERLAP, float(config.get("overlap") or 0))))
