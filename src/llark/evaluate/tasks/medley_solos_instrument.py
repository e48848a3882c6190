"""Medley-solos-DB: which of eight instruments plays alone (Lostanlen and Cella 2016)."""

from __future__ import annotations

from collections.abc import Sequence

from llark.evaluate import labels, pool
from llark.records import Annotation, Score

VERSION = 1
QUESTION = (
    "Which instrument plays: clarinet, distorted electric guitar, female singer, flute, piano, tenor "
    "saxophone, trumpet or violin?"
)
HEADLINE = "accuracy"
DEFAULT = True
SOURCE = "medley_solos_db"
INSTRUMENTS = labels.Labels(
    {
        "clarinet": "clarinettist",
        "distorted electric guitar": "distorted guitar|electric guitar|guitar|overdriven guitar",
        "female singer": "female voice|female vocal|singer|voice|vocal|vocals|singing|soprano|woman singing",
        "flute": "flutist",
        "piano": "grand piano|pianist",
        "tenor saxophone": "saxophone|sax|tenor sax|alto saxophone",
        "trumpet": "trumpeter",
        "violin": "fiddle|violinist",
    }
)


def read(answer: str, truth: object = None) -> str | None:
    return INSTRUMENTS.first(answer)


def strict(answer: str, truth: object = None) -> str | None:
    return INSTRUMENTS.alone(answer)


def truth(annotation: Annotation) -> str | None:
    tags = annotation.instruments
    return tags.labels[0] if tags.labels and tags.source == SOURCE else None


points = labels.one_points
rates = pool.means("coverage", "accuracy")
credit = labels.one_credit


def constants(truths: Sequence[str]) -> list[str]:
    return list(INSTRUMENTS.names)


def score(pairs: Sequence[tuple[str | None, str]]) -> list[Score]:
    return labels.scores("medley_solos_instrument", [points(value, truth) for value, truth in pairs], rates)
