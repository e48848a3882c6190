"""MuChoMusic: 1,187 questions with four options on 644 recordings (Weck et al. 2024, CC BY-SA 4.0).

This is the original variant. Text-only language models pass half of it (RUListening, Zang et al. 2025), so
that the control without audio tells what a score is worth; `rul_muchomusic` is the variant that resists them.
The file is that of MiDashengLM's repository, whose rows also hold its answers. 848 of 1,187 are right by the
rule behind the published 71.44 % (`published`: the first capital letter of the answer) and 847 as people read
them: one answer is "Answer: D", where the option A is right. Rows name no recording, so each question is its
own track for the intervals.
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
VARIANT = "MuChoMusic (original, 4 options)"
COUNT = 1187

read, strict, points, rates = choices.read, choices.strict, choices.points, choices.rates
credit, constants, published = choices.credit, choices.constants, choices.first_letter


def load(path: Path) -> list[Case]:
    """Rows with `audio`, `question`, `choices` and `answer`, a letter."""
    rows = questions.rows(path)
    questions.need(path, rows, ("audio", "question", "choices", "answer"), VARIANT)
    cases = []
    for number, row in enumerate(rows):
        id_ = str(row.get("id", number))
        options = questions.options_of(path, id_, row["choices"], str(row["answer"]))
        cases.append(questions.case(id_, str(row["audio"]), str(row["question"]), options))
    return cases


def truth(annotation: Annotation) -> None:
    return None


def score(pairs: Sequence[tuple[int | None, choices.Options]]) -> list[Score]:
    return choices.scores("muchomusic", pairs)
