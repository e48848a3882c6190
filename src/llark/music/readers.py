"""The value that an answer in words gives, as people would agree; and the strict reading of the same.

Each reader returns the value, or `None` where the answer gives none ("I cannot tell"): no answer is not a
wrong answer. Where an answer offers several values the first one counts, where it gives a range the middle.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from llark.music import claims
from llark.music.claims import asserted, plain
from llark.music.lexicon import GENRE_PHRASES, INSTRUMENT_PHRASES, OTHER_INSTRUMENT, Named, PhraseFinder
from llark.music.names import pitch
from llark.records import GENRES, INSTRUMENTS, PITCH_CLASSES

LOWEST_MIDI, HIGHEST_MIDI = 0, 127


def read_tempo(answer: str) -> float | None:
    """Beats per minute: "around one-twenty" is 120, "90-95 BPM" is 92.5, the 4 of 4/4 is no tempo."""
    readings = claims.tempos(asserted(answer))
    surest = max((rank for rank, _ in readings), default=0)
    return next((bpm for rank, bpm in readings if rank == surest), None)


_BARE_KEY = (
    re.compile(
        r"(?i:\bkey(?:\s+of\s+th\w+\s+\w+)?|\btonic|\btonal\s+cent(?:er|re)|\bscale)(?:\s*[:=]|(?i:\s+(?:is|of|in|note|probably|likely))*)"
        rf"\s+{claims.TONIC}(?![A-Za-z#])"
    ),
    re.compile(rf"\b[Ii]n\s+{claims.TONIC}(?![A-Za-z#])"),
    re.compile(rf"^\W*{claims.TONIC}\W*$"),
)
"""A tonic without its mode beside it: letter, sign, sign in words."""

_ABOUT_KEY = re.compile(r"\b(?:key|tonality|tonic|home|scale)\b[^.;\n]{0,60}$", re.IGNORECASE)
_CHORD_AFTER = re.compile(r"[\s)]*-?(?:chord|triad|seventh|arpeggio|\d)", re.IGNORECASE)


def read_key(answer: str) -> str | None:
    """One of `records.KEYS`: "B♭ min" is "Bb minor", a bare "key of G" is major, D dorian is D minor."""
    text = asserted(answer)
    named = [(key, start) for key, start, end in claims.keys(text) if not _CHORD_AFTER.match(text, end)]
    about = [key for key, start in named if _ABOUT_KEY.search(text[:start])]
    return next(iter(about or [key for key, _ in named]), None) or _bare_key(text)


def _bare_key(text: str) -> str | None:
    """A tonic without its mode beside it: "Key: G" is major unless the rest of the answer says minor only."""
    for pattern in _BARE_KEY:
        for match in pattern.finditer(text):
            lone_letter = match[0].strip() == match[1]
            if match[1].islower() and not (lone_letter or match[2] or match[3]):
                continue
            modes = {word.lower() for word in re.findall(r"(?i)\b(?:major|minor)\b", text)}
            mode = modes.pop() if len(modes) == 1 else "major"
            return f"{PITCH_CLASSES[claims.tonic(match)]} {mode}"
    return None


_COUNT = "|".join(list(claims.NUMBERS)[1:13])
_SPELLED_SIGNATURE = re.compile(rf"\b({_COUNT})[\s-]+(two|four|eight|quarters?|eighths?)\b(?!\s+notes?)")
_PER_BAR = re.compile(
    rf"\b(\d{{1,2}}|{_COUNT})\s+((?:\w+[\s-]+){{0,3}}?)(?:beats?|quarters?|quarter[\s-]notes?|crotchets?|pulses)"
    r"\s+(?:per|in|to|a|every|each)\s+(?:(?:a|the|each|every)\s+)?(?:bar|measure)"
)
_BARE_METER = re.compile(
    rf"^\W*(\d{{1,2}}|{_COUNT})\W*$|\b(?:in|meter is|meter:|metre is) (\d|{_COUNT})\b(?!\s*[/\w])"
)


def read_meter(answer: str) -> int | None:
    """The upper number of the time signature: 4/4 and "common time" are 4, 6/8 is 6, 2/2 is 2, 12/8 is 12."""
    text = asserted(answer).lower()
    signatures = [*claims.SIGNATURE.finditer(text), *_SPELLED_SIGNATURE.finditer(text)]
    readings = [(match.start(), _count(match[1])) for match in signatures]
    for match in _PER_BAR.finditer(text):
        readings.append((match.start(), _count(match[1]) * (3 if "dotted" in match[2] else 1)))
    if not readings and (named := claims.named_meter(text)):
        return named
    if not readings:
        readings = [(match.start(), _count(match[1] or match[2])) for match in _BARE_METER.finditer(text)]
    return min((reading for reading in readings if 1 <= reading[1] <= 16), default=(0, None))[1]


def _count(word: str) -> int:
    return int(word) if word.isdigit() else claims.NUMBERS[word]


_NO_INSTRUMENT = re.compile(
    r"\bno (?:musical )?instruments?\b(?!\s+(?:other|but|except|besides))|\bsilen(?:ce|t)\b"
)


def read_instruments(answer: str) -> frozenset[str] | None:
    """Words of `records.INSTRUMENTS` and of `lexicon.FAMILIES` that the answer says are there.

    The empty set: the answer says that there are none, or names only what the records have no word for.
    """
    words = {named.word for named in claims.instruments(asserted(answer))}
    if words:
        return frozenset(words - {OTHER_INSTRUMENT})
    return frozenset() if _NO_INSTRUMENT.search(answer.lower()) else None


def read_genre(answer: str) -> str | None:
    """The first style named, one of `records.GENRES` or a style that the records have no word for.

    In a run such as "country rock" the last word is the style, as in speech.
    """
    text = asserted(answer).lower()
    genre, end = None, 0
    for named in GENRE_PHRASES.find(text):
        if genre is not None and not re.fullmatch(r"[\s-]*", text[end : named.start]):
            break
        genre, end = named.word, named.end
    return genre


_MIDI = re.compile(
    r"\bmidi\b(?:\s+(?:note|pitch|number|key|value))*\s*(?:is|of|=|:|#)?\s*(\d{1,3})(?!\d|\.\d)"
    r"|\b(?:pitch|note number)\s*(?:is|of|=|:)?\s*(\d{1,3})(?!\d|\.\d)|^\W*(\d{1,3})\W*$"
)
_HERTZ = re.compile(r"(\d+(?:\.\d+)?)\s*(k?)hz\b")
_NOTE = re.compile(r"(?<![A-Za-z#])([A-Ga-g])\s?(#|b|-?\s?sharp|-?\s?flat)?\s?(-?\d)(?!\d|[/\w])")
_MIDDLE_C = re.compile(r"\bmiddle c\b", re.IGNORECASE)


def read_pitch(answer: str) -> int | None:
    """A MIDI note number: "60", "MIDI note 60", "C4" (scientific pitch: middle C is C4), "440 Hz"."""
    text = asserted(answer)
    number, note, hertz = _MIDI.search(text.lower()), _NOTE.search(text), _HERTZ.search(text.lower())
    if number:
        midi = int(next(filter(None, number.groups())))
    elif note:
        midi = 12 * (int(note[3]) + 1) + pitch(note[1].upper() + (note[2] or ""))
    elif _MIDDLE_C.search(text):
        midi = 60
    elif hertz and float(hertz[1]) > 0:
        midi = round(69 + 12 * math.log2(float(hertz[1]) * (1000 if hertz[2] else 1) / 440))
    else:
        return None
    return midi if LOWEST_MIDI <= midi <= HIGHEST_MIDI else None


def read_chords(answer: str) -> tuple[str, ...] | None:
    """Chords as `C:maj` or `A:min`, in order, each once: sevenths count as the triad that they stand on."""
    return tuple(dict.fromkeys(chord.major_or_minor for chord, _ in claims.chords(asserted(answer)))) or None


_CLOCK = re.compile(r"(?<![\d:.])(\d{1,2}):([0-5]\d(?:\.\d+)?)(?![\d:])")
_SECONDS = re.compile(
    r"(?<![\w./:#-])(\d{1,4}(?:\.\d+)?)(?![\d/:]|\.\d)(?!\s*-?\s*(?:bpm|beats|/|%|hz|bars?\b))"
)


def read_times(answer: str) -> tuple[float, ...] | None:
    """Seconds from the clip's start, ascending, each once: "0.48, 0.96, 1.4 s" or "0:01.5"."""
    text = asserted(answer).lower()
    times = {60 * int(minutes) + float(seconds) for minutes, seconds in _CLOCK.findall(text)}
    rest = re.sub(r"\b\d+\s*/\s*\d+\b", " ", _CLOCK.sub(" ", text))
    times |= {float(seconds) for seconds in _SECONDS.findall(rest)}
    return tuple(sorted(times)) or None


