"""MMAR, music part: questions that need several steps of reasoning (Ma et al. 2025).

1,000 items, 206 of them music alone; mixtures of music with speech or sound are left out, as peers do. Two
to six options an item.
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
VARIANT = "MMAR, music alone"
COUNT = 206
ALL = 1000

read, strict, points, rates = choices.read, choices.strict, choices.points, choices.rates
credit, constants = choices.credit, choices.constants


def is_asked(row: questions.Row) -> bool:
    return bool(row.get("modality") == "music")


def load(path: Path) -> list[Case]:
    """The rows whose `modality` is music, with `audio_path`, `question`, `choices` and `answer`, a text."""
    rows = questions.rows(path)
    questions.need(path, rows, ("id", "audio_path", "question", "choices", "answer", "modality"), VARIANT)
    cases = []
    for number, row in enumerate(rows):
        if is_asked(row):
            id_ = f"{row['id']}#{number}"
            options = questions.options_of(path, id_, row["choices"], str(row["answer"]))
            url = str(row.get("url") or "") or None
            cases.append(questions.case(id_, str(row["audio_path"]), str(row["question"]), options, url))
    return cases


def truth(annotation: Annotation) -> None:
    return None


def score(pairs: Sequence[tuple[int | None, choices.Options]]) -> list[Score]:
    return choices.scores("mmar_music", pairs)
