"""From a recipe, exchanges and frames to a trained model."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from typing_extensions import TypedDict

from llark.errors import UserMustAct
from llark.model import checkpoint
from llark.model.model import LlarkForConditionalGeneration
from llark.records import Dropped
from llark.storage import folders, stages
from llark.train import checkpoints, distributed, heads, loop, packing
from llark.train.data import Batches, ExampleSet, Reading, TrainData, example_sets
from llark.train.distributed import World
from llark.train.report import Board, Examiner, check_boards

if TYPE_CHECKING:
    from llark.recipe import Model, Train

MODEL = "model"
"""The folder of the trained model, in that of its training."""

DONE = "done.json"
"""Written when all steps are done and the model is there."""

DROP_SHARE = 0.5
"""Training stops where more of the examples than this would be lost."""

NORMALISED_ON = 256
"""Clips from which the frames' mean and deviation are taken."""

CONCEPT_SLOTS = ("slots", "certainty")
"""What of the concepts is trained with the language model, not with the heads."""


@dataclass(frozen=True)
class TrainResult:
    """What was done."""

    steps: int
    examples: int
    """Those that were trained on."""
    cut: int
    """How many of them were cut to the longest length."""
    dropped: Mapping[str, int]
    """How many were not trained on, by reason."""


class Done(TypedDict):
    """What `DONE` holds."""

    config: dict[str, Any]
    result: TrainResult


def fit_model(
    shape: Model,
    config: Train,
    data: TrainData,
    folder: Path,
    world: World,
    *,
    base: str | Path | None = None,
    start_from: Path | None = None,
    audio_encoder: Mapping[str, Any] | None = None,
    stop_after: int | None = None,
) -> TrainResult:
    """Trains a model in `folder`, which keeps checkpoints and the log, and writes it to `folder`/model; goes
    on from what `folder` holds.

    `shape` and `config`: sections of the recipe. `base`: in place of the recipe's. `audio_encoder`: what made
    the frames, for the model's config. With `start_from` projector, adapter and concept slots start as that
    model's; the heads are fitted anew.

    Raises `UserMustAct` where there is nothing to train on, where more than half of it would be dropped, or
    where the model to start from does not fit the recipe.
    """
    loop.check_world(config, world)
    check_boards(config)
    check_quantizing(config, world)
    width = _width(data)
    plan = _plan(shape, config, data)
    if (before := _result(folder, plan)) is not None:
        return before
    base = base or shape.base
    torch.manual_seed(config.seed)
    model, processor = _begin(shape, config, data, width, world, base, start_from)
    model.config.audio_encoder = dict(audio_encoder or model.config.audio_encoder)
    if config.weights != "full" and not model.config.base_name:  # a folder
        model.config.base_name = str(Path(base).expanduser().resolve())
    posteriors = None
    if config.heads is not None:
        slots = {name: getattr(model.concepts, name).detach().clone() for name in CONCEPT_SLOTS}
        posteriors = heads.fit_heads(model, data, config.heads, folder, world)
        model.concepts.set_words(processor.tokenizer, model.get_input_embeddings().weight)
        if start_from is not None:
            model.concepts.load_state_dict(slots, strict=False)
    reading = Reading(processor.tokenizer, model.positions_of, config.conversation, config.most_tokens)
    training, validation = example_sets(data, config, reading, folder, world)
    lost = _write_dropped(folder, [*training.dropped, *validation.dropped], world)
    _refuse_loss(training)
    _make_trainable(model, shape, config)
    if config.packed:
        packing.make_ready(model)
    if config.normalise_frames and config.heads is None:  # the heads have their own
        _normalise(model, training, data)
    model_config = model.config
    model = distributed.spread(model, world, config)
    batches, watched = (
        Batches(examples, reading, data.embeddings, processor.pad_id, config.packed, posteriors)
        for examples in (training, validation)
    )
    order = training.order(config)
    with Board(folder, config, world, checkpoints.steps_done(folder)) as board:
        done = loop.run(
            model,
            lambda step: batches.micro_batches(order(step)[world.rank :: world.size], config.micro_batch),
            config,
            world,
            folder,
            plan,
            examine=Examiner(model, watched, config, world, folder),
            report=board,
            stop_after=stop_after,
        )
    result = TrainResult(done, len(training), training.cut, lost)
    if done == config.steps:
        _save(model, model_config, processor, folder / MODEL, world, config)
        if world.is_main:
            page = {"config": plan, "result": asdict(result)}
            folders.folder(folder).write(DONE, json.dumps(page, indent=1).encode())
    return result


