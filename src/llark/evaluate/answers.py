"""Answers on disk: asked once, kept, and gone on with where a run was stopped.

Each task and condition has a folder with one `StoredAnswer` a prompt. A folder of other questions, or of
another model, is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from llark import engine
from llark.errors import UserMustAct
from llark.evaluate.cases import Case, TaskPrompt, TestSet
from llark.evaluate.options import OptionTask, Row, read_rows
from llark.evaluate.score import case_of
from llark.evaluate.tasks import QUESTION_TASKS, TASKS
from llark.music import facts_line
from llark.storage import stages

CHUNK = 64
"""Prompts that are asked at once: enough to sort by length, few enough to lose."""


@dataclass(frozen=True)
class StoredAnswer:
    """The answer to one prompt."""

    id: str
    question: str
    text: str


class EvaluatedModel(Protocol):
    """What is evaluated. `about` tells it from any other: its answers depend on nothing else."""

    @property
    def about(self) -> Mapping[str, str]: ...

    def __call__(self, prompts: Sequence[TaskPrompt], /) -> list[str]:
        """One answer for each prompt, in the same order."""


@dataclass(frozen=True)
class CachedAnswers:
    """Answers by asking `model`, kept below `folder`. It is an `AnswerPrompts` of `cases`.

    Prompts of a task that are alike are asked once, under whichever condition: the shuffled clips of a task
    with one question are clips that were asked about before.

    `grade` describes the answers so far in a word for the progress bar: it is given the task, and the answers
    by prompt.
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
        [one.id, one.question, one.clip_id, one.stand_in, one.facts and facts_line.describe_facts(one.facts)]
        for one in prompts
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


# --- answers that other harnesses have stored, scored as if they had been given here ----------------------
#
# A row is an object with an answer (`model_output`, `model_prediction`, `prediction`, `filtered_resps` …).
# It brings its question along (`question`, `choices` and `answer`; `audio` and `label`), or names one of a
# test set that is given beside it, by `id`, `clip_id`, `audio` or its place in the file (`doc_id`).

ANSWER_FIELDS = (
    "model_completion_text", "model_output", "model_prediction", "prediction", "pred", "filtered_resps",
    "resps", "response", "output", "generated_text", "answer_text", "answer",
)  # fmt: skip
"""Where the answer may be, the surest first. `answer` is the right one where there is another."""

NAME_FIELDS = ("case_id", "id", "clip_id", "track_id", "audio", "audio_id", "audio_path", "file")

LABEL_FIELDS = ("label", "target", "answer", "gold", "correct_answer")


@dataclass(frozen=True, eq=False)
class Predictions:
    """A test set and the stored answer to each of its cases: itself an `AnswerPrompts` of `cases`."""

    test_set: TestSet
    texts: Mapping[str, str]
    model: str = "unknown"

    def answer(self, task: str, condition: str, prompts: Sequence[TaskPrompt]) -> Mapping[str, str]:
        return self.texts


def load_predictions(task: str, path: Path, given: TestSet) -> Predictions:
    """The stored answers to one task.

    Args:
        given: The test set that the rows are about; empty where the rows bring their questions along.

    Raises:
        UserMustAct: No row has an answer of a model, or none is about the test set.
    """
    rows = _of_task(task, read_rows(path))
    if not rows:
        raise UserMustAct(f"{path}: no row is about {task}.")
    known = given.questions.get(task) or tuple(case_of(TASKS[task], item) for item in given.items)
    known = tuple(case for case in known if case.truth is not None)
    field = _answer_field(path, rows, brings_questions=not known)
    model = str(rows[0].get("model_name") or rows[0].get("model") or "unknown")
    if not known:
        if task in QUESTION_TASKS:
            known = tuple(QUESTION_TASKS[task].load(path))
        else:
            known = tuple(_labelled(task, path, number, row) for number, row in enumerate(rows))
        if lacking := [number for number, row in enumerate(rows) if field not in row]:
            raise UserMustAct(f"{path}, row {lacking[0]}, has no {field}, which is the answer in the others.")
        texts = {case.id: _text(row[field]) for case, row in zip(known, rows, strict=True)}
        return Predictions(TestSet((), {task: known}), texts, model)
    texts = _matched(path, rows, field, known)
    if not texts:
        raise UserMustAct(f"{path}: no row is about one of the {len(known)} questions of the test set.")
    chosen = tuple(case for case in known if case.id in texts)
    return Predictions(TestSet((), {task: chosen}), texts, model)


