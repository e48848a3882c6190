"""General MIDI programs and the instrument words for what they sound like.

Programs that have no word (oboe, harmonica, banjo, bagpipe, …) are never rendered: a neighbour that has one
plays instead, so that the truth names everything that sounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

DRUMS = "drums"
BASS = "bass"

PROGRAMS: Mapping[str, tuple[int, ...]] = {
    "piano": (0, 1, 2, 3),
    "electric piano": (4, 5),
    "harpsichord": (6,),
    "organ": (16, 17, 18, 19, 20),
    "accordion": (21, 23),
    "mallets": (11, 12, 9, 8, 10, 13),
    "acoustic guitar": (24, 25),
    "electric guitar": (26, 27, 28),
    "distorted guitar": (29, 30),
    "bass": (32, 33, 34, 35, 36, 37, 38, 39),
    "strings": (48, 49, 44, 45, 50, 51),
    "violin": (40, 41, 110),
    "cello": (42, 43),
    "harp": (46,),
    "choir": (52, 53, 54),
    "brass": (57, 58, 60, 61),
    "trumpet": (56, 59),
    "saxophone": (64, 65, 66, 67),
    "clarinet": (71,),
    "flute": (73, 72, 74, 75, 76, 77, 79),
    "synth": (81, 80, 82, 83, 87, 62, 63, 88, 89, 90, 93, 94, 95),
}
"""Word → programs, the plainest first. `drums` is the percussion channel; no program is a solo `voice`."""

SUBSTITUTES: Mapping[int, int] = {
    7: 4, 14: 11, 15: 12, 22: 21, 31: 27, 47: 48, 55: 61, 78: 73, 86: 81, 92: 89, 68: 71, 69: 71, 70: 71,
    84: 81, 85: 80, 91: 89, 96: 88, 97: 89, 98: 11, 99: 88, 100: 88, 101: 93, 102: 95, 103: 90, 104: 25,
    105: 25, 106: 24, 107: 46, 108: 12, 109: 21, 111: 71, 112: 10, 113: 13, 114: 12, 115: 13, 116: 12,
    117: 12,
}  # fmt: skip
"""Programs without a word, and the neighbour that plays in their place."""

UNPITCHED = frozenset(range(118, 128))
"""Sound effects and single drums: a part on one of these is left out."""

LEADS = (
    "piano", "electric piano", "harpsichord", "organ", "accordion", "mallets", "acoustic guitar",
    "electric guitar", "distorted guitar", "strings", "violin", "cello", "harp", "choir", "brass", "trumpet",
    "saxophone", "clarinet", "flute", "synth",
)  # fmt: skip
"""Words that may carry a melody."""

RARE_LEADS = ("saxophone", "clarinet", "flute", "trumpet", "cello", "violin", "choir", "brass", "harp")
"""Words that seldom accompany: they lead twice as often as the others, and so come often enough."""

COMPERS = (
    "piano", "electric piano", "harpsichord", "organ", "accordion", "mallets", "acoustic guitar",
    "electric guitar", "strings", "harp", "synth",
)  # fmt: skip
"""Words that may play chords."""

PADS = ("strings", "choir", "synth", "organ")
"""Words that may hold long chords."""

RANGES: Mapping[str, tuple[int, int]] = {
    "bass": (26, 50), "cello": (38, 67), "violin": (55, 91), "flute": (62, 93), "clarinet": (52, 86),
    "saxophone": (50, 82), "trumpet": (55, 82), "brass": (43, 72), "mallets": (57, 91), "choir": (50, 77),
    "acoustic guitar": (45, 79), "electric guitar": (45, 82), "distorted guitar": (42, 82), "harp": (43, 91),
}  # fmt: skip
"""Comfortable lowest and highest MIDI pitch; the default is `DEFAULT_RANGE`."""
DEFAULT_RANGE = (48, 86)

DRUM_KITS = (0, 0, 0, 8, 16, 24, 25, 32, 40)
"""Kits of the percussion channel, the standard one most often."""

_WORDS = {program: word for word, programs in PROGRAMS.items() for program in programs}


def playable(program: int) -> int | None:
    """The program that is rendered for `program`; `None` for sound effects."""
    if program in UNPITCHED:
        return None
    return SUBSTITUTES.get(program, program)


def word_of(program: int) -> str:
    """The instrument word of a playable program. Raises `KeyError` for one that has none."""
    return _WORDS[program]


def some_lead(rng: Random) -> str:
    """A word for a melody."""
    return rng.choice((*LEADS, *RARE_LEADS, *RARE_LEADS[:6]))


def some_program(word: str, rng: Random) -> int:
    """A program that sounds as `word`; the plainest one in two times out of three."""
    programs = PROGRAMS[word]
    return programs[0] if rng.random() < 0.5 else rng.choice(programs)


def vary(program: int, role: str, rng: Random) -> int:
    """Another program for the same role, so that a groove is not always played by the same band.

    A bass stays a bass. Others keep their program, take one of the same word, or take any word of their role.
    """
    word = word_of(program)
    draw = rng.random()
    if draw < 0.35:
        return program
    if draw < 0.6 or word == BASS:
        return rng.choice(PROGRAMS[word])
    return some_program(rng.choice(PADS if role == "pad" else COMPERS), rng)


def into_range(pitch: int, word: str) -> int:
    """`pitch` moved by octaves into the comfortable range of `word`."""
    low, high = RANGES.get(word, DEFAULT_RANGE)
    while pitch < low:
        pitch += 12
    while pitch > high and pitch - 12 >= low:
        pitch -= 12
    return pitch
