"""Checkpoints of the published training code → folders that this package (and `from_pretrained`) reads.

Their `wrapped_llamav2` and `wrapped_mpt` are a Llama or an MPT with a linear `mm_projector` inside, a
vocabulary widened by the three audio tokens, and no way to load without the code that made them. Pickled
weights are read with `weights_only=True`: they are data, or they are refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from typing_extensions import TypedDict

from llark.errors import UserMustAct, one_line
from llark.storage.folders import read_json, replace

from .checkpoint import processor_for, read_tensors, save_whole
from .config import AUDIO_TOKENS, LlarkConfig
from .conversation import stop_sequences, turn_end_id
from .model import LlarkForConditionalGeneration

KINDS = {"wrapped_llamav2": "llama", "wrapped_mpt": "mpt"}
"""Their model types, and what each is in transformers."""

PROJECTOR = "mm_projector."
FRAMES_PER_SECOND = 10.0
_RECOMPUTED = "rotary_emb.inv_freq"
_THEIRS = ("mm_", "use_mm", "tune_mm", "freeze_mm", "model_type", "architectures", "auto_map",
           "_name_or_path", "transformers_version", "tokenizer_name", "torch_dtype", "dtype")  # fmt: skip
"""Beginnings of the keys of their config.json that are not the language model's."""


@dataclass(frozen=True)
class Imported:
    """What was imported."""

    kind: str
    tensors: int
    parameters: int
    audio_width: int
    projector_file: str


def import_checkpoint(
    folder: Path,
    out: Path,
    *,
    tokenizer: Path | None = None,
    dtype: torch.dtype = torch.float16,
    encoder_of: Callable[[int], dict[str, Any]] = lambda width: {},
) -> Imported:
    """Reads a `checkpoint-…` folder and writes the model, whole, to `out`.

    `tokenizer`: where the tokenizer lies, if not beside the weights. `encoder_of`: what the model is to
    record of the encoder whose frames have so many numbers. Raises `UserMustAct` where a file is missing or
    damaged, or where a tensor is missing, above all the projector: nothing is filled with random numbers.
    """
    if not folder.is_dir():
        raise UserMustAct(f"There is no folder {folder}.")
    if out.exists() and any(out.iterdir()):
        raise UserMustAct(f"{out} is not empty; name a new folder.")
    settings = _settings(folder)
    tensors = _read_weights(folder)
    projector, where = _projector(folder, tensors)
    words = _tokenizer(folder, tokenizer)
    language = {
        name: value
        for name, value in tensors.items()
        if PROJECTOR not in name and not name.endswith(_RECOMPUTED)
    }
    model = _model(settings, language, projector, words, dtype)
    config = model.config
    config.audio_encoder = encoder_of(config.audio_width)
    scratch = out.with_name(f".{out.name}.writing")
    save_whole(model, processor_for(model, words), scratch)
    replace(scratch, out)
    count = sum(parameter.numel() for parameter in model.parameters())
    return Imported(settings["model_type"], len(tensors), count, config.audio_width, where)


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise UserMustAct(f"{folder} has no config.json; name a checkpoint-… folder of the training.")
    settings = read_json(dict[str, Any], path.read_bytes(), path)
    kind = settings.get("model_type")
    if kind not in KINDS:
        raise UserMustAct(
            f"{path} says that this is a {kind!r}; the published code writes {' and '.join(KINDS)}."
        )
    attention = settings.get("attn_config")
    if isinstance(attention, Mapping) and attention.get("qk_ln"):
        raise UserMustAct(
            f"{path}: this MPT normalises queries and keys (attn_config.qk_ln), which transformers' own MPT "
            "does not; its code is not run here."
        )
    return settings


