"""GTZAN genre: one of ten, as Tzanetakis and Cook (2002) label 1,000 excerpts.

`accuracy` is the published string match: the first of the ten that the answer names, "hip-hop" in any
spelling. Prepare the fault-filtered test split (290 excerpts) with `llark prepare --dataset gtzan`; scores on
all 1,000, as in the LLark paper, are not comparable. Embedding match: `llark.evaluate.embedding`.
"""

from __future__ import annotations

from collections.abc import Sequence

from llark.evaluate import labels, pool
from llark.records import Annotation, Score

VERSION = 1
QUESTION = "What genre is this music?"
HEADLINE = "accuracy"
DEFAULT = True
SOURCE = "gtzan"
GENRES = labels.Labels(
    {
        "blues": "bluesy|boogie woogie",
        "classical": "baroque|orchestral|chamber|opera|symphonic|romantic",
        "country": "bluegrass|honky tonk|country and western",
        "disco": "nu disco",
        "hiphop": "hip hop|rap|trap|boom bap",
        "jazz": "jazzy|bebop|bop|swing|big band|dixieland|smooth jazz",
        "metal": "heavy metal|death metal|black metal|thrash metal|thrash|metalcore",
        "pop": "popular|synthpop|synth pop",
        "reggae": "ska|dub|rocksteady|dancehall",
        "rock": "rock n roll|rock and roll|hard rock|punk|grunge|alternative|indie",
    }
)


def read(answer: str, truth: object = None) -> str | None:
    return GENRES.first(answer)


def strict(answer: str, truth: object = None) -> str | None:
    return GENRES.alone(answer)


def truth(annotation: Annotation) -> str | None:
    tags = annotation.genre
    return tags.labels[0] if tags.labels and tags.source == SOURCE else None


points = labels.one_points
rates = pool.means("coverage", "accuracy")
credit = labels.one_credit


def constants(truths: Sequence[str]) -> list[str]:
    return list(GENRES.names)


def score(pairs: Sequence[tuple[str | None, str]]) -> list[Score]:
    return labels.scores("gtzan_genre", [points(value, truth) for value, truth in pairs], rates)
