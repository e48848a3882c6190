"""The walk of `llark build` for recipes with a section `tune`: recordings → a model of any encoder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from llark import store
from llark.errors import UserMustAct
from llark.records import Clip

if TYPE_CHECKING:
    from llark.embed.settings import Settings
    from llark.recipe import Recipe

MODEL, TRAIN = "model", "train"


def gather(recipe: Recipe, out: Path, limit: int | None, workers: int) -> None:
    """The recordings that the recipe names → tracks, clips, and truths where the data set labels anything.

    `limit`: at most so many recordings.
    """
    from llark.prepare import stage
    from llark.prepare.crop import Crop

    settings = stage.Settings(
        source=str(recipe.prepare.source),
        dataset=recipe.prepare.dataset,
        crop=Crop(recipe.prepare.window_seconds),
        limit=limit,
    )
    stage.run(settings, str(out), workers=workers)


def tuned(recipe: Recipe, out: Path, workers: int) -> str:
    """From the clips in `out` to a model in `out`/model; returns the report's table, where there are labels
    to compare its answers with, else what was made. Run again, a stopped build goes on.
    """
    from llark.walks import evaluate as evaluating

    _annotate(out, workers)
    _embed(recipe, out)
    made = _instruct(recipe, out)
    train(recipe, out)
    if any((out / name / store.ABOUT).is_file() for name in ("corpus", "truths")):
        return evaluating.evaluate_model(out, out / "report", out / MODEL, recipe.evaluate.clips)
    clips = sum(1 for _ in store.read(out / "clips", Clip))
    return (
        f"{clips} clips; {made}\n{out / MODEL}: trained. Nobody has labelled these recordings, so it was not "
        f'evaluated; ask it: llark ask SONG "…" --model {out / MODEL}'
    )


def _annotate(out: Path, workers: int) -> None:
    from llark import facts

    for _ in facts.of_folder([out], out / "annotations", facts.Wanted(json=True), workers):
        pass


def _embed(recipe: Recipe, out: Path) -> None:
    from llark.embed import encoder as encoders
    from llark.walks import embed

    embed.run(str(out), str(out / "embeddings"), settings_of(recipe), encoders.device())


def settings_of(recipe: Recipe) -> Settings:
    """The encoder of a recipe."""
    from llark.embed.settings import NATIVE, Settings

    said = recipe.embed
    usual = NATIVE if said.encoder == "mini" else "10"
    rate = usual if said.rate is None else str(said.rate)
    return Settings(said.encoder, said.weights, said.compat, said.layer, rate)


def _instruct(recipe: Recipe, out: Path) -> str:
    """Questions by the grammar from the labels, and where there is none from what was measured."""
    from llark.instruct.prompt import FAMILIES
    from llark.instruct.stage import Settings
    from llark.walks import instruct
    from llark.walks.instruct_material import Material

    teach = recipe.instruct
    if teach.teacher != "offline":
        raise UserMustAct(
            f"instruct.teacher {teach.teacher}: a build asks no endpoint. Run llark instruct {out} --teacher "
            f"… --out DIR, and then llark train with --data {out} DIR."
        )
    settings = Settings("offline-2", "", FAMILIES, teach.seed)
    offline = instruct.Offline(teach.exchanges_per_clip)
    task = instruct.Task(Material((str(out),)), str(out), settings, offline)
    return instruct.instruct(task).splitlines()[0]


def train(recipe: Recipe, out: Path) -> None:
    """Trains in `out`/train, and puts the model into `out`/model."""
    from llark.train import talking, team
    from llark.walks import ears
    from llark.walks import train as walk

    if (out / MODEL / "config.json").is_file():
        return
    data = [str(out)]
    heard_with = ears.record_of(walk.folders(data).embeddings)
    with team.gather() as crew:
        talking.fit_model(recipe, walk.talks(data), out / TRAIN, crew)
    walk.remember(out / TRAIN / MODEL, heard_with, recipe.model.base)
    os.replace(out / TRAIN / MODEL, out / MODEL)
