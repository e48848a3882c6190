"""Chords: F1 over the triads that sound in the clip, major or minor.

A spoken answer names chords and not their seconds, so that this is no chord recognition score of MIREX. The
truth is every triad that holds for a twentieth of the labelled time; sevenths count as their triad.
"""

from __future__ import annotations

from llark.evaluate.task import SetTask
from llark.music import readers
from llark.music.theory import Chord
from llark.records import Annotation

LEAST_SHARE = 0.05
"""Of the labelled seconds: triads that sound for less are no truth."""


def _read(answer: str) -> frozenset[str] | None:
    return frozenset(readers.read_chords(answer) or ()) or None


def _read_bare(answer: str) -> frozenset[str] | None:
    """A list of chord names and nothing else."""
    words = answer.replace(",", " ").replace("-", " ").rstrip(". ").split()
    alone = all(readers.read_chords(word) or word in ("and", "major", "minor") for word in words)
    return _read(answer) if words and alone else None


def _truth(annotation: Annotation) -> frozenset[str] | None:
    seconds: dict[str, float] = {}
    for span in annotation.chords.spans:
        chord = Chord.of(span.label)
        if chord is not None:
            held = span.end_seconds - span.start_seconds
            seconds[chord.major_or_minor] = seconds.get(chord.major_or_minor, 0.0) + held
    whole = sum(seconds.values())
    return frozenset(name for name, held in seconds.items() if held >= LEAST_SHARE * whole) or None


TASK = SetTask(
    about=__doc__,
    version=1,
    question="Which chords are played?",
    reader=_read,
    strict_reader=_read_bare,
    truth=_truth,
    default=False,
)
