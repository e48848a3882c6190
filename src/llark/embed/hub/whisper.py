"""Whisper's encoder (Radford et al. 2022, https://arxiv.org/abs/2212.04356): 50 values a second.

Its middle layers tell instruments apart better than its last one, so the middle one is the default. As in its
training, what is heard is followed by silence up to 30 s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from llark.embed.encoder import Device
from llark.embed.hub import heard_layer, hidden_layer, licence, weights
from llark.embed.settings import Settings
from llark.embed.windowed import Ears

LICENCE = "MIT"
VERSION = "1"
HOP = 320
OVERLAP_SECONDS = 4


def matches(config: dict[str, Any]) -> bool:
    return config.get("model_type") == "whisper"


def load(folder: Path, config: dict[str, Any], settings: Settings, device: Device) -> Ears:
    """The encoder half of the model; the decoder is let go."""
    from transformers import WhisperFeatureExtractor, WhisperModel

    features = WhisperFeatureExtractor.from_pretrained(folder)
    model = WhisperModel.from_pretrained(folder, trust_remote_code=False).encoder
    device.settle(model)
    rate, window = int(features.sampling_rate), int(config["max_source_positions"])
    middle = (int(config["encoder_layers"]) + 1) // 2

    def hear(samples: torch.Tensor) -> torch.Tensor:
        mel = features(
            list(samples.numpy().astype(np.float32)),
            sampling_rate=rate,
            padding="max_length",
            max_length=window * HOP,
            return_tensors="pt",
        ).input_features
        found = model(mel.to(device.name, device.torch_dtype), output_hidden_states=True)
        heard: torch.Tensor = heard_layer(found, settings.layer, middle)
        return heard

    hidden_layer((None,) * (int(config["encoder_layers"]) + 1), settings.layer)
    return Ears(
        hear=hear,
        sample_rate=rate,
        hop=HOP,
        window=window,
        overlap=min(OVERLAP_SECONDS * rate // HOP, window // 4),
        width=int(config["d_model"]),
        version=weights.version(VERSION, folder),
        licence=licence(config, LICENCE),
    )
