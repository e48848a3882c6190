"""MedleyDB genre: one of the nine that its metadata give a recording (Bittner et al. 2014).

`accuracy` is the string match: the first of the nine that the answer names. The LLark notebooks score 98
clips of eight genres, with intervals that are computed for 1,000.
"""

from __future__ import annotations

from collections.abc import Sequence

from llark.evaluate import labels, pool
from llark.records import Annotation, Score

VERSION = 1
QUESTION = "What genre is this song?"
HEADLINE = "accuracy"
DEFAULT = True
SOURCE = "medleydb"
GENRES = labels.Labels(
    {
        "singer/songwriter": "singer songwriter|singer-songwriter|songwriter|acoustic ballad",
        "classical": "baroque|orchestral|chamber|opera|symphonic|romantic",
        "rock": "rock n roll|rock and roll|hard rock|punk|grunge|alternative|indie|metal|heavy metal",
        "world/folk": "world|folk|world music|folk music|celtic|traditional|klezmer",
        "fusion": "jazz fusion|jazz rock",
        "jazz": "jazzy|bebop|bop|swing|big band|dixieland",
        "pop": "popular|synthpop|synth pop|dance|electronic",
        "musical theatre": "musical theater|musical|broadway|show tune|theatre|theater",
        "rap": "hip hop|hiphop|trap|boom bap",
    }
)


def read(answer: str, truth: object = None) -> str | None:
    return GENRES.first(answer)


def strict(answer: str, truth: object = None) -> str | None:
    return GENRES.alone(answer)


def truth(annotation: Annotation) -> str | None:
    tags = annotation.genre
    known = tags.labels and tags.source == SOURCE and tags.labels[0].lower() in GENRES.names
    return tags.labels[0].lower() if known else None


points = labels.one_points
rates = pool.means("coverage", "accuracy")
credit = labels.one_credit


def constants(truths: Sequence[str]) -> list[str]:
    return list(GENRES.names)


def score(pairs: Sequence[tuple[str | None, str]]) -> list[Score]:
    return labels.scores("medleydb_genre", [points(value, truth) for value, truth in pairs], rates)
