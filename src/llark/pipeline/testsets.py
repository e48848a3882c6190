"""Where an evaluation's clips, truths and sounds come from."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llark import engine
from llark.errors import BadAudio, UserMustAct
from llark.evaluate.cases import Case, LabelledClip, TestSet
from llark.pipeline import listen as listening
from llark.records import Annotation, Clip, Embedding, Track
from llark.storage import stages
from llark.storage.embeddings import Embeddings

if TYPE_CHECKING:
    from llark.options import EvaluateOptions
    from llark.pipeline.ask import MusicLM

One = TypeVar("One")

OPEN_SEED = 20_261_124
"""Of the open corpus's held-out set: no other clips are rendered with it."""

HEARD = "heard"
"""The folder, in that of a report, of annotations and embeddings that were made for it."""

LABELLED_CLIPS = 200
"""At most so many labelled clips where nobody says how many. Files of questions are then asked whole."""

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".m4a", ".opus")


@dataclass(frozen=True)
class TestMaterial:
    """A test set with what can be heard of it. `counts` are told at the head of a report."""

    name: str
    test_set: TestSet
    clips: Mapping[str, Clip] = field(default_factory=dict)
    embeddings: Mapping[str, Embedding] = field(default_factory=dict)
    training: tuple[LabelledClip, ...] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)


def gather(
    data: Path | None, out: Path, wanted: EvaluateOptions, *, hear: bool = True, needed: bool = True
) -> TestMaterial:
    """The test set that is wanted, heard where it has to be.

    `data` is a folder that `llark build`, `llark prepare` or `llark corpus` has filled. Without one, and
    without questions, the open corpus is rendered. Raises `UserMustAct` where there is nothing to ask about.
    """
    hear = hear and wanted.endpoint is None
    if wanted.questions:
        return _questions(wanted.question_files, out, wanted, hear)
    if data is None and not needed:
        return TestMaterial("predictions", TestSet())
    if data is None:
        data = open_corpus(out / "open", wanted.clips or LABELLED_CLIPS, wanted.workers)
        return _told(_built(data, wanted), data, wanted.split)
    if (data / "corpus").is_dir():
        return _built(data, wanted)
    if (data / "truths" / stages.ABOUT).is_file() or (data / "tracks" / stages.ABOUT).is_file():
        return _prepared(data, out, wanted, hear)
    if (data / "audio").is_dir() and any((data / "audio").glob("*.json")):
        return _rendered(data, out, wanted, hear)
    raise UserMustAct(
        f"{data} is not a folder that `llark build`, `llark prepare` or `llark corpus` has filled: it has"
        " neither corpus nor tracks, nor audio with truths."
    )


def open_corpus(folder: Path, clips: int, workers: int) -> Path:
    """Renders so many clips of the open corpus, all splits together, hears them, and returns their folder."""
    from llark.corpus.clips import render
    from llark.embed.encoder import NATIVE, Settings
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
    mini = Settings("mini", rate=NATIVE)
    listening.listen(folder / "clips", folder / "annotations", folder / "embeddings", mini, workers)
    return folder


def _told(material: TestMaterial, data: Path, split: str) -> TestMaterial:
    """Says how many of the clips that were rendered are asked about: those of one split."""
    rendered = sum(1 for _ in stages.read(data / "clips", Clip))
    asked = f"asked about are {len(material.clips)}, those of the split {split}"
    if all(clip.split != split for clip in material.clips.values()):
        asked = f"none is of the split {split}, so all are asked about"
    print(f"open corpus: {rendered} clips rendered; {asked}", file=sys.stderr)
    return material


def _built(data: Path, wanted: EvaluateOptions) -> TestMaterial:
    """The held-out clips of a folder that `llark build` has filled."""
    from llark.pipeline.prepare import corpus_truths

    annotations = {a.clip_id: a for a in stages.read(data / "annotations", Annotation)}
    embeddings = Embeddings(data / "embeddings")
    every = [clip for clip in stages.read(data / "clips", Clip) if clip.id in embeddings]
    truth = {clip: known for clip, (_, known) in corpus_truths([data / "corpus"], every).items()}
    held_out = [clip for clip in every if clip.split == wanted.split] or every
    chosen = spread(held_out, wanted.clips or LABELLED_CLIPS)
    items = tuple(
        LabelledClip(clip.id, clip.track_id, truth[clip.id], annotations.get(clip.id)) for clip in chosen
    )
    training = tuple(LabelledClip(c.id, c.track_id, truth[c.id]) for c in every if c.split == "train")
    clips = {clip.id: clip for clip in chosen}
    return TestMaterial(str(data), TestSet(items), clips, embeddings, training, {"clips": len(items)})


