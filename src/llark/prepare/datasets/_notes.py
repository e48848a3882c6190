"""MIDI files and General MIDI names: the only file of this room that knows pretty_midi."""

from __future__ import annotations

import io
from typing import Any

from llark.errors import UserMustAct
from llark.prepare.datasets._rows import BadRow
from llark.records import Note, Notes

PROGRAMS = 128


def _pretty_midi() -> Any:
    try:
        import pretty_midi
    except ModuleNotFoundError as error:
        raise UserMustAct("Notes are read with the extra: pip install 'llark[prepare]'.") from error
    return pretty_midi


def program_name(program: int) -> str:
    """The General MIDI name of program 0 to 127: 0 is `Acoustic Grand Piano`, 40 `Violin`."""
    if not 0 <= program < PROGRAMS:
        raise BadRow("malformed-row", f"A General MIDI program is 0 to 127; this one is {program}.")
    name: str = _pretty_midi().program_to_instrument_name(program)
    return name


def drum_name(pitch: int) -> str:
    """The General MIDI name of a percussion key: `Acoustic Snare` for 38, `drum 93` for one without."""
    name: str = _pretty_midi().note_number_to_drum_name(pitch)
    return name or f"drum {pitch}"


def read_midi(data: bytes, what: str) -> list[Note]:
    """The notes of a MIDI file, times in seconds by its own tempo map. `BadRow`, `bad-midi`: it is none."""
    try:
        parts = _pretty_midi().PrettyMIDI(io.BytesIO(data)).instruments
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise BadRow("bad-midi", f"{what} is no MIDI file that can be read: {error}.") from error
    return [_note(note, part.program, part.is_drum) for part in parts for note in part.notes]


def _note(note: Any, program: int, is_drum: bool) -> Note:
    return Note(
        onset_seconds=round(float(note.start), 6),
        offset_seconds=round(float(note.end), 6),
        pitch_midi=int(note.pitch),
        instrument=drum_name(note.pitch) if is_drum else program_name(program),
        velocity=int(note.velocity),
        is_drum=is_drum,
        program=None if is_drum else int(program),
    )


def by_onset(notes: list[Note], source: str) -> Notes:
    """`Notes` in order of onset, pitch and instrument; unknown where there are none."""
    ordered = tuple(sorted(notes, key=lambda n: (n.onset_seconds, n.pitch_midi, n.instrument)))
    return Notes(ordered, 1.0, source) if ordered else Notes()
