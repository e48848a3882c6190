"""The frozen records that pass from stage to stage.

Times are seconds of the recording's file: of the track's, or of the clip's where a clip has a file of its own
(then `Clip.offset_seconds` says where in the track that begins). IDs are opaque.
A value that is not known is `None` (or an empty tuple), and its confidence is then 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
"""One spelling for each pitch class, used in every key and chord this package writes."""

KEYS = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in PITCH_CLASSES)
"""The 24 keys: index = pitch class + 12 for minor."""

INSTRUMENTS = (
    "piano", "electric piano", "harpsichord", "organ", "accordion", "mallets", "acoustic guitar",
    "electric guitar", "distorted guitar", "bass", "strings", "violin", "cello", "harp", "choir", "brass",
    "trumpet", "saxophone", "clarinet", "flute", "synth", "drums", "voice",
)  # fmt: skip
"""The words for instruments, in truth, annotations and answers."""

GENRES = (
    "rock", "pop", "jazz", "blues", "country", "folk", "latin", "funk", "soul", "reggae", "dance",
    "classical", "metal", "ambient", "march", "waltz",
)  # fmt: skip
"""The words for styles."""

UNKNOWN = "unknown"

MetadataValue = str | int | float | bool | tuple[str, ...]
"""What a data set may say about a recording, beyond the fields that every set shares."""


@dataclass(frozen=True)
class Track:
    """What a data set says about one recording.

    `metadata` holds the publisher's own fields under its own names; what is not known is absent, never NaN
    or an empty string. `truth` is what the publisher labels, in seconds of the file at `path`.
    """

    id: str
    path: str
    dataset: str = "folder"
    split: str = "all"
    licence: str = UNKNOWN
    title: str | None = None
    artist: str | None = None
    duration_seconds: float | None = None
    group: str = ""
    """What must not be split apart: the piece, style or album that the recording belongs to."""
    album: str | None = None
    start_seconds: float = 0.0
    """Where the data set names a segment of the file at `path`: its start; `end_seconds` is its end."""
    end_seconds: float | None = None
    captions: tuple[str, ...] = ()
    """What people wrote about the recording."""
    truth: Annotation | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Clip:
    """A stretch of a track. Its annotation, embedding and answers cover the same seconds."""

    id: str
    track_id: str
    path: str
    start_seconds: float
    end_seconds: float
    split: str = "all"
    dataset: str = "folder"
    offset_seconds: float = 0.0
    """The second of the track's file at which this one begins: not 0 only for a clip with its own file."""
    fingerprint: str = ""
    """That of its file when it was cut, by `audio.fingerprint`; empty in older data."""

    @property
    def duration_seconds(self) -> float:
        return self.end_seconds - self.start_seconds


@dataclass(frozen=True)
class Tempo:
    """Beats per minute; `alternative_bpm` is the other octave a listener might tap."""

    bpm: float | None = None
    confidence: float = 0.0
    source: str = ""
    alternative_bpm: float | None = None


@dataclass(frozen=True)
class Beats:
    """Beat times, and for each its place in the bar (1 is a downbeat; empty where unknown)."""

    times_seconds: tuple[float, ...] = ()
    positions: tuple[int, ...] = ()
    confidence: float = 0.0
    source: str = ""

    @property
    def downbeats_seconds(self) -> tuple[float, ...]:
        return tuple(t for t, p in zip(self.times_seconds, self.positions, strict=False) if p == 1)


@dataclass(frozen=True)
class Meter:
    """2 is 2/4, 3 is 3/4, 4 is 4/4; 6 is 6/8, whose tempo and beats are its two dotted quarters."""

    beats_per_bar: int | None = None
    confidence: float = 0.0
    source: str = ""


@dataclass(frozen=True)
class Key:
    """One of `KEYS`."""

    name: str | None = None
    confidence: float = 0.0
    source: str = ""


@dataclass(frozen=True)
class ChordSpan:
    """A chord in JAMS/mir_eval spelling: `C:maj`, `F#:min`, `G:7`, or `N` for no chord."""

    start_seconds: float
    end_seconds: float
    label: str


@dataclass(frozen=True)
class Chords:
    spans: tuple[ChordSpan, ...] = ()
    confidence: float = 0.0
    source: str = ""


