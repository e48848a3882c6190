"""Asks a model the questions of every task, under controls, and says how much of the score is hearing.

Conditions: `audio` (the clip's frames alone), `facts` (its frames and its measured facts), and the controls
`shuffled` (the frames of another track), any named stand-in such as `silence` (one recording for every clip)
and `majority` (the best constant answer; no model is asked). A model that does not beat `shuffled` is deaf.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from llark.errors import UserMustAct
from llark.evaluate import pool
from llark.evaluate.tasks import TASKS, Task
from llark.records import Annotation, Embedding

AUDIO, FACTS, SHUFFLED, SILENCE, MAJORITY = "audio", "facts", "shuffled", "silence", "majority"
CONDITIONS = (AUDIO, FACTS, SHUFFLED, SILENCE, MAJORITY)
AGREEMENT = "agreement"


@dataclass(frozen=True, eq=False)
class Heard:
    """All that a model is given about one clip: `extras` is whatever else belongs to the frames."""

    clip_id: str
    embedding: Embedding | None
    extras: Any = None
    facts: Annotation | None = None


@dataclass(frozen=True, eq=False)
class Item:
    """One clip of the test set: what can be heard, and the truth about it."""

    heard: Heard
    track_id: str
    truth: Annotation


Ask = Callable[[list[Heard], str], list[str]]
"""Clips and one question → one answer a clip, in the same order."""


@dataclass(frozen=True)
class Settings:
    """How to evaluate.

    Attributes:
        conditions: What to run, of `CONDITIONS` or the names of the stand-ins.
        tasks: Names of `tasks.TASKS`.
        draws: Resampled test sets for the 95 % intervals.
        equal_tracks: Every track counts once, however many clips it has (for few and long tracks).
    """

    conditions: tuple[str, ...] = CONDITIONS
    tasks: tuple[str, ...] = tuple(TASKS)
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
class Margin:
    """How far hearing lifts a task's headline: `audio` minus the best control, with the paired interval.

    `deaf`: over resampled tracks the score does not stay above the one with shuffled audio.
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

    @property
    def deaf(self) -> tuple[str, ...]:
        """Tasks that are answered no better with the right audio than with another track's."""
        return tuple(margin.task for margin in self.margins if margin.deaf)


def evaluate(
    items: Sequence[Item],
    ask: Ask,
    settings: Settings | None = None,
    *,
    stand_ins: Mapping[str, Heard] | None = None,
    training: Sequence[Annotation] = (),
) -> Evaluation:
    """Runs every task under every condition.

    Args:
        items: The test set. A clip counts for a task if its truth knows the fact.
        ask: The model.
        stand_ins: What every clip is replaced by in the condition of that name; `silence` for a start.
        training: Truths of the training set, from which `majority` is chosen. Without them the test set's
            own truths choose it, which flatters the control.

    Raises:
        UserMustAct: No clip can be scored, a condition lacks what it needs, or the model returned another
            number of answers than it was asked for.
    """
    settings = settings or Settings()
    stand_ins = stand_ins or {}
    _refuse(items, settings, stand_ins)
    rows: list[ScoreRow] = []
    margins: list[Margin] = []
    answers: list[Verdict] = []
    for name in settings.tasks:
        run = _TaskRun(name, TASKS[name], items, settings)
        for condition in settings.conditions:
            if condition != MAJORITY:
                heard = heard_under(condition, items, stand_ins)
                answers += run.ask(condition, [heard[i] for i in run.asked(condition)], ask)
        if MAJORITY in settings.conditions and run.scored:
            run.answer_by_majority(training or [item.truth for item in items])
        rows += run.rows
        margins += run.margins()
    if not rows:
        raise UserMustAct(
            f"None of the {len(items)} clips has a known truth for {', '.join(settings.tasks)}."
        )
    versions = {name: TASKS[name].VERSION for name in settings.tasks}
    return Evaluation(tuple(rows), tuple(margins), tuple(answers), versions)


