"""The two walks, top to bottom: `ask` a song, and `build` a model.

The rooms do the work and know nothing of each other; this page says in which order they are passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llark import audio, engine, store
from llark.errors import UserMustAct
from llark.records import Annotation, Clip, Dropped, Embedding
from llark.walks.ask import Choice as Choice
from llark.walks.ask import HeardSong as HeardSong
from llark.walks.ask import Listener, hearing_of
from llark.walks.ask import bundled_model as bundled_model
from llark.walks.ask import cut as cut
from llark.walks.ask import hear as hear

if TYPE_CHECKING:
    from llark.prepare.stage import Settings
    from llark.recipe import Recipe
    from llark.show import AskResult


# --- ask --------------------------------------------------------------------------------------------------


def ask(
    path: Path, questions: Sequence[str], *, facts: bool | None = None, choice: Choice | None = None
) -> AskResult:
    """Answers to questions about a recording of any length, with the facts measured in it.

    The whole song is heard, window by window, by the annotators and by the encoder that the model was trained
    with; `facts` says whether the model is shown what was measured (if not said: if it was trained to).
    Raises `BadAudio` or `UserMustAct` with one clear sentence.
    """
    return Listener(choice).ask(path, *questions, facts=facts)


class Listen:
    """Step: a clip becomes its annotation and its embedding; each network runs once."""

    name = "listen"

    def id_of(self, record: Clip) -> str:
        return record.id

    def open(self) -> None:
        from llark.nets.hearing import Networks

        Networks.shared()

    def __call__(self, record: Clip) -> Iterator[Annotation | Embedding | Dropped]:
        from llark import annotate
        from llark.embed import mini

        hearing = hearing_of(record)
        yield annotate.annotate(hearing, record.id, record.start_seconds)
        yield Embedding(record.id, mini.VERSION, mini.embed(hearing), float(mini.FRAMES_PER_SECOND))


def annotate(
    songs: Sequence[Path],
    out: Path | None = None,
    *,
    json: bool = False,
    jams: Path | None = None,
    plot: Path | None = None,
    notes: bool = False,
    workers: int = 2,
) -> Iterator[str]:
    """The facts of recordings, as they are printed; with `out` kept there, for whole folders of them."""
    from llark import facts

    wanted = facts.Wanted(json, jams, plot, notes)
    return facts.of_songs(songs, wanted) if out is None else facts.of_folder(songs, out, wanted, workers)


def demo_recording() -> Path:
    """The recording that ships with the package."""
    return Path(str(files("llark") / "weights" / "demo" / "feelings.ogg"))


# --- build ------------------------------------------------------------------------------------------------


def build(
    recipe_path: Path, out: Path, *, overrides: Sequence[str] = (), limit: int | None = None, workers: int = 2
) -> str:
    """Every stage of a recipe into `out`; returns the report's table. Run again, a stopped build goes on."""
    from llark import recipe as recipes
    from llark.walks import build as building
    from llark.walks import evaluate as evaluating

    recipe = recipes.load(recipe_path, overrides)
    if limit is not None:
        recipe = small(recipe, limit)
    if recipe.prepare.source is not None:
        building.gather(recipe, out, limit, workers)
    else:
        render_corpus(
            out / "corpus",
            clips=recipe.corpus.clips,
            seed=recipe.corpus.seed,
            sources=recipe.corpus.sources,
            renderer=recipe.corpus.renderer,
            workers=workers,
        )
        prepare(out / "corpus", out / "clips", recipe.prepare.window_seconds)
    if recipe.tune is not None:
        return building.tuned(recipe, out, workers)
    listen(out / "clips", out / "annotations", out / "embeddings", workers)
    instruct(recipe, out)
    train(recipe, out)
    return evaluating.evaluate_model(out, out / "report", out / "model", recipe.evaluate.clips)


def small(recipe: Recipe, limit: int) -> Recipe:
    """The same experiment on `limit` clips of the built-in corpus (or recordings of a source), with a few
    steps."""
    if recipe.prepare.source is None and limit < 8:
        raise UserMustAct(f"--limit {limit} is too small: training and test need at least 8 clips in all.")
    change = {
        "corpus": {"clips": limit, "sources": ("builtin",), "renderer": "midirenderer"},
        "align": {"epochs": min(recipe.align.epochs, 20)},
        "train": {"steps": min(recipe.train.steps, 10), "save_every": 5, "dtype": "float32"},
        "evaluate": {"clips": min(recipe.evaluate.clips, max(2, limit // 4))},
    }
    if recipe.tune is not None:
        few = {"steps": min(recipe.tune.steps, 10), "batch": 4, "micro_batch": 1, "precision": "float32"}
        change["tune"] = few | {"save_every": 5, "evaluate_every": 5, "evaluate_examples": 8}
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update=values) for name, values in change.items()}
    )


