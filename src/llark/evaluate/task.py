"""What a benchmark is: a frozen value of its question, its readers, its truth and its points.

Each file of `tasks` holds one, `TASK`. The kinds of benchmarks that occur more than once are made with the
parts that they share: `label_task` (one label of a data set's own list), `SetTask` (several labels at once),
`TimesTask` (seconds in the clip) and `options.OptionTask` (questions that others wrote, with options).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import yaml

from llark.evaluate import bootstrap
from llark.music import readers
from llark.music.readers import Labels
from llark.records import Annotation, Tags

Reader = Callable[..., Any | None]
"""An answer in words → its value; `None`: it gives none. Readers of options take the truth beside it."""

Truth = Callable[[Annotation], Any | None]
Points = Callable[[Any | None, Any], Sequence[float]]
Constants = Callable[[Sequence[Any]], list[Any]]


@dataclass(frozen=True)
class Published:
    """A number that others have printed, for orientation.

    Never set beside ours without the variant: sets, splits, prompts and readers differ.
    """

    metric: str
    variant: str
    """Data set, part and protocol that the number is of."""
    model: str
    value: float
    """From 0 to 1."""
    source: str
    mark: str
    """V: seen in a repository or recomputed here; R: quoted in a public page or review."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One benchmark."""

    about: str | None
    """Paper and conventions, as the report prints them: the file's docstring."""
    version: int
    """Goes up when a score may change."""
    question: str
    """What is asked about each clip; empty where the questions come from a file."""
    headline: str
    """The metric that a report leads with, from 0 to 1."""
    reader: Reader
    """The value of an answer, as people would agree."""
    strict_reader: Reader
    """The same, where a program that compares strings would agree; else `None`."""
    truth: Truth
    """The right value; `None`: the clip is not scored."""
    points: Points
    """(value, truth) → what one answer is worth, for `rates` to add up: 1, whether it answers, its credit
    from 0 to 1, then whatever else the rates need."""
    rates: bootstrap.Rates
    """Sums of points [..., points] → metrics by name, each [...]."""
    constants: Constants
    """Truths → answers that a deaf model could give every time; the best of them is a control."""
    default: bool = True
    """The task is run where nobody names tasks and the test set has its truth."""
    from_captions: bool = False
    """The truth is what people wrote about the recording, not the annotation."""
    remark: Callable[[Any | None, Any], str] = lambda value, truth: ""
    """(value, truth) → a word beside the verdict on one answer; empty where there is nothing to say."""
    variant: str = ""
    """Which of several variants of a benchmark this is."""
    sources: tuple[str, ...] = ()
    """The data sets whose labels it takes as truth; empty: any."""
    published_reader: Reader | None = None
    """(answer, truth) → the value as those read it who published a number, where that is another reading."""

    def read(self, answer: str, truth: Any = None) -> Any | None:
        """The value that an answer gives. `truth` is what a question with options has beside it."""
        return self.reader(answer)

    def strict(self, answer: str, truth: Any = None) -> Any | None:
        return self.strict_reader(answer)

    def credit(self, value: Any | None, truth: Any) -> float:
        """From 0 (wrong or no answer) to 1 (right), for people who read single answers."""
        return float(self.points(value, truth)[2])

    def score(self, pairs: Sequence[tuple[Any | None, Any]]) -> dict[str, float]:
        """The metrics over (value, truth) pairs; empty where there is no pair."""
        if not pairs:
            return {}
        points = np.asarray([self.points(value, truth) for value, truth in pairs], dtype=float)
        return {metric: float(value) for metric, value in self.rates(points.sum(axis=0)).items()}


# --- one right value --------------------------------------------------------------------------------------


def equal_points(value: Any | None, truth: Any) -> tuple[float, ...]:
    """1, answered, right."""
    return (1, value is not None, value == truth)


ACCURACY = bootstrap.means("coverage", "accuracy")
"""Rates for points of one right value."""


def _table(file: str) -> Any:
    return yaml.safe_load((resources.files("llark.evaluate") / file).read_text("utf-8"))


PUBLISHED = {name: [Published(*row) for row in rows] for name, rows in _table("published.yaml").items()}
"""By benchmark, what others have printed, nearest to it; the best first."""

LABELS = _table("labels.yaml")
"""By benchmark, the labels that a data set has of its own: each label → other words for it."""