# --- the strict reading: what nobody could read otherwise -------------------------------------------------
# It takes an answer only where that names one value, outright and in full: no range, no second value, no
# denial, no "maybe", no other word for the same. Where it takes one, it is the reading above, never another.

_HEDGE = re.compile(
    r"(?i)\b(?:maybe|perhaps|possibly|probably|or|either|might|could|may|seems?|appears?|likely|guess|unsure"
    r"|around|about|approximately|roughly|somewhere|near|between|think)\b|~|\?"
)
_DIGITS_SIGNATURE = re.compile(r"(?<![\d/])\d{1,2}/\d{1,2}(?![\d/])")
_FULL_KEY = re.compile(r"(?<![A-Za-z#])[A-G](?:#|b|[ -]sharp|[ -]flat)?[ -](?:major|minor)\b")


def _is_plain(answer: str) -> bool:
    """Whether nothing is denied or hedged."""
    return asserted(answer) == plain(answer) and not _HEDGE.search(plain(answer))


def read_tempo_strictly(answer: str) -> float | None:
    """One number, with "BPM" or alone."""
    text = plain(answer)
    numbers = re.findall(r"\d+(?:[.,]\d+)?", _DIGITS_SIGNATURE.sub(" ", text))
    outright = re.search(r"(?i)\d\s*bpm\b|beats per minute", text) or re.fullmatch(r"\W*[\d.]+\W*", text)
    return read_tempo(answer) if len(numbers) == 1 and outright and _is_plain(answer) else None


