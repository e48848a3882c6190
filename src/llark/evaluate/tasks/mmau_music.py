"""MMAU, music part: multiple-choice questions on music (Sakshi et al. 2024, Apache-2.0).

The file is test-mini: 1,000 items, 334 of them music. The full test set (9,000) has no public answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llark.evaluate import choices, questions
from llark.evaluate.cases import Case
from llark.records import Annotation, Score

VERSION = 2
QUESTION = ""
HEADLINE = "accuracy"
DEFAULT = False
VARIANT = "MMAU test-mini, music"
COUNT = 334
ALL = 1000

read, strict, points, rates = choices.read, choices.strict, choices.points, choices.rates
credit, constants = choices.credit, choices.constants


def is_asked(row: questions.Row) -> bool:
    return bool(row.get("task") == "music")


def load(path: Path) -> list[Case]:
    """The rows whose `task` is music, with `audio_id`, `question`, `choices` and `answer`, a text."""
    rows = questions.rows(path)
    questions.need(path, rows, ("id", "audio_id", "question", "choices", "answer", "task"), VARIANT)
    cases = []
    for row in rows:
        if is_asked(row):
            options = questions.options_of(path, str(row["id"]), row["choices"], str(row["answer"]))
            cases.append(questions.case(str(row["id"]), str(row["audio_id"]), str(row["question"]), options))
    return cases


def truth(annotation: Annotation) -> None:
    return None


def score(pairs: Sequence[tuple[int | None, choices.Options]]) -> list[Score]:
    return choices.scores("mmau_music", pairs)