@dataclass(frozen=True)
class Tag:
    """A word for what is heard, with the probability that it is."""

    label: str
    confidence: float


@dataclass(frozen=True)
class Tags:
    """Tags, most likely first. Empty: nothing was recognised."""

    tags: tuple[Tag, ...] = ()
    confidence: float = 0.0
    source: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(tag.label for tag in self.tags)


@dataclass(frozen=True)
class Note:
    """One note. `pitch_midi` is 60 for middle C (C4), and for drums the key of the General MIDI kit.

    `instrument` is a name as General MIDI or the publisher has it; `program` is 0 to 127 where known.
    """

    onset_seconds: float
    offset_seconds: float
    pitch_midi: int
    instrument: str
    velocity: int | None = None
    is_drum: bool = False
    program: int | None = None


@dataclass(frozen=True)
class Notes:
    """Notes, by onset. Empty: nothing is known."""

    notes: tuple[Note, ...] = ()
    confidence: float = 0.0
    source: str = ""


@dataclass(frozen=True)
class Span:
    """A stretch of time, the word for what holds there, and how sure that is."""

    start_seconds: float
    end_seconds: float
    label: str
    confidence: float = 0.0


@dataclass(frozen=True)
class Loudness:
    """How loud the recording is, mixed to one channel, by ITU-R BS.1770-4.

    `integrated_lufs`, `range_lu` (the width of its loud and quiet passages) and `peak_dbfs` are measurements;
    `each_second_lufs` is the loudness of each second from the start, `None` where it is silent. `dynamics`
    are judged by ear: `quiet`, `medium`, `loud` against the recording's own loudest passages, `crescendo`,
    `decrescendo` and `silence`. `confidence` is that of the words; where nothing changes there are none.
    """

    integrated_lufs: float | None = None
    range_lu: float | None = None
    peak_dbfs: float | None = None
    each_second_lufs: tuple[float | None, ...] = ()
    dynamics: tuple[Span, ...] = ()
    confidence: float = 0.0
    source: str = ""


@dataclass(frozen=True)
class LocalKeys:
    """Where in a song which of `KEYS` holds. Stretches without a clear key are in no span."""

    spans: tuple[Span, ...] = ()
    confidence: float = 0.0
    source: str = ""


@dataclass(frozen=True)
class Sections:
    """The parts of a song: the same letter is the same music, `A` comes first. The spans leave no gap."""

    spans: tuple[Span, ...] = ()
    confidence: float = 0.0
    source: str = ""


CONTOURS = ("rising", "falling", "arch", "wave", "static")
"""The words for the shape of a melody."""


@dataclass(frozen=True)
class Melody:
    """A single line without accompaniment: one of `CONTOURS`, its range, and its notes."""

    contour: str | None = None
    lowest_midi: int | None = None
    highest_midi: int | None = None
    notes: tuple[Note, ...] = ()
    confidence: float = 0.0
    source: str = ""


@dataclass(frozen=True)
class IsolatedChord:
    """The one chord that a recording consists of, spelled like `ChordSpan.label`; `None` if it is no such."""

    label: str | None = None
    confidence: float = 0.0
    source: str = ""


@dataclass(frozen=True)
class Annotation:
    """The musical facts of one clip: measured by the annotators, or the truth of a corpus."""

    clip_id: str
    start_seconds: float
    end_seconds: float
    tempo: Tempo = field(default_factory=Tempo)
    beats: Beats = field(default_factory=Beats)
    meter: Meter = field(default_factory=Meter)
    key: Key = field(default_factory=Key)
    chords: Chords = field(default_factory=Chords)
    instruments: Tags = field(default_factory=Tags)
    genre: Tags = field(default_factory=Tags)
    mood: Tags = field(default_factory=Tags)
    notes: Notes = field(default_factory=Notes)
    loudness: Loudness = field(default_factory=Loudness)
    local_keys: LocalKeys = field(default_factory=LocalKeys)
    sections: Sections = field(default_factory=Sections)
    melody: Melody = field(default_factory=Melody)
    isolated_chord: IsolatedChord = field(default_factory=IsolatedChord)


