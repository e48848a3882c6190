"""Key: the weighted score of MIREX audio key detection, from `mir_eval.key`, and exact accuracy.

1 for the same key, 0.5 for a fifth above with the same mode, 0.3 for the relative and 0.2 for the parallel
key. Enharmonic spellings are the same key. No answer scores 0 and is counted apart as missing coverage.
"""

from __future__ import annotations

from llark.evaluate import bootstrap
from llark.evaluate.task import Task
from llark.music import readers
from llark.records import KEYS


def _points(value: str | None, truth: str) -> tuple[float, ...]:
    """1, answered, the MIREX weight, exact."""
    from mir_eval.key import weighted_score

    weight = float(weighted_score(truth, value)) if value is not None else 0.0
    return (1, value is not None, weight, value == truth)


TASK = Task(
    about=__doc__,
    version=1,
    question="What key is this music in?",
    headline="mirex",
    reader=readers.read_key,
    strict_reader=readers.read_key_strictly,
    truth=lambda annotation: annotation.key.name,
    points=_points,
    rates=bootstrap.means("coverage", "mirex", "exact"),
    constants=lambda truths: list(KEYS),
)
