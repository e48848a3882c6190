"""A small generative grammar: one line of it stands for many sentences.

    [a|b|c]        one of these (an empty choice, `[a|]`, makes it optional)
    <name>         a shared rule
    {name}         a value, filled in when the sentence is made
    (a // b)       the first of these whose values are all known; nothing where none is
    a~ {name}      `a` or `an`, as the next word asks

Groups nest. A choice passes over alternatives whose values are not known.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

Values = Mapping[str, str]
Rules = Mapping[str, str]

TOKEN = re.compile(r"//|[\[\]|()]|<[a-z_]+>|\{[a-z_]+\}|[^\[\]|()<>{}/]+|/")
AN = re.compile(r"\b([Aa])~ (\S+)")
SAID_WITH_VOWEL = re.compile(r"(?:8|11\b|18\b|[aeio]|un(?!i)|[AEF](?:[#b]?\b))", re.ASCII)


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Value:
    name: str


@dataclass(frozen=True)
class Choice:
    """`[a|b]`: any of them."""

    options: tuple[Node, ...]


@dataclass(frozen=True)
class Known:
    """`(a // b)`: the first that can be said."""

    options: tuple[Node, ...]


@dataclass(frozen=True)
class Chain:
    parts: tuple[Node, ...]


Node = Text | Value | Choice | Known | Chain


class GrammarError(ValueError):
    """A line of the grammar that cannot be read: a fault of the package, not of the user."""


def compile_line(line: str, rules: Rules) -> Node:
    """The tree of one line, with its `<rules>` resolved. Raises `GrammarError` for any other line."""
    return _compile(line, tuple(sorted(rules.items())))


@functools.cache
def _compile(line: str, rules: tuple[tuple[str, str], ...]) -> Node:
    tokens = TOKEN.findall(line)
    if "".join(tokens) != line:
        raise GrammarError(f"a stray bracket in {line!r}")
    reader = _Reader(line, tokens, dict(rules), rules)
    node = reader.chain(stop="")
    if reader.at < len(tokens):
        raise GrammarError(f"{tokens[reader.at]!r} closes nothing in {line!r}")
    return node


class _Reader:
    """Recursive descent over the tokens of one line."""

    def __init__(
        self, line: str, tokens: Sequence[str], rules: Rules, key: tuple[tuple[str, str], ...]
    ) -> None:
        self.line, self.tokens, self.rules, self.key = line, tokens, rules, key
        self.at = 0

    def chain(self, stop: str) -> Node:
        """Reads up to (not over) a token of `stop`, or to the end where `stop` is empty."""
        parts: list[Node] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token and (token in stop.split() or token in "])"):
                break
            self.at += 1
            parts.append(self.part(token))
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))

    def part(self, token: str) -> Node:
        if token == "[":
            return Choice(self.options("|", "]"))
        if token == "(":
            return Known(self.options("//", ")"))
        if token.startswith("{"):
            return Value(token[1:-1])
        if token.startswith("<"):
            name = token[1:-1]
            if name not in self.rules:
                raise GrammarError(
                    f"no rule {token} for {self.line!r}; rules: {', '.join(sorted(self.rules))}"
                )
            return _compile(self.rules[name], self.key)
        return Text(token)

    def options(self, separator: str, close: str) -> tuple[Node, ...]:
        options = [self.chain(f"{separator} {close}")]
        while self.at < len(self.tokens) and self.tokens[self.at] == separator:
            self.at += 1
            options.append(self.chain(f"{separator} {close}"))
        if self.at == len(self.tokens) or self.tokens[self.at] != close:
            raise GrammarError(f"{close!r} is missing in {self.line!r}")
        self.at += 1
        return tuple(options)


@dataclass(frozen=True)
class Said:
    """A sentence, and the names of the values in it."""

    text: str
    used: frozenset[str]


def say(node: Node, values: Values, rng: Random) -> Said | None:
    """One sentence of the tree, tidied; None where a value it cannot do without is missing."""
    used: list[str] = []
    text = _say(node, values, rng, used)
    return None if text is None else Said(tidy(text), frozenset(used))


def _say(node: Node, values: Values, rng: Random, used: list[str]) -> str | None:
    if isinstance(node, Text):
        return node.text
    if isinstance(node, Value):
        used.append(node.name)
        return values.get(node.name)
    if isinstance(node, Chain):
        parts = []
        for part in node.parts:
            text = _say(part, values, rng, used)
            if text is None:
                return None
            parts.append(text)
        return "".join(parts)
    before = len(used)
    options = rng.sample(node.options, len(node.options)) if isinstance(node, Choice) else node.options
    for option in options:
        text = _say(option, values, rng, used)
        if text is not None:
            return text
        del used[before:]
    return "" if isinstance(node, Known) else None


def every(node: Node) -> Iterator[str]:
    """Every sentence of the tree, with its values left as `{name}`; not tidied, may repeat."""
    if isinstance(node, Text):
        yield node.text
    elif isinstance(node, Value):
        yield f"{{{node.name}}}"
    elif isinstance(node, Chain):
        for parts in itertools.product(*(tuple(every(part)) for part in node.parts)):
            yield "".join(parts)
    else:
        for option in node.options:
            yield from every(option)


def tidy(text: str) -> str:
    """Single spaces, none before a stop, `a`/`an` as it sounds, a capital at the start of each sentence."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([.,?!;:])", r"\1", text)
    text = AN.sub(_article, text)
    return re.sub(r"(^|[.?!] )([a-z])", lambda found: found[1] + found[2].upper(), text)


def _article(found: re.Match[str]) -> str:
    article, word = found.groups()
    return f"{article}{'n' if SAID_WITH_VOWEL.match(word) else ''} {word}"
