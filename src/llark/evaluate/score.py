"""Asks the questions of every task under every condition, and says how much of the score is due to the sound.

Conditions: `audio` (the clip alone), `facts` (the clip and the facts measured in it), `wrong facts` (the clip
and another track's facts), and the controls: `shuffled` (another track's sound), `silence`, `noise`,
`no audio`, `majority` (the commonest truth) and `constant` (the best answer that is always the same); for
the last two nobody is asked. For questions with options also what their text gives away: `longest option`,
and `likeliest option`, which the model's language model expects most.
A model that does not beat the controls with sound of the wrong kind is deaf.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llark.errors import UserMustAct
from llark.evaluate import bootstrap
from llark.evaluate.cases import (
    ANSWERED,
    ASKED,
    AUDIO,
    CONDITIONS,
    CONSTANT,
    CONTROLS,
    FACTS,
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
from llark.evaluate.report import (
    AGREEMENT,
    FOLLOWS,
    KEEPS,
    PUBLISHED,
    STRICT,
    Absent,
    Evaluation,
    Margin,
    ScoreRow,
    Verdict,
)
from llark.evaluate.task import Task
from llark.evaluate.tasks import TASKS
from llark.records import Annotation

ASKED_CONTROLS = tuple(name for name in CONTROLS if name in ASKED)
"""Controls in which the model is asked, but not given the sound of the clip."""

UNKNOWN_TRUTH = "no clip has a known truth for it"


@dataclass(frozen=True)
class EvaluateConfig:
    """How to evaluate."""

    conditions: tuple[str, ...] = CONDITIONS
    """What to run, of `cases.CONDITIONS`."""
    tasks: tuple[str, ...] = ()
    """Names of `tasks.TASKS`; those with `default` and a known truth, if empty."""
    draws: int = 1000
    """Resampled test sets for the 95 % intervals."""
    equal_tracks: bool = False
    """Every track counts once, however many clips it has (for few and long tracks)."""


def evaluate(
    test_set: TestSet,
    answer: AnswerPrompts,
    config: EvaluateConfig | None = None,
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
    config = config or EvaluateConfig()
    refuse_unknown(config)
    if len({item.clip_id for item in test_set.items}) < len(test_set.items):
        raise UserMustAct("Two clips of the test set have the same id.")
    rows: list[ScoreRow] = []
    margins: list[Margin] = []
    verdicts: list[Verdict] = []
    absent: list[Absent] = []
    names = _names(test_set, config)
    for name in names:
        run = _TaskRun(name, test_set, config)
        if not run.cases and not run.only_facts:
            absent.append(Absent(name, TASKS[name].headline, UNKNOWN_TRUTH))
            continue
        for condition in dict.fromkeys(config.conditions):
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


def plan(test_set: TestSet, config: EvaluateConfig) -> Iterator[tuple[str, str, list[TaskPrompt]]]:
    """(task, condition, prompts) of all that `evaluate` would ask."""
    for name in _names(test_set, config):
        run = _TaskRun(name, test_set, config)
        for condition in dict.fromkeys(config.conditions):
            if condition in ANSWERED and (prompts := run.prompts(condition)):
                yield name, condition, prompts


def _names(test_set: TestSet, config: EvaluateConfig) -> tuple[str, ...]:
    return tuple(dict.fromkeys(config.tasks)) or tasks_of(test_set)


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


def case_of(task: Task, item: LabelledClip) -> Case:
    """The task's question about a labelled clip."""
    return Case(item.clip_id, item.clip_id, item.track_id, task.question, item_truth(task, item))


def refuse_unknown(config: EvaluateConfig) -> None:
    """Raises `UserMustAct` where a task or a condition is none."""
    for name in config.tasks:
        if name not in TASKS:
            raise UserMustAct(f"There is no task {name!r}; there are {', '.join(TASKS)}.")
    for condition in config.conditions:
        if condition not in CONDITIONS:
            raise UserMustAct(f"There is no condition {condition!r}; there are {', '.join(CONDITIONS)}.")


