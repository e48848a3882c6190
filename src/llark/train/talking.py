"""From a recipe with a section `tune`, exchanges and frames to a trained model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from llark.errors import UserMustAct
from llark.model import checkpoint
from llark.model.model import LlarkForConditionalGeneration
from llark.records import Dropped, Exchange
from llark.storage import plans
from llark.train import boards, keeping, loop, packing, quantizing, team
from llark.train.boards import Board
from llark.train.examine import Examiner
from llark.train.measured import measured
from llark.train.order import Order
from llark.train.talks import Batches, Lessons, Measures, Reading, Survey, examples_of, survey
from llark.train.team import Team

if TYPE_CHECKING:
    from llark.recipe import Recipe
    from llark.tuning import Tune

DROP_SHARE = 0.5
"""Training stops where more of the examples than this would be lost."""

DONE = "done.json"
"""Written when all steps are done and the model is there."""

NORMALISED_ON = 256
"""Clips from which the frames' mean and deviation are taken."""


@dataclass(frozen=True, eq=False)
class Talks:
    """All that training on talks reads. `embeddings` go by clip id; `shapes` give (frames, width) without
    reading them. `validation` are clips that are not trained on. `source` tells one input from another."""

    exchanges: Sequence[Exchange]
    embeddings: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, int]]
    frames_per_second: float
    validation: frozenset[str] = frozenset()
    source: str = ""


@dataclass(frozen=True)
class Result:
    """What was done: steps, examples trained on, those cut to length, and those dropped by reason."""

    steps: int
    examples: int
    cut: int
    dropped: Mapping[str, int]


def fit_model(
    recipe: Recipe,
    talks: Talks,
    folder: Path,
    crew: Team,
    base: str | Path | None = None,
    stop_after: int | None = None,
) -> Result:
    """Trains a model in `folder`, which keeps checkpoints and the log, and writes it to `folder`/model; goes
    on from what `folder` holds. `base`: in place of the recipe's.

    Raises `UserMustAct` where there is nothing to train on, or more than half of it would be dropped.
    """
    settings = recipe.tune
    if settings is None:
        raise ValueError("the recipe has no section tune")
    loop.check_team(settings, crew)
    boards.check(settings)
    quantizing.check(settings, crew)
    _check_shapes(talks)
    plan = _plan(recipe, talks)
    if (before := _result(folder, plan)) is not None:
        return before
    torch.manual_seed(settings.seed)
    model, processor = _begin(recipe, settings, talks, crew, base)
    reading = Reading(
        processor.tokenizer, processor.positions_of, settings.conversation, settings.most_tokens
    )
    learning, watched = _surveys(talks, settings, reading, folder, crew)
    lost = _write_dropped(folder, [*learning.dropped, *watched.dropped], crew)
    _refuse_loss(learning, talks)
    _make_trainable(model, recipe, settings)
    if settings.packed:
        packing.make_ready(model)
    if settings.normalise_frames:
        _normalise(model, learning, talks)
    config = model.config
    model = team.spread(model, crew, settings)
    order = order_of(learning, settings)
    learnt, heard = (
        Batches(found, reading, talks.embeddings, processor.pad_id, settings.packed)
        for found in (learning, watched)
    )
    lessons = Lessons(learnt, order, settings.micro_batch, plan)
    examiner = Examiner(model, heard, settings, crew, folder)
    with Board(folder, settings, crew, keeping.steps_done(folder)) as board:
        done = loop.run(
            model, lessons, settings, crew, folder, examine=examiner, tell=board, stop_after=stop_after
        )
    if done == settings.steps:
        _save(model, config, processor, folder / "model", crew, settings)
    return _tell_done(folder, plan, Result(done, len(learning.examples), learning.cut, lost), settings, crew)


def order_of(found: Survey, settings: Tune) -> Order:
    """The order in which the examples are trained on."""
    return Order(
        found.lengths,
        [example.task for example in found.examples],
        batch=settings.batch,
        bucket=settings.bucket,
        mixture=settings.mixture,
        seed=settings.seed,
    )


def _tell_done(folder: Path, plan: dict[str, Any], result: Result, settings: Tune, crew: Team) -> Result:
    if crew.leads and result.steps == settings.steps:
        page = {"config": plan, "result": asdict(result)}
        (folder / DONE).write_text(json.dumps(page, indent=1) + "\n")
    return result


def _result(folder: Path, plan: dict[str, Any]) -> Result | None:
    """What a finished run in the folder has done. Raises `StoreMismatch` where that was another one."""
    page = folder / DONE
    if not page.is_file() or not (folder / "model" / "config.json").is_file():
        return None
    found = json.loads(page.read_text())
    keeping.refuse_other(folder, found["config"], plan)
    return Result(**found["result"])


def _check_shapes(talks: Talks) -> None:
    widths = sorted({width for _, width in talks.shapes.values()})
    if len(widths) != 1:
        found = ", ".join(map(str, widths)) or "none"
        raise UserMustAct(
            f"The frames must be of one width; found: {found}. Embed all clips with one encoder."
        )