def _refuse(items: Sequence[Item], settings: Settings, stand_ins: Mapping[str, Heard]) -> None:
    for name in settings.tasks:
        if name not in TASKS:
            raise UserMustAct(f"There is no task {name!r}; there are {', '.join(TASKS)}.")
    known = {AUDIO, FACTS, SHUFFLED, MAJORITY, *stand_ins}
    for condition in settings.conditions:
        if condition not in known:
            raise UserMustAct(f"The condition {condition!r} needs a stand-in of that name, and has none.")
    if len({item.heard.clip_id for item in items}) < len(items):
        raise UserMustAct("Two clips of the test set have the same id.")
    if FACTS in settings.conditions and not any(item.heard.facts for item in items):
        raise UserMustAct("The condition 'facts' needs clips with measured facts; none has any.")
    if SHUFFLED in settings.conditions and len({item.track_id for item in items}) < 2:
        raise UserMustAct("Shuffled audio needs clips of two tracks at least.")


def heard_under(condition: str, items: Sequence[Item], stand_ins: Mapping[str, Heard]) -> list[Heard]:
    """What the model is given for each item under a condition."""
    if condition == FACTS:
        return [item.heard for item in items]
    given = [replace(item.heard, facts=None) for item in items]
    if condition == AUDIO:
        return given
    if condition == SHUFFLED:
        sources = [items[donor].heard for donor in donors(items)]
    else:
        sources = [stand_ins[condition]] * len(items)
    return [
        replace(own, embedding=source.embedding, extras=source.extras)
        for own, source in zip(given, sources, strict=True)
    ]


def donors(items: Sequence[Item]) -> list[int]:
    """For each item the index of an item of another track, the same whatever the order of `items`.

    Every item is a donor once, unless one track has more than half of the clips.
    """
    order = sorted(
        range(len(items)),
        key=lambda i: (_hash(items[i].track_id), items[i].track_id, _hash(items[i].heard.clip_id)),
    )
    step = max(Counter(item.track_id for item in items).values())
    donor = [0] * len(items)
    for place, index in enumerate(order):
        for shift in range(step, step + len(order)):
            candidate = order[(place + shift) % len(order)]
            if items[candidate].track_id != items[index].track_id:
                break
        donor[index] = candidate
    return donor


def _hash(text: str) -> str:
    return hashlib.sha256(f"shuffle:{text}".encode()).hexdigest()


