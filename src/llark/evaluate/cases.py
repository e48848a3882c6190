"""What is asked about a test set, and what of it a model is given under each condition."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from llark.records import Annotation

AUDIO, FACTS = "audio", "facts"
SHUFFLED, SILENCE, NOISE, NO_AUDIO = "shuffled", "silence", "noise", "no audio"
WRONG_FACTS = "wrong facts"
MAJORITY, CONSTANT = "majority", "constant"
LONGEST, LIKELIEST = "longest option", "likeliest option"

STAND_INS = (SILENCE, NOISE)
"""Sounds that every clip is replaced by in the condition of that name."""

TEXT_PRIORS = (LONGEST, LIKELIEST)
"""What can be guessed of questions with options by their text: the longest one, or the one that the model's
language model expects most after the question."""

CONTROLS = (SHUFFLED, SILENCE, NOISE, NO_AUDIO, MAJORITY, CONSTANT, *TEXT_PRIORS)
"""What a model scores without listening; the best of them is taken off."""

ASKED = (AUDIO, FACTS, WRONG_FACTS, SHUFFLED, SILENCE, NOISE, NO_AUDIO)
"""The conditions in which the model is asked the question."""

ANSWERED = (*ASKED, LIKELIEST)
"""The conditions that need the model; in the others nobody is asked."""

CONDITIONS = (*ASKED, MAJORITY, CONSTANT, *TEXT_PRIORS)


@dataclass(frozen=True, eq=False)
class LabelledClip:
    """One labelled clip of a test set: its truth, and what was measured in it, if anything was.

    `captions` are what people wrote about the recording.
    """

    clip_id: str
    track_id: str
    truth: Annotation
    facts: Annotation | None = None
    captions: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Case:
    """One question. `id` tells it from the others of its task; `truth` is what the task compares with."""

    id: str
    clip_id: str
    track_id: str
    question: str
    truth: Any


@dataclass(frozen=True, eq=False)
class TaskPrompt:
    """One question as it is put to a model.

    It listens to the clip `clip_id`, or to the `stand_in`, or to nothing where both are `None`; `facts` are
    shown. `options`: the model is not asked, but which of these its language model expects most after the
    question.
    """

    id: str
    question: str
    clip_id: str | None = None
    stand_in: str | None = None
    facts: Annotation | None = None
    options: tuple[str, ...] = ()

    @property
    def same(self) -> tuple[object, ...]:
        """Equal for prompts that a deterministic model answers alike."""
        return (self.question, self.clip_id, self.stand_in, self.facts and self.facts.clip_id, self.options)


class AnswerPrompts(Protocol):
    """What an evaluation asks: prompts of one task and condition → answers, by the id of the prompt."""

    def __call__(self, task: str, condition: str, prompts: Sequence[TaskPrompt]) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class TestSet:
    """What can be asked: labelled clips, and questions that others wrote, by task."""

    __test__ = False

    items: tuple[LabelledClip, ...] = ()
    questions: Mapping[str, tuple[Case, ...]] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Annotation]:
        """What was measured, by clip."""
        return {item.clip_id: item.facts for item in self.items if item.facts is not None}


def prompts_under(condition: str, cases: Sequence[Case], facts: Mapping[str, Annotation]) -> list[TaskPrompt]:
    """What the model is given for each case under a condition; cases whose facts it lacks are left out."""
    if condition == AUDIO:
        return [TaskPrompt(case.id, case.question, case.clip_id) for case in cases]
    if condition == NO_AUDIO:
        return [TaskPrompt(case.id, case.question) for case in cases]
    if condition == LIKELIEST:
        chosen = [case for case in cases if hasattr(case.truth, "texts")]
        return [TaskPrompt(case.id, case.question, options=case.truth.texts) for case in chosen]
    if condition in STAND_INS:
        return [TaskPrompt(case.id, case.question, stand_in=condition) for case in cases]
    if condition == FACTS:
        return [
            TaskPrompt(case.id, case.question, case.clip_id, facts=facts[case.clip_id])
            for case in cases
            if case.clip_id in facts
        ]
    if condition == WRONG_FACTS:
        return list(_with_wrong_facts(cases, facts))
    donor = donors({case.clip_id: case.track_id for case in cases})
    return [TaskPrompt(case.id, case.question, donor[case.clip_id]) for case in cases]


def _with_wrong_facts(cases: Sequence[Case], facts: Mapping[str, Annotation]) -> Iterator[TaskPrompt]:
    tracks = {case.clip_id: case.track_id for case in cases if case.clip_id in facts}
    if len(set(tracks.values())) < 2:
        return
    donor = donors(tracks)
    for case in cases:
        if case.clip_id in donor:
            yield TaskPrompt(case.id, case.question, case.clip_id, facts=facts[donor[case.clip_id]])


def donors(tracks: Mapping[str, str]) -> dict[str, str]:
    """For each clip (of clip → track) a clip of another track, the same whatever the order.

    Every clip is a donor once, unless one track has more than half of the clips. Needs two tracks.
    """
    order = sorted(tracks, key=lambda clip: (_hash(tracks[clip]), tracks[clip], _hash(clip), clip))
    step = max(Counter(tracks.values()).values(), default=0)
    chosen = {}
    for place, clip in enumerate(order):
        for shift in range(step, step + len(order)):
            candidate = order[(place + shift) % len(order)]
            if tracks[candidate] != tracks[clip]:
                break
        chosen[clip] = candidate
    return chosen


def _hash(text: str) -> str:
    return hashlib.sha256(f"shuffle:{text}".encode()).hexdigest()
