"""Whether a model that is shown facts says them, and whether it believes them when they are wrong.

Agreement: of the clips whose facts know the answer, how often the answer says what the facts say. Then
another track's facts are shown beside the clip's own sound: an answer that says the wrong fact is `follows`
(a parrot), one that says what was measured in the clip, or what the model said without facts, is `keeps`
(sceptical). Clips where the wrong fact happens to agree with the right one tell nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llark.evaluate.cases import TaskPrompt
from llark.evaluate.task import Task
from llark.evaluate.tasks import TASKS
from llark.records import Annotation

FOLLOWS, KEEPS = "follows wrong facts", "keeps to the sound"


def agrees(task: Task, prompts: Sequence[TaskPrompt], readings: Mapping[str, Any]) -> dict[str, float]:
    """1 or 0 by put, over the puts whose facts know the answer."""
    shown = {prompt.id: task.truth(prompt.facts) for prompt in prompts if prompt.facts is not None}
    return {
        id_: float(task.credit(readings[id_], fact) == 1.0) for id_, fact in shown.items() if fact is not None
    }


def follows_or_keeps(
    task: Task,
    prompts: Sequence[TaskPrompt],
    readings: Mapping[str, Any],
    alone: Mapping[str, Any],
    measured: Mapping[str, Annotation],
) -> dict[str, dict[str, float]]:
    """`follows` and `keeps`, each 1 or 0 by put.

    Args:
        readings: What is read in the answers to `puts`, which show wrong facts.
        alone: What is read in the answers to the same clips without facts.
        measured: The right facts, by clip.
    """
    follows: dict[str, float] = {}
    keeps: dict[str, float] = {}
    for prompt in prompts:
        wrong = task.truth(prompt.facts) if prompt.facts is not None else None
        own = measured.get(prompt.clip_id or "")
        right = task.truth(own) if own is not None else None
        if wrong is None or right is None or _same(task, wrong, right):
            continue
        reading = readings[prompt.id]
        follows[prompt.id] = float(task.credit(reading, wrong) == 1.0)
        kept = task.credit(reading, right) == 1.0 or (reading is not None and reading == alone.get(prompt.id))
        keeps[prompt.id] = float(kept and not follows[prompt.id])
    return {FOLLOWS: follows, KEEPS: keeps}


def _same(task: Task, one: Any, other: Any) -> bool:
    """Whether two truths are alike: for genres, whose truths are several, if they share one."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return bool(set(one) & set(other))
    return bool(task.credit(one, other) == 1.0)


def agreement(answers: Sequence[str], facts: Sequence[Annotation]) -> dict[str, tuple[float, int]]:
    """By task: the share of `answers` that say what `facts` say, and how many of the facts are known.

    All answers are read for every task, so this suits descriptions that name several facts; answers to one
    question have their `agreement` in the rows of `evaluate`.
    """
    shares: dict[str, tuple[float, int]] = {}
    for name, task in TASKS.items():
        pairs = [(text, task.truth(fact)) for text, fact in zip(answers, facts, strict=True)]
        known = [(task.read(text), fact) for text, fact in pairs if fact is not None]
        if known:
            agrees_ = sum(task.credit(reading, fact) == 1.0 for reading, fact in known)
            shares[name] = (agrees_ / len(known), len(known))
    return shares
