"""A teacher's reply, however it was written, as questions and answers.

What can be read is read: words and fences around the JSON, a list where an object was asked for, pairs and
objects of any shape, what is nearly JSON, a reply that was cut off in the middle (its whole answers count), a
talk of questions and answers.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any

from llark.llm.client import spoken

LONGEST_REPLY = 200_000
"""Characters of a reply that are looked at."""

DEEPEST = 100
"""Open brackets within each other up to which a reply is read as JSON. Readers that call themselves for each
bracket come to the end of Python's stack, where any object that is just then cleared away fails, too."""

MOST_ITEMS = 64
QUESTIONS = ("question", "q", "prompt", "instruction", "user", "human")
_REQUEST = re.compile(
    r"(?:what|which|who|how|when|where|why|is|are|does|do|can|describe|explain|tell|name|list)\b.*\s.*\s",
    re.IGNORECASE,
)
ANSWERS = ("answer", "a", "response", "caption", "text", "description", "output", "assistant")


@dataclass(frozen=True)
class ReplyItem:
    """One question and its answer as a reply gave them; empty strings and lists where it gave none."""

    question: str
    answer: str
    kind: str = ""
    facts: tuple[str, ...] = ()


def parse(text: str) -> tuple[ReplyItem, ...]:
    """The items of a reply, tidied; those without an answer are left out. Empty: it cannot be read."""
    text = spoken(text[:LONGEST_REPLY]).lstrip("\ufeff")
    if "&quot;" in text:
        text = html.unescape(text)
    is_json = _depth(text) <= DEEPEST
    if is_json and (items := _items(_value(text))):
        return items
    nearly = _items(list(NearlyJson(text).values())) if is_json else ()
    if not nearly and is_json and '\\"' in text:  # a string of JSON that lost its own quotes
        nearly = _items(list(NearlyJson(text.replace('\\"', '"')).values()))
    return max(nearly, tuple(islice(_talk(text), MOST_ITEMS)), key=len)


def _depth(text: str) -> int:
    """The most brackets that are open at once, those in strings included."""
    steps = (1 if bracket[0] in "[{(" else -1 for bracket in re.finditer(r"[][{}()]", text))
    return max(accumulate(steps, lambda depth, step: max(0, depth + step), initial=0))


def _value(text: str) -> Any:
    """The value of a text that is JSON; `None` where it is none."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


# --- items in values --------------------------------------------------------------------------------------


def _items(value: Any) -> tuple[ReplyItem, ...]:
    return tuple(islice(_found(value), MOST_ITEMS))


def _found(value: Any, depth: int = 0) -> Iterator[ReplyItem]:
    """The items in any nesting of lists, objects, and strings that hold JSON."""
    if depth > 6:
        return
    if isinstance(value, str):
        if value.lstrip()[:1] in ("{", "[") and _depth(value) <= DEEPEST:
            yield from _found(_value(value), depth + 1)
    elif isinstance(value, list | tuple):
        if len(value) == 2 and _asks(value[0]) and not _asks(value[1]):
            yield from _item(value[0], value[1])
        else:
            for one in _turns(value):
                yield from _found(one, depth + 1)
    elif isinstance(value, dict):
        own = list(_of_object(value))
        inside = [item for one in value.values() for item in _found(one, depth + 1)]
        yield from own if own and (own[0].question or not inside) else inside


def _turns(values: Sequence[Any]) -> Sequence[Any]:
    """The values; of a chat's turns each question with its answer."""
    for who, what in (("role", "content"), ("from", "value")):
        if len(values) > 1 and all(isinstance(one, dict) and {who, what} <= one.keys() for one in values):
            said = [one[what] for one in values if one[who] != "system"]
            return [{"question": q, "answer": a} for q, a in zip(said[::2], said[1::2], strict=False)]
    return values


