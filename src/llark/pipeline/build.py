"""`llark build`: recordings → a model, every stage of a recipe, top to bottom.

```
files ─prepare→ clips ─┬─listen→ annotations ─instruct→ exchanges ─┐
                       └─listen→ embeddings ───────────────────────┴─train→ model ─evaluate→ report
```
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llark.errors import UserMustAct
from llark.records import Clip
from llark.storage import artifacts, folders, stages

if TYPE_CHECKING:
    from llark import recipe as sections
    from llark.embed.encoder import EncoderOptions
    from llark.recipe import Recipe
    from llark.train.distributed import World

MODEL, TRAIN = "model", "train"


def build(
    recipe_path: Path, out: Path, *, overrides: Sequence[str] = (), limit: int | None = None, workers: int = 2
) -> str:
    """Every stage of a recipe into `out`; returns the report's table. Run again, a stopped build goes on.

    Under torchrun all processes train; the first one alone does the rest, and the others return nothing.
    """
    from llark import recipe as recipes
    from llark.train import distributed

    recipe = recipes.load(recipe_path, overrides)
    if limit is not None:
        recipe = small(recipe, limit)
    with distributed.main_first() as is_main:
        if is_main:
            prepare(recipe.prepare, recipe.corpus, out, limit, workers)
            listen(recipe.embed, out, workers)
            instruct(recipe.instruct, out)
    with distributed.join() as world:
        train(recipe.model, recipe.train, out, world)
    return evaluate(recipe.evaluate, out) if world.is_main else ""


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


def prepare(
    config: sections.Prepare, rendered: sections.Corpus, out: Path, limit: int | None, workers: int
) -> None:
    """The recordings that the recipe names → tracks, clips, and truths where the data set labels anything;
    without a source a corpus is rendered, and its recordings → clips.

    `limit`: at most so many recordings.
    """
    from llark.corpus.clips import render
    from llark.pipeline.prepare import cut_corpus
    from llark.prepare import stage
    from llark.prepare.crop import Crop

    if config.source is not None:
        crop = Crop(config.window_seconds)
        options = stage.PrepareConfig(source=config.source, dataset=config.dataset, crop=crop, limit=limit)
        stage.run(options, str(out), workers=workers)
        return
    render(
        out / "corpus",
        clips=rendered.clips,
        seed=rendered.seed,
        sources=rendered.sources,
        renderer=rendered.renderer,
        workers=workers,
    )
    cut_corpus(out / "corpus", out / "clips", config.window_seconds)


def listen(config: sections.Embed, out: Path, workers: int) -> None:
    """Clips → what is measured in them, and the frames of the recipe's encoder."""
    from llark.pipeline import listen as listening

    clips, annotations, embeddings = (out / name for name in ("clips", "annotations", "embeddings"))
    listening.listen(clips, annotations, embeddings, encoder_of(config), workers)


def encoder_of(config: sections.Embed) -> EncoderOptions:
    """The encoder of a recipe."""
    from llark.embed.encoder import NATIVE, EncoderOptions

    usual = NATIVE if config.encoder == "mini" else "10"
    rate = usual if config.rate is None else str(config.rate)
    return EncoderOptions(config.encoder, config.weights, config.compat, config.layer, rate)


def instruct(config: sections.Instruct, out: Path) -> None:
    """Labels and annotations → questions and answers about each clip, by the grammar."""
    from llark.pipeline.instruct import instruct_recipe

    instruct_recipe(config, out)


def train(model: sections.Model, config: sections.Train, out: Path, world: World) -> None:
    """Exchanges and embeddings → a model, trained in `out`/train and put into `out`/model."""
    from llark.pipeline.train import train_on

    (finished,) = world.sum(float((out / MODEL / "config.json").is_file()))
    if not finished:
        train_on(model, config, [str(out)], out / TRAIN, world)
        world.wait()
        if world.is_main:
            folders.replace(out / TRAIN / MODEL, out / MODEL)


def evaluate(config: sections.Evaluate, out: Path) -> str:
    """The table of the model's answers beside the labels; where there are none, what was made."""
    from llark.pipeline.evaluate import evaluate_model

    made = artifacts.look(out)
    if made.corpora or made.truths:
        return evaluate_model(out, out / "report", out / MODEL, config.clips)
    clips = sum(1 for _ in stages.read(out / "clips", Clip))
    exchanges = stages.about(out / "exchanges")["counts"]["out"]
    return (
        f"{clips} clips; {exchanges} exchanges about them\n{out / MODEL}: trained. Nobody has labelled these "
        f'recordings, so it was not evaluated; ask it: llark ask SONG "…" --model {out / MODEL}'
    )
