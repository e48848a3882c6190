"""A track becomes clips: windows side by side over all of it, or one window, by a rule that is written down.

All strategies keep inside the segment that the data set names (`Track.start_seconds` to `end_seconds`), and
what is random depends on the seed and the track's id alone. What the data set labels of the track is cut to
each clip, and a clip may get a file of its own.

One clock: an annotation's times are seconds of the file that its clip names, from `start_seconds` on. A
clip that is a stretch of the track's file keeps the track's times; where a clip has a file of its own, the
times are shifted to that file's start. Whoever wants seconds from the clip's start takes `start_seconds` off.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeVar, get_args

import numpy as np

from llark import audio, records
from llark.audio import SHORTEST_SECONDS, WINDOW_SECONDS, Span, probe, windows
from llark.errors import UserMustAct
from llark.options import ClipFormat, Strategy
from llark.records import (
    Annotation,
    Beats,
    Chords,
    ChordSpan,
    Clip,
    Dropped,
    LocalKeys,
    Loudness,
    Melody,
    Note,
    Notes,
    Sections,
    Track,
)
from llark.storage import folders

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

PUBLISHED_WINDOW_SECONDS = 30.0
"""How long the clips of the published system are."""

PUBLISHED_FIRST_PROBABILITY = 0.2
"""How often `published` takes the first window of a track that has two."""

_UNHEARD_SECONDS = 0.05
"""A rest shorter than this is the padding of an encoder, and no loss worth a line."""

_SHORTEST_HOP_SECONDS = 0.01
"""Clip ids tell hundredths of a second apart."""


@dataclass(frozen=True)
class Crop:
    """Step: `Track` → `Clip`s. Raises `BadAudio` as `audio.probe` does.

    A clip's id is the track's and the second it starts at. What is too short to be a clip is a `Dropped`.
    """

    window_seconds: float = WINDOW_SECONDS
    """How long a clip is. A shorter track is one clip, if it has 1 s (or a whole window)."""
    strategy: Strategy = "every"
    """`every` window side by side, the last one shorter; the `first`; the `middle` one; one at `random`;
    `published`, the first window with `first_probability`, or where the track holds less than two, else the
    second; `published-multi`, every full window."""
    hop_seconds: float | None = None
    """From one window's start to the next, for `every`; `None` is `window_seconds`."""
    seed: int = 0
    """Of `random` and `published`."""
    first_probability: float = PUBLISHED_FIRST_PROBABILITY
    name: str = "prepare"

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ValueError(f"there is no strategy {self.strategy!r}; there are {', '.join(STRATEGIES)}")
        if not 0 < self.window_seconds < float("inf"):
            raise ValueError(f"a window of {self.window_seconds} s is no window")
        if self.hop_seconds is not None and self.strategy != "every":
            raise ValueError(f"a hop goes with the strategy every, not with {self.strategy}")
        if self.hop_seconds is not None and not _SHORTEST_HOP_SECONDS <= self.hop_seconds < float("inf"):
            raise ValueError(f"a hop of {self.hop_seconds} s is under {_SHORTEST_HOP_SECONDS} s")
        if not 0 <= self.first_probability <= 1:
            raise ValueError(f"a probability of {self.first_probability} is not between 0 and 1")

    def id_of(self, record: Track) -> str:
        return record.id

    def open(self) -> None:
        """Nothing to load."""

    def __call__(self, record: Track) -> Iterator[Clip | Dropped]:
        yield from self.cut(record, probe(record.path).duration_seconds, audio.fingerprint(record.path))

    def cut(self, track: Track, file_seconds: float, fingerprint: str = "") -> Iterator[Clip | Dropped]:
        """The clips of a track whose file is so long and has this fingerprint, and what of it is lost."""
        first = track.start_seconds
        last = file_seconds if track.end_seconds is None else min(track.end_seconds, file_seconds)
        if last <= first:
            detail = f"The segment starts at {first:g} s; {track.path} ends at {file_seconds:.2f} s."
            yield Dropped(clip_id(track.id, first), self.name, "outside", detail)
            return
        spans = self.spans(last - first, track.id)
        for start, end in spans:
            yield Clip(
                id=clip_id(track.id, first + start),
                track_id=track.id,
                path=track.path,
                start_seconds=_tidy(first + start),
                end_seconds=_tidy(first + end),
                split=track.split,
                dataset=track.dataset,
                fingerprint=fingerprint,
            )
        yield from self._rest(track, first, last - first, spans)

    def spans(self, seconds: float, track_id: str) -> list[Span]:
        """(start, end) of each clip in a track that is so long, from its start."""
        window = self.window_seconds
        if self.strategy == "published-multi":
            return [(n * window, (n + 1) * window) for n in range(int(seconds / window + 1e-9))]
        if self.strategy == "every":
            return windows(seconds, window, self.hop_seconds)
        if seconds < self._shortest():
            return []
        start = self._one_start(seconds, track_id)
        return [(start, min(start + window, seconds))]

    def _one_start(self, seconds: float, track_id: str) -> float:
        """Where the only clip starts; a hundredth of a second is as fine as it gets."""
        spare = max(0.0, seconds - self.window_seconds)
        if self.strategy == "middle":
            return int(spare * 50) / 100
        if self.strategy == "random":
            return int(Random(f"{self.seed}:crop:{track_id}").random() * (spare * 100 + 1)) / 100
        if self.strategy == "published" and seconds >= 2 * self.window_seconds:
            first = Random(f"{self.seed}:published-crop:{track_id}").random() < self.first_probability
            return 0.0 if first else self.window_seconds
        return 0.0

    def _shortest(self) -> float:
        full = self.strategy == "published-multi"
        return self.window_seconds if full else min(SHORTEST_SECONDS, self.window_seconds)

    def _rest(self, track: Track, first: float, seconds: float, spans: list[Span]) -> Iterator[Dropped]:
        """What should have been a clip and is too short. A strategy that picks one window has no rest."""
        if spans and self.strategy not in ("every", "published-multi"):
            return
        covered = spans[-1][1] if spans else 0.0
        begins = max(covered, len(spans) * (self.hop_seconds or self.window_seconds))
        if spans and seconds - begins <= _UNHEARD_SECONDS:
            return
        where = f" after {first + begins:g} s" if spans else ""
        long = f"{track.path} is {seconds - begins:.2f} s long{where}"
        detail = f"{long}; a clip needs {self._shortest():g} s."
        yield Dropped(clip_id(track.id, first + begins), self.name, "too-short", detail)


