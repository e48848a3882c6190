"""Questions as people ask them, put to what answers from facts; the answers are judged by code.

`python benchmarks/questions.py --facts FOLDER [--corpus CORPUS] [--sealed] [--wrong 3] [--seed 0]`. The
questions are those of `questions.yaml`. The recordings are the rendered clips of CORPUS with their truth
(`llark corpus CORPUS --clips 60 --seed 4711 --source builtin --renderer midirenderer`), the song in the
package, whose tempo is charted, silence and noise. Each is measured once; the facts are kept in FOLDER.

*right* is judged against truth that no annotator made, *faithful* against the facts that were measured: of
the answers that say something, the share that agrees. An answer to another question agrees with nothing. A
third of the wordings is sealed, by hash: whoever works on the reading does not look at them, and `--sealed`
scores them. Whoever wrote the wordings had seen neither the product's own nor its reader.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import re
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Protocol

import numpy as np
import yaml

from llark.music import claims
from llark.music.lexicon import FAMILIES, NEAR
from llark.music.names import pitch_class
from llark.music.readers import (
    read_genre,
    read_instruments,
    read_key,
    read_meter,
    read_tempo,
    read_times,
)
from llark.music.theory import INTERVAL_NAMES, INTERVALS, Chord, Scale
from llark.records import (
    GENRES,
    INSTRUMENTS,
    KEYS,
    METER_NAMES,
    PITCH_CLASSES,
    Annotation,
    Tag,
    Track,
    from_json,
    to_json,
)

TEMPO_TOLERANCE = 0.04
SURE = 0.5
"""From this confidence on a tag is shown as heard; one below is doubtful: an answer may say either."""

Slots = Mapping[str, Any]
Verdict = bool | None
"""Whether an answer is right; `None`: it says nothing about what was asked."""


# --- what an answer says ----------------------------------------------------------------------------------

_REFUSAL = re.compile(
    r"\b(?:can(?:'t|not| not)|could(?:n't| not)|unable|not able|do(?:n't| not) (?:know|understand)|no way to"
    r"|did(?:n't| not) understand|not understood|impossible to|(?:does|do)(?:n't| not) (?:say|tell|reveal)"
    r"|not (?:something|clear|known|measured|possible|what|enough|certain|sure)|nothing in the sound"
    r"|unknown|unclear|isn't known|no idea|beyond|only (?:answer|hear|know|tell|listen)|not answer"
    r"|(?:was|were|is|are)(?:n't| not) (?:found|measured|known|clear)|(?:don't|do not) (?:have|hear)"
    r"|found no|no (?:clear|reliable|steady|known) |rephras|sorry|another way|hard to (?:say|tell)"
    r"|no (?:music|sound|singing|voice) |english only|only english|but no \w+)",
    re.IGNORECASE,
)
_YES = re.compile(
    r"^\W*(?:yes|yeah|yep|sure\b|correct|right\b|true|indeed|certainly|absolutely|exactly|definitely"
    r"|of course|probably(?! not)|it does\b(?! not))",
    re.IGNORECASE,
)
_NO = re.compile(
    r"^\W*(?:no\b(?! idea| way to)|nope|not (?!sure|certain|clear|known|measured)|neither|wrong|incorrect"
    r"|false|it (?:isn't|is not|doesn't|does not)|there(?:'s| is| are) no|there (?:isn't|aren't)|probably not"
    r"|i (?:hear no|don't hear|do not hear))",
    re.IGNORECASE,
)


def refuses(answer: str) -> bool:
    """Whether an answer says that something cannot be told; a doubt about what is told is no refusal."""
    return bool(_REFUSAL.search(re.sub(r"\bnot (?:quite )?sure of\b", "", claims.plain(answer))))


def said_yes(answer: str) -> Verdict:
    """The yes or no that an answer begins with."""
    text = claims.plain(answer)
    return False if _NO.match(text) else True if _YES.match(text) else None


_WORDS = {word: number for number, word in enumerate(list(claims.NUMBERS)[1:13], 1)} | {"zero": 0}
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?|\b(?:" + "|".join(_WORDS) + r")\b", re.IGNORECASE)


def numbers(answer: str) -> list[float]:
    """Numbers in digits and small ones in words."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", claims.plain(answer))
    found = [match[0].lower() for match in _NUMBER.finditer(text)]
    return [float(_WORDS[one]) if one in _WORDS else abs(float(one)) for one in found]


def meter_said(answer: str) -> int | None:
    """The upper number of the meter, also of "6/8: two beats to a bar"."""
    return read_meter(re.sub(r"(?<=\d/\d):", ",", answer))


def near(value: float, truth: float, share: float = TEMPO_TOLERANCE) -> bool:
    return abs(value - truth) <= share * abs(truth)


def _any_near(answer: str, *truths: float, share: float = 0.02) -> Verdict:
    found = numbers(answer)
    return any(near(one, truth, share) for one in found for truth in truths) if found else None


_NOTE = re.compile(r"(?<![A-Za-z#0-9])([A-G])(##|bb|#|b| sharp| flat)?(?![A-Za-z#0-9'])")


def note_classes(answer: str) -> list[int]:
    """Pitch classes of the note names in an answer; a chord's name such as "A minor" counts as its root."""
    text = re.sub(r"\bA (?=[a-z]+\b)(?!major|minor|and|or|sharp|flat)", " ", claims.plain(answer))
    return [_class(match[1], match[2] or "") for match in _NOTE.finditer(text)]


def _class(letter: str, sign: str) -> int:
    steps = sign.count("#") - sign.count("b") + (sign == " sharp") - (sign == " flat")
    return (pitch_class(letter) + steps) % 12


def keys_named(answer: str) -> list[str]:
    return [key for key, _, _ in claims.keys(claims.plain(answer))]


def chords_named(answer: str, said: bool = True) -> list[str]:
    """Triads as `A:min`, in order, each once; what is called a key is none."""
    text = claims.asserted(answer) if said else claims.plain(answer)
    text = re.sub(r"(?i)\bkey(?: is| of| signature)*\b[^.,;:]*", " ", text)
    return list(dict.fromkeys(chord.major_or_minor for chord, _ in claims.chords(text)))


def camelot(scale: Scale) -> str:
    """C major is 8B; a fifth up is one further; a relative has the same number."""
    major = scale.tonic if scale.mode == "major" else scale.tonic + 3
    return f"{(7 * major + 7) % 12 + 1}{'B' if scale.mode == 'major' else 'A'}"


# --- what holds -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """An annotation, as the judges ask it."""

    record: Annotation

    @property
    def bpm(self) -> float:
        return self.record.tempo.bpm or math.nan

    @property
    def meter(self) -> int:
        return self.record.meter.beats_per_bar or 0

    @property
    def scale(self) -> Scale:
        return Scale.of(self.record.key.name or "C major")

    @property
    def seconds(self) -> float:
        return self.record.end_seconds - self.record.start_seconds

    def triads(self, start: float = -math.inf, end: float = math.inf) -> dict[str, float]:
        """Triad → seconds of it between two times, in the order of their entry."""
        lengths: dict[str, float] = defaultdict(float)
        for span in self.record.chords.spans:
            chord, overlap = Chord.of(span.label), min(span.end_seconds, end) - max(span.start_seconds, start)
            if chord is not None and overlap > 0:
                lengths[chord.major_or_minor] += overlap
        return lengths

    @property
    def heard(self) -> frozenset[str]:
        return frozenset(tag.label for tag in self.record.instruments.tags if tag.confidence >= SURE)

    def has(self, instrument: str) -> Verdict:
        """`None`: doubtful, or one near it is there, which a listener might call so."""
        members = {instrument, *FAMILIES.get(instrument, ())}
        if members & self.heard:
            return True
        doubtful = {tag.label for tag in self.record.instruments.tags} - self.heard
        close = {other for one in members for other in NEAR.get(one, ())}
        close |= {one for one in self.heard if members & {*NEAR.get(one, ())}}
        return None if (members & doubtful or close & self.heard) else False

    @property
    def styles(self) -> frozenset[str]:
        return frozenset(self.record.genre.labels)

    def sounds_like(self, other: Facts, start: float, end: float) -> bool:
        """Whether both have the same triads, nearly all of the time between two times."""
        moments = np.arange(start, end, 0.1)
        same = [{*self.triads(at, at + 0.01)} == {*other.triads(at, at + 0.01)} for at in moments]
        return float(np.mean(same)) > 0.8

    def knows(self, what: str) -> bool:
        record = self.record
        return {
            "tempo": record.tempo.bpm is not None,
            "beats": bool(record.beats.downbeats_seconds),
            "meter": record.meter.beats_per_bar is not None,
            "key": record.key.name is not None,
            "chords": bool(self.triads()),
            "instruments": bool(self.heard),
            "genre": bool(self.styles),
            "music": record.tempo.bpm is not None or bool(self.heard),
            "loudness": record.loudness.integrated_lufs is not None,
            "sections": bool(record.sections.spans),
            "local keys": bool(record.local_keys.spans),
            "melody": record.melody.highest_midi is not None,
            "length": self.seconds > 0,
        }[what]

    def agrees(self, what: str, other: Facts) -> bool:
        """Whether what is measured allows a right answer, by the truth."""
        if what == "tempo":
            return near(self.bpm, other.bpm, 0.01)
        if what == "key":
            return self.scale == other.scale
        if what == "meter":
            return self.meter == other.meter
        if what == "chords":
            return _lists_agree(frozenset(self.triads()), frozenset(other.triads()))
        if what == "instruments":
            return self.heard == other.heard
        if what == "beats":
            ours, theirs = (one.record.beats.downbeats_seconds[0] for one in (self, other))
            return abs(ours - theirs) <= 0.15
        return bool(self.styles & other.styles) if what == "genre" else True


