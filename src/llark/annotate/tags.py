"""From the words of the two taggers to ours: which tags speak for a word, and how loudly they must.

A tagger's probability says how often people would have typed that tag, not how likely it is to be true: a
typical piano piece gets `piano` 0.4 and `strings` 0.1. So each tag has the probability at which it is even
odds that our word is right, and confidence is measured from there, in odds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from llark.networks import tag
from llark.records import Tag, Tags

MTT = "MTT "
MSD = "MSD "
"""Prefixes of a tag's name that say which net it comes from."""

SOURCE = "musicnn"
SOUNDS_SOURCE = "sounds"

EVEN = 0.5
"""Words below this confidence are not given."""

Rules = Mapping[str, Mapping[str, float]]
"""For each of our words: tag name → its probability at even odds."""


def tag_probabilities(heard: tag.TagOutput) -> dict[str, float]:
    """Probability of every tag, by its prefixed name.

    The mean over the half of the patches where it is highest, so that a short appearance is heard, too.
    """
    probabilities: dict[str, float] = {}
    for prefix, names, patches in ((MTT, tag.MTT, heard.mtt), (MSD, tag.MSD, heard.msd)):
        upper = np.sort(patches, axis=0)[len(patches) // 2 :].mean(axis=0)
        probabilities |= {prefix + name: float(value) for name, value in zip(names, upper, strict=True)}
    return probabilities


def confidence_at(probability: float, even: float) -> float:
    """0.5 where the probability is `even`; elsewhere its odds relative to those."""
    odds = probability * (1.0 - even)
    return odds / (odds + (1.0 - probability) * even)


def weigh(rules: Rules, probabilities: Mapping[str, float]) -> dict[str, float]:
    """Confidence in each word: that of its strongest tag."""
    return {
        word: max(confidence_at(probabilities[name], even) for name, even in tags.items())
        for word, tags in rules.items()
    }


def choose(confidences: Mapping[str, float], most: int, source: str) -> Tags:
    """The words of at least even odds, most likely first, no more than `most`."""
    ranked = sorted(confidences.items(), key=lambda item: (-item[1], item[0]))
    kept = tuple(Tag(word, round(value, 3)) for word, value in ranked[:most] if value >= EVEN)
    mean = sum(t.confidence for t in kept) / len(kept) if kept else 0.0
    return Tags(kept, round(mean, 3), source)
