"""Prompts that describe themselves: each is built from the fields that its record really has.

The system turn is the same for every record of a family (servers can keep what they computed for it); the
user turn holds the record, one glossary sentence a field, and the kinds that are wanted.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from random import Random
from typing import Any

import yaml

from llark.instruct import Source
from llark.llm.client import Message
from llark.music.claims import KnownFacts
from llark.music.names import chord_name, note_name
from llark.questions import CAPTIONING, UNDERSTANDING
from llark.questions.facts import Facts, plain_number
from llark.records import Annotation, MetadataValue, Span

# --- a clip's record: the fields that it really has ---------------------------------------------------------

LONGEST_VALUE = 400
"""Characters of one value; what publishers write beyond them is cut."""

MOST_CHORDS, MOST_SPANS, MOST_DOWNBEATS, MOST_FIELDS = 40, 24, 16, 40
NAMES = ("title", "artist", "album")
"""What names a recording: shown as a hint, and never to be said."""

NAMING_METADATA = ("composer", "composition")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


@dataclass(frozen=True)
class Field:
    """One field of a record."""

    name: str
    """As the prompt shows it."""
    value: str
    """As text."""
    meaning: str
    """One sentence of the glossary."""


@functools.cache
def page(name: str) -> Mapping[str, Any]:
    """One of the files of texts in `prompts/`."""
    text = (resources.files("llark.instruct") / "prompts" / f"{name}.yaml").read_text("utf-8")
    return yaml.safe_load(text)


def glossary() -> Mapping[str, Any]:
    """What each field of a record means."""
    return page("glossary")


def texts() -> Mapping[str, Any]:
    """The words of the prompts."""
    return page("families")


@functools.cache
def _hidden() -> re.Pattern[str]:
    return re.compile(re.sub(r"\s+(?=\|)", "", glossary()["hidden"]), re.IGNORECASE)


def fields_of(source: Source) -> tuple[Field, ...]:
    """The fields that the record has, facts first. Empty: nothing is known but the clip's length."""
    meanings = glossary()
    facts = [
        Field(name, value, meanings["facts"][name]) for name, value in _facts(source.annotation) if value
    ]
    written = [field for field in _written(source) if field.value][: MOST_FIELDS - len(facts)]
    return () if len(facts) == 1 and not written else (*facts, *written)  # the length alone is no record


def known_of(annotation: Annotation, fields: Sequence[Field]) -> KnownFacts:
    """What claims about the clip are checked against: its annotation, and the words of its fields."""
    return KnownFacts(annotation, {field.name: field.value for field in fields if field.name not in NAMES})


def clean(value: object) -> str:
    """One line of plain text: no control characters, single spaces, cut where it is too long."""
    text = " ".join(_CONTROL.sub(" ", str(value)).split())
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE].rsplit(' ', 1)[0]} …"


def _facts(annotation: Annotation) -> Iterator[tuple[str, str]]:
    facts = Facts(annotation)
    yield "length", f"{plain_number(facts.seconds)} s"
    yield "tempo", _tempo(facts)
    yield "beats", _beats(facts)
    yield "meter", facts.meter_name or ""
    yield "key", facts.scale.name if facts.scale else ""
    yield "local_keys", _spans(facts, annotation.local_keys.spans)
    chords = [f"{plain_number(span.start_seconds)} s {span.chord.name}" for span in facts.chords]
    yield "chords", ", ".join(chords[:MOST_CHORDS]) + (" …" if len(chords) > MOST_CHORDS else "")
    yield "instruments", ", ".join(facts.instruments)
    yield "genre", ", ".join(facts.genres)
    yield "mood", ", ".join(facts.moods)
    yield "notes", _notes(annotation)
    yield "loudness", _spans(facts, annotation.loudness.dynamics)
    sections = annotation.sections.spans
    yield "sections", _spans(facts, sections) if len(sections) > 1 else ""
    yield "melody", _melody(annotation)
    label = annotation.isolated_chord.label
    yield "isolated_chord", chord_name(label) if label else ""


def _tempo(facts: Facts) -> str:
    if facts.bpm is None:
        return ""
    other = facts.annotation.tempo.alternative_bpm
    return f"{facts.bpm} BPM" + (f" (or {other:.0f} BPM)" if other else "")


def _beats(facts: Facts) -> str:
    if not facts.beats_seconds:
        return ""
    bars = ", ".join(plain_number(time) for time in facts.downbeats_seconds[:MOST_DOWNBEATS])
    return f"{len(facts.beats_seconds)} beats" + (f"; bars begin at {bars} s" if bars else "")


def _spans(facts: Facts, spans: tuple[Span, ...]) -> str:
    start = facts.annotation.start_seconds
    return ", ".join(
        f"{plain_number(max(0.0, span.start_seconds - start))} s {span.label}" for span in spans[:MOST_SPANS]
    )


def _notes(annotation: Annotation) -> str:
    by_instrument: dict[str, list[int]] = {}
    for note in annotation.notes.notes:
        if not note.is_drum:
            by_instrument.setdefault(clean(note.instrument), []).append(note.pitch_midi)
    return "; ".join(
        f"{name}: {len(pitches)} notes from {note_name(min(pitches))} to {note_name(max(pitches))}"
        for name, pitches in sorted(by_instrument.items())
    )