def _lists_agree(named: frozenset[str], truth: frozenset[str], precision: float = 0.75) -> bool:
    return len(named & truth) >= max(precision * len(named), 0.5 * len(truth), 1)


# --- judges -----------------------------------------------------------------------------------------------

Judge = Callable[[str, Facts, Slots], Verdict]
JUDGES: dict[str, tuple[Judge, tuple[str, ...], bool]] = {}
"""By name: the judge, what must be known, and whether "no" is a right answer where that is not known."""


def judge(name: str, *needs: str, no_is_right: bool = False) -> Callable[[Judge], Judge]:
    def entered(function: Judge) -> Judge:
        JUDGES[name] = function, needs, no_is_right
        return function

    return entered


def _polar(answer: str, expected: Verdict, value: Any = None, right: bool = True) -> Verdict:
    """The verdict on a yes or no; `value`, if one is said besides, is `right`. Doubt: either will do."""
    yes = said_yes(answer)
    if yes is None:
        return None if value is None else right
    if value is not None and not right and not (yes and expected):
        return False
    return True if expected is None else yes == expected


@judge("tempo", "tempo")
def _tempo(answer: str, facts: Facts, slots: Slots) -> Verdict:
    bpm = read_tempo(answer)
    return None if bpm is None else near(bpm, facts.bpm)


@judge("tempo_choice", "tempo")
def _tempo_choice(answer: str, facts: Facts, slots: Slots) -> Verdict:
    """Where neither value fits, the true one or the nearer will do."""
    options, said = [float(slots["a"]), float(slots["b"])], claims.tempos(claims.asserted(answer))
    if any(near(one, facts.bpm) for one in options) or not said:
        return _tempo(answer, facts, slots)
    nearer = min(options, key=lambda one: abs(math.log(one / facts.bpm)))
    return any(near(bpm, facts.bpm) or bpm == nearer for _, bpm in said)


@judge("tempo_word", "tempo")
def _tempo_word(answer: str, facts: Facts, slots: Slots) -> Verdict:
    text, bpm = claims.asserted(answer).lower(), facts.bpm
    bands = (
        (r"\b(?:slow|slowish|relaxed|laid[- ]back|calm)\b", bpm < 112),
        (r"\b(?:moderate|medium|mid|middling|walking|andante)", 70 < bpm < 140),
        (r"\b(?:fast|quick|up-?tempo|lively|upbeat|rapid|brisk)", bpm > 104),
    )
    said = [(match.start(), fits) for word, fits in bands if (match := re.search(word, text))]
    if said:
        return min(said)[1]
    if (yes := said_yes(answer)) is not None:  # "Is it rather quick?" is answered by yes or no
        return bpm > 104 if yes else bpm < 140
    return _tempo(answer, facts, slots)


@judge("tempo_yesno", "tempo")
def _tempo_yesno(answer: str, facts: Facts, slots: Slots) -> Verdict:
    value = read_tempo(answer)
    right = value is not None and near(value, facts.bpm)
    return _polar(answer, near(float(slots["x"]), facts.bpm), value, right)


@judge("tempo_than", "tempo")
def _tempo_than(answer: str, facts: Facts, slots: Slots) -> Verdict:
    said = [bpm for bpm in _tempos_said(answer) if bpm != float(slots["target"])]
    return _polar(
        answer, facts.bpm > float(slots["target"]), said or None, all(near(bpm, facts.bpm) for bpm in said)
    )


def _tempos_said(answer: str) -> list[float]:
    """Numbers of beats per minute; both of "from 95 to 119 BPM"."""
    text = re.sub(r"(\d)\s*(?:to|and|or|-)\s*(?=\d[\d.]*\s*bpm)", r"\1 bpm ", claims.plain(answer).lower())
    return [
        float(one) for one in re.findall(r"(\d+(?:\.\d+)?)\s*(?:bpm|beats per minute|beats a minute)", text)
    ]


