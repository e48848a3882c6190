"""The names of pitches, keys and chords: one parser and one printer of each.

This package writes every pitch class in the one spelling of `records.PITCH_CLASSES`, and reads every
spelling: `Db`, `C♯`, `D flat`. Pitch classes are 0–11 with C = 0.
"""

from __future__ import annotations

import re

from llark.records import PITCH_CLASSES

_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_PITCH = re.compile(r"([A-G])([#♯b♭]*|s|[\s-]*(?:sharp|flat))")
_KEY = re.compile(r"([A-Ga-g])([#♯b♭]*)[\s:]*((?i:major|maj|minor|min)|m)")

_CHORD_SUFFIXES = {
    "": " major", "maj": " major", "min": " minor", "7": "7", "maj7": "maj7", "min7": "m7", "dim": "dim",
    "aug": "aug", "sus2": "sus2", "sus4": "sus4", "hdim7": "m7b5", "dim7": "dim7", "maj6": "6", "min6": "m6",
}  # fmt: skip
"""What follows the root in a chord's name, by the chord's quality."""


def pitch(name: str) -> int:
    """Semitones above C of a note name such as `F#`, `D♭` or `G sharp`. Raises `ValueError` for others.

    The value may lie outside 0–11: `Cb` is -1, so that C flat 4 is below C4.
    """
    match = _PITCH.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no note name")
    signs = match[2].strip(" -").replace("sharp", "#").replace("flat", "b").replace("s", "#")
    return _NATURALS[match[1]] + sum(1 if sign in "#♯" else -1 for sign in signs)


def pitch_class(name: str) -> int:
    """0–11 for a note name. Raises `ValueError` for anything else."""
    return pitch(name) % 12


def note_name(pitch_midi: int) -> str:
    """Scientific pitch: 69 → `A4`, 60 → `C4`, 0 → `C-1`."""
    return f"{PITCH_CLASSES[pitch_midi % 12]}{pitch_midi // 12 - 1}"


def key_name(text: str) -> str | None:
    """`Gb major`, `f# min`, `Am` or `C♯:minor` as one of `records.KEYS`; `None` where the text is no key."""
    match = _KEY.fullmatch(text.strip())
    if match is None:
        return None
    mode = "minor" if match[3].lower() in ("minor", "min", "m") else "major"
    return f"{PITCH_CLASSES[pitch_class(match[1].upper() + match[2])]} {mode}"


def chord_name(label: str) -> str:
    """`C:maj` → `C major`, `G:7` → `G7`, `A:min7/b3` → `Am7`; `N` → `no chord`. The bass is not named."""
    if label in ("N", "X"):
        return "no chord"
    root, _, quality = label.partition("/")[0].partition(":")
    return f"{root}{_CHORD_SUFFIXES.get(quality, quality)}"
