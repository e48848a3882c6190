"""New models around a base, and the small folder that holds what training added to it.

The folder: `config.json`, `audio.safetensors` (projector, markers, normalisation, concept heads, as trained)
and `adapter.safetensors` (LoRA matrices in float16; absent without LoRA). The base is not in it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel
from transformers.utils import logging

from llark.errors import UserMustAct, one_line
from llark.storage.folders import read_json

from .base import BASES, base_folder
from .config import LlarkConfig
from .conversation import Style, add_audio_tokens, stop_sequences, turn_end_id
from .model import LlarkForConditionalGeneration
from .processor import LlarkProcessor

CONFIG_FILE = "config.json"
AUDIO_FILE = "audio.safetensors"
ADAPTER_FILE = "adapter.safetensors"


@dataclass(frozen=True)
class Lora:
    """Rank, scale (alpha / r), dropout in training, and the linear layers that are adapted, by name."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")


def new_model(
    base: str | Path,
    *,
    audio_width: int,
    frames_per_second: float,
    projector: Literal["linear", "mlp"] = "linear",
    max_audio_positions: int = 64,
    concepts: dict[str, Any] | None = None,
    conversation: Style = "chatml",
    seed: int = 0,
    loading: Mapping[str, Any] | None = None,
) -> tuple[LlarkForConditionalGeneration, LlarkProcessor]:
    """A model around `base` (a name of `llark.model.base`, or a folder or hub name of any causal LM).

    The projector is drawn from `seed`, so that normalised frames give embeddings as large as those of words.
    `loading`: further arguments of `from_pretrained` of the base.
    """
    language_model, tokenizer, name = _open_base(base, torch.float32, loading)
    start, patch, end = add_audio_tokens(tokenizer)
    config = LlarkConfig(
        text_config=language_model.config.to_dict(),
        audio_width=audio_width,
        frames_per_second=frames_per_second,
        projector=projector,
        max_audio_positions=max_audio_positions,
        concepts=concepts,
        conversation=conversation,
        stop_sequences=stop_sequences(tokenizer, conversation),
        base_name=name,
        audio_start_id=start,
        audio_patch_id=patch,
        audio_end_id=end,
    )
    model = _assemble(config, language_model, tokenizer, torch.float32)
    _start_audio_side(model, seed)
    return model, processor_for(model, tokenizer)


def processor_for(model: LlarkForConditionalGeneration, tokenizer: Any) -> LlarkProcessor:
    """The processor that counts positions as `model` does."""
    config = model.config
    return LlarkProcessor(
        tokenizer,
        config.max_audio_positions,
        model.concept_positions,
        config.frames_per_second,
        config.conversation,
    )


def add_lora(model: LlarkForConditionalGeneration, lora: Lora | None = None) -> list[nn.Parameter]:
    """Put LoRA layers into the language model, whose own weights stop learning; the new parameters."""
    from peft import LoraConfig, inject_adapter_in_model

    if model.config.lora:
        raise ValueError("this model has LoRA layers already; merge them first")
    lora = lora or Lora()
    settings = LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=list(lora.target_modules)
    )
    inject_adapter_in_model(settings, model.language_model)
    model.config.lora = asdict(lora) | {"target_modules": list(lora.target_modules)}
    added: list[nn.Parameter] = []
    for name, parameter in model.language_model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if "lora_" in name:
            added.append(parameter)
    return added


def merge_lora(model: LlarkForConditionalGeneration) -> None:
    """Add the LoRA layers into the weights they adapt and take them out: the same answers, faster."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.language_model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            model.language_model.set_submodule(name, module.get_base_layer())
    if hasattr(model.language_model, "peft_config"):
        del model.language_model.peft_config
    model.language_model._hf_peft_config_loaded = False
    model.config.lora = {}


def save_adapter(
    model: LlarkForConditionalGeneration, folder: str | Path, state: Mapping[str, Tensor] | None = None
) -> None:
    """Write what training added to the base: config, audio side and, if there is LoRA, its matrices.

    `state`: the whole model's weights, where the model itself holds only its part of them.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    side = _audio_side(model.state_dict() if state is None else state)
    audio = {name: value.detach().cpu().contiguous() for name, value in side.items()}
    save_file(audio, folder / AUDIO_FILE, metadata={"format": "pt"})
    if model.config.lora:
        save_file(lora_state(model, state), folder / ADAPTER_FILE, metadata={"format": "pt"})
    else:
        (folder / ADAPTER_FILE).unlink(missing_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(_plain(model.config), indent=2, sort_keys=True) + "\n")


