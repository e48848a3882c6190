"""The walk of `llark train`: exchanges and frames → a model; plans, trials and imports of checkpoints."""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llark import recipe
from llark.errors import UserMustAct
from llark.records import Annotation, Clip, Embedding, Exchange
from llark.storage import artifacts, stages
from llark.storage.artifacts import Artifacts
from llark.storage.folders import Place

if TYPE_CHECKING:
    from llark.recipe import Recipe
    from llark.train import Material
    from llark.train.sizes import Load
    from llark.train.talking import Result, Talks

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
    made = recipe.load(path, overrides)
    if made.tune is None:
        if len(data) != 1 or not Path(data[0]).is_dir():
            raise UserMustAct(
                f"{made.name} has no section tune: give one folder that llark build has filled."
            )
        return aligned(made, Path(data[0]), out, base, device)
    from llark.pipeline import ears
    from llark.train import talking, team

    heard_with = ears.record_of(folders(data).embeddings)
    with team.gather(device) as crew:
        result = talking.fit_model(made, talks(data), out, crew, base)
        if crew.leads:
            remember(out / MODEL, heard_with, base or made.model.base)
        return said(result, out) if crew.leads else ""


def said(result: Result, out: Path) -> str:
    """What training made and lost, in two lines."""
    dropped = ", ".join(f"{reason} {count}" for reason, count in sorted(result.dropped.items())) or "none"
    return (
        f"{out / MODEL}: {result.steps} steps, on {result.examples} examples\n"
        f"  cut to the longest length: {result.cut}; dropped: {dropped}"
    )


def remember(model: Path, audio_encoder: Mapping[str, Any], base: str | Path | None) -> None:
    """Writes into a model's folder what made its frames, and where its base lies if that is a folder."""
    from llark.model import checkpoint

    is_folder = base is not None and Path(base).expanduser().is_dir()
    checkpoint.remember(model, audio_encoder=audio_encoder, base=base if is_folder else None)


def smoke(path: Path, out: Path, *, overrides: Sequence[str] = (), device: str | None = None) -> str:
    """Ten steps of a recipe with a tiny base and tiny frames of chance."""
    from llark.train import sizes, talking, team
    from llark.train import smoke as trial

    made = recipe.load(path, overrides)
    if made.tune is None:
        raise UserMustAct(
            f"{path} has no section tune; try it with: llark build {path} --out DIR --limit 24."
        )
    text = sizes.text_config(made.model.base)
    model_type = str(text.model_type)
    with team.gather(device) as crew:
        base = out / "base"
        if crew.leads and not (base / "config.json").is_file():
            trial.write_base(model_type, base, bool(text.tie_word_embeddings))
        crew.wait()
        little = trial.small(made)
        result = talking.fit_model(little, trial.talks(little), out, crew, base)
        return f"{said(result, out)}\n  base: a {model_type} of chance" if crew.leads else ""


def plan(path: Path, data: Sequence[str] = (), *, overrides: Sequence[str] = ()) -> str:
    """What a recipe takes: parameters, memory, operations, hours and money. With data: of that."""
    from llark.train import sizes

    made = recipe.load(path, overrides)
    width, _ = sizes.ENCODERS[made.embed.encoder.split(":")[0]]
    if not data:
        return sizes.table(made, sizes.shape_of(made, width), sizes.guess_load(made), guessed=True)
    found = talks(data)
    width = next(iter(found.shapes.values()))[1]
    return sizes.table(made, sizes.shape_of(made, width), _mean_example(made, found), guessed=False)


def _mean_example(made: Recipe, found: Talks) -> Load:
    """Positions counted, words by their letters over four: the base's tokenizer may not be here."""
    from llark.train import sizes
    from llark.train.talks import examples_of

    if made.tune is None:
        raise UserMustAct(sizes.NO_PLAN.format(name=made.name))
    every = [one for one in examples_of(found.exchanges, made.tune) if one.clip_id in found.shapes]
    if not every:
        raise UserMustAct("No exchange is about a clip that was embedded.")
    answers = sum(len(answer) for one in every for _, answer in one.turns) / 4
    words = sum(len(question) for one in every for question, _ in one.turns) / 4 + answers
    positions = sum(min(found.shapes[one.clip_id][0], made.model.audio_positions) for one in every)
    fixed = 60 if made.tune.conversation == "published" else 10
    mean = (words + positions) / len(every) + fixed
    return sizes.Load(min(mean, made.tune.most_tokens), answers / len(every))


def import_checkpoint(folder: Path, out: Path, tokenizer: Path | None, dtype: str) -> str:
    """A checkpoint of the published training code → a model folder of this package."""
    import torch

    from llark.model import published
    from llark.pipeline import ears

    found = published.import_checkpoint(folder, out, tokenizer=tokenizer, dtype=getattr(torch, dtype))
    remember(out, ears.of_published(found.audio_width), None)
    return (
        f"{out}: {found.kind}, {found.parameters / 1e9:.2f} B parameters from {found.tensors} tensors, "
        f"frames of width {found.audio_width}\n  projector: from {found.projector_file}"
    )


