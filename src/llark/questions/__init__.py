"""What can be asked about an annotation: one module a family of kinds, each ends in KINDS.

This file says what a kind of question is, `facts.py` what is known of a clip. The words are in
`grammar.py` and `phrases/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from llark.music.mentions import Slots
from llark.questions.facts import Facts

UNDERSTANDING = "understanding"
CAPTIONING = "captioning"
REASONING = "reasoning"
FAMILIES = (UNDERSTANDING, CAPTIONING, REASONING)

CLIP = ("start_seconds", "end_seconds")
"""The fields of an annotation that say how long its clip is."""


@dataclass(frozen=True)
class Ask:
    """One thing asked and answered: the form of the answer (`known`, `yes`, `no`, `unknown` …) and the
    values of the sentence's `{names}`."""

    form: str
    values: dict[str, str] = field(default_factory=dict)

    def also(self, **values: str) -> Ask:
        """With further values."""
        return Ask(self.form, {**self.values, **values})


@dataclass(frozen=True)
class Slotted:
    """What a kind asks whose questions name something: one is drawn, and solved as if somebody asked it."""

    slots: tuple[str, ...]
    """The sorts of what its questions name; a sort that is named twice stands there twice."""
    draw: Callable[[Facts, Random], Slots | None]
    """What a question is to name; `None` where nothing makes sense."""
    solve: Callable[[Facts, Slots], Ask | None]
    """The answer to a question that names this, by the facts alone."""

    def __call__(self, facts: Facts, rng: Random) -> Ask | None:
        slots = self.draw(facts, rng)
        return None if slots is None else self.solve(facts, slots)


@dataclass(frozen=True)
class Kind:
    """A sort of question: what it asks of the facts of a clip, and how often it is asked."""

    slug: str
    """Its name, under which `phrases/` has its words: `key-yesno`."""
    task: str
    """Its family, one of `FAMILIES`."""
    facts: tuple[str, ...]
    """The fields of the annotation that its answers may rest on."""
    asks: Slotted | Callable[[Facts, Random], Ask | None]
    """What is asked and answered, drawn at random where there is a choice; see `ask`."""
    weight: float = 1.0
    """How often it is asked, relative to the other core kinds, or to the others that are none."""
    core: bool = False
    """Whether it is one of the few that evaluation asks, and that every clip is asked most."""

    def ask(self, facts: Facts, rng: Random) -> Ask | None:
        """One question about a clip. `None` where the facts are known but the question would make no sense;
        where they are not known, its form is `unknown`, and `{missing}` says which they are."""
        return self._answered(facts, lambda: self.asks(facts, rng))

    @property
    def slots(self) -> tuple[str, ...]:
        """The sorts of what its questions name."""
        return self.asks.slots if isinstance(self.asks, Slotted) else ()

    def answer(self, facts: Facts, slots: Slots, rng: Random) -> Ask | None:
        """The answer to somebody's question that names `slots`; `rng`: where there is a choice."""
        if isinstance(self.asks, Slotted):
            solve = self.asks.solve
            return self._answered(facts, lambda: solve(facts, slots))
        return self.ask(facts, rng)

    def _answered(self, facts: Facts, answer: Callable[[], Ask | None]) -> Ask | None:
        try:
            return answer()
        except FactMissing as error:
            return unknown(**error.values, missing=facts.missing(*self.facts))


class FactMissing(Exception):
    """A fact is not known without which the question can be asked, and cannot be answered."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__()
        self.values = values


Fact = TypeVar("Fact")
Say = Callable[[str], str]


def need(fact: Fact | None, **values: str) -> Fact:
    """A fact that the answer cannot do without. Raises `FactMissing` where it is `None`, or empty.

    `values` are those of the question's `{names}`.
    """
    if fact is None or fact == ():
        raise FactMissing(values)
    return fact


def unknown(**values: str) -> Ask:
    """Slotted, but unknown."""
    return Ask("unknown", values)


def known(**values: str) -> Ask:
    return Ask("known", values)


def yes_no(truth: bool, **values: str) -> Ask:
    return Ask("yes" if truth else "no", values)


def either(first: str, second: str, right: Sequence[bool], actual: str = "", say: Say = str) -> Ask:
    """Two choices and which of them is right: both or neither may be. `say`: how a choice is put in words."""
    values = {"first": say(first), "second": say(second)}
    if all(right) or not any(right):
        return Ask("both" if all(right) else "neither", {**values, "actual": actual})
    rightly, wrongly = (first, second) if right[0] else (second, first)
    return Ask("known", {**values, "right": say(rightly), "wrong": say(wrongly)})


def shuffled(rng: Random, right: str, wrong: str) -> tuple[str, ...]:
    """Two choices in random order."""
    return tuple(rng.sample((right, wrong), 2))


def weighted(rng: Random, weights: Sequence[tuple[str, float]]) -> str:
    """One name, drawn by its weight."""
    names, numbers = zip(*weights, strict=True)
    return rng.choices(names, numbers)[0]