def _plain(config: LlarkConfig) -> dict[str, Any]:
    """Our own fields in full, the language model's where they differ from its class's defaults."""
    whole = config.to_dict()
    text_config: Any = config.text_config
    text = text_config.to_diff_dict() | {"model_type": text_config.model_type}
    for name in ("_name_or_path", "quantization_config"):  # of how the base was loaded, not of what it is
        text.pop(name, None)
    own = set(LlarkConfig.__annotations__) - {"sub_configs_defaults", "text_config"}
    return {"model_type": config.model_type, "text_config": text} | {field: whole[field] for field in own}


def lora_state(
    model: LlarkForConditionalGeneration, state: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """The LoRA matrices by name, in float16 on the CPU; of `state`, if that is given."""
    from peft import get_peft_model_state_dict

    inner = "language_model."
    given = None if state is None else {
        name.removeprefix(inner): value for name, value in state.items() if name.startswith(inner)
    }  # fmt: skip
    tensors = get_peft_model_state_dict(model.language_model, state_dict=given, save_embedding_layers=False)
    return {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in tensors.items()}


def load_adapter(
    folder: str | Path,
    base: str | Path | None = None,
    *,
    merge: bool = True,
    dtype: torch.dtype = torch.float32,
) -> tuple[LlarkForConditionalGeneration, LlarkProcessor]:
    """The model that `save_adapter` wrote, around its base (or the one given), ready to answer.

    `merge=False` keeps LoRA apart, to train on. Raises `UserMustAct` where a file or a tensor is missing or
    does not fit; nothing is ever filled with random numbers.
    """
    folder = Path(folder)
    if is_whole(folder):
        return load_whole(folder, dtype=dtype)
    if not (folder / CONFIG_FILE).is_file() or not (folder / AUDIO_FILE).is_file():
        raise UserMustAct(f"{folder} is not a model folder: it needs {CONFIG_FILE} and {AUDIO_FILE}.")
    config = _config(folder / CONFIG_FILE)
    if not (base or config.base_name):
        raise UserMustAct(f"{folder} does not say what its base language model is: name its folder (--base).")
    language_model, tokenizer, _ = _open_base(base or config.base_name, dtype)
    if language_model.config.hidden_size != config.hidden_size:
        raise UserMustAct(
            f"{folder} was trained with a base model of width {config.hidden_size}; "
            f"this one has {language_model.config.hidden_size}."
        )
    ids = add_audio_tokens(tokenizer)
    if ids != (config.audio_start_id, config.audio_patch_id, config.audio_end_id):
        raise UserMustAct(f"{folder} was trained with another tokenizer than that of this base model.")
    lora, config.lora = config.lora, {}
    model = _assemble(config, language_model, tokenizer, dtype)
    _load_audio_side(model, folder / AUDIO_FILE)
    if lora:
        add_lora(model, Lora(**(lora | {"target_modules": tuple(lora["target_modules"])})))
        _load_lora(model, folder / ADAPTER_FILE)
        if merge:
            merge_lora(model)
    return model.eval(), processor_for(model, tokenizer)


def _config(path: Path) -> LlarkConfig:
    """Raises `UserMustAct` where the file is damaged."""
    try:
        return LlarkConfig.from_dict(read_json(dict[str, Any], path.read_bytes(), path))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserMustAct(f"{path} is damaged, or of another release: {one_line(error)[:200]}") from error


def is_whole(folder: str | Path) -> bool:
    """Whether a folder holds a whole model, base included, as `save_whole` writes it."""
    return any(
        (Path(folder) / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json")
    )


def save_whole(model: LlarkForConditionalGeneration, processor: LlarkProcessor, folder: str | Path) -> None:
    """Write a model with its base, and its processor: what `from_pretrained` of the Auto classes reads."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def load_whole(
    folder: str | Path, *, dtype: torch.dtype = torch.float32
) -> tuple[LlarkForConditionalGeneration, LlarkProcessor]:
    """What `save_whole` wrote, ready to answer. Raises `UserMustAct` where a tensor is missing or strange."""
    with _without_bars():
        model, loading_info = LlarkForConditionalGeneration.from_pretrained(
            folder, dtype=dtype, output_loading_info=True, local_files_only=True
        )
    wrong = [f"lacks {name}" for name in loading_info["missing_keys"]]
    wrong += [f"adds {name}" for name in loading_info["unexpected_keys"]]
    if wrong:
        raise UserMustAct(f"{folder} does not fit its {CONFIG_FILE}: it {_some(wrong)}.")
    return model.eval(), LlarkProcessor.from_pretrained(folder, local_files_only=True)


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Without the progress bars of transformers."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _open_base(
    base: str | Path, dtype: torch.dtype, loading: Mapping[str, Any] | None = None
) -> tuple[PreTrainedModel, Any, str]:
    """Language model, tokenizer and the base's name (empty for a folder)."""
    name = "" if Path(base).expanduser().is_dir() else str(base)
    source = base_folder(name) if name in BASES else name or Path(base).expanduser()
    try:
        with _without_bars():
            arguments = {"dtype": dtype, **(loading or {})}
            language_model = AutoModelForCausalLM.from_pretrained(source, **arguments)
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise UserMustAct(
            f"The base language model {source} cannot be loaded: {one_line(error)[:300]} Name a folder "
            f"(--base), one of {', '.join(sorted(BASES))}, or a model on the hub whose code is part of "
            "transformers."
        ) from error
    return language_model, tokenizer, name


def _assemble(
    config: LlarkConfig, language_model: PreTrainedModel, tokenizer: Any, dtype: torch.dtype
) -> LlarkForConditionalGeneration:
    model = LlarkForConditionalGeneration(config, language_model=language_model)
    for name, part in model.named_children():
        if name not in ("language_model", "concepts"):
            part.to(dtype)
    end = turn_end_id(tokenizer)
    pad = tokenizer.pad_token_id
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=end if pad is None else pad)
    return model


def _start_audio_side(model: LlarkForConditionalGeneration, seed: int) -> None:
    """Draw projector and markers so that what comes out is as large as word embeddings are."""
    generator = torch.Generator().manual_seed(seed)
    words = model.get_input_embeddings()  # some scale what they look up
    with torch.no_grad():
        size = float(words(torch.arange(words.weight.shape[0])).float().std())
        layers = [layer for layer in model.projector.modules() if isinstance(layer, nn.Linear)]
        for layer in layers:
            scale = size if layer is layers[-1] else 1.0
            drawn = torch.randn(layer.weight.shape, generator=generator) * scale / layer.in_features**0.5
            layer.weight.copy_(drawn)
            layer.bias.zero_()
        model.markers.weight.copy_(torch.randn(model.markers.weight.shape, generator=generator) * size)


def _audio_side(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Everything that is not the language model."""
    return {name: value for name, value in state.items() if not name.startswith("language_model.")}


def _load_audio_side(model: LlarkForConditionalGeneration, path: Path) -> None:
    tensors = read_tensors(path)
    _same_names(set(_audio_side(model.state_dict())), set(tensors), path)
    try:
        model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise UserMustAct(f"{path} does not fit its {CONFIG_FILE}: {one_line(error)}") from error


def _load_lora(model: LlarkForConditionalGeneration, path: Path) -> None:
    from peft import set_peft_model_state_dict

    if not path.is_file():
        raise UserMustAct(f"{path} is missing; the model's {CONFIG_FILE} says that it has an adapter.")
    tensors = read_tensors(path)
    _same_names(set(lora_state(model)), set(tensors), path)
    try:
        set_peft_model_state_dict(model.language_model, {k: v.float() for k, v in tensors.items()})
    except RuntimeError as error:
        raise UserMustAct(f"{path} does not fit its {CONFIG_FILE}: {one_line(error)}") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A safetensors file. Raises `UserMustAct` where it is damaged."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserMustAct(f"{path} is damaged: {one_line(error)}") from error


def _same_names(needed: set[str], present: set[str], path: Path) -> None:
    if missing := sorted(needed - present):
        raise UserMustAct(f"{path} lacks {_some(missing)}.")
    if strange := sorted(present - needed):
        raise UserMustAct(f"{path} holds {_some(strange)}, for which its {CONFIG_FILE} has no place.")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
