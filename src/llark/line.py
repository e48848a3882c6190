"""The two walks, top to bottom: `ask` a song, and `build` a model.

The rooms do the work and know nothing of each other; this page says in which order they are passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llark import audio, engine, records, store
from llark.errors import BadAudio, UserMustAct
from llark.records import Annotation, Answer, Clip, Dropped, Embedding, Exchange, Track
from llark.show import AskResult, Stopwatch

if TYPE_CHECKING:
    import numpy as np

    from llark.nets.hearing import Hearing
    from llark.prepare.stage import Settings
    from llark.recipe import Recipe

MODEL_NAME = "mini"

Question = tuple[str, "np.ndarray | None", str | None]
"""What is asked, the frames that are heard, and the facts that are shown."""


# --- ask --------------------------------------------------------------------------------------------------


def ask(path: Path, questions: Sequence[str], *, facts: bool = True, model: Path | None = None) -> AskResult:
    """Answers to questions about a recording of any length, with the facts measured in it.

    The whole song is heard, in windows of 25 s. Raises `BadAudio` or `UserMustAct` with one clear sentence.
    """
    if not questions or not all(question.strip() for question in questions):
        raise UserMustAct("There is no question. Give one in quotes after the recording.")
    windows = cut(path)
    with Stopwatch() as watch, ThreadPoolExecutor(1) as beside:
        loading = beside.submit(_load_answerer, model or bundled_model())
        with watch("hear"):
            heard = hear(path, windows)
        with watch("wait for the model"):
            answerer = loading.result()
        line = records.describe_facts(heard.facts) if facts else None
        with watch("answer"):
            texts = answerer([(question, heard.frames, line) for question in questions])
    name = str(model) if model else MODEL_NAME
    answers = tuple(
        Answer(question, text, name, heard.facts if facts else None)
        for question, text in zip(questions, texts, strict=True)
    )
    return AskResult(str(path), answers, heard.facts, watch.seconds)


def _load_answerer(model: Path) -> Callable[[Sequence[Question]], list[str]]:
    from llark.answer import Answerer, Asked

    answerer = Answerer.load(model)
    return lambda questions: answerer([Asked(*question) for question in questions])


@dataclass(frozen=True, eq=False)
class HeardSong:
    """A song as its windows were heard: the facts of the whole, and [frames, width] from first to last."""

    facts: Annotation
    frames: np.ndarray


def cut(path: Path) -> list[Clip]:
    """The windows of a recording. Raises `BadAudio` where there is none to hear."""
    from llark.prepare.crop import Crop

    clips = [clip for clip in Crop()(Track(path.stem, str(path))) if isinstance(clip, Clip)]
    if not clips:
        found, least = audio.probe(path).duration_seconds, audio.SHORTEST_SECONDS
        raise BadAudio("too-short", f"{path} is {found:.2f} s long; at least {least:.0f} s is needed.")
    return clips


def hear(path: Path, clips: Sequence[Clip]) -> HeardSong:
    """Every window of a recording through the annotators and the `mini` encoder, each heard once."""
    import numpy as np
    import torch

    from llark.annotate.recording import Recording
    from llark.embed import mini

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two are slower on nets this small, and twenty times so on busy cores
    recording, frames = Recording(path.stem), []
    with engine.Ticker("hear", len(clips), show=len(clips) > 2) as tick:
        for clip in clips:
            hearing = _hearing(clip)
            recording.hear(hearing, clip.start_seconds)
            frames.append(mini.embed(hearing))
            tick()
    torch.set_num_threads(threads)
    return HeardSong(recording.facts(), np.concatenate(frames))


def _hearing(clip: Clip) -> Hearing:
    from llark.nets.hearing import Hearing

    return Hearing(*audio.load(clip.path, start_seconds=clip.start_seconds, end_seconds=clip.end_seconds))


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

        hearing = _hearing(record)
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


def bundled_model() -> Path:
    """The folder of the model that ships with the package."""
    return Path(str(files("llark") / "weights" / MODEL_NAME))


def demo_recording() -> Path:
    """The recording that ships with the package."""
    return Path(str(files("llark") / "weights" / "demo" / "feelings.ogg"))


# --- build ------------------------------------------------------------------------------------------------


def build(
    recipe_path: Path, out: Path, *, overrides: Sequence[str] = (), limit: int | None = None, workers: int = 2
) -> str:
    """Every stage of a recipe into `out`; returns the report's table. Run again, a stopped build goes on."""
    from llark import recipe as recipes
    from llark.walks import evaluate as evaluating

    recipe = recipes.load(recipe_path, overrides)
    if limit is not None:
        recipe = small(recipe, limit)
    render_corpus(
        out / "corpus",
        clips=recipe.corpus.clips,
        seed=recipe.corpus.seed,
        sources=recipe.corpus.sources,
        renderer=recipe.corpus.renderer,
        workers=workers,
    )
    prepare(out / "corpus", out / "clips")
    listen(out / "clips", out / "annotations", out / "embeddings", workers)
    instruct(recipe, out)
    train(recipe, out)
    return evaluating.evaluate_model(out, out / "report", out / "model", recipe.evaluate.clips)


def small(recipe: Recipe, limit: int) -> Recipe:
    """The same experiment on `limit` clips of the built-in corpus, with a few steps."""
    if limit < 8:
        raise UserMustAct(f"--limit {limit} is too small: training and test need at least 8 clips in all.")
    change = {
        "corpus": {"clips": limit, "sources": ("builtin",), "renderer": "midirenderer"},
        "align": {"epochs": min(recipe.align.epochs, 20)},
        "train": {"steps": min(recipe.train.steps, 10), "save_every": 5, "dtype": "float32"},
        "evaluate": {"clips": min(recipe.evaluate.clips, max(2, limit // 4))},
    }
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


def prepare(corpus_folder: Path, out: Path) -> None:
    """A corpus's recordings → clips."""
    from llark import corpus
    from llark.prepare.crop import Crop

    tracks = [track for track, _ in corpus.read(corpus_folder)]
    writer = store.open_stage(out, "prepare", {"tracks": [track.id for track in tracks]})
    engine.run(Crop(), tracks, writer, total=len(tracks))


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
    from llark import train as training
    from llark.embed import mini

    model_folder = out / "model"
    if (model_folder / "config.json").is_file():
        return
    clips = [clip for clip in store.read(out / "clips", Clip) if clip.split != "test"]
    truth, groups = truths(out), _groups(out)
    training.run(
        recipe,
        training.Material(
            clips=clips,
            truths=[truth[clip.id] for clip in clips],
            groups=[groups[clip.track_id] for clip in clips],
            embeddings=store.read_embeddings(out / "embeddings"),
            layout={name: (part.start, part.stop) for name, part in mini.PARTS.items()},
            facts={a.clip_id: records.describe_facts(a) for a in store.read(out / "annotations", Annotation)},
            heard=_by_clip(store.read(out / "exchanges" / "heard", Exchange)),
            measured=_by_clip(store.read(out / "exchanges" / "measured", Exchange)),
        ),
        out / "train",
        model_folder,
        _start(recipe.model.start_from),
    )


def _start(name: str | None) -> Path | None:
    return bundled_model() if name == "bundled" else Path(name) if name else None


def _groups(out: Path) -> dict[str, str]:
    from llark import corpus

    return {track.id: track.group or track.id for track, _ in corpus.read(out / "corpus")}


def _by_clip(exchanges: Iterable[Exchange]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for exchange in exchanges:
        found.setdefault(exchange.clip_id, []).append((exchange.question, exchange.answer))
    return found
