"""The words of every kind of question: a small generative grammar, and the YAML files that are written in it.

One line of the grammar stands for many sentences:

    [a|b|c]        one of these (an empty choice, `[a|]`, makes it optional)
    <name>         a shared rule
    {name}         a value, filled in when the sentence is made
    (a // b)       the first of these whose values are all known; nothing where none is
    a~ {name}      `a` or `an`, as the next word asks

Groups nest. A choice passes over alternatives whose values are not known.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from random import Random
from typing import Any, Literal

import yaml

Values = Mapping[str, str]

TOKEN = re.compile(r"//|[\[\]|()]|<[a-z_]+>|\{[a-z_0-9]+\}|[^\[\]|()<>{}/]+|/")
AN = re.compile(r"\b([Aa])~ (\S+)")
SAID_WITH_VOWEL = re.compile(r"(?:8|11\b|18\b|[aeio]|un(?!i)|[AEF](?:[#b]?\b))", re.ASCII)


@dataclass(frozen=True)
class Value:
    """`{name}`."""

    name: str


@dataclass(frozen=True)
class AnyOf:
    """`[a|b]`: any of them."""

    options: tuple[Node, ...]


@dataclass(frozen=True)
class FirstKnown:
    """`(a // b)`: the first that can be said."""

    options: tuple[Node, ...]


@dataclass(frozen=True)
class Chain:
    """Parts that follow each other."""

    parts: tuple[Node, ...]


Node = str | Value | AnyOf | FirstKnown | Chain
Rules = Mapping[str, Node]


class GrammarError(ValueError):
    """A line of the grammar that cannot be read: a fault of the package, not of the user."""


def compile_rules(lines: Mapping[str, str]) -> Rules:
    """The trees of the shared rules, each of which may hold those before it."""
    rules: dict[str, Node] = {}
    for name, line in lines.items():
        rules[name] = compile_line(line, rules)
    return rules


def compile_line(line: str, rules: Rules) -> Node:
    """The tree of one line, with its `<rules>` put in. Raises `GrammarError` for any other line."""
    tokens = TOKEN.findall(line)
    if "".join(tokens) != line:
        raise GrammarError(f"a stray bracket in {line!r}")
    reader = _Reader(line, tokens, rules)
    node = reader.chain(())
    if reader.at < len(tokens):
        raise GrammarError(f"{tokens[reader.at]!r} closes nothing in {line!r}")
    return node


class _Reader:
    """Recursive descent over the tokens of one line."""

    def __init__(self, line: str, tokens: Sequence[str], rules: Rules) -> None:
        self.line, self.tokens, self.rules = line, tokens, rules
        self.at = 0

    def chain(self, stops: tuple[str, ...]) -> Node:
        """Reads up to (not over) one of these tokens or a closing one, or to the end."""
        parts: list[Node] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token in (*stops, "]", ")"):
                break
            self.at += 1
            parts.append(self.part(token))
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))

    def part(self, token: str) -> Node:
        if token == "[":
            return AnyOf(self.options("|", "]"))
        if token == "(":
            return FirstKnown(self.options("//", ")"))
        if token.startswith("{"):
            return Value(token[1:-1])
        if token.startswith("<"):
            if token[1:-1] not in self.rules:
                rules = ", ".join(sorted(self.rules))
                raise GrammarError(f"no rule {token} for {self.line!r}; rules: {rules}")
            return self.rules[token[1:-1]]
        return token

    def options(self, separator: str, close: str) -> tuple[Node, ...]:
        options = [self.chain((separator,))]
        while self.at < len(self.tokens) and self.tokens[self.at] == separator:
            self.at += 1
            options.append(self.chain((separator,)))
        if self.at == len(self.tokens) or self.tokens[self.at] != close:
            raise GrammarError(f"{close!r} is missing in {self.line!r}")
        self.at += 1
        return tuple(options)


@dataclass(frozen=True)
class Sentence:
    """A sentence, and the names of the values in it."""

    text: str
    used: frozenset[str]


def say(node: Node, values: Values, rng: Random) -> Sentence | None:
    """One sentence of the tree, tidied; None where a value it cannot do without is missing."""
    used: list[str] = []
    text = _say(node, values, rng, used)
    return None if text is None else Sentence(tidy(text), frozenset(used))


def _say(node: Node, values: Values, rng: Random, used: list[str]) -> str | None:
    if isinstance(node, str):
        return node
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
    options = rng.sample(node.options, len(node.options)) if isinstance(node, AnyOf) else node.options
    for option in options:
        text = _say(option, values, rng, used)
        if text is not None:
            return text
        del used[before:]
    return "" if isinstance(node, FirstKnown) else None


def tidy(text: str) -> str:
    """Single spaces, none before a stop, `a`/`an` as it sounds, a capital at the start of each sentence."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([.,?!;:])", r"\1", text)
    text = AN.sub(_article, text)
    return re.sub(r"(^|[.?!] )([a-z])", lambda match: match[1] + match[2].upper(), text)