def _melody(annotation: Annotation) -> str:
    melody = annotation.melody
    if melody.contour is None or melody.lowest_midi is None or melody.highest_midi is None:
        return ""
    return f"{melody.contour}, from {note_name(melody.lowest_midi)} to {note_name(melody.highest_midi)}"


def _written(source: Source) -> Iterator[Field]:
    """What the data set says of the recording: its names, captions and all fields that need not be hidden."""
    if source.track is None:
        return
    meanings = glossary()
    texts = {name: clean(getattr(source.track, name) or "") for name in NAMES}
    texts["captions"] = " / ".join(filter(None, map(clean, source.track.captions[:5])))
    yield from (Field(name, text, meanings["background"][name]) for name, text in texts.items())
    for name, value in source.track.metadata.items():
        meaning = meanings["metadata"].get(name)
        if meaning is not None or not _hidden().search(name):
            yield Field(f"metadata.{clean(name)[:40]}", _as_text(value), meaning or meanings["other"])


def _as_text(value: MetadataValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return clean(", ".join(clean(one) for one in value[:30]))
    return clean(value)


def names_of(source: Source) -> tuple[str, ...]:
    """What names the recording or who made it, as the data set writes it."""
    track = source.track
    if track is None:
        return ()
    names = [getattr(track, name) for name in NAMES] + [track.metadata.get(name) for name in NAMING_METADATA]
    return tuple(dict.fromkeys(clean(name) for name in names if name))


# --- the prompt of a family ---------------------------------------------------------------------------------


def version(family: str) -> str:
    """What is stored with each exchange: `captioning-1`."""
    return f"{family}-{texts()['version']}"


@dataclass(frozen=True)
class Prompt:
    """What a teacher is asked about one clip. `kinds` are wanted; any of the family may come."""

    source: Source
    family: str
    fields: tuple[Field, ...]
    kinds: tuple[str, ...]
    messages: tuple[Message, ...]

    @property
    def id(self) -> str:
        """Tells it from the other prompts of a run."""
        return f"{self.source.id}#{self.family}"

    def again(self, reply: str) -> tuple[Message, ...]:
        """The same talk after a reply that could not be read."""
        turn = {"role": "assistant", "content": reply[:2000] or "{}"}
        return (*self.messages, turn, {"role": "user", "content": texts()["again"]})


def build(source: Source, family: str, seed: int = 0, few_shot: bool = True) -> Prompt | None:
    """The prompt of a family about a clip; `None` where the record holds nothing to ask about."""
    fields = fields_of(source)
    if not fields:
        return None
    about = texts()["families"][family]
    kinds = _some_kinds(family, about, Random(f"{source.id}\0{seed}\0{family}"))
    messages: list[Message] = [{"role": "system", "content": _system(family)}]
    if few_shot:
        messages += _examples(family)
    messages.append({"role": "user", "content": _user(fields, kinds)})
    return Prompt(source, family, fields, kinds, tuple(messages))


def _some_kinds(family: str, about: Mapping[str, Any], rng: Random) -> tuple[str, ...]:
    kinds = tuple(about["kinds"])
    if family == UNDERSTANDING:
        return ()
    return tuple(sorted(rng.sample(kinds, min(len(kinds), int(about["count"]))), key=kinds.index))


@functools.cache
def _system(family: str) -> str:
    words, about = texts(), texts()["families"][family]
    kinds = [f"- {name}: {meaning}" for name, meaning in about["kinds"].items()]
    rules = [f"- {rule}" for rule in words["rules"]]
    output = words["output"].replace("<item>", about["item"])
    return "\n".join([words["role"], "", *rules, "", about["task"], "", output, *kinds])


def _user(fields: tuple[Field, ...], kinds: tuple[str, ...]) -> str:
    words = texts()
    meanings = [f"- {field.name}: {field.meaning}" for field in fields]
    record = json.dumps({field.name: field.value for field in fields}, ensure_ascii=False)
    kinds_line = [f"{words['wanted']} {', '.join(kinds)}"] if kinds else []
    return "\n".join([words["record"], *meanings, "", record, *kinds_line])


def _examples(family: str) -> list[Message]:
    """Turns of user and assistant, in the very form of the real ones."""
    turns: list[Message] = []
    meanings = glossary()["facts"]
    for example in texts()["examples"]:
        fields = tuple(Field(name, value, meanings[name]) for name, value in example["facts"].items())
        kinds = () if family == UNDERSTANDING else tuple(item["kind"] for item in example[family])
        turns.append({"role": "user", "content": _user(fields, kinds)})
        reply = json.dumps({"exchanges": example[family]}, ensure_ascii=False)
        turns.append({"role": "assistant", "content": reply})
    return turns


def schema(family: str) -> dict[str, Any]:
    """The name and the JSON schema of a reply, for servers that can hold a model to one."""
    kinds = list(texts()["families"][family]["kinds"])
    text = {"type": "string"}
    item: dict[str, Any] = {
        "kind": {"type": "string", "enum": kinds},
        **({} if family == CAPTIONING else {"question": text}),
        "answer": text,
        "facts": {"type": "array", "items": text},
    }
    reply = _object({"exchanges": {"type": "array", "items": _object(item)}})
    return {"name": family, "strict": True, "schema": reply}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of an object with these properties and no others."""
    known = {"type": "object", "properties": properties, "required": list(properties)}
    return {**known, "additionalProperties": False}
