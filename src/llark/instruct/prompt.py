"""Prompts that describe themselves: each is built from the fields that its record really has.

The system turn is the same for every record of a family (servers can keep what they computed for it); the
user turn holds the record, one glossary sentence a field, and the kinds that are wanted.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from random import Random
from typing import Any

import yaml

from llark.instruct import Source
from llark.instruct.fields import Field, fields_of, glossary
from llark.llm.client import Message
from llark.questions import CAPTIONING, UNDERSTANDING


@functools.cache
def texts() -> Mapping[str, Any]:
    page: dict[str, Any] = yaml.safe_load(
        (resources.files("llark.instruct") / "prompts" / "families.yaml").read_text("utf-8")
    )
    return page


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
        said = {"role": "assistant", "content": reply[:2000] or "{}"}
        return (*self.messages, said, {"role": "user", "content": texts()["again"]})


def build(source: Source, family: str, seed: int = 0, few_shot: bool = True) -> Prompt | None:
    """The prompt of a family about a clip; `None` where the record holds nothing to ask about."""
    fields = fields_of(source)
    if not fields:
        return None
    about = texts()["families"][family]
    kinds = _wanted(family, about, Random(f"{source.id}\0{seed}\0{family}"))
    messages: list[Message] = [{"role": "system", "content": _system(family)}]
    if few_shot:
        messages += _examples(family)
    messages.append({"role": "user", "content": _user(fields, kinds)})
    return Prompt(source, family, fields, kinds, tuple(messages))


def _wanted(family: str, about: Mapping[str, Any], rng: Random) -> tuple[str, ...]:
    kinds = tuple(about["kinds"])
    if family == UNDERSTANDING:
        return ()
    return tuple(sorted(rng.sample(kinds, min(len(kinds), int(about["count"]))), key=kinds.index))


@functools.cache
def _system(family: str) -> str:
    page, about = texts(), texts()["families"][family]
    kinds = [f"- {name}: {meaning}" for name, meaning in about["kinds"].items()]
    rules = [f"- {rule}" for rule in page["rules"]]
    output = page["output"].replace("<item>", about["item"])
    return "\n".join([page["role"], "", *rules, "", about["task"], "", output, *kinds])


def _user(fields: tuple[Field, ...], kinds: tuple[str, ...]) -> str:
    page = texts()
    meanings = [f"- {field.name}: {field.meaning}" for field in fields]
    record = json.dumps({field.name: field.value for field in fields}, ensure_ascii=False)
    wanted = [f"{page['wanted']} {', '.join(kinds)}"] if kinds else []
    return "\n".join([page["record"], *meanings, "", record, *wanted])


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
    exchange = {
        "type": "object",
        "properties": item,
        "required": list(item),
        "additionalProperties": False,
    }
    reply = {
        "type": "object",
        "properties": {"exchanges": {"type": "array", "items": exchange}},
        "required": ["exchanges"],
        "additionalProperties": False,
    }
    return {"name": family, "strict": True, "schema": reply}
