"""Asks the questions of every task under every condition, and says how much of the score is hearing.

Conditions: `audio` (the clip alone), `facts` (the clip and the facts measured in it), `wrong facts` (the clip
and another track's facts), and the controls: `shuffled` (another track's sound), `silence`, `noise`,
`no audio`, `majority` (the commonest truth) and `constant` (the best answer that is always the same); for
the last two nobody is asked. For questions with options also what their text gives away: `longest option`,
and `likeliest option`, which the model's language model expects most.
A model that does not beat the controls with sound of the wrong kind is deaf.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from llark.errors import UserMustAct
from llark.evaluate import bootstrap, faithful
from llark.evaluate.cases import (
    ANSWERED,
    AUDIO,
    CONDITIONS,
    CONSTANT,
    CONTROLS,
    FACTS,
    HEARD,
    LONGEST,
    MAJORITY,
    SHUFFLED,
    WRONG_FACTS,
    AnswerPrompts,
    Case,
    LabelledClip,
    TaskPrompt,
    TestSet,
    prompts_under,
)
from llark.evaluate.options import longest
from llark.evaluate.outcome import (
    AGREEMENT,
    PUBLISHED,
    STRICT,
    Absent,
    EvaluateConfig,
    Evaluation,
    Margin,
    ScoreRow,
    Verdict,
)
from llark.evaluate.task import Task
from llark.evaluate.tasks import TASKS
from llark.records import Annotation

HEARD_CONTROLS = tuple(name for name in CONTROLS if name in HEARD)
"""Controls in which the model is asked, but cannot hear the clip."""

UNKNOWN_TRUTH = "no clip has a known truth for it"


def evaluate(
    test_set: TestSet,
    answer: AnswerPrompts,
    settings: EvaluateConfig | None = None,
    *,
    training: Sequence[LabelledClip] = (),
) -> Evaluation:
    """Runs every task under every condition.

    Args:
        test_set: Labelled clips and questions. A clip counts for a task if its truth knows the fact.
        answer: Who answers.
        training: The training set, from which the constants are chosen. Without it the test set's own
            truths choose them, which flatters the control.

    Raises:
        UserMustAct: Nothing can be scored, or somebody returned other answers than were asked for.
    """
    settings = settings or EvaluateConfig()
    refuse_unknown(settings)
    if len({item.clip_id for item in test_set.items}) < len(test_set.items):
        raise UserMustAct("Two clips of the test set have the same id.")
    rows: list[ScoreRow] = []
    margins: list[Margin] = []
    verdicts: list[Verdict] = []
    absent: list[Absent] = []
    names = tuple(dict.fromkeys(settings.tasks)) or tasks_of(test_set)
    for name in names:
        run = _TaskRun(name, test_set, settings)
        if not run.cases and not run.only_facts:
            absent.append(Absent(name, TASKS[name].headline, UNKNOWN_TRUTH))
            continue
        for condition in dict.fromkeys(settings.conditions):
            if condition in ANSWERED:
                prompts = run.prompts(condition)
                verdicts += run.add(condition, prompts, answer(name, condition, prompts)) if prompts else []
        run.add_constants([item_truth(TASKS[name], item) for item in training])
        run.add_longest()
        rows += run.rows
        margins += run.margins()
    if not rows:
        known = ", ".join(names) or "any task"
        raise UserMustAct(f"None of the {len(test_set.items)} clips has a known truth for {known}.")
    versions = {name: TASKS[name].version for name in dict.fromkeys(row.task for row in rows)}
    return Evaluation(tuple(rows), tuple(margins), tuple(verdicts), versions, tuple(absent))


def plan(test_set: TestSet, settings: EvaluateConfig) -> Iterator[tuple[str, str, list[TaskPrompt]]]:
    """(task, condition, puts) of all that `evaluate` would ask."""
    for name in tuple(dict.fromkeys(settings.tasks)) or tasks_of(test_set):
        run = _TaskRun(name, test_set, settings)
        for condition in dict.fromkeys(settings.conditions):
            if condition in ANSWERED and (prompts := run.prompts(condition)):
                yield name, condition, prompts


def tasks_of(test_set: TestSet) -> tuple[str, ...]:
    """The tasks that are run where nobody names any: questions that are there, and labels that are known."""
    known = [
        name
        for name, task in TASKS.items()
        if task.default and any(item_truth(task, item) is not None for item in test_set.items)
    ]
    return tuple(name for name in TASKS if name in known or name in test_set.questions)


def item_truth(task: Task, item: LabelledClip) -> Any | None:
    """What the task takes as right for a labelled clip; `None`: it does not score it."""
    return (item.captions or None) if task.from_captions else task.truth(item.truth)


def refuse_unknown(settings: EvaluateConfig) -> None:
    """Raises `UserMustAct` where a task or a condition is none."""
    for name in settings.tasks:
        if name not in TASKS:
            raise UserMustAct(f"There is no task {name!r}; there are {', '.join(TASKS)}.")
    for condition in settings.conditions:
        if condition not in CONDITIONS:
            raise UserMustAct(f"There is no condition {condition!r}; there are {', '.join(CONDITIONS)}.")


class _TaskRun:
    """One task over one test set: collects rows, and the tallies that margins compare."""

    def __init__(self, name: str, test_set: TestSet, settings: EvaluateConfig) -> None:
        self.name, self.task, self.settings = name, TASKS[name], settings
        self.facts: dict[str, Annotation] = {} if name in test_set.questions else test_set.facts
        self.cases: dict[str, Case] = {}
        self.only_facts: dict[str, Case] = {}
        for case in test_set.questions.get(name, ()):
            if case.id in self.cases:
                raise UserMustAct(f"Two questions of {name} have the same id, {case.id!r}.")
            self.cases[case.id] = case
        for item in test_set.items if name not in test_set.questions else ():
            self._take(item)
        self.rows: list[ScoreRow] = []
        self._headlines: dict[str, tuple[float, np.ndarray]] = {}
        self._readings: dict[str, dict[str, Any]] = {}

    def _take(self, item: LabelledClip) -> None:
        """A labelled clip becomes a case; one that only the facts know is asked about with facts alone."""
        truth = item_truth(self.task, item)
        case = Case(item.clip_id, item.clip_id, item.track_id, self.task.question, truth)
        if truth is not None:
            self.cases[case.id] = case
        elif item.facts is not None and self.task.truth(item.facts) is not None:
            self.only_facts[case.id] = case

    def prompts(self, condition: str) -> list[TaskPrompt]:
        """What is asked; nothing where the condition cannot be had."""
        cases = list(self.cases.values())
        if condition in (FACTS, WRONG_FACTS):
            cases += self.only_facts.values() if condition == FACTS else ()
            known = {id_: fact for id_, fact in self.facts.items() if self.task.truth(fact) is not None}
            return prompts_under(condition, cases, known)
        if condition == SHUFFLED and len({case.track_id for case in cases}) < 2:
            return []
        return prompts_under(condition, cases, self.facts)

    def add(self, condition: str, prompts: Sequence[TaskPrompt], said: Mapping[str, str]) -> list[Verdict]:
        """Adds the rows of this condition, and returns every answer with its verdict."""
        if missing := [prompt.id for prompt in prompts if prompt.id not in said]:
            raise UserMustAct(
                f"There are {len(missing)} of {len(prompts)} answers missing; the first is {missing[0]}."
            )
        every = {**self.cases, **self.only_facts}
        asked = [every[prompt.id] for prompt in prompts]
        readings = {case.id: self.task.read(said[case.id], case.truth) for case in asked}
        self._readings[condition] = readings
        scored = [case for case in asked if case.truth is not None]
        if scored and condition != WRONG_FACTS:
            self._add_rows(condition, scored, readings)
            strict = {case.id: self.task.strict(said[case.id], case.truth) for case in scored}
            self._add_rows(condition, scored, strict, only=self.task.headline, prefix=STRICT)
            if self.task.published_reader is not None:
                theirs = {case.id: self.task.published_reader(said[case.id], case.truth) for case in scored}
                self._add_rows(condition, scored, theirs, only=self.task.headline, prefix=PUBLISHED)
        self._add_faithfulness(condition, prompts, readings)
        return [self._verdict(condition, case, said[case.id], readings[case.id]) for case in asked]

    def add_constants(self, training: Sequence[Any]) -> None:
        """The commonest truth, and the constant that is best on the training truths for each metric apart."""
        cases = [case for case in self.cases.values() if case.truth is not None]
        truths = [truth for truth in training if truth is not None] or [case.truth for case in cases]
        constants = self.task.constants(truths) if cases else []
        if not constants:
            return
        if MAJORITY in self.settings.conditions:
            commonest = self._commonest(truths, constants)
            self._add_rows(MAJORITY, cases, {case.id: commonest for case in cases})
        if CONSTANT not in self.settings.conditions:
            return
        values = [self.task.score([(constant, truth) for truth in truths]) for constant in constants]
        for metric in values[0]:
            best = constants[int(np.argmax([value[metric] for value in values]))]
            self._add_rows(CONSTANT, cases, {case.id: best for case in cases}, only=metric)

    def add_longest(self) -> None:
        """The longest option every time, where there are options."""
        cases = list(self.cases.values())
        if LONGEST in self.settings.conditions and cases and hasattr(cases[0].truth, "texts"):
            self._add_rows(LONGEST, cases, {case.id: longest(case.truth) for case in cases})

    def _commonest(self, truths: Sequence[Any], constants: Sequence[Any]) -> Any:
        """Of the constants the one that is wholly right most often, else the first."""
        counts = [sum(self.task.credit(constant, truth) == 1.0 for truth in truths) for constant in constants]
        return constants[int(np.argmax(counts))]

    def margins(self) -> list[Margin]:
        """Hearing against the best control that was run, if both were."""
        controls = {name: pair for name, pair in self._headlines.items() if name in CONTROLS}
        if AUDIO not in self._headlines or not controls:
            return []
        value, redrawn = self._headlines[AUDIO]
        best = max(controls, key=lambda name: controls[name][0])
        low, high = self._interval(redrawn - controls[best][1])
        asked = {name: pair for name, pair in controls.items() if name in HEARD_CONTROLS}
        deaf = False
        if asked:
            loudest = max(asked, key=lambda name: asked[name][0])
            deaf = self._interval(redrawn - asked[loudest][1])[0] <= 0
        return [Margin(self.name, self.task.headline, best, value - controls[best][0], low, high, deaf)]

    def _interval(self, redrawn: np.ndarray) -> tuple[float, float]:
        return bootstrap.interval(redrawn, len({case.track_id for case in self.cases.values()}), (-1.0, 1.0))

    def _add_rows(
        self,
        condition: str,
        cases: Sequence[Case],
        readings: Mapping[str, Any],
        *,
        only: str | None = None,
        prefix: str = "",
    ) -> None:
        points = [self.task.points(readings[case.id], case.truth) for case in cases]
        tallied = bootstrap.tally(
            [case.track_id for case in cases],
            np.asarray(points, dtype=float),
            equal_tracks=self.settings.equal_tracks,
        )
        weights = bootstrap.draws(tallied.tracks, self.settings.draws, self.name)
        redrawn = bootstrap.redrawn(tallied, self.task.rates, weights)
        for metric, value in bootstrap.rates_of(tallied, self.task.rates).items():
            if only not in (None, metric):
                continue
            self._add_row(prefix + metric, condition, value, redrawn[metric], tallied)
            if metric == self.task.headline and not prefix:
                self._headlines[condition] = (value, redrawn[metric])

    def _add_faithfulness(
        self, condition: str, prompts: Sequence[TaskPrompt], readings: Mapping[str, Any]
    ) -> None:
        if condition == FACTS:
            shares = {AGREEMENT: faithful.agrees(self.task, prompts, readings)}
        elif condition == WRONG_FACTS:
            alone = self._readings.get(AUDIO, {})
            shares = faithful.follows_or_keeps(self.task, prompts, readings, alone, self.facts)
        else:
            return
        tracks = {case.id: case.track_id for case in (*self.cases.values(), *self.only_facts.values())}
        for metric, hits in shares.items():
            if hits:
                points = np.asarray([[1.0, hit] for hit in hits.values()], dtype=float)
                tallied = bootstrap.tally([tracks[id_] for id_ in hits], points)
                rates = bootstrap.means(metric)
                weights = bootstrap.draws(tallied.tracks, self.settings.draws, f"{self.name} {metric}")
                redrawn = bootstrap.redrawn(tallied, rates, weights)[metric]
                self._add_row(metric, condition, bootstrap.rates_of(tallied, rates)[metric], redrawn, tallied)

    def _add_row(
        self, metric: str, condition: str, value: float, redrawn: np.ndarray, tallied: bootstrap.TrackTally
    ) -> None:
        low, high = bootstrap.interval(redrawn, tallied.tracks, (0.0, 1.0))
        headline = metric == self.task.headline
        row = ScoreRow(self.name, metric, condition, value, low, high, tallied.n, tallied.tracks, headline)
        self.rows.append(row)

    def _verdict(self, condition: str, case: Case, text: str, reading: Any) -> Verdict:
        right = None if case.truth is None else self.task.credit(reading, case.truth)
        return Verdict(
            task=self.name,
            condition=condition,
            case_id=case.id,
            clip_id=case.clip_id,
            track_id=case.track_id,
            question=case.question,
            answer=text,
            reading=reading,
            truth=case.truth,
            right=right,
            verdict=_word(reading, right),
        )


def _word(reading: Any, right: float | None) -> str:
    if reading is None:
        return "no answer"
    if right is None:
        return "not scored"
    return "right" if right == 1 else "partly right" if right > 0 else "wrong"