# --- files ------------------------------------------------------------------------------------------------


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint, whole or in shards, in either format."""
    for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        if (folder / index).is_file():
            page = read_json(ShardIndex, (folder / index).read_bytes(), folder / index)
            return _merge(folder, sorted(set(page["weight_map"].values())))
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return _merge(folder, [name])
    shards = sorted(path.name for path in folder.glob("pytorch_model-*of*.bin"))
    if not shards:
        raise UserMustAct(f"{folder} has no weights: neither pytorch_model*.bin nor model*.safetensors.")
    most = int(shards[0].rpartition("of-")[2].removesuffix(".bin"))
    if len(shards) != most:
        raise UserMustAct(f"{folder} has {len(shards)} of {most} pytorch_model shards; copy the others, too.")
    return _merge(folder, shards)


class ShardIndex(TypedDict):
    """Which file holds a tensor."""

    weight_map: dict[str, str]


def _merge(folder: Path, names: list[str]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name in names:
        if not (folder / name).is_file():
            raise UserMustAct(f"{folder / name} is missing; the index of the checkpoint names it.")
        tensors |= _read(folder / name)
    return tensors


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return read_tensors(path)
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise UserMustAct(f"{path} is refused: it holds more than tensors, or is damaged.") from error
    except (RuntimeError, EOFError) as error:
        raise UserMustAct(f"{path} is damaged: {one_line(error)[:200]}") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise UserMustAct(f"{path} is refused: it is not a table of tensors.")
    return dict(tensors)


def _projector(folder: Path, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """weight [hidden, width] and bias [hidden], and where they were: among the weights, or in the file that
    the published trainer writes beside them."""
    projector, where = _projector_in(tensors), "the weights"
    if set(projector) != {"weight", "bias"}:
        number = folder.name.rpartition("-")[2]
        beside = [
            folder / "mm_projector.bin",
            folder / "mm_projector" / f"{folder.name}.bin",
            folder.parent / "mm_projector" / f"checkpoint-{number}.bin",
        ]
        for path in beside:
            if path.is_file():
                projector, where = _projector_in(_read(path)), str(path)
                break
    missing = sorted({"weight", "bias"} - set(projector))
    if missing:
        raise UserMustAct(
            f"{folder} has no projector: {PROJECTOR}{f' and {PROJECTOR}'.join(missing)} are neither among "
            "the weights nor in mm_projector/. Without the trained one the audio means nothing to the model, "
            "so none is made up."
        )
    return projector, where


def _projector_in(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.rpartition(".")[2]: value for name, value in tensors.items() if PROJECTOR in name}


def _tokenizer(folder: Path, elsewhere: Path | None) -> Any:
    place = elsewhere or folder
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserMustAct(f"{place} has no tokenizer; say where it lies with --tokenizer.") from error
    known = tokenizer.get_vocab()
    if missing := [token for token in AUDIO_TOKENS if token not in known]:
        raise UserMustAct(
            f"The tokenizer in {place} has no {', '.join(missing)}: it is not that of the training."
        )
    return tokenizer


# --- the model --------------------------------------------------------------------------------------------


def _model(
    settings: Mapping[str, Any],
    language: dict[str, Tensor],
    projector: Mapping[str, Tensor],
    tokenizer: Any,
    dtype: torch.dtype,
) -> LlarkForConditionalGeneration:
    kind = KINDS[settings["model_type"]]
    table = language.get("model.embed_tokens.weight" if kind == "llama" else "transformer.wte.weight")
    if table is None:
        raise UserMustAct("The checkpoint has no table of word embeddings.")
    plain = {key: value for key, value in settings.items() if not key.startswith(_THEIRS)}
    text = AutoConfig.for_model(kind, **plain | {"vocab_size": table.shape[0]})
    start, patch, end = tokenizer.convert_tokens_to_ids(list(AUDIO_TOKENS))
    if max(start, patch, end) >= table.shape[0]:
        raise UserMustAct(
            f"The tokenizer has ids up to {max(start, patch, end)}; the weights have {table.shape[0]} words."
        )
    base: Any = AutoModelForCausalLM.from_config(text, dtype=dtype)
    _fill(base, {name: value.to(dtype) for name, value in language.items()})
    hidden, width = projector["weight"].shape
    if hidden != text.hidden_size:
        raise UserMustAct(
            f"The projector gives {hidden} numbers a position; the language model reads {text.hidden_size}."
        )
    config = LlarkConfig(
        text_config=text.to_dict(),
        audio_width=width,
        frames_per_second=FRAMES_PER_SECOND,
        max_audio_positions=int(getattr(text, "max_position_embeddings", None) or text.max_seq_len),
        conversation="published",
        stop_sequences=stop_sequences(tokenizer, "published"),
        audio_start_id=start,
        audio_patch_id=patch,
        audio_end_id=end,
    )
    model = LlarkForConditionalGeneration(config, language_model=base)
    model.eval()
    model.projector.to(dtype), model.markers.to(dtype)
    model.projector.load_state_dict({name: value.to(dtype) for name, value in projector.items()})
    with torch.no_grad():
        model.markers.weight.copy_(table[[start, end]])
    model.generation_config.eos_token_id = turn_end_id(tokenizer)
    return model


def _fill(base: Any, tensors: dict[str, Tensor]) -> None:
    """Every weight of the language model from the checkpoint, and nothing left over."""
    expected = base.state_dict()
    tied = set(getattr(base, "all_tied_weights_keys", None) or {})
    missing = sorted(set(expected) - set(tensors) - tied)
    strange = sorted(set(tensors) - set(expected))
    if missing or strange:
        said = [f"lacks {name}" for name in missing[:3]] + [f"holds {name}" for name in strange[:3]]
        raise UserMustAct(f"The checkpoint does not fit its config.json: it {', '.join(said)}.")
    try:
        base.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise UserMustAct(f"The checkpoint does not fit its config.json: {one_line(error)[:300]}") from error
    base.tie_weights()
