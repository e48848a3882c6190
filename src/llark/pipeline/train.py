"""`llark train`: exchanges and frames → a model; plans, trials and imports of checkpoints."""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llark import recipe
from llark.errors import UserMustAct
from llark.options import require
from llark.records import Annotation, Clip, Exchange
from llark.storage import artifacts, stages
from llark.storage.artifacts import Artifacts
from llark.storage.embeddings import Embeddings
from llark.storage.folders import Place

if TYPE_CHECKING:
    from llark.recipe import Model, Recipe, Train
    from llark.train import TrainResult
    from llark.train.data import TrainData
    from llark.train.distributed import World
    from llark.train.plan import Load

MODEL = "model"


def train(
    path: Path,
    data: Sequence[str],
    out: Path,
    *,
    overrides: Sequence[str] = (),
    base: Path | None = None,
    device: str | None = None,
) -> str:
    """Trains the model of a recipe into `out`, where it goes on from what is there; what was made and lost.

    `data`: folders that instruct, embed, prepare or build have filled. `base`: a folder with the base model.
    Under torchrun every process calls this; the others than the first return nothing.
    """
    from llark.train import distributed

    require(tuple[str, ...], data=data)
    made = recipe.load(path, overrides)
    with distributed.join(device) as world:
        result = train_on(made.model, made.train, data, out, world, base)
        return summary(result, out) if world.is_main else ""


def train_on(
    model: Model, config: Train, data: Sequence[str], out: Path, world: World, base: Path | None = None
) -> TrainResult:
    """The training of two sections of a recipe on what lies in these places, into `out`."""
    from llark import train as training
    from llark.embed import record
    from llark.options import bundled_model

    start = model.start_from
    places = folders(data)
    return training.fit_model(
        model,
        config,
        read_data(places, config),
        out,
        world,
        base=base,
        start_from=bundled_model() if start == "bundled" else Path(start) if start else None,
        audio_encoder=record.record_of(places.embeddings),
    )


def summary(result: TrainResult, out: Path) -> str:
    """What training made and lost, in two lines."""
    dropped = ", ".join(f"{reason} {count}" for reason, count in sorted(result.dropped.items())) or "none"
    return (
        f"{out / MODEL}: {result.steps} steps, on {result.examples} examples\n"
        f"  cut to the longest length: {result.cut}; dropped: {dropped}"
    )


def smoke(path: Path, out: Path, *, overrides: Sequence[str] = (), device: str | None = None) -> str:
    """Ten steps of a recipe with a tiny base and tiny random frames."""
    from llark import train as training
    from llark.train import distributed, plan
    from llark.train import smoke as trial

    made = recipe.load(path, overrides)
    text = plan.text_config(made.model.base)
    model_type = str(text.model_type)
    with distributed.join(device) as world:
        base = out / "base"
        if world.is_main and not (base / "config.json").is_file():
            trial.write_base(model_type, base, bool(text.tie_word_embeddings))
        world.wait()
        little = trial.small(made)
        result = training.fit_model(little.model, little.train, trial.data_of(little), out, world, base=base)
        return f"{summary(result, out)}\n  base: a random {model_type}" if world.is_main else ""


def plan(path: Path, data: Sequence[str] = (), *, overrides: Sequence[str] = ()) -> str:
    """What a recipe takes: parameters, memory, operations, hours and money. With data: of that."""
    from llark.train import plan as plans

    made = recipe.load(path, overrides)
    width, _ = plans.ENCODERS[made.embed.encoder.split(":")[0]]
    if not data:
        return plans.table(made, plans.shape_of(made, width), plans.guess_load(made), guessed=True)
    read = read_data(folders(data), made.train)
    width = next(iter(read.shapes.values()))[1]
    return plans.table(made, plans.shape_of(made, width), _mean_example(made, read), guessed=False)


def _mean_example(made: Recipe, read: TrainData) -> Load:
    """Positions counted, words by their letters over four: the base's tokenizer may not be here."""
    from llark.train.data import examples_of
    from llark.train.plan import TEMPLATE_TOKENS, Load

    every = [one for one in examples_of(read.exchanges, made.train) if one.clip_id in read.shapes]
    if not every:
        raise UserMustAct("No exchange is about a clip that was embedded.")
    answers = sum(len(answer) for one in every for _, answer in one.turns) / 4
    words = sum(len(question) for one in every for question, _ in one.turns) / 4 + answers
    positions = sum(min(read.shapes[one.clip_id][0], made.model.audio_positions) for one in every)
    mean = (words + positions) / len(every) + TEMPLATE_TOKENS[made.train.conversation]
    return Load(min(mean, made.train.most_tokens), answers / len(every))


