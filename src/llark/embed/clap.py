"""CLAP (Wu et al. 2023, https://arxiv.org/abs/2211.06687): sound in the space of words, width 512.

A clip is cut into windows of 10 s that overlap, where the published extraction takes one at a random place.
`--rate clip` gives one vector for a clip, as that extraction does, of length 1; else the network's last
values, 3.2 a second, go through the same projection one by one and onto the grid of `--rate`. The spectrogram
is the training code's own, whatever the folder's preprocessor says: see `feature_extractor`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from llark.embed import hub, windowed
from llark.embed.checkpoint import Checkpoint
from llark.embed.encoder import Card, Device, EncoderOptions, Sound
from llark.errors import UserMustAct
from llark.storage.folders import read_json

VERSION = "1"
SAMPLE_RATE = 48_000
WINDOW_SECONDS = 10
WINDOW = WINDOW_SECONDS * SAMPLE_RATE
VALUES = 32
"""Values that the network gives for a window."""

OVERLAP = 8
"""Values that two windows share, at least: 2.5 s."""

RATE = Fraction(VALUES, WINDOW_SECONDS)
MOST_RATE_ASKED = "10"
"""The usual rate, which this encoder has not: it gives its own instead."""

LICENCE = "CC0-1.0 code; the weights' own licence is not stated by their publisher"

LOWEST_HZ, HIGHEST_HZ, BANDS, FRAME, HOP = 50, 14_000, 64, 1024, 480


@dataclass(frozen=True)
class ClapEncoder:
    """Made by `load`."""

    model: Any
    features: Any
    card: Card
    device: Device

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        """float32 [frames, width] for each clip; [1, width] for one vector a clip."""
        cuts = [windows(sound.at(SAMPLE_RATE)) for sound in sounds]
        pieces = [piece for one in cuts for piece in one.pieces]
        if not self.card.frames_per_second:
            vectors = iter(self._vectors(pieces, whole=True))
            return [_one([next(vectors) for _ in one.pieces]) for one in cuts]
        values = self._vectors(pieces, whole=False)
        return windowed.frames_of(values, [one.spans for one in cuts], sounds, RATE, self.card)

    @torch.inference_mode()
    def _vectors(self, pieces: list[np.ndarray], *, whole: bool) -> list[np.ndarray]:
        """[1, width] of each whole window, or [32, width] of its values."""
        projections: list[np.ndarray] = []
        for at in range(0, len(pieces), self.device.batch):
            mel = spectrogram(self.features, pieces[at : at + self.device.batch])
            given = mel.to(self.device.name, self.device.torch_dtype)
            output = self.model.audio_model(input_features=given)
            last = output.last_hidden_state  # [batch, width, bands, 32]
            values = output.pooler_output[:, None] if whole else last.mean(2).transpose(1, 2)
            projected = functional.normalize(self.model.audio_projection(values).float(), dim=-1)
            projections += list(projected.cpu().numpy())
        return projections


@dataclass(frozen=True, eq=False)
class Windows:
    """float32 [480,000] pieces of a clip, and the values [start, end) of it that each stands for."""

    pieces: list[np.ndarray]
    spans: list[tuple[int, int]]


def windows(samples: np.ndarray) -> Windows:
    """A clip at 48 kHz in windows of 10 s. One that is shorter is repeated as often as it fits, then followed
    by silence, and samples take the 16-bit values that the training code gives them."""
    rounded = np.trunc(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)
    sound = (rounded / np.float32(32767.0)).astype(np.float32)
    if len(sound) <= WINDOW:
        repeated = np.tile(sound, max(1, WINDOW // len(sound)))
        piece = np.pad(repeated, (0, WINDOW - len(repeated)))
        return Windows([piece], [(0, -(-len(sound) * VALUES // WINDOW))])
    hop = WINDOW // VALUES
    total = -(-len(sound) // hop)
    spans = windowed.windows(total, VALUES, OVERLAP, whole=True)
    starts = [min(start * hop, len(sound) - WINDOW) for start, _ in spans]
    return Windows([sound[start : start + WINDOW] for start in starts], spans)


def feature_extractor() -> Any:
    """transformers' own, with the training code's numbers: the published folders leave out `LOWEST_HZ`."""
    from transformers import ClapFeatureExtractor

    return ClapFeatureExtractor(
        feature_size=BANDS,
        sampling_rate=SAMPLE_RATE,
        hop_length=HOP,
        fft_window_size=FRAME,
        max_length_s=WINDOW_SECONDS,
        frequency_min=LOWEST_HZ,
        frequency_max=HIGHEST_HZ,
        truncation="rand_trunc",
        padding="repeatpad",
    )


def spectrogram(features: Any, pieces: Sequence[np.ndarray]) -> torch.Tensor:
    """float32 [batch, 1, 1001, 64] in dB, of windows that are exactly 10 s: nothing is cut at random."""
    made = features(list(pieces), sampling_rate=SAMPLE_RATE, return_tensors="pt")
    return made["input_features"]


def _one(vectors: list[np.ndarray]) -> np.ndarray:
    """[1, width]: the mean of a clip's windows, at length 1."""
    mean = np.mean([vector[0] for vector in vectors], axis=0)
    return (mean / max(float(np.linalg.norm(mean)), 1e-12))[None].astype(np.float32)


