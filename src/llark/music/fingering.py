"""How chords are played: fingerings on a guitar, notes on a piano."""

from __future__ import annotations

from llark.music.names import pitch_class
from llark.music.theory import LETTERS, Chord, spelled
from llark.records import PITCH_CLASSES

TUNING = tuple(pitch_class(name) for name in ("E", "A", "D", "G", "B", "E"))
"""Pitch classes of a guitar's open strings, the lowest first."""

_OPEN = {
    "C:maj": "x32010", "C:7": "x32310", "C:maj7": "x32000", "D:maj": "xx0232", "D:min": "xx0231",
    "D:7": "xx0212", "D:min7": "xx0211", "D:maj7": "xx0222", "D:sus2": "xx0230", "D:sus4": "xx0233",
    "G:maj": "320003", "G:7": "320001", "G:maj7": "320002", "F:maj7": "xx3210", "B:7": "x21202",
}  # fmt: skip
"""Fingerings with open strings that no shape of `_SHAPES` gives: the fret of each string, x for none."""

_SHAPES = {
    "maj": ("022100", "x02220"), "min": ("022000", "x02210"), "7": ("020100", "x02020"),
    "min7": ("020000", "x02010"), "maj7": ("021100", "x02120"), "sus2": ("", "x02200"),
    "sus4": ("022200", "x02230"), "dim": ("", "x0121x"), "aug": ("", "x03221"), "maj6": ("", "x02222"),
    "min6": ("", "x02212"), "hdim7": ("", "x0101x"), "5": ("022xxx", "x022xx"),
}  # fmt: skip
"""Movable shapes by quality: the root on the lowest string, and on the one above; empty: none is usual."""


def guitar(chord: Chord) -> str | None:
    """A fingering such as `x32010`: the fret of each string from the lowest on, x for one that rests.

    Frets above 9 are divided by dashes: `10-12-12-11-10-10`. `None` for a quality that has no usual shape.
    """
    if open_shape := _OPEN.get(chord.label):
        return open_shape
    places = []
    for shape, string in zip(_SHAPES.get(chord.quality, ()), TUNING, strict=False):
        fret = (chord.root - string) % 12
        if shape:
            places.append((fret, [one if one == "x" else str(int(one) + fret) for one in shape]))
    if not places:
        return None
    frets = min(places)[1]
    return ("-" if any(len(one) > 1 for one in frets) else "").join(frets)


def notes(chord: Chord) -> tuple[str, ...]:
    """The names of a chord's notes, the root first, each on its own letter: `E G# B`, not `E Ab B`."""
    first = LETTERS.index(PITCH_CLASSES[chord.root][0])
    letters = {**dict(enumerate(_LETTER)), **({9: 6} if chord.quality == "dim7" else {})}
    return tuple(spelled(first + letters[tone % 12], chord.root + tone) for tone in chord.tones)


_LETTER = (0, 1, 1, 2, 2, 3, 4, 4, 4, 5, 6, 6)
"""How many letters above its root a chord's tone is written, by its semitones: four semitones are a third."""
