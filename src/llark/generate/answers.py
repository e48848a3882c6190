"""Answers from the facts: a question is read, solved by code over facts and theory, and put in words.

What nothing measured supports is not said. An answer that must stay open says what can be told instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from llark.errors import QuestionTooLong
from llark.generate.reader import Query, Reader, fill
from llark.music.claims import plain
from llark.music.lexicon import EDGES, JOINERS, PARTS
from llark.music.mentions import Mention, by_sort, mentions, with_sorts
from llark.questions import Ask, FactMissing, Kind
from llark.questions.beyond import what_is_known
from llark.questions.everyday import corrected
from llark.questions.facts import Facts
from llark.questions.grammar import asides, phrases, say
from llark.questions.kinds import BY_SLUG
from llark.questions.pairs import PAIRS
from llark.records import METER_NAMES, Annotation, Key, Meter, Tempo

READ_FROM = 0.25
"""The least probability of a kind; a question below it is not understood."""

PARTED_FROM = 0.75
"""Each part of a question with an "and" must be read as surely as this to be answered by itself, where the
whole could be read as one question."""

DOUBTFUL_BELOW = 0.5
"""An answer that rests on a fact that is less sure says so."""

MOST_QUERIES = 4
"""Of one question."""

MOST_CHARACTERS = 2000
"""Of a question: nobody asks at more length."""


TOO_LONG = "The question is too long: it has {:,} letters, and may have {:,}."


@dataclass(frozen=True)
class Stretch:
    """A part of the recording that is asked about, in seconds from its start."""

    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class Solution:
    """The answer to a question, and what it comes from."""

    text: str
    queries: tuple[Query, ...]
    """What was read in the question."""
    facts: tuple[str, ...] = ()
    """The fields of the annotation that the answer rests on."""
    is_answered: bool = True
    """Whether it answers; not where it says that this cannot be told."""
    instead: str = ""
    """What can be told, where it does not answer."""


@dataclass
class Conversation:
    """Questions about one recording, in their order: later ones may refer to earlier ones, and what somebody
    corrects stays corrected."""

    facts: Annotation
    last: Query | None = None
    other: Annotation | None = None
    """The facts of a second recording, for questions that compare."""
    stretch: Stretch | None = None
    """The part that is talked about, where a question names none; `None`: the whole."""

    def ask(self, text: str) -> Solution:
        """The answer to a question, or to several in one text. Raises `QuestionTooLong`."""
        refuse_long(text)
        queries = tuple(read(text, self.last))
        solutions = [self._answer(query) for query in queries]
        self.last = queries[-1]
        seen = dict.fromkeys([*(one.text for one in solutions), *(one.instead for one in solutions)])
        rests_on = tuple(dict.fromkeys(fact for one in solutions for fact in one.facts))
        return Solution(
            " ".join(filter(None, seen)), queries, rests_on, any(one.is_answered for one in solutions)
        )

    def _answer(self, query: Query) -> Solution:
        kind = BY_SLUG[query.kind]
        if query.kind in CORRECTIONS and corrected(Facts(self.facts), query.slots).form == "known":
            self.facts = CORRECTIONS[query.kind](self.facts, query)
        if query.kind in PAIRS and self.other is not None and query.sure >= READ_FROM:
            return compared(query, kind, self.facts, self.other)
        return answer(query, kind, self.facts, self.stretch)


def refuse_long(question: str) -> None:
    """Raises `QuestionTooLong` for one that nobody would ask."""
    if len(question) > MOST_CHARACTERS:
        raise QuestionTooLong(TOO_LONG.format(len(question), MOST_CHARACTERS))


# --- reading ----------------------------------------------------------------------------------------------

_SENTENCE = re.compile(r"(?<=[?!.;])\s+|\n+")


def read(text: str, last: Query | None = None) -> Iterator[Query]:
    """What a text asks: one query a sentence, or a part of it. `last`: what was asked before."""
    reader = Reader.shipped()
    sentences = [part for part in _SENTENCE.split(text) if re.search(r"\w", part)] or [text]
    queries: list[Query] = []
    for sentence in sentences:
        queries += _parted(reader, sentence, queries[-1] if queries else last)
    surely = [query for query in queries if query.sure >= READ_FROM]
    yield from (surely or queries[:1])[:MOST_QUERIES]


def _parted(reader: Reader, sentence: str, last: Query | None) -> list[Query]:
    """One query, or one for each part around an "and" where each asks something of its own."""
    whole = _with_history(reader.read(sentence), last)
    unread = whole.sure < READ_FROM
    enough = READ_FROM if unread else PARTED_FROM
    for place in _joints(sentence):
        parts = [reader.read(sentence[: place[0]]), reader.read(sentence[place[1] :])]
        apart = parts[0].kind != parts[1].kind or parts[0].slots != parts[1].slots
        surely = all(part.sure >= enough for part in parts)
        if apart and surely and (unread or whole.kind not in ALL_AT_ONCE):
            rest = _parted(reader, sentence[place[1] :], parts[0])
            return [parts[0], *rest]
    return _each_value(whole)


ALL_AT_ONCE = frozenset({"caption-basics"})
"""Kinds whose answer says several facts."""


def _joints(sentence: str) -> list[tuple[int, int]]:
    """Where two questions may be joined; an "and" in the midst of a name joins none."""
    named = [(one.start, one.end) for one in mentions(sentence)]
    joints = [match.span() for match in JOINERS.finditer(sentence.lower())]
    return [(start, end) for start, end in joints if not any(a < end and start < b for a, b in named)]


def _each_value(query: Query) -> list[Query]:
    """Where a question names several values of the one sort that its kind asks for, one query for each."""
    kind = BY_SLUG[query.kind]
    if len(kind.slots) != 1 or kind.slots[0] in ("seconds", "ordinal"):
        return [query]
    every = by_sort(mentions(query.text)).get(kind.slots[0], ())
    if len(every) < 2:
        return [query]
    return [replace(query, slots={kind.slots[0]: (value,)}) for value in dict.fromkeys(every)]


def _with_history(query: Query, last: Query | None) -> Query:
    """A short question that names another value for what was asked before asks the same of it."""
    if last is None or query.sure >= READ_FROM:
        return query
    kind, found = BY_SLUG[last.kind], mentions(query.text)
    if len(with_sorts(query.text, found).split()) > MOST_WORDS_AFTER:
        return query
    filled = fill(kind, by_sort(found)) if kind.slots else None
    if filled:
        return Query(query.text, last.kind, last.sure, filled)
    return replace(last, text=query.text) if of_a_part(kind) and stretch_of(query.text, math.inf) else query


MOST_WORDS_AFTER = 7
"""Of a question that only names another value, or another part, for what was asked before."""


# --- the part of the recording ----------------------------------------------------------------------------

AROUND_SECONDS = 5.0
"""A single moment is asked about with so much on both sides."""

SCOPED = frozenset({"tempo", "key", "chords", "meter"})
"""Facts that are known of a part of a recording; of others those of the whole are told."""


def of_a_part(kind: Kind) -> bool:
    """Whether a kind may be asked of a part: not where it asks for a time, or names one, in the whole."""
    return "seconds" not in kind.slots and bool(set(kind.facts) & SCOPED) and "loudness" not in kind.facts


def stretch_of(text: str, seconds: float) -> Stretch | None:
    """The part that a question names of a recording of so many seconds."""
    found: list[Mention] = mentions(text)
    times = sorted(float(one.value) for one in found if one.sort == "seconds")
    if len(times) > 1 and times[0] < min(times[1], seconds):
        return Stretch(times[0], min(times[1], seconds))
    if times and times[0] < seconds and (edge := _edge(text, found)):
        return Stretch(0.0, times[0]) if edge == "start" else Stretch(seconds - times[0], seconds)
    if times and times[0] < seconds:
        return Stretch(max(0.0, times[0] - AROUND_SECONDS), min(seconds, times[0] + AROUND_SECONDS))
    for one in found:
        if one.sort == "part":
            start, end = PARTS[one.value]
            return Stretch(start * seconds, end * seconds)
    return None


def _edge(text: str, found: Sequence[Mention]) -> str | None:
    """Which end of the recording the seconds that a question names are counted from."""
    (start, *_) = [one.start for one in found if one.sort == "seconds"]
    before = plain(text)[:start].lower().split()
    return EDGES.get(before[-1]) if before else None


def within(facts: Annotation, stretch: Stretch) -> Annotation:
    """The facts of a part: those that have times are cut to it; the key is that which holds longest there."""
    start = facts.start_seconds + stretch.start_seconds
    end = facts.start_seconds + stretch.end_seconds
    chords = tuple(
        replace(span, start_seconds=max(start, span.start_seconds), end_seconds=min(end, span.end_seconds))
        for span in facts.chords.spans
        if span.start_seconds < end and span.end_seconds > start
    )
    beats = [
        (time, place)
        for time, place in zip(
            facts.beats.times_seconds,
            facts.beats.positions or (0,) * len(facts.beats.times_seconds),
            strict=True,
        )
        if start <= time < end
    ]
    held: dict[str, float] = {}
    for span in facts.local_keys.spans:
        seconds = min(end, span.end_seconds) - max(start, span.start_seconds)
        held[span.label] = held.get(span.label, 0.0) + max(0.0, seconds)
    key = max(held, key=lambda name: held[name]) if any(held.values()) else facts.key.name
    return replace(
        facts,
        start_seconds=start,
        end_seconds=end,
        chords=replace(facts.chords, spans=chords),
        beats=replace(
            facts.beats,
            times_seconds=tuple(time for time, _ in beats),
            positions=tuple(place for _, place in beats) if facts.beats.positions else (),
        ),
        key=replace(facts.key, name=key),
    )


# --- answering --------------------------------------------------------------------------------------------


def answer(query: Query, kind: Kind, annotation: Annotation, part: Stretch | None = None) -> Solution:
    """The answer to one query. `part`: what it is about, where it does not name a part itself."""
    rng = Random(kind.slug)  # the same answer, however it is asked
    whole = Facts(annotation)
    if query.sure < READ_FROM:
        text = _line("not-understood", rng)
        return Solution(text, (query,), is_answered=False, instead=_instead(whole, rng))
    stretch = (stretch_of(query.text, whole.seconds) or part) if of_a_part(kind) else None
    facts = whole if stretch is None else Facts(within(annotation, stretch))
    asked = kind.answer(facts, query.slots, rng)
    if asked is None or asked.form == "unknown":
        text = _open(kind, asked, whole, rng)
        return Solution(text, (query,), kind.facts, is_answered=False, instead=_instead(whole, rng))
    known = tuple(fact for fact in kind.facts if facts.knows(fact))
    text = _worded(kind, asked, rng)
    if doubtful := [fact for fact in known if 0 < _confidence(annotation, fact) < DOUBTFUL_BELOW]:
        text = f"{text.rstrip('.')}. {_line('doubt', rng, fact=doubtful[0].replace('_', ' '))}"
    return Solution(text, (query,), known)


def compared(query: Query, kind: Kind, one: Annotation, other: Annotation) -> Solution:
    """The answer to a question about two recordings."""
    rng, facts = Random(kind.slug), Facts(one)
    try:
        asked = PAIRS[kind.slug][1](facts, Facts(other))
    except FactMissing:
        asked = Ask("unknown")
    if asked.form == "unknown":
        return Solution(_worded(kind, asked, rng), (query,), kind.facts, is_answered=False)
    return Solution(_worded(kind, asked, rng), (query,), kind.facts)


def _confidence(annotation: Annotation, fact: str) -> float:
    return float(getattr(getattr(annotation, fact, None), "confidence", 0.0))


def _worded(kind: Kind, asked: Ask, rng: Random) -> str:
    return phrases()[kind.slug].answer(asked.form, {"clip": "recording", **asked.values}, rng).text


def _open(kind: Kind, asked: Ask | None, facts: Facts, rng: Random) -> str:
    """That it cannot be told."""
    is_unknown = asked is not None and asked.form == "unknown"
    missing = facts.missing(*kind.facts)
    if "unknown" not in phrases()[kind.slug].answers:
        return _line("open", rng)
    if kind.facts and not is_unknown and not missing:
        return _line("no-answer", rng)
    values = asked.values if asked is not None and is_unknown else {}
    return _worded(kind, Ask("unknown", {"missing": missing, **values}), rng)


def _instead(facts: Facts, rng: Random) -> str:
    """What can be told; of a recording without loudness, that there is nothing."""
    if instead := what_is_known(facts, rng).values:
        return _line("instead", rng, **instead)
    return "" if facts.knows("loudness") else _line("nothing", rng)


def _line(name: str, rng: Random, **values: str) -> str:
    sentence = say(asides()[name], values, rng)
    return "" if sentence is None else sentence.text


# --- corrections ------------------------------------------------------------------------------------------

YOU = "you"
"""The source of a fact that somebody has corrected."""


def _tempo(facts: Annotation, query: Query) -> Annotation:
    return replace(facts, tempo=Tempo(float(query.slots["bpm"][0]), 1.0, YOU))


def _key(facts: Annotation, query: Query) -> Annotation:
    return replace(facts, key=Key(query.slots["key"][0], 1.0, YOU))


def _meter(facts: Annotation, query: Query) -> Annotation:
    beats = {name: beats for beats, name in METER_NAMES.items()}
    return replace(facts, meter=Meter(beats.get(query.slots["meter"][0]), 1.0, YOU))


CORRECTIONS = {"correct-tempo": _tempo, "correct-key": _key, "correct-meter": _meter}


def answers(facts: Annotation, questions: Sequence[str]) -> list[Solution]:
    """The answers to questions that do not know of each other."""
    return [Conversation(facts).ask(question) for question in questions]