def load(settings: EncoderOptions, device: Device) -> ClapEncoder:
    """The audio half of a CLAP: from a folder or a name of the hub, or from a published `.pt`.

    Raises:
        UserMustAct: There is none, or a setting is not available.
    """
    settings.refuse(compat=settings.compat, layer=settings.layer)
    if settings.weights is None:
        raise UserMustAct(
            "clap needs --weights: laion/larger_clap_music or another CLAP of the hub, a folder, or the file "
            "music_audioset_epoch_15_esc_90.14.pt."
        )
    if settings.weights.endswith(".pt"):
        place = Path(settings.weights)
        model = from_published(place)
    else:
        place = hub.fetch(settings.weights)
        model = from_hub(place)
    device.settle(model)
    card = Card(
        name=f"clap, {settings.weights}",
        version=device.version(hub.version(VERSION, place)),
        sample_rate=SAMPLE_RATE,
        width=int(model.config.projection_dim),
        frames_per_second=RATE if settings.rate == MOST_RATE_ASKED else settings.frames_per_second(RATE),
        window_seconds=Fraction(WINDOW_SECONDS),
        licence=LICENCE,
    )
    return ClapEncoder(model, feature_extractor(), card, device)


# --- the audio half as transformers has it, from the hub's format or a file of LAION's training code ------

BASE = "HTSAT-base and HTSAT-tiny without fusion"

_NAMES = (
    (r"^audio_branch\.", "audio_model.audio_encoder."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.", ".attention.self."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.bn0\.", ".batch_norm."),
    (r"^audio_projection\.0\.", "audio_projection.linear1."),
    (r"^audio_projection\.2\.", "audio_projection.linear2."),
)
"""Their names and transformers', applied one after the other."""

_LEFT = ("spectrogram_extractor", "logmel_extractor", "tscam_conv", "head.", "attn_mask")
"""What the training code keeps beside the network."""


def from_hub(folder: Path) -> Any:
    """The audio half of a folder in the hub's format. Raises `UserMustAct` where there is none."""
    from transformers import ClapAudioModelWithProjection

    kind = read_json(dict[str, Any], (folder / "config.json").read_bytes(), folder).get("model_type")
    if kind not in ("clap", "clap_audio_model"):
        raise UserMustAct(f"{folder} is no CLAP, but a model {kind}; --encoder hub:{folder} may load it.")
    model, loading_info = ClapAudioModelWithProjection.from_pretrained(
        folder, trust_remote_code=False, output_loading_info=True
    )
    if loading_info["missing_keys"]:
        raise UserMustAct(
            f"{folder} is no CLAP: it lacks {sorted(loading_info['missing_keys'])[0]} and others."
        )
    return model


def from_published(path: Path) -> Any:
    """The audio half of a `.pt` file of LAION's training code, loaded with `weights_only`.

    Raises:
        UserMustAct: There is no such file, or its network is another one.
    """
    from transformers import ClapAudioModelWithProjection

    tensors = renamed(Checkpoint(path, "state_dict"))
    model = ClapAudioModelWithProjection(audio_config(tensors, path))
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    wrong = [name for name in [*missing, *unexpected] if "relative_position_index" not in name]
    if wrong:
        raise UserMustAct(f"{path} is no CLAP of {BASE}: {wrong[0]} does not fit.")
    return model


def renamed(published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The audio half's tensors under transformers' names, query, key and value apart."""
    tensors: dict[str, torch.Tensor] = {}
    for theirs in published:
        if not theirs.startswith(("audio_branch.", "audio_projection.")) or any(p in theirs for p in _LEFT):
            continue
        ours = theirs
        for pattern, name in _NAMES:
            ours = re.sub(pattern, name, ours)
        if ".qkv." in ours:
            for part, value in zip(("query", "key", "value"), published[theirs].chunk(3), strict=True):
                tensors[ours.replace("qkv", part)] = value.clone()
        else:
            tensors[ours] = published[theirs]
    return tensors


def audio_config(tensors: Mapping[str, torch.Tensor], path: Path) -> Any:
    """Sizes as the tensors have them. transformers names the last width apart from the first."""
    from transformers import ClapAudioConfig

    encoder = "audio_model.audio_encoder"
    first = tensors.get(f"{encoder}.patch_embed.proj.weight")
    if first is None or f"{encoder}.patch_embed.mel_conv2d.weight" in tensors:
        raise UserMustAct(f"{path} is no CLAP of {BASE}.")
    depths: list[int] = []
    heads: list[int] = []
    while f"{encoder}.layers.{len(depths)}.blocks.0.layernorm_before.weight" in tensors:
        stage = f"{encoder}.layers.{len(depths)}.blocks."
        numbers = [int(name[len(stage) :].split(".")[0]) for name in tensors if name.startswith(stage)]
        depths.append(1 + max(numbers))
        heads.append(tensors[f"{stage}0.attention.self.relative_position_bias_table"].shape[1])
    return ClapAudioConfig(
        patch_embeds_hidden_size=first.shape[0],
        hidden_size=first.shape[0] * 2 ** (len(depths) - 1),
        depths=depths,
        num_attention_heads=heads,
        num_hidden_layers=len(depths),
        projection_dim=tensors["audio_projection.linear2.weight"].shape[0],
        enable_fusion=False,
    )