def _article(match: re.Match[str]) -> str:
    article, word = match.groups()
    return f"{article}{'n' if SAID_WITH_VOWEL.match(word) else ''} {word}"


# --- the phrases of every kind ----------------------------------------------------------------------------

PLAIN_SHARE = 0.35
"""How often a kind that has plain phrasings is asked in one of them: the way most people ask."""

FRAMED_SHARE = 0.35
"""How often, otherwise, a question is a fragment in a frame (`Can you tell me {x}?`)."""

SHARED, MORE = "words.yaml", "more.yaml"
FRAMED = {"of": ("of", "how"), "ofs": ("ofs", "how"), "how": ("how",)}
"""Which frames each sort of fragment goes into."""

PARTS = {"plain", "ask", "of", "ofs", "how", "say", "unknown", "so"}


@dataclass(frozen=True)
class Phrases:
    """All that can be said for one kind: its questions (plain, whole, framed), and answers by their form."""

    plain: tuple[Node, ...]
    whole: tuple[Node, ...]
    framed: tuple[Node, ...]
    answers: Mapping[str, tuple[Node, ...]]

    def question(self, values: Values, rng: Random) -> Sentence:
        if self.plain and rng.random() < PLAIN_SHARE:
            return _one(self.plain, values, rng)
        framed = self.framed and rng.random() < FRAMED_SHARE
        return _one(self.framed if framed else self.whole, values, rng)

    def answer(self, form: str, values: Values, rng: Random) -> Sentence:
        return _one(self.answers[form], values, rng)


def _one(lines: tuple[Node, ...], values: Values, rng: Random) -> Sentence:
    """A sentence of the first of the shuffled lines that can be said."""
    for line in rng.sample(lines, len(lines)):
        sentence = say(line, values, rng)
        if sentence is not None and sentence.text:
            return sentence
    raise GrammarError(f"no line can be said with {sorted(values)}")


@functools.cache
def phrases(kinds: Literal["basic", "all"] = "basic") -> Mapping[str, Phrases]:
    """Phrases by kind; for `all` with the lines of `MORE`. Raises `GrammarError` for an unusable file."""
    pages = dict(_pages())
    shared, further = pages.pop(SHARED), pages.pop(MORE)
    rules = compile_rules(shared["rules"])
    by_kind: dict[str, Phrases] = {}
    for name, page in sorted(pages.items()):
        for slug, parts in page.items():
            if slug in by_kind or parts.keys() - PARTS:
                raise GrammarError(f"{name}: {slug} comes twice or has parts other than {sorted(PARTS)}")
            more = further.get(slug, {}) if kinds == "all" else {}
            by_kind[slug] = _phrases(parts, more, shared["frames"], rules)
    if strange := further.keys() - by_kind.keys():
        raise GrammarError(f"{MORE}: there are no kinds {sorted(strange)}")
    return by_kind


def _pages() -> Iterator[tuple[str, Any]]:
    for file in (resources.files("llark.questions") / "phrases").iterdir():
        if file.name.endswith(".yaml"):
            yield file.name, yaml.safe_load(file.read_text("utf-8"))


@functools.cache
def asides() -> Rules:
    """What is said beside the answers of any kind, by name."""
    return compile_rules(dict(_pages())[SHARED]["asides"])


def _phrases(
    parts: Mapping[str, Any], more: Mapping[str, Any], frames: Mapping[str, list[str]], rules: Rules
) -> Phrases:
    """The parts of a kind, with further questions and answers."""
    framed = [
        line.replace("{x}", fragment)
        for part, names in FRAMED.items()
        for fragment in parts.get(part, ())
        for name in names
        for line in frames[name]
    ]
    answers = {form: [*lines, *more.get("say", {}).get(form, ())] for form, lines in parts["say"].items()}
    if "unknown" in parts:
        so = f", {parts['so']}" if "so" in parts else ""
        lines = frames["unknown"]
        answers["unknown"] = [line.replace("{x}", parts["unknown"]).replace("{so}", so) for line in lines]

    def compiled(lines: Iterable[str]) -> tuple[Node, ...]:
        return tuple(compile_line(line, rules) for line in lines)

    return Phrases(
        plain=compiled(parts.get("plain", ())),
        whole=compiled([*parts["ask"], *more.get("ask", ())]),
        framed=compiled(framed),
        answers={form: compiled(lines) for form, lines in answers.items()},
    )
