"""Answers on disk: asked once, kept, and gone on with where a run was stopped.

Each task and condition has a folder of `store` with one `Said` a put. A folder of other questions, or of
another model, is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from llark import engine
from llark.evaluate.cases import TaskPrompt
from llark.evaluate.tasks import TASKS
from llark.music import facts_line
from llark.storage import stages

CHUNK = 64
"""Puts that are asked at once: enough to sort by length, few enough to lose."""


@dataclass(frozen=True)
class StoredAnswer:
    """What was said to one put."""

    id: str
    question: str
    text: str


class EvaluatedModel(Protocol):
    """What is evaluated. `about` tells it from any other: its answers depend on nothing else."""

    @property
    def about(self) -> Mapping[str, str]: ...

    def __call__(self, prompts: Sequence[TaskPrompt], /) -> list[str]:
        """One answer a put, in the same order."""


@dataclass(frozen=True)
class CachedAnswers:
    """Answers by asking `model`, kept below `folder`. An `Answer` of `cases`.

    Puts of a task that are alike are asked once, under whichever condition: the shuffled clips of a task with
    one question are the clips that were heard before.

    `grade` says in a word how it goes: it is given the task, and the answers so far by put.
    """

    folder: Path
    model: EvaluatedModel
    grade: Callable[[str, Mapping[str, str]], str] = lambda task, said: ""
    chunk: int = CHUNK
    _known: dict[str, dict[tuple[object, ...], str]] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, task: str, condition: str, prompts: Sequence[TaskPrompt]) -> Mapping[str, str]:
        folder = self.folder / task / condition.replace(" ", "-")
        plan = {
            "task": task,
            "version": TASKS[task].version,
            "condition": condition,
            "model": dict(self.model.about),
            "puts": _digest(prompts),
        }
        writer = stages.open_stage(folder, "evaluate", plan, flush_records=self.chunk, flush_seconds=0.0)
        with writer:
            if not writer.finished:
                self._ask(task, condition, prompts, writer)
                writer.finish()
        texts = {said.id: said.text for said in stages.read(folder, StoredAnswer)}
        self._known.setdefault(task, {}).update({prompt.same: texts[prompt.id] for prompt in prompts})
        return texts

    def _ask(
        self, task: str, condition: str, prompts: Sequence[TaskPrompt], writer: stages.StageWriter
    ) -> None:
        """Asks what is not there yet and was not asked before."""
        missing = [prompt for prompt in prompts if prompt.id not in writer.done]
        alike: dict[tuple[object, ...], list[TaskPrompt]] = {}
        for prompt in missing:
            alike.setdefault(prompt.same, []).append(prompt)
        before = self._known.get(task, {})
        known = {same: before[same] for same in alike if same in before}
        groups = [group for same, group in alike.items() if same not in known]
        said: dict[str, str] = {}
        with engine.Ticker(f"{task}, {condition}", len(prompts), len(prompts) - len(missing)) as tick:

            def keep(some: Sequence[Sequence[TaskPrompt]], texts: Sequence[str]) -> None:
                for group, text in zip(some, texts, strict=True):
                    for prompt in group:
                        said[prompt.id] = text
                        writer.write(prompt.id, [StoredAnswer(prompt.id, prompt.question, text)])
                writer.flush()
                tick(len(prompts) - len(missing) + len(said), self.grade(task, said))

            if known:
                keep([alike[same] for same in known], list(known.values()))
            for start in range(0, len(groups), self.chunk):
                chunk = groups[start : start + self.chunk]
                keep(chunk, self.model([group[0] for group in chunk]))


def _digest(prompts: Sequence[TaskPrompt]) -> str:
    rows = [
        [
            prompt.id,
            prompt.question,
            prompt.clip_id,
            prompt.stand_in,
            prompt.facts and facts_line.describe_facts(prompt.facts),
        ]
        for prompt in prompts
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
