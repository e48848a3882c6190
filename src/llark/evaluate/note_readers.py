"""What an answer in words says of single notes, chords and times."""

from __future__ import annotations

import math
import re

from llark.evaluate.said import said
from llark.records import PITCH_CLASSES

LOWEST_MIDI, HIGHEST_MIDI = 0, 127

_MIDI = re.compile(
    r"\bmidi\b(?:\s+(?:note|pitch|number|key|value))*\s*(?:is|of|=|:|#)?\s*(\d{1,3})(?!\d|\.\d)"
    r"|\b(?:pitch|note number)\s*(?:is|of|=|:)?\s*(\d{1,3})(?!\d|\.\d)"
)
_HERTZ = re.compile(r"(\d+(?:\.\d+)?)\s*(k?)hz\b")
_NOTE = re.compile(r"(?<![A-Za-z#])([A-Ga-g])\s?(#|b|-?\s?sharp|-?\s?flat)?\s?(-?\d)(?!\d|[/\w])")
_MIDDLE_C = re.compile(r"\bmiddle c\b", re.IGNORECASE)
_NUMBER_ALONE = re.compile(r"^\W*(\d{1,3})\W*$")


def read_pitch(answer: str) -> int | None:
    """A MIDI note number: "60", "MIDI note 60", "C4" (scientific pitch: middle C is C4), "440 Hz"."""
    text = said(answer)
    lower = text.lower()
    number = _NUMBER_ALONE.match(lower) or _MIDI.search(lower)
    if number:
        value = int(next(filter(None, number.groups())))
        return value if LOWEST_MIDI <= value <= HIGHEST_MIDI else None
    note = _NOTE.search(text)
    if note:
        midi = 12 * (int(note[3]) + 1) + _pitch_class(note[1], note[2])
        return midi if LOWEST_MIDI <= midi <= HIGHEST_MIDI else None
    if _MIDDLE_C.search(text):
        return 60
    hertz = _HERTZ.search(lower)
    return _midi_of(float(hertz[1]) * (1000 if hertz[2] else 1)) if hertz else None


def _midi_of(hertz: float) -> int | None:
    midi = round(69 + 12 * math.log2(hertz / 440)) if hertz > 0 else -1
    return midi if LOWEST_MIDI <= midi <= HIGHEST_MIDI else None


def _pitch_class(letter: str, sign: str | None) -> int:
    """May lie outside 0 to 11, so that C flat 4 is below C4."""
    shift = {"#": 1, "s": 1, "b": -1, "f": -1, "": 0}[(sign or "").strip(" -")[:1]]
    return PITCH_CLASSES.index(letter.upper()) + shift


_CHORD = re.compile(
    r"(?<![A-Za-z#'])([A-G])(#|b(?=[^a-z]|$|m|dim|aug|sus|add)|[\s-]?sharp\b|[\s-]?flat\b)?"
    r"(?:(maj7|maj9|maj|min7|min|m7b5|m7|m6|m9|mM7|m|M7|dim7|dim|aug|sus2|sus4|add9|ø|°|\+|6|7|9|11|13)"
    r"(?![A-Za-z0-9])|[\s-]+(major|minor|maj|min|diminished|augmented)\b|(?![A-Za-z#0-9']))"
    r"(?:/[A-G](?:#|b)?(?![A-Za-z]))?"
)
_ARTICLE_AFTER = re.compile(r"\s+(?!and\b|or\b|then\b|to\b|chord|major|minor|at\b|in\b|is\b|for\b)[a-z]")
_MINOR = ("m", "min", "m7", "m6", "m9", "min7", "m7b5", "mM7", "dim", "dim7", "ø", "°", "minor", "diminished")


def read_chords(answer: str) -> tuple[str, ...] | None:
    """Chords as `C:maj` or `A:min`, in order, each once: sevenths count as the triad that they stand on."""
    text = said(answer)
    found: dict[str, None] = {}
    for match in _CHORD.finditer(text):
        if match[1] == "A" and not any(match.groups()[1:]) and _ARTICLE_AFTER.match(text, match.end()):
            continue
        found[_triad(match)] = None
    return tuple(found) or None


def _triad(match: re.Match[str]) -> str:
    quality = match[3] or match[4] or ""
    root = PITCH_CLASSES[_pitch_class(match[1], match[2]) % 12]
    return f"{root}:{'min' if quality in _MINOR else 'maj'}"


def triad_of(label: str) -> str | None:
    """`F#:min7/b3` → `F#:min`, `G:7` → `G:maj`; `None` for no chord."""
    root, _, quality = label.partition("/")[0].partition(":")
    if root in ("N", "X", ""):
        return None
    pitch = _pitch_class(root[0], root[1:2] or None) % 12
    return f"{PITCH_CLASSES[pitch]}:{'min' if quality.startswith(('min', 'dim', 'hdim')) else 'maj'}"


_CLOCK = re.compile(r"(?<![\d:.])(\d{1,2}):([0-5]\d(?:\.\d+)?)(?![\d:])")
_SECONDS = re.compile(
    r"(?<![\w./:#-])(\d{1,4}(?:\.\d+)?)(?![\d/:]|\.\d)(?!\s*-?\s*(?:bpm|beats|/|%|hz|bars?\b))"
)


def read_times(answer: str) -> tuple[float, ...] | None:
    """Seconds from the clip's start, ascending, each once: "0.48, 0.96, 1.4 s" or "0:01.5"."""
    text = said(answer).lower()
    found = {60 * int(minutes) + float(seconds) for minutes, seconds in _CLOCK.findall(text)}
    rest = _CLOCK.sub(" ", text)
    rest = re.sub(r"\b\d+\s*/\s*\d+\b", " ", rest)
    found |= {float(seconds) for seconds in _SECONDS.findall(rest)}
    return tuple(sorted(found)) or None
