"""RUL-MuchoMusic: MuChoMusic's questions with distractors that a text-only model cannot rule out.

Zang et al. 2025, "Are you really listening?" (MIT). 1,187 questions with five options, the right one and four
distractors, in an order that depends on the question's id alone. Numbers are not comparable with those of
`muchomusic`: peers have printed one under the name of the other.
"""

from __future__ import annotations

from llark.evaluate.options import OptionList, OptionTask, Row, shuffled


def _options(row: Row) -> OptionList:
    return shuffled(str(row["id"]), str(row["correct_answer"]), [str(text) for text in row["distractors"]])


TASK = OptionTask(
    about=__doc__,
    version=2,
    variant="RUL-MuchoMusic (perceptual distractors, 5 options)",
    count=1187,
    fields=("id", "question", "correct_answer", "distractors"),
    names=lambda row, number: (str(row["id"]), str(row.get("audio", row["id"])), row.get("caption")),
    options=_options,
)