def _prepared(data: Path, out: Path, wanted: EvaluateOptions, hear: bool) -> TestMaterial:
    """The clips of a folder that `llark prepare` has filled: their labels, and what people wrote."""
    tracks = list(stages.read(data / "tracks", Track))
    labelled = (data / "truths" / stages.ABOUT).is_file()
    truth = {a.clip_id: a for a in stages.read(data / "truths", Annotation)} if labelled else {}
    captions = {track.id: track.captions for track in tracks}
    return _labelled(
        _Labelled(data, list(stages.read(data / "clips", Clip)), truth, captions), out, wanted, hear
    )


def _rendered(data: Path, out: Path, wanted: EvaluateOptions, hear: bool) -> TestMaterial:
    """The clips of a folder that `llark corpus` has rendered."""
    from llark import corpus
    from llark.pipeline.prepare import cut_corpus

    cut_corpus(data, out / HEARD / "clips")
    by_track = {track.id: truth for track, truth in corpus.read(data)}
    every = list(stages.read(out / HEARD / "clips", Clip))
    truth = {clip.id: replace(by_track[clip.track_id], clip_id=clip.id) for clip in every}
    return _labelled(_Labelled(data, every, truth, {}), out, wanted, hear)


@dataclass(frozen=True)
class _Labelled:
    """The clips of a folder, their labels by clip, and by track what people wrote."""

    folder: Path
    clips: Sequence[Clip]
    truth: Mapping[str, Annotation]
    captions: Mapping[str, tuple[str, ...]]


def _labelled(given: _Labelled, out: Path, wanted: EvaluateOptions, hear: bool) -> TestMaterial:
    """The clips of the split that is wanted, heard if need be; those to train on give the best constant."""
    data, every = given.folder, given.clips
    held_out = [clip for clip in every if clip.split == wanted.split] or every
    chosen = spread(held_out, wanted.clips or LABELLED_CLIPS)
    heard = listen(chosen, data, out / HEARD, wanted.workers) if hear else Heard({}, {})
    chosen = [clip for clip in chosen if not hear or clip.id in heard.embeddings]
    training = [clip for clip in every if clip.split == "train"]
    named = {"clips": len(chosen), "split": chosen[0].split if chosen else wanted.split}

    def item(clip: Clip) -> LabelledClip:
        unknown = Annotation(clip.id, clip.start_seconds, clip.end_seconds)
        captions = given.captions.get(clip.track_id, ())
        known = given.truth.get(clip.id, unknown)
        return LabelledClip(clip.id, clip.track_id, known, heard.annotations.get(clip.id), captions)

    return TestMaterial(
        str(data),
        TestSet(tuple(map(item, chosen))),
        {clip.id: clip for clip in chosen},
        heard.embeddings,
        tuple(map(item, training)),
        named,
    )


@dataclass(frozen=True)
class Heard:
    """Facts and frames by clip."""

    annotations: Mapping[str, Annotation]
    embeddings: Mapping[str, Embedding]


def listen(clips: Sequence[Clip], data: Path, folder: Path, workers: int) -> Heard:
    """Facts and frames of the clips: those that lie in `data`, else made once and kept in `folder`."""
    from llark import annotate
    from llark.embed import mini

    if (data / "embeddings" / stages.ABOUT).is_file() and (data / "annotations" / stages.ABOUT).is_file():
        folder = data
    else:
        plan = {"clips": [clip.id for clip in clips], "sounds": listening.digest_of(clips)}
        for name in ("annotations", "embeddings"):
            listening.refuse_others(folder / name, plan)
        writer = listening.ListenWriter(
            stages.open_stage(folder / "annotations", "annotate", {**plan, "version": annotate.VERSION}),
            stages.open_stage(folder / "embeddings", "embed", {**plan, "encoder": mini.VERSION}),
        )
        listening.to_clips(clips, writer, workers)
    annotations = {a.clip_id: a for a in stages.read(folder / "annotations", Annotation)}
    return Heard(annotations, Embeddings(folder / "embeddings"))


