"""NSynth pitch: the MIDI number of a single note (Engel et al. 2017).

`accuracy` wants the very note, `pitch_class` forgives the octave. Middle C is C4 and 60.
"""

from __future__ import annotations

from collections.abc import Sequence

from llark.evaluate import note_readers, pool
from llark.music.names import note_name
from llark.records import Annotation, Score

VERSION = 1
QUESTION = "What is the pitch of this note, as a MIDI note number?"
HEADLINE = "accuracy"
DEFAULT = True
SOURCE = "nsynth"


def read(answer: str, truth: object = None) -> int | None:
    return note_readers.read_pitch(answer)


def strict(answer: str, truth: object = None) -> int | None:
    """The number or the note's name, alone."""
    value, text = note_readers.read_pitch(answer), answer.strip().rstrip(".")
    return value if value is not None and text in (str(value), note_name(value)) else None


def truth(annotation: Annotation) -> int | None:
    notes = annotation.notes
    return notes.notes[0].pitch_midi if len(notes.notes) == 1 and notes.source == SOURCE else None


def points(value: int | None, truth: int) -> tuple[float, ...]:
    return (1, value is not None, value == truth, value is not None and (value - truth) % 12 == 0)


rates = pool.means("coverage", "accuracy", "pitch_class")


def credit(value: int | None, truth: int) -> float:
    return float(value == truth)


def constants(truths: Sequence[int]) -> list[int]:
    return sorted(set(truths))


def score(pairs: Sequence[tuple[int | None, int]]) -> list[Score]:
    return pool.scores("nsynth_pitch", [points(value, truth) for value, truth in pairs], rates)
