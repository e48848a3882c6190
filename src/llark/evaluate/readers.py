"""What an answer in words says about the music, as people would agree.

Each reader returns the value, or `None` where the answer gives none ("I cannot tell"): no answer is not a
wrong answer. Where an answer offers several values the first one counts, where it gives a range the middle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from llark.evaluate.said import said
from llark.music.lexicon import GENRE_PHRASES, INSTRUMENT_PHRASES, OTHER_INSTRUMENT
from llark.records import PITCH_CLASSES

SLOWEST_BPM, FASTEST_BPM = 20.0, 400.0

_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS: tuple[str, ...] = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen")
_TEENS += ("seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = {word: number for number, word in enumerate(_UNITS + _TEENS)}
_SMALL |= {word: 10 * number for number, word in enumerate(_TENS, start=2)}
_SMALL["fourty"] = 40
_ANY_WORD = "|".join(sorted(_SMALL, key=len, reverse=True))
_UNDER_100 = rf"(?:(?:{'|'.join(_TENS)}|fourty)(?:[\s-]+(?:{'|'.join(_UNITS[1:])}))?|{'|'.join(_TEENS)})"
_SPELLED = re.compile(
    rf"\b(?:(?P<hundreds>an?|{'|'.join(_UNITS[1:])})[\s-]+hundred(?:[\s-]+(?:and[\s-]+)?(?P<rest>{_UNDER_100}|{'|'.join(_UNITS[1:])}))?"
    rf"|(?P<lead>one|two|three)[\s-]+(?P<tail>{_UNDER_100}|(?:oh|o)[\s-]+(?:{'|'.join(_UNITS[1:])}))"
    rf"|(?P<bare>hundred)|(?P<small>{_UNDER_100}|{'|'.join(_UNITS)}))\b"
)

_NUMBER = r"(?<![\w./,:$+])(\d{1,3}(?:\.\d+|,\d{1,2})?)(?![\d/:]|[.,]\d)"
_BEATS = (
    r"\s*-?\s*(?:bpm\b|(?:beats|quarter[\s-]?notes?|quarters|crotchets|pulses)\s*(?:per|a|/|to\s+the)\s*min"
    r"|/\s*min|per\s+minute)"
)
_RANGE = re.compile(rf"{_NUMBER}(?:{_BEATS})?\s*(?:-|to|and|~)\s*{_NUMBER}")
_TEMPO = re.compile(_NUMBER)
_BPM_AFTER = re.compile(_BEATS)
_BPM_BEFORE = re.compile(r"(?:\bbpm\b|\btempo\b|\bpulse\b|[=♩])[^\d.;]{0,30}$")
_OTHER_UNIT = re.compile(
    r"\s*-?\s*(?:/|%|hz|khz|db|kg|ms\b|st\b|nd\b|rd\b|th\b|s\b|secs?\b|seconds?|minutes?|mins?\b|years?|bars?|measures?|voices"
    r"|instruments?|strings?|notes?\b|chords?|out\s+of|beats?\s+(?:per|in|to)\s+(?:a|the|each|every)?\s*(?:bar|measure|second))"
)
_BOUND = re.compile(
    r"(?:\b(?:more|faster|slower|less|greater|higher|lower|fewer)\s+than|\bat\s+(?:least|most)|\bup\s+to"
    r"|(?<!just )(?<!slightly )(?<!little )(?<!bit )\b(?:above|below|over|under))\s*$"
)


def read_tempo(answer: str) -> float | None:
    """Beats per minute: "around one-twenty" is 120, "90-95 BPM" is 92.5, the 4 of 4/4 is no tempo."""
    text = _digits(said(answer).lower())
    found = [*_tempo_ranges(text), *_tempo_numbers(text)]
    if not found:
        return None
    best = max(rank for rank, _, _ in found)
    return min((start, value) for rank, start, value in found if rank == best)[1]


def _tempo_ranges(text: str) -> Iterator[tuple[int, int, float]]:
    """(how surely it is a tempo, place, middle) of each range such as "90 to 95"."""
    for match in _RANGE.finditer(text):
        low, high = _float(match.group(1)), _float(match.group(2))
        joined_by_and = "and" in match.group(0)
        if joined_by_and and not re.search(r"between\s*$", text[: match.start()]):
            continue
        if SLOWEST_BPM <= low < high <= FASTEST_BPM and not _is_other(text, match.start(), match.end()):
            rank = _tempo_rank(text, match.start(), match.end())
            yield rank, match.start(), (low + high) / 2


def _tempo_numbers(text: str) -> Iterator[tuple[int, int, float]]:
    for match in _TEMPO.finditer(text):
        value = _float(match.group(1))
        if SLOWEST_BPM <= value <= FASTEST_BPM and not _is_other(text, match.start(), match.end()):
            yield _tempo_rank(text, match.start(), match.end()), match.start() + 1, value


def _tempo_rank(text: str, start: int, end: int) -> int:
    """3: "BPM" follows; 2: "tempo" or "BPM" stands before; 1: a bare number."""
    if _BPM_AFTER.match(text, end):
        return 3
    return 2 if _BPM_BEFORE.search(text[max(0, start - 40) : start]) else 1


def _is_other(text: str, start: int, end: int) -> bool:
    """Whether the number counts something else (seconds, bars), or is a bound and no tempo."""
    if _BOUND.search(text[max(0, start - 40) : start]):
        return True
    return not _BPM_AFTER.match(text, end) and bool(_OTHER_UNIT.match(text, end))


def _float(digits: str) -> float:
    return float(digits.replace(",", "."))


def _digits(text: str) -> str:
    """Numbers spelled in words as digits: "one-twenty eight" is 128."""
    return _SPELLED.sub(lambda match: str(_spelled(match)), text)


def _spelled(match: re.Match[str]) -> int:
    if match["hundreds"]:
        return 100 * _SMALL.get(match["hundreds"], 1) + _small(match["rest"] or "")
    if match["lead"]:
        return 100 * _SMALL[match["lead"]] + _small(match["tail"])
    return 100 if match["bare"] else _small(match["small"])


def _small(words: str) -> int:
    return sum(_SMALL.get(word, 0) for word in re.split(r"[\s-]+", words))


_MODES = {
    "major": "major",
    "maj": "major",
    "M": "major",
    "dur": "major",
    "ionian": "major",
    "lydian": "major",
}
_MODES |= {"mixolydian": "major", "minor": "minor", "min": "minor", "m": "minor", "moll": "minor"}
_MODES |= {"aeolian": "minor", "dorian": "minor", "phrygian": "minor"}
_MODE_WORDS = "|".join(word for word in sorted(_MODES, key=len, reverse=True) if len(word) > 1)
_TONIC = r"([A-Ga-g])(?:(#|b|s)(?![A-Za-z#])|[\s-]*(sharp|flat)\b)?"
_KEY = re.compile(
    rf"(?<![A-Za-z#]){_TONIC}(?:\s*(?:/|\(|\bor\b)\s*[A-G](?:#|b|[\s-]*(?:sharp|flat)\b)?\)?)?"
    rf"(?:[\s,-]*\(?(?:natural\s+|harmonic\s+|melodic\s+)?((?i:{_MODE_WORDS}))\b|(?<=[A-G])(m|M)\b)"
)
_JOINED_KEY = re.compile(r"(?<![A-Za-z#])([A-G])(#|b)?()(maj|min|m|M)\b")
_BARE_KEY = (
    re.compile(
        r"(?i:\bkey(?:\s+of\s+th\w+\s+\w+)?|\btonic|\btonal\s+cent(?:er|re)|\bscale)(?:\s*[:=]|(?i:\s+(?:is|of|in|note|probably|likely))*)"
        rf"\s+{_TONIC}(?![A-Za-z#])"
    ),
    re.compile(rf"\b[Ii]n\s+{_TONIC}(?![A-Za-z#])"),
    re.compile(rf"^\W*{_TONIC}\W*$"),
)
_ABOUT_KEY = re.compile(r"\b(?:key|tonality|tonic|home|scale)\b[^.;\n]{0,60}$", re.IGNORECASE)
_CHORD_AFTER = re.compile(r"[\s)]*-?(?:chord|triad|seventh|arpeggio|\d)", re.IGNORECASE)
_RELATIVE_BEFORE = re.compile(
    r"\brelative\s+(major|minor)(?:\s+key)?\s+(?:of|to)\s+(?:the\s+key\s+of\s+)?$", re.IGNORECASE
)
_AFTER_ARTICLE_KEY = re.compile(
    r"\s*(?:$|[^\w\s]|(?:and|with|at|but|or|is|as|throughout|then|to|for|most|probably|i)\b)", re.IGNORECASE
)


def read_key(answer: str) -> str | None:
    """One of `records.KEYS`: "B♭ min" is "Bb minor", a bare "key of G" is major, D dorian is D minor."""
    text = said(answer)
    found = [match for match in _keys_in(text) if not _CHORD_AFTER.match(text, match.end())]
    found = [match for match in found if not _is_article(text, match)]
    about = [match for match in found if _ABOUT_KEY.search(text[: match.start()])]
    if found:
        return _key_name(text, (about or found)[0])
    return _bare_key(text)


def _keys_in(text: str) -> list[re.Match[str]]:
    """Matches of (letter, sign, sign in words, mode …), in the order of the text."""
    found = {match.start(): match for match in _JOINED_KEY.finditer(text)}
    found |= {match.start(): match for match in _KEY.finditer(text) if match[1].isupper() or match[4]}
    return [found[start] for start in sorted(found)]


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


def _key_name(text: str, match: re.Match[str]) -> str:
    written = next(group for group in match.groups()[3:] if group)
    mode = _MODES[written if len(written) == 1 else written.lower()]
    tonic = _pitch_class(match)
    relative = _RELATIVE_BEFORE.search(text[: match.start()])
    if relative and relative[1].lower() != mode:
        mode = relative[1].lower()
        tonic += 3 if mode == "major" else -3
    return f"{PITCH_CLASSES[tonic % 12]} {mode}"


def _bare_key(text: str) -> str | None:
    """A tonic without its mode beside it: "Key: G" is major unless the rest of the answer says minor only."""
    for pattern in _BARE_KEY:
        for match in pattern.finditer(text):
            lone_letter = match[0].strip() == match[1]
            if match[1].islower() and not (lone_letter or match[2] or match[3]):
                continue
            modes = {word.lower() for word in re.findall(r"(?i)\b(?:major|minor)\b", text)}
            mode = modes.pop() if len(modes) == 1 else "major"
            return f"{PITCH_CLASSES[_pitch_class(match)]} {mode}"
    return None


def _pitch_class(match: re.Match[str]) -> int:
    """0 is C; groups 1 to 3 are the letter, `#` or `b`, and "sharp" or "flat"."""
    sign = (match[2] or match[3] or "")[:1]
    shift = {"#": 1, "s": 1, "b": -1, "f": -1, "": 0}[sign]
    return (PITCH_CLASSES.index(match[1].upper()) + shift) % 12


_COUNT = "|".join((*_UNITS[1:], *_TEENS[:3]))
_SIGNATURE = re.compile(r"(?<![\d/.])(\d{1,2})\s*[/:]\s*(1|2|4|8|16)(?![\d/:])(?!\s+(?:of|seconds|minutes))")
_SPELLED_SIGNATURE = re.compile(rf"\b({_COUNT})[\s-]+(two|four|eight|quarters?|eighths?)\b(?!\s+notes?)")
_PER_BAR = re.compile(
    rf"\b(\d{{1,2}}|{_COUNT})\s+((?:\w+[\s-]+){{0,3}}?)(?:beats?|quarters?|quarter[\s-]notes?|crotchets?|pulses)"
    r"\s+(?:per|in|to|a|every|each)\s+(?:(?:a|the|each|every)\s+)?(?:bar|measure)"
)
_NAMED_METER = (
    (re.compile(r"\bcommon[\s-]time\b|\bquadruple\b"), 4),
    (re.compile(r"\bcut[\s-](?:common|time)\b|\balla breve\b"), 2),
    (re.compile(r"\bcompound[\s-]duple\b"), 6),
    (re.compile(r"\bwaltz\b|\btriple (?:meter|metre|time)\b|\btriple\b"), 3),
    (re.compile(r"\bduple\b|\bmarch time\b"), 2),
)
_BARE_METER = re.compile(
    rf"^\W*(\d{{1,2}}|{_COUNT})\W*$|\b(?:in|meter is|meter:|metre is) (\d|{_COUNT})\b(?!\s*[/\w])"
)


def read_meter(answer: str) -> int | None:
    """The upper number of the time signature: 4/4 and "common time" are 4, 6/8 is 6, 2/2 is 2, 12/8 is 12."""
    text = said(answer).lower()
    found = [(match.start(), _count(match[1])) for match in _SIGNATURE.finditer(text)]
    found += [(match.start(), _count(match[1])) for match in _SPELLED_SIGNATURE.finditer(text)]
    for match in _PER_BAR.finditer(text):
        compound = "dotted" in match[2]
        found.append((match.start(), _count(match[1]) * (3 if compound else 1)))
    if not found:
        found = [(match.start(), beats) for named, beats in _NAMED_METER for match in named.finditer(text)][
            :1
        ]
    if not found:
        found = [(match.start(), _count(match[1] or match[2])) for match in _BARE_METER.finditer(text)]
    likely = [pair for pair in found if 1 <= pair[1] <= 16]
    return min(likely)[1] if likely else None


def _count(word: str) -> int:
    return int(word) if word.isdigit() else _SMALL[word]


_ELLIPSIS = re.compile(
    r"\b(acoustic|electric|clean|distorted|overdriven|classical)((?:\s*(?:,|and|or|&|/|plus)\s*"
    r"(?:an?\s+)?(?:acoustic|electric|clean|distorted|overdriven|classical))+)\s+(guitar|piano)s?\b"
)
_NO_INSTRUMENT = re.compile(
    r"\bno (?:musical )?instruments?\b(?!\s+(?:other|but|except|besides))|\bsilen(?:ce|t)\b"
)


def read_instruments(answer: str) -> frozenset[str] | None:
    """Words of `records.INSTRUMENTS` and of `words.FAMILIES` that the answer says are heard.

    The empty set: the answer says that there are none, or names only what the hall has no word for.
    """
    text = _whole_names(said(answer).lower())
    named = {word for word, _, _ in INSTRUMENT_PHRASES.find(text)}
    if named:
        return frozenset(named - {OTHER_INSTRUMENT})
    return frozenset() if _NO_INSTRUMENT.search(answer.lower()) else None


def _whole_names(text: str) -> str:
    """ "acoustic and electric guitars" as "acoustic guitar, electric guitar"."""

    def spell_out(match: re.Match[str]) -> str:
        kinds = re.findall(r"acoustic|electric|clean|distorted|overdriven|classical", match[0])
        return ", ".join(f"{kind} {match[3]}" for kind in kinds)

    return _ELLIPSIS.sub(spell_out, text)


def read_genre(answer: str) -> str | None:
    """The first style named, one of `records.GENRES` or a style that the hall has no word for.

    In a run such as "country rock" the last word is the style, as in speech.
    """
    text = said(answer).lower()
    found = GENRE_PHRASES.find(text)
    if not found:
        return None
    word, _, end = found[0]
    for following, start, its_end in found[1:]:
        if not re.fullmatch(r"[\s-]*", text[end:start]):
            break
        word, end = following, its_end
    return word
