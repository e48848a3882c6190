"""Which instruments sound: the taggers' words, weighed against those of the sounds net."""

from __future__ import annotations

from collections.abc import Mapping

from llark.annotate import tags
from llark.annotate.tags import MSD, MTT
from llark.networks.features import AudioFeatures
from llark.records import INSTRUMENTS, Tags

MOST = 8
"""Words given for one clip at most."""

RULES: tags.Rules = {
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

SOUNDS_SHARE = 0.6
"""What the sounds net counts against the tags, for an instrument that both have a word for."""

ONLY_TAGS = frozenset({"voice"})
"""What the sounds net has never heard: no rendered clip sings."""


def find_instruments(hearing: AudioFeatures, heard: Mapping[str, float] | None = None) -> Tags:
    """The instruments of a clip, most certain first; none where it is silent.

    `heard` are probabilities of words of `INSTRUMENTS` from the sounds net, to be weighed against the tags.
    Raises `ValueError` for a word that is not in the vocabulary.
    """
    if unknown := set(heard or ()) - set(INSTRUMENTS):
        raise ValueError(f"Not in the vocabulary of instruments: {', '.join(sorted(unknown))}.")
    if hearing.is_silent:
        return Tags(source=tags.SOURCE)
    probabilities = tags.tag_probabilities(hearing.tag)
    confidences = tags.weigh(RULES, probabilities)
    confidences["voice"] = max(confidences["voice"], _voice(probabilities))
    for word, confidence in _guitars(probabilities).items():
        confidences[word] = max(confidence, confidences.get(word, 0.0))
    for word, probability in (heard or {}).items():
        if word not in ONLY_TAGS:
            tagged = confidences.get(word)
            share = 1.0 if tagged is None else SOUNDS_SHARE
            confidences[word] = share * probability + (1 - share) * (tagged or 0.0)
    return tags.choose(confidences, MOST, f"{tags.SOUNDS_SOURCE}+{tags.SOURCE}" if heard else tags.SOURCE)


def _voice(probabilities: Mapping[str, float]) -> float:
    """Confidence in a voice from the tags that people use for it and for its absence."""
    said = sum(probabilities[MTT + name] for name in VOICE_TAGS)
    denied = sum(probabilities[MTT + name] for name in NO_VOICE_TAGS)
    return tags.confidence_at(said / (said + denied + 1e-9), EVEN_VOICE_SHARE)


def _guitars(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Confidence in each kind of guitar: that there is one, times the share of its kind."""
    guitar = tags.confidence_at(probabilities[MTT + "guitar"], EVEN_GUITAR)
    company = {
        kind: sum(weight * probabilities[name] for name, weight in names.items())
        for kind, names in GUITARS.items()
    }
    total = sum(company.values()) + 1e-9
    return {kind: guitar * value / total for kind, value in company.items()}