def render_corpus(
    out: Path, *, clips: int, seed: int, sources: Sequence[str] | None, renderer: str, workers: int
) -> None:
    """The open corpus: audio/ID.ogg with the truth beside it as audio/ID.json."""
    from llark import corpus

    corpus.render(
        out, clips=clips, seed=seed, sources=sources, renderer=renderer, workers=workers, progress=True
    )


def prepare(corpus_folder: Path, out: Path, window_seconds: float = audio.WINDOW_SECONDS) -> None:
    """A corpus's recordings → clips."""
    from llark import corpus
    from llark.prepare.crop import Crop

    tracks = [track for track, _ in corpus.read(corpus_folder)]
    plan: dict[str, object] = {"tracks": [track.id for track in tracks]}
    if window_seconds != audio.WINDOW_SECONDS:
        plan["window_seconds"] = window_seconds
    writer = store.open_stage(out, "prepare", plan)
    engine.run(Crop(window_seconds), tracks, writer, total=len(tracks))


def prepare_dataset(
    settings: Settings, out: str, *, workers: int = 2, drop_share: float = engine.DROP_SHARE, report: bool
) -> str:
    """A data set, a table or a folder of music → tracks, clips and truths; returns what was made and lost."""
    from llark.prepare import stage, summary

    found = stage.run(settings, out, workers=workers, drop_share=drop_share)
    said = summary.as_text(found)
    if report:
        from llark.prepare.report import write

        said += f"\n  report: {write(found)}"
    return said


def listen(clips_folder: Path, annotations: Path, embeddings: Path, workers: int) -> None:
    """Clips → annotations and embeddings, each clip heard once."""
    from llark import annotate
    from llark.embed import mini

    clips = list(store.read(clips_folder, Clip))
    writer = TwoFolders(
        store.open_stage(annotations, "annotate", {"version": annotate.VERSION}, [clips_folder]),
        store.open_stage(embeddings, "embed", {"encoder": mini.VERSION}, [clips_folder]),
    )
    engine.run(
        Listen(), clips, writer, workers=workers, timeout_seconds=600 if workers else None, total=len(clips)
    )


class TwoFolders:
    """A writer for a step that makes annotations and embeddings: each goes to its own folder."""

    def __init__(self, annotations: store.StageWriter, embeddings: store.StageWriter) -> None:
        self._writers = (annotations, embeddings)

    @property
    def finished(self) -> bool:
        return all(writer.finished for writer in self._writers)

    @property
    def done(self) -> set[str]:
        return self._writers[0].done & self._writers[1].done

    def write(self, input_id: str, outputs: Sequence[object]) -> None:
        for writer, kind in zip(self._writers, (Annotation, Embedding), strict=True):
            if not writer.finished and input_id not in writer.done:
                writer.write(input_id, [o for o in outputs if isinstance(o, (kind, Dropped))])

    def finish(self) -> None:
        for writer in self._writers:
            writer.finish()

    def __enter__(self) -> TwoFolders:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()


def instruct(recipe: Recipe, out: Path) -> None:
    """Questions and answers: from the truth (to be heard), and from the measured facts (to be read)."""
    from llark.instruct.step import InstructConfig, InstructStep

    teach = recipe.instruct
    sources = {
        "heard": list(truths(out).values()),
        "measured": list(store.read(out / "annotations", Annotation)),
    }
    for purpose, known in sources.items():
        unknown: Literal["drums"] | bool = "drums" if purpose == "heard" else True
        step = InstructStep(InstructConfig(teach.exchanges_per_clip, teach.seed, "train", unknown))
        writer = store.open_stage(
            out / "exchanges" / purpose,
            "instruct",
            {**teach.model_dump(), "purpose": purpose},
            [out / "clips"],
        )
        engine.run(step, known, writer, total=len(known))


def truths(out: Path) -> dict[str, Annotation]:
    """The truth of each clip of a built corpus, by clip id."""
    from llark import corpus

    by_track = {track.id: truth for track, truth in corpus.read(out / "corpus")}
    clips = store.read(out / "clips", Clip)
    return {clip.id: replace(by_track[clip.track_id], clip_id=clip.id) for clip in clips}


def train(recipe: Recipe, out: Path) -> None:
    """Aligns the heads, trains adapter and projector together, and writes the model's folder."""
    from llark.walks import train as training

    training.aligned(recipe, out, out)
