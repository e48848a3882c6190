"""MERT (Li et al. 2023, https://arxiv.org/abs/2306.00107): 75 values a second of width 768 or 1024.

Its weights are HuBERT's, in HuBERT's own layout, and are loaded as such; the code beside them is not run. A
MERT with a constant-Q branch (`feature_extractor_cqt`) or deep norms is another network, and is refused. The
relaxed attention that the configuration of 330M names is part of its deep norms, which it has not.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from llark.embed.encoder import Device
from llark.embed.hub import heard_layer, hidden_layer, licence, weights
from llark.embed.settings import Settings
from llark.embed.windowed import Ears
from llark.errors import UserMustAct

LICENCE = "CC BY-NC 4.0"
VERSION = "1"
SAMPLE_RATE = 24_000
WINDOW_SECONDS, OVERLAP_SECONDS = 5, 1
"""It was trained on stretches of 5 s."""

NORM_EPSILON = 1e-7
"""Of the feature extractor's normalisation to mean 0 and variance 1."""

_OTHER_NETWORK = ("feature_extractor_cqt", "deepnorm")


def matches(config: dict[str, Any]) -> bool:
    return config.get("model_type") in ("mert_model", "mert")


def load(folder: Path, config: dict[str, Any], settings: Settings, device: Device) -> Ears:
    """The model as HuBERT. Raises `UserMustAct` for a kind of MERT that HuBERT is not."""
    model = _model(folder, config)
    device.settle(model)
    hidden_layer((None,) * (model.config.num_hidden_layers + 1), settings.layer)
    path = folder / "preprocessor_config.json"
    said = json.loads(path.read_text()) if path.is_file() else {}
    rate = int(said.get("sampling_rate", config.get("sample_rate", SAMPLE_RATE)))
    is_normalised = bool(said.get("do_normalize", True))
    hop = math.prod(model.config.conv_stride)

    def hear(samples: torch.Tensor) -> torch.Tensor:
        given = (normalised(samples) if is_normalised else samples).to(device.name, device.torch_dtype)
        heard: torch.Tensor = heard_layer(model(given, output_hidden_states=True), settings.layer)
        return heard

    return Ears(
        hear=hear,
        sample_rate=rate,
        hop=hop,
        window=WINDOW_SECONDS * rate // hop,
        overlap=OVERLAP_SECONDS * rate // hop,
        width=model.config.hidden_size,
        version=weights.version(VERSION, folder),
        licence=licence(config, LICENCE),
        least=math.ceil(reach(model.config.conv_kernel, model.config.conv_stride) / hop) + 1,
    )


def _model(folder: Path, config: dict[str, Any]) -> Any:
    from transformers import HubertConfig, HubertModel

    other = [name for name in _OTHER_NETWORK if config.get(name)]
    if other:
        raise UserMustAct(
            f"{folder} is a MERT with {other[0]}, which is not supported; MERT-v1-95M and 330M are."
        )
    known = {name: value for name, value in config.items() if name not in ("model_type", "auto_map")}
    model, found = HubertModel.from_pretrained(
        folder, config=HubertConfig(**known), trust_remote_code=False, output_loading_info=True
    )
    if missing := sorted(set(found["missing_keys"]) - {"masked_spec_embed"}):
        raise UserMustAct(f"{folder} lacks {len(missing)} weights of MERT, {missing[0]} among them.")
    return model


def normalised(samples: torch.Tensor) -> torch.Tensor:
    """Each row of [batch, samples] at mean 0 and variance 1."""
    spread = (samples.var(1, correction=0, keepdim=True) + NORM_EPSILON).sqrt()
    return (samples - samples.mean(1, keepdim=True)) / spread


def reach(kernels: list[int], strides: list[int]) -> int:
    """Samples that the first value needs."""
    samples = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples
