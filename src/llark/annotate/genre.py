"""Which styles a clip is in, by the taggers' words."""

from __future__ import annotations

from llark.annotate import tags
from llark.annotate.tags import MSD, MTT
from llark.nets.hearing import Hearing
from llark.records import Tags

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


def find_genre(hearing: Hearing) -> Tags:
    """The styles of a clip, most certain first; none where it is silent."""
    if hearing.is_silent:
        return Tags(source=tags.SOURCE)
    return tags.choose(tags.weigh(RULES, tags.tag_probabilities(hearing.tag)), MOST, tags.SOURCE)