# --- data -------------------------------------------------------------------------------------------------


def talks(data: Sequence[str]) -> Talks:
    """Exchanges, frames and splits from all places. Test clips are left out.

    Raises `UserMustAct` where a place holds nothing of use, or exchanges or frames are nowhere.
    """
    from llark.train.talking import Talks

    found = folders(data)
    embeddings = [Checked(stages.read_embeddings(place)) for place in found.embeddings]
    splits = {clip.id: clip.split for place in found.clips for clip in stages.read(place, Clip)}
    every = (one for place in found.exchanges for one in stages.read(place, Exchange))
    rates = {shard.frames_per_second for shard in embeddings}
    if len(rates) != 1:
        raise UserMustAct(
            f"The embeddings have {len(rates)} rates of frames; embed all clips with one encoder."
        )
    return Talks(
        exchanges=[one for one in every if splits.get(one.clip_id) != "test"],
        embeddings=ChainMap(*embeddings),  # type: ignore[arg-type]
        shapes={clip: shard.inner.shape(clip) for shard in embeddings for clip in shard},
        frames_per_second=rates.pop(),
        validation=frozenset(clip for clip, split in splits.items() if split == "validation"),
        source=_digest([*found.exchanges, *found.embeddings, *found.clips]),
    )


def folders(data: Sequence[str]) -> Artifacts:
    """The stages' folders in these places."""
    kinds = ("exchanges", "embeddings", "clips")
    found = artifacts.find(data, kinds, "training reads those of instruct and embed")
    for name, command in (("exchanges", "instruct"), ("embeddings", "embed")):
        if not getattr(found, name):
            raise UserMustAct(
                f"There are no {name} in {', '.join(data)}: make them with llark {command}, and name both "
                "folders after --data."
            )
    return found


class Checked(Mapping[str, Embedding]):
    """Embeddings whose frames are compared with what was written when they are first read."""

    def __init__(self, inner: stages.Embeddings) -> None:
        self.inner = inner
        self._known: set[str] = set()
        first = next(iter(inner), None)
        self.frames_per_second = float(inner.entry(first)["frames_per_second"]) if first else 0.0

    def __getitem__(self, clip: str) -> Embedding:
        found = self.inner[clip]
        if clip not in self._known:
            if hashlib.sha256(found.frames.tobytes()).hexdigest() != self.inner.entry(clip)["sha256"]:
                raise UserMustAct(
                    f"{self.inner.folder}: the frames of {clip} are not those that were written."
                )
            self._known.add(clip)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.inner)

    def __len__(self) -> int:
        return len(self.inner)


def _digest(places: Sequence[Place]) -> str:
    """Of what the folders say of themselves."""
    pages = [str(stages.about(place)["sha256"]) for place in places]
    return hashlib.sha256("\n".join(pages).encode()).hexdigest()


# --- the model in the box ---------------------------------------------------------------------------------


def aligned(made: Recipe, data: Path, out: Path, base: Path | None = None, device: str | None = None) -> str:
    """The training of `mini` on what a build has made in `data`: heads, adapter and projector."""
    from llark import train as training
    from llark.pipeline import ears
    from llark.pipeline.ask import bundled_model
    from llark.train import team

    if (out / MODEL / "config.json").is_file():
        return f"{out / MODEL}: was there already"
    if base is not None:
        made = made.model_copy(update={"model": made.model.model_copy(update={"base": str(base)})})
    found = material(data)
    start = made.model.start_from
    begin = bundled_model() if start == "bundled" else Path(start) if start else None
    with team.gather(device) as crew:
        training.run(made, found, out / "train", out / MODEL, begin, crew)
        if not crew.leads:
            return ""
        remember(out / MODEL, ears.record_of([data / "embeddings"]), made.model.base)
    return f"{out / MODEL}: {made.train.steps} steps, on {len(found.clips)} clips"


def material(data: Path) -> Material:
    """All that the training of `mini` reads of a build; test clips are left out."""
    from llark import corpus
    from llark.embed import mini
    from llark.music import facts_line
    from llark.pipeline import rendered
    from llark.train import Material

    clips = [clip for clip in stages.read(data / "clips", Clip) if clip.split != "test"]
    truth = rendered.truths(data)
    groups = {track.id: track.group or track.id for track, _ in corpus.read(data / "corpus")}
    measured = stages.read(data / "annotations", Annotation)
    return Material(
        clips=clips,
        truths=[truth[clip.id] for clip in clips],
        groups=[groups[clip.track_id] for clip in clips],
        embeddings=stages.read_embeddings(data / "embeddings"),
        layout={name: (part.start, part.stop) for name, part in mini.PARTS.items()},
        facts={one.clip_id: facts_line.describe_facts(one) for one in measured},
        heard=_by_clip(data / "exchanges" / "heard"),
        measured=_by_clip(data / "exchanges" / "measured"),
    )


def _by_clip(folder: Path) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for exchange in stages.read(folder, Exchange):
        found.setdefault(exchange.clip_id, []).append((exchange.question, exchange.answer))
    return found
