"""What an evaluation finds: scores with intervals, margins over the controls, and every answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llark.evaluate.cases import CONDITIONS

AGREEMENT = "agreement"
STRICT, PUBLISHED = "strict ", "published "
"""Before the name of a headline that is computed from strict readings, or as it was published."""


@dataclass(frozen=True)
class EvaluateConfig:
    """How to evaluate.

    Attributes:
        conditions: What to run, of `cases.CONDITIONS`.
        tasks: Names of `tasks.TASKS`; those with `DEFAULT` and a known truth, if empty.
        draws: Resampled test sets for the 95 % intervals.
        equal_tracks: Every track counts once, however many clips it has (for few and long tracks).
    """

    conditions: tuple[str, ...] = CONDITIONS
    tasks: tuple[str, ...] = ()
    draws: int = 1000
    equal_tracks: bool = False


@dataclass(frozen=True)
class ScoreRow:
    """One number with its 95 % interval over tracks. `headline`: the metric that the task is judged by."""

    task: str
    metric: str
    condition: str
    value: float
    low: float
    high: float
    n: int
    tracks: int
    headline: bool = False


@dataclass(frozen=True)
class Absent:
    """A number that belongs in the report and could not be computed, and why."""

    task: str
    metric: str
    why: str


@dataclass(frozen=True)
class Margin:
    """How far hearing lifts a task's headline: `audio` minus the best control, with the paired interval.

    `deaf`: over resampled tracks the score does not stay above that of the best control in which the model
    was asked without hearing the clip.
    """

    task: str
    metric: str
    control: str
    value: float
    low: float
    high: float
    deaf: bool


@dataclass(frozen=True)
class Verdict:
    """One answer, what was read in it, and what it was worth: `right` is 0 to 1, `None` without a truth."""

    task: str
    condition: str
    case_id: str
    clip_id: str
    track_id: str
    question: str
    answer: str
    reading: Any
    truth: Any
    right: float | None
    verdict: str


@dataclass(frozen=True)
class Evaluation:
    """Everything that a report needs."""

    rows: tuple[ScoreRow, ...]
    margins: tuple[Margin, ...]
    answers: tuple[Verdict, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    absent: tuple[Absent, ...] = ()

    @property
    def deaf(self) -> tuple[str, ...]:
        """Tasks that are answered no better with the right audio than with a wrong one or none."""
        return tuple(margin.task for margin in self.margins if margin.deaf)
