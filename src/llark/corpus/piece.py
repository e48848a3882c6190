"""A piece as every source writes it: parts, harmony and bars, in beats, before a tempo is chosen.

A beat is what the truth calls a beat: a quarter note, or in 6/8 a dotted quarter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

BEND = -1
"""The `number` of a `Control` that is a pitch bend (−8192…8191) and no controller."""


@dataclass(frozen=True, slots=True)
class Note:
    """From `start` to `end` in beats; MIDI `pitch` and `velocity`."""

    start: float
    end: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Control:
    """A controller change (or a `BEND`) at `start` beats."""

    start: float
    number: int
    value: int


@dataclass(frozen=True)
class Part:
    """One instrument. `role` is `melody`, `chords`, `pad`, `bass` or `drums`; for drums `program` is the
    kit."""

    role: str
    program: int
    notes: tuple[Note, ...]
    controls: tuple[Control, ...] = ()

    @property
    def is_drums(self) -> bool:
        return self.role == "drums"


@dataclass(frozen=True, slots=True)
class Harmony:
    """A chord from `start` to `end` in beats: pitch class of the root, and a JAMS quality (`maj`, `min7`,
    …)."""

    start: float
    end: float
    root: int
    quality: str


@dataclass(frozen=True)
class Piece:
    """Parts and what is known of them. Unknown is `None` or empty, never a guess.

    `meter` is 2, 3, 4 or 6; `first_downbeat` the beat number (0 or later) of the first downbeat;
    `key` an index into `records.KEYS`; `slowest_bpm` and `fastest_bpm` bound the tempo it may be played at,
    and `usual_bpm` that at which listeners tap the beats as they are written; `group` is what the split is
    made by. A piece that `modulates` is only in its `key` where its notes say so.
    """

    parts: tuple[Part, ...]
    length_beats: float
    group: str
    meter: int | None = None
    first_downbeat: int = 0
    key: int | None = None
    harmony: tuple[Harmony, ...] = ()
    genres: tuple[str, ...] = ()
    slowest_bpm: float = 45.0
    fastest_bpm: float = 220.0
    usual_bpm: tuple[float, float] = (0.0, math.inf)
    modulates: bool = False
    title: str | None = None
    artist: str | None = None
    licence: str = "unknown"
    about: dict[str, str] = field(default_factory=dict)

    @property
    def beats_per_bar(self) -> int | None:
        """Beats in a bar, counted as the truth counts them: two in 6/8."""
        return 2 if self.meter == 6 else self.meter


def transpose(piece: Piece, semitones: int) -> Piece:
    """Everything but the drums moved, with key and harmony. Pitches that leave MIDI move by an octave."""
    parts = tuple(
        part if part.is_drums else replace(part, notes=tuple(_moved(n, semitones) for n in part.notes))
        for part in piece.parts
    )
    harmony = tuple(replace(h, root=(h.root + semitones) % 12) for h in piece.harmony)
    key = None if piece.key is None else (piece.key % 12 + semitones) % 12 + 12 * (piece.key // 12)
    return replace(piece, parts=parts, harmony=harmony, key=key)


def _moved(note: Note, semitones: int) -> Note:
    pitch = note.pitch + semitones
    while pitch < 16:
        pitch += 12
    while pitch > 112:
        pitch -= 12
    return replace(note, pitch=pitch)


def onsets_per_beat(parts: Sequence[Part], length_beats: float) -> float:
    """Different onset times (to a twelfth of a beat) a beat: how busy the music is."""
    onsets = {round(note.start * 12) for part in parts for note in part.notes if note.start < length_beats}
    return len(onsets) / max(length_beats, 1.0)
