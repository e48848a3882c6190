"""The stages that a build on the rendered corpus passes, each a few lines: render, prepare, instruct.

Evaluation passes them, too, for the held-out set that it renders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llark import audio, engine
from llark.records import Annotation, Clip
from llark.storage import stages

if TYPE_CHECKING:
    from llark.recipe import Recipe


def render(recipe: Recipe, out: Path, workers: int) -> None:
    """The corpus of a recipe into `out`/corpus."""
    said = recipe.corpus
    render_corpus(
        out / "corpus",
        clips=said.clips,
        seed=said.seed,
        sources=said.sources,
        renderer=said.renderer,
        workers=workers,
    )


def render_corpus(
    out: Path,
    *,
    clips: int,
    seed: int,
    sources: Sequence[str] | None,
    renderer: str,
    workers: int,
    midi: Path | None = None,
    groove_midi: Path | None = None,
) -> None:
    """The open corpus: audio/ID.ogg with the truth beside it as audio/ID.json."""
    from llark.corpus import clips as corpus_clips

    corpus_clips.render(
        out,
        clips=clips,
        seed=seed,
        sources=sources,
        renderer=renderer,
        workers=workers,
        midi=midi,
        groove_midi_folder=groove_midi,
    )


def prepare(corpus_folder: Path, out: Path, window_seconds: float = audio.WINDOW_SECONDS) -> None:
    """A corpus's recordings → clips."""
    from llark import corpus
    from llark.prepare.crop import Crop

    tracks = [track for track, _ in corpus.read(corpus_folder)]
    plan: dict[str, object] = {"tracks": [track.id for track in tracks]}
    if window_seconds != audio.WINDOW_SECONDS:
        plan["window_seconds"] = window_seconds
    writer = stages.open_stage(out, "prepare", plan)
    engine.run(Crop(window_seconds), tracks, writer, total=len(tracks))


def instruct(recipe: Recipe, out: Path) -> None:
    """Questions and answers: from the truth (to be heard), and from the measured facts (to be read)."""
    from llark import corpus
    from llark.instruct import Source
    from llark.instruct.offline import OfflineConfig, OfflineTeacher

    teach = recipe.instruct
    tracks = {track.id: track for track, _ in corpus.read(out / "corpus")}
    clips = {clip.id: clip for clip in stages.read(out / "clips", Clip)}
    known = {
        "heard": truths(out).values(),
        "measured": stages.read(out / "annotations", Annotation),
    }
    for purpose, facts in known.items():
        unknown: Literal["drums"] | bool = "drums" if purpose == "heard" else True
        config = OfflineConfig(teach.exchanges_per_clip, teach.seed, say_unknown=unknown, kinds="basic")
        sources = []
        for annotation in facts:
            clip = clips[annotation.clip_id]
            sources.append(Source(annotation, tracks[clip.track_id], clip.dataset, clip.split))
        writer = stages.open_stage(
            out / "exchanges" / purpose,
            "instruct",
            {**teach.model_dump(), "purpose": purpose},
            [out / "clips"],
        )
        OfflineTeacher(config).teach(sources, writer)


def truths(out: Path) -> dict[str, Annotation]:
    """The truth of each clip of a built corpus, by clip id."""
    from llark import corpus

    by_track = {track.id: truth for track, truth in corpus.read(out / "corpus")}
    clips = stages.read(out / "clips", Clip)
    return {clip.id: replace(by_track[clip.track_id], clip_id=clip.id) for clip in clips}
