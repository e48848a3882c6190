"""MIDI bytes in, parts in quarter notes out; and parts in seconds back to MIDI bytes."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from llark.corpus.piece import BEND, Control, Part, ScoreNote
from llark.corpus.programs import BASS, playable, word_of
from llark.errors import UserMustAct

try:
    import mido
except ModuleNotFoundError as error:
    raise UserMustAct("The open corpus needs the extra: pip install 'llark[corpus]'.") from error

PERCUSSION_CHANNEL = 9
KEPT_CONTROLLERS = frozenset({1, 7, 11, 64})
"""Modulation, volume, expression, sustain. Pan means nothing in mono; sends are left to our own effects."""


@dataclass(frozen=True)
class Tempos:
    """What a file says of its time: beats per minute and time signatures, each with its place in quarter
    notes."""

    bpm: tuple[tuple[float, float], ...]
    signatures: tuple[tuple[float, int, int], ...]
    length_beats: float


def read(data: bytes) -> tuple[tuple[Part, ...], Tempos]:
    """Parts with times in quarter notes: one a channel and program, the percussion channel as drums.

    Programs without an instrument word are replaced or left out (see `programs`). Raises `ValueError` for
    bytes that are no MIDI file.
    """
    try:
        midi = mido.MidiFile(file=io.BytesIO(data), clip=True)
    except (OSError, EOFError, LookupError, ValueError, mido.KeySignatureError) as error:
        raise ValueError(f"not a MIDI file that can be read: {error}") from error
    if midi.ticks_per_beat <= 0:  # of frames of SMPTE, or of nothing
        raise ValueError("a MIDI file that counts time in no beats")
    notes: dict[tuple[int, int], list[ScoreNote]] = defaultdict(list)
    controls: dict[int, list[Control]] = defaultdict(list)
    bpm: list[tuple[float, float]] = []
    signatures: list[tuple[float, int, int]] = []
    programs: dict[int, int] = defaultdict(int)
    open_notes: dict[tuple[int, int], list[tuple[float, int, int]]] = defaultdict(list)
    ticks, now = 0, 0.0
    for message in mido.merge_tracks(midi.tracks):
        ticks += message.time
        now = ticks / midi.ticks_per_beat
        if message.type == "set_tempo" and message.tempo:
            bpm.append((now, mido.tempo2bpm(message.tempo)))
        elif message.type == "time_signature":
            signatures.append((now, message.numerator, message.denominator))
        elif message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type == "pitchwheel":
            controls[message.channel].append(Control(now, BEND, message.pitch))
        elif message.type == "control_change" and message.control in KEPT_CONTROLLERS:
            controls[message.channel].append(Control(now, message.control, message.value))
        elif message.type in ("note_on", "note_off"):
            held = open_notes[message.channel, message.note]
            if message.type == "note_on" and message.velocity > 0:
                held.append((now, message.velocity, programs[message.channel]))
            elif held:
                start, velocity, program = held.pop(0)
                notes[message.channel, program].append(ScoreNote(start, now, message.note, velocity))
    return _parts(notes, controls), Tempos(tuple(bpm), tuple(signatures), now)


def _parts(
    notes: dict[tuple[int, int], list[ScoreNote]], controls: dict[int, list[Control]]
) -> tuple[Part, ...]:
    parts = []
    for (channel, program), part_notes in sorted(notes.items()):
        drums = channel == PERCUSSION_CHANNEL
        plays = program if drums else playable(program)
        if plays is None:
            continue
        role = "drums" if drums else "bass" if word_of(plays) == BASS else "chords"
        ordered = tuple(sorted(part_notes, key=lambda note: (note.start, note.pitch)))
        parts.append(Part(role, plays, ordered, tuple(controls.get(channel, ()))))
    return tuple(parts)


TICKS_PER_SECOND = 1920


def write(part: Part) -> bytes:
    """A MIDI file with one part whose times are seconds."""
    channel = PERCUSSION_CHANNEL if part.is_drums else 0
    timed: list[tuple[float, int, mido.Message]] = []
    for control in part.controls:
        timed.append((control.start, 1, _control_message(control, channel)))
    for note in part.notes:
        on = mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity)
        timed.append((note.start, 2, on))
        timed.append((note.end, 0, mido.Message("note_off", channel=channel, note=note.pitch)))
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)])
    track.append(mido.Message("program_change", channel=channel, program=part.program))
    track.extend(_in_deltas(timed))
    midi = mido.MidiFile(ticks_per_beat=TICKS_PER_SECOND // 2, tracks=[track])
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


def _control_message(control: Control, channel: int) -> mido.Message:
    if control.number == BEND:
        return mido.Message("pitchwheel", channel=channel, pitch=control.value)
    return mido.Message("control_change", channel=channel, control=control.number, value=control.value)


def _in_deltas(timed: Iterable[tuple[float, int, mido.Message]]) -> Iterable[mido.Message]:
    ticks = 0
    for seconds, _, message in sorted(timed, key=lambda item: item[:2]):
        at = max(round(seconds * TICKS_PER_SECOND), ticks)
        yield message.copy(time=at - ticks)
        ticks = at
