"""What `llark prepare` does: a data set → tracks, clips and truths, with a page about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llark import audio, engine
from llark.records import Annotation, Clip, Track
from llark.storage import stages
from llark.storage.folders import Place

if TYPE_CHECKING:
    from llark.options import PrepareOptions


def prepare(
    source: str,
    out: str,
    options: PrepareOptions,
    *,
    workers: int = 2,
    drop_share: float = engine.DROP_SHARE,
    report: bool,
) -> str:
    """A data set, a table or a folder of music → tracks, clips and truths; returns what was made and lost.

    `drop_share`: stop when more than this share is lost. `report`: write the page, too.
    """
    from llark.prepare import crop, stage
    from llark.prepare.datasets import pairs
    from llark.prepare.summary import as_text

    config = stage.PrepareConfig(
        source,
        options.dataset,
        options.split,
        columns=pairs(options.columns, "--columns", "field=column, as path=file"),
        options=pairs(options.options, "--options", "name=value, as version=1"),
        crop=crop.named(options.crop, options.window_seconds, options.hop_seconds, options.seed),
        convert=options.convert,
        sample_rate=options.sample_rate,
        limit=options.limit,
    )
    summary = stage.run(config, out, workers=workers, drop_share=drop_share)
    if not report:
        return as_text(summary)
    from llark.prepare.report import write

    return f"{as_text(summary)}\n  report: {write(summary)}"


def cut_corpus(folder: Path, out: Path, window_seconds: float = audio.WINDOW_SECONDS) -> None:
    """The recordings of a rendered corpus → clips."""
    from llark import corpus
    from llark.prepare.crop import Crop

    tracks = [track for track, _ in corpus.read(folder)]
    plan: dict[str, object] = {"tracks": [track.id for track in tracks]}
    if window_seconds != audio.WINDOW_SECONDS:
        plan["window_seconds"] = window_seconds
    writer = stages.open_stage(out, "prepare", plan)
    engine.run(Crop(window_seconds), tracks, writer, total=len(tracks))


def corpus_truths(corpora: Iterable[Place], clips: Iterable[Clip]) -> dict[str, tuple[Track, Annotation]]:
    """Of each clip that is of one of these rendered corpora, by its id: its track, and the truth about it."""
    from llark import corpus

    tracks = {track.id: (track, truth) for folder in corpora for track, truth in corpus.read(Path(folder))}
    matches = ((clip, *tracks[clip.track_id]) for clip in clips if clip.track_id in tracks)
    return {clip.id: (track, replace(truth, clip_id=clip.id)) for clip, track, truth in matches}
