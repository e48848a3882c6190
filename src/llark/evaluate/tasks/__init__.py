"""One benchmark a file, all with the same parts; `TASKS` finds them by listing this folder."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from llark.records import Annotation, Score


class Task(Protocol):
    """What each file of this folder holds.

    `VERSION` goes up when a score may change. `HEADLINE` is the metric that a report leads with, from 0 to 1.
    """

    VERSION: int
    QUESTION: str
    HEADLINE: str

    def read(self, answer: str) -> Any | None:
        """The value that an answer in words gives; `None`: it gives none."""

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


def _found() -> dict[str, Task]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: cast(Task, importlib.import_module(f"{__name__}.{name}")) for name in names}


TASKS: Mapping[str, Task] = _found()
