"""Tempo: Acc1 and Acc2 (Gouyon et al. 2006, "An experimental comparison of audio tempo induction").

Acc1: the answer is within 4 % of the true tempo. Acc2: it is within 4 % of the true tempo times 1, 2, 3, 1/2
or 1/3, since listeners do not agree on the octave. A range counts as its middle. No answer counts as wrong
and is counted apart as missing coverage.
"""

from __future__ import annotations

from llark.evaluate import bootstrap
from llark.evaluate.task import Task
from llark.music import readers

TOLERANCE = 0.04
FACTORS = (1.0, 2.0, 3.0, 1 / 2, 1 / 3)


def _points(value: float | None, truth: float) -> tuple[float, ...]:
    """1, answered, Acc1, Acc2."""
    if value is None:
        return (1, 0, 0, 0)
    hits = [abs(value - factor * truth) <= TOLERANCE * factor * truth for factor in FACTORS]
    return (1, 1, hits[0], any(hits))


def _remark(value: float | None, truth: float) -> str:
    """Beside the verdict on one answer, which is Acc1's."""
    _, _, acc1, acc2 = _points(value, truth)
    return "an octave off: Acc2 counts it as right" if acc2 and not acc1 else ""


TASK = Task(
    about=__doc__,
    version=2,
    question="What is the tempo of this music in BPM?",
    headline="acc2",
    reader=readers.read_tempo,
    strict_reader=readers.read_tempo_strictly,
    truth=lambda annotation: annotation.tempo.bpm,
    points=_points,
    rates=bootstrap.means("coverage", "acc1", "acc2"),
    constants=lambda truths: sorted({float(round(bpm)) for bpm in truths}),
    remark=_remark,
)
