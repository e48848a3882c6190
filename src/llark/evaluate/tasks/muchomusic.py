"""MuChoMusic: 1,187 questions with four options on 644 recordings (Weck et al. 2024, CC BY-SA 4.0).

This is the original variant. Text-only language models pass half of it (RUListening, Zang et al. 2025), so
that the control without audio tells what a score is worth; `rul_muchomusic` is the variant that resists them.
The file is that of MiDashengLM's repository, whose rows also hold its answers. 848 of 1,187 are right by the
rule behind the published 71.44 % (`published`: the first capital letter of the answer) and 847 as people read
them: one answer is "Answer: D", where the option A is right. Rows name no recording, so each question is its
own track for the intervals.
"""

from __future__ import annotations

from llark.evaluate.options import OptionTask, first_letter

TASK = OptionTask(
    about=__doc__,
    version=2,
    variant="MuChoMusic (original, 4 options)",
    count=1187,
    fields=("audio", "question", "choices", "answer"),
    names=lambda row, number: (str(row.get("id", number)), str(row["audio"]), None),
    published_reader=first_letter,
)
