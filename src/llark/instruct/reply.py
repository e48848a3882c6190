"""A teacher's reply, however it was written, as questions and answers.

What can be read is read: words and fences around the JSON, a list where an object was asked for, trailing
commas, Python's quotes, a reply that was cut off in the middle (its whole items count).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any

LONGEST_REPLY = 200_000
"""Characters of a reply that are looked at."""

MOST_STARTS = 400
"""Places at which an object may begin, before a reply that holds none is given up."""

DEEPEST = 100
"""Open brackets within each other up to which a reply is read as JSON. Readers that call themselves for each
bracket come to the end of Python's stack, where any object that is just then cleared away fails, too."""

MOST_ITEMS = 64
QUESTIONS = ("question", "q", "prompt", "instruction", "user", "human")
ANSWERS = ("answer", "a", "response", "caption", "text", "description", "output", "assistant")
_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_TRAILING = re.compile(r",(\s*[\]}])")
_PAIR = re.compile(
    r"(?:^|\n)\W*(?:Q|Question)\s*\d*\W*[:.]\s*(?P<q>[^\n]+)\n+\W*(?:A|Answer)\s*\d*\W*[:.]\s*(?P<a>[^\n]+)",
    re.IGNORECASE,
)
_ANSWER_FIRST = re.compile(rf'"(?:{"|".join(ANSWERS)})"', re.IGNORECASE)


@dataclass(frozen=True)
class ReplyItem:
    """One question and its answer as a reply gave them; empty strings and lists where it gave none."""

    question: str
    answer: str
    kind: str = ""
    facts: tuple[str, ...] = ()


def parse(text: str) -> tuple[ReplyItem, ...]:
    """The items of a reply, tidied; those without an answer are left out. Empty: it cannot be read."""
    text = _THINKING.sub("", text[:LONGEST_REPLY]).strip()
    is_json = _depth(text) <= DEEPEST
    if is_json and (items := _items(_value(text))):
        return items
    # Of the other readings the one with the most items counts, of equal ones the strictest.
    return max(map(_items, (*(_repaired(text) if is_json else ()), _pairs(text))), key=len)


def _items(value: Any) -> tuple[ReplyItem, ...]:
    objects = islice(_dicts(value), MOST_ITEMS)
    return tuple(item for item in map(_item, objects) if item is not None)


def _pairs(text: str) -> list[dict[str, str]]:
    """Questions and answers of a talk: lines that begin with "Q:" and "A:"."""
    return [{"question": match["q"], "answer": match["a"]} for match in _PAIR.finditer(text)]


def _depth(text: str) -> int:
    """The most brackets that are open at once, those in strings included."""
    steps = (1 if bracket[0] in "[{" else -1 for bracket in re.finditer(r"[][{}]", text))
    return max(accumulate(steps, lambda depth, step: max(0, depth + step), initial=0))


def _repaired(text: str) -> Iterator[Any]:
    """Readings of a text that is no JSON as a whole, the strictest first."""
    starts = [match.start() for match in re.finditer(r"[\[{]", text)]
    for start in starts[:3]:
        yield _value(text[start:], exact=False)
    if starts:
        end = max(text.rfind("]"), text.rfind("}")) + 1
        yield _python(text[starts[0] : end])
        yield list(_objects(text, starts))


def _value(text: str, exact: bool = True) -> Any:
    for attempt in (text, _TRAILING.sub(r"\1", text)):
        try:
            value, end = json.JSONDecoder(strict=False).raw_decode(attempt)
        except (ValueError, RecursionError):
            continue
        if not exact or not attempt[end:].strip():
            return value
    return None


def _python(text: str) -> Any:
    """A Python literal, which is read as data and never run."""
    if len(text) > 20_000:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _objects(text: str, starts: list[int]) -> Iterator[Any]:
    """The smallest whole objects that hold an answer, in a text that is no JSON as a whole."""
    decoder, end = json.JSONDecoder(strict=False), 0
    for start in [at for at in starts if text[at] == "{"][:MOST_STARTS]:
        if start < end:
            continue
        try:
            value, end_of_value = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and _ANSWER_FIRST.search(text, start, end_of_value):
            yield value
            end = end_of_value


def _dicts(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The objects that are items, out of any nesting of lists and objects."""
    if depth > 6:
        return
    if isinstance(value, list | tuple):
        for one in value:
            yield from _dicts(one, depth + 1)
    elif isinstance(value, dict):
        inside = [one for one in value.values() if isinstance(one, list | dict | tuple) and _holds_dicts(one)]
        if inside and not _text(value, ANSWERS):
            for one in inside:
                yield from _dicts(one, depth + 1)
        else:
            yield value


def _holds_dicts(value: Any) -> bool:
    return isinstance(value, dict) or any(isinstance(one, dict | list) for one in value)


def _item(value: Mapping[str, Any]) -> ReplyItem | None:
    answer = _text(value, ANSWERS)
    if not answer:
        return None
    facts = value.get("facts")
    named = [facts] if isinstance(facts, str) else facts if isinstance(facts, list | tuple) else []
    return ReplyItem(
        _text(value, QUESTIONS),
        answer,
        _text(value, ("kind",))[:40].lower(),
        tuple(_plain(name)[:80] for name in named[:20] if isinstance(name, str)),
    )


def _text(value: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name, content in value.items():
        if isinstance(name, str) and name.lower() in names and isinstance(content, str):
            return _plain(content)
    return ""


def _plain(text: str) -> str:
    """One line, without control characters and lone surrogates."""
    text = text.encode("utf-8", "replace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