def named(
    strategy: Strategy, window_seconds: float | None = None, hop_seconds: float | None = None, seed: int = 0
) -> Crop:
    """A strategy with the window that goes with it. Raises `UserMustAct` for values that contradict."""
    usual = PUBLISHED_WINDOW_SECONDS if strategy.startswith("published") else WINDOW_SECONDS
    try:
        return Crop(usual if window_seconds is None else window_seconds, strategy, hop_seconds, seed)
    except ValueError as error:
        raise UserMustAct(f"This cropping cannot be: {error}.") from error


def _tidy(seconds: float) -> float:
    """Without the last digits of a sum, so that the same second is written the same way."""
    return round(seconds, 9)


def clip_id(track_id: str, start_seconds: float) -> str:
    """Opaque: nothing reads the start back out of it."""
    return f"{track_id}@{start_seconds:.2f}"


# --- a clip's truth -----------------------------------------------------------------------------------------


def crop_annotation(annotation: Annotation, clip: Clip) -> Annotation:
    """The part of a track's annotation that the clip covers, in seconds of the clip's own file.

    Beats are kept where start <= time < end, so that each belongs to one of two clips side by side. Chords,
    notes, sections and local keys that overlap the clip are cut at its edges. Tempo, meter, key and tags are
    those of the track; its loudness and its melody are not those of a clip, and are left out. Where the
    annotation says which stretch it covers and the clip lies outside, nothing is known.
    """
    window = _Window(
        clip.start_seconds + clip.offset_seconds, clip.end_seconds + clip.offset_seconds, clip.offset_seconds
    )
    start, end = annotation.start_seconds, annotation.end_seconds
    if end > start and (window.last <= start or window.first >= end):
        return Annotation(clip.id, clip.start_seconds, clip.end_seconds)
    sections, keys = window.spans(annotation.sections.spans), window.spans(annotation.local_keys.spans)
    chords, notes = window.spans(annotation.chords.spans), window.notes(annotation.notes.notes)
    return replace(
        annotation,
        clip_id=clip.id,
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
        beats=window.beats(annotation.beats),
        chords=replace(annotation.chords, spans=chords) if chords else Chords(),
        notes=replace(annotation.notes, notes=notes) if notes else Notes(),
        sections=replace(annotation.sections, spans=sections) if sections else Sections(),
        local_keys=replace(annotation.local_keys, spans=keys) if keys else LocalKeys(),
        loudness=Loudness(),
        melody=Melody(),
    )


Spanned = TypeVar("Spanned", ChordSpan, records.Span)


