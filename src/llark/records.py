"""The frozen records that pass a doorway between rooms.

Times are seconds from the start of the *track*, unless a field says otherwise. IDs are opaque.
A value that is not known is `None` (or an empty tuple), and its confidence is then 0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Track:
    """What a data set says about one recording."""

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


@dataclass(frozen=True)
class Exchange:
    """One question and its answer about one clip.

    `facts` names the fields of the annotation that the answer rests on; `task` is `understanding`,
    `captioning` or `reasoning`; `kind` is the sort of question (`tempo`, `key-yesno`, …).
    """

    clip_id: str
    question: str
    answer: str
    task: str
    kind: str
    teacher: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Embedding:
    """What an encoder heard in one clip: `frames` is [frames, width], float16 or float32."""

    clip_id: str
    encoder: str
    frames: np.ndarray
    frames_per_second: float


@dataclass(frozen=True)
class Answer:
    """What the model said, and the facts it was shown (`None` when it heard frames alone)."""

    question: str
    text: str
    model: str
    facts: Annotation | None = None


@dataclass(frozen=True)
class Score:
    """One number of a report, with the count it rests on and its control's name, if it is one."""

    task: str
    metric: str
    value: float
    n: int
    condition: str = "model"


@dataclass(frozen=True)
class Dropped:
    """A record that did not get through a stage, and why: `reason` is a slug, `detail` a sentence."""

    id: str
    stage: str
    reason: str
    detail: str


Record = TypeVar("Record")


_adapters: dict[type, Any] = {}


def _adapter(kind: type) -> Any:
    if kind not in _adapters:
        from pydantic import TypeAdapter

        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def to_json(record: object) -> str:
    """One line of JSON for a record that holds no array."""
    text: str = _adapter(type(record)).dump_json(record).decode()
    return text


def from_json(kind: type[Record], line: str | bytes) -> Record:
    """The record that `to_json` wrote. Raises `ValueError` where the line is no such record."""
    record: Record = _adapter(kind).validate_json(line)
    return record


def to_dict(record: object) -> dict[str, Any]:
    """Plain lists, dicts, numbers and strings."""
    plain: dict[str, Any] = json.loads(to_json(record))
    return plain


def describe_facts(annotation: Annotation) -> str:
    """The facts as the one line that a language model is shown, in training and when asked.

    Unknown facts are named as unknown, so that the model can say so too.
    """
    tempo = f"{annotation.tempo.bpm:.0f} BPM" if annotation.tempo.bpm is not None else UNKNOWN
    meter = METER_NAMES.get(annotation.meter.beats_per_bar or 0, UNKNOWN)
    chords = ", ".join(common_chords(annotation.chords)) or UNKNOWN
    instruments = ", ".join(annotation.instruments.labels) or UNKNOWN
    genre = ", ".join(annotation.genre.labels[:2]) or UNKNOWN
    return (
        f"tempo: {tempo}; meter: {meter}; key: {annotation.key.name or UNKNOWN}; "
        f"chords: {chords}; instruments: {instruments}; genre: {genre}"
    )


METER_NAMES = {2: "2/4", 3: "3/4", 4: "4/4", 6: "6/8"}


_SUFFIXES = {
    "": " major", "maj": " major", "min": " minor", "7": "7", "maj7": "maj7", "min7": "m7", "dim": "dim",
    "aug": "aug", "sus2": "sus2", "sus4": "sus4", "hdim7": "m7b5", "dim7": "dim7", "maj6": "6", "min6": "m6",
}  # fmt: skip


def chord_name(label: str) -> str:
    """`C:maj` → `C major`, `G:7` → `G7`, `A:min7/b3` → `Am7`; `N` → `no chord`. The bass is not named."""
    if label in ("N", "X"):
        return "no chord"
    root, _, quality = label.partition("/")[0].partition(":")
    return f"{root}{_SUFFIXES.get(quality, quality)}"


def common_chords(chords: Chords, most: int = 4) -> tuple[str, ...]:
    """Names of the chords that sound longest, most first; no-chord spans are left out."""
    seconds: dict[str, float] = {}
    for span in chords.spans:
        if span.label not in ("N", "X"):
            name = chord_name(span.label)
            seconds[name] = seconds.get(name, 0.0) + span.end_seconds - span.start_seconds
    ranked = sorted(seconds, key=lambda name: (-seconds[name], name))
    return tuple(ranked[:most])
