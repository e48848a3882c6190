"""`llark annotate`: recordings → facts, which are printed, drawn, and written as JAMS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from llark import audio, engine
from llark.errors import UserMustAct
from llark.options import AnnotateOptions, require
from llark.pipeline import listen
from llark.records import Annotation, Clip, Dropped, Track
from llark.report import terminal, text
from llark.storage import artifacts, stages
from llark.storage.folders import Place

if TYPE_CHECKING:
    import numpy as np

ENVELOPE_COLUMNS = 1200
"""Points in time at which a picture shows the wave."""

MOST_ROWS = 60
"""Rows of a printed table; the rest is in the folder."""


def annotate(
    songs: Sequence[Path],
    out: Path | None = None,
    options: AnnotateOptions | None = None,
    workers: int = 2,
) -> Iterator[str]:
    """The facts of recordings, as they are printed; with `out` kept there, for whole folders of them."""
    require(tuple[Path, ...], songs=songs)
    options = options or AnnotateOptions()
    return of_songs(songs, options) if out is None else of_folder(songs, out, options, workers)


def of_songs(paths: Sequence[Path], options: AnnotateOptions) -> Iterator[str]:
    """What is printed of each recording, one after the other; nothing is stored but what `options` name.

    One that cannot be used is said on standard error, and the others go on. Raises `UserMustAct` at the end
    where there was one, at once where a picture or a folder is not as it should be.
    """
    from llark.prepare.datasets.folder import tracks_of

    if folders := [str(path) for path in paths if path.is_dir()]:
        raise UserMustAct(f"{folders[0]} is a folder: say with --out where the facts of all its songs go.")
    records = tracks_of(paths)
    _refuse_plot(options, len(records))
    step, dropped = listen.Listen(frames=False, notes=options.notes, name="annotate", progress=True), 0
    step.open()
    for record in records:
        for facts in engine.attempt(step, record):
            if isinstance(facts, Dropped):
                if len(records) == 1:
                    raise UserMustAct(facts.detail)
                dropped += 1
                terminal.note(f"{facts.id}: {facts.detail}")
            elif isinstance(facts, Annotation) and isinstance(record, Track):
                _write(facts, record.path, options)
                as_text = text.facts_as_json if options.json else text.facts_as_text
                yield as_text(record.path, facts)
    if dropped:
        raise UserMustAct(f"{len(records) - dropped} of {len(records)} annotated, {dropped} dropped.")


def of_folder(paths: Sequence[Path], out: Path, options: AnnotateOptions, workers: int = 2) -> Iterator[str]:
    """The annotate stage: facts into `out`, which goes on where it was stopped; then what is printed.

    `paths` are recordings and folders of them, or one folder that `llark prepare` has filled: then each of
    its clips is annotated.
    """
    path_of = into_folder(paths, out, options, workers)
    count = 0
    for facts in stages.read(out, Annotation):
        _write(facts, path_of[facts.clip_id], options)
        if options.json:
            yield text.facts_as_json(path_of[facts.clip_id], facts)
        elif count < MOST_ROWS:
            yield text.facts_as_row(facts) if count else f"{text.TABLE_HEAD}\n{text.facts_as_row(facts)}"
        count += 1
    if not options.json:
        dropped = sum(1 for _ in stages.read_dropped(out))
        yield f"\n{count} of {count + dropped} annotated, {dropped} dropped; the facts are in {out}"


def into_folder(
    paths: Sequence[Path], out: Path, options: AnnotateOptions, workers: int = 2
) -> dict[str, str]:
    """Runs the annotate stage into `out`, or goes on with it; the path of each recording by its id."""
    from llark.annotate import VERSION

    records, plan, inputs = _records(paths)
    _refuse_plot(options, len(records))
    step = listen.Listen(frames=False, notes=options.notes, name="annotate")
    writer = stages.open_stage(out, step.name, {**plan, "version": VERSION, "notes": options.notes}, inputs)
    engine.run(
        step,
        records,
        writer,
        workers=workers,
        timeout_seconds=listen.LONGEST_SECONDS if workers else None,
        total=len(records),
        drop_share=options.drop_share,
    )
    return {record.id: record.path for record in records if not isinstance(record, Dropped)}


def _records(
    paths: Sequence[Path],
) -> tuple[Sequence[Track | Clip | Dropped], dict[str, str], Sequence[Place]]:
    """(records, plan, input folders): the clips of a prepared folder, or the tracks of files and folders."""
    from llark.prepare.datasets.folder import digest_of, tracks_of

    prepared = {path: folders for path in paths if (folders := artifacts.look(path).clips)}
    if prepared and len(paths) > 1:
        raise UserMustAct(f"{next(iter(prepared))} is a prepared folder: it goes alone.")
    if prepared:
        folders = prepared[paths[0]]
        return list(stages.read_all(folders, Clip)), {}, folders
    tracks = tracks_of(paths)
    return tracks, {"tracks": digest_of(tracks)}, []


def _refuse_plot(options: AnnotateOptions, recordings: int) -> None:
    """A picture of no known format, and one picture of many recordings."""
    from llark.report.facts_plot import SUFFIXES

    if options.plot is None:
        return
    if options.plot.suffix and not _is_picture(options.plot) and not options.plot.is_dir():
        raise UserMustAct(
            f"--plot {options.plot}: a picture is one of {', '.join(SUFFIXES)}, not {options.plot.suffix}. "
            "For a folder of pictures name one without a suffix, or one that is there already."
        )
    if _is_picture(options.plot) and recordings > 1:
        raise UserMustAct(
            f"{options.plot} is one picture, and there are {recordings} recordings: name a folder."
        )


def _is_picture(path: Path) -> bool:
    from llark.report.facts_plot import SUFFIXES

    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _write(facts: Annotation, path: str, options: AnnotateOptions) -> None:
    """The JAMS file and the picture of one recording, where they are options."""
    if options.jams is not None:
        from llark.annotate import jams

        jams.write(_inside(options.jams, facts.clip_id, jams.SUFFIX), facts, Path(path).stem)
    if options.plot is not None:
        from llark.report.facts_plot import Picture, save

        target = options.plot if _is_picture(options.plot) else _inside(options.plot, facts.clip_id, ".png")
        save(target, Picture(Path(path).name, facts, envelope(path, facts.start_seconds, facts.end_seconds)))


def _inside(folder: Path, record_id: str, suffix: str) -> Path:
    """A file in the folder, or below it, named after a record; an id cannot lead out of it."""
    parts = [part for part in PurePosixPath(record_id).parts if part not in ("/", "..")]
    return folder.joinpath(*parts[:-1], f"{parts[-1] if parts else 'recording'}{suffix}")


def envelope(path: str, start_seconds: float, end_seconds: float) -> np.ndarray:
    """[columns, 2]: the lowest and highest sample of equal stretches of a recording, read by windows."""
    import numpy as np

    columns = np.zeros((ENVELOPE_COLUMNS, 2), np.float32)
    per_second = ENVELOPE_COLUMNS / (end_seconds - start_seconds)
    spans = audio.windows_of(path, start_seconds, end_seconds)
    for (first, _), samples, rate in audio.stream(path, spans):
        places = ((first - start_seconds + np.arange(len(samples)) / rate) * per_second).astype(int)
        places = np.minimum(places, ENVELOPE_COLUMNS - 1)
        np.minimum.at(columns[:, 0], places, samples)
        np.maximum.at(columns[:, 1], places, samples)
    return columns
