"""The words for instruments and genres, as people write them: one table for fact check and scorers.

The phrases stand in `lexicon.yaml`; how they relate to each other, here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import NamedTuple

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
        self._word = {word: word for word in table if word}
        self._word |= {phrase: word for word, others in table.items() for phrase in others}
        longest_first = sorted(self._word, key=lambda phrase: (-len(phrase), phrase))
        options = "|".join(re.escape(phrase).replace(r"\ ", r"[\s\-]+") for phrase in longest_first)
        self._pattern = re.compile(rf"(?<![\w&])({options})(?:e?s)?(?![\w&])")

    def find(self, text: str) -> list[Named]:
        """What is named in `text`, which is lower-case; in the order of the text."""
        matches = [
            (re.sub(r"[\s\-]+", " ", match[1]), match.span()) for match in self._pattern.finditer(text)
        ]
        mentions = [Named(self._word[phrase], phrase, *span) for phrase, span in matches]
        return [named for named in mentions if named.word != NO_INSTRUMENT]


def _finder(part: str, words: tuple[str, ...]) -> PhraseFinder:
    """Finds `words` and the phrases of one part of the table beside this file."""
    table = yaml.safe_load((resources.files("llark.music") / "lexicon.yaml").read_text("utf-8"))[part]
    return PhraseFinder(dict.fromkeys(words, ()) | table)


INSTRUMENT_PHRASES = _finder("instruments", INSTRUMENTS)
GENRE_PHRASES = _finder("genres", GENRES)
