"""The fact check: what an answer claims, against what is known of its clip.

A contradiction, or a claim about something of which the record says nothing, is a reason to drop the answer.
In reasoning, a sentence that supposes ("if you transpose it to A major") may name other keys, chords,
tempos and instruments; in the other families nothing may.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from llark.instruct.fields import Field
from llark.music.claims import Claim, claims
from llark.music.names import chord_name
from llark.questions.known import Facts
from llark.records import INSTRUMENTS, Annotation

TEMPO_TOLERANCE = 0.04
"""Share by which a tempo may be rounded."""

MOMENT_TOLERANCE_SECONDS = 1.0
GUITARS = ("acoustic guitar", "electric guitar", "distorted guitar")
FAMILY_WORDS = {
    "strings": ("violin", "cello"), "brass": ("trumpet",), "voice": ("choir",), "choir": ("voice",),
    "violin": ("strings",), "cello": ("strings",), "trumpet": ("brass",), "guitar": GUITARS,
    "piano": ("electric piano",), "bass": (), "electric guitar": ("distorted guitar",),
    "organ": (), "drums": ("mallets",), "synth": ("electric piano", "organ"),
}  # fmt: skip
"""A word that also holds where only one of these is heard."""

YES, NO = re.compile(r"\W*yes\b", re.IGNORECASE), re.compile(r"\W*no\b", re.IGNORECASE)
YES_NO = re.compile(
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
class Verdict:
    """The first claim that does not hold (`reason`, `detail`), or `None`; and the facts that claims used."""

    reason: str | None
    detail: str = ""
    used: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Record:
    """What claims are compared with: the facts, and the words of all fields."""

    annotation: Annotation
    fields: Sequence[Field]

    @cached_property
    def facts(self) -> Facts:
        return Facts(self.annotation)

    @cached_property
    def words(self) -> frozenset[tuple[str, str]]:
        """Claims that the texts of the fields make themselves: captions, tags, part names."""
        texts = [field.value for field in self.fields if field.name not in ("title", "artist", "album")]
        found = {(claim.what, claim.value) for text in texts for claim in claims(text)}
        return frozenset(found)

    @cached_property
    def harmony(self) -> frozenset[str]:
        """Names of every chord and key that is known, as they are said."""
        named = {heard.chord.name for heard in self.facts.chords}
        named |= {span.label for span in self.annotation.local_keys.spans}
        label = self.annotation.isolated_chord.label
        named |= {chord_name(label)} if label else set()
        return frozenset(named | ({self.facts.scale.name} if self.facts.scale else set()))


def check(record: Record, question: str, answer: str, free: bool) -> Verdict:
    """Compares an answer with the record. `free`: sentences that suppose may say what is not the case."""
    used: set[str] = set()
    for claim in claims(answer):
        verdict, fact = _holds(record, claim, free)
        if verdict:
            return Verdict(*verdict)
        if fact:
            used.add(fact)
    trouble = _yes_or_no(record, question, answer)
    return Verdict(*trouble) if trouble else Verdict(None, "", frozenset(used))


Trouble = tuple[str, str] | None


def _holds(record: Record, claim: Claim, free: bool) -> tuple[Trouble, str]:
    """What is wrong with a claim, if anything, and the fact that it rests on."""
    if free and claim.supposed and claim.what != "moment":
        return None, ""
    if claim.denied and claim.what != "instrument":
        return None, ""
    if not claim.denied and (claim.what, claim.value) in record.words:
        return None, _fact_of(record, claim)
    return _CHECKS[claim.what](record, claim)


def _fact_of(record: Record, claim: Claim) -> str:
    """The field whose words say so."""
    for field in record.fields:
        if any((other.what, other.value) == (claim.what, claim.value) for other in claims(field.value)):
            return field.name
    return ""


def _tempo(record: Record, claim: Claim) -> tuple[Trouble, str]:
    tempo = record.facts.tempo_bpm
    if tempo is None:
        return ("unknown-tempo", f"{claim.value} BPM is said of a clip whose tempo is not known."), ""
    bpm = float(claim.value)
    known = [tempo, record.annotation.tempo.alternative_bpm or tempo]
    if claim.supposed:
        known += [tempo / 2, tempo * 2]
    if any(abs(bpm - one) <= TEMPO_TOLERANCE * one for one in known) or claim.supposed:
        return None, "tempo"
    return ("wrong-tempo", f"{claim.value} BPM is said where {tempo:.0f} BPM is known."), ""


def _meter(record: Record, claim: Claim) -> tuple[Trouble, str]:
    meter = record.facts.meter_name
    if meter is None:
        return ("unknown-meter", f"{claim.value} is said of a clip whose meter is not known."), ""
    if claim.value == meter:
        return None, "meter"
    return ("wrong-meter", f"{claim.value} is said where {meter} is known."), ""


def _key(record: Record, claim: Claim) -> tuple[Trouble, str]:
    """A name such as `D major` may be of a key or of a chord: it holds if either is known."""
    if claim.value in record.harmony:
        scale = record.facts.scale
        return None, "key" if scale is not None and claim.value == scale.name else "chords"
    if not record.harmony:
        return ("unknown-harmony", f"{claim.value} is said of a clip whose harmony is not known."), ""
    return ("wrong-harmony", f"{claim.value} is said, and is neither the key nor a chord of the clip."), ""


def _chord(record: Record, claim: Claim) -> tuple[Trouble, str]:
    if claim.value in record.harmony:
        return None, "chords"
    if not record.facts.chords:
        return ("unknown-harmony", f"{claim.value} is said of a clip whose chords are not known."), ""
    return ("wrong-harmony", f"{claim.value} is said, and is no chord of the clip."), ""


def _instrument(record: Record, claim: Claim) -> tuple[Trouble, str]:
    heard = record.facts.instruments
    worded = {value for what, value in record.words if what == "instrument"}
    if not heard and not worded:
        return ("unknown-instruments", f"{claim.value} is said, and the instruments are not known."), ""
    if claim.denied:
        plays = claim.value in (*heard, *worded)
        return (
            ("wrong-instrument", f"{claim.value} is denied, and plays.") if plays else None
        ), "instruments"
    if claim.value in heard or set(FAMILY_WORDS.get(claim.value, ())) & {*heard, *worded}:
        return None, "instruments"
    return _unlisted(claim), ""


def _unlisted(claim: Claim) -> tuple[str, str]:
    return "wrong-instrument", f"{claim.value} is said to play, and is not known to."


def _moment(record: Record, claim: Claim) -> tuple[Trouble, str]:
    seconds = record.facts.seconds
    if float(claim.value) <= seconds + MOMENT_TOLERANCE_SECONDS:
        return None, ""
    return ("past-the-end", f"{claim.value} s is said of a clip of {seconds:.1f} s."), ""


_CHECKS: dict[str, Callable[[Record, Claim], tuple[Trouble, str]]] = {
    "tempo": _tempo,
    "meter": _meter,
    "key": _key,
    "chord": _chord,
    "instrument": _instrument,
    "moment": _moment,
}


def _yes_or_no(record: Record, question: str, answer: str) -> Trouble:
    """Whether a yes or a no agrees with the one thing that the question asks for."""
    said_yes, said_no = bool(YES.match(answer)), bool(NO.match(answer))
    if not (said_yes or said_no) or not YES_NO.match(question):
        return None
    truth = _compared(record, question)
    if truth is None:
        truth = _asked(record, question)
    if truth is None or truth == said_yes:
        return None
    return "wrong-yes-or-no", f"{question!r} is answered with {'yes' if said_yes else 'no'}."


def _compared(record: Record, question: str) -> bool | None:
    found, tempo = _COMPARED.search(question), record.facts.tempo_bpm
    if found is None or tempo is None:
        return None
    up = found[1].lower() in ("faster", "quicker", "more", "above", "over")
    return (tempo > float(found[2])) == up


def _asked(record: Record, question: str) -> bool | None:
    """Whether the question's only claim is true; `None` where it makes none, several or an unclear one."""
    if _COMPARED.search(question) or _UNCLEAR.search(question):
        return None
    asked = {(claim.what, claim.value) for claim in claims(question) if claim.what != "moment"}
    if len(asked) != 1:
        return None
    what, value = asked.pop()
    scale, heard = record.facts.scale, record.facts.instruments
    if what == "key" and scale is not None and _OF_KEY.search(question):
        return value == scale.name
    if what == "instrument":
        near = set(FAMILY_WORDS.get(value, ())) & set(heard)
        if not heard or value not in INSTRUMENTS or (near and value not in heard):
            return None
        return value in heard
    trouble, fact = _CHECKS[what](record, Claim(what, value, denied=False, supposed=False))
    if trouble and trouble[0].startswith("unknown"):
        return None
    return trouble is None if fact or trouble else None