def label_task(
    name: str, source: str, fact: str, *, about: str | None, version: int, question: str
) -> Task:  # fmt: skip
    """One right label a clip, of `LABELS[name]`: that in `fact`, a field of the annotation, where the data
    set `source` has given it. `accuracy`: the first label that is named."""
    labels = Labels(LABELS[name])

    def truth(annotation: Annotation) -> str | None:
        tags: Tags = getattr(annotation, fact)
        label = tags.labels[0].lower() if tags.labels and tags.source == source else None
        return label if label in labels.names else None

    return Task(
        about=about, version=version, question=question, headline="accuracy", reader=labels.first,
        strict_reader=labels.alone, truth=truth, points=equal_points, rates=ACCURACY,
        constants=lambda truths: list(labels.names), sources=(source,),
    )  # fmt: skip


# --- several labels at once -------------------------------------------------------------------------------


def set_points(value: Set[str] | None, truth: Set[str]) -> tuple[float, ...]:
    """1, answered, the clip's F1; then how many are rightly named, wrongly named, missed."""
    named = set(value or ())
    right, wrong, missed = len(named & truth), len(named - truth), len(set(truth) - named)
    clip_f1 = 2 * right / (len(named) + len(truth)) if named else 0.0
    return (1, value is not None, clip_f1, right, wrong, missed)


def f1(right: np.ndarray, wrong: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """F1 of counts, each [...]."""
    return bootstrap.ratio(2 * right, 2 * right + wrong + missed)


def set_rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Micro precision, recall and F1 over all clips, and the mean over clips of the clip's F1."""
    right, wrong, missed = sums[..., 3], sums[..., 4], sums[..., 5]
    return {
        "coverage": bootstrap.ratio(sums[..., 1], sums[..., 0]),
        "precision": bootstrap.ratio(right, right + wrong),
        "recall": bootstrap.ratio(right, right + missed),
        "f1": f1(right, wrong, missed),
        "clip_f1": bootstrap.ratio(sums[..., 2], sums[..., 0]),
    }


def most_frequent(
    truths: Sequence[Set[str]], order: Callable[[str], Any] = lambda label: label
) -> list[frozenset[str]]:
    """The one, two, three … most frequent labels; `order` ranks those that are as frequent."""
    counts = Counter(label for labels in truths for label in labels)
    ranked = sorted(counts, key=lambda label: (-counts[label], order(label)))
    return [frozenset(ranked[:size]) for size in range(1, len(ranked) + 1)]


@dataclass(frozen=True, kw_only=True, eq=False)
class SetTask(Task):
    """All labels of a clip at once."""

    headline: str = "f1"
    points: Points = set_points
    rates: bootstrap.Rates = set_rates
    constants: Constants = most_frequent


# --- times ------------------------------------------------------------------------------------------------

Times = tuple[float, ...]


def read_times(answer: str) -> Times | None:
    """Two or more seconds."""
    times = readers.read_times(answer)
    return times if times and len(times) > 1 else None


def read_bare_times(answer: str) -> Times | None:
    """A list of numbers and nothing else."""
    return read_times(answer) if not set(answer.lower()) - set("0123456789.,;: []()s\n") else None


def times_points(value: Times | None, truth: Times) -> tuple[float, ...]:
    """1, answered, the F-measure."""
    from mir_eval.beat import f_measure

    return (1, value is not None, float(f_measure(np.asarray(truth), np.asarray(value))) if value else 0.0)


F_MEASURE = bootstrap.means("coverage", "f")
"""Rates for points of times: the mean over clips."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TimesTask(Task):
    """Seconds from the start of the clip, by the F-measure of `mir_eval.beat` within 70 ms."""

    headline: str = "f"
    reader: Reader = read_times
    strict_reader: Reader = read_bare_times
    points: Points = times_points
    rates: bootstrap.Rates = F_MEASURE
    default: bool = False


def from_start(times_of: Callable[[Annotation], Times]) -> Truth:
    """Seconds of the recording as seconds from the start of the clip."""

    def truth(annotation: Annotation) -> Times | None:
        return tuple(round(time - annotation.start_seconds, 6) for time in times_of(annotation)) or None

    return truth


def evenly_every(*steps: float) -> Constants:
    """For each step, in seconds, times that are so far apart, from 0 to the last time of any clip."""

    def constants(truths: Sequence[Times]) -> list[Times]:
        last = max((times[-1] for times in truths), default=0.0)
        return [tuple(np.arange(0.0, last + step, step).round(3).tolist()) for step in steps]

    return constants
