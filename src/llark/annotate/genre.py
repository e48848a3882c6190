"""Which styles a clip is in: the taggers' words and those of the sounds net, of which neither is enough.

The taggers know recordings, and call rendered music classical, ambient or dance by its timbre; the sounds net
knows rendered music alone. A style that only one of them hears is more often wrong than right.
"""

from __future__ import annotations

from collections.abc import Mapping

from llark.annotate import tags
from llark.annotate.tags import MSD, MTT
from llark.networks.features import AudioFeatures
from llark.records import GENRES, Tags

MOST = 3
"""Words given for one clip at most."""

RULES: tags.Rules = {
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


SOUNDS_SHARE = 0.5
"""What the sounds net counts against the tags. A word that no tag speaks for has no more than this."""


def find_genre(hearing: AudioFeatures, heard: Mapping[str, float] | None = None) -> Tags:
    """The styles of a clip, most certain first; none where it is silent.

    `heard` are probabilities of words of `GENRES` from the sounds net, to be weighed against the tags.
    Raises `ValueError` for a word that is not in the vocabulary.
    """
    if unknown := set(heard or ()) - set(GENRES):
        raise ValueError(f"Not in the vocabulary of styles: {', '.join(sorted(unknown))}.")
    if hearing.is_silent:
        return Tags(source=tags.SOURCE)
    tagged = tags.weigh(RULES, tags.tag_probabilities(hearing.tag))
    if not heard:
        return tags.choose(tagged, MOST, tags.SOURCE)
    confidences = {
        word: SOUNDS_SHARE * heard.get(word, 0.0) + (1 - SOUNDS_SHARE) * tagged.get(word, 0.0)
        for word in GENRES
    }
    return tags.choose(confidences, MOST, f"{tags.SOUNDS_SOURCE}+{tags.SOURCE}")