class _TaskRun:
    """One task over one test set: collects rows, and the tallies that margins compare."""

    def __init__(self, name: str, task: Task, items: Sequence[Item], settings: Settings) -> None:
        self.name, self.task, self.items, self.settings = name, task, items, settings
        self.truths = [task.truth(item.truth) for item in items]
        self.scored = [i for i, truth in enumerate(self.truths) if truth is not None]
        self.facts = [task.truth(item.heard.facts) if item.heard.facts else None for item in items]
        self.rows: list[ScoreRow] = []
        self._headlines: dict[str, tuple[float, np.ndarray]] = {}

    def asked(self, condition: str) -> list[int]:
        """Indices of the items to ask about: with facts also those that only the facts know."""
        if condition != FACTS:
            return self.scored
        return [i for i, truth in enumerate(self.truths) if truth is not None or self.facts[i] is not None]

    def ask(self, condition: str, heard: list[Heard], ask: Ask) -> list[Verdict]:
        """Asks the model, adds the rows of this condition, and returns every answer with its verdict."""
        asked = self.asked(condition)
        if not asked:
            return []
        texts = ask(heard, self.task.QUESTION)
        if len(texts) != len(asked):
            raise UserMustAct(f"The model gave {len(texts)} answers to {len(asked)} clips.")
        readings = {i: self.task.read(text) for i, text in zip(asked, texts, strict=True)}
        if self.scored:
            points = [self.task.points(readings[i], self.truths[i]) for i in self.scored]
            self._add_rows(condition, np.asarray(points, dtype=float))
        if condition == FACTS:
            self._add_agreement(readings)
        return [self._verdict(condition, i, text, readings[i]) for i, text in zip(asked, texts, strict=True)]

    def answer_by_majority(self, training: Sequence[Annotation]) -> None:
        """The constant that is best on the training truths, chosen for each metric apart."""
        task = self.task
        truths = [truth for truth in map(task.truth, training) if truth is not None]
        truths = truths or [self.truths[i] for i in self.scored]
        constants = task.constants(truths)
        values = [{row.metric: row.value for row in task.score([(c, t) for t in truths])} for c in constants]
        for metric in values[0]:
            best = constants[int(np.argmax([value[metric] for value in values]))]
            points = [task.points(best, self.truths[i]) for i in self.scored]
            self._add_rows(MAJORITY, np.asarray(points, dtype=float), only=metric)

    def margins(self) -> list[Margin]:
        """Hearing against the best control that was run, if both were."""
        controls = {name: pair for name, pair in self._headlines.items() if name not in (AUDIO, FACTS)}
        if AUDIO not in self._headlines or not controls:
            return []
        value, redrawn = self._headlines[AUDIO]
        best = max(controls, key=lambda name: controls[name][0])
        low, high = self._interval(redrawn - controls[best][1], (-1.0, 1.0))
        deaf = False
        if SHUFFLED in controls:
            deaf = self._interval(redrawn - controls[SHUFFLED][1], (-1.0, 1.0))[0] <= 0
        lift = value - controls[best][0]
        return [Margin(self.name, self.task.HEADLINE, best, lift, low, high, deaf)]

    def _add_rows(self, condition: str, points: np.ndarray, only: str | None = None) -> None:
        tallied = pool.tally(
            [self.items[i].track_id for i in self.scored], points, equal_tracks=self.settings.equal_tracks
        )
        weights = pool.draws(tallied.tracks, self.settings.draws, self.name)
        redrawn = pool.redrawn(tallied, self.task.rates, weights)
        for metric, value in pool.rates_of(tallied, self.task.rates).items():
            if only not in (None, metric):
                continue
            self._add_row(metric, condition, value, redrawn[metric], tallied)
            if metric == self.task.HEADLINE:
                self._headlines[condition] = (value, redrawn[metric])

    def _add_agreement(self, readings: Mapping[int, Any]) -> None:
        """The share of answers that say what the facts said, over the clips whose facts know it."""
        known = [i for i in readings if self.facts[i] is not None]
        if not known:
            return
        agrees = [[1.0, self.task.credit(readings[i], self.facts[i]) == 1.0] for i in known]
        tallied = pool.tally([self.items[i].track_id for i in known], np.asarray(agrees, dtype=float))
        rates = pool.means(AGREEMENT)
        weights = pool.draws(tallied.tracks, self.settings.draws, f"{self.name} {AGREEMENT}")
        value = pool.rates_of(tallied, rates)[AGREEMENT]
        self._add_row(AGREEMENT, FACTS, value, pool.redrawn(tallied, rates, weights)[AGREEMENT], tallied)

    def _add_row(
        self, metric: str, condition: str, value: float, redrawn: np.ndarray, tallied: pool.Tally
    ) -> None:
        low, high = pool.interval(redrawn, tallied.tracks, (0.0, 1.0))
        headline = metric == self.task.HEADLINE
        row = ScoreRow(self.name, metric, condition, value, low, high, tallied.n, tallied.tracks, headline)
        self.rows.append(row)

    def _interval(self, redrawn: np.ndarray, widest: tuple[float, float]) -> tuple[float, float]:
        return pool.interval(redrawn, len({self.items[i].track_id for i in self.scored}), widest)

    def _verdict(self, condition: str, index: int, text: str, reading: Any) -> Verdict:
        item, truth = self.items[index], self.truths[index]
        right = None if truth is None else self.task.credit(reading, truth)
        return Verdict(
            task=self.name,
            condition=condition,
            clip_id=item.heard.clip_id,
            track_id=item.track_id,
            question=self.task.QUESTION,
            answer=text,
            reading=reading,
            truth=truth,
            right=right,
            verdict=_word(reading, right),
        )


def _word(reading: Any, right: float | None) -> str:
    if reading is None:
        return "no answer"
    if right is None:
        return "not scored"
    return "right" if right == 1 else "partly right" if right > 0 else "wrong"


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
            agrees = sum(task.credit(reading, fact) == 1.0 for reading, fact in known)
            shares[name] = (agrees / len(known), len(known))
    return shares