def _of_task(task: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that are about the task: those of other tasks, in our own files of answers, are left out, and
    of a benchmark's whole file those that belong to another part."""
    one = TASKS[task]
    rows = [row for row in rows if row.get("task", task) == task or row["task"] not in TASKS]
    if isinstance(one, OptionTask) and any("choices" in row for row in rows):
        rows = [row for row in rows if one.is_asked(row)]
    return rows


def _answer_field(path: Path, rows: Sequence[Row], *, brings_questions: bool) -> str:
    """Where the model's answer is. `answer` is none beside the options, or where it is all that is known."""
    right = brings_questions and not any(name in rows[0] for name in LABEL_FIELDS if name != "answer")
    taken = ("answer",) if right or "choices" in rows[0] else ()
    field = next((name for name in ANSWER_FIELDS if name in rows[0] and name not in taken), None)
    if field is None:
        has = ", ".join(sorted(rows[0])[:12])
        aside = ", where answer is the right one" if taken and "answer" in rows[0] else ""
        raise UserMustAct(
            f"{path}: rows have no answer of a model; they have {has}{aside}, and none of"
            f" {', '.join(name for name in ANSWER_FIELDS if name != 'answer')}."
        )
    return field


def _labelled(task: str, path: Path, number: int, row: Row) -> Case:
    """A case whose truth stands in the row, in the words of the benchmark."""
    name = next((str(row[field]) for field in NAME_FIELDS if field in row), str(number))
    field = next((field for field in LABEL_FIELDS if field in row), None)
    value = row[field] if field else None
    truth = None if field is None else _label(task, value)
    if truth is None:
        said = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        raise UserMustAct(f"{path}, row {number}: {said!r} is no label of {task}.")
    stem = PurePosixPath(name).stem if "." in name else name
    return Case(str(number), stem, stem, str(row.get("question") or row.get("prompt") or ""), truth)


def _label(task: str, value: Any) -> Any | None:
    """A label as the task compares it: of genres and captions all that are given count."""
    several = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    if TASKS[task].from_captions:
        return tuple(text for text in several if text.strip()) or None
    if task == "genre":
        return tuple(style for text in several if (style := TASKS[task].read(text)) is not None) or None
    said = ", ".join(several)
    return TASKS[task].strict(said) or TASKS[task].read(said)


def _matched(path: Path, rows: Sequence[Row], field: str, known: Sequence[Case]) -> dict[str, str]:
    """Answers by case, by the first name that fits; a clip's answer is that of each of its cases.

    Raises `UserMustAct` where rows are named by places alone, some of which the test set has not: then it is
    another one, or a part, and the places that it has are those of other questions.
    """
    by_name = {case.id: case for case in known}
    by_clip: dict[str, list[Case]] = {}
    for case in known:
        by_clip.setdefault(case.clip_id, []).append(case)
    texts: dict[str, str] = {}
    farthest = max((row["doc_id"] for row in rows if isinstance(row.get("doc_id"), int)), default=0)
    for row in rows:
        if row.get("condition", "audio") != "audio":
            continue
        place = row.get("doc_id")
        named = [str(row[name]) for name in NAME_FIELDS if name in row]
        named += [PurePosixPath(name).stem for name in named if "." in name]
        cases = [by_name[name] for name in named if name in by_name][:1]
        cases = cases or next((by_clip[name] for name in named if len(by_clip.get(name, ())) == 1), [])
        if not cases and isinstance(place, int) and place >= 0:
            if farthest >= len(known):
                raise UserMustAct(
                    f"{path}: doc_id goes up to {farthest}, and there are {len(known)} questions, so that the"
                    " places are those of another set. Name the whole one, without --clips, or rows with ids."
                )
            cases = [known[place]]
        texts.update({case.id: _text(row[field]) for case in cases if field in row})
    return texts


def _text(value: Any) -> str:
    """The answer in a cell; of lists in lists, as lmms-eval writes them, the first."""
    while isinstance(value, list):
        value = value[0] if value else ""
    return "" if value is None else str(value)
