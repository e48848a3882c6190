"""Chords: F1 over the triads that sound in the clip, major or minor.

A spoken answer names chords and not their seconds, so that this is no chord recognition score of MIREX. The
truth is every triad that holds for a twentieth of the labelled time; sevenths count as their triad.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from llark.evaluate import labels, note_readers
from llark.records import PITCH_CLASSES, Annotation, Score

VERSION = 1
QUESTION = "Which chords are played?"
HEADLINE = "f1"
DEFAULT = False
LEAST_SHARE = 0.05
TRIADS = tuple(f"{root}:{mode}" for mode in ("maj", "min") for root in PITCH_CLASSES)


def read(answer: str, truth: object = None) -> frozenset[str] | None:
    found = note_readers.read_chords(answer)
    return frozenset(found) if found else None


def strict(answer: str, truth: object = None) -> frozenset[str] | None:
    """A list of chord names and nothing else."""
    words = answer.replace(",", " ").replace("-", " ").rstrip(". ").split()
    alone = all(note_readers.read_chords(word) or word in ("and", "major", "minor") for word in words)
    return read(answer) if words and alone else None


def truth(annotation: Annotation) -> frozenset[str] | None:
    seconds: dict[str, float] = {}
    for span in annotation.chords.spans:
        triad = note_readers.triad_of(span.label)
        if triad is not None:
            seconds[triad] = seconds.get(triad, 0.0) + span.end_seconds - span.start_seconds
    whole = sum(seconds.values())
    return frozenset(name for name, held in seconds.items() if held >= LEAST_SHARE * whole) or None


points = labels.set_points
rates = labels.set_rates
credit = labels.set_credit
constants = labels.set_constants


def score(pairs: Sequence[tuple[Set[str] | None, Set[str]]]) -> list[Score]:
    return labels.scores("chords", [points(value, truth) for value, truth in pairs], rates)
