"""MMAU, music part: multiple-choice questions on music (Sakshi et al. 2024, Apache-2.0).

The file is test-mini: 1,000 items, 334 of them music. The full test set (9,000) has no public answers.
"""

from __future__ import annotations

from llark.evaluate.options import OptionTask
from llark.evaluate.task import MOSS, Published

NVIDIA = "NVIDIA Audio Flamingo repository, table"

TASK = OptionTask(
    about=__doc__,
    version=2,
    variant="MMAU test-mini, music",
    count=334,
    fields=("id", "audio_id", "question", "choices", "answer", "task"),
    names=lambda row, number: (str(row["id"]), str(row["audio_id"]), None),
    is_asked=lambda row: row.get("task") == "music",
    published=(
        Published("accuracy", "MMAU test-mini, music", "MOSS-Music-8B", 0.8078, MOSS, "V"),
        Published("accuracy", "MMAU test-mini, music", "Gemini-3.1-Pro", 0.7718, MOSS, "V"),
        Published("accuracy", "MMAU test-mini, music", "Music Flamingo", 0.7635, NVIDIA, "V"),
    ),
)
