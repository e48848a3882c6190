"""From frames and exchanges to a trained model: align the heads first, then train together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from llark import engine
from llark.errors import UserMustAct
from llark.model.checkpoint import Lora, add_lora, load_adapter, new_model, save_adapter
from llark.model.concepts import Concepts, ConceptsConfig
from llark.records import Annotation, Clip, Embedding
from llark.storage import plans
from llark.train import align, keeping, loop, team
from llark.train.boards import Board
from llark.train.examine import Examiner
from llark.train.examples import ClipData, Rows, RowsConfig
from llark.train.team import Team
from llark.tuning import Tune

if TYPE_CHECKING:
    from llark.recipe import Recipe

TIMBRE_PARTS = ("speech", "timbre", "pulse", "tags", "loudness")
"""The parts of a frame that the instrument and genre heads read, of those that the encoder has."""

SLOTS = ("slots", "certainty")
"""What of the concepts is trained with the language model, not with the heads."""

VALIDATION_CLIPS = 64
"""So many tell how the loss goes; more would cost more time than they say."""


@dataclass(frozen=True, eq=False)
class Material:
    """All that training reads. Lists run along `clips`; mappings go by clip id.

    `layout` says where each part of a frame lies: its name → (start, stop).
    `heard` are questions answered from the truth, `measured` those answered from `facts`.
    """

    clips: Sequence[Clip]
    truths: Sequence[Annotation]
    groups: Sequence[str]
    embeddings: Mapping[str, Embedding]
    layout: Mapping[str, tuple[int, int]]
    facts: Mapping[str, str]
    heard: Mapping[str, list[tuple[str, str]]]
    measured: Mapping[str, list[tuple[str, str]]]


def run(
    recipe: Recipe,
    material: Material,
    folder: Path,
    model_folder: Path,
    start_from: Path | None = None,
    crew: Team | None = None,
) -> None:
    """Trains a model and writes it to `model_folder`; goes on from what `folder` holds.

    With `start_from` projector, adapter and slots start as that model's; the heads are fitted anew.
    `crew`: the processes that train together; this one alone if not given.
    Raises `UserMustAct` where there is nothing to train on, or where that model does not fit the recipe.
    """
    training = [i for i, clip in enumerate(material.clips) if clip.split != "validation"]
    watched = [i for i, clip in enumerate(material.clips) if clip.split == "validation"]
    if not training:
        raise UserMustAct("There is no training clip; render more clips or check their splits.")
    crew, tune = crew or Team(), _tune(recipe)
    loop.check_team(tune, crew)
    torch.manual_seed(recipe.train.seed)
    concepts = concepts_config(material.layout)
    model, processor = _begin(recipe, material, concepts, start_from)
    slots = {name: getattr(model.concepts, name).detach().clone() for name in SLOTS}
    posteriors = _align(recipe, material, training, model, folder / "align", crew)
    model.concepts.set_words(processor.tokenizer, model.get_input_embeddings().weight)
    if start_from is not None:
        model.concepts.load_state_dict(slots, strict=False)
    _make_trainable(model, recipe)

    def rows(some: Sequence[int]) -> Rows:
        data = [_clip_data(material, i, posteriors[i].numpy()) for i in some]
        plan = _plan(recipe, material)
        return Rows(data, processor.tokenizer, model.positions_of, _rows_config(recipe), plan)

    folder, learnt, heard = folder / "loop", rows(training), rows(watched)
    spread = team.spread(model, crew, tune)
    with Board(folder, tune, crew, keeping.steps_done(folder)) as board:
        examiner = Examiner(spread, heard, tune, crew, folder)
        loop.run(spread, learnt, tune, crew, folder, examine=examiner, tell=board)
    if crew.leads:
        save_adapter(model.float(), model_folder)
    crew.wait()


def _begin(
    recipe: Recipe, material: Material, concepts: ConceptsConfig, start_from: Path | None
) -> tuple[Any, Any]:
    """Model and processor as training finds them."""
    first = material.embeddings[material.clips[0].id]
    if start_from is None:
        return new_model(
            recipe.model.base,
            audio_width=first.frames.shape[1],
            frames_per_second=first.frames_per_second,
            projector=recipe.model.projector,
            max_audio_positions=recipe.model.audio_positions,
            concepts=concepts.to_dict(),
            seed=recipe.train.seed,
        )
    model, processor = load_adapter(start_from, recipe.model.base, merge=False)
    lora = model.config.lora
    pairs = {
        "the width of its frames": (model.config.audio_width, first.frames.shape[1]),
        "its frames a second": (model.config.frames_per_second, first.frames_per_second),
        "its projector": (model.config.projector, recipe.model.projector),
        "its audio positions": (model.config.max_audio_positions, recipe.model.audio_positions),
        "the rank of its adapter": (lora["r"] if lora else 0, recipe.model.lora_rank),
        "its adapted layers": (set(lora.get("target_modules", ())), set(recipe.model.lora_targets)),
        "what its heads read": (_digest(model.config.concepts), _digest(concepts.to_dict())),
    }
    for what, (found, wanted) in pairs.items():
        if found != wanted:
            raise UserMustAct(
                f"{start_from} does not fit the recipe: {what}: {found}; the recipe: {wanted}. "
                "Change model.start_from or the recipe."
            )
    return model, processor


def _digest(concepts: Mapping[str, Any] | None) -> str:
    """Eight letters that tell two layouts apart."""
    return hashlib.sha256(json.dumps(concepts, sort_keys=True).encode()).hexdigest()[:8]


def concepts_config(layout: Mapping[str, tuple[int, int]]) -> ConceptsConfig:
    """What the heads read, for an encoder whose frames hold chords, chroma, bass and rhythm."""
    missing = [name for name in ("chords", "chroma", "bass", "rhythm") if name not in layout]
    if missing:
        raise UserMustAct(f"The encoder's frames lack {', '.join(missing)}, which the concept heads need.")
    start, stop = layout["chords"]
    return ConceptsConfig(
        chords=(stop - 24, stop) if stop - start == 25 else (start, stop),
        chroma=layout["chroma"],
        bass=layout["bass"],
        rhythm=layout["rhythm"],
        tempo=layout.get("tempo"),
        meter=layout.get("meter"),
        timbre=tuple(layout[name] for name in TIMBRE_PARTS if name in layout),
    )


def _align(
    recipe: Recipe,
    material: Material,
    training: Sequence[int],
    model: Any,
    folder: Path,
    crew: Team,
) -> Tensor:
    """Fits the heads into `model`; [clips, posterior], cross-fitted where a clip is trained on."""
    from safetensors.torch import load_file, save_file

    path, concepts = folder / "aligned.safetensors", concepts_config(material.layout)
    if crew.leads and not path.is_file():
        frames, mask = _stack(material)
        rows = torch.tensor(training)
        mean, deviation = align.normalisation(frames[rows].float(), mask[rows], concepts)
        frames = ((frames.float() - mean) / deviation).masked_fill(~mask[..., None], 0).half()
        targets = align.targets_of([material.truths[i] for i in training], concepts)
        config = align.AlignConfig(
            epochs=recipe.align.epochs, folds=recipe.align.folds, seed=recipe.align.seed
        )
        ticker = engine.Ticker("align", config.epochs * (config.folds + 1))
        heads, heard = align.cross_fit(
            lambda: Concepts(concepts.to_dict(), frames.shape[2], model.config.hidden_size),
            frames[rows],
            mask[rows],
            targets,
            [material.groups[i] for i in training],
            config,
            tick=lambda loss: ticker(note=f"loss {loss:.3f}"),
        )
        posteriors = align.hear(heads, frames, mask)
        posteriors[rows] = heard
        state = {f"heads.{name}": value for name, value in heads.state_dict().items()}
        folder.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".writing")
        state |= {"posteriors": posteriors, "mean": mean, "deviation": deviation}
        save_file(state | {"chance": torch.get_rng_state()}, scratch)
        scratch.rename(path)
    crew.wait()
    found = load_file(path)
    if "chance" in found:  # so that a run that goes on from here draws the same adapter
        torch.set_rng_state(found["chance"])
    model.set_normalisation(found["mean"], found["deviation"])
    model.concepts.load_state_dict(
        {name.removeprefix("heads."): value for name, value in found.items() if name.startswith("heads.")}
    )
    crossed: Tensor = found["posteriors"]
    return crossed


def _stack(material: Material) -> tuple[Tensor, Tensor]:
    """All frames as float16 [clips, most frames, width], and which are real."""
    every = [material.embeddings[clip.id].frames for clip in material.clips]
    longest = max(len(frames) for frames in every)
    stacked = torch.zeros(len(every), longest, every[0].shape[1], dtype=torch.float16)
    mask = torch.zeros(len(every), longest, dtype=torch.bool)
    for row, frames in enumerate(every):
        stacked[row, : len(frames)] = torch.from_numpy(np.asarray(frames, np.float16))
        mask[row, : len(frames)] = True
    return stacked, mask


def _make_trainable(model: Any, recipe: Recipe) -> None:
    """The adapter, the projector, the markers and the concepts' slots learn; base and heads do not."""
    for name, parameter in model.language_model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    if recipe.model.lora_rank and not model.config.lora:
        add_lora(
            model,
            Lora(
                r=recipe.model.lora_rank,
                alpha=2 * recipe.model.lora_rank,
                target_modules=recipe.model.lora_targets,
            ),
        )
    dtype = getattr(torch, recipe.train.dtype)
    for name, part in model.named_children():
        if name != "concepts":
            part.to(dtype)
    for name, parameter in model.concepts.named_parameters():
        parameter.requires_grad_(name in SLOTS)


