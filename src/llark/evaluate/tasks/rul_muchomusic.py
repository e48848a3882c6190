"""RUL-MuchoMusic: MuChoMusic's questions with distractors that a text-only model cannot rule out.

Zang et al. 2025, "Are you really listening?" (MIT). 1,187 questions with five options, the right one and four
distractors, in an order that depends on the question's id alone. Numbers are not comparable with those of
`muchomusic`: peers have printed one under the name of the other.
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
VARIANT = "RUL-MuchoMusic (perceptual distractors, 5 options)"
COUNT = 1187

read, strict, points, rates = choices.read, choices.strict, choices.points, choices.rates
credit, constants = choices.credit, choices.constants


def load(path: Path) -> list[Case]:
    """An object of rows by id, with `question`, `correct_answer` and `distractors`."""
    rows = questions.rows(path)
    questions.need(path, rows, ("id", "question", "correct_answer", "distractors"), VARIANT)
    return [_case(row) for row in rows]


def _case(row: questions.Row) -> Case:
    id_ = str(row["id"])
    options = choices.shuffled(id_, str(row["correct_answer"]), [str(text) for text in row["distractors"]])
    return questions.case(id_, str(row.get("audio", id_)), str(row["question"]), options, row.get("caption"))


def truth(annotation: Annotation) -> None:
    return None


def score(pairs: Sequence[tuple[int | None, choices.Options]]) -> list[Score]:
    return choices.scores("rul_muchomusic", pairs)
