"""MMAU, music part: multiple-choice questions on music (Sakshi et al. 2024, Apache-2.0).

The file is test-mini: 1,000 items, 334 of them music. The full test set (9,000) has no public answers.
"""

from __future__ import annotations

from llark.evaluate.options import OptionTask

TASK = OptionTask(
    about=__doc__,
    version=2,
    variant="MMAU test-mini, music",
    count=334,
    fields=("id", "audio_id", "question", "choices", "answer", "task"),
    names=lambda row, number: (str(row["id"]), str(row["audio_id"]), None),
    is_asked=lambda row: row.get("task") == "music",
)
