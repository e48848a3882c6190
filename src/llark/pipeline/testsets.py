"""Where an evaluation's clips, truths and sounds come from."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llark import engine
from llark.errors import BadAudio, UserMustAct
from llark.evaluate.cases import Case, LabelledClip, TestSet
from llark.options import EvaluateOptions
from llark.pipeline import listen as listening
from llark.records import Annotation, Clip, Dropped, Embedding, Track
from llark.report import terminal
from llark.storage import artifacts, stages
from llark.storage.embeddings import Embeddings

if TYPE_CHECKING:
    from llark.pipeline.ask import MusicLM

One = TypeVar("One")

OPEN_SEED = 20_261_124
"""Of the open corpus's held-out set: no other clips are rendered with it."""

FEATURES = "heard"
"""The folder, in that of a report, of annotations and embeddings that were made for it."""

LABELLED_CLIPS = 200
"""At most so many labelled clips where nobody says how many. Files of questions are then asked whole."""


@dataclass(frozen=True)
class TestMaterial:
    """A test set with its sounds and their embeddings."""

    name: str
    """Where it comes from, as a report prints it."""
    test_set: TestSet
    clips: Mapping[str, Clip] = field(default_factory=dict)
    """The recordings that are asked about, by id."""
    embeddings: Mapping[str, Embedding] = field(default_factory=dict)
    """Their frames, by clip."""
    training: tuple[LabelledClip, ...] = ()
    """Labelled clips of the training split, which give the best constant answer."""
    counts: Mapping[str, Any] = field(default_factory=dict)
    """Numbers for the head of a report."""


def gather(
    data: Path | None, out: Path, options: EvaluateOptions, *, embed: bool = True, needed: bool = True
) -> TestMaterial:
    """The test set that the options name, with embeddings where a model of ours needs them.

    `data` is a folder that `llark build`, `llark prepare` or `llark corpus` has filled. Without one, and
    without questions, the open corpus is rendered. Raises `UserMustAct` where there is nothing to ask about.
    """
    embed = embed and options.endpoint is None
    if options.questions:
        return _questions(options.question_files, out, options, embed)
    if data is None and not needed:
        return TestMaterial("predictions", TestSet())
    if data is None:
        data = open_corpus(out / "open", options.clips or LABELLED_CLIPS, options.workers)
        material = _built(data, options)
        _print_counts(material, data, options.split)
        return material
    if (data / "corpus").is_dir():
        return _built(data, options)
    made = artifacts.look(data)
    if data not in made.all and (made.truths or made.tracks):
        labelled = _prepared(data)
    elif (data / "audio").is_dir() and any((data / "audio").glob("*.json")):
        labelled = _rendered(data, out / FEATURES / "clips")
    else:
        raise UserMustAct(
            f"{data} is not a folder that `llark build`, `llark prepare` or `llark corpus` has filled: it has"
            " neither corpus nor tracks, nor audio with truths."
        )
    chosen, features = _held_out(labelled.clips, options), ClipFeatures({}, {})
    if embed:
        features = listen(chosen, data, out / FEATURES, options.workers)
        chosen = [clip for clip in chosen if clip.id in features.embeddings]
    split = chosen[0].split if chosen else options.split
    return _material(labelled, chosen, features, {"clips": len(chosen), "split": split})


def open_corpus(folder: Path, clips: int, workers: int) -> Path:
    """Renders so many clips of the open corpus, all splits together, hears them, and returns their folder."""
    from llark.corpus.clips import render
    from llark.embed.encoder import NATIVE, EncoderOptions
    from llark.pipeline.prepare import cut_corpus

    render(
        folder / "corpus",
        clips=clips,
        seed=OPEN_SEED,
        sources=("builtin",),
        renderer="midirenderer",
        workers=workers,
    )
    cut_corpus(folder / "corpus", folder / "clips")
    mini = EncoderOptions("mini", rate=NATIVE)
    listening.listen(folder / "clips", folder / "annotations", folder / "embeddings", mini, workers)
    return folder


def _print_counts(material: TestMaterial, data: Path, split: str) -> None:
    """Prints how many of the clips that were rendered are asked about: those of one split."""
    rendered = sum(1 for _ in stages.read(data / "clips", Clip))
    asked = f"asked about are {len(material.clips)}, those of the split {split}"
    if all(clip.split != split for clip in material.clips.values()):
        asked = f"none is of the split {split}, so all are asked about"
    terminal.note(f"open corpus: {rendered} clips rendered; {asked}")