def _begin(
    recipe: Recipe, settings: Tune, talks: Talks, crew: Team, base: str | Path | None
) -> tuple[Any, Any]:
    return checkpoint.new_model(
        base or recipe.model.base,
        audio_width=next(iter(talks.shapes.values()))[1],
        frames_per_second=talks.frames_per_second,
        projector=recipe.model.projector,
        max_audio_positions=recipe.model.audio_positions,
        conversation=settings.conversation,
        seed=settings.seed,
        loading=quantizing.loading(settings, crew),
    )


def _surveys(
    talks: Talks, settings: Tune, reading: Reading, folder: Path, crew: Team
) -> tuple[Survey, Survey]:
    """The examples that are learnt from, and those of validation clips."""
    every = examples_of(talks.exchanges, settings)
    found = measured(folder, every, talks.shapes, reading, crew)
    watched = np.array([example.clip_id in talks.validation for example in every], bool)

    def some(rows: np.ndarray) -> Survey:
        taken = Measures(*(array[rows] for array in vars(found).values()))
        return survey([every[i] for i in rows], taken, settings.most_tokens)

    return some(np.flatnonzero(~watched)), some(np.flatnonzero(watched))


def _write_dropped(folder: Path, dropped: Sequence[Dropped], crew: Team) -> dict[str, int]:
    """Each drop as a line of dropped.jsonl; how many there are by reason."""
    counts: dict[str, int] = {}
    for one in dropped:
        counts[one.reason] = counts.get(one.reason, 0) + 1
    if crew.leads:
        folder.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in dropped)
        (folder / "dropped.jsonl").write_text("".join(lines))
    return counts


def _refuse_loss(found: Survey, talks: Talks) -> None:
    lost, whole = len(found.dropped), len(found.dropped) + len(found.examples)
    if whole and lost > DROP_SHARE * whole:
        why = sorted({one.reason for one in found.dropped})
        raise UserMustAct(
            f"{lost} of {whole} examples would be dropped ({', '.join(why)}; see dropped.jsonl). Embed the "
            "clips that the exchanges are about, or raise tune.most_tokens."
        )


def _make_trainable(model: Any, recipe: Recipe, settings: Tune) -> None:
    """Projector and markers always learn; of the language model what the recipe says."""
    if settings.weights == "lora":
        checkpoint.add_lora(
            model,
            checkpoint.Lora(
                recipe.model.lora_rank, settings.lora_alpha, settings.lora_dropout, recipe.model.lora_targets
            ),
        )
    else:
        model.language_model.requires_grad_(settings.weights == "full")
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})


def _normalise(model: Any, found: Survey, talks: Talks) -> None:
    """Mean and deviation of the frames of some clips, evenly over those that are trained on."""
    clips = sorted({example.clip_id for example in found.examples})
    some = clips[:: max(1, len(clips) // NORMALISED_ON)][:NORMALISED_ON]
    total = torch.zeros(model.config.audio_width, dtype=torch.float64)
    squares, count = torch.zeros_like(total), 0
    for clip in some:
        frames = torch.from_numpy(talks.embeddings[clip].frames).double()
        total, squares, count = total + frames.sum(0), squares + frames.square().sum(0), count + len(frames)
    mean = total / max(1, count)
    deviation = (squares / max(1, count) - mean.square()).clamp(min=0).sqrt()
    model.set_normalisation(mean.float(), deviation.float())


def _plan(recipe: Recipe, talks: Talks) -> dict[str, Any]:
    """What a checkpoint is for: the recipe where it matters to the weights, and what is trained on."""
    said = ((one.clip_id, one.task, one.question, one.answer) for one in talks.exchanges)
    exchanges = hashlib.sha256("\n".join(map(json.dumps, said)).encode()).hexdigest()
    told = plans.plain(recipe)
    settings = {key: value for key, value in told["tune"].items() if key not in _FREE}
    return {"model": told["model"], "tune": settings, "examples": exchanges, "source": talks.source}


_FREE = ("micro_batch", "packed", "sharding", "save_every", "keep", "evaluate_every", "evaluate_examples",
         "sample_answers", "tensorboard", "wandb", "gradient_checkpointing")  # fmt: skip
"""May change when a run goes on."""


def _save(model: Any, config: Any, processor: Any, out: Path, crew: Team, settings: Tune) -> None:
    """The trained model as a folder of its own, by the process that leads."""
    weights = keeping.whole_weights(model)
    if crew.leads:
        checkpoint_folder = out.with_name(".model.writing")
        if settings.weights == "full":
            whole = LlarkForConditionalGeneration(config)
            whole.load_state_dict(weights, strict=False)
            whole.tie_weights()
            checkpoint.save_whole(whole, processor, checkpoint_folder)
        else:
            bare = getattr(model, "module", model)
            checkpoint.save_adapter(bare, checkpoint_folder, weights)
        _replace(checkpoint_folder, out)
    crew.wait()


def _replace(made: Path, final: Path) -> None:
    import shutil

    shutil.rmtree(final, ignore_errors=True)
    made.rename(final)