@judge("tempo_half", "tempo")
def _tempo_half(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _any_near(answer, facts.bpm / 2)


@judge("tempo_double", "tempo")
def _tempo_double(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _any_near(answer, facts.bpm * 2)


@judge("beat_length", "tempo")
def _beat_length(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _any_near(answer, 60 / facts.bpm, 60_000 / facts.bpm)


@judge("beat_length_corrected")
def _beat_length_corrected(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _any_near(answer, 60 / float(slots["target"]), 60_000 / float(slots["target"]))


@judge("bar_length", "tempo", "meter")
def _bar_length(answer: str, facts: Facts, slots: Slots) -> Verdict:
    seconds = 60 * (2 if facts.meter == 6 else facts.meter) / facts.bpm
    found = numbers(answer)
    fits = (abs(one - seconds) <= 0.051 or near(one, 1000 * seconds, 0.02) for one in found)
    return any(fits) if found else None


@judge("tempo_percent", "tempo")
def _tempo_percent(answer: str, facts: Facts, slots: Slots) -> Verdict:
    change, said = 100 * (float(slots["target"]) / facts.bpm - 1), claims.plain(answer).lower()
    shares = [float(one) for one in re.findall(r"(\d+(?:\.\d+)?)\s*(?:%|percent|per cent)", said)]
    if not shares:
        return None
    wrong_way = (
        r"\b(?:slow|down|decreas|reduc|lower)" if change > 0 else r"\b(?:speed up|faster|increas|rais)"
    )
    return any(abs(one - abs(change)) <= 1 for one in shares) and not re.search(wrong_way, said)


@judge("mentions_tempo", "tempo")
def _mentions_tempo(answer: str, facts: Facts, slots: Slots) -> Verdict:
    said = [bpm for bpm in _tempos_said(answer) if not near(bpm, float(slots["target"]), 0.001)]
    engaged = re.search(r"(?i)\b(?:hardly|mix|blend|match|stretch|pitch|tempo)", answer) and not refuses(
        answer
    )
    if not said and said_yes(answer) is None and not engaged:
        return None
    return all(any(near(bpm, facts.bpm * by) for by in (0.5, 1, 2)) for bpm in said)


@judge("meter", "meter")
def _meter(answer: str, facts: Facts, slots: Slots) -> Verdict:
    meter = meter_said(answer)
    if meter is None and len(counts := [one for one in numbers(answer) if 1 <= one <= 12]) == 1:
        meter = int(counts[0])
    if meter is None and (numbers_up := _counted(answer)):
        meter = numbers_up
    return None if meter is None else meter == facts.meter or (facts.meter == 6 and meter == 2)


def _counted(answer: str) -> int:
    """How far an answer counts: "1, 2, 3, 4" is 4."""
    text = claims.plain(answer).lower()
    for word, number in _WORDS.items():
        text = re.sub(rf"\b{word}\b", str(number), text)
    run = re.search(r"\b1\W+(?:(?:and|&|a)\W+)?2\b(?:\W+(?:(?:and|&|a)\W+)?\d\b)*", text)
    digits = [int(one) for one in re.findall(r"\d", run[0])] if run else []
    return max(digits, default=0)


@judge("meter_yesno", "meter")
def _meter_yesno(answer: str, facts: Facts, slots: Slots) -> Verdict:
    value = meter_said(answer)
    return _polar(answer, slots["x"] == METER_NAMES[facts.meter], value, value == facts.meter)


@judge("meter_corrected")
def _meter_corrected(answer: str, facts: Facts, slots: Slots) -> Verdict:
    upper, text = int(slots["meter2"][0]), claims.plain(answer)
    meter = meter_said(answer) or next((int(one) for one in numbers(text) if 1 <= one <= 12), None)
    return None if meter is None else meter == upper or (upper == 6 and meter == 2)


@judge("waltz", "meter")
def _waltz(answer: str, facts: Facts, slots: Slots) -> Verdict:
    # "A waltz is in 3/4, and this in 4/4" names both meters, so that a yes or no is what counts.
    expected = None if facts.meter == 6 else facts.meter == 3
    yes, value = said_yes(answer), meter_said(answer)
    return (None if value is None else value == facts.meter) if yes is None else _polar(answer, expected)


@judge("bars", "beats")
def _bars(answer: str, facts: Facts, slots: Slots) -> Verdict:
    count = len(facts.record.beats.downbeats_seconds)
    return any(abs(one - count) <= 1 for one in numbers(answer)) if numbers(answer) else None


@judge("first_downbeat", "beats")
def _first_downbeat(answer: str, facts: Facts, slots: Slots) -> Verdict:
    times = read_times(answer)
    first = facts.record.beats.downbeats_seconds[0]
    return None if not times else any(abs(one - first) <= 0.15 for one in times)


@judge("count_in", "meter", "tempo")
def _count_in(answer: str, facts: Facts, slots: Slots) -> Verdict:
    wanted = {2: {2, 4}, 6: {6, 2, 3}}.get(facts.meter, {facts.meter})
    said = _tempos_said(answer)
    if any(not any(near(bpm, facts.bpm * by) for by in (0.5, 1, 2)) for bpm in said):
        return False
    counted = _counted(answer) or meter_said(answer)
    return counted in wanted if counted else None


@judge("key", "key")
def _key(answer: str, facts: Facts, slots: Slots) -> Verdict:
    key = read_key(answer)
    return None if key is None else key == facts.scale.name


@judge("mode", "key")
def _mode(answer: str, facts: Facts, slots: Slots) -> Verdict:
    key = read_key(answer)
    word = re.search(r"\b(major|minor)\b", claims.asserted(answer).lower())
    mode = key.split()[1] if key else word[1] if word else None
    return None if mode is None else mode == facts.scale.mode


@judge("mode_minor", "key")
def _mode_minor(answer: str, facts: Facts, slots: Slots) -> Verdict:
    said = _mode(answer, facts, slots)
    return said if said is not None else _polar(answer, facts.scale.mode == "minor")


@judge("key_yesno", "key")
def _key_yesno(answer: str, facts: Facts, slots: Slots) -> Verdict:
    value = read_key(answer)
    return _polar(answer, slots["x"] == facts.scale.name, value, value == facts.scale.name)


def _names_key(answer: str, wanted: Scale, facts: Facts) -> Verdict:
    """Some sentence names the key, and no other but the recording's own; chords that follow do not count."""
    said = []
    for sentence in re.split(r"(?<=[.!?;])\s+", claims.plain(answer)):
        text = re.split(r"(?i)\bchords\b", sentence)[0]
        named = keys_named(text)
        bare = re.search(r"\b(?:key|to|in|is|be)\s+(?:of\s+)?([A-G])(#|b)?(?=[\s.,;!]|$)", text)
        if not named and bare:
            named = [f"{PITCH_CLASSES[_class(bare[1], bare[2] or '')]} {wanted.mode}"]
        said += [{*named}] if named else []
    return any(wanted.name in one <= {wanted.name, facts.scale.name} for one in said) if said else None


@judge("relative", "key")
def _relative(answer: str, facts: Facts, slots: Slots) -> Verdict:
    # "the relative minor, A minor" and "its relative, A minor": either way the key's own words must be there.
    wanted = facts.scale.relative
    named = re.findall(r"\b([A-G])(#|b)?[- ]?(major|minor|maj|min|m)\b", claims.plain(answer))
    said = {f"{PITCH_CLASSES[_class(one, sign)]} {_long(mode)}" for one, sign, mode in named}
    return wanted.name in said and said <= {wanted.name, facts.scale.name} if said else None


def _long(mode: str) -> str:
    return "major" if mode.startswith("maj") else "minor"


@judge("parallel", "key")
def _parallel(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _names_key(answer, facts.scale.parallel, facts)


def _names_chord(answer: str, wanted: set[str], facts: Facts) -> Verdict:
    """The chord is named, and besides the key's own at most others by their function."""
    tonic = f"{facts.scale.tonic_name}:{facts.scale.mode[:3]}"
    named = {*chords_named(answer)} - {tonic}
    if not named:
        return None
    return bool(named & wanted) and (named <= wanted or "dominant" in answer.lower())


@judge("dominant", "key")
def _dominant(answer: str, facts: Facts, slots: Slots) -> Verdict:
    root = PITCH_CLASSES[(facts.scale.tonic + 7) % 12]
    return _names_chord(answer, {f"{root}:maj", *([f"{root}:min"] * (facts.scale.mode == "minor"))}, facts)


@judge("subdominant", "key")
def _subdominant(answer: str, facts: Facts, slots: Slots) -> Verdict:
    root = PITCH_CLASSES[(facts.scale.tonic + 5) % 12]
    return _names_chord(answer, {f"{root}:{facts.scale.mode[:3]}"}, facts)


def _classes(scale: Scale) -> set[int]:
    return {(scale.tonic + step) % 12 for step in scale.steps}


@judge("scale_notes", "key")
def _scale_notes(answer: str, facts: Facts, slots: Slots) -> Verdict:
    if re.search(r"\([A-G]", answer):  # notes of chords, one by one, are not the notes of the scale
        return False
    named, wanted = {*note_classes(answer)}, _classes(facts.scale)
    leading = {(facts.scale.tonic + 11) % 12} if facts.scale.mode == "minor" else set()
    return None if len(named) < 3 else wanted <= named <= wanted | leading


@judge("signature", "key")
def _signature(answer: str, facts: Facts, slots: Slots) -> Verdict:
    major = facts.scale.tonic if facts.scale.mode == "major" else facts.scale.tonic + 3
    sharps, text = 7 * major % 12, claims.plain(answer).lower()
    counts = re.findall(r"(\d|\b[a-z]+)\s+(sharp|flat)", text)
    said = [
        (int(one) if one.isdigit() else 0 if one == "no" else _WORDS.get(one), sign) for one, sign in counts
    ]
    said = [pair for pair in said if pair[0] is not None]
    if not said:
        return None
    return any(sharps == count % 12 if sign == "sharp" else -sharps % 12 == count for count, sign in said)


@judge("solo_scale", "key")
def _solo_scale(answer: str, facts: Facts, slots: Slots) -> Verdict:
    scale, text = facts.scale, claims.plain(answer)
    named, notes = {*keys_named(text)}, {*note_classes(text)}
    blue = {(scale.tonic + 6) % 12, (scale.tonic + 3) % 12, (scale.relative.tonic + 6) % 12}
    allowed = _classes(scale) | (blue if "blues" in text.lower() else set())
    allowed |= {(scale.tonic + 11) % 12} if scale.mode == "minor" else set()
    fits = {scale.name, scale.relative.name, *([scale.parallel.name] if "blues" in text.lower() else [])}
    if not named and len(notes) < 5:
        return None
    return named <= fits and notes <= allowed and (bool(named & fits) or scale.tonic in notes)


_CAMELOT = re.compile(r"(?<![\w.])(1[0-2]|[1-9])\s?([ABab])\b")


def _codes(answer: str) -> list[str]:
    return [f"{number}{letter.upper()}" for number, letter in _CAMELOT.findall(answer)]


@judge("camelot", "key")
def _camelot(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _codes(answer)[0] == camelot(facts.scale) if _codes(answer) else None


@judge("camelot_corrected")
def _camelot_corrected(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _codes(answer)[0] == camelot(Scale.of(slots["key2"])) if _codes(answer) else None


@judge("mix_keys", "key")
def _mix_keys(answer: str, facts: Facts, slots: Slots) -> Verdict:
    scale = facts.scale
    fits = [scale, scale.relative, *(one.moved(by) for one in (scale, scale.relative) for by in (5, 7))]
    named, codes = {*keys_named(answer)}, {*_codes(answer)}
    if not named | codes:
        return None
    others = (named - {scale.name}) | (codes - {camelot(scale)})
    return bool(others) and named <= {one.name for one in fits} and codes <= {camelot(one) for one in fits}


@judge("modulation", "local keys", no_is_right=True)
def _modulation(answer: str, facts: Facts, slots: Slots) -> Verdict:
    changes = len({span.label for span in facts.record.local_keys.spans}) > 1
    stays = re.search(r"\b(?:stays|remains|throughout|whole time|all the way|same key)\b", answer.lower())
    if stays:
        return not changes
    changed = re.search(
        r"\b(?:modulates|changes (?:key|from|to)|moves (?:from|to))\b", claims.asserted(answer)
    )
    return changes if changed else _polar(answer, changes)


@judge("chords", "chords")
def _chords(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _chord_list(answer, facts, facts.triads())


def _chord_list(answer: str, facts: Facts, there: Mapping[str, float]) -> Verdict:
    """Most chords that last, and none but those that are there; a truth is allowed a small difference."""
    named = {*chords_named(answer)}
    if not named:
        return None
    is_truth = facts.record.chords.source == "truth"
    lasting = {*sorted(there, key=lambda one: -there[one])[:4]}
    missing = len(lasting - named) > len(lasting) / 2
    return not missing and len(named & {*there}) >= (0.75 if is_truth else 1) * len(named)


@judge("chord_yesno", "chords")
def _chord_yesno(answer: str, facts: Facts, slots: Slots) -> Verdict:
    chord = Chord.of(_label(slots["x"]))
    assert chord is not None
    return _polar(answer, chord.major_or_minor in facts.triads())


def _label(name: str) -> str:
    return f"{name[:-1]}:min" if name.endswith("m") else f"{name}:maj"


@judge("chord_at", "chords")
def _chord_at(answer: str, facts: Facts, slots: Slots) -> Verdict:
    named, at = chords_named(answer), float(slots["seconds"])
    there = facts.triads(at - 0.3, at + 0.3)
    return named[0] in there if named else None


@judge("chords_stretch", "chords")
def _chords_stretch(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _within(answer, facts, slots["from_seconds"], slots["to_seconds"])


@judge("chords_second_half", "chords")
def _chords_second_half(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _within(answer, facts, facts.seconds / 2, facts.seconds)


def _within(answer: str, facts: Facts, start: float, end: float) -> Verdict:
    named, there = {*chords_named(answer)}, facts.triads(start - 0.3, end + 0.3)
    if not named:
        return None
    is_truth = facts.record.chords.source == "truth"
    lasting = {one for one, seconds in facts.triads(start, end).items() if seconds > 0.6}
    enough = len(lasting & named) >= (0.5 if is_truth else 0.75) * len(lasting)
    enough |= len([*claims.chords(claims.asserted(answer))]) >= 4  # "mostly", and four with their sevenths
    return enough and len(named & {*there}) >= (0.75 if is_truth else 1) * len(named)


@judge("chord_first", "chords")
def _chord_first(answer: str, facts: Facts, slots: Slots) -> Verdict:
    named, first = chords_named(answer), next(iter(facts.triads()))
    return named[0] == first if named else None


@judge("chord_last", "chords")
def _chord_last(answer: str, facts: Facts, slots: Slots) -> Verdict:
    spans = [chord for span in facts.record.chords.spans if (chord := Chord.of(span.label))]
    named = chords_named(answer)
    return named[0] == spans[-1].major_or_minor if named else None


@judge("chord_common", "chords")
def _chord_common(answer: str, facts: Facts, slots: Slots) -> Verdict:
    named, lengths = chords_named(answer), facts.triads()
    by_label: dict[str, float] = defaultdict(float)
    for span in facts.record.chords.spans:
        by_label[span.label] += span.end_seconds - span.start_seconds
    longest_label = Chord.of(max(by_label, key=lambda label: by_label[label]))
    counts = Counter(c.major_or_minor for s in facts.record.chords.spans if (c := Chord.of(s.label)))
    if not named:
        return None
    longest, most = 0.9 * max(lengths.values()), max(counts.values())
    if longest_label and longest_label.major_or_minor == named[0]:
        return True
    return lengths.get(named[0], 0.0) >= longest or counts[named[0]] == most > 1


@judge("chord_count", "chords")
def _chord_count(answer: str, facts: Facts, slots: Slots) -> Verdict:
    labels = {chord.label for s in facts.record.chords.spans if (chord := Chord.of(s.label))}
    said = [one for one in numbers(answer) if one >= 1]
    listed = len(chords_named(answer))
    if not said:
        return None if not listed else listed in (len(labels), len(facts.triads()))
    return said[0] in (len(labels), len(facts.triads()))


_NUMERAL = re.compile(r"(?<![\w#])(b|#)?(VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)(?![A-Za-z'])")


@judge("numerals", "key", "chords")
def _numerals(answer: str, facts: Facts, slots: Slots) -> Verdict:
    text = re.sub(r"\bI (?=[a-z])(?!and\b|to\b)", " ", claims.plain(answer))
    said = {match[2] for match in _NUMERAL.finditer(text)}
    said -= {"I"} if re.search(r"\bI(?:'m|'d| am| hear| can)\b", answer) and len(said) > 1 else set()
    there = {numeral for label in facts.triads() for numeral in _degree(facts.scale, label)}
    if not said:
        return None
    return len(said & there) >= 0.999 * len(said)


def _degree(scale: Scale, label: str) -> Iterator[str]:
    chord = Chord.of(label)
    assert chord is not None
    interval = (chord.root - scale.tonic) % 12
    for shift in (0, -1, 1):  # a chord on a raised or lowered degree: bVII
        steps = [(step + shift) % 12 for step in scale.steps]
        if interval in steps:
            roman = ("I", "II", "III", "IV", "V", "VI", "VII")[steps.index(interval)]
            yield roman if chord.triad == "maj" else roman.lower()
            if shift == 0:
                return


STRINGS = (40, 45, 50, 55, 59, 64)
_FRETS = re.compile(r"(?<![\w-])(?:[x0-9]{6}|(?:(?:x|\d{1,2})[- ]){5}(?:x|\d{1,2}))(?![\w-])", re.IGNORECASE)


@judge("fingerings", "chords")
def _fingerings(answer: str, facts: Facts, slots: Slots) -> Verdict:
    """Each fingering sounds the chord that is named before it, and the chords are those of the music."""
    text, played = claims.plain(answer), []
    for shape in _FRETS.finditer(text):
        before = text[max(0, shape.start() - 40) : shape.start()]
        # An answer may write "x32010 for C": then the name comes after.
        chord = next(iter([c for c, _ in claims.chords(before)][::-1]), None)
        chord = chord or next((c for c, _ in claims.chords(text[shape.end() : shape.end() + 20])), None)
        frets = re.split(r"[- ]", shape[0]) if re.search(r"[- ]", shape[0]) else list(shape[0])
        if chord is None:
            return False
        sounding = {
            (string + int(fret)) % 12
            for string, fret in zip(STRINGS, frets, strict=True)
            if fret.lower() != "x"
        }
        tones = {(chord.root + tone) % 12 for tone in chord.tones}
        third = {(chord.root + tone) % 12 for tone in chord.tones if tone in (3, 4)}
        if not (sounding <= tones and chord.root in sounding and third <= sounding):
            return False
        played.append(chord.major_or_minor)
    return {*played} <= {*facts.triads()} if played else None


@judge("piano", "chords")
def _piano(answer: str, facts: Facts, slots: Slots) -> Verdict:
    notes = note_classes(answer)
    spelled = set()
    for label in facts.triads():
        chord = Chord.of(label)
        assert chord is not None
        triple = [(chord.root + tone) % 12 for tone in chord.tones[:3]]
        if any(notes[i : i + 3] == triple for i in range(len(notes) - 2)):
            spelled.add(label)
    if len(notes) < 3:
        return None
    return {*chords_named(answer)} & {*facts.triads()} != set() and len(spelled) >= min(
        2, len(facts.triads())
    )


@judge("capo", "key")
def _capo(answer: str, facts: Facts, slots: Slots) -> Verdict:
    text = claims.plain(answer)
    match = re.search(r"(?i)fret (\d+)|(\d+)(?:st|nd|rd|th) fret|capo(?: on| at| in)?(?: the)? (\d+)", text)
    words = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
    spelled = re.search(rf"(?i)\b({'|'.join(words)}) fret", text)
    if match:
        fret = int(next(filter(None, match.groups())))
    elif spelled:
        fret = words.index(spelled[1].lower()) + 1
    elif re.search(r"(?i)\b(?:no|without a|don't need a|need no|needs no|not need a) capo", text):
        fret = 0
    else:
        return None
    shape = facts.scale.moved(-fret)
    open_keys = {"C major", "A major", "G major", "E major", "D major", "A minor", "E minor", "D minor"}
    named = {*keys_named(text)} - {facts.scale.name}
    named |= {f"{one} {shape.mode}" for one in re.findall(r"\b([CAGED])[- ]shapes?\b", text)}
    return shape.name in named if named else shape.name in open_keys


@judge("transpose", "key")
def _transpose(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _names_key(answer, facts.scale.moved(INTERVAL_NAMES.index(slots["interval"])), facts)


@judge("transpose_down", "key")
def _transpose_down(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _names_key(answer, facts.scale.moved(-INTERVAL_NAMES.index(slots["interval"])), facts)


@judge("transpose_horn", "key")
def _transpose_horn(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _names_key(answer, facts.scale.moved(9), facts)


@judge("transpose_chords", "key", "chords")
def _transpose_chords(answer: str, facts: Facts, slots: Slots) -> Verdict:
    """The music's chords, moved; or, since "chords in F major" may ask for them, those of the key."""
    by = Scale.of(slots["key2"]).tonic - facts.scale.tonic
    there = [chord for label in facts.triads() if (chord := Chord.of(label))]
    moved = {chord.moved(by).major_or_minor for chord in there}
    named = {*chords_named(answer)}
    goal = f"{slots['key2'].split()[0]}:{slots['key2'].split()[1][:3]}"
    if not named - {goal}:
        return None
    of_key = {Scale.of(slots["key2"]).chord(degree).major_or_minor for degree in range(7)}
    if len(named) >= 6 and named <= of_key:
        return True
    before = {*facts.triads(), f"{facts.scale.tonic_name}:{facts.scale.mode[:3]}"}
    enough = len(named & moved) >= min(2, len(moved))
    moves = bool(named & (moved - before)) or moved == before
    return enough and moves and named <= moved | before | {goal}


@judge("instruments", "instruments")
def _instruments(answer: str, facts: Facts, slots: Slots) -> Verdict:
    named = read_instruments(answer)
    if named is None:
        return None
    if facts.record.instruments.source == "truth":
        good = [one for one in named if facts.has(one) is not False]
        found = [one for one in facts.heard if one in named or {*NEAR.get(one, ())} & named]
        return len(good) >= 0.75 * len(named) and len(found) >= 0.5 * len(facts.heard)
    listed = {*facts.record.instruments.labels}
    return named <= listed | {*FAMILIES} and len(named & facts.heard) >= 0.5 * len(facts.heard)


@judge("instrument_yesno", "instruments", no_is_right=True)
def _instrument_yesno(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _presence(answer, facts, slots["x"])


@judge("drums", "instruments", no_is_right=True)
def _drums(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return _presence(answer, facts, "drums")


def _presence(answer: str, facts: Facts, instrument: str) -> Verdict:
    """What is said of the instrument itself counts before a yes or no, which a negated question turns."""
    said, denied = claims.polarity(answer)
    names = {instrument, *FAMILIES.get(instrument, ())}
    if names & {named.word for named in claims.instruments(denied)}:
        claimed: Verdict = False
    elif names & {named.word for named in claims.instruments(said)}:
        claimed = True
    elif (claimed := said_yes(answer)) is None:
        return None
    expected = facts.has(instrument)
    return True if expected is None else claimed == expected


@judge("instrument_choice", "instruments")
def _instrument_choice(answer: str, facts: Facts, slots: Slots) -> Verdict:
    named = {claim.word for claim in claims.instruments(claims.asserted(answer))}
    if not named:
        return _polar(answer, None if any(facts.has(slots[one]) for one in "ab") else False)
    return all(facts.has(one) is not False for one in named)


@judge("instrument_count", "instruments")
def _instrument_count(answer: str, facts: Facts, slots: Slots) -> Verdict:
    said = [one for one in numbers(answer) if one >= 1]
    return said[0] in (len(facts.heard), len(facts.record.instruments.tags)) if said else None


_VOICE = r"\b(?:voice|vocals?|sing(?:s|ing|er|ers)?|sung|choir|vocalist)\b"


def _sung_claim(answer: str) -> Verdict:
    said, denied = claims.polarity(answer)
    if re.search(_VOICE, denied.lower()) or re.search(r"\b(?:is|purely|just) instrumental\b", said.lower()):
        return False
    if re.search(_VOICE, said.lower()) and not _NO.match(answer):
        return True
    return None


def _is_sung(facts: Facts) -> Verdict:
    has = [facts.has("voice"), facts.has("choir")]
    return None if None in has else True in has


@judge("sung", "instruments", no_is_right=True)
def _sung(answer: str, facts: Facts, slots: Slots) -> Verdict:
    claimed = _sung_claim(answer)
    claimed = said_yes(answer) if claimed is None else claimed
    expected = _is_sung(facts)
    return None if claimed is None else expected is None or claimed == expected


@judge("instrumental", "instruments")
def _instrumental(answer: str, facts: Facts, slots: Slots) -> Verdict:
    """Yes is no voice; "Yes, I hear a voice" and "No, it is instrumental" contradict themselves."""
    claimed, yes = _sung_claim(answer), said_yes(answer)
    if claimed is not None and yes is not None and claimed == yes:
        return False
    if claimed is None and yes is not None:
        claimed = not yes
    expected = _is_sung(facts)
    return None if claimed is None else expected is None or claimed == expected


@judge("genre", "genre")
def _genre(answer: str, facts: Facts, slots: Slots) -> Verdict:
    style = read_genre(answer)
    return None if style is None else style in facts.styles


@judge("genre_yesno", "genre")
def _genre_yesno(answer: str, facts: Facts, slots: Slots) -> Verdict:
    value = read_genre(answer)
    value = None if value == slots["x"] else value
    return _polar(answer, slots["x"] in facts.styles, value, value in facts.styles)


_MOOD = re.compile(
    r"\b(?:happy|sad|melanchol|bright|dark|calm|relax|energetic|energ|lively|cheer|joy|tense|aggress|gentle|quiet"
    r"|peace|dream|upbeat|dramatic|sombre|somber|seri|warm|excit|laid[- ]back|driv|mellow|soft|intens|moody"
    r"|playful|party|workout|dinner|evening|focus|study|sleep|background|danc|mood|feel|tender|power|solemn|bittersweet)",
    re.IGNORECASE,
)


def contradicts(answer: str, facts: Facts) -> bool:
    """Whether an answer says outright what is not so of the tempo, meter, key or instruments."""
    said = claims.asserted(answer)
    octaves = [facts.bpm * by for by in (0.5, 1, 2)]
    harmony = {facts.scale.name, facts.scale.relative.name, *(_as_key(one) for one in facts.triads())}
    meters = {facts.meter, 2 if facts.meter == 6 else facts.meter}
    return (
        any(not any(near(bpm, one) for one in octaves) for rank, bpm in claims.tempos(said) if rank)
        or (bool(facts.meter) and (meter_said(answer) or facts.meter) not in meters)
        or any(key not in harmony for key, _, _ in claims.keys(said))
        or any(facts.has(named.word) is False for named in claims.instruments(said))
    )


def _as_key(triad: str) -> str:
    root, mode = triad.split(":")
    return f"{root} {'major' if mode == 'maj' else 'minor'}"


@judge("mood", "music")
def _mood(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return not contradicts(answer, facts) if _MOOD.search(answer) else None


@judge("use", "music")
def _use(answer: str, facts: Facts, slots: Slots) -> Verdict:
    engaged = re.search(r"(?i)\b(?:for|while|during|when|suits?|fits?|good|evening|background)\b", answer)
    return not contradicts(answer, facts) if engaged and not refuses(answer) else None


@judge("suits", "tempo")
def _suits(answer: str, facts: Facts, slots: Slots) -> Verdict:
    judged = said_yes(answer) is not None or re.search(
        r"\b(?:danc|run|jog|pace|step|cadence|suit|groove|floor)", answer.lower()
    )
    said = [bpm for bpm in _tempos_said(answer) if not 150 <= bpm <= 190]  # a runner's steps are no tempo
    wrong = any(not any(near(bpm, facts.bpm * by) for by in (0.5, 1, 2)) for bpm in said)
    return not wrong if judged else None


@judge("describe", "music")
def _describe(answer: str, facts: Facts, slots: Slots) -> Verdict:
    said = [
        read_tempo(answer),
        read_key(answer),
        meter_said(answer),
        read_instruments(answer),
        read_genre(answer),
    ]
    return not contradicts(answer, facts) if sum(one is not None for one in said) >= 2 else None


@judge("lufs", "loudness")
def _lufs(answer: str, facts: Facts, slots: Slots) -> Verdict:
    loudness = facts.record.loudness.integrated_lufs or math.nan
    return any(abs(one - abs(loudness)) <= 0.51 for one in numbers(answer)) if numbers(answer) else None


@judge("peak", "loudness")
def _peak(answer: str, facts: Facts, slots: Slots) -> Verdict:
    peak = facts.record.loudness.peak_dbfs or 0.0
    return any(abs(one - abs(peak)) <= 0.51 for one in numbers(answer)) if numbers(answer) else None


@judge("loudest", "loudness")
def _loudest(answer: str, facts: Facts, slots: Slots) -> Verdict:
    """The loudest second, or within the loudest three seconds, which is what a meter calls short-term."""
    each = np.array([-99.0 if one is None else one for one in facts.record.loudness.each_second_lufs])
    three = 10 * np.log10(np.convolve(10 ** (each / 10), np.ones(3) / 3, "valid"))
    peaks = [*np.flatnonzero(each >= each.max() - 0.5), *np.flatnonzero(three >= three.max() - 0.5) + 1]
    times = read_times(answer)
    return any(-1 <= time - second <= 2 for time in times for second in peaks) if times else None


@judge("halves", "loudness")
def _halves(answer: str, facts: Facts, slots: Slots) -> Verdict:
    """Which half is louder: named, or by yes where the question asks for the second."""
    each = np.array([-99.0 if one is None else one for one in facts.record.loudness.each_second_lufs])
    first, second = (10 * np.log10(np.mean(10 ** (half / 10))) for half in np.array_split(each, 2))
    text, gap = claims.asserted(answer).lower(), second - first
    if re.search(
        r"\b(?:same|equal|similar|alike|about as|neither|no difference|hardly|as loud)\b", answer.lower()
    ):
        return bool(abs(gap) < 2 or (said_yes(answer) is False and gap < 0))
    word = re.search(
        r"\b(first|second|1st|2nd)(?: half)?\b[^.;]*?\b(louder|loudest|quieter|softer|more)\b", text
    )
    word = word or re.search(r"\b(first|second|1st|2nd) half\b()", text)
    if word:
        claimed: Verdict = (word[1] in ("second", "2nd")) == (word[2] not in ("quieter", "softer"))
    elif (claimed := said_yes(answer)) is None:
        return None
    return bool(abs(gap) < 0.5 or claimed == (gap > 0))


@judge("duration", "length")
def _duration(answer: str, facts: Facts, slots: Slots) -> Verdict:
    times = read_times(answer)
    return any(abs(one - facts.seconds) <= 1 for one in times) if times else None


@judge("structure", "sections")
def _structure(answer: str, facts: Facts, slots: Slots) -> Verdict:
    named = {*re.findall(r"\b[A-H]\b", answer)}
    return named <= {span.label for span in facts.record.sections.spans} if named else None


@judge("melody", "melody")
def _melody(answer: str, facts: Facts, slots: Slots) -> Verdict:
    highest = facts.record.melody.highest_midi or 0
    return highest % 12 in note_classes(re.sub(r"([A-G][#b]?)\d", r"\1", answer)) or None


@judge("two_faster", "tempo")
def _two_faster(answer: str, facts: Facts, slots: Slots) -> Verdict:
    other = Facts(slots["other"])
    return _two(answer, facts.bpm - other.bpm, 0.02 * facts.bpm, "faster|quicker|higher")


@judge("two_louder", "loudness")
def _two_louder(answer: str, facts: Facts, slots: Slots) -> Verdict:
    other = Facts(slots["other"]).record.loudness.integrated_lufs or math.nan
    return _two(
        answer, (facts.record.loudness.integrated_lufs or math.nan) - other, 0.3, "louder|more volume"
    )


def _two(answer: str, gap: float, small: float, more: str) -> Verdict:
    """Whether the first of two is rightly said to have more."""
    text = claims.asserted(answer).lower()
    if re.search(r"\b(?:same|equally|alike|both|equal|about as)\b", text):
        return abs(gap) < 5 * small
    match = re.search(rf"\b(first|second|former|latter|other)\b[^.;]*?\b(?:{more})", text) or re.search(
        rf"(?:{more})[^.;]*?\b(first|second|former|latter|other)\b", text
    )
    return None if not match else abs(gap) < small or (match[1] in ("first", "former")) == (gap > 0)


@judge("two_key", "key")
def _two_key(answer: str, facts: Facts, slots: Slots) -> Verdict:
    other = Facts(slots["other"])
    named = {*keys_named(answer)}
    right = named <= {facts.scale.name, other.scale.name}
    return _polar(answer, facts.scale == other.scale, named or None, right)


@judge("says")
def _says(answer: str, facts: Facts, slots: Slots) -> Verdict:
    text = claims.plain(answer)
    if slots["never"] and re.search(slots["never"], text):
        return False
    if all(re.search(pattern, text, re.IGNORECASE if pattern.islower() else 0) for pattern in slots["say"]):
        return True
    return None if refuses(answer) else False


_INVENTED = re.compile(
    r"\b(?:19|20)\d\d\b|\b(?:by|is|called) [A-Z][a-z]+ [A-Z][a-z]+|[\"“][A-Z][^\"”]+[\"”]"
    r"|\b\d[\d,.]* (?:streams|years old)"
)


@judge("refuse")
def _refuse(answer: str, facts: Facts, slots: Slots) -> Verdict:
    """It cannot be told, and nothing of it is told."""
    if slots.get("never") and re.search(slots["never"], answer):
        return False
    return refuses(answer) and not _INVENTED.search(answer)


_SOCIAL = re.compile(
    r"\b(?:hi|hello|hey|welcome|thank|glad|ask|help|questions?|happy to|pleasure|bye|llark|morning|here)\b",
    re.I,
)


@judge("civil")
def _civil(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return bool(_SOCIAL.search(answer))


@judge("calm")
def _calm(answer: str, facts: Facts, slots: Slots) -> Verdict:
    insult = re.search(r"\b(?:idiot|stupid|shut up|moron|you are (?:useless|wrong))\b", answer.lower())
    return not insult and bool(answer.strip()) and not list(claims.claims(answer))


@judge("tempo_or_english", "tempo")
def _tempo_or_english(answer: str, facts: Facts, slots: Slots) -> Verdict:
    return True if "English" in answer else _tempo(answer, facts, slots)


_REPEATED = re.compile(r"\b(\w{2,})\s+\1\b(?<!that that)(?<!had had)", re.IGNORECASE)
_UNFILLED = re.compile(r"[{}<>]|\bNone\b|\bnan\b|\bNaN\b|\[\]|:\s*[.,;]|\(\s*\)|,\s*[.,]| {2}")


def is_nonsense(answer: str) -> bool:
    """A simple rule: empty, unfilled, no sentence, a word or a sentence said twice, or endless."""
    text = answer.strip()
    sentences = [one for one in re.split(r"(?<=[.!?])\s+", text) if len(one) > 3]
    return (
        len(re.findall(r"\w", text)) < 2
        or len(text.split()) > 220
        or not re.match(r"[\"“(]?[A-Z0-9]", text)
        or not re.search(r"[.!?)\"”]$", text)
        or bool(_UNFILLED.search(text))
        or any(word.lower() not in {"do", "la", "na", "ha", "one"} for word in _REPEATED.findall(text))
        or len({*sentences}) < len(sentences)
    )


# --- questions --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """One kind of question, with its wordings; a wording is one turn or several."""

    name: str
    judges: tuple[str, ...]
    wordings: tuple[tuple[str, ...], ...]
    pick: str = ""
    other: bool = False
    none: bool = False
    say: tuple[str, ...] = ()
    never: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(need for name in self.judges for need in JUDGES[name][1]))

    @property
    def is_refused(self) -> bool:
        return "refuse" in self.judges


def read_kinds() -> list[Kind]:
    kinds, path = [], Path(__file__).with_name("questions.yaml")
    for name, page in yaml.safe_load(path.read_text("utf-8")).items():
        judges = page["judge"] if isinstance(page["judge"], list) else [page["judge"]]
        wordings = tuple(tuple(line.split(" // ")) for line in page["ask"].strip().splitlines())
        rest = {field: page[field] for field in ("pick", "other", "none", "never") if field in page}
        kinds.append(Kind(name, tuple(judges), wordings, say=tuple(page.get("say", ())), **rest))
    return kinds


def is_sealed(wording: Sequence[str]) -> bool:
    return int(hashlib.sha256(" // ".join(wording).encode()).hexdigest(), 16) % 3 == 0


@dataclass(frozen=True)
class Recording:
    id: str
    shown: Annotation
    truth: Annotation | None = None


def slots_of(kind: Kind, recording: Recording, others: Sequence[Recording], seed: int) -> dict[str, Any]:
    """Values for every slot, true and false ones, by the recording, the kind and the seed alone."""
    rng = Random(f"{seed} {recording.id} {kind.name}")
    shown = Facts(recording.shown)
    truth = Facts(recording.truth) if recording.truth else shown
    best = {what: truth if truth.knows(what) else shown for what in ("tempo", "meter", "key")}
    bpm = best["tempo"].bpm if best["tempo"].knows("tempo") else 120.0
    scale, seconds = best["key"].scale, max(shown.seconds, 4.0)
    at = rng.randrange(1, int(seconds))
    start = rng.randrange(0, int(seconds) // 2)
    end = start + rng.randrange(2, int(seconds) // 2 + 1)
    mode = shown.scale.mode if shown.knows("key") else scale.mode
    key2 = rng.choice(
        [key for key in KEYS if key.endswith(mode) and key not in (scale.name, shown.scale.name)]
    )
    slots: dict[str, Any] = {
        "target": round(bpm * rng.choice((0.8, 0.88, 1.12, 1.25))),
        "time": f"0:{at:02d}", "seconds": at, "from": f"0:{start:02d}", "to": f"0:{end:02d}",
        "from_seconds": start, "to_seconds": end, "key2": key2, "interval": rng.choice([*INTERVALS]),
        "meter2": "6/8" if best["meter"].meter == 3 else "3/4", "say": kind.say, "never": kind.never,
        "other": rng.choice(others).shown,
    }  # fmt: skip
    if kind.pick:
        yes, no = _values(kind.pick, truth, shown, bpm, rng)
        slots["x"] = yes if rng.random() < 0.5 and yes else no
        slots["a"], slots["b"] = rng.sample([yes or no, no], 2)
    return slots


def _values(sort: str, truth: Facts, shown: Facts, bpm: float, rng: Random) -> tuple[str, str]:
    """A true and a false value; the true one is empty where none is known."""
    known = lambda what: truth if truth.knows(what) else shown  # noqa: E731
    if sort == "bpm":
        return f"{bpm:.0f}", f"{bpm * rng.choice((0.75, 0.85, 1.18, 1.3)):.0f}"
    if sort == "meter":
        meter = known("meter").meter or 4
        return METER_NAMES[meter], rng.choice([METER_NAMES[m] for m in (3, 4, 6) if m != meter])
    if sort == "key":
        name = known("key").scale.name
        return name, rng.choice([key for key in KEYS if key not in (name, shown.scale.name)])
    if sort == "chord":
        there = {*truth.triads(), *shown.triads()}
        yes = [_short(one) for one in known("chords").triads()]
        no = [
            f"{c}{m}" for c in PITCH_CLASSES for m in ("", "m") if f"{c}:{'min' if m else 'maj'}" not in there
        ]
        return rng.choice(yes or [""]), rng.choice(no)
    facts = known(sort + "s" if sort == "instrument" else sort)
    if sort == "genre":
        yes = [one for one in facts.styles if one != "waltz"]  # which is a meter besides
        no = [one for one in GENRES if one not in truth.styles | shown.styles | {"waltz"}]
    else:
        yes = [*facts.heard]
        no = [one for one in INSTRUMENTS if truth.has(one) is False and shown.has(one) is False]
    return rng.choice(sorted(yes) or [""]), rng.choice(no)


def _short(triad: str) -> str:
    root, mode = triad.split(":")
    return root + ("m" if mode == "min" else "")


# --- asking -----------------------------------------------------------------------------------------------


class Said(Protocol):
    @property
    def text(self) -> str: ...


class Talks(Protocol):
    def ask(self, text: str, /) -> Said: ...


@dataclass(frozen=True)
class Text:
    text: str


class KeywordReader:
    """The simplest baseline: the first keyword wins, and its fact is the answer."""

    def __init__(self, record: Annotation, other: Annotation | None = None) -> None:
        facts = Facts(record)
        meter = METER_NAMES.get(facts.meter)
        chords = ", ".join(_short(one) for one in facts.triads())
        self._table = {
            r"bpm|tempo|fast|slow|speed": (facts.knows("tempo"), f"The tempo is {facts.bpm:.0f} BPM."),
            r"meter|metre|time sig|beats|count": (bool(facts.meter), f"It is in {meter}."),
            r"\bkey|major|minor|scale": (facts.knows("key"), f"It is in {facts.scale.name}."),
            r"chord|guitar|progression": (facts.knows("chords"), f"The chords are {chords}."),
            r"sing|vocal|voice|instrumental": (True, "Yes." if "voice" in facts.heard else "No."),
            r"instrument|play|hear": (bool(facts.heard), f"I hear {', '.join(sorted(facts.heard))}."),
            r"genre|style": (bool(facts.styles), f"It is {', '.join(sorted(facts.styles))}."),
            r"loud|lufs": (facts.knows("loudness"), f"It has {record.loudness.integrated_lufs} LUFS."),
            r"long|length|duration": (True, f"It lasts {facts.seconds:.0f} seconds."),
        }  # fmt: skip

    def ask(self, text: str, /) -> Text:
        found = [
            (m.start(), *said) for word, said in self._table.items() if (m := re.search(word, text.lower()))
        ]
        _, known, answer = min(found, default=(0, False, ""))
        return Text(answer if known else "I cannot tell that from the sound.")


Talker = Callable[[Annotation, Annotation | None], Talks]


def product(facts: Annotation, other: Annotation | None = None) -> Talks:
    from llark.generate.answers import Conversation

    return Conversation(facts, other=other) if other is not None else Conversation(facts)


@dataclass(frozen=True)
class Case:
    """One question about one recording, its answer and the verdicts on it."""

    kind: Kind
    recording: Recording
    slots: Slots = field(repr=False)
    wording: tuple[str, ...]
    answer: str
    seconds: float
    faithful: str
    """By the facts shown: `right`, `wrong` (also: of something else), `refused`; `-`: not known."""
    right: str
    """By the truth; `-`: no truth."""
    allowed: bool
    """Whether the facts shown agree with the truth in what the question needs."""
    refused_rightly: bool | None
    """Where a refusal is due: whether it came and nothing was claimed."""


CRASH = "(crashed)"


def verdict(kind: Kind, answer: str, facts: Facts, slots: Slots) -> str:
    """`right`, `wrong` or `refused`, where what the kind needs is known. All of several must be right."""
    said = [JUDGES[name][0](answer, facts, slots) for name in kind.judges]
    if len(said) == 1 and re.search(r"(?:^|[.!] )Yes\b", answer) and re.search(r"(?:^|[.!] )No\b", answer):
        return "wrong"  # yes and no to one question
    if all(one for one in said):
        return "right"
    return "refused" if False not in said and refuses(answer) else "wrong"


def asked(kind: Kind, wording: tuple[str, ...], recording: Recording, slots: Slots, talk: Talker) -> Case:
    began = time.perf_counter()
    talks = talk(recording.shown, slots["other"] if kind.other else None)
    turns = [turn.format(**slots) for turn in wording]
    try:
        answer = [talks.ask(turn).text for turn in turns][-1]
    except Exception as error:  # a crash is the worst of answers, and the rest is asked all the same
        answer = f"{CRASH} {type(error).__name__}: {error}"
    seconds = (time.perf_counter() - began) / len(turns)
    shown = Facts(recording.shown)
    pair = [shown, *([Facts(slots["other"])] if kind.other else [])]
    known = all(facts.knows(need) for facts in pair for need in kind.needs)
    faithful = verdict(kind, answer, shown, slots) if known and not kind.is_refused else "-"
    if kind.is_refused or not (known or "transpose_chords" in kind.judges):
        due: bool | None = _rightly(kind, answer, shown, slots)
    else:
        due = None  # the chords of a key that is named can be told of any recording
    right, allowed = "-", False
    if recording.truth and kind.needs and known_by_truth(kind, recording.truth) and not kind.other:
        truth = Facts(recording.truth)
        right = verdict(kind, answer, truth, slots)
        allowed = known and all(shown.agrees(need, truth) for need in kind.needs)
        if known and kind.pick == "instrument":
            names = "ab" if kind.judges == ("instrument_choice",) else "x"
            allowed = all(shown.has(slots[one]) == truth.has(slots[one]) for one in names)
        elif known and {*kind.judges} & {"chord_at", "chords_stretch", "chords_second_half", "chord_common"}:
            at, half = slots["seconds"], shown.seconds / 2
            start, end = {
                "chord_at": (at - 0.4, at + 0.4),
                "chords_stretch": (slots["from_seconds"], slots["to_seconds"]),
                "chords_second_half": (half, 2 * half),
            }.get(kind.judges[0], (0.0, 2 * half))
            allowed = shown.sounds_like(truth, start, end)
        elif known and {*kind.judges} & {"sung", "instrumental", "drums"}:
            allowed = _is_sung(shown) == _is_sung(truth) and shown.has("drums") == truth.has("drums")
    return Case(kind, recording, slots, tuple(turns), answer, seconds, faithful, right, allowed, due)


_NO_TRUTH = {"transpose_chords", "chord_count", "chord_first", "chord_last", "instrument_count", "bars"}
"""What a small, fair difference between facts and truth turns over, or what a slot took from the facts."""


def known_by_truth(kind: Kind, truth: Annotation) -> bool:
    beyond = {"loudness", "sections", "local keys", "melody", "music"}
    return (
        not {*kind.judges} & _NO_TRUTH
        and not beyond & {*kind.needs}
        and all(Facts(truth).knows(need) for need in kind.needs)
    )


def _rightly(kind: Kind, answer: str, shown: Facts, slots: Slots) -> bool:
    """Where something is unknown it is refused, or truly denied: there is no drum in silence."""
    if kind.is_refused:
        return bool(_refuse(answer, shown, slots))
    denied = any(JUDGES[name][2] for name in kind.judges) and said_yes(answer) is False
    unknown = {what for what, facts in _CLAIMS.items() if not any(shown.knows(fact) for fact in facts)}
    claimed = {claim.what for claim in claims.claims(answer) if not claim.denied}
    return denied or (refuses(answer) and not claimed & unknown)


_CLAIMS = {
    "tempo": ("tempo",), "meter": ("meter",), "key": ("key", "chords"), "chord": ("key", "chords"),
    "instrument": ("instruments",),
}  # fmt: skip
"""What a text can claim → the facts that any of it may rest on."""


def ask_all(
    recordings: Sequence[Recording], kinds: Sequence[Kind], sealed: bool, talk: Talker, seed: int = 0
) -> list[Case]:
    """Each wording of one part about every recording; what needs no recording, about every eighth."""
    cases = []
    for kind in kinds:
        for number, recording in enumerate(recordings):
            if not kind.needs and number % 8:
                continue
            slots = slots_of(kind, recording, [one for one in recordings if one is not recording], seed)
            if (
                kind.pick
                and slots["a"] == slots["b"]
                and any("{a}" in w for one in kind.wordings for w in one)
            ):
                continue  # nothing true is known to choose
            for wording in kind.wordings:
                if is_sealed(wording) == sealed:
                    cases.append(asked(kind, wording, recording, slots, talk))
    return cases


# --- figures ----------------------------------------------------------------------------------------------


def _share(cases: Sequence[tuple[str, bool]], rng: np.random.Generator) -> str:
    """A share with its 95 % interval: recordings are drawn anew, a thousand times."""
    if not cases:
        return "– (0)"
    names = sorted({name for name, _ in cases})
    good, count = np.zeros(len(names)), np.zeros(len(names))
    for name, one in cases:
        good[names.index(name)] += one
        count[names.index(name)] += 1
    drawn = rng.integers(0, len(names), (1000, len(names)))
    low, high = np.percentile(good[drawn].sum(1) / count[drawn].sum(1), [2.5, 97.5])
    return f"{good.sum() / count.sum():.3f} [{low:.3f}, {high:.3f}] ({int(count.sum())})"


def groups(cases: Sequence[Case]) -> Iterator[tuple[str, bool]]:
    """For each kind and recording with two wordings or more: whether up to four have the same verdict."""
    by: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        by[case.kind.name, case.recording.id].append(case)
    for (_, recording), group in by.items():
        if len(group) >= 2:
            yield recording, len({_verdict(case) for case in group[:4]}) == 1


def _verdict(case: Case) -> str:
    return case.faithful if case.refused_rightly is None else str(case.refused_rightly)


def figures(cases: Sequence[Case]) -> dict[str, str]:
    rng = np.random.default_rng(0)

    def share(chosen: Iterable[Case], holds: Callable[[Case], bool | None]) -> str:
        return _share([(case.recording.id, bool(holds(case))) for case in chosen], rng)

    truth = [case for case in cases if case.right != "-"]
    known = [case for case in cases if case.faithful != "-"]
    due = [case for case in cases if case.refused_rightly is not None]
    seconds = [case.seconds for case in cases]

    def rightly(case: Case) -> bool | None:
        return case.refused_rightly

    def faithful(case: Case) -> bool:
        return case.faithful == "right"

    return {
        "right (truth)": share(truth, lambda case: case.right == "right"),
        "right, where the facts allow it": share(
            [case for case in truth if case.allowed], lambda case: case.right == "right"
        ),
        "faithful, of what is said": share([c for c in known if c.faithful != "refused"], faithful),
        "answered and faithful, of what is known": share(known, faithful),
        "refuses wrongly": share(known, lambda case: case.faithful == "refused"),
        "refuses rightly": share(due, rightly),
        "… kinds that nobody foresaw": share([c for c in due if c.kind.none], rightly),
        "… what no sound says": share([c for c in due if c.kind.is_refused and not c.kind.none], rightly),
        "… facts that are not there": share([c for c in due if not c.kind.is_refused], rightly),
        "same verdict in up to four wordings": _share([*groups(cases)], rng),
        "nonsense": share(cases, lambda case: is_nonsense(case.answer)),
        "crashes": share(cases, lambda case: case.answer.startswith(CRASH)),
        "seconds a question, median": f"{statistics.median(seconds):.4f}",
        "seconds a question, 99 %": f"{np.percentile(seconds, 99):.4f}",
    }


# --- what must hold when something changes ----------------------------------------------------------------


def _typo(text: str, rng: Random) -> str:
    """Two letters of a longest word change places; slots stay."""
    words = list(re.finditer(r"(?<![{\w])[a-z]{4,}(?![}\w])", text))
    if not words:
        return text
    word = max(words, key=lambda match: len(match[0]))
    at = word.start() + rng.randrange(1, len(word[0]) - 2)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def changed(shown: Annotation, what: str) -> Annotation:
    """The same facts but for one."""
    facts = Facts(shown)
    if what == "tempo":
        return replace(
            shown, tempo=replace(shown.tempo, bpm=facts.bpm * 1.17, alternative_bpm=facts.bpm * 2.34)
        )
    if what == "key":
        key = facts.scale.moved(5).parallel.name
        local = tuple(replace(span, label=key) for span in shown.local_keys.spans)
        return replace(
            shown, key=replace(shown.key, name=key), local_keys=replace(shown.local_keys, spans=local)
        )
    if what == "meter":
        return replace(shown, meter=replace(shown.meter, beats_per_bar=3 if facts.meter != 3 else 4))
    tags = [tag for tag in shown.instruments.tags if tag.label != "drums"]
    tags += [] if facts.has("drums") else [Tag("drums", 0.99)]
    return replace(shown, instruments=replace(shown.instruments, tags=tuple(tags)))


FOLLOWS = {"tempo": "tempo", "key": "key", "meter": "meter", "instruments": "drums"}
"""What is changed → the kind of question whose answer must follow."""


def metamorphic(
    recordings: Sequence[Recording], kinds: Sequence[Kind], sealed: bool, talk: Talker
) -> dict[str, str]:
    """Shares of what holds: of questions that were answered rightly, those that are so after the change."""
    named = {kind.name: kind for kind in kinds}
    held: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for recording in recordings[::2]:
        rest = [one for one in recordings if one is not recording]

        def ask(kind: Kind, wording: tuple[str, ...], record: Annotation, slots: Slots) -> str:
            return asked(kind, wording, Recording(recording.id, record), slots, talk).faithful  # noqa: B023

        for what, name in FOLLOWS.items():
            if Facts(recording.shown).knows(what):
                for wording in (one for one in named[name].wordings if is_sealed(one) == sealed):
                    slots = slots_of(named[name], recording, rest, 0)
                    if ask(named[name], wording, recording.shown, slots) != "right":
                        continue
                    new = ask(named[name], wording, changed(recording.shown, what), slots)
                    held[f"{what} changed"].append((recording.id, new == "right"))
        for kind in kinds:
            if (
                not kind.needs
                or not all(Facts(recording.shown).knows(need) for need in kind.needs)
                or kind.other
            ):
                continue
            slots = slots_of(kind, recording, rest, 0)
            for wording in [one for one in kind.wordings if is_sealed(one) == sealed][:3]:
                if ask(kind, wording, recording.shown, slots) != "right":
                    continue
                rng = Random(f"{recording.id} {wording}")
                typed = (*wording[:-1], _typo(wording[-1], rng))
                if typed != wording:
                    held["a typo"].append((recording.id, ask(kind, typed, recording.shown, slots) == "right"))
                if "{a}" in wording[-1]:
                    turned = {**slots, "a": slots["b"], "b": slots["a"]}
                    held["choices turned"].append(
                        (recording.id, ask(kind, wording, recording.shown, turned) == "right")
                    )
                if kind.name not in ("tempo", "key") and len(wording) == 1 and len(kind.judges) == 1:
                    second, asks = (
                        ("key", "what key is it in?")
                        if kind.needs == ("tempo",)
                        else ("tempo", "what is the tempo?")
                    )
                    joined = Kind("joined", (*kind.judges, second), ())
                    joint = rng.choice(("? ", " and "))
                    text = (f"{wording[0].rstrip(' ?.!')}{joint}{asks}",)
                    if all(Facts(recording.shown).knows(need) for need in joined.needs):
                        held["two joined"].append(
                            (recording.id, ask(joined, text, recording.shown, slots) == "right")
                        )
        for instrument in ("drums", "piano", "flute"):
            kind = named["instrument-yesno"]
            if Facts(recording.shown).heard and Facts(recording.shown).has(instrument) is not None:
                slots = {**slots_of(kind, recording, rest, 0), "x": instrument}
                for text in ("Is there no {x} in it?", "Isn't there {x}?", "It has no {x}, right?"):
                    held["negated"].append(
                        (recording.id, ask(kind, (text,), recording.shown, slots) == "right")
                    )
    draws = np.random.default_rng(0)
    return {name: _share(cases, draws) for name, cases in held.items()}


# --- recordings -------------------------------------------------------------------------------------------


def recordings_of(facts: Path, corpus: Path | None) -> list[Recording]:
    """Measures what has not been measured, and reads the rest from the folder."""
    import json

    import soundfile

    import llark
    from llark.pipeline import listen

    facts.mkdir(parents=True, exist_ok=True)
    demo = Path(llark.__file__).parent / "weights" / "demo" / "feelings.ogg"
    charted = json.loads(demo.with_suffix(".json").read_text())
    found: list[tuple[str, Path, Annotation | None]] = []
    sound = {
        "silence": np.zeros(12 * 22_050),
        "noise": 0.1 * np.random.default_rng(0).standard_normal(12 * 22_050),
    }
    for name, samples in sound.items():
        soundfile.write(facts / f"{name}.wav", samples, 22_050)
        found.append((name, facts / f"{name}.wav", None))
    empty = Annotation("demo", 0.0, charted["duration_seconds"])
    tempo = replace(empty.tempo, bpm=charted["tempo_bpm"], confidence=1.0, source="truth")
    found.append(("demo", demo, replace(empty, tempo=tempo)))
    for path in sorted((corpus / "audio").glob("*.ogg")) if corpus else []:
        page = json.loads(path.with_suffix(".json").read_text())
        found.append((path.stem, path, from_json(Annotation, json.dumps(page["truth"]))))
    recordings = []
    for name, path, truth in found:
        kept = facts / f"{name}.shown.json"
        if not kept.exists():
            kept.write_text(to_json(listen.to_recording(Track(id=name, path=str(path))).facts))
        recordings.append(Recording(name, from_json(Annotation, kept.read_bytes()), truth))
    return recordings


def _table(columns: Mapping[str, Mapping[str, str]]) -> None:
    print("| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for row in next(iter(columns.values())):
        print(f"| {row} | " + " | ".join(column.get(row, "") for column in columns.values()) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--facts", type=Path, required=True, help="where measured facts are kept")
    parser.add_argument("--corpus", type=Path, help="rendered clips with their truth")
    parser.add_argument(
        "--sealed", action="store_true", help="score the sealed third, print no wording of it"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wrong", type=int, default=0, help="print so many wrong answers of each open kind")
    options = parser.parse_args()
    kinds, recordings = read_kinds(), recordings_of(options.facts, options.corpus)
    count = sum(is_sealed(wording) == options.sealed for kind in kinds for wording in kind.wordings)
    part = "sealed" if options.sealed else "open"
    print(
        f"{count} {part} wordings of {len(kinds)} kinds, {len(recordings)} recordings, seed {options.seed}\n"
    )
    talkers = {"product": product, "keywords": KeywordReader}
    cases = {
        name: ask_all(recordings, kinds, options.sealed, talk, options.seed) for name, talk in talkers.items()
    }
    _table({name: figures(part) for name, part in cases.items()})
    print("\nWhat holds when something changes:\n")
    _table({name: metamorphic(recordings, kinds, options.sealed, talk) for name, talk in talkers.items()})
    if not options.sealed:
        _by_kind(cases["product"], options.wrong)


def _by_kind(cases: Sequence[Case], wrong: int) -> None:
    print("\nBy kind:\n\n| kind | n | right | faithful | refused rightly |\n|---|---|---|---|---|")
    by: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by[case.kind.name].append(case)
    for name, group in by.items():
        shares = [
            [case.right == "right" for case in group if case.right != "-"],
            [case.faithful == "right" for case in group if case.faithful != "-"],
            [bool(case.refused_rightly) for case in group if case.refused_rightly is not None],
        ]
        row = " | ".join(f"{statistics.mean(share):.2f}" if share else "" for share in shares)
        print(f"| {name} | {len(group)} | {row} |")
    for name, group in by.items() if wrong else ():
        bad = [
            case for case in group if case.faithful in ("wrong", "refused") or case.refused_rightly is False
        ]
        firsts = {case.wording[-1] + case.answer[:30]: case for case in reversed(bad)}
        for case in Random(name).sample([*firsts.values()], min(wrong, len(firsts))):
            print(
                f"- {name} · {case.recording.id} · {case.faithful} · "
                f"{' // '.join(case.wording)}\n  {case.answer}"
            )


if __name__ == "__main__":
    main()
