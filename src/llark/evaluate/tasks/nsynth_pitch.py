"""NSynth pitch: the MIDI number of a single note (Engel et al. 2017).

`accuracy` wants the very note, `pitch_class` forgives the octave. Middle C is C4 and 60.
"""

from __future__ import annotations

from llark.evaluate import bootstrap
from llark.evaluate.task import Task
from llark.music import readers
from llark.music.names import note_name
from llark.records import Annotation

SOURCE = "nsynth"


def _read_bare(answer: str) -> int | None:
    """The number or the note's name, alone."""
    value, text = readers.read_pitch(answer), answer.strip().rstrip(".")
    return value if value is not None and text in (str(value), note_name(value)) else None


def _truth(annotation: Annotation) -> int | None:
    notes = annotation.notes
    return notes.notes[0].pitch_midi if len(notes.notes) == 1 and notes.source == SOURCE else None


def _points(value: int | None, truth: int) -> tuple[float, ...]:
    """1, answered, the very note, the pitch class."""
    return (1, value is not None, value == truth, value is not None and (value - truth) % 12 == 0)


TASK = Task(
    about=__doc__,
    version=1,
    question="What is the pitch of this note, as a MIDI note number?",
    headline="accuracy",
    reader=readers.read_pitch,
    strict_reader=_read_bare,
    truth=_truth,
    points=_points,
    rates=bootstrap.means("coverage", "accuracy", "pitch_class"),
    constants=lambda truths: sorted(set(truths)),
    sources=(SOURCE,),
)