def _result(folder: Path, plan: dict[str, Any]) -> TrainResult | None:
    """What a finished run in the folder has done. Raises `StoreMismatch` where that was another one."""
    page = folder / DONE
    if not page.is_file() or not (folder / MODEL / checkpoint.CONFIG_FILE).is_file():
        return None
    done = folders.read_json(Done, page.read_bytes(), page)
    checkpoints.refuse_other(folder, done["config"], plan)
    return done["result"]


def _width(data: TrainData) -> int:
    """Of all frames. Raises `UserMustAct` where there is none, or where they differ."""
    widths = sorted({width for _, width in data.shapes.values()})
    if len(widths) != 1:
        listed = ", ".join(map(str, widths)) or "none"
        raise UserMustAct(
            f"The frames must be of one width; found: {listed}. Embed all clips with one encoder."
        )
    return widths[0]


def _plan(shape: Model, config: Train, data: TrainData) -> dict[str, Any]:
    """What a checkpoint is for: the recipe where it matters to the weights, and what is trained on."""
    digest = hashlib.sha256()
    for one in (*data.exchanges, *data.fact_exchanges):
        digest.update((json.dumps((one.clip_id, one.task, one.question, one.answer)) + "\n").encode())
    settings = {key: value for key, value in stages.plain(config).items() if key not in _FREE}
    return {
        "model": stages.plain(shape),
        "train": settings,
        "examples": digest.hexdigest(),
        "source": data.source,
    }


_FREE = ("micro_batch", "packed", "sharding", "save_every", "keep", "evaluate_every", "evaluate_examples",
         "sample_answers", "tensorboard", "wandb", "gradient_checkpointing")  # fmt: skip
"""May change when a run goes on."""


# --- the model before training ----------------------------------------------------------------------------


def _begin(
    shape: Model,
    config: Train,
    data: TrainData,
    width: int,
    world: World,
    base: str | Path,
    start_from: Path | None,
) -> tuple[Any, Any]:
    """Model and processor as training finds them."""
    concepts = None if config.heads is None else heads.concepts_config(data.layout).to_dict()
    if start_from is None:
        return checkpoint.new_model(
            base,
            audio_width=width,
            frames_per_second=data.frames_per_second,
            projector=shape.projector,
            max_audio_positions=shape.audio_positions,
            concepts=concepts,
            conversation=config.conversation,
            seed=config.seed,
            loading=base_loading(config, world),
        )
    model, processor = checkpoint.load_adapter(start_from, base, merge=False)
    lora = model.config.lora
    pairs = {
        "the width of its frames": (model.config.audio_width, width),
        "its frames a second": (model.config.frames_per_second, data.frames_per_second),
        "its projector": (model.config.projector, shape.projector),
        "its audio positions": (model.config.max_audio_positions, shape.audio_positions),
        "the rank of its adapter": (lora["r"] if lora else 0, shape.lora_rank),
        "its adapted layers": (set(lora.get("target_modules", ())), set(shape.lora_targets)),
        "what its heads read": (_digest(model.config.concepts), _digest(concepts)),
    }
    for name, (there, here) in pairs.items():
        if there != here:
            raise UserMustAct(
                f"{start_from} does not fit the recipe: {name}: {there}; the recipe: {here}. "
                "Change model.start_from or the recipe."
            )
    return model, processor


def _digest(concepts: Mapping[str, Any] | None) -> str:
    """Eight letters that tell two layouts apart."""
    return hashlib.sha256(json.dumps(concepts, sort_keys=True).encode()).hexdigest()[:8]


def check_quantizing(config: Train, world: World) -> None:
    """Raises `UserMustAct` where 4 bits are asked for and bitsandbytes or a GPU is missing."""
    if config.quantize == "none":
        return
    if find_spec("bitsandbytes") is None:
        raise UserMustAct('train.quantize needs the extra: pip install "llark[qlora]"; or set it to none.')
    if not world.device.startswith("cuda"):
        raise UserMustAct(
            f"train.quantize {config.quantize} needs a GPU; here is {world.device}. Set it to none."
        )