def spread(clips: Sequence[One], most: int) -> list[One]:
    """At most so many clips, evenly over the list: the same ones every time."""
    return [clips[i * len(clips) // most] for i in range(most)] if len(clips) > most else list(clips)


# --- files of questions -----------------------------------------------------------------------------------


def _questions(files: Mapping[str, Path], out: Path, wanted: EvaluateOptions, hear: bool) -> TestMaterial:
    """Questions of others; those whose sound is not in the folder are left out, where there is a folder."""
    from llark.evaluate.tasks import QUESTION_TASKS

    asked: dict[str, tuple[Case, ...]] = {}
    for task, path in files.items():
        if task not in QUESTION_TASKS:
            known = ", ".join(QUESTION_TASKS)
            raise UserMustAct(f"{task!r} takes no file of questions; these do: {known}.")
        asked[task] = tuple(QUESTION_TASKS[task].load(path))
    counts: dict[str, Any] = {task: len(cases) for task, cases in asked.items()}
    name = ", ".join(str(path) for path in files.values())
    if wanted.audio is None:
        asked = {task: of_some_clips(cases, wanted.clips) for task, cases in asked.items()}
        note = "no sound at hand: only the answers without audio are scored"
        return TestMaterial(name, TestSet((), asked), counts={**counts, **_asked(asked), "note": note})
    clips = sounds(wanted.audio)
    asked = {task: tuple(case for case in cases if case.clip_id in clips) for task, cases in asked.items()}
    if not any(asked.values()):
        raise UserMustAct(f"{wanted.audio} holds none of the recordings that the questions are about.")
    asked = {task: of_some_clips(cases, wanted.clips) for task, cases in asked.items()}
    used = {case.clip_id for cases in asked.values() for case in cases}
    clips = {id_: clip for id_, clip in clips.items() if id_ in used}
    embeddings: Mapping[str, Embedding] = {}
    if hear:
        embeddings = hear_whole(list(clips.values()), out / HEARD / "whole", wanted.workers)
        asked = {
            task: tuple(case for case in cases if case.clip_id in embeddings) for task, cases in asked.items()
        }
    return TestMaterial(name, TestSet((), asked), clips, embeddings, counts={**counts, **_asked(asked)})


def of_some_clips(cases: Sequence[Case], most: int | None) -> tuple[Case, ...]:
    """The questions about at most so many recordings, which are spread evenly over the file."""
    heard = list(dict.fromkeys(case.clip_id for case in cases))
    chosen = set(heard if most is None else spread(heard, most))
    return tuple(case for case in cases if case.clip_id in chosen)


def _asked(questions: Mapping[str, Sequence[Case]]) -> dict[str, str]:
    """For the head of a report: how much of each file is asked."""
    return {
        f"{task}, asked": f"{len(cases)} questions on {len({case.clip_id for case in cases})} recordings"
        for task, cases in questions.items()
    }


def sounds(folder: Path) -> dict[str, Clip]:
    """The recordings below a folder, each as one clip from start to end, by the name without suffix."""
    from llark import audio

    if not folder.is_dir():
        raise UserMustAct(f"{folder} is not a folder of recordings.")
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        try:
            seconds = audio.probe(path).duration_seconds
        except BadAudio:
            continue
        found[path.stem] = Clip(path.stem, path.stem, str(path), 0.0, seconds)
    return found


def hear_whole(clips: Sequence[Clip], folder: Path, workers: int) -> Mapping[str, Embedding]:
    """Whole recordings as the encoder hears them, kept in `folder`."""
    from llark.embed import mini

    sounds = listening.digest_of(clips)
    plan = {"clips": [clip.id for clip in clips], "sounds": sounds, "encoder": mini.VERSION}
    listening.refuse_others(folder, plan)
    writer = stages.open_stage(folder, "hear", plan)
    timeout = listening.LONGEST_SECONDS if workers else None
    step, tracks = listening.Listen(facts=False, name="hear"), [Track(clip.id, clip.path) for clip in clips]
    engine.run(step, tracks, writer, workers=workers, timeout_seconds=timeout, total=len(tracks))
    return Embeddings(folder)


# --- real songs -------------------------------------------------------------------------------------------


def real_songs(out: Path, listener: MusicLM) -> TestMaterial:
    """The eight labelled songs of Debian's fretsonfire packages, each heard whole with a model's encoder."""
    from llark.evaluate import sounds

    items, clips, embeddings = [], {}, {}
    for track in sounds.write_mixes(out / "audio"):
        heard = listener.hear(Path(track.path))
        assert heard.frames is not None
        facts = replace(heard.facts, clip_id=track.id)
        whole = Clip(track.id, track.id, track.path, facts.start_seconds, facts.end_seconds)
        items.append(LabelledClip(track.id, track.id, sounds.song_truth(whole), facts))
        clips[track.id] = whole
        rate = len(heard.frames) / whole.duration_seconds
        embeddings[track.id] = Embedding(track.id, listener.hears_with, heard.frames, rate)
    counts = {"songs": len(items)}
    return TestMaterial("eight real songs", TestSet(tuple(items)), clips, embeddings, counts=counts)
