"""Genre: accuracy of the first style that the answer names, right if the truth has it among its styles.

One guess only, so that naming many styles does not pay. Styles outside `records.GENRES` are answers, and
wrong. No answer counts as wrong and is counted apart as missing coverage.
"""

from __future__ import annotations

from llark.evaluate.task import ACCURACY, Task
from llark.music import readers
from llark.records import GENRES, Annotation


def _truth(annotation: Annotation) -> tuple[str, ...] | None:
    """Styles that this package has words for; labels of other lists are their own benchmarks."""
    return tuple(label for label in annotation.genre.labels if label in GENRES) or None


TASK = Task(
    about=__doc__,
    version=1,
    question="What genre is this music?",
    headline="accuracy",
    reader=readers.read_genre,
    strict_reader=readers.read_genre_strictly,
    truth=_truth,
    points=lambda value, truth: (1, value is not None, value in truth),
    rates=ACCURACY,
    constants=lambda truths: list(GENRES),
)
