"""GTZAN genre: one of ten, as Tzanetakis and Cook (2002) label 1,000 excerpts.

`accuracy` is the published string match: the first of the ten that the answer names, "hip-hop" in any
spelling. Prepare the fault-filtered test split (290 excerpts) with `llark prepare --dataset gtzan`; scores on
all 1,000, as in the LLark paper, are not comparable. Embedding match: `llark judge --how embed`.
"""

from __future__ import annotations

from llark.evaluate.task import label_task

TASK = label_task(
    "gtzan_genre",
    source="gtzan",
    fact="genre",
    about=__doc__,
    version=1,
    question="What genre is this music?",
)
