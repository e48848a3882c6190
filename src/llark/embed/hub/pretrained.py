"""Networks that are classes of transformers, a function each: MERT, Whisper, EnCodec, and any other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llark.embed import hub
from llark.embed.encoder import Device, EncoderOptions
from llark.embed.windowed import WindowedNetwork
from llark.errors import UserMustAct
from llark.storage.folders import read_json

# --- MERT (Li et al. 2023, https://arxiv.org/abs/2306.00107): 75 values a second of width 768 or 1024 -----

# Its weights are HuBERT's, in HuBERT's own layout, and are loaded as such; the code beside them is not run. A
# MERT with a constant-Q branch (`feature_extractor_cqt`) or deep norms is another network, and is refused.
# The relaxed attention that the configuration of 330M names is part of its deep norms, which it has not.

MERT_LICENCE = "CC BY-NC 4.0"
MERT_SAMPLE_RATE = 24_000
MERT_WINDOW_SECONDS, MERT_OVERLAP_SECONDS = 5, 1
"""It was trained on stretches of 5 s."""

NORM_EPSILON = 1e-7
"""Of the feature extractor's normalisation to mean 0 and variance 1."""

_OTHER_NETWORK = ("feature_extractor_cqt", "deepnorm")


def load_mert(
    folder: Path, config: dict[str, Any], settings: EncoderOptions, device: Device
) -> WindowedNetwork:
    """The model as HuBERT. Raises `UserMustAct` for a kind of MERT that HuBERT is not."""
    model = _mert(folder, config)
    device.settle(model)
    hub.hidden_layer((None,) * (model.config.num_hidden_layers + 1), settings.layer)
    path = folder / "preprocessor_config.json"
    preprocessing = read_json(dict[str, Any], path.read_bytes(), path) if path.is_file() else {}
    rate = int(preprocessing.get("sampling_rate", config.get("sample_rate", MERT_SAMPLE_RATE)))
    is_normalised = bool(preprocessing.get("do_normalize", True))
    hop = math.prod(model.config.conv_stride)

    def run(samples: torch.Tensor) -> torch.Tensor:
        given = (normalised(samples) if is_normalised else samples).to(device.name, device.torch_dtype)
        return hub.output_layer(model(given, output_hidden_states=True), settings.layer)

    return WindowedNetwork(
        run=run,
        sample_rate=rate,
        hop=hop,
        window=MERT_WINDOW_SECONDS * rate // hop,
        overlap=MERT_OVERLAP_SECONDS * rate // hop,
        width=model.config.hidden_size,
        version=hub.version("1", folder),
        licence=hub.licence(config, MERT_LICENCE),
        least=math.ceil(reach(model.config.conv_kernel, model.config.conv_stride) / hop) + 1,
    )


def _mert(folder: Path, config: dict[str, Any]) -> Any:
    from transformers import HubertConfig, HubertModel

    other = [name for name in _OTHER_NETWORK if config.get(name)]
    if other:
        raise UserMustAct(
            f"{folder} is a MERT with {other[0]}, which is not supported; MERT-v1-95M and 330M are."
        )
    known = {name: value for name, value in config.items() if name not in ("model_type", "auto_map")}
    model, loading_info = HubertModel.from_pretrained(
        folder, config=HubertConfig(**known), trust_remote_code=False, output_loading_info=True
    )
    if missing := sorted(set(loading_info["missing_keys"]) - {"masked_spec_embed"}):
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


# --- Whisper's encoder (Radford et al. 2022, https://arxiv.org/abs/2212.04356): 50 values a second --------

# Its middle layers tell instruments apart better than its last one, so the middle one is the default. As in
# its training, the sound is followed by silence up to 30 s.

WHISPER_LICENCE = "MIT"
WHISPER_HOP = 320
WHISPER_OVERLAP_SECONDS = 4


