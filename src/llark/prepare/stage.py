"""The prepare stage: a data set's recordings → a folder of tracks, clips and truths, with each loss counted.

`OUT/tracks`, `OUT/clips` and, where the data set labels anything, `OUT/truths` are stage folders; each
says in its `dropped.jsonl` what was lost. `OUT/prepared.json` is written last and says what all of it is.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from llark import audio, engine
from llark.errors import BadAudio, UserMustAct
from llark.options import ClipFormat
from llark.prepare import datasets, summary
from llark.prepare.crop import Convert, Crop, crop_annotation
from llark.prepare.datasets.folder import tags_available
from llark.records import Annotation, Clip, Dropped, MetadataValue, Track
from llark.storage import folders as files
from llark.storage import stages

NAME = "prepare"
LONGEST_SECONDS_A_TRACK = 600.0
"""A track that keeps a worker longer is dropped, `timeout`."""

_FLUSH_RECORDS = 2000
_FLUSH_SECONDS = 30.0


@dataclass(frozen=True)
class PrepareConfig:
    """What a prepared folder depends on. Another folder is needed where one of these changes."""

    source: str
    """The data set's folder, a table or a folder of music; a path or an fsspec URL."""
    dataset: str = "folder"
    """A name of `datasets.names()`."""
    split: str | None = None
    """The only split to take; `None` takes all."""
    crop: Crop = field(default_factory=Crop)
    """Which stretches of a track become clips."""
    convert: ClipFormat | None = None
    """`wav` or `flac` for clips with files of their own; `None` copies nothing."""
    sample_rate: int | None = None
    """Samples a second of those files; `None` keeps the track's own."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Field of a track → column of the table; only for `csv` and `jsonl`."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What the data set's reader alone takes, as text: `{"version": "1"}`."""
    limit: int | None = None
    """Take so many tracks, from the first on."""

    def __post_init__(self) -> None:
        if self.sample_rate is not None and self.convert is None:
            raise UserMustAct("A sample rate goes with --convert: clips that are not copied keep their own.")
        if self.sample_rate is not None and not 1000 <= self.sample_rate <= 384_000:
            raise UserMustAct(f"--sample-rate {self.sample_rate}: from 1000 to 384000 can be written.")
        if self.limit is not None and self.limit < 1:
            raise UserMustAct(f"--limit {self.limit} leaves no track.")

    def plan(self) -> dict[str, Any]:
        """Plain values for `about.json`: with equal ones the outcome is the same."""
        plan = {**asdict(self), "source": absolute(self.source), "tags": tags_available()}
        return plan if self.options else {name: value for name, value in plan.items() if name != "options"}


def absolute(place: str) -> str:
    """A path from the root on; a URL as it is."""
    return files.url(place) if files.is_url(place) else os.path.abspath(files.local_path(place))


@dataclass(frozen=True)
class LostRow:
    """A row that the reader could not make a track of."""

    key: str
    """Tells it from all other inputs."""
    drop: Dropped


@dataclass
class DatasetRecords:
    """The data set's records, one at a time, counted as they go by."""

    settings: PrepareConfig
    tracks: int = 0
    """Recordings that the reader has given."""
    drops: int = 0
    """Rows that it could not make a recording of."""

    def __iter__(self) -> Iterator[Track | LostRow]:
        for record in _read(self.settings):
            if isinstance(record, Dropped):
                self.drops += 1
                yield LostRow(f"drop {self.drops}: {record.id}", record)
                continue
            self.tracks += 1
            yield replace(record, dataset=self.settings.dataset)
            if self.tracks == self.settings.limit:
                return
        if not self.tracks + self.drops:
            raise UserMustAct(f"{self.settings.source} holds not one recording.")


def _read(settings: PrepareConfig) -> Iterable[Track | Dropped]:
    read = datasets.load(settings.dataset).read_tracks
    further = datasets.typed_options(settings.dataset, read, settings.options)
    if not settings.columns:
        return read(settings.source, settings.split, **further)
    if "columns" not in inspect.signature(read).parameters:
        raise UserMustAct(f"--columns goes with the data sets csv and jsonl, not with {settings.dataset}.")
    return read(settings.source, settings.split, columns=settings.columns)


@dataclass(frozen=True)
class PrepareStep:
    """Step: a `Track` → itself with what its file is, its `Clip`s, and the truth of each clip.

    A track without a clip is lost. A clip that cannot be converted is a `Dropped`; the others stay.
    """

    crop: Crop
    convert: Convert | None = None
    name: str = NAME

    def id_of(self, record: Track | LostRow) -> str:
        return record.id if isinstance(record, Track) else record.key

    def open(self) -> None:
        """Nothing to load."""

    def __call__(self, record: Track | LostRow) -> Iterator[Track | Clip | Annotation | Dropped]:
        if isinstance(record, LostRow):
            yield record.drop
            return
        info = audio.probe(record.path)
        cut = self.crop.cut(record, info.duration_seconds, audio.fingerprint(record.path))
        pieces = [self._written(piece) for piece in cut]
        clips = [piece for piece in pieces if isinstance(piece, Clip)]
        if clips:
            yield _described(record, info)
        yield from pieces
        if record.truth is not None:
            yield from (crop_annotation(record.truth, clip) for clip in clips)

    def _written(self, piece: Clip | Dropped) -> Clip | Dropped:
        if self.convert is None or isinstance(piece, Dropped):
            return piece
        try:
            return self.convert(piece)
        except BadAudio as error:
            return Dropped(piece.id, self.name, error.reason, error.detail)


