"""MedleyDB genre: one of the nine that its metadata give a recording (Bittner et al. 2014).

`accuracy` is the string match: the first of the nine that the answer names. The LLark notebooks score 98
clips of eight genres, with intervals that are computed for 1,000.
"""

from __future__ import annotations

from llark.evaluate.task import label_task

TASK = label_task(
    "medleydb_genre",
    source="medleydb",
    fact="genre",
    about=__doc__,
    version=1,
    question="What genre is this song?",
)
