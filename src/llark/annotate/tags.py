"""Instruments and genre: from the words of the two taggers and of the timbre net to ours.

A tagger's probability says how often people would have typed that tag, not how likely it is to be true: a
typical piano piece gets `piano` 0.4 and `strings` 0.1. So each tag has the probability at which it is even
odds that our word is right, and confidence is measured from there, in odds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from llark.networks import tag
from llark.networks.features import AudioFeatures
from llark.records import GENRES, Tag, Tags

MTT = "MTT "
MSD = "MSD "
"""Prefixes of a tag's name that say which net it comes from."""

SOURCE = "musicnn"
TIMBRE_SOURCE = "sounds"

EVEN = 0.5
"""Words below this confidence are not given."""

Rules = Mapping[str, Mapping[str, float]]
"""For each of our words: tag name → its probability at even odds."""


def tag_probabilities(output: tag.TagOutput) -> dict[str, float]:
    """Probability of every tag, by its prefixed name.

    The mean over the half of the patches where it is highest, so that a short appearance counts, too.
    """
    probabilities: dict[str, float] = {}
    for prefix, names, patches in ((MTT, tag.MTT, output.mtt), (MSD, tag.MSD, output.msd)):
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


# --- instruments ------------------------------------------------------------------------------------------
# The taggers' words, weighed against those of the timbre net.


MOST_INSTRUMENTS = 8
"""Words given for one clip at most."""

INSTRUMENT_RULES: Rules = {
    "piano": {MTT + "piano": 0.28},
    "harpsichord": {MTT + "harpsichord": 0.3},
    "strings": {MTT + "strings": 0.3},
    "violin": {MTT + "violin": 0.32},
    "cello": {MTT + "cello": 0.28},
    "harp": {MTT + "harp": 0.28},
    "choir": {MTT + "choir": 0.2, MTT + "choral": 0.2},
    "flute": {MTT + "flute": 0.28},
    "synth": {MTT + "synth": 0.25, MTT + "techno": 0.35, MSD + "electro": 0.3, MSD + "House": 0.3},
    "drums": {MTT + "drums": 0.22, MTT + "beats": 0.2, MTT + "techno": 0.35, MTT + "rock": 0.5,
              MTT + "metal": 0.35, MSD + "metal": 0.35, MSD + "House": 0.3},
    "distorted guitar": {MTT + "metal": 0.3, MSD + "metal": 0.35, MSD + "heavy metal": 0.25,
                         MSD + "hard rock": 0.3, MSD + "punk": 0.35},
    "voice": {MSD + "female vocalists": 0.3, MSD + "male vocalists": 0.3, MTT + "opera": 0.3},
}  # fmt: skip
"""Which tags speak for which instrument. Instruments without a tag of their own need a trained head."""

VOICE_TAGS = (
    "vocal", "vocals", "singing", "voice", "female", "male", "woman", "man", "female vocal", "male vocal",
    "female voice", "male voice",
)  # fmt: skip
NO_VOICE_TAGS = ("no vocals", "no vocal", "no voice")
EVEN_VOICE_SHARE = 0.8
"""People spread a voice over a dozen tags; it is even odds where these hold this share of all that is said
for and against a voice."""

GUITARS: Mapping[str, Mapping[str, float]] = {
    "acoustic guitar": {MSD + "acoustic": 1.0, MSD + "folk": 1.0, MSD + "country": 0.5, MTT + "country": 0.5,
                        MTT + "classical": 0.7, MTT + "soft": 0.5},
    "electric guitar": {MTT + "rock": 0.3, MSD + "rock": 1.0, MSD + "classic rock": 1.0, MSD + "blues": 0.7,
                        MSD + "indie": 0.4, MSD + "alternative": 0.5, MSD + "funk": 0.7},
    "distorted guitar": {MTT + "metal": 1.0, MSD + "metal": 1.0, MSD + "heavy metal": 1.0,
                         MSD + "hard rock": 1.0, MSD + "punk": 1.0},
}  # fmt: skip
"""Which kind of guitar is meant where a tag says no more than that there is one: the company it keeps."""

EVEN_GUITAR = 0.25

INSTRUMENT_TIMBRE_SHARE = 0.6
"""What the timbre net counts against the tags, for an instrument that both have a word for."""

ONLY_TAGS = frozenset({"voice"})
"""Words that the timbre net was never trained on: no rendered clip sings."""