def _described(track: Track, info: audio.AudioInfo) -> Track:
    """The track, with what its file turned out to be."""
    measured: dict[str, MetadataValue] = {
        "audio.format": info.format,
        "audio.sample_rate": info.sample_rate,
        "audio.channels": info.channels,
        "audio.duration_seconds": round(info.duration_seconds, 6),
    }
    seconds = info.duration_seconds if track.duration_seconds is None else track.duration_seconds
    return replace(track, duration_seconds=seconds, metadata={**track.metadata, **measured})


class PrepareWriter:
    """The stage's three folders behind one face, kept in step: an input is done once its track is on disk.

    That is written last of the three, so a run that is killed goes on with whole inputs.
    """

    def __init__(self, out: str, settings: PrepareConfig) -> None:
        self._out, self._settings = out, settings
        self._truths: stages.StageWriter | None = None
        self._pending, self._flushed_at = 0, time.monotonic()
        self._torn = False
        self._tracks = self._open("tracks")
        try:
            self._clips = self._open("clips")
            if files.folder(out).exists("truths"):
                self._truths = self._open("truths")
        except BaseException:
            self._tracks.close()
            raise

    def _open(self, name: str) -> stages.StageWriter:
        plan = {**self._settings.plan(), "holds": name}
        return stages.open_stage(
            f"{self._out}/{name}", NAME, plan, flush_records=1 << 62, flush_seconds=float("inf")
        )

    @property
    def finished(self) -> bool:
        return self._tracks.finished

    @property
    def done(self) -> set[str]:
        return self._tracks.done

    def write(self, input_id: str, outputs: Sequence[object]) -> None:
        """Sorts what one input became into the folders. Nothing at all, or clips without their track, is a
        mistake of ours and raises `AssertionError`."""
        kept = [output for output in outputs if isinstance(output, Track)]
        clips = [output for output in outputs if isinstance(output, Clip)]
        drops = [output for output in outputs if isinstance(output, Dropped)]
        truths = [output for output in outputs if isinstance(output, Annotation)]
        assert bool(kept) == bool(clips), f"{input_id} has clips and no track, or a track and no clips"
        assert kept or drops, f"{input_id} is neither kept nor dropped"
        if truths and self._truths is None:
            self._truths = self._open("truths")
        lost = [] if kept else [_of_track(drops, input_id)]
        for writer, records in (
            (self._truths, truths),
            (self._clips, clips + drops),
            (self._tracks, kept + lost),
        ):
            if writer is not None and records and not writer.finished and input_id not in writer.done:
                writer.write(input_id, records)
        self._pending += 1 + len(outputs)
        if self._pending >= _FLUSH_RECORDS or time.monotonic() - self._flushed_at >= _FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        """All three in their order. Once one fails, nothing more goes to disk: a track whose clips could not
        be written would count as done."""
        if self._torn:
            return
        self._pending, self._flushed_at, self._torn = 0, time.monotonic(), True
        for writer in self._writers():
            if not writer.finished:
                writer.flush()
        self._torn = False

    def _writers(self) -> list[stages.StageWriter]:
        """In the order in which they go to disk."""
        return [*([self._truths] if self._truths else []), self._clips, self._tracks]

    def finish(self) -> None:
        self._flush()
        for writer in self._writers():
            writer.finish()

    def __enter__(self) -> PrepareWriter:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if not self.finished:
                self._flush()
        finally:
            for writer in self._writers():
                writer.close()


def _of_track(drops: Sequence[Dropped], input_id: str) -> Dropped:
    """Why a track was lost: the first thing that went wrong with it, or with a clip of it."""
    return replace(drops[0], id=input_id) if drops[0].id.startswith(f"{input_id}@") else drops[0]


def run(
    settings: PrepareConfig,
    out: str,
    *,
    workers: int = 0,
    drop_share: float = engine.DROP_SHARE,
    progress: bool = True,
) -> summary.PrepareSummary:
    """The whole stage; run again, a stopped one goes on, and a finished one is only summed up.

    Raises:
        StoreMismatch: The folder was made with other settings; the message names the first that differs.
        UserMustAct: The source is not there, gives no track or changed on the way, too much was dropped, or
            the disk is full.
    """
    out = absolute(out)
    convert = None
    if settings.convert is not None:
        convert = Convert(f"{out}/audio", settings.convert, settings.sample_rate)
    source, folders = DatasetRecords(settings), PrepareWriter(out, settings)
    if not folders.finished:
        engine.run(
            PrepareStep(settings.crop, convert),
            source,
            folders,
            workers=workers,
            timeout_seconds=LONGEST_SECONDS_A_TRACK if workers else None,
            progress=progress,
            drop_share=drop_share,
        )
        _refuse_changed(source, out)
    truths = stages.about(f"{out}/truths")["counts"]["out"] if files.folder(out).exists("truths") else 0
    made = summary.write(out, datasets.load(settings.dataset), settings.plan(), truths)
    if not made.whole.tracks:
        lost = ", ".join(f"{reason} {count}×" for reason, count in made.lost.most_common())
        raise UserMustAct(f"{settings.source} gives no track ({lost}): see {out}/clips/dropped.jsonl.")
    return made


def _refuse_changed(source: DatasetRecords, out: str) -> None:
    """Every record that was read is a track or a drop in both folders, and nothing else is."""
    given = source.tracks + source.drops
    for name in ("tracks", "clips"):
        accounted = stages.about(f"{out}/{name}")["counts"]["in"]
        if given != accounted:
            what = f"{source.settings.source} now gives {given} recordings, {out} accounts for {accounted}"
            raise UserMustAct(f"{what}: the source changed between two runs. Name a new folder.")
