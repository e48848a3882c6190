"""The offline teacher: exchanges about a clip from its annotation, by grammar and music theory alone.

It says only what the annotation says. Where that is silent, it answers that it cannot tell.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from llark import engine, questions
from llark.instruct import Source
from llark.questions import advice, caption
from llark.questions.facts import Facts
from llark.questions.grammar import Sentence, phrases
from llark.questions.kinds import BASIC_KINDS, TAUGHT_KINDS
from llark.records import Annotation, Dropped, Exchange
from llark.storage.stages import StageWriter

TEACHER = "offline-2"

KINDS = tuple(kind.slug for kind in TAUGHT_KINDS)
"""Names of the kinds of question."""

CORE_KINDS = tuple(kind.slug for kind in TAUGHT_KINDS if kind.core)
"""The kinds that evaluation asks, and what a clip is asked that gets one exchange only."""

CORE_SHARES = {"basic": 0.6, "all": 0.35}
"""How often a core kind is asked; where all kinds are taught, there is more beside them."""

UNKNOWN_CORE = 0.5
UNKNOWN_OTHER = 0.1
"""How readily a question is kept whose answer is that it is unknown, in core kinds and in others."""

CASUAL_SHARE = 0.06
"""How often a training question is typed without its capital and its question mark."""

CLIP_NOUNS = ("clip", "recording", "piece", "track", "music", "song", "excerpt", "audio")
"""What a question and its answer call the clip."""

NOTE = re.compile("[A-G]b?")

CAPTION_TRIES = 40
"""Drafts of a caption before one is taken that uses fewer than two facts."""

TRIES = 12
"""Draws for one exchange before the teacher stops: a clip of which little is known has few questions."""


@dataclass(frozen=True)
class OfflineConfig:
    """What the exchanges of the offline teacher depend on, beside the facts."""

    most: int = 12
    """Exchanges a clip, at the most."""
    seed: int = 0
    purpose: str = "train"
    """What they are for (`train`, `test` …): each gets other questions. Only `train` is typed casually."""
    say_unknown: bool | Literal["drums"] = True
    """Also ask what the annotation does not know, so that the model learns to say so. `drums` does so only
    where nothing but drums sounds: a truth may be silent about a key that may well sound."""
    families: tuple[str, ...] = questions.FAMILIES
    """Families of questions that are asked."""
    kinds: Literal["basic", "all"] = "all"
    """`basic`: short questions on the main facts. `all`: those at more length and about more facts, too."""

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most is {self.most}; a clip needs at least 1 exchange")


class OfflineTeacher:
    """A teacher, and the step that it runs: what is known of a clip → exchanges and drops."""

    name = "instruct"

    def __init__(self, config: OfflineConfig | None = None, workers: int = 0) -> None:
        self.config = OfflineConfig() if config is None else config
        self.workers = workers

    @property
    def settings(self) -> dict[str, Any]:
        config = self.config
        page = {"teacher": TEACHER, "families": config.families, "seed": config.seed}
        return page | {"most": config.most, "say_unknown": config.say_unknown}

    def teach(self, sources: Iterable[Source], writer: StageWriter, *, progress: bool = True) -> engine.Tally:
        timeout_seconds = 60 if self.workers else None
        return engine.run(
            self, sources, writer, workers=self.workers, timeout_seconds=timeout_seconds, progress=progress
        )

    def id_of(self, record: Source) -> str:
        return record.id

    def open(self) -> None:
        phrases(self.config.kinds)

    def __call__(self, record: Source) -> Iterator[Exchange | Dropped]:
        """Up to `most` exchanges; a `Dropped` for a key that is none, or a clip without length."""
        annotation = record.annotation
        length = annotation.end_seconds - annotation.start_seconds
        if not length > 0:
            detail = f"the annotation covers {length:g} seconds; a clip ends after it starts"
            yield Dropped(record.id, self.name, "no-length", detail)
            return
        try:
            exchanges = teach(annotation, self.config)
        except ValueError as error:
            yield Dropped(record.id, self.name, "unreadable-annotation", str(error))
            return
        for exchange in exchanges:
            yield replace(exchange, **record.provenance(exchange.facts))

    def cost(self) -> tuple[None, dict[str, int]]:
        return None, {}


def teach(annotation: Annotation, config: OfflineConfig) -> list[Exchange]:
    """Up to `config.most` exchanges about one clip, no question twice, a fixed share of core kinds.

    Where none of the families has a core kind, any kind takes its turn.
    """
    rng = Random(_digest(annotation.clip_id, config.seed, config.purpose))
    facts, kinds, share = Facts(annotation), kinds_of(config), CORE_SHARES[config.kinds]
    core = _endless([kind for kind in kinds if kind.core] or kinds, rng)
    other = _endless([kind for kind in kinds if not kind.core] or kinds, rng)
    phase = rng.random()
    say_unknown = bool(config.say_unknown)
    if config.say_unknown == "drums":
        say_unknown = annotation.instruments.labels == ("drums",)
    by_question: dict[str, Exchange] = {}
    for place in range(config.most):
        # A core kind takes its turn each time that the running total of their share passes a whole number.
        total = place * share + phase
        is_core = config.most == 1 or math.floor(total + share) > math.floor(total)
        for _ in range(TRIES):
            kind = next(core if is_core else other)
            asked = kind.ask(facts, rng)
            if asked is None or not _is_wanted(kind, asked, say_unknown, rng):
                continue
            exchange = exchange_of(facts, kind, asked, rng, config)
            if exchange.question not in by_question:
                by_question[exchange.question] = exchange
                break
    return list(by_question.values())


def kinds_of(config: OfflineConfig) -> list[questions.Kind]:
    kinds = TAUGHT_KINDS if config.kinds == "all" else BASIC_KINDS
    return [kind for kind in kinds if kind.task in config.families]


def _digest(clip_id: str, seed: int, purpose: str) -> bytes:
    """A seed that differs for every clip, seed and purpose, and is the same on every machine."""
    return hashlib.sha256(f"{clip_id}\0{seed}\0{purpose}".encode()).digest()


def _endless(kinds: list[questions.Kind], rng: Random) -> Iterator[questions.Kind]:
    """Rounds of all kinds, each round in an order drawn by weight."""
    while True:
        yield from sorted(kinds, key=lambda kind: rng.random() ** (1 / kind.weight), reverse=True)


def _is_wanted(kind: questions.Kind, asked: questions.Ask, say_unknown: bool, rng: Random) -> bool:
    if asked.form == "partial":
        return say_unknown
    if asked.form != "unknown":
        return True
    return say_unknown and rng.random() < (UNKNOWN_CORE if kind.core else UNKNOWN_OTHER)


def exchange_of(
    facts: Facts, kind: questions.Kind, asked: questions.Ask, rng: Random, config: OfflineConfig
) -> Exchange:
    """What is asked and answered, in words."""
    wording = phrases(config.kinds)[kind.slug]
    values = {"clip": rng.choice(CLIP_NOUNS), **asked.values}
    question = wording.question(values, rng).text
    if rng.random() < (CASUAL_SHARE if config.purpose == "train" else 0.0):
        question = _casual(question)
    for _ in range(CAPTION_TRIES):
        answer = wording.answer(asked.form, values, rng)
        rests_on = _rests_on(facts, kind, asked, answer)
        if kind.task != questions.CAPTIONING or asked.form != "known" or len(rests_on) >= caption.LEAST_FACTS:
            break
    clip_id = facts.annotation.clip_id
    return Exchange(clip_id, question, answer.text, kind.task, kind.slug, TEACHER, rests_on)


def _rests_on(facts: Facts, kind: questions.Kind, asked: questions.Ask, answer: Sentence) -> tuple[str, ...]:
    """Fields of the annotation: for captions and advice those of the values in it, else those of its kind."""
    if asked.form == "unknown":
        return kind.facts
    known = tuple(fact for fact in kind.facts if facts.knows(fact))
    if kind.task != questions.CAPTIONING and kind not in advice.KINDS:
        return known
    used_facts = {fact for name in answer.used for fact in caption.FACTS_OF.get(name, ())}
    used = tuple(fact for fact in known if fact in used_facts)
    return known if kind.task != questions.CAPTIONING and not used else used


def _casual(question: str) -> str:
    """`What key is this in?` → `what key is this in`; a name at the start keeps its capital."""
    first, _, rest = question.partition(" ")
    plain = first.lower() if first.isalpha() and not first.isupper() and not NOTE.fullmatch(first) else first
    return f"{plain} {rest}".strip().rstrip("?.")