def find_instruments(features: AudioFeatures, timbre_words: Mapping[str, float] | None = None) -> Tags:
    """The instruments of a clip, most certain first; none where it is silent.

    `timbre_words`: the timbre net's probabilities of words of `INSTRUMENTS`, to be weighed against the tags.
    """
    if features.is_silent:
        return Tags(source=SOURCE)
    probabilities = tag_probabilities(features.tag)
    confidences = weigh(INSTRUMENT_RULES, probabilities)
    confidences["voice"] = max(confidences["voice"], _voice(probabilities))
    for word, confidence in _guitars(probabilities).items():
        confidences[word] = max(confidence, confidences.get(word, 0.0))
    for word, probability in (timbre_words or {}).items():
        if word not in ONLY_TAGS:
            tagged = confidences.get(word)
            share = 1.0 if tagged is None else INSTRUMENT_TIMBRE_SHARE
            confidences[word] = share * probability + (1 - share) * (tagged or 0.0)
    return choose(confidences, MOST_INSTRUMENTS, f"{TIMBRE_SOURCE}+{SOURCE}" if timbre_words else SOURCE)


def _voice(probabilities: Mapping[str, float]) -> float:
    """Confidence in a voice from the tags that people use for it and for its absence."""
    voiced = sum(probabilities[MTT + name] for name in VOICE_TAGS)
    denied = sum(probabilities[MTT + name] for name in NO_VOICE_TAGS)
    return confidence_at(voiced / (voiced + denied + 1e-9), EVEN_VOICE_SHARE)


def _guitars(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Confidence in each kind of guitar: that there is one, times the share of its kind."""
    guitar = confidence_at(probabilities[MTT + "guitar"], EVEN_GUITAR)
    company = {
        kind: sum(weight * probabilities[name] for name, weight in names.items())
        for kind, names in GUITARS.items()
    }
    total = sum(company.values()) + 1e-9
    return {kind: guitar * value / total for kind, value in company.items()}


# --- genre ------------------------------------------------------------------------------------------------
# The taggers' words and those of the timbre net, of which neither is enough: the taggers know recordings, and
# call rendered music classical, ambient or dance by its timbre; the timbre net knows rendered music alone. A
# style that only one of them names is more often wrong than right.

MOST_GENRES = 3
"""Words given for one clip at most."""

GENRE_RULES: Rules = {
    "rock": {MTT + "rock": 0.4, MSD + "rock": 0.3, MSD + "alternative rock": 0.25, MSD + "classic rock": 0.25,
             MSD + "hard rock": 0.25, MSD + "indie rock": 0.25, MSD + "punk": 0.3},
    "pop": {MTT + "pop": 0.25, MSD + "pop": 0.3, MSD + "indie pop": 0.25},
    "jazz": {MSD + "jazz": 0.28},
    "blues": {MSD + "blues": 0.25},
    "country": {MTT + "country": 0.25, MSD + "country": 0.25},
    "folk": {MSD + "folk": 0.28},
    "funk": {MSD + "funk": 0.22},
    "soul": {MSD + "soul": 0.28, MSD + "rnb": 0.25},
    "dance": {MTT + "techno": 0.4, MTT + "dance": 0.3, MSD + "dance": 0.3, MSD + "House": 0.25,
              MSD + "electronica": 0.28, MSD + "electro": 0.25, MSD + "electronic": 0.45},
    "classical": {MTT + "classical": 0.35, MTT + "classic": 0.2, MTT + "opera": 0.25,
                  MTT + "harpsichord": 0.4},
    "metal": {MTT + "metal": 0.35, MSD + "metal": 0.35, MSD + "heavy metal": 0.28},
    "ambient": {MTT + "ambient": 0.35, MTT + "new age": 0.25, MSD + "ambient": 0.3},
}  # fmt: skip
"""Which tags speak for which style."""


GENRE_TIMBRE_SHARE = 0.5
"""What the timbre net counts against the tags. A word that no tag speaks for has no more than this."""


def find_genre(features: AudioFeatures, timbre_words: Mapping[str, float] | None = None) -> Tags:
    """The styles of a clip, most certain first; none where it is silent.

    `timbre_words`: the timbre net's probabilities of words of `GENRES`, to be weighed against the tags.
    """
    if features.is_silent:
        return Tags(source=SOURCE)
    tagged = weigh(GENRE_RULES, tag_probabilities(features.tag))
    if not timbre_words:
        return choose(tagged, MOST_GENRES, SOURCE)
    confidences = {
        word: GENRE_TIMBRE_SHARE * timbre_words.get(word, 0.0)
        + (1 - GENRE_TIMBRE_SHARE) * tagged.get(word, 0.0)
        for word in GENRES
    }
    return choose(confidences, MOST_GENRES, f"{TIMBRE_SOURCE}+{SOURCE}")