@dataclass(frozen=True)
class Exchange:
    """One question and its answer about one clip, and where they come from."""

    clip_id: str
    question: str
    answer: str
    task: str
    """The family of the question: `understanding`, `captioning` or `reasoning`."""
    kind: str
    """The sort of question: `tempo`, `key-yesno` …"""
    teacher: str
    """Who wrote it, with the version: `offline-2`, `openai-1` …"""
    facts: tuple[str, ...] = ()
    """The fields of the annotation (or of the data set's record) that the answer rests on."""
    track_id: str = ""
    """The recording that the clip is a part of. This field and those below are empty in older data."""
    dataset: str = ""
    split: str = "all"
    licence: str = UNKNOWN
    """The licence of the recording, which the exchange describes."""
    model: str = ""
    """The language model, as its server names it; empty for the offline teacher, as the next two are."""
    prompt: str = ""
    """The prompt's family and version: `captioning-1`."""
    prompt_sha256: str = ""
    """The key of the model's reply in `replies.sqlite`."""
    measured_by: tuple[str, ...] = ()
    """For each of `facts`, in their order, who measured or labelled it."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """The frames that an encoder made of one clip."""

    clip_id: str
    encoder: str
    """Name and version of what made the frames."""
    frames: np.ndarray
    """[frames, width], float16 or float32."""
    frames_per_second: float
    start_seconds: float | None = None
    """The seconds of the recording's file that the frames cover: their start, and their end."""
    end_seconds: float | None = None
    rate: str | None = None
    """The exact frames a second, as a fraction: `11025/1088`; `None` where `frames_per_second` is exact."""

    @classmethod
    def of_clip(
        cls, clip: Clip, encoder: str, frames: np.ndarray, rate: Fraction, seconds: Fraction
    ) -> Embedding:
        """An encoder's frames of a clip. `seconds` are those of the samples that were there."""
        end = clip.start_seconds + float(seconds)
        return cls(clip.id, encoder, frames, float(rate), clip.start_seconds, end, str(rate))

    @property
    def exact_rate(self) -> Fraction:
        """Frames a second."""
        return fraction(self.rate or self.frames_per_second)


_FRACTION = re.compile(r"\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,2})?|\d{1,40}/\d{1,40}")


def fraction(number: str | float) -> Fraction:
    """A rate, as a number or as text (`2.5`, `11025/1088`), exactly. Raises `ValueError` where it is no
    number from 0 on; `Fraction` alone would write out all digits of `1e999999999`."""
    try:
        if isinstance(number, str) and not _FRACTION.fullmatch(number):
            raise ValueError("not written as a number")
        exact = Fraction(number)
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"{str(number)[:40]!r} is no rate") from error
    if exact < 0:
        raise ValueError(f"{number} is no rate")
    return exact


@dataclass(frozen=True)
class Answer:
    """An answer to a question, and the facts that were shown (`None` where a model had frames alone)."""

    question: str
    text: str
    model: str
    facts: Annotation | None = None
    kinds: tuple[str, ...] = ()
    """What was read in the question; empty where a model answered it."""
    rests_on: tuple[str, ...] = ()
    """The fields of the annotation that the answer rests on."""


@dataclass(frozen=True)
class Dropped:
    """A record that did not get through a stage, and why: `reason` is a slug, `detail` a sentence."""

    id: str
    stage: str
    reason: str
    detail: str


MAY_PASS = ("error:", "worker-killed", "timeout")
"""How the reasons of drops begin whose cause may be gone when the record is tried again."""


Record = TypeVar("Record")


_adapters: dict[type, Any] = {}


def _adapter(kind: type) -> Any:
    if kind not in _adapters:
        from pydantic import TypeAdapter

        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def to_json(record: object) -> str:
    """One line of JSON for a record that holds no array."""
    return _adapter(type(record)).dump_json(record).decode()


def from_json(kind: type[Record], line: str | bytes) -> Record:
    """The record that `to_json` wrote. Raises `ValueError` where the line is no such record."""
    return _adapter(kind).validate_json(line)


def from_plain(kind: type[Record], values: object) -> Record:
    """The record of plain lists, dicts, numbers and strings. Raises `ValueError` where they are none."""
    return _adapter(kind).validate_python(values)


def to_dict(record: object) -> dict[str, Any]:
    """Plain lists, dicts, numbers and strings."""
    return json.loads(to_json(record))


METER_NAMES = {2: "2/4", 3: "3/4", 4: "4/4", 6: "6/8"}
