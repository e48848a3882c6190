"""Any other model that transformers knows, with its feature extractor.

Whether it gives a value every so many samples is found by asking it twice. A model of a fixed input, whose
values do not stand for times, gives one value for each stretch of ten seconds: the mean of all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llark.embed.encoder import Device
from llark.embed.hub import heard_layer, licence, weights
from llark.embed.settings import Settings
from llark.embed.windowed import Ears
from llark.errors import UserMustAct

VERSION = "1"
LICENCE = "unknown"
WINDOW_SECONDS, OVERLAP_SECONDS = 10, 2
TRIED_SECONDS = (1, 2, 3)


def matches(config: dict[str, Any]) -> bool:
    del config
    return True


def load(folder: Path, config: dict[str, Any], settings: Settings, device: Device) -> Ears:
    """The model's hidden states. Raises `UserMustAct` where it hears no sound."""
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

    kind = config.get("model_type", "of an unknown kind")
    if "auto_map" in config and kind not in _known_kinds():
        raise UserMustAct(
            f"{folder} is a model {kind}, which needs the code beside its weights; that is never run. "
            "Adapters for MERT, MuQ, Dasheng, Whisper and EnCodec need none."
        )
    if kind in ("clap", "clap_audio_model"):
        raise UserMustAct(f"{folder} is a CLAP; --encoder clap --weights {folder} hears it.")
    own = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    features = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False)
    model = AutoModel.from_pretrained(folder, config=own, trust_remote_code=False)
    model = getattr(model, "encoder", model) if getattr(own, "is_encoder_decoder", False) else model
    device.settle(model)
    if getattr(features, "sampling_rate", None) is None:
        raise UserMustAct(f"{settings.encoder} hears no sound: its inputs have no sample rate.")
    hear = _hearing(model, features, settings, device)
    rate, version = int(features.sampling_rate), weights.version(VERSION, folder)
    with torch.inference_mode():
        counts = [hear(torch.zeros(1, seconds * rate)) for seconds in TRIED_SECONDS]
    hop = _hop([one.shape[1] for one in counts], rate)
    width = int(counts[0].shape[2])
    if hop is None:
        return Ears(_mean(hear), rate, WINDOW_SECONDS * rate, 1, 0, width, version, licence(config, LICENCE))
    return Ears(
        hear=hear,
        sample_rate=rate,
        hop=hop,
        window=WINDOW_SECONDS * rate // hop,
        overlap=OVERLAP_SECONDS * rate // hop,
        width=width,
        version=version,
        licence=licence(config, LICENCE),
        least=max(1, rate // 2 // hop),
    )


def _known_kinds() -> set[str]:
    from transformers import CONFIG_MAPPING

    return set(CONFIG_MAPPING.keys())


def _hearing(
    model: Any, features: Any, settings: Settings, device: Device
) -> Callable[[torch.Tensor], torch.Tensor]:
    def hear(samples: torch.Tensor) -> torch.Tensor:
        waves = list(samples.numpy().astype(np.float32))
        made = features(waves, sampling_rate=features.sampling_rate, return_tensors="pt")
        name = next((n for n in ("input_values", "input_features") if n in made), None)
        if name is None:
            raise UserMustAct(f"{settings.encoder} hears no sound: its inputs are {', '.join(made)}.")
        given = {name: made[name].to(device.name, device.torch_dtype)}
        found = model(**given, output_hidden_states=True)
        states = getattr(found, "hidden_states", None)
        last = getattr(found, "last_hidden_state", None)
        if settings.layer is None and last is not None:
            heard: torch.Tensor = last
        elif states is not None:
            heard = heard_layer(found, settings.layer)
        else:
            raise UserMustAct(f"{settings.encoder} gives no hidden states that could be embeddings.")
        return heard.flatten(2).transpose(1, 2) if heard.ndim == 4 else heard

    return hear


def _hop(counts: list[int], rate: int) -> int | None:
    """Samples a value, if the number of values grows evenly with the seconds; `None` if it stays."""
    steps = {after - before for before, after in itertools.pairwise(counts)}
    if steps == {0}:
        return None
    if len(steps) == 1 and (step := steps.pop()) > 0 and rate % step == 0:
        return rate // step
    raise UserMustAct(f"The model gives {counts} values for {TRIED_SECONDS} s: no steady rate.")


def _mean(hear: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    def mean(samples: torch.Tensor) -> torch.Tensor:
        return hear(samples).mean(1, keepdim=True)

    return mean
