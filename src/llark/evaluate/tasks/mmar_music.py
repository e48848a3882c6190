"""MMAR, music part: questions that need several steps of reasoning (Ma et al. 2025).

1,000 items, 206 of them music alone; mixtures of music with speech or sound are left out, as peers do. Two
to six options an item.
"""

from __future__ import annotations

from llark.evaluate.options import OptionTask

TASK = OptionTask(
    about=__doc__,
    version=2,
    variant="MMAR, music alone",
    count=206,
    fields=("id", "audio_path", "question", "choices", "answer", "modality"),
    names=lambda row, number: (f"{row['id']}#{number}", str(row["audio_path"]), str(row.get("url") or "")),
    is_asked=lambda row: row.get("modality") == "music",
)
