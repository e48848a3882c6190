"""CLAP's audio half as transformers has it, from the hub's format or from a file of LAION's training code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from llark.embed.checkpoint import Checkpoint
from llark.errors import UserMustAct

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

    kind = json.loads((folder / "config.json").read_text()).get("model_type")
    if kind not in ("clap", "clap_audio_model"):
        raise UserMustAct(f"{folder} is no CLAP, but a model {kind}; --encoder hub:{folder} may hear it.")
    model, found = ClapAudioModelWithProjection.from_pretrained(
        folder, trust_remote_code=False, output_loading_info=True
    )
    if found["missing_keys"]:
        raise UserMustAct(f"{folder} is no CLAP: it lacks {sorted(found['missing_keys'])[0]} and others.")
    return model


def from_published(path: Path) -> Any:
    """The audio half of a `.pt` file of LAION's training code, loaded with `weights_only`.

    Raises:
        UserMustAct: There is no such file, or its network is another one.
    """
    from transformers import ClapAudioModelWithProjection

    found = renamed(Checkpoint(path, "state_dict"))
    model = ClapAudioModelWithProjection(audio_config(found, path))
    missing, unexpected = model.load_state_dict(found, strict=False)
    wrong = [name for name in [*missing, *unexpected] if "relative_position_index" not in name]
    if wrong:
        raise UserMustAct(f"{path} is no CLAP of {BASE}: {wrong[0]} does not fit.")
    return model


def renamed(found: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The audio half's tensors under transformers' names, query, key and value apart."""
    tensors: dict[str, torch.Tensor] = {}
    for theirs in found:
        if not theirs.startswith(("audio_branch.", "audio_projection.")):
            continue
        if any(part in theirs for part in _LEFT):
            continue
        ours = theirs
        for pattern, name in _NAMES:
            ours = re.sub(pattern, name, ours)
        if ".qkv." in ours:
            parts = ("query", "key", "value")
            for part, value in zip(parts, found[theirs].chunk(3), strict=True):
                tensors[ours.replace("qkv", part)] = value.clone()
        else:
            tensors[ours] = found[theirs]
    return tensors


def audio_config(found: Mapping[str, torch.Tensor], path: Path) -> Any:
    """Sizes as the tensors have them. transformers names the last width apart from the first."""
    from transformers import ClapAudioConfig

    encoder = "audio_model.audio_encoder"
    first = found.get(f"{encoder}.patch_embed.proj.weight")
    if first is None or f"{encoder}.patch_embed.mel_conv2d.weight" in found:
        raise UserMustAct(f"{path} is no CLAP of {BASE}.")
    depths: list[int] = []
    heads: list[int] = []
    while f"{encoder}.layers.{len(depths)}.blocks.0.layernorm_before.weight" in found:
        stage = f"{encoder}.layers.{len(depths)}.blocks."
        numbers = [int(name[len(stage) :].split(".")[0]) for name in found if name.startswith(stage)]
        depths.append(1 + max(numbers))
        heads.append(found[f"{stage}0.attention.self.relative_position_bias_table"].shape[1])
    return ClapAudioConfig(
        patch_embeds_hidden_size=first.shape[0],
        hidden_size=first.shape[0] * 2 ** (len(depths) - 1),
        depths=depths,
        num_attention_heads=heads,
        num_hidden_layers=len(depths),
        projection_dim=found["audio_projection.linear2.weight"].shape[0],
        enable_fusion=False,
    )
