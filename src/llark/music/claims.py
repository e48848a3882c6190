"""What a text claims about music: tempos, meters, keys, chords, instruments, moments; and whether it is so.

The finders here (`tempos`, `meters`, `keys`, `chords`, `instruments`) are the one reading of English that the
fact check, the scorers' `readers` and the strict reading share. So is `polarity`: "not C but G major" says
G, "piano, no drums or bass, strings" denies drums and bass, and "I cannot tell whether it is 120 or 140" says
nothing.

`check` compares the claims of an answer with an annotation. A contradiction, or a claim about something of
which nothing is known, is a reason not to say it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from llark.music import lexicon
from llark.music.names import chord_name, pitch_class
from llark.music.theory import Chord, Scale
from llark.records import INSTRUMENTS, METER_NAMES, PITCH_CLASSES, Annotation

# --- polarity: what is said, denied or left open ----------------------------------------------------------

_SIGNS = str.maketrans(
    {"♯": "#", "♭": "b", "♮": "", "–": "-", "‐": "-", "‑": "-", "−": "-", "—": ";", "⁄": "/"}
    | {"’": "'", "‘": "'"}
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

_OPEN = re.compile(
    r"unsure|uncertain|unclear|unknown|unlike|apart from|aside from|(?:hard|difficult|impossible|unable) to"
    r"|(?:cannot|not|\w+n't) (?:tell|say|know|determine|identify|(?:be )?(?:sure|certain|told|clear))\b"
)
"""The negators that leave open what follows, and do not deny it."""

_EXEMPT = re.compile(
    r"""\b(?:
        not\ (?:only|just|merely|simply|solely)
        | (?:no|without(?:\ a|\ any)?)\ (?:doubt|question)
        | no\ (?:fewer|less|more)\ than
        | none\ other\ than
        | (?:cannot|can't|can\ not)\ be\ (?:missed|overlooked|ignored) | hard\ to\ (?:miss|overlook|ignore)
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

_CLAUSE = re.compile(r"[;!?()\n]|\.(?!\d)|\b(?:but|however|while|whereas|though|although)\b")

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


def asserted(text: str) -> str:
    """`plain(text)` with spaces for every character that is denied or left open; the length is kept."""
    return polarity(text)[0]


def polarity(text: str) -> tuple[str, str]:
    """Two copies of `plain(text)`: one of what is said, one of what is denied.

    Each has spaces in the place of all other characters, so that both have the length of `plain(text)` and
    the finders need no grammar of their own. What is left open is in neither.
    """
    flat = plain(text)
    lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in flat)
    exempt = [match.span() for match in _EXEMPT.finditer(lower)]
    unsaid: list[tuple[int, int, bool]] = []  # start, end, whether it is left open
    for negator in _NEGATOR.finditer(lower):
        if not any(start <= negator.start() < end for start, end in exempt):
            left_open = _OPEN.match(lower, negator.start()) is not None
            unsaid.append((negator.start(), negator.end() + _reach(lower[negator.end() :]), left_open))
    for denial in _AFTERWARDS.finditer(lower):
        unsaid.append((_clause_start(lower, denial.start()), denial.end(), False))
    is_said, is_denied = list(flat), list(" " * len(flat))
    for start, end, _ in unsaid:
        is_said[start:end] = " " * (end - start)
        is_denied[start:end] = flat[start:end]
    for start, end, left_open in unsaid:
        if left_open:
            is_denied[start:end] = " " * (end - start)
    return "".join(is_said), "".join(is_denied)


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
    for match in _CLAUSE.finditer(text, 0, end):
        start = match.end()
    for comma in re.finditer(r",|\band\b", text[start:end]):
        if _VERB.search(text[start : start + comma.start()]):
            return start + comma.end()
    return start


# --- finders: where a text names a value ------------------------------------------------------------------
# Each takes a text of `polarity` and yields what it names, in the order of the text.

SLOWEST_BPM, FASTEST_BPM = 20.0, 400.0

_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS: tuple[str, ...] = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen")
_TEENS += ("seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBERS = {word: number for number, word in enumerate(_UNITS + _TEENS)}
NUMBERS |= {word: 10 * number for number, word in enumerate(_TENS, start=2)} | {"fourty": 40}
_UNIT = "|".join(_UNITS[1:])
_UNDER_100 = rf"(?:(?:{'|'.join(_TENS)}|fourty)(?:[\s-]+(?:{_UNIT}))?|{'|'.join(_TEENS)})"
_SPELLED = re.compile(
    rf"\b(?:(?P<hundreds>an?|{_UNIT})[\s-]+hundred(?:[\s-]+(?:and[\s-]+)?(?P<rest>{_UNDER_100}|{_UNIT}))?"
    rf"|(?P<lead>one|two|three)[\s-]+(?P<tail>{_UNDER_100}|(?:oh|o)[\s-]+(?:{_UNIT}))"
    rf"|(?P<bare>hundred)|(?P<small>{_UNDER_100}|{'|'.join(_UNITS)}))\b"
)

_NUMBER = r"(?<![\w./,:$+])(\d{1,3}(?:\.\d+|,\d{1,2})?)(?![\d/:]|[.,]\d)"
_BEATS = (
    r"\s*-?\s*(?:bpm\b|(?:beats|quarter[\s-]?notes?|quarters|crotchets|pulses)\s*(?:per|a|/|to\s+the)\s*min"
    r"|/\s*min|per\s+minute)"
)
_RANGE = re.compile(rf"{_NUMBER}(?:{_BEATS})?\s*(?:-|to|(?P<joined>and)|~)\s*{_NUMBER}")
_TEMPO = re.compile(_NUMBER)
_BPM_AFTER = re.compile(_BEATS)
_BPM_BEFORE = re.compile(r"(?:(?<!\d)(?<!\d[ -])\bbpm\b|\btempo\b|\bpulse\b|[=♩])[^\d.;]{0,30}$")
_OTHER_UNIT = re.compile(
    r"\s*-?\s*(?:/|%|hz|khz|db|kg|ms\b|st\b|nd\b|rd\b|th\b|s\b|secs?\b|seconds?|minutes?|mins?\b|years?|bars?|measures?|voices"
    r"|instruments?|strings?|notes?\b|chords?|out\s+of|beats?\s+(?:per|in|to)\s+(?:a|the|each|every)?\s*(?:bar|measure|second))"
)
_BOUND = re.compile(
    r"(?:\b(?:more|faster|slower|less|greater|higher|lower|fewer)\s+than|\boutside|\bat\s+(?:least|most)|\bup\s+to"
    r"|(?<!followed )\bby(?:\s+(?:about|around|roughly))?"
    r"|(?<!just )(?<!slightly )(?<!little )(?<!bit )\b(?:above|below|over|under))\s*$"
)
_DIFFERENCE = re.compile(rf"{_BEATS}\s*(?:off|faster|slower|quicker|more|less|below|above)\b(?!\s+or\b)")

OUTRIGHT, BESIDE, BARE = 3, 2, 1
"""How surely a number is a tempo: "BPM" follows; "tempo" or "BPM" stands before; a number and no more."""


def tempos(text: str) -> list[tuple[int, float]]:
    """(how surely, beats per minute): "around one-twenty" is 120, "90-95 BPM" is 92.5.

    A number of something else (seconds, bars) is no tempo, nor is a bound ("above 90 BPM") or a difference.
    """
    text = _SPELLED.sub(lambda match: str(_spelled(match)), text.lower())
    spans = [  # start, end, value: a range is read as its middle
        (match.start(), match.end(), (low + high) / 2)
        for match in _RANGE.finditer(text)
        if SLOWEST_BPM <= (low := _number(match[1])) < (high := _number(match[3])) <= FASTEST_BPM
        and (not match["joined"] or re.search(r"between\s*$", text[: match.start()]))
    ]
    spans += [
        (match.start(), match.end(), _number(match[1]))
        for match in _TEMPO.finditer(text)
        if not any(start <= match.start() < end for start, end, _ in spans)
    ]
    readings = []
    for start, end, bpm in sorted(spans):
        before, followed = text[max(0, start - 40) : start], _BPM_AFTER.match(text, end)
        other = _BOUND.search(before) or (_DIFFERENCE if followed else _OTHER_UNIT).match(text, end)
        if SLOWEST_BPM <= bpm <= FASTEST_BPM and not other:
            rank = OUTRIGHT if followed else BESIDE if _BPM_BEFORE.search(before) else BARE
            readings.append((rank, bpm))
    return readings


def _number(digits: str) -> float:
    return float(digits.replace(",", "."))


def spelled_numbers(text: str) -> Iterator[tuple[int, int, int]]:
    """(number, start, end) of each number in words of a lower-case text."""
    return ((_spelled(match), *match.span()) for match in _SPELLED.finditer(text))


def _spelled(match: re.Match[str]) -> int:
    """A number in words: "one-twenty eight" is 128."""
    if match["hundreds"]:
        return 100 * NUMBERS.get(match["hundreds"], 1) + _small(match["rest"] or "")
    if match["lead"]:
        return 100 * NUMBERS[match["lead"]] + _small(match["tail"])
    return 100 if match["bare"] else _small(match["small"])


def _small(words: str) -> int:
    return sum(NUMBERS.get(word, 0) for word in re.split(r"[\s-]+", words))


SIGNATURE = re.compile(
    r"(?<![\d/.])(\d{1,2})\s*([/:])\s*(1|2|4|8|16)(?![\d/]|:\d)(?!\s+(?:of|seconds|minutes))"
)
"""Upper number, stroke, lower number. "3/4 of the song" is none."""

_NAMED_METERS = (
    (re.compile(r"\bcommon[\s-]time\b|\bquadruple\b"), 4),
    (re.compile(r"\bcut[\s-](?:common|time)\b|\balla breve\b"), 2),
    (re.compile(r"\bcompound[\s-]duple\b"), 6),
    (re.compile(r"\bwaltz\b|\btriple\b"), 3),
    (re.compile(r"\bduple\b|\bmarch time\b"), 2),
)
_CALLED_METER = re.compile(
    r"\b(?:(?:common|march) time"
    r"|(?:waltz|triple|quadruple|(?:compound[\s-])?duple)[\s-](?:time|meter|metre))\b"
)


def named_meter(text: str) -> int | None:
    """Beats of a bar by the meter's name in words: "common time" is 4, "waltz" 3. `text` is lower-case."""
    return next((beats for names, beats in _NAMED_METERS if names.search(text)), None)


def meters(text: str) -> Iterator[str]:
    """Each time signature that is written out, as `3/4`: in digits, or by a name such as "triple meter"."""
    for match in SIGNATURE.finditer(text):
        if match[2] == "/" and match[3] != "1":
            yield f"{match[1]}/{match[3]}"
    for match in _CALLED_METER.finditer(text.lower()):
        yield METER_NAMES[named_meter(match[0]) or 4]


MODES = dict.fromkeys(("major", "maj", "M", "dur", "ionian", "lydian", "mixolydian"), "major")
MODES |= dict.fromkeys(("minor", "min", "m", "moll", "aeolian", "dorian", "phrygian"), "minor")
# One letter alone is told apart by its case: m is minor, M major.
_MODE_WORDS = "|".join(word for word in sorted(MODES, key=len, reverse=True) if len(word) > 1)
TONIC = r"([A-Ga-g])(?:(#|b|s)(?![A-Za-z#])|[\s-]*(sharp|flat)\b)?"
"""Letter; sign; sign in words. The "s" of "Fs minor" is a sharp."""

_KEY = re.compile(  # a tonic, its other spelling if any ("C#/Db"), and the mode
    rf"(?<![A-Za-z#]){TONIC}(?:\s*(?:/|\(|\bor\b)\s*[A-G](?:#|b|[\s-]*(?:sharp|flat)\b)?\)?)?"
    rf"(?:[\s,-]*\(?(?:natural\s+|harmonic\s+|melodic\s+)?((?i:{_MODE_WORDS}))\b|(?<=[A-G])(m|M)\b)"
)
_JOINED_KEY = re.compile(r"(?<![A-Za-z#])([A-G])(#|b)?()(maj|min|m|M)\b")
_RELATIVE_BEFORE = re.compile(
    r"\brelative\s+(major|minor)(?:\s+key)?\s+(?:of|to)\s+(?:the\s+key\s+of\s+)?$", re.IGNORECASE
)
_AFTER_ARTICLE_KEY = re.compile(
    r"\s*(?:$|[^\w\s]|(?:and|with|at|but|or|is|as|throughout|then|to|for|most|probably|i)\b)", re.IGNORECASE
)


def keys(text: str) -> list[tuple[str, int, int]]:
    """(one of `records.KEYS`, start, end) of each key with its mode: "B♭ min" is "Bb minor"."""
    matches = {match.start(): match for match in _JOINED_KEY.finditer(text)}
    matches |= {match.start(): match for match in _KEY.finditer(text) if match[1].isupper() or match[4]}
    ordered = [match for _, match in sorted(matches.items())]
    return [(_key(text, match), *match.span()) for match in ordered if not _is_article(text, match)]


def tonic(match: re.Match[str]) -> int:
    """The pitch class of a `TONIC`, whose three groups come first in a pattern."""
    return pitch_class(match[1].upper() + (match[2] or match[3] or ""))


def _key(text: str, match: re.Match[str]) -> str:
    written = next(group for group in match.groups()[3:] if group)
    mode = MODES[written if len(written) == 1 else written.lower()]
    root = tonic(match)
    relative = _RELATIVE_BEFORE.search(text[: match.start()])
    if relative and relative[1].lower() != mode:
        mode = relative[1].lower()
        root += 3 if mode == "major" else -3
    return f"{PITCH_CLASSES[root % 12]} {mode}"


def _is_article(text: str, match: re.Match[str]) -> bool:
    """Whether the A of "a minor key" is an article: "the music has a minor feel"."""
    if match[1] not in "aA" or match[2] or match[3] or "-" in match[0]:
        return False
    before = text[: match.start()].rstrip()
    if re.search(r"\bkey of$", before):
        return False
    starts_sentence = not before or before[-1] in ".!?"
    if match[1] == "A" and not starts_sentence:
        return False
    return not _AFTER_ARTICLE_KEY.match(text, match.end())


_QUALITIES = {
    "m": "min", "min": "min", "minor": "min", "m7": "min7", "min7": "min7", "m9": "min9", "m6": "min6",
    "m7b5": "hdim7", "ø": "hdim7", "mM7": "minmaj7", "dim": "dim", "°": "dim", "diminished": "dim",
    "dim7": "dim7", "M7": "maj7", "maj7": "maj7", "maj9": "maj9", "6": "maj6", "+": "aug", "aug": "aug",
    "augmented": "aug", "sus2": "sus2", "sus4": "sus4", "7": "7", "9": "9", "11": "11", "13": "13",
    "add9": "maj", "M": "maj", "maj": "maj", "major": "maj", "": "maj",
}  # fmt: skip
"""mir_eval's quality for each way to write it."""

_CHORD = re.compile(  # root, sign, quality as one word with it, quality as a word of its own; a bass
    r"(?<![A-Za-z#'])([A-G])(#|b(?=[^a-z]|$|m|dim|aug|sus|add)|[\s-]?sharp\b|[\s-]?flat\b)?"
    r"(?:(maj7|maj9|maj|min7|min|m7b5|m7|m6|m9|mM7|m|M7|dim7|dim|aug|sus2|sus4|add9|ø|°|\+|6|7|9|11|13)"
    r"(?![A-Za-z0-9])|[\s-]+(major|minor|maj|min|diminished|augmented)\b|(?![A-Za-z#0-9']))"
    r"(?:/[A-G](?:#|b)?(?![A-Za-z]))?"
)
_ARTICLE_AFTER = re.compile(r"\s+(?!and\b|or\b|then\b|to\b|chord|major|minor|at\b|in\b|is\b|for\b)[a-z]")


def chords(text: str) -> Iterator[tuple[Chord, bool]]:
    """Each chord, and whether it can be nothing else: "G7" is a chord, "G" and "G minor" may be none."""
    return ((chord, bool(match[3])) for chord, match in chord_matches(text))


def chord_matches(text: str) -> Iterator[tuple[Chord, re.Match[str]]]:
    """Each chord with its place: root, sign, quality as one word with it, quality as a word of its own."""
    for match in _CHORD.finditer(text):
        bare_letter = not any(match.groups()[1:])
        if not (match[1] == "A" and bare_letter and _ARTICLE_AFTER.match(text, match.end())):
            quality = _QUALITIES[match[3] or match[4] or ""]
            yield Chord(pitch_class(match[1] + (match[2] or "")), quality), match


_ELLIPSIS = re.compile(
    r"\b(acoustic|electric|clean|distorted|overdriven|classical)((?:\s*(?:,|and|or|&|/|plus)\s*"
    r"(?:an?\s+)?(?:acoustic|electric|clean|distorted|overdriven|classical))+)\s+(guitar|piano)s?\b"
)


def instruments(text: str) -> list[lexicon.Named]:
    """Words of `records.INSTRUMENTS`, families and other instruments, the longest phrase first.

    "Acoustic and electric guitars" are two, and the guitar of "bass guitar" is none of its own.
    """

    def whole_names(match: re.Match[str]) -> str:
        kinds = re.findall(r"acoustic|electric|clean|distorted|overdriven|classical", match[0])
        return ", ".join(f"{kind} {match[3]}" for kind in kinds)

    return lexicon.INSTRUMENT_PHRASES.find(_ELLIPSIS.sub(whole_names, text.lower()))


# --- claims -----------------------------------------------------------------------------------------------

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")
_MOMENT = re.compile(
    r"\b(?:at|after|until|from)\s+(?:about |around )?(\d{1,4}(?:\.\d+)?)\s*(?:s|secs?|seconds?)\b",
    re.IGNORECASE,
)
_NO_HARMONY = re.compile(r"\s+(?:pentatonic|scale|third|sixth|seventh)\b")
_SUPPOSED = re.compile(
    r"\b(?:if|would|could|should|might|may|try|imagine|suppose|instead|transpos\w+|modulat\w+|mov(?:e|es|ed|ing)"
    r"|shift\w*|relative|parallel|capo|chang(?:e|es|ed|ing)|add\w*|replac\w+|swap\w*|substitut\w+|dominant"
    r"|subdominant|borrow\w*|compar\w+|unlike|than|typical\w*|often|usually|practi[sc]e\w*|slower|faster|slow|speed"
    r"|half|double|twice|play(?:ed)? it (?:in|at|on)|lead(?:s|ing)? to|resolv\w+|next|experiment\w*"
    r"|perhaps|write|reads?|percent|raise|lower|bring in|leave out|play without|drop the|same (?:notes|tonic)"
    r"|shares? all|belongs? to|mix(?:es)?|blend\w*)\b|\d%",
    re.IGNORECASE,
)
"""What makes a sentence one of what might be, or of other music."""


@dataclass(frozen=True)
class Claim:
    """One value that a text claims of the music."""

    what: str
    """`tempo`, `meter`, `key`, `chord`, `instrument` or `moment`."""
    value: str
    """As the records write it. Instruments that the records have no word for keep their own."""
    denied: bool
    """The text says that it is not so: "no drums"."""
    supposed: bool
    """The sentence is one of what might be: "if you move it to A major"."""


def claims(text: str) -> Iterator[Claim]:
    """All that a text claims outright, sentence by sentence. What it leaves open is no claim."""
    flat, (is_said, is_denied), start = plain(text), polarity(text), 0
    for end in [*(gap.end() for gap in _SENTENCE_END.finditer(flat)), len(flat)]:
        supposed = bool(_SUPPOSED.search(flat, start, end))
        for sentence, denied in ((is_said[start:end], False), (is_denied[start:end], True)):
            for what, value in _values(sentence):
                yield Claim(what, value, denied, supposed)
        start = end


def _values(sentence: str) -> Iterator[tuple[str, str]]:
    """(kind, value) of each claim in a sentence."""
    yield from (("tempo", f"{bpm:g}") for rank, bpm in tempos(sentence) if rank > BARE)
    yield from (("meter", meter) for meter in meters(sentence))
    for key, start, end in keys(sentence):
        parted = re.search(r"[\s-]", sentence[start:end])  # "Am" and "Gmaj" are read as chords
        article = sentence[start] == "a" and sentence[start + 1] in " ,"
        if parted and not article and not _NO_HARMONY.match(sentence, end):
            yield "key", key
    yield from (("chord", chord.name) for chord, is_certain in chords(sentence) if is_certain)
    yield from (("moment", match[1]) for match in _MOMENT.finditer(sentence))
    for named in instruments(sentence):
        if named.phrase not in lexicon.AMBIGUOUS:
            yield "instrument", named.phrase if named.word == lexicon.OTHER_INSTRUMENT else named.word


# --- the check against an annotation ----------------------------------------------------------------------

TEMPO_TOLERANCE = 0.04
"""Share by which a tempo may be rounded."""

MOMENT_TOLERANCE_SECONDS = 1.0

YES, NO = re.compile(r"\W*yes\b", re.IGNORECASE), re.compile(r"\W*no\b", re.IGNORECASE)
_YES_NO_QUESTION = re.compile(
    r"\W*(?:is|are|does|do|can|could|would|has|have|was|did|am)\b(?![^?]*\bor\b)", re.IGNORECASE
)
_COMPARED = re.compile(
    r"\b(faster|quicker|slower|more|less|above|over|below|under)\s+(?:than\s+)?(?:about\s+)?(\d{2,3})\s*(?:bpm|beats)",
    re.IGNORECASE,
)
_UNCLEAR = re.compile(
    r"\b(?:not|without|only|just|mostly|main|solo|lead|between|range|around|near|over|under)\b"
    r"|\d (?:to|and) \d",
    re.IGNORECASE,
)
_OF_KEY = re.compile(r"^(?!.*\bchords?\b).*\b(?:key|in)\b", re.IGNORECASE)


@dataclass(frozen=True)
class FactCheck:
    """What the check finds in an answer."""

    reason: str | None
    """A slug for the first claim that does not hold; `None` where all hold."""
    detail: str = ""
    """The same as a sentence."""
    used: frozenset[str] = frozenset()
    """The facts that the claims rest on."""


@dataclass(frozen=True)
class KnownFacts:
    """What claims are compared with."""

    annotation: Annotation
    texts: Mapping[str, str] = field(default_factory=dict)
    """What else is written of the recording, by the name of the field: captions, tags, part names."""

    @cached_property
    def worded(self) -> Mapping[tuple[str, str], str]:
        """(kind, value) of each claim that the texts make themselves → the first field that makes it."""
        fields: dict[tuple[str, str], str] = {}
        for name, text in self.texts.items():
            for claim in claims(text):
                fields.setdefault((claim.what, claim.value), name)
        return fields

    @cached_property
    def key(self) -> str | None:
        name = self.annotation.key.name
        return None if name is None else Scale.of(name).name

    @cached_property
    def chords(self) -> frozenset[str]:
        """Names of the chords, as they are said."""
        parsed = [Chord.of(span.label) for span in self.annotation.chords.spans]
        return frozenset(chord.name for chord in parsed if chord is not None)

    @cached_property
    def harmony(self) -> frozenset[str]:
        """Names of every chord and key."""
        alone = self.annotation.isolated_chord.label
        names = {self.key, *(span.label for span in self.annotation.local_keys.spans)}
        names |= {alone and chord_name(alone)}
        return self.chords | {name for name in names if name}

    @cached_property
    def instruments(self) -> frozenset[str]:
        """Measured or written of. Empty: not known, which is not the same as silence."""
        worded = {value for what, value in self.worded if what == "instrument"}
        return frozenset({*self.annotation.instruments.labels, *worded})

    @property
    def tempo_bpm(self) -> float | None:
        return self.annotation.tempo.bpm or None

    @property
    def meter(self) -> str | None:
        return METER_NAMES.get(self.annotation.meter.beats_per_bar or 0)


Trouble = tuple[str, str] | None
"""The reason why something may not be said, as a slug and as a sentence."""


def check(known: KnownFacts, question: str, answer: str, free: bool, *, strict: bool = False) -> FactCheck:
    """Compares an answer with what is known. `free`: sentences that suppose may say what is not the case.

    `strict`, of a single sentence: it supposes nothing, and what it calls a key must be one.
    """
    used: set[str] = set()
    for claim in claims(answer):
        if strict and not free:
            claim = replace(claim, supposed=False)
        if free and claim.supposed and claim.what != "moment":
            continue
        if claim.denied and claim.what != "instrument":
            continue
        if not claim.denied and (claim.what, claim.value) in known.worded:
            used.add(known.worded[claim.what, claim.value])
            continue
        trouble, fact = _compare(known, claim)
        as_key = strict and claim.what == "key" and fact == "chords" and _OF_KEY.search(answer)
        if as_key and claim.value not in {span.label for span in known.annotation.local_keys.spans}:
            trouble = "wrong-key", f"{claim.value} is said to be the key, and is a chord of the clip."
        if trouble:
            return FactCheck(*trouble)
        used.add(fact)
    trouble = _yes_or_no(known, question, answer)
    return FactCheck(*trouble) if trouble else FactCheck(None, "", frozenset(used - {""}))


def _compare(known: KnownFacts, claim: Claim) -> tuple[Trouble, str]:
    """What is wrong with a claim, if anything, and the fact that it rests on."""
    value, what = claim.value, claim.what
    if what == "tempo":
        tempo = known.tempo_bpm
        if tempo is None:
            return ("unknown-tempo", f"{value} BPM is said of a clip whose tempo is not known."), ""
        near = (tempo, known.annotation.tempo.alternative_bpm or tempo)
        if claim.supposed or any(abs(float(value) - bpm) <= TEMPO_TOLERANCE * bpm for bpm in near):
            return None, "tempo"
        return ("wrong-tempo", f"{value} BPM is said where {tempo:.0f} BPM is known."), ""
    if what == "meter":
        if known.meter is None:
            return ("unknown-meter", f"{value} is said of a clip whose meter is not known."), ""
        if value == known.meter:
            return None, "meter"
        return ("wrong-meter", f"{value} is said where {known.meter} is known."), ""
    if what == "moment":
        seconds = known.annotation.end_seconds - known.annotation.start_seconds
        if float(value) <= seconds + MOMENT_TOLERANCE_SECONDS:
            return None, ""
        return ("past-the-end", f"{value} s is said of a clip of {seconds:.1f} s."), ""
    if what == "instrument":
        return _compare_instrument(known, claim)
    # A name such as "D major" may be of a key or of a chord: it holds if either is known.
    if value in known.harmony:
        return None, "key" if what == "key" and value == known.key else "chords"
    if not (known.harmony if what == "key" else known.chords):
        names = "harmony is" if what == "key" else "chords are"
        return ("unknown-harmony", f"{value} is said of a clip whose {names} not known."), ""
    role = "neither the key nor a chord" if what == "key" else "no chord"
    return ("wrong-harmony", f"{value} is said, and is {role} of the clip."), ""


def _compare_instrument(known: KnownFacts, claim: Claim) -> tuple[Trouble, str]:
    value = claim.value
    if not known.instruments:
        return ("unknown-instruments", f"{value} is said, and the instruments are not known."), ""
    plays = bool({value, *lexicon.FAMILIES.get(value, ())} & known.instruments)
    if claim.denied:
        return (("wrong-instrument", f"{value} is denied, and plays.") if plays else None), "instruments"
    if plays or set(lexicon.NEAR.get(value, ())) & known.instruments:
        return None, "instruments"
    return ("wrong-instrument", f"{value} is said to play, and is not known to."), ""


def _yes_or_no(known: KnownFacts, question: str, answer: str) -> Trouble:
    """Whether a yes or a no agrees with the one thing that the question asks for."""
    said_yes, said_no = bool(YES.match(answer)), bool(NO.match(answer))
    if not (said_yes or said_no) or not _YES_NO_QUESTION.match(question):
        return None
    truth = _truth(known, question)
    if truth is None or truth == said_yes:
        return None
    return "wrong-yes-or-no", f"{question!r} is answered with {'yes' if said_yes else 'no'}."


def _truth(known: KnownFacts, question: str) -> bool | None:
    """Whether the question's only claim is true; `None` where it makes none, several or an unclear one."""
    compared = _COMPARED.search(question)
    if compared and known.tempo_bpm is not None:
        up = compared[1].lower() in ("faster", "quicker", "more", "above", "over")
        return (known.tempo_bpm > float(compared[2])) == up
    if compared or _UNCLEAR.search(question):
        return None
    asked = {(claim.what, claim.value) for claim in claims(question) if claim.what != "moment"}
    if len(asked) != 1:
        return None
    what, value = asked.pop()
    if what == "key" and known.key is not None and _OF_KEY.search(question):
        return value == known.key
    if what == "instrument":
        measured = set(known.annotation.instruments.labels)
        near = {*lexicon.NEAR.get(value, ()), *lexicon.FAMILIES.get(value, ())} & measured
        if not measured or value not in INSTRUMENTS or (near and value not in measured):
            return None
        return value in measured
    trouble, fact = _compare(known, Claim(what, value, denied=False, supposed=False))
    if trouble and trouble[0].startswith("unknown"):
        return None
    return trouble is None if fact or trouble else None