@dataclass(frozen=True)
class _Window:
    """A clip's stretch of the track's file, `first` to `last`, and what is taken off for its own file."""

    first: float
    last: float
    offset: float

    def beats(self, beats: Beats) -> Beats:
        inside = [i for i, time in enumerate(beats.times_seconds) if self.first <= time < self.last]
        if not inside:
            return Beats()
        return replace(
            beats,
            times_seconds=tuple(self._shifted(beats.times_seconds[i]) for i in inside),
            positions=tuple(beats.positions[i] for i in inside if i < len(beats.positions)),
        )

    def spans(self, spans: Iterable[Spanned]) -> tuple[Spanned, ...]:
        return tuple(
            replace(
                span, start_seconds=self._start(span.start_seconds), end_seconds=self._end(span.end_seconds)
            )
            for span in spans
            if max(span.start_seconds, self.first) < min(span.end_seconds, self.last)
        )

    def notes(self, notes: Iterable[Note]) -> tuple[Note, ...]:
        return tuple(
            replace(
                note,
                onset_seconds=self._start(note.onset_seconds),
                offset_seconds=self._end(note.offset_seconds),
            )
            for note in notes
            if self._hears(note)
        )

    def _hears(self, note: Note) -> bool:
        """A note without length, as some drums are written, sounds where it begins."""
        if note.onset_seconds >= self.last:
            return False
        return note.offset_seconds > self.first or note.onset_seconds >= self.first

    def _start(self, seconds: float) -> float:
        return self._shifted(max(seconds, self.first))

    def _end(self, seconds: float) -> float:
        return self._shifted(min(seconds, self.last))

    def _shifted(self, seconds: float) -> float:
        """Less the offset, without the last digits of a difference."""
        return round(seconds - self.offset, 6) if self.offset else seconds


# --- a clip's own file --------------------------------------------------------------------------------------

SUFFIXES: dict[str, str] = {"wav": ".wav", "flac": ".flac"}
"""The formats a clip can be written in, 16 bits a sample, and their suffixes."""

_READABLE_CHARACTERS = 40


@dataclass(frozen=True)
class Convert:
    """Writes clips as files, each wholly or not at all."""

    out: str
    """The folder that they lie below; a path or an fsspec URL."""
    kind: ClipFormat = "wav"
    """Format of the files."""
    sample_rate: int | None = None
    """Samples a second; `None` keeps the track's own."""

    def __post_init__(self) -> None:
        if self.kind not in SUFFIXES:
            raise ValueError(f"clips are written as {' or '.join(SUFFIXES)}, not as {self.kind!r}")
        if self.sample_rate is not None and not 1000 <= self.sample_rate <= 384_000:
            raise ValueError(f"{self.sample_rate} samples a second: 1000 to 384000 can be written")

    def __call__(self, clip: Clip) -> Clip:
        """The clip in its own file: its times are of that file, and `offset_seconds` says where it was.

        Only the clip's window is decoded. Raises `BadAudio` as `audio.load` does, and `UserMustAct` where the
        file cannot be written.
        """
        samples, rate = audio.load(
            clip.path,
            start_seconds=clip.start_seconds,
            end_seconds=clip.end_seconds,
            sample_rate=self.sample_rate,
        )
        path = self._saved(file_name(clip.id) + SUFFIXES[self.kind], _as_integers(samples), rate)
        return replace(
            clip,
            path=path,
            start_seconds=0.0,
            end_seconds=len(samples) / rate,
            offset_seconds=clip.start_seconds,
            fingerprint=audio.fingerprint(path),
        )

    def _saved(self, name: str, integers: np.ndarray, rate: int) -> str:
        """Writes int16 [samples] to a file of the folder, and returns its path or URL."""
        place = folders.join(self.out, name)
        with _clear_errors(place):
            if not folders.is_url(place):
                Path(place).parent.mkdir(parents=True, exist_ok=True)
                audio.save(place, integers, rate)
                return str(place)
            with TemporaryDirectory() as folder:
                here = Path(folder, f"clip{SUFFIXES[self.kind]}")
                audio.save(here, integers, rate)
                folders.folder(self.out).write(name, here.read_bytes())
        return str(place)


@contextlib.contextmanager
def _clear_errors(place: folders.Place) -> Iterator[None]:
    """A file that cannot be written is no fault of the clip: the disk is full or forbidden; the run stops."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # libsndfile's errors are RuntimeErrors
        why = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        full = f"Cannot write {place}: {why}. Is the disk full? What was finished is kept."
        raise UserMustAct(full) from error


def _as_integers(samples: np.ndarray) -> np.ndarray:
    """int16 [samples], rounded; what is beyond full scale is cut off."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)


def file_name(clip_id: str) -> str:
    """`3f/what-can-be-read-3f0c…`: short, of plain letters, and another one for every id."""
    digest = hashlib.sha256(clip_id.encode()).hexdigest()[:16]
    readable = re.sub(r"[^A-Za-z0-9.@]+", "-", clip_id)[-_READABLE_CHARACTERS:].strip("-.")
    return f"{digest[:2]}/{readable}-{digest}"
