"""MedleyDB instruments: which of twenty words fit the stems of the recording (Bittner et al. 2014).

MedleyDB's labels are mapped to the words that people say; several labels of one word ("clean electric
guitar", "acoustic guitar") are one guitar, and an answer "guitar" is right once, where the published notebook
counts a wrong guitar for each label that is silent. The truth is the recording's, not the clip's: an
instrument that rests in the clip counts as there. `clip_f1` is the published mean over tracks.
"""

from __future__ import annotations

from llark.evaluate.task import LABELS, SetTask
from llark.music.readers import Labels
from llark.records import Annotation

SOURCE = "medleydb"
_TABLE = LABELS["medleydb_instruments"]
INSTRUMENTS = Labels(_TABLE)
_WORDS = {label: word for word, others in _TABLE.items() for label in (word, *others)}


def _truth(annotation: Annotation) -> frozenset[str] | None:
    if annotation.instruments.source != SOURCE:
        return None
    words = {word for label in annotation.instruments.labels if (word := _WORDS.get(label.lower()))}
    return frozenset(words) or None


TASK = SetTask(
    about=__doc__,
    version=1,
    question="List the instruments you hear in this clip.",
    reader=INSTRUMENTS.every,
    strict_reader=INSTRUMENTS.listed,
    truth=_truth,
    sources=(SOURCE,),
)