def base_loading(config: Train, world: World) -> dict[str, Any]:
    """Arguments of the base's `from_pretrained`: for 4 bits nf4, with the scales themselves in 8 bits, beside
    which an adapter learns (QLoRA, arXiv 2305.14314)."""
    if config.quantize == "none":
        return {}
    from transformers import BitsAndBytesConfig

    compute = torch.float32 if config.precision == "float32" else torch.bfloat16
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )
    return {"quantization_config": quantization, "device_map": {"": world.device}, "dtype": compute}


def _make_trainable(model: Any, shape: Model, config: Train) -> None:
    """Projector, markers and the concepts' slots always learn, the concept heads never; of the language model
    what the recipe says."""
    if config.weights != "lora":
        model.language_model.requires_grad_(config.weights == "full")
    elif model.config.lora:  # that of the model that training starts from
        for name, parameter in model.language_model.named_parameters():
            parameter.requires_grad_("lora_" in name)
    else:
        rank, targets = shape.lora_rank, shape.lora_targets
        checkpoint.add_lora(model, checkpoint.Lora(rank, config.lora_alpha, config.lora_dropout, targets))
    if config.precision == "bfloat16-weights":
        for name, part in model.named_children():
            if name != "concepts":
                part.to(torch.bfloat16)
    if model.concepts is not None:
        for name, parameter in model.concepts.named_parameters():
            parameter.requires_grad_(name in CONCEPT_SLOTS)
    if config.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})


def _normalise(model: Any, training: ExampleSet, data: TrainData) -> None:
    """Mean and deviation of the frames of some clips, evenly over those that are trained on."""
    clips = sorted({training.draw(number, 0).clip_id for number in range(len(training))})
    total = torch.zeros(model.config.audio_width, dtype=torch.float64)
    squares, count = torch.zeros_like(total), 0
    for clip in clips[:: max(1, len(clips) // NORMALISED_ON)][:NORMALISED_ON]:
        frames = torch.from_numpy(np.asarray(data.embeddings[clip].frames)).double()
        total, squares, count = total + frames.sum(0), squares + frames.square().sum(0), count + len(frames)
    mean = total / max(1, count)
    deviation = (squares / max(1, count) - mean.square()).clamp(min=0).sqrt()
    model.set_normalisation(mean.float(), deviation.float())


# --- what is lost, and what is made -----------------------------------------------------------------------


def _write_dropped(folder: Path, dropped: Sequence[Dropped], world: World) -> dict[str, int]:
    """Each drop as a line of dropped.jsonl; how many there are by reason."""
    counts: dict[str, int] = {}
    for one in dropped:
        counts[one.reason] = counts.get(one.reason, 0) + 1
    if world.is_main:
        folder.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in dropped)
        (folder / "dropped.jsonl").write_text("".join(lines))
    return counts


def _refuse_loss(training: ExampleSet) -> None:
    lost, whole = len(training.dropped), len(training.dropped) + len(training)
    if whole and lost > DROP_SHARE * whole:
        why = sorted({one.reason for one in training.dropped})
        raise UserMustAct(
            f"{lost} of {whole} examples would be dropped ({', '.join(why)}; see dropped.jsonl). Embed the "
            "clips that the exchanges are about, or raise train.most_tokens."
        )


def _save(model: Any, model_config: Any, processor: Any, out: Path, world: World, config: Train) -> None:
    """The trained model as a folder of its own, by the main process: all of it, the record of its encoder
    included, appears at once."""
    weights = checkpoints.whole_weights(model)
    if config.precision == "bfloat16-weights":
        weights = {name: value.float() for name, value in weights.items()}
    if world.is_main:
        scratch = out.with_name(f".{out.name}.writing")
        shutil.rmtree(scratch, ignore_errors=True)
        if config.weights == "full":
            whole = LlarkForConditionalGeneration(model_config)
            whole.load_state_dict(weights, strict=False)
            whole.tie_weights()
            checkpoint.save_whole(whole, processor, scratch)
        else:
            checkpoint.save_adapter(getattr(model, "module", model), scratch, weights)
        folders.replace(scratch, out)
    world.wait()