def _of_object(value: Mapping[Any, Any]) -> Iterator[ReplyItem]:
    """The items of an object: its question and answer, several that are numbered, or answers by question."""
    questions = _texts(value, QUESTIONS, apart=True)
    answers = _texts(value, ANSWERS, apart=len(questions) > 1)
    if len(questions) > 1:
        for question, answer in zip(questions, answers, strict=False):
            yield from _item(question, answer)
    elif answers:
        facts = value.get("facts")
        named = [facts] if isinstance(facts, str) else facts if isinstance(facts, list | tuple) else []
        kind = "".join(_texts(value, ("kind",))[:1])[:40].lower()
        names = tuple(_plain(name)[:80] for name in named[:20] if isinstance(name, str))
        yield from _item("".join(questions), answers[0], kind, names)
    else:
        for key, answer in value.items():
            if _asks(key):
                yield from _item(key, answer)


def _asks(value: object) -> bool:
    return isinstance(value, str) and (value.rstrip().endswith("?") or bool(_REQUEST.match(value)))


def _item(question: str, answer: Any, kind: str = "", facts: tuple[str, ...] = ()) -> Iterator[ReplyItem]:
    """The item, if its answer has words."""
    if re.search(r"\w", said := _said(answer)):
        yield ReplyItem(_plain(question), said, kind, facts)


def _texts(value: Mapping[Any, Any], names: tuple[str, ...], *, apart: bool = False) -> list[str]:
    """What an object says under these names, numbered or in the plural; `apart`: each of a list alone."""
    said: list[str] = []
    for key, one in value.items():
        name = re.sub(r"[\W\d_]+$", "", str(key)).lower()
        if name in names or name.removesuffix("s") in names:
            said += map(_said, one if apart and isinstance(one, list) else [one])
    return [one for one in said if one]


def _said(value: Any) -> str:
    """An answer as one line of text, whether it is a text, a number, yes or no, or a list of them."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list | tuple):
        said = [_said(one) for one in value if not isinstance(one, dict | list)]
        return ", ".join(filter(None, said)) if len(said) == len(value) else ""
    if isinstance(value, dict):
        return "".join(_texts(value, ANSWERS)[:1]) or (_said(*value.values()) if len(value) == 1 else "")
    return "" if value is None or value != value else _plain(str(value))


def _plain(text: str) -> str:
    """One line, without control characters and lone surrogates."""
    text = text.encode("utf-8", "replace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


# --- what is nearly JSON ----------------------------------------------------------------------------------

_KEY = r"""["“'][^"“”'\n]{0,300}(?:["“”']\s*(?::|\Z)|\Z)|\w{1,40}\s*:"""
_SPACE = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_BETWEEN = re.compile(r"(?:[\s,;:]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_BARE = re.compile(r"""[^][{}(),:"“”\n]+""")
_BEHIND_KEY = re.compile(r"\s*[:=]")
_BEHIND_VALUE = re.compile(rf"\s*(?:\Z|[\]}})]|,\s*(?:\Z|[\]}})]|//|{_KEY})|{_KEY})")
_BEHIND_ITEM = re.compile(r"\s*(?:\Z|[\]})]|,)")
_CLOSED_BY = {'"': '"”', "'": "'", "“": '”“"', "”": '”"', "‘": "’'", "„": '“”"'}
_CUT = object()
"""Stands for a text without an end."""


