"""What a question names: tempos, keys, chords, instruments, times …, each with its place in the text.

A text whose mentions are replaced by their sorts (`is it in {key}`) asks the same of any value, so that
whoever learns to read questions needs no list of values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from llark.music import claims, lexicon
from llark.music.names import key_name
from llark.music.theory import INTERVAL_NAMES
from llark.records import PITCH_CLASSES


class Mention(NamedTuple):
    """A value that a text names."""

    sort: str
    """`bpm`, `number`, `key`, `mode`, `chord`, `note`, `meter`, `instrument`, `player`, `family`, `genre`,
    `seconds`, `percent`, `bars`, `interval`, `way`, `ordinal`, `part` or `term`."""
    value: str
    """As the records write it; numbers in digits."""
    start: int
    end: int


_CLOCK = re.compile(r"(?<![\d:.])(?:(\d{1,2}):)?(\d{1,3}):([0-5]\d(?:\.\d+)?)(?![\d:])")
_NUMBER = re.compile(r"(?<![\w.,/])(\d{1,6}(?:[.,]\d+)?)(?![\d/:])")
_UNITS = (
    ("percent", re.compile(r"\s*(?:%|per\s?cent\b)")),
    ("bpm", re.compile(r"\s*-?\s*(?:bpm\b|beats\s+(?:per|a)\s+min)")),
    ("minutes", re.compile(r"\s*-?\s*(?:min\b|mins\b|minutes?\b|m\b)")),
    ("seconds", re.compile(r"\s*-?\s*(?:s\b|secs?\b|seconds?\b)")),
    ("bars", re.compile(r"\s*-?\s*(?:bars?\b|measures?\b)")),
    ("interval", re.compile(r"\s*-?\s*(?:semitones?\b|half[\s-]?(?:steps?|tones?)\b)")),
    ("whole steps", re.compile(r"\s*-?\s*(?:whole[\s-]?(?:steps?|tones?)\b)")),
)
_MODE = re.compile(r"\b(major|minor)\b")


def mentions(text: str) -> list[Mention]:
    """What `claims.plain(text)` names, in its order. One stretch may be of several sorts: "A minor" is a key
    and a chord, and its first sort is that by which `by_sort` is read."""
    flat, taken = claims.plain(text), list[Mention]()
    for mention in _every(flat):
        near = [one for one in taken if one.start < mention.end and mention.start < one.end]
        alike = all((one.start, one.end) == (mention.start, mention.end) for one in near)
        if alike and mention.sort not in {one.sort for one in near}:
            taken.append(mention)
    return sorted(taken, key=lambda one: one.start)


def _every(flat: str) -> Iterator[Mention]:
    """What may be mentioned, the surest first."""
    lower = flat.lower()
    for match in _CLOCK.finditer(flat):
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        yield Mention("seconds", f"{3600 * hours + 60 * minutes + seconds:g}", *match.span())
    for match in claims.SIGNATURE.finditer(flat):
        name = f"{match[1]}/{match[3]}"
        yield Mention("meter", {"2/2": "2/4", "12/8": "4/4"}.get(name, name), *match.span())
    yield from _numbers(lower)
    yield from _harmony(flat)
    for sort, finder in lexicon.FINDERS.items():
        for named in finder.find(lower):
            word = named.phrase if named.word == lexicon.OTHER_INSTRUMENT else named.word
            if sort != "instrument" or named.phrase not in lexicon.AMBIGUOUS:
                yield Mention(sort, word, named.start, named.end)
    for match in _MODE.finditer(lower):
        yield Mention("mode", match[1], *match.span())


def _numbers(lower: str) -> Iterator[Mention]:
    """Numbers with their units; 0 only as a time. One in words counts where a unit follows, or if large."""
    found = [(float(m[1].replace(",", ".")), m.start(), m.end(), True) for m in _NUMBER.finditer(lower)]
    found += [(float(n), start, end, n >= LARGE) for n, start, end in claims.spelled_numbers(lower)]
    for value, start, end, alone in found:
        units = ((name, match.end()) for name, unit in _UNITS if (match := unit.match(lower, end)))
        sort, stop = next(units, ("number", end))
        if sort == "minutes":
            sort, value = "seconds", 60 * value
        if sort in ("interval", "whole steps"):
            steps = int(value) * (2 if sort == "whole steps" else 1)
            if 0 <= steps < len(INTERVAL_NAMES):
                yield Mention("interval", INTERVAL_NAMES[steps], start, stop)
        elif (alone or sort != "number") and (value or sort == "seconds"):
            yield Mention(sort, f"{value:g}", start, stop)


LARGE = 20


def _harmony(flat: str) -> Iterator[Mention]:
    """Keys, chords, and letters alone, each of which may be a note, a chord or a key."""
    for name, start, end in claims.keys(flat):
        if flat[start : end + 2] != "Am I":
            yield Mention("key", name, start, end)
    for chord, match in claims.chord_matches(flat):
        start, end = match.span()
        if flat[start : end + 2] == "Am I":
            continue
        if not any(match.groups()[1:]) or not (match[3] or match[4]):
            yield Mention("note", PITCH_CLASSES[chord.root], start, end)
        yield Mention("chord", chord.label, start, end)
        key = key_name(chord.name)
        if key is not None:
            yield Mention("key", key, start, end)


Slots = Mapping[str, tuple[str, ...]]
"""What a text names, by its sort: `{"key": ("G minor", "C major")}`, in the order of the text."""


def by_sort(found: list[Mention]) -> Slots:
    """The values of each sort, in the order of the text."""
    slots: dict[str, tuple[str, ...]] = {}
    for one in found:
        slots[one.sort] = (*slots.get(one.sort, ()), one.value)
    return slots


def with_sorts(text: str, found: list[Mention]) -> str:
    """`claims.plain(text)` with the first sort of each mention in its place, as `{key}`. Terms and parts
    stay."""
    flat, parts, end = claims.plain(text), list[str](), 0
    for one in found:
        if one.start >= end and one.sort not in ("term", "part"):
            parts += [flat[end : one.start], f" {{{one.sort}}} "]
            end = one.end
    return "".join([*parts, flat[end:]])