def load_whisper(
    folder: Path, config: dict[str, Any], settings: EncoderOptions, device: Device
) -> WindowedNetwork:
    """The encoder half of the model; the decoder is let go."""
    from transformers import WhisperFeatureExtractor, WhisperModel

    features = WhisperFeatureExtractor.from_pretrained(folder)
    model = WhisperModel.from_pretrained(folder, trust_remote_code=False).encoder
    device.settle(model)
    rate, window = int(features.sampling_rate), int(config["max_source_positions"])
    middle = (int(config["encoder_layers"]) + 1) // 2

    def run(samples: torch.Tensor) -> torch.Tensor:
        mel = features(
            list(samples.numpy().astype(np.float32)),
            sampling_rate=rate,
            padding="max_length",
            max_length=window * WHISPER_HOP,
            return_tensors="pt",
        ).input_features
        model_output = model(mel.to(device.name, device.torch_dtype), output_hidden_states=True)
        return hub.output_layer(model_output, settings.layer, middle)

    hub.hidden_layer((None,) * (int(config["encoder_layers"]) + 1), settings.layer)
    return WindowedNetwork(
        run=run,
        sample_rate=rate,
        hop=WHISPER_HOP,
        window=window,
        overlap=min(WHISPER_OVERLAP_SECONDS * rate // WHISPER_HOP, window // 4),
        width=int(config["d_model"]),
        version=hub.version("1", folder),
        licence=hub.licence(config, WHISPER_LICENCE),
    )


# --- EnCodec (Défossez et al. 2022, https://arxiv.org/abs/2210.13438): what it would quantise, width 128 --

ENCODEC_LICENCES = {24_000: "not stated by its publisher", 32_000: "CC BY-NC 4.0", 48_000: "MIT"}
"""By sample rate."""

ENCODEC_WINDOW_SECONDS, ENCODEC_OVERLAP_SECONDS = 30, 2
CHUNK_OVERLAP = 0.2
"""The share that two chunks have in common, of a model that was trained on one chunk at a time."""


def load_encodec(
    folder: Path, config: dict[str, Any], settings: EncoderOptions, device: Device
) -> WindowedNetwork:
    """The encoder half; each channel of a stereo model gets the same."""
    from transformers import EncodecModel

    settings.refuse(layer=settings.layer)
    own = device.settle(EncodecModel.from_pretrained(folder, trust_remote_code=False).encoder)
    rate, hop = int(config["sampling_rate"]), math.prod(config["upsampling_ratios"])
    window, overlap = window_and_overlap(config, rate, hop)
    channels, normalised = int(config["audio_channels"]), bool(config.get("normalize", False))

    def run(samples: torch.Tensor) -> torch.Tensor:
        wave = samples[:, None].expand(-1, channels, -1)
        if normalised:
            wave = wave / (wave.square().mean((1, 2), keepdim=True).sqrt() + 1e-8)
        return own(wave.to(device.name, device.torch_dtype)).transpose(1, 2)

    return WindowedNetwork(
        run=run,
        sample_rate=rate,
        hop=hop,
        window=window,
        overlap=overlap,
        width=int(config["hidden_size"]),
        version=hub.version("2", folder),
        licence=hub.licence(config, ENCODEC_LICENCES.get(rate, "unknown")),
    )


def window_and_overlap(config: dict[str, Any], rate: int, hop: int) -> tuple[int, int]:
    """In values. The 48 kHz model normalises over the chunk of 1 s that it takes, so it is given no more."""
    if not config.get("chunk_length_s"):
        return ENCODEC_WINDOW_SECONDS * rate // hop, ENCODEC_OVERLAP_SECONDS * rate // hop
    window = max(2, int(config["chunk_length_s"] * rate) // hop)
    return window, max(1, int(window * max(CHUNK_OVERLAP, float(config.get("overlap") or 0))))


# --- any other model that transformers knows, with its feature extractor ----------------------------------

# Whether it gives a value every so many samples is found by asking it twice. A model of a fixed input, whose
# values do not stand for times, gives one value for each stretch of ten seconds: the mean of all.

WINDOW_SECONDS, OVERLAP_SECONDS = 10, 2
TRIED_SECONDS = (1, 2, 3)


def load_auto(
    folder: Path, config: dict[str, Any], settings: EncoderOptions, device: Device
) -> WindowedNetwork:
    """The model's hidden states. Raises `UserMustAct` where it takes no sound."""
    from transformers import CONFIG_MAPPING, AutoConfig, AutoFeatureExtractor, AutoModel

    kind = config.get("model_type", "of an unknown kind")
    if "auto_map" in config and kind not in CONFIG_MAPPING:
        raise UserMustAct(
            f"{folder} is a model {kind}, which needs the code beside its weights; that is never run. "
            "Adapters for MERT, MuQ, Dasheng, Whisper and EnCodec need none."
        )
    if kind in ("clap", "clap_audio_model"):
        raise UserMustAct(f"{folder} is a CLAP; --encoder clap --weights {folder} loads it.")
    own = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    features = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False)
    model = AutoModel.from_pretrained(folder, config=own, trust_remote_code=False)
    model = getattr(model, "encoder", model) if getattr(own, "is_encoder_decoder", False) else model
    device.settle(model)
    if getattr(features, "sampling_rate", None) is None:
        raise UserMustAct(f"{settings.encoder} takes no audio: its inputs have no sample rate.")
    run = _runner(model, features, settings, device)
    known = hub.licence(config, "unknown")
    rate, version = int(features.sampling_rate), hub.version("1", folder)
    with torch.inference_mode():
        counts = [run(torch.zeros(1, seconds * rate)) for seconds in TRIED_SECONDS]
    hop = _hop([one.shape[1] for one in counts], rate)
    width = int(counts[0].shape[2])
    if hop is None:
        length = WINDOW_SECONDS * rate
        return WindowedNetwork(
            lambda samples: run(samples).mean(1, keepdim=True), rate, length, 1, 0, width, version, known
        )
    return WindowedNetwork(
        run=run,
        sample_rate=rate,
        hop=hop,
        window=WINDOW_SECONDS * rate // hop,
        overlap=OVERLAP_SECONDS * rate // hop,
        width=width,
        version=version,
        licence=known,
        least=max(1, rate // 2 // hop),
    )


def _runner(
    model: Any, features: Any, settings: EncoderOptions, device: Device
) -> Callable[[torch.Tensor], torch.Tensor]:
    def run(samples: torch.Tensor) -> torch.Tensor:
        waves = list(samples.numpy().astype(np.float32))
        made = features(waves, sampling_rate=features.sampling_rate, return_tensors="pt")
        name = next((n for n in ("input_values", "input_features") if n in made), None)
        if name is None:
            raise UserMustAct(f"{settings.encoder} takes no audio: its inputs are {', '.join(made)}.")
        given = {name: made[name].to(device.name, device.torch_dtype)}
        model_output = model(**given, output_hidden_states=True)
        states = getattr(model_output, "hidden_states", None)
        last = getattr(model_output, "last_hidden_state", None)
        if settings.layer is None and last is not None:
            output = last
        elif states is not None:
            output = hub.output_layer(model_output, settings.layer)
        else:
            raise UserMustAct(f"{settings.encoder} gives no hidden states that could be embeddings.")
        return output.flatten(2).transpose(1, 2) if output.ndim == 4 else output

    return run


def _hop(counts: list[int], rate: int) -> int | None:
    """Samples a value, if the number of values grows evenly with the seconds; `None` if it stays."""
    steps = {after - before for before, after in itertools.pairwise(counts)}
    if steps == {0}:
        return None
    if len(steps) == 1 and (step := steps.pop()) > 0 and rate % step == 0:
        return rate // step
    raise UserMustAct(f"The model gives {counts} values for {TRIED_SECONDS} s: no steady rate.")
