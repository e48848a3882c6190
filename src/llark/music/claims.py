"""What a sentence claims about music: tempos, meters, keys and chords, instruments, moments.

A claim is read sentence by sentence, with what qualifies it: `denied` ("no drums"), `supposed` ("if you move
it to A major"). Only whole words count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from llark.records import INSTRUMENTS, PITCH_CLASSES

SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
_TEMPO = re.compile(
    r"(?<![\d.])(\d{2,3}(?:\.\d+)?)\s*(?:-\s*)?(?:bpm\b|beats\s+(?:per|a|to\s+the)\s+minute\b)"
    r"|\btempo\s+(?:is|of|at|:)\s*(?:about|around|roughly|approximately)?\s*(\d{2,3}(?:\.\d+)?)(?![\d/])",
    re.IGNORECASE,
)
_METER = re.compile(r"(?<![\d/.])(\d{1,2})\s*/\s*(2|4|8|16)(?![\d/])")
_NAMED_METERS = (
    (re.compile(r"\b(?:waltz time|triple (?:meter|metre|time))\b", re.IGNORECASE), "3/4"),
    (re.compile(r"\bcommon time\b", re.IGNORECASE), "4/4"),
)
_NOTE = r"([A-G])(?:(#|♯|b|♭)|[ -]?(sharp|flat)\b)?"
_HARMONY = re.compile(
    rf"(?<![A-Za-z#♯]){_NOTE}[ -](major|minor)\b(?!\s+(?:pentatonic|scale|third|sixth|seventh))"
)
_CHORD = re.compile(rf"(?<![A-Za-z#♯]){_NOTE}(maj7|m7b5|m7|m6|dim7|dim|aug|sus2|sus4|7|6|m)(?![A-Za-z0-9#])")
_MOMENT = re.compile(
    r"\b(?:at|after|until|from)\s+(?:about |around )?(\d{1,4}(?:\.\d+)?)\s*"
    r"(?:s|secs?|seconds?)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:no|not|without|nor|neither|never|lacks?|absent|missing|isn't|aren't|doesn't|don't|instead of"
    r"|rather than|nothing|other than|but no)\b[^,;:]{0,40}$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"^[^,;:]{0,20}\b(?:is|are|was|does|do)(?:n't| not)\b|^,? which is not\b", re.IGNORECASE
)
_DIFFERENCE = (
    re.compile(r"\bby (?:about |around |roughly )?$", re.IGNORECASE),
    re.compile(r"\s*(?:off|faster|slower|quicker|more|less|below|above)\b", re.IGNORECASE),
)
_SUPPOSED = re.compile(
    r"\b(?:if|would|could|should|might|may|try|imagine|suppose|instead|transpos\w+|modulat\w+|mov(?:e|es|ed|ing)"
    r"|shift\w*|relative|parallel|capo|chang(?:e|es|ed|ing)|add\w*|replac\w+|swap\w*|substitut\w+|dominant"
    r"|subdominant|borrow\w*|compar\w+|unlike|than|typical\w*|often|usually|practi[sc]e\w*|slower|faster|slow|speed"
    r"|half|double|twice|play(?:ed)? it (?:in|at|on)|lead(?:s|ing)? to|resolv\w+|next|experiment\w*"
    r"|perhaps|write|reads?|percent|raise|lower|bring in|leave out|play without|drop the|same (?:notes|tonic)"
    r"|shares? all|belongs? to|mix(?:es)?|blend\w*)\b|\d%",
    re.IGNORECASE,
)

WORDS_FOR = {
    "piano": "pianos|pianist|piano keys", "electric piano": "rhodes|wurlitzer", "harpsichord": "",
    "organ": "organs|hammond", "accordion": "accordions|bandoneon",
    "mallets": "marimba|vibraphone|xylophone|glockenspiel|celesta",
    "acoustic guitar": "acoustic guitars|nylon guitar|classical guitar|steel-string guitar",
    "electric guitar": "electric guitars",
    "distorted guitar": "distorted guitars|overdriven guitar|fuzz guitar",
    "bass": "bass guitar|double bass|upright bass|contrabass|bassist|bass line|bassline",
    "strings": "string section|string quartet|string orchestra", "violin": "violins|violinist|fiddle|viola",
    "cello": "cellos|cellist", "harp": "harps|harpist", "choir": "choirs|choral voices",
    "brass": "brass section|horn section|horns|trombone|trombones|tuba|french horn",
    "trumpet": "trumpets|trumpeter", "saxophone": "saxophones|sax|saxophonist", "clarinet": "clarinets",
    "flute": "flutes|flautist|flutist|piccolo", "synth": "synths|synthesizer|synthesizers|synthesiser",
    "drums": "drum|drum kit|drummer|drum machine|snare|hi-hat|cymbals|kick drum|percussion",
    "voice": "voices|vocals|vocalist|singer|singing|sings|vocal",
}  # fmt: skip
"""For each instrument the other words that name it."""

OTHERS = (
    "oboe|bassoon|banjo|mandolin|ukulele|sitar|harmonica|timpani|bagpipes|theremin|turntables|recorder|lute"
)
"""Instruments that the records have no word for."""

_NAMES = {
    word: name for name, others in WORDS_FOR.items() for word in (name, *filter(None, others.split("|")))
} | {word: word for word in OTHERS.split("|")}
_INSTRUMENT = re.compile(
    rf"\b({'|'.join(re.escape(word) for word in sorted(_NAMES, key=len, reverse=True))})\b", re.IGNORECASE
)
_GUITAR = re.compile(r"\bguitars?\b", re.IGNORECASE)
_NO_PLAYER = re.compile(
    r"^(?:\s+(?:note|notes|clef|drop|voice|frequenc\w+|end|heavy|player should|range)\b|-heavy|\s*\()",
    re.IGNORECASE,
)
assert set(WORDS_FOR) == set(INSTRUMENTS)


@dataclass(frozen=True)
class Claim:
    """`what`: `tempo`, `meter`, `key`, `chord`, `instrument` or `moment`; `value` as the records write it."""

    what: str
    value: str
    denied: bool
    supposed: bool


def claims(text: str) -> Iterator[Claim]:
    """All that a text claims, in no special order."""
    for sentence in SENTENCE.split(text):
        supposed = bool(_SUPPOSED.search(sentence))
        for what, value, start, end in _found(sentence):
            denied = _DENIED.search(sentence[:start]) or _DENIED_AFTER.search(sentence[end:])
            yield Claim(what, value, bool(denied), supposed)


Found = tuple[str, str, int, int]
"""What, its value, and where in the sentence."""


def _found(sentence: str) -> Iterator[Found]:
    for match in _TEMPO.finditer(sentence):
        start, end = match.span()
        if not (_DIFFERENCE[0].search(sentence[:start]) or _DIFFERENCE[1].match(sentence[end:])):
            yield "tempo", match[1] or match[2], start, end
    for match in _METER.finditer(sentence):
        yield "meter", f"{match[1]}/{match[2]}", *match.span()
    for pattern, name in _NAMED_METERS:
        for match in pattern.finditer(sentence):
            yield "meter", name, *match.span()
    for match in _HARMONY.finditer(sentence):
        yield "key", f"{_root(match)} {match[4]}", *match.span()
    for match in _CHORD.finditer(sentence):
        yield "chord", _chord(match), *match.span()
    for match in _MOMENT.finditer(sentence):
        yield "moment", match[1], *match.span()
    yield from _instruments(sentence)


def _instruments(sentence: str) -> Iterator[Found]:
    """Whole names, the longest first: the guitar of "bass guitar" is none of its own."""
    taken: set[int] = set()
    for match in _INSTRUMENT.finditer(sentence):
        taken.update(range(*match.span()))
        if not _NO_PLAYER.match(sentence[match.end() :]):
            yield "instrument", _NAMES[match[1].lower()], *match.span()
    for match in _GUITAR.finditer(sentence):
        if match.start() not in taken:
            yield "instrument", "guitar", *match.span()


def _root(match: re.Match[str]) -> str:
    sign = {"#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}.get(match[2] or match[3] or "", 0)
    return PITCH_CLASSES[(PITCH_CLASSES.index(match[1]) + sign) % 12]


def _chord(match: re.Match[str]) -> str:
    suffix = match[4]
    return f"{_root(match)} minor" if suffix == "m" else f"{_root(match)}{suffix}"