def import_checkpoint(folder: Path, out: Path, tokenizer: Path | None, dtype: str) -> str:
    """A checkpoint of the published training code → a model folder of this package."""
    import torch

    from llark.embed import record
    from llark.model import published

    made = published.import_checkpoint(
        folder, out, tokenizer=tokenizer, dtype=getattr(torch, dtype), encoder_of=record.of_published
    )
    return (
        f"{out}: {made.kind}, {made.parameters / 1e9:.2f} B parameters from {made.tensors} tensors, "
        f"frames of width {made.audio_width}\n  projector: from {made.projector_file}"
    )


# --- data -------------------------------------------------------------------------------------------------


def read_data(places: Artifacts, config: Train) -> TrainData:
    """What a training reads of these folders. Test clips are left out."""
    from llark.train.data import TrainData

    embeddings = [Embeddings(place) for place in places.embeddings]
    clips = [clip for place in places.clips for clip in stages.read(place, Clip)]
    splits = {clip.id: clip.split for clip in clips}
    rates = {shard.frames_per_second for shard in embeddings}
    if len(rates) != 1:
        raise UserMustAct(
            f"The embeddings have {len(rates)} rates of frames; embed all clips with one encoder."
        )

    def exchanges(folders: Sequence[Place]) -> list[Exchange]:
        every = (one for place in folders for one in stages.read(place, Exchange))
        return [one for one in every if splits.get(one.clip_id) != "test"]

    data = TrainData(
        exchanges=exchanges(places.exchanges),
        embeddings=ChainMap(*embeddings),  # type: ignore[arg-type]
        shapes={clip: shard.shape(clip) for shard in embeddings for clip in shard},
        frames_per_second=rates.pop(),
        validation=frozenset(clip for clip, split in splits.items() if split == "validation"),
        source=_digest([*places.exchanges, *places.embeddings, *places.clips]),
    )
    if config.facts_share:
        data = _with_facts(data, exchanges(places.measured_exchanges), places)
    return data if config.heads is None else _with_truths(data, clips, places)


def _with_facts(data: TrainData, exchanges: list[Exchange], places: Artifacts) -> TrainData:
    """The data with what was measured in each clip, and questions about that."""
    from llark.music import facts_line

    if not exchanges or not places.annotations:
        raise UserMustAct(
            "train.facts_share shows what was measured, but there are no questions about that: give the "
            "folder of a llark build, or set it to 0."
        )
    measured = (one for place in places.annotations for one in stages.read(place, Annotation))
    facts = {one.clip_id: facts_line.describe_facts(one) for one in measured}
    return replace(data, facts=facts, fact_exchanges=exchanges)


def _with_truths(data: TrainData, clips: Sequence[Clip], places: Artifacts) -> TrainData:
    """The data with the truth about each clip, for the concept heads."""
    from llark.embed import mini
    from llark.pipeline.prepare import corpus_truths

    if not places.corpora:
        raise UserMustAct(
            "train.heads learn from the truth of rendered clips: give the folder of a llark build that "
            "rendered its corpus, or set train.heads to null."
        )
    known = corpus_truths(places.corpora, (clip for clip in clips if clip.split != "test"))
    return replace(
        data,
        truths={clip: truth for clip, (_, truth) in known.items()},
        groups={clip: track.group or track.id for clip, (track, _) in known.items()},
        layout={name: (part.start, part.stop) for name, part in mini.PARTS.items()},
    )


def folders(data: Sequence[str]) -> Artifacts:
    """The stages' folders in these places.

    Raises `UserMustAct` where a place holds nothing of use, or exchanges or frames are nowhere.
    """
    kinds = ("exchanges", "embeddings", "clips")
    places = artifacts.find(data, kinds, "training reads those of instruct and embed")
    for name, command in (("exchanges", "instruct"), ("embeddings", "embed")):
        if not getattr(places, name):
            raise UserMustAct(
                f"There are no {name} in {', '.join(data)}: make them with llark {command}, and name both "
                "folders after --data."
            )
    return places


def _digest(places: Sequence[Place]) -> str:
    """Of what the folders say of themselves."""
    pages = [str(stages.about(place)["sha256"]) for place in places]
    return hashlib.sha256("\n".join(pages).encode()).hexdigest()