def _clip_data(material: Material, index: int, posterior: np.ndarray) -> ClipData:
    clip = material.clips[index].id
    return ClipData(
        id=clip,
        frames=material.embeddings[clip].frames,
        posterior=posterior,
        heard=tuple(material.heard.get(clip, ())),
        measured=tuple(material.measured.get(clip, ())),
        facts=material.facts[clip],
    )


def _rows_config(recipe: Recipe) -> RowsConfig:
    return RowsConfig(
        rows_per_step=recipe.train.rows_per_step,
        exchanges_per_row=recipe.train.exchanges_per_row,
        facts_share=recipe.instruct.facts_share,
        foreign_share=recipe.instruct.foreign_share,
        seed=recipe.train.seed,
    )


def _tune(recipe: Recipe) -> Tune:
    """What the loop is told. The weights themselves are of `train.dtype`: nothing is cast on the way."""
    train, rank = recipe.train, recipe.model.lora_rank
    return Tune(
        weights="lora" if rank else "projector",
        steps=train.steps,
        batch=train.rows_per_step,
        micro_batch=1,
        learning_rate=train.learning_rate,
        projector_learning_rate=train.projector_learning_rate,
        warmup_share=train.warmup_share,
        weight_decay=train.weight_decay,
        clip_norm=train.clip_norm,
        precision="float32",
        sharding="ddp",
        seed=train.seed,
        save_every=train.save_every,
        keep=2,
        evaluate_every=train.evaluate_every,
        evaluate_examples=VALIDATION_CLIPS,
        sample_answers=1,
    )


_FREE = ("save_every", "evaluate_every")
"""May change when a run goes on."""


def _plan(recipe: Recipe, material: Material) -> dict[str, Any]:
    """What a checkpoint is for: the recipe where it matters to the weights, and the clips."""
    told = plans.plain(recipe)
    ids = hashlib.sha256("\n".join(clip.id for clip in material.clips).encode()).hexdigest()
    train = {key: value for key, value in told["train"].items() if key not in _FREE}
    shares = {key: told["instruct"][key] for key in ("facts_share", "foreign_share")}
    return {"model": told["model"], "align": told["align"], "train": train, "instruct": shares, "clips": ids}
