"""One benchmark a file, all with the same parts; `TASKS` finds them by listing this folder."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from llark.evaluate.cases import Case
from llark.records import Annotation, Score


class Task(Protocol):
    """What each file of this folder holds.

    `VERSION` goes up when a score may change. `HEADLINE` is the metric that a report leads with, from 0 to 1.
    `DEFAULT`: the task is run where nobody names tasks and the test set has its truth.
    """

    VERSION: int
    QUESTION: str
    HEADLINE: str
    DEFAULT: bool

    def read(self, answer: str, truth: Any = None) -> Any | None:
        """The value that an answer in words gives, as people would agree; `None`: it gives none."""

    def strict(self, answer: str, truth: Any = None) -> Any | None:
        """The same, where a program that compares strings would agree; else `None`."""

    def truth(self, annotation: Annotation) -> Any | None:
        """The right value; `None`: this clip is not scored."""

    def points(self, value: Any | None, truth: Any) -> Sequence[float]:
        """What one answer is worth, for `rates` to add up. The first is 1, the second whether it answers."""

    def rates(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums of points [..., points] → metrics by name, each [...]."""

    def credit(self, value: Any | None, truth: Any) -> float:
        """From 0 (wrong or no answer) to 1 (right), for people who read single answers."""

    def constants(self, truths: Sequence[Any]) -> list[Any]:
        """Answers that a model which hears nothing could give every time; the best of them is a control."""

    def score(self, pairs: Sequence[tuple[Any | None, Any]]) -> list[Score]:
        """The metrics over (value, truth) pairs."""


class QuestionTask(Task, Protocol):
    """A task whose questions are a file that others wrote."""

    def load(self, path: Path) -> list[Case]:
        """The questions. Raises `UserMustAct` where the file is not that of this benchmark."""


@runtime_checkable
class PartTask(Protocol):
    """A task that asks a part of its benchmark's file."""

    def is_asked(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of the file is of that part."""


@runtime_checkable
class PublishedReading(Protocol):
    """A task whose published numbers rest on another reading of answers than ours."""

    def published(self, answer: str, truth: Any) -> Any | None:
        """The value as those who published it read it."""


@runtime_checkable
class Remarks(Protocol):
    """A task whose single answers need a word beside their verdict."""

    def remark(self, value: Any | None, truth: Any) -> str:
        """The word; empty where there is nothing to say."""


class CaptionTask(Task, Protocol):
    """A task whose truth is what people wrote about the recording."""

    def of_captions(self, captions: tuple[str, ...]) -> Any | None:
        """The right value; `None`: this clip is not scored."""


def _found() -> dict[str, Task]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: cast(Task, importlib.import_module(f"{__name__}.{name}")) for name in names}


TASKS: Mapping[str, Task] = _found()

QUESTION_TASKS: Mapping[str, QuestionTask] = {
    name: cast(QuestionTask, task) for name, task in TASKS.items() if hasattr(task, "load")
}
"""Those with a file of questions."""
