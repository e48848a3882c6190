"""MusicNet instruments: which of eleven play in the clip (Thickstun et al. 2017).

The truth is what has a note in the clip, not in the piece. `f1` is micro F1 with every missed instrument
counted. The published notebook sets the misses to those of its last row alone (`fn = …` in the loop), which
makes it higher: of two clips with a piano and a violin each, where both answers
say piano, the corrected F1 is 2·2 / (2·2 + 0 + 2) = 0.667 and the published one 2·2 / (2·2 + 0 + 1) = 0.8.
"""

from __future__ import annotations

from llark.evaluate.task import LABELS, SetTask
from llark.music.readers import Labels
from llark.records import Annotation

SOURCES = ("musicnet", "musicnet_em")
INSTRUMENTS = Labels(LABELS["musicnet_instruments"])


def _truth(annotation: Annotation) -> frozenset[str] | None:
    if annotation.notes.source not in SOURCES:
        return None
    played = {LABELS["musicnet_programs"].get(note.instrument) for note in annotation.notes.notes}
    return frozenset(name for name in played if name is not None) or None


TASK = SetTask(
    about=__doc__,
    version=1,
    question="What instruments do you hear in the provided audio?",
    reader=INSTRUMENTS.every,
    strict_reader=INSTRUMENTS.listed,
    truth=_truth,
    sources=SOURCES,
)
