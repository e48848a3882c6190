"""The phrases of every kind of question, read from the YAML files beside this one."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from random import Random
from typing import Any, Literal

import yaml

from llark.questions.grammar import GrammarError, Node, Said, Values, compile_line, every, say

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

    def question(self, values: Values, rng: Random) -> Said:
        if self.plain and rng.random() < PLAIN_SHARE:
            return _one(self.plain, values, rng)
        framed = self.framed and rng.random() < FRAMED_SHARE
        return _one(self.framed if framed else self.whole, values, rng)

    def answer(self, form: str, values: Values, rng: Random) -> Said:
        return _one(self.answers[form], values, rng)

    def every_question(self) -> Iterator[str]:
        """Every question, untidied, with its values left as `{name}`; may repeat."""
        for node in (*self.plain, *self.whole, *self.framed):
            yield from every(node)


def _one(lines: tuple[Node, ...], values: Values, rng: Random) -> Said:
    """A sentence of the first of the shuffled lines that can be said."""
    for line in rng.sample(lines, len(lines)):
        said = say(line, values, rng)
        if said is not None and said.text:
            return said
    raise GrammarError(f"no line can be said with {sorted(values)}")


@functools.cache
def phrases(kinds: Literal["basic", "all"] = "basic") -> Mapping[str, Phrases]:
    """Phrases by kind; for `all` with the lines of `MORE`. Raises `GrammarError` for an unusable file."""
    folder = resources.files("llark.questions") / "phrases"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name
    )
    texts = {file.name: yaml.safe_load(file.read_text("utf-8")) for file in files}
    shared, more = texts.pop(SHARED), texts.pop(MORE)
    found: dict[str, Phrases] = {}
    for name, page in texts.items():
        for slug, parts in page.items():
            if slug in found or parts.keys() - PARTS:
                raise GrammarError(f"{name}: {slug} comes twice or has parts other than {sorted(PARTS)}")
            found[slug] = _phrases(_with(parts, more.get(slug, {})) if kinds == "all" else parts, shared)
    if strange := more.keys() - found.keys():
        raise GrammarError(f"{MORE}: there are no kinds {sorted(strange)}")
    return found


def _with(parts: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a kind, with further questions and answers."""
    says = {form: [*lines, *more.get("say", {}).get(form, ())] for form, lines in parts["say"].items()}
    return {**parts, "ask": [*parts["ask"], *more.get("ask", ())], "say": says}


def _phrases(parts: Mapping[str, Any], shared: Mapping[str, Any]) -> Phrases:
    rules, frames = shared["rules"], shared["frames"]
    framed: list[str] = []
    for part, names in FRAMED.items():
        frame_lines = [line for name in names for line in frames[name]]
        for fragment in parts.get(part, ()):
            framed += [line.replace("{x}", fragment) for line in frame_lines]
    answers = {form: list(says) for form, says in parts["say"].items()}
    if "unknown" in parts:
        so = f", {parts['so']}" if "so" in parts else ""
        answers["unknown"] = [
            line.replace("{x}", parts["unknown"]).replace("{so}", so) for line in frames["unknown"]
        ]

    def compiled(some: list[str]) -> tuple[Node, ...]:
        return tuple(compile_line(line, rules) for line in some)

    return Phrases(
        plain=compiled(list(parts.get("plain", ()))),
        whole=compiled(parts["ask"]),
        framed=compiled(framed),
        answers={form: compiled(says) for form, says in answers.items()},
    )
