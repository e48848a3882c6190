"""The strict reading of an answer, beside the lenient one of `readers`: what nobody could read otherwise.

It takes an answer only where it names one value, outright and in full: no range, no second value, no denial,
no "maybe", no other word for the same. Where it takes one, it is the lenient reading: strict never reads what
lenient reads as something else.
"""

from __future__ import annotations

import re

from llark.evaluate import readers
from llark.evaluate.said import plain, said
from llark.music.lexicon import FAMILIES, GENRE_PHRASES, INSTRUMENT_PHRASES, OTHER_INSTRUMENT
from llark.records import GENRES, INSTRUMENTS

_HEDGE = re.compile(
    r"(?i)\b(?:maybe|perhaps|possibly|probably|or|either|might|could|may|seems?|appears?|likely|guess|unsure"
    r"|around|about|approximately|roughly|somewhere|near|between|think)\b|~|\?"
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_SIGNATURE = re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})(?![\d/])")
_KEY = re.compile(r"(?<![A-Za-z#])([A-G])(#|b|[ -]sharp|[ -]flat)?[ -](major|minor)\b")


def read_tempo(answer: str) -> float | None:
    """One number, with "BPM" or alone."""
    text = plain(answer)
    numbers = [
        found for found in _NUMBER.findall(_SIGNATURE.sub(" ", text)) if float(found.replace(",", "."))
    ]
    outright = re.search(r"(?i)\d\s*bpm\b|beats per minute", text) or re.fullmatch(r"\W*[\d.]+\W*", text)
    return readers.read_tempo(answer) if len(numbers) == 1 and outright and _plainly(answer) else None


def read_key(answer: str) -> str | None:
    """One key with its mode written out."""
    found = {match[0].lower() for match in _KEY.finditer(plain(answer))}
    return readers.read_key(answer) if len(found) == 1 and _plainly(answer) else None


def read_meter(answer: str) -> int | None:
    """One signature in digits, as 3/4."""
    found = set(_SIGNATURE.findall(plain(answer)))
    return readers.read_meter(answer) if len(found) == 1 and _plainly(answer) else None


def read_genre(answer: str) -> str | None:
    """One style, in a word of `records.GENRES`."""
    text = plain(answer).lower()
    found = GENRE_PHRASES.find(text)
    words = {text[start:end] for _, start, end in found}
    return (
        readers.read_genre(answer) if len(words) == 1 and words <= set(GENRES) and _plainly(answer) else None
    )


def read_instruments(answer: str) -> frozenset[str] | None:
    """A list in words of `records.INSTRUMENTS`."""
    text = plain(answer).lower()
    found = INSTRUMENT_PHRASES.find(text)
    words = {text[start:end] for _, start, end in found}
    own = {form for word in INSTRUMENTS for form in (word, f"{word}s")} | set(INSTRUMENTS)
    foreign = {word for word, _, _ in found} & {*FAMILIES, OTHER_INSTRUMENT}
    return (
        readers.read_instruments(answer)
        if words and words <= own and not foreign and _plainly(answer)
        else None
    )


def _plainly(answer: str) -> bool:
    """Whether nothing is denied or hedged."""
    return said(answer) == plain(answer) and not _HEDGE.search(plain(answer))