@dataclass(frozen=True)
class _LabelledFolder:
    """A folder of clips with what is known about them."""

    folder: Path
    clips: Sequence[Clip]
    truth: Mapping[str, Annotation]
    """Labels by clip."""
    captions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By track what people wrote."""


@dataclass(frozen=True)
class ClipFeatures:
    """Annotations and embeddings by clip."""

    annotations: Mapping[str, Annotation]
    embeddings: Mapping[str, Embedding]

    @classmethod
    def read(cls, folder: Path) -> ClipFeatures:
        annotations = {a.clip_id: a for a in stages.read(folder / "annotations", Annotation)}
        return cls(annotations, Embeddings(folder / "embeddings"))


def _built(data: Path, options: EvaluateOptions) -> TestMaterial:
    """The held-out clips of a folder that `llark build` has filled."""
    from llark.pipeline.prepare import corpus_truths

    features = ClipFeatures.read(data)
    every = [clip for clip in stages.read(data / "clips", Clip) if clip.id in features.embeddings]
    truth = {clip: known for clip, (_, known) in corpus_truths([data / "corpus"], every).items()}
    chosen = _held_out(every, options)
    return _material(_LabelledFolder(data, every, truth), chosen, features, {"clips": len(chosen)})


def _prepared(data: Path) -> _LabelledFolder:
    """The clips of a folder that `llark prepare` has filled: their labels, and what people wrote."""
    truths = stages.read(data / "truths", Annotation) if artifacts.look(data).truths else ()
    captions = {track.id: track.captions for track in stages.read(data / "tracks", Track)}
    clips = list(stages.read(data / "clips", Clip))
    return _LabelledFolder(data, clips, {truth.clip_id: truth for truth in truths}, captions)


def _rendered(data: Path, folder: Path) -> _LabelledFolder:
    """The clips of a folder that `llark corpus` has rendered, cut into `folder`."""
    from llark import corpus
    from llark.pipeline.prepare import cut_corpus

    cut_corpus(data, folder)
    by_track = {track.id: truth for track, truth in corpus.read(data)}
    every = list(stages.read(folder, Clip))
    return _LabelledFolder(data, every, {c.id: replace(by_track[c.track_id], clip_id=c.id) for c in every})


def _held_out(every: Sequence[Clip], options: EvaluateOptions) -> list[Clip]:
    """At most so many clips of the chosen split; of all, where none is of it."""
    held_out = [clip for clip in every if clip.split == options.split] or every
    return spread(held_out, options.clips or LABELLED_CLIPS)


def _material(
    labelled: _LabelledFolder, chosen: Sequence[Clip], features: ClipFeatures, counts: Mapping[str, Any]
) -> TestMaterial:
    """The chosen clips with their labels and features."""

    def item(clip: Clip) -> LabelledClip:
        unknown = Annotation(clip.id, clip.start_seconds, clip.end_seconds)
        truth = labelled.truth.get(clip.id, unknown)
        captions = labelled.captions.get(clip.track_id, ())
        return LabelledClip(clip.id, clip.track_id, truth, features.annotations.get(clip.id), captions)

    clips = {clip.id: clip for clip in chosen}
    training = tuple(item(clip) for clip in labelled.clips if clip.split == "train")
    test_set = TestSet(tuple(map(item, chosen)))
    return TestMaterial(str(labelled.folder), test_set, clips, features.embeddings, training, counts)


def listen(clips: Sequence[Clip], data: Path, folder: Path, workers: int) -> ClipFeatures:
    """Features of the clips: those that lie in `data`, else made once and kept in `folder`."""
    from llark import annotate
    from llark.embed import mini

    made = artifacts.look(data)
    if made.embeddings and made.annotations:
        return ClipFeatures.read(data)
    plan = {"clips": [clip.id for clip in clips], "sounds": listening.digest_of(clips)}
    for name in ("annotations", "embeddings"):
        listening.refuse_others(folder / name, plan)
    writer = listening.ListenWriter(
        stages.open_stage(folder / "annotations", "annotate", {**plan, "version": annotate.VERSION}),
        stages.open_stage(folder / "embeddings", "embed", {**plan, "encoder": mini.VERSION}),
    )
    listening.to_clips(clips, writer, workers)
    return ClipFeatures.read(folder)


def spread(clips: Sequence[One], most: int) -> list[One]:
    """At most so many clips, evenly over the list: the same ones every time."""
    return [clips[i * len(clips) // most] for i in range(most)] if len(clips) > most else list(clips)


# --- files of questions -----------------------------------------------------------------------------------


def _questions(files: Mapping[str, Path], out: Path, options: EvaluateOptions, embed: bool) -> TestMaterial:
    """Questions of others; those whose sound is not in the folder are left out, where there is a folder."""
    from llark.evaluate.tasks import QUESTION_TASKS

    asked: dict[str, tuple[Case, ...]] = {}
    for task, path in files.items():
        if task not in QUESTION_TASKS:
            known = ", ".join(QUESTION_TASKS)
            raise UserMustAct(f"{task!r} takes no file of questions; these do: {known}.")
        asked[task] = tuple(QUESTION_TASKS[task].load(path))
    counts: dict[str, Any] = {task: len(cases) for task, cases in asked.items()}
    clips: dict[str, Clip] = {}
    embeddings: Mapping[str, Embedding] = {}
    if options.audio is not None:
        clips = sounds(options.audio)
        asked = _about(asked, clips)
        if not any(asked.values()):
            raise UserMustAct(f"{options.audio} holds none of the recordings that the questions are about.")
    asked = {task: of_some_clips(cases, options.clips) for task, cases in asked.items()}
    used = {case.clip_id for cases in asked.values() for case in cases}
    clips = {id_: clip for id_, clip in clips.items() if id_ in used}
    if clips and embed:
        embeddings = embed_whole(list(clips.values()), out / FEATURES / "whole", options.workers)
        asked = _about(asked, embeddings)
    for task, cases in asked.items():
        recordings = len({case.clip_id for case in cases})
        counts[f"{task}, asked"] = f"{len(cases)} questions on {recordings} recordings"
    if options.audio is None:
        counts["note"] = "no sound at hand: only the answers without audio are scored"
    name = ", ".join(str(path) for path in files.values())
    return TestMaterial(name, TestSet((), asked), clips, embeddings, counts=counts)


def _about(asked: Mapping[str, tuple[Case, ...]], known: Container[str]) -> dict[str, tuple[Case, ...]]:
    """The questions about the known recordings, by task."""
    return {task: tuple(case for case in cases if case.clip_id in known) for task, cases in asked.items()}


def of_some_clips(cases: Sequence[Case], most: int | None) -> tuple[Case, ...]:
    """The questions about at most so many recordings, which are spread evenly over the file."""
    recordings = list(dict.fromkeys(case.clip_id for case in cases))
    chosen = set(recordings if most is None else spread(recordings, most))
    return tuple(case for case in cases if case.clip_id in chosen)


def sounds(folder: Path) -> dict[str, Clip]:
    """The recordings below a folder, each as one clip from start to end, by the name without suffix; those
    that cannot be used are said on standard error."""
    from llark import audio
    from llark.prepare.datasets.folder import tracks_of

    if not folder.is_dir():
        raise UserMustAct(f"{folder} is not a folder of recordings.")
    clips = {}
    for track in tracks_of([folder]):
        try:
            if isinstance(track, Dropped):
                raise BadAudio(track.reason, track.detail)
            name, seconds = Path(track.path).stem, audio.probe(track.path).duration_seconds
            clips[name] = Clip(
                name, name, track.path, 0.0, seconds, fingerprint=audio.fingerprint(track.path)
            )
        except BadAudio as error:
            terminal.note(f"left out: {error.detail}")
    return clips


def embed_whole(clips: Sequence[Clip], folder: Path, workers: int) -> Mapping[str, Embedding]:
    """The `mini` frames of whole recordings, kept in `folder`."""
    from llark.embed import mini

    sounds = listening.digest_of(clips)
    plan = {"clips": [clip.id for clip in clips], "sounds": sounds, "encoder": mini.VERSION}
    listening.refuse_others(folder, plan)
    writer = stages.open_stage(folder, "hear", plan)
    timeout = listening.LONGEST_SECONDS if workers else None
    step, tracks = listening.Listen(facts=False), [Track(clip.id, clip.path) for clip in clips]
    engine.run(step, tracks, writer, workers=workers, timeout_seconds=timeout, total=len(tracks))
    return Embeddings(folder)


# --- real songs -------------------------------------------------------------------------------------------


def real_songs(out: Path, model: MusicLM) -> TestMaterial:
    """The eight labelled songs of Debian's fretsonfire packages, each embedded whole by a model's encoder."""
    from llark.evaluate import sounds

    items, clips, embeddings = [], {}, {}
    for track in sounds.write_mixes(out / "audio"):
        listened = model.listen_to(Path(track.path))
        assert listened.frames is not None
        facts = replace(listened.facts, clip_id=track.id)
        whole = Clip(track.id, track.id, track.path, facts.start_seconds, facts.end_seconds)
        items.append(LabelledClip(track.id, track.id, sounds.song_truth(whole), facts))
        clips[track.id] = whole
        rate = len(listened.frames) / whole.duration_seconds
        embeddings[track.id] = Embedding(track.id, model.encoder_version, listened.frames, rate)
    counts = {"songs": len(items)}
    return TestMaterial("eight real songs", TestSet(tuple(items)), clips, embeddings, counts=counts)
