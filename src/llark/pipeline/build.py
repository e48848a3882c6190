"""The stages of `llark build`: recordings → a model of any encoder; trials and reports."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from llark.errors import UserMustAct
from llark.records import Clip
from llark.storage import artifacts, stages

if TYPE_CHECKING:
    from llark.embed.encoder import Settings
    from llark.recipe import Recipe

MODEL, TRAIN = "model", "train"


def small(recipe: Recipe, limit: int) -> Recipe:
    """The same experiment on `limit` clips of the built-in corpus (or recordings of a source), with a few
    steps."""
    if recipe.prepare.source is None and limit < 8:
        raise UserMustAct(f"--limit {limit} is too small: training and test need at least 8 clips in all.")
    few, heads = min(recipe.train.batch, 4), recipe.train.heads
    change = {
        "corpus": {"clips": limit, "sources": ("builtin",), "renderer": "midirenderer"},
        "train": {
            "steps": min(recipe.train.steps, 10), "batch": few, "save_every": 5, "precision": "float32",
            "micro_batch": math.gcd(few, recipe.train.micro_batch), "evaluate_examples": 8,
            "evaluate_every": min(recipe.train.evaluate_every, 5),
            "heads": heads and heads.model_copy(update={"epochs": min(heads.epochs, 20)}),
        },
        "evaluate": {"clips": min(recipe.evaluate.clips, max(2, limit // 4))},
    }  # fmt: skip
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update=values) for name, values in change.items()}
    )


def gather(recipe: Recipe, out: Path, limit: int | None, workers: int) -> None:
    """The recordings that the recipe names → tracks, clips, and truths where the data set labels anything.

    `limit`: at most so many recordings.
    """
    from llark.prepare import stage
    from llark.prepare.crop import Crop

    settings = stage.PrepareOptions(
        source=str(recipe.prepare.source),
        dataset=recipe.prepare.dataset,
        crop=Crop(recipe.prepare.window_seconds),
        limit=limit,
    )
    stage.run(settings, str(out), workers=workers)


def settings_of(recipe: Recipe) -> Settings:
    """The encoder of a recipe."""
    from llark.embed.encoder import NATIVE, Settings

    said = recipe.embed
    usual = NATIVE if said.encoder == "mini" else "10"
    rate = usual if said.rate is None else str(said.rate)
    return Settings(said.encoder, said.weights, said.compat, said.layer, rate)


def instruct(recipe: Recipe, out: Path) -> None:
    """Questions by the grammar from the labels, and where there is none from what was measured."""
    from llark.pipeline.instruct import InstructOptions
    from llark.pipeline.instruct import instruct as teach_all

    teach = recipe.instruct
    if teach.teacher != "offline":
        raise UserMustAct(
            f"instruct.teacher {teach.teacher}: a build asks no endpoint. Run llark instruct {out} --teacher "
            f"… --out DIR, and then llark train with --data {out} DIR."
        )
    teach_all([str(out)], str(out), InstructOptions(most=teach.exchanges_per_clip, seed=teach.seed))


def train(recipe: Recipe, out: Path) -> bool:
    """Trains in `out`/train, and puts the model into `out`/model. Whether this process is the main one."""
    from llark.pipeline import train as training
    from llark.train import distributed

    with distributed.join() as world:
        if not (out / MODEL / "config.json").is_file():
            training.train_on(recipe, [str(out)], out / TRAIN, world)
            world.wait()
            if world.is_main:
                os.replace(out / TRAIN / MODEL, out / MODEL)
        world.wait()
        return world.is_main


def report(recipe: Recipe, out: Path) -> str:
    """The table of the model's answers beside the labels; where there are none, what was made."""
    from llark.pipeline import evaluate as walk

    made = artifacts.look(out)
    if made.corpora or made.truths:
        return walk.evaluate_model(out, out / "report", out / MODEL, recipe.evaluate.clips)
    clips = sum(1 for _ in stages.read(out / "clips", Clip))
    exchanges = stages.about(out / "exchanges")["counts"]["out"]
    return (
        f"{clips} clips; {exchanges} exchanges about them\n{out / MODEL}: trained. Nobody has labelled these "
        f'recordings, so it was not evaluated; ask it: llark ask SONG "…" --model {out / MODEL}'
    )
