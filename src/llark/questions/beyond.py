"""What no sound can say, and what is no question about music; the answer says what can be told instead."""

from __future__ import annotations

from random import Random

from llark.questions import UNDERSTANDING, Ask, Kind, known
from llark.questions.facts import Facts, listed

TOLD = ("tempo", "meter", "key", "chords", "instruments", "genre")


def what_is_known(facts: Facts, rng: Random) -> Ask:
    """What of the recording is known: it can be asked about instead."""
    there = [f"the {fact}" for fact in TOLD if facts.knows(fact)]
    return known(**({"can": listed(there)} if there else {}))


SLUGS = (
    "who-sings", "who-plays", "who-wrote", "title", "year", "lyrics", "language", "rights", "taste",
    "similar", "singer-type", "place", "made-with", "quality", "story",
    "help", "greeting", "thanks", "abuse", "off-topic", "other-language", "nonsense",
)  # fmt: skip
"""The kinds of this file; the last ones are about no recording."""

KINDS = tuple(Kind(slug, UNDERSTANDING, (), what_is_known) for slug in SLUGS)
