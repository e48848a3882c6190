"""MusicNet instruments: which of eleven play in the clip (Thickstun et al. 2017).

The truth is what has a note in the clip, not in the piece. `f1` is micro F1 with every missed instrument
counted. The published notebook sets the misses to those of its last row alone (`fn = …` in the loop), which
`published_f1` repeats, to show by how much: of two clips with a piano and a violin each, where both answers
say piano, the corrected F1 is 2·2 / (2·2 + 0 + 2) = 0.667 and the published one 2·2 / (2·2 + 0 + 1) = 0.8.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from llark.evaluate import labels
from llark.records import Annotation, Score

VERSION = 1
QUESTION = "What instruments do you hear in the provided audio?"
HEADLINE = "f1"
DEFAULT = True
SOURCES = ("musicnet", "musicnet_em")
INSTRUMENTS = labels.Labels(
    {
        "piano": "grand piano|pianist|pianoforte",
        "harpsichord": "cembalo",
        "violin": "fiddle|violinist",
        "viola": "",
        "cello": "violoncello|cellist",
        "double bass": "contrabass|string bass|upright bass|bass",
        "flute": "flutist",
        "oboe": "",
        "clarinet": "",
        "bassoon": "",
        "horn": "french horn",
    }
)
_GENERAL_MIDI = {
    "Acoustic Grand Piano": "piano",
    "Harpsichord": "harpsichord",
    "Violin": "violin",
    "Viola": "viola",
    "Cello": "cello",
    "Contrabass": "double bass",
    "Pizzicato Strings": "violin",
    "Flute": "flute",
    "Oboe": "oboe",
    "Clarinet": "clarinet",
    "Bassoon": "bassoon",
    "French Horn": "horn",
}


def read(answer: str, truth: object = None) -> frozenset[str] | None:
    return INSTRUMENTS.every(answer)


def strict(answer: str, truth: object = None) -> frozenset[str] | None:
    return INSTRUMENTS.listed(answer)


def truth(annotation: Annotation) -> frozenset[str] | None:
    if annotation.notes.source not in SOURCES:
        return None
    played = {_GENERAL_MIDI.get(note.instrument) for note in annotation.notes.notes}
    return frozenset(name for name in played if name is not None) or None


points = labels.set_points
rates = labels.set_rates
credit = labels.set_credit
constants = labels.set_constants


def score(pairs: Sequence[tuple[Set[str] | None, Set[str]]]) -> list[Score]:
    return labels.scores("musicnet_instruments", [points(value, truth) for value, truth in pairs], rates)


def published_f1(pairs: Sequence[tuple[Set[str] | None, Set[str]]]) -> float:
    """The formula of the published notebook, with its fault: the misses are those of the last clip."""
    right = sum(len(set(value or ()) & truth) for value, truth in pairs)
    wrong = sum(len(set(value or ()) - truth) for value, truth in pairs)
    missed = len(set(pairs[-1][1]) - set(pairs[-1][0] or ())) if pairs else 0
    return 2 * right / (2 * right + wrong + missed) if right else 0.0