class NearlyJson:
    """Reads objects and lists out of a text with whatever is around and wrong in them: brackets, commas and
    quotes that are missing or too many, other quotes, bare words. A text that does not end is left out."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def values(self) -> Iterator[Any]:
        """One object or list after the other."""
        while start := re.compile(r"[\[{]").search(self.text, self.at):
            self.at = start.start()
            yield self._any(_BEHIND_ITEM)

    def _any(self, behind: re.Pattern[str]) -> Any:
        """The value that begins here. `behind`: what follows the end of a text, so that a quote within one
        is told from its end."""
        letter = self.text[self.at : self.at + 1]
        if letter == "{":
            return self._object()
        if letter and letter in "[(":
            return self._list()
        if letter in _CLOSED_BY:
            return self._text(_CLOSED_BY[letter], behind)
        bare = _BARE.match(self.text, self.at)
        self.at = bare.end() if bare else self.at + 1
        word = bare[0].strip() if bare else ""
        return {"true": True, "false": False, "null": None, "none": None}.get(word.lower(), word)

    def _text(self, closing: str, behind: re.Pattern[str]) -> Any:
        begin = self.at + 1
        for quote in re.compile(rf"\\.|[{closing}]", re.DOTALL).finditer(self.text, begin):
            if quote[0][0] != "\\" and behind.match(self.text, quote.end()):
                self.at = quote.end()
                return re.sub(
                    r"\\(u[0-9a-fA-F]{4}|.)", _unescaped, self.text[begin : quote.start()], flags=re.DOTALL
                )
        self.at = len(self.text)
        return _CUT

    def _ended(self, closing: str) -> bool:
        """Whether the list or object ends here; its own bracket is read, another one is of what is around."""
        self.at = _BETWEEN.match(self.text, self.at).end()  # type: ignore[union-attr]
        letter = self.text[self.at : self.at + 1]
        self.at += bool(letter) and letter in closing
        return not letter or letter in "]})"

    def _list(self) -> list[Any]:
        self.at += 1
        values = []
        while not self._ended("])"):
            if (value := self._any(_BEHIND_ITEM)) is not _CUT:
                values.append(value)
        return values

    def _object(self) -> dict[str, Any]:
        self.at += 1
        values: dict[str, Any] = {}
        while not self._ended("}"):
            key = self._any(_BEHIND_KEY)
            self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.text[self.at : self.at + 1] not in (":", "="):
                continue
            self.at = _SPACE.match(self.text, self.at + 1).end()  # type: ignore[union-attr]
            if (value := self._any(_BEHIND_VALUE)) is not _CUT:
                values[str(key)] = value
        return values


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else {"n": "\n", "t": "\t", "r": "\r"}.get(code, code)


# --- a talk -----------------------------------------------------------------------------------------------

_LABEL = re.compile(
    r"(?:\d{1,3}[.)]\s*)?(?P<who>q|question|a|answer)\s{0,3}\d{0,3}\s{0,3}(?:[:.)]+\s*(?P<said>.*)|$)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\d{1,3}[.)]\s*(?P<said>[^?]+\?)[\s:–—-]*(?P<rest>.*)")
_ROW = re.compile(r"(?P<q>[^|]+\?)\s*\|(?P<a>[^|]+)")
_FIELD = re.compile(r"(?:kind|facts)\s*:", re.IGNORECASE)
_BOLD = re.compile(r"(?m)^[ \t>-]*(?:\*\*|#{1,6}[ \t]+)(?!\d|q)([^*\n]+\?)(?:\*\*)?", re.IGNORECASE)
_TAG = re.compile(r"<(/?)(question|answer)>", re.IGNORECASE)
_ON_ONE_LINE = re.compile(r"\s(?=(?:A|Answer)\s?\d{0,3}:\s)")


def _talk(text: str) -> Iterator[ReplyItem]:
    """Questions and answers of a talk: lines that begin with "Q:" and "A:", numbered questions with their
    answers below, rows of a table."""
    text = _BOLD.sub(r"0. \1 ", text).replace("*", "").replace("__", "")
    text = _TAG.sub(lambda tag: "\n" if tag[1] else f"\n{tag[2]}: ", text)
    question, answer, who = "", "", ""
    for line in [*_ON_ONE_LINE.sub("\n", text).splitlines(), "Q:"]:
        line = line.strip(" \t#>-–•|`")
        label, numbered, row = (one.fullmatch(line) for one in (_LABEL, _NUMBERED, _ROW))
        said = ((label or numbered or {"said": ""})["said"] or "").strip("\"'“”")
        if row:
            yield from _item(row["q"], row["a"])
        elif numbered or (label and label["who"][0] in "qQ"):
            yield from _item(question, answer) if question else ()
            question, answer = said, numbered["rest"] if numbered else ""
            who = "q" if not numbered else "a"
        elif label:
            answer, who = said, "a"
        elif not line or line[0] in "[]{}<" or _FIELD.match(line):
            who = "" if answer else who
        elif who == "a":
            answer = f"{answer} {line}"
        elif who == "q" and not question:
            question = line
