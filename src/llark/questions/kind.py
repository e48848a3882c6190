"""What a kind of question is: which facts it rests on, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from llark.questions.known import Facts

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


@dataclass(frozen=True)
class Kind:
    """A sort of question.

    `ask` gives None where the facts are known but the question would make no sense; where they are not known
    it gives the form `unknown`. `facts` are fields of the annotation; `weight` is relative, among core kinds
    or among the others.
    """

    slug: str
    task: str
    facts: tuple[str, ...]
    ask: Callable[[Facts, Random], Ask | None]
    weight: float = 1.0
    core: bool = False


def unknown(**values: str) -> Ask:
    """Asked, but it cannot be told."""
    return Ask("unknown", values)


def known(**values: str) -> Ask:
    return Ask("known", values)


def yes_no(truth: bool, **values: str) -> Ask:
    return Ask("yes" if truth else "no", values)


def either(rng: Random, right: str, wrong: str) -> dict[str, str]:
    """Two choices in random order, and which of them is right."""
    first, second = rng.sample((right, wrong), 2)
    return {"first": first, "second": second, "right": right, "wrong": wrong}


def weighted(rng: Random, weights: Sequence[tuple[str, float]]) -> str:
    """One name, drawn by its weight."""
    names, numbers = zip(*weights, strict=True)
    drawn: str = rng.choices(names, numbers)[0]
    return drawn
