"""Notes: where the note net finds the onset of a pitch, and how long the pitch goes on.

Precision comes first: a note that is doubtful, very short, or that a louder note's overtones explain is left
out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from llark.networks.note import NoteOutput
from llark.records import UNKNOWN, Note, Notes

SOURCE = "basic-pitch"
LOWEST_MIDI = 21
FRAMES_PER_SECOND = 22050 / 256


@dataclass(frozen=True)
class NoteConfig:
    onset: float = 0.6
    """Probability that a pitch begins, at a peak, from which on it does."""
    sounding: float = 0.3
    """Probability that a pitch sounds under which it has ended …"""
    patience_seconds: float = 0.08
    """… if it stays under for so long."""
    shortest_seconds: float = 0.06
    least_sounding: float = 0.4
    """Mean probability over a note under which it is left out."""
    overtones: tuple[int, ...] = (12, 19, 24, 28, 31, 34, 36)
    """Semitones from a note to its overtones."""
    overtone_share: float = 0.6
    """A note on a louder one's overtone, begun with it, is taken for that below this share of it."""
    together_seconds: float = 0.05
    even_clarity: float = 0.5
    """Clarity of the notes (see `find`) at which four in five are right …"""
    steepness: float = 18.0
    """… and how fast confidence rises with clarity there."""
    least_confidence: float = 0.2
    """Notes of less confidence, as a whole, are not reported."""


@dataclass(frozen=True)
class Sounding:
    """A note in frames: [first, last), and its mean probability."""

    first: int
    last: int
    pitch_midi: int
    strength: float


def find(output: NoteOutput, start_seconds: float = 0.0, config: NoteConfig = NoteConfig()) -> Notes:
    """The notes of a clip that begins at `start_seconds` of its track; noise and silence have none.

    Confidence follows from their clarity: how probable they are, times the share of all that seems to sound
    that they explain.
    """
    decoded = decode(output, config)
    if not decoded:
        return Notes(source=SOURCE)
    seconds = np.array([sound.last - sound.first for sound in decoded])
    clarity = float(np.average([sound.strength for sound in decoded], weights=seconds))
    clarity *= _explained(output.notes, decoded, config)
    confidence = float(1 / (1 + np.exp(-config.steepness * (clarity - config.even_clarity))))
    if confidence < config.least_confidence:
        return Notes(source=SOURCE)
    return Notes(as_notes(decoded, start_seconds), round(confidence, 3), SOURCE)


def as_notes(soundings: Iterable[Sounding], start_seconds: float = 0.0) -> tuple[Note, ...]:
    """In seconds of the track, by onset."""
    return tuple(
        Note(
            onset_seconds=round(start_seconds + sound.first / FRAMES_PER_SECOND, 3),
            offset_seconds=round(start_seconds + sound.last / FRAMES_PER_SECOND, 3),
            pitch_midi=sound.pitch_midi,
            instrument=UNKNOWN,
            velocity=int(np.clip(round(127 * sound.strength), 1, 127)),
        )
        for sound in soundings
    )


def decode(output: NoteOutput, config: NoteConfig = NoteConfig()) -> list[Sounding]:
    """Every note that passes, by onset and then pitch."""
    every = [
        sound
        for column in range(output.notes.shape[1])
        for sound in _of_pitch(
            output.notes[:, column], output.onsets[:, column], column + LOWEST_MIDI, config
        )
    ]
    kept = [sound for sound in every if not _is_overtone(sound, every, config)]
    return sorted(kept, key=lambda sound: (sound.first, sound.pitch_midi))


def _of_pitch(notes: np.ndarray, onsets: np.ndarray, pitch: int, config: NoteConfig) -> Iterator[Sounding]:
    begins = _peaks(onsets, config.onset)
    longest_gap = round(config.patience_seconds * FRAMES_PER_SECOND)
    shortest = round(config.shortest_seconds * FRAMES_PER_SECOND)
    for i, first in enumerate(begins):
        limit = int(begins[i + 1]) if i + 1 < len(begins) else len(notes)
        last = _end(notes, int(first), limit, config.sounding, longest_gap)
        strength = float(notes[first:last].mean()) if last > first else 0.0
        if last - first >= shortest and strength >= config.least_sounding:
            yield Sounding(int(first), last, pitch, strength)


def _peaks(curve: np.ndarray, least: float) -> np.ndarray:
    """Frames of the local maxima of at least `least`."""
    before = np.concatenate([[-1.0], curve[:-1]])
    after = np.concatenate([curve[1:], [-1.0]])
    return np.flatnonzero((curve >= least) & (curve > before) & (curve >= after))


def _end(notes: np.ndarray, first: int, limit: int, least: float, longest_gap: int) -> int:
    """The frame after the last sounding one, before the pitch has been quiet for longer than the patience."""
    sounding = first + np.flatnonzero(notes[first:limit] >= least)
    if not len(sounding):
        return first
    gaps = np.flatnonzero(np.diff(np.concatenate([[first], sounding])) > longest_gap)
    last = len(sounding) - 1 if not len(gaps) else gaps[0] - 1
    return int(sounding[last]) + 1 if last >= 0 else first


def _is_overtone(sound: Sounding, every: list[Sounding], config: NoteConfig) -> bool:
    together = config.together_seconds * FRAMES_PER_SECOND
    return any(
        sound.pitch_midi - other.pitch_midi in config.overtones
        and abs(sound.first - other.first) <= together
        and sound.strength < config.overtone_share * other.strength
        for other in every
    )


def _explained(notes: np.ndarray, soundings: list[Sounding], config: NoteConfig) -> float:
    """The share of all that seems to sound that lies in the notes."""
    sounding = np.where(notes >= config.sounding, notes, 0.0)
    total = float(sounding.sum())
    inside = sum(float(sounding[s.first : s.last, s.pitch_midi - LOWEST_MIDI].sum()) for s in soundings)
    return inside / total if total > 0 else 0.0