class _TaskRun:
    """One task over one test set: collects rows, and the tallies that margins compare."""

    def __init__(self, name: str, test_set: TestSet, config: EvaluateConfig) -> None:
        self.name, self.task, self.config = name, TASKS[name], config
        self.facts: dict[str, Annotation] = {} if name in test_set.questions else test_set.facts
        self.cases: dict[str, Case] = {}
        self.only_facts: dict[str, Case] = {}
        for case in test_set.questions.get(name, ()):
            if case.id in self.cases:
                raise UserMustAct(f"Two questions of {name} have the same id, {case.id!r}.")
            self.cases[case.id] = case
        for item in test_set.items if name not in test_set.questions else ():
            # A labelled clip becomes a case; one that only the facts know is asked about with facts alone.
            case = case_of(self.task, item)
            if case.truth is not None:
                self.cases[case.id] = case
            elif item.facts is not None and self.task.truth(item.facts) is not None:
                self.only_facts[case.id] = case
        self.rows: list[ScoreRow] = []
        self._headlines: dict[str, bootstrap.Estimate] = {}
        self._readings: dict[str, dict[str, Any]] = {}

    def prompts(self, condition: str) -> list[TaskPrompt]:
        """What is asked; nothing where the condition is not available."""
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
        if MAJORITY in self.config.conditions:
            # Of the constants the one that is wholly right most often, else the first.
            right = [sum(self.task.credit(one, truth) == 1.0 for truth in truths) for one in constants]
            commonest = constants[int(np.argmax(right))]
            self._add_rows(MAJORITY, cases, {case.id: commonest for case in cases})
        if CONSTANT not in self.config.conditions:
            return
        values = [self.task.score([(constant, truth) for truth in truths]) for constant in constants]
        for metric in values[0]:
            best = constants[int(np.argmax([value[metric] for value in values]))]
            self._add_rows(CONSTANT, cases, {case.id: best for case in cases}, only=metric)

    def add_longest(self) -> None:
        """The longest option every time, where there are options."""
        cases = list(self.cases.values())
        if LONGEST in self.config.conditions and cases and hasattr(cases[0].truth, "texts"):
            self._add_rows(LONGEST, cases, {case.id: longest(case.truth) for case in cases})

    def margins(self) -> list[Margin]:
        """`audio` against the best control that was run, if both were."""
        controls = {name: score for name, score in self._headlines.items() if name in CONTROLS}
        if AUDIO not in self._headlines or not controls:
            return []
        own = self._headlines[AUDIO]
        best = max(controls, key=lambda name: controls[name].value)
        low, high = self._interval(own.redrawn - controls[best].redrawn)
        # Deaf: `audio` does not stay above the best control in which the model is asked without the clip.
        asked = [score for name, score in controls.items() if name in ASKED_CONTROLS]
        highest = max(asked, key=lambda score: score.value, default=None)
        deaf = highest is not None and self._interval(own.redrawn - highest.redrawn)[0] <= 0
        lead = own.value - controls[best].value
        return [Margin(self.name, self.task.headline, best, lead, low, high, deaf)]

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
        """The task's metrics over some cases; of `only` one of them, with a `prefix` before its name."""
        points = [self.task.points(readings[case.id], case.truth) for case in cases]
        tallied = bootstrap.tally(
            [case.track_id for case in cases],
            np.asarray(points, dtype=float),
            equal_tracks=self.config.equal_tracks,
        )
        metrics = bootstrap.estimates(tallied, self.task.rates, self.name, count=self.config.draws)
        for metric in metrics if only is None else [only]:
            self._add_row(condition, prefix + metric, metrics[metric], tallied)
        if only in (None, self.task.headline) and not prefix:
            self._headlines[condition] = metrics[self.task.headline]

    def _add_row(
        self, condition: str, metric: str, estimate: bootstrap.Estimate, tallied: bootstrap.TrackTally
    ) -> None:
        value, low, high = estimate.value, estimate.low, estimate.high
        leads = metric == self.task.headline
        n, tracks = tallied.n, tallied.tracks
        self.rows.append(ScoreRow(self.name, metric, condition, value, low, high, n, tracks, leads))

    def _add_faithfulness(
        self, condition: str, prompts: Sequence[TaskPrompt], readings: Mapping[str, Any]
    ) -> None:
        """Where facts were shown: how often the answers say them."""
        if condition == FACTS:
            shares = {AGREEMENT: agrees(self.task, prompts, readings)}
        elif condition == WRONG_FACTS:
            alone = self._readings.get(AUDIO, {})
            shares = follows_or_keeps(self.task, prompts, readings, alone, self.facts)
        else:
            return
        tracks = {case.id: case.track_id for case in (*self.cases.values(), *self.only_facts.values())}
        for metric, hits in shares.items():
            if hits:
                points = np.asarray([[1.0, hit] for hit in hits.values()], dtype=float)
                tallied, rates = (
                    bootstrap.tally([tracks[id_] for id_ in hits], points),
                    bootstrap.means(metric),
                )
                share = bootstrap.estimates(tallied, rates, f"{self.name} {metric}", count=self.config.draws)
                self._add_row(condition, metric, share[metric], tallied)

    def _verdict(self, condition: str, case: Case, text: str, reading: Any) -> Verdict:
        right = None if case.truth is None else self.task.credit(reading, case.truth)
        if reading is None:
            word = "no answer"
        elif right is None:
            word = "not scored"
        else:
            word = "right" if right == 1 else "partly right" if right > 0 else "wrong"
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
            verdict=word,
        )


# --- whether a model that is shown facts says them, and whether it believes them when they are wrong ------
#
# Agreement: of the clips whose facts know the answer, how often the answer says what the facts say. Then
# another track's facts are shown beside the clip's own sound: an answer that says the wrong fact is `follows`
# (a parrot), one that says what was measured in the clip, or what the model said without facts, is `keeps`
# (sceptical). Clips where the wrong fact happens to agree with the right one tell nothing and are left out.


def agrees(task: Task, prompts: Sequence[TaskPrompt], readings: Mapping[str, Any]) -> dict[str, float]:
    """1 or 0 by prompt, over the prompts whose facts know the answer."""
    shown = {prompt.id: task.truth(prompt.facts) for prompt in prompts if prompt.facts is not None}
    known = {id_: fact for id_, fact in shown.items() if fact is not None}
    return {id_: float(task.credit(readings[id_], fact) == 1.0) for id_, fact in known.items()}


def follows_or_keeps(
    task: Task,
    prompts: Sequence[TaskPrompt],
    readings: Mapping[str, Any],
    alone: Mapping[str, Any],
    measured: Mapping[str, Annotation],
) -> dict[str, dict[str, float]]:
    """`follows` and `keeps`, each 1 or 0 by prompt.

    Args:
        readings: What is read in the answers to `prompts`, which show wrong facts.
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
