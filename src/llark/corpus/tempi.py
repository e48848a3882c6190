"""How fast a style is played: the tempi at which its written beat is the one that listeners tap.

A groove or tune has no tempo of its own. Played far from the usual ones it becomes another piece to the ear:
a march at 55 is tapped at 110, and a truth of 55 would be wrong. The bounds are what dance and drum teachers'
tables give, made wide. They count the beat as the truth does: dotted quarters in 6/8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Range = tuple[float, float]

_BY_NAME: tuple[tuple[str, Range], ...] = (
    ("68ballad", (40, 52)),
    ("ballad68|arpeggio68|six eight ballad", (42, 80)),
    ("six eight blues|blues68|blues34", (45, 85)),
    ("march", (92, 132)),
    ("jig", (90, 140)),
    ("polka(?!fox)", (95, 140)),
    ("two step", (85, 140)),
    ("fastwaltz|vienesewaltz|fastjazzwaltz", (140, 210)),
    ("slow waltz|popwaltz|arpeggiowaltz|bald34", (72, 126)),
    ("waltz|34$|in three", (84, 200)),
    ("ballad|zoom/bald$|slowblues|slowspiritual|slowbolero|slowjazz|lullaby|hymn|serenade", (48, 90)),
    ("16beat|slowrock|slowcountry|slowbroadway|slowbigband|slowswing", (60, 105)),
    ("fastswing|bebop|fastbigband|gypsyjazz|quickstep|charleston|bluegrass", (160, 220)),
    ("fastblues|fasttwist|punk|jive|dixie", (145, 210)),
    ("dnb", (150, 180)),
    ("hip-?hop|triphop|zoom/trip|dsoul|rb$|r\\+b|rnb|mellowrb|modernrb", (66, 108)),
    ("house|techno|rave|trance|dance|boneym|disco", (104, 150)),
    ("foxtrot|softshoe|easyswing|strut", (96, 150)),
    ("twist|50s|60srock", (120, 190)),
    ("metal|mtl|thr$", (96, 190)),
    ("ska$", (100, 160)),
)  # fmt: skip
"""Patterns in the names of groups, the first that is found counts, and beats a minute."""

_BY_GENRE: dict[str, Range] = {
    "rock": (80, 180), "pop": (72, 150), "jazz": (84, 220), "blues": (66, 150), "country": (80, 190),
    "folk": (72, 180), "latin": (84, 150), "funk": (84, 128), "soul": (68, 130), "reggae": (64, 100),
    "dance": (100, 150), "metal": (96, 190), "ambient": (62, 110), "march": (92, 132), "waltz": (84, 200),
}  # fmt: skip

_TUNES: dict[int, Range] = {2: (84, 145), 3: (76, 170), 4: (80, 176), 6: (70, 140)}
"""Folk tunes by their meter."""

_SCORES: dict[int, Range] = {2: (66, 130), 3: (76, 160), 4: (66, 140), 6: (48, 110)}
"""Chorales and quartets by theirs."""

BUSY = 3.0
"""A tune in four with more onsets a beat than this is written in sixteenths."""
BUSIEST_FROM_TO: Range = (60, 120)


def of_style(name: str, genres: Sequence[str]) -> Range:
    """Slowest and fastest usual beats a minute of a style, by its name and, failing that, its genre words:
    of several those that all share, if there are any."""
    for pattern, bounds in _BY_NAME:
        if re.search(pattern, name):
            return bounds
    known = [_BY_GENRE[genre] for genre in genres if genre in _BY_GENRE]
    if not known:
        return 60.0, 200.0
    shared = max(low for low, _ in known), min(high for _, high in known)
    return shared if shared[0] < shared[1] else known[0]


def of_tune(meter: int, density: float) -> Range:
    """The same of a folk tune with `density` onsets a beat."""
    return BUSIEST_FROM_TO if meter == 4 and density > BUSY else _TUNES[meter]


def of_score(meter: int) -> Range:
    """The same of a stretch of a score."""
    return _SCORES[meter]
