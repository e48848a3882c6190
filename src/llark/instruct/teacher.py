"""The offline teacher: exchanges about a clip from its annotation, by grammar and music theory alone.

It says only what the annotation says. Where that is silent, it answers that it cannot tell.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from random import Random

from llark.questions import advice, caption, form, harmony, rhythm, sound, timing, tonal
from llark.questions.grammar import Said
from llark.questions.kind import CAPTIONING, REASONING, UNDERSTANDING, Ask, Kind
from llark.questions.known import Facts
from llark.questions.phrasing import phrases
from llark.records import Annotation, Exchange

TEACHER = "offline-1"
GROWN_TEACHER = "offline-2"
"""The first teacher, and the one with more kinds: at more length, and about more facts."""

FAMILIES = (UNDERSTANDING, CAPTIONING, REASONING)
FIRST_KINDS = (*rhythm.KINDS, *harmony.KINDS, *sound.KINDS, *caption.KINDS, *tonal.KINDS, *timing.KINDS)
ALL_KINDS = (*FIRST_KINDS, *form.KINDS, *advice.KINDS)
BY_SLUG = {kind.slug: kind for kind in ALL_KINDS}

KINDS = tuple(BY_SLUG)
"""Names of the kinds of question."""

CORE_KINDS = tuple(kind.slug for kind in ALL_KINDS if kind.core)
"""The kinds that evaluation asks, and what a clip is asked that gets one exchange only."""

CORE_SHARE, GROWN_CORE_SHARE = 0.6, 0.35
"""How often a core kind is asked; where all kinds are taught, there is more beside them."""

UNKNOWN_CORE = 0.5
UNKNOWN_OTHER = 0.1
"""How readily a question is kept whose answer is that it cannot be told, in core kinds and in others."""

CASUAL_SHARE = 0.06
"""How often a training question is typed without its capital and its question mark."""

CLIP_NOUNS = ("clip", "recording", "piece", "track", "music", "song", "excerpt", "audio")
"""What a question and its answer call the clip."""

NOTE = re.compile("[A-G]b?")

CAPTION_TRIES = 40
"""Drafts of a caption before one is taken that uses fewer than two facts."""

TRIES = 12
"""Draws for one exchange before the teacher stops: a clip of which little is known has few questions."""


def teach(
    annotation: Annotation,
    *,
    clip_id: str | None = None,
    most: int,
    seed: int,
    purpose: str = "train",
    say_unknown: bool = True,
    kinds: Sequence[Kind] = FIRST_KINDS,
) -> list[Exchange]:
    """Up to `most` exchanges about one clip, no question twice, three in five of core kinds.
    `kinds`: see `kinds_of`; where none of them is a core kind, any takes its turn.
    """
    clip_id = annotation.clip_id if clip_id is None else clip_id
    rng = Random(_digest(clip_id, seed, purpose))
    facts = Facts(annotation)
    grown = not set(kinds) <= set(FIRST_KINDS)
    share = GROWN_CORE_SHARE if grown else CORE_SHARE
    core = _endless([kind for kind in kinds if kind.core] or list(kinds), rng)
    other = _endless([kind for kind in kinds if not kind.core] or list(kinds), rng)
    phase = rng.random()
    casual = CASUAL_SHARE if purpose == "train" else 0.0
    found: dict[str, Exchange] = {}
    for place in range(most):
        is_core = most == 1 or _rises(place * share + phase, share)
        for _ in range(TRIES):
            kind = next(core if is_core else other)
            asked = kind.ask(facts, rng)
            if asked is None or not _kept(kind, asked, say_unknown, rng):
                continue
            exchange = replace(_exchange(facts, kind, asked, rng, (casual, grown)), clip_id=clip_id)
            if exchange.question not in found:
                found[exchange.question] = exchange
                break
    return list(found.values())


def kinds_of(families: Collection[str] = FAMILIES, grown: bool = False) -> tuple[Kind, ...]:
    """The kinds of some families: the first ones, or, `grown`, all.

    The first ones ask about the facts of `wording.describe_facts` and few others.
    """
    return tuple(kind for kind in (ALL_KINDS if grown else FIRST_KINDS) if kind.task in families)


def ask_all(annotation: Annotation, seed: int, *, clip_id: str | None = None) -> list[Exchange]:
    """One exchange of each kind that makes sense for this clip, in the order of `KINDS`, for evaluation.

    Facts that are not known are asked too; the right answer is then that it cannot be told.
    """
    clip_id = annotation.clip_id if clip_id is None else clip_id
    facts = Facts(annotation)
    exchanges = []
    for kind in ALL_KINDS:
        rng = Random(_digest(clip_id, seed, f"ask_all {kind.slug}"))
        asked = kind.ask(facts, rng)
        if asked is not None:
            exchanges.append(replace(_exchange(facts, kind, asked, rng), clip_id=clip_id))
    return exchanges


def _rises(total: float, share: float) -> bool:
    """Whether a running total passes a whole number when it grows by the core share."""
    return math.floor(total + share) > math.floor(total)


def _digest(clip_id: str, seed: int, purpose: str) -> bytes:
    """A seed that differs for every clip, seed and purpose, and is the same on every machine."""
    return hashlib.sha256(f"{clip_id}\0{seed}\0{purpose}".encode()).digest()


def _endless(kinds: list[Kind], rng: Random) -> Iterator[Kind]:
    """Rounds of all kinds, each round in an order drawn by weight."""
    while True:
        yield from sorted(kinds, key=lambda kind: rng.random() ** (1 / kind.weight), reverse=True)


def _kept(kind: Kind, asked: Ask, say_unknown: bool, rng: Random) -> bool:
    if asked.form == "partial":
        return say_unknown
    if asked.form != "unknown":
        return True
    return say_unknown and rng.random() < (UNKNOWN_CORE if kind.core else UNKNOWN_OTHER)


def _exchange(
    facts: Facts, kind: Kind, asked: Ask, rng: Random, manner: tuple[float, bool] = (0.0, False)
) -> Exchange:
    """`manner`: how often a question is typed casually, and whether the grown teacher speaks."""
    casual, grown = manner
    wording = phrases(grown)[kind.slug]
    values = {"clip": rng.choice(CLIP_NOUNS), **asked.values}
    question = wording.question(values, rng).text
    if rng.random() < casual:
        question = _casual(question)
    for _ in range(CAPTION_TRIES):
        answer = wording.answer(asked.form, values, rng)
        rests_on = _rests_on(facts, kind, asked, answer)
        if kind.task != CAPTIONING or asked.form != "known" or len(rests_on) >= caption.LEAST_FACTS:
            break
    return Exchange(
        clip_id=facts.annotation.clip_id,
        question=question,
        answer=answer.text,
        task=kind.task,
        kind=kind.slug,
        teacher=GROWN_TEACHER if grown else TEACHER,
        facts=rests_on,
    )


def _rests_on(facts: Facts, kind: Kind, asked: Ask, answer: Said) -> tuple[str, ...]:
    """Fields of the annotation: for captions and advice those of the values in it, else those of its kind."""
    if asked.form == "unknown":
        return kind.facts
    known = tuple(fact for fact in kind.facts if facts.knows(fact))
    if kind.task != CAPTIONING and kind not in advice.KINDS:
        return known
    said = {fact for name in answer.used for fact in caption.FACTS_OF.get(name, ())}
    found = tuple(fact for fact in known if fact in said)
    return known if kind.task != CAPTIONING and not found else found


def _casual(question: str) -> str:
    """`What key is this in?` → `what key is this in`; a name at the start keeps its capital."""
    first, _, rest = question.partition(" ")
    plain = first.lower() if first.isalpha() and not first.isupper() and not NOTE.fullmatch(first) else first
    return f"{plain} {rest}".strip().rstrip("?.")
