"""NSynth instrument: the family of a single note, one of eleven (Engel et al. 2017).

`accuracy` reads the answer leniently ("an electric guitar" is guitar, "a saxophone" reed); `exact` counts
answers that are the family's name and nothing else, the way in which MiDashengLM's and MARBLE's numbers are
made: MiDashengLM's stored answers are 3,298 of 4,096 exact. "Synth lead" never occurs in the test split.
"""

from __future__ import annotations

from collections.abc import Sequence

from llark.evaluate import labels, pool
from llark.records import Annotation, Score

VERSION = 1
QUESTION = (
    "Which instrument family plays this note: bass, brass, flute, guitar, keyboard, mallet, organ, reed, "
    "string, synth_lead or vocal?"
)
HEADLINE = "accuracy"
DEFAULT = True
SOURCE = "nsynth"
FAMILIES = labels.Labels(
    {
        "bass": "bass guitar|electric bass|double bass|synth bass",
        "brass": "trumpet|trombone|horn|french horn|tuba",
        "flute": "piccolo|recorder",
        "guitar": "acoustic guitar|electric guitar",
        "keyboard": "piano|electric piano|harpsichord|clavinet|rhodes",
        "mallet": "marimba|xylophone|vibraphone|glockenspiel|bell|mallets",
        "organ": "hammond|pipe organ|church organ",
        "reed": "saxophone|sax|clarinet|oboe|bassoon",
        "string": "violin|viola|cello|harp",
        "synth_lead": "synth lead|lead synth|synthesizer lead|synth",
        "vocal": "voice|vocals|singer|singing|choir",
    }
)


def read(answer: str, truth: object = None) -> str | None:
    return FAMILIES.first(answer)


def strict(answer: str, truth: object = None) -> str | None:
    return FAMILIES.alone(answer)


def truth(annotation: Annotation) -> str | None:
    tags = annotation.instruments
    return tags.labels[0] if tags.labels and tags.source == SOURCE else None


points = labels.one_points
rates = pool.means("coverage", "accuracy")
credit = labels.one_credit


def constants(truths: Sequence[str]) -> list[str]:
    return list(FAMILIES.names)


def score(pairs: Sequence[tuple[str | None, str]]) -> list[Score]:
    return labels.scores("nsynth_instrument", [points(value, truth) for value, truth in pairs], rates)
