"""The words for instruments and genres, as people write them: one table for fact check and scorers.

The phrases stand in `lexicon.yaml`; how they relate to each other, here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, NamedTuple

import yaml

from llark.records import GENRES, INSTRUMENTS

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "guitar": ("acoustic guitar", "electric guitar", "distorted guitar"),
    "keyboard": ("piano", "electric piano", "harpsichord", "organ", "synth"),
    "woodwind": ("saxophone", "clarinet", "flute"),
}
"""Words for several instruments at once: each names one member, whichever the music has."""

NEAR: Mapping[str, tuple[str, ...]] = {
    "strings": ("violin", "cello"), "violin": ("strings",), "cello": ("strings",), "brass": ("trumpet",),
    "trumpet": ("brass",), "voice": ("choir",), "choir": ("voice",), "piano": ("electric piano",),
    "electric guitar": ("distorted guitar",), "drums": ("mallets",), "synth": ("electric piano", "organ"),
}  # fmt: skip
"""A word that is no mistake where only one of these plays."""

OTHER_INSTRUMENT = "other instrument"
"""Stands for instruments that the records have no word for: named, and not scored."""

NO_INSTRUMENT = ""
"""Stands for phrases with the name of an instrument that mean none."""

AMBIGUOUS = frozenset({"keys", "string", "vibes", "ep", "bell", "reed", "kick", "rap", OTHER_INSTRUMENT})
"""Phrases that name an instrument in an answer to "what plays?", and in prose mostly something else."""


class Named(NamedTuple):
    """A phrase of a table that a text has."""

    word: str
    """The word of the table that the phrase stands for."""
    phrase: str
    """The phrase as the table writes it: lower-case, single spaces, no plural ending."""
    start: int
    end: int


class PhraseFinder:
    """Finds the phrases of a table in a text, the longest first."""

    def __init__(self, table: Mapping[str, Iterable[str]]) -> None:
        """`table`: each word → other phrases for it."""
        self.words = {word: word for word in table if word}
        self.words |= {phrase: word for word, others in table.items() for phrase in others}
        longest_first = sorted(self.words, key=lambda phrase: (-len(phrase), phrase))
        options = "|".join(re.escape(phrase).replace(r"\ ", r"[\s\-]+") for phrase in longest_first)
        self._pattern = re.compile(rf"(?<![\w&])({options})(?:e?s)?(?![\w&])")

    def find(self, text: str) -> list[Named]:
        """What is named in `text`, which is lower-case; in the order of the text."""
        matches = [
            (re.sub(r"[\s\-]+", " ", match[1]), match.span()) for match in self._pattern.finditer(text)
        ]
        mentions = [Named(self.words[phrase], phrase, *span) for phrase, span in matches]
        return [named for named in mentions if named.word != NO_INSTRUMENT]


def _read(name: str) -> dict[str, Any]:
    page: dict[str, Any] = yaml.safe_load((resources.files("llark.music") / name).read_text("utf-8"))
    return page


_TABLES, _TERMS = _read("lexicon.yaml"), _read("terms.yaml")

TERMS: Mapping[str, str] = {term: str(entry["is"]) for term, entry in _TERMS.items()}
"""What the words of music mean, each in a sentence."""


def _finder(part: str, words: tuple[str, ...] = ()) -> PhraseFinder:
    """Finds `words` and the phrases of one part of the table beside this file."""
    return PhraseFinder(dict.fromkeys(words, ()) | _TABLES[part])


INSTRUMENT_PHRASES = _finder("instruments", INSTRUMENTS)
GENRE_PHRASES = _finder("genres", GENRES)

FINDERS: Mapping[str, PhraseFinder] = {
    "part": PhraseFinder({part: page["also"] for part, page in _TABLES["parts"].items()}),
    "interval": _finder("intervals"),
    "family": _finder("families"),
    "instrument": INSTRUMENT_PHRASES,
    "player": _finder("players"),
    "genre": GENRE_PHRASES,
    "way": _finder("ways"),
    "ordinal": _finder("ordinals"),
    "term": PhraseFinder({term: [term.lower(), *_TERMS[term].get("also", ())] for term in _TERMS}),
}
"""What questions name in words, by its sort; the longest phrases come first."""

PARTS: Mapping[str, tuple[float, float]] = {
    part: (float(page["from"]), float(page["to"])) for part, page in _TABLES["parts"].items()
}
"""Where in a recording a part begins and ends, from 0 to 1."""

EDGES: Mapping[str, str] = {word: edge for edge, words in _TABLES["edges"].items() for word in words}
"""Words before so many seconds, and the end of a recording that these are counted from."""

JOINERS = re.compile(rf"\s*,?\s+(?:{'|'.join(map(re.escape, _TABLES['joiners']))})\s+")
"""What may stand between two questions, in lower case."""
