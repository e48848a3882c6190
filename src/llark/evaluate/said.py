"""Which part of an answer is said, and which is denied or left open.

"Not C but G major" says G. "Piano, no drums or bass, strings" says piano and strings. "I cannot tell
whether it is 120 or 140" says nothing. `said` blanks out what is not said and keeps every other character
in its place, so that the readers need no grammar of their own.
"""

from __future__ import annotations

import re
import unicodedata

_SIGNS = str.maketrans(
    {
        "♯": "#",
        "♭": "b",
        "♮": "",
        "–": "-",
        "‐": "-",
        "‑": "-",
        "−": "-",
        "—": ";",
        "⁄": "/",
        "’": "'",
        "‘": "'",
    }
)

_NEGATOR = re.compile(
    r"""\b(?:
        (?:no|not|never|without|neither|nor|none|cannot|unsure|uncertain|unclear|unknown|unlike|excluding)
        | \w+n't
        | (?:lacks?|lacking|rather\ than|instead\ of|absence\ of|devoid\ of|free\ of|none\ of)
        | (?:hard|difficult|impossible|unable)\ to
        | (?:except|apart\ from|aside\ from)(?:\ for)?
    )\b""",
    re.VERBOSE,
)
"""What turns the words after it into something not said."""

_EXEMPT = re.compile(
    r"""\b(?:
        not\ (?:only|just|merely|simply|solely)
        | (?:no|without(?:\ a|\ any)?)\ (?:doubt|question)
        | no\ (?:fewer|less|more)\ than
        | none\ other\ than
    )\b""",
    re.VERBOSE,
)
"""Phrases that only look like a denial."""

_BREAK = re.compile(
    r"""[;:!?()\n] | \.(?!\d) | \b(?:
        but | however | though | although | only | just | instead(?!\ of) | while | whereas | yet | because
        | so | except(?:\ for)? | other\ than | besides | (?:apart|aside)\ from | rather(?!\ than)
        | maybe | perhaps | probably | likely | possibly | presumably
        | (?:i(?:'d|\ would)?|my)\ (?:guess|say|think) | sounds?\ like
        | and\ (?:an?|there|some|i|it|it's)
    )\b""",
    re.VERBOSE,
)
"""Where a denial ends."""

_SENTENCE = re.compile(r"[;!?()\n]|\.(?!\d)|\b(?:but|however|while|whereas|though|although)\b")

_VERB = re.compile(
    r"\b(?:is|are|was|were|be|has|have|had|hear|plays?|features?|contains?|includes?|uses?|could|might|may|would"
    r"|it|it's|i|i'm|there|there's|this|we|you|sounds?)\b"
)

_AFTERWARDS = re.compile(
    r"""\b(?:is|are|was|were|seems?)?\s*\b(?:
        absent | missing | lacking
        | (?:(?:is|are|was|were)n't | not) \s+ (?:present|audible|there|heard|used|included|playing|featured)
        | (?:can't|cannot|can\ not) \s+ be \s+ (?:heard|made\ out)
    )\b | [:=]\s*(?:no|none)\b""",
    re.VERBOSE,
)
"""What turns the words before it into something not said."""


def plain(text: str) -> str:
    """One spelling for signs: ASCII dashes, quotes, sharps and flats; `b.p.m.` as `bpm`."""
    flat = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    return re.sub(r"\bb\.\s?p\.\s?m\b\.?", "bpm", flat, flags=re.IGNORECASE)


def said(text: str) -> str:
    """`plain(text)` with spaces for every character that is denied or left open; the length is kept."""
    flat = plain(text)
    lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in flat)
    exempt = [match.span() for match in _EXEMPT.finditer(lower)]
    gone: list[tuple[int, int]] = []
    for negator in _NEGATOR.finditer(lower):
        if not any(start <= negator.start() < end for start, end in exempt):
            gone.append((negator.start(), negator.end() + _reach(lower[negator.end() :])))
    for denial in _AFTERWARDS.finditer(lower):
        gone.append((_clause_start(lower, denial.start()), denial.end()))
    letters = list(flat)
    for start, end in gone:
        letters[start:end] = " " * (end - start)
    return "".join(letters)


def _reach(rest: str) -> int:
    """How many characters after a negator it denies: to the next break or comma, or over a list with "or"."""
    stop = _BREAK.search(rest)
    pieces = rest[: stop.start() if stop else None].split(",")
    if not pieces[0].strip():
        return 0
    last = 0
    for number, piece in enumerate(pieces[1:], start=1):
        if len(piece.split()) > 5 or _VERB.search(piece):
            break
        if re.search(r"\b(?:or|nor)\b", piece):
            last = number
    return len(",".join(pieces[: last + 1]))


def _clause_start(text: str, end: int) -> int:
    """Where the clause begins that ends in a denial at `end`: after a break, or after another clause."""
    start = 0
    for match in _SENTENCE.finditer(text, 0, end):
        start = match.end()
    for comma in re.finditer(r",|\band\b", text[start:end]):
        if _VERB.search(text[start : start + comma.start()]):
            return start + comma.end()
    return start
