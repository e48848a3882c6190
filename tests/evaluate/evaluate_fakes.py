"""Test sets and models that are made up: one that hears, one that is deaf, one that says nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from llark.evaluate.cases import LabelledClip, TaskPrompt, TestSet
from llark.evaluate.report import Evaluation
from llark.evaluate.score import EvaluateConfig, evaluate
from llark.evaluate.tasks import TASKS
from llark.records import (
    GENRES,
    INSTRUMENTS,
    KEYS,
    METER_NAMES,
    Annotation,
    Key,
    Meter,
    Tag,
    Tags,
    Tempo,
)

FIVE = ("genre", "instruments", "key", "meter", "tempo")


def annotation(clip_id: str) -> Annotation:
    chance = random.Random(clip_id)
    words = chance.sample(INSTRUMENTS, chance.randint(1, 5))
    return Annotation(
        clip_id,
        0.0,
        25.0,
        tempo=Tempo(float(chance.randint(60, 180)), 1.0),
        meter=Meter(chance.choice(sorted(METER_NAMES)), 1.0),
        key=Key(chance.choice(KEYS), 1.0),
        instruments=Tags(tuple(Tag(word, 1.0) for word in words), 1.0),
        genre=Tags((Tag(chance.choice(GENRES), 1.0),), 1.0),
    )


def make_items(tracks: int = 30, clips: int = 2) -> list[LabelledClip]:
    """Clips whose measured facts are another clip's truth."""
    return [
        LabelledClip(
            f"clip-{number}",
            f"track-{number // clips}",
            annotation(f"clip-{number}"),
            annotation(f"other-{number}"),
        )
        for number in range(tracks * clips)
    ]


def tell(facts: Annotation, question: str) -> str:
    task = next(name for name in FIVE if question == TASKS[name].question)
    said = {
        "tempo": f"It runs at about {facts.tempo.bpm:.0f} BPM.",
        "key": f"This is in {facts.key.name}.",
        "meter": f"It is in {METER_NAMES[facts.meter.beats_per_bar or 4]} time.",
        "instruments": f"I hear {', '.join(facts.instruments.labels)}.",
        "genre": f"It sounds like {facts.genre.labels[0]}.",
    }
    return said[task]


def hearing(task: str, condition: str, prompts: Sequence[TaskPrompt]) -> Mapping[str, str]:
    """Knows every clip that it hears; believes facts where it is shown any; says nothing of silence."""

    def answer(prompt: TaskPrompt) -> str:
        known = prompt.facts or (annotation(prompt.clip_id) if prompt.clip_id else None)
        return "I cannot tell." if known is None else tell(known, prompt.question)

    return {prompt.id: answer(prompt) for prompt in prompts}


def sceptical(task: str, condition: str, prompts: Sequence[TaskPrompt]) -> Mapping[str, str]:
    """Hears, and takes no notice of facts."""
    return {prompt.id: tell(annotation(prompt.clip_id or "?"), prompt.question) for prompt in prompts}


def deaf(task: str, condition: str, prompts: Sequence[TaskPrompt]) -> Mapping[str, str]:
    """Answers by the name of the case, and never listens."""
    return {prompt.id: tell(annotation(f"guess-{prompt.id}"), prompt.question) for prompt in prompts}


def half_deaf(task: str, condition: str, prompts: Sequence[TaskPrompt]) -> Mapping[str, str]:
    """Hears the key alone."""
    return (hearing if task == "key" else deaf)(task, condition, prompts)


def run(model: object, items: Sequence[LabelledClip] | None = None, **settings: object) -> Evaluation:
    made = EvaluateConfig(**settings)  # type: ignore[arg-type]
    return evaluate(TestSet(tuple(items or make_items())), model, made)  # type: ignore[arg-type]


def value(evaluation: Evaluation, task: str, metric: str, condition: str = "audio") -> float:
    return next(
        row.value
        for row in evaluation.rows
        if (row.task, row.metric, row.condition) == (task, metric, condition)
    )