def read_key_strictly(answer: str) -> str | None:
    """One key with its mode written out."""
    written = {key.lower() for key in _FULL_KEY.findall(plain(answer))}
    return read_key(answer) if len(written) == 1 and _is_plain(answer) else None


def read_meter_strictly(answer: str) -> int | None:
    """One signature in digits, as 3/4."""
    written = set(_DIGITS_SIGNATURE.findall(plain(answer)))
    return read_meter(answer) if len(written) == 1 and _is_plain(answer) else None


def read_genre_strictly(answer: str) -> str | None:
    """One style, in a word of `records.GENRES`."""
    text = plain(answer).lower()
    written = {text[named.start : named.end] for named in GENRE_PHRASES.find(text)}
    return read_genre(answer) if len(written) == 1 and written <= {*GENRES} and _is_plain(answer) else None


def read_instruments_strictly(answer: str) -> frozenset[str] | None:
    """A list in words of `records.INSTRUMENTS`."""
    phrases = {named.phrase for named in INSTRUMENT_PHRASES.find(plain(answer).lower())}
    own = phrases and phrases <= {*INSTRUMENTS}
    return read_instruments(answer) if own and _is_plain(answer) else None


# --- labels of a data set ---------------------------------------------------------------------------------


class Labels:
    """A closed list of labels that a data set has and the records have not."""

    def __init__(self, table: Mapping[str, Iterable[str]]) -> None:
        """`table`: each label → other words for it."""
        self.names = tuple(table)
        self._phrases = PhraseFinder(table)

    def first(self, answer: str) -> str | None:
        """The first label that is named and not denied."""
        return next((named.word for named in self._named(answer)), None)

    def every(self, answer: str) -> frozenset[str] | None:
        """All labels that are named and not denied."""
        return frozenset(named.word for named in self._named(answer)) or None

    def _named(self, answer: str) -> list[Named]:
        return self._phrases.find(asserted(answer).lower().replace("_", " "))

    def alone(self, answer: str) -> str | None:
        """The label that the answer consists of, as it is written in the data set."""
        text = " ".join(plain(answer).lower().strip(" .\"'*`\n").split())
        return text if text in self.names else None

    def listed(self, answer: str) -> frozenset[str] | None:
        """The labels of an answer that is a list of nothing else."""
        parts = [part.strip(" .\"'*") for part in re.split(r",|;|\band\b|\n", plain(answer).lower())]
        labels = frozenset(part for part in parts if part)
        return labels if labels and labels <= {*self.names} else None
