"""A piece as every source writes it: parts, harmony and bars, in beats, before a tempo is chosen.

A beat is what the truth calls a beat: a quarter note, or in 6/8 a dotted quarter.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import TypeVar

from llark.corpus.programs import vary
from llark.errors import Refused, UserMustAct

BEND = -1
"""The `number` of a `Control` that is a pitch bend (−8192…8191) and no controller."""


@dataclass(frozen=True, slots=True)
class ScoreNote:
    """From `start` to `end` in beats; MIDI `pitch` and `velocity`."""

    start: float
    end: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Control:
    """A controller change (or a `BEND`) at `start` beats."""

    start: float
    number: int
    value: int


@dataclass(frozen=True)
class Part:
    """One instrument. `role` is `melody`, `chords`, `pad`, `bass` or `drums`; for drums `program` is the
    kit."""

    role: str
    program: int
    notes: tuple[ScoreNote, ...]
    controls: tuple[Control, ...] = ()

    @property
    def is_drums(self) -> bool:
        return self.role == "drums"

    def retimed(self, when: Callable[[float], float]) -> Part:
        """The part with `when` of every time; controls that would come before 0 come there."""
        notes = tuple(ScoreNote(when(n.start), when(n.end), n.pitch, n.velocity) for n in self.notes)
        controls = tuple(Control(max(0.0, when(c.start)), c.number, c.value) for c in self.controls)
        return replace(self, notes=notes, controls=controls)


@dataclass(frozen=True, slots=True)
class Harmony:
    """A chord from `start` to `end` in beats: pitch class of the root, and a JAMS quality (`maj`, `min7`,
    …)."""

    start: float
    end: float
    root: int
    quality: str

    def later(self, beats: float) -> Harmony:
        """The same chord so many beats later."""
        return replace(self, start=self.start + beats, end=self.end + beats)


@dataclass(frozen=True)
class Piece:
    """Parts and what is known of them. Unknown is `None` or empty, never a guess.

    `meter` is 2, 3, 4 or 6, and the first bar begins at beat 0; `key` is an index into `records.KEYS`;
    `slowest_bpm` and `fastest_bpm` bound the tempo it may be played at, and `usual_bpm` that at which
    listeners tap the beats as they are written; `group` is what the split is made by. A piece that
    `modulates` is only in its `key` where its notes say so.
    """

    parts: tuple[Part, ...]
    length_beats: float
    group: str
    meter: int | None = None
    key: int | None = None
    harmony: tuple[Harmony, ...] = ()
    genres: tuple[str, ...] = ()
    slowest_bpm: float = 45.0
    fastest_bpm: float = 220.0
    usual_bpm: tuple[float, float] = (0.0, math.inf)
    modulates: bool = False
    title: str | None = None
    artist: str | None = None
    licence: str = "unknown"
    about: dict[str, str] = field(default_factory=dict)

    @property
    def beats_per_bar(self) -> int | None:
        """Beats in a bar, counted as the truth counts them: two in 6/8."""
        return 2 if self.meter == 6 else self.meter


def recast(part: Part, rng: Random) -> Part:
    """The part on another instrument for the same role; drums as they are."""
    return part if part.is_drums else replace(part, program=vary(part.program, part.role, rng))


def transpose(piece: Piece, semitones: int) -> Piece:
    """Everything but the drums moved, with key and harmony. Pitches that leave MIDI move by an octave."""
    parts = tuple(
        part if part.is_drums else replace(part, notes=tuple(_moved(n, semitones) for n in part.notes))
        for part in piece.parts
    )
    harmony = tuple(replace(h, root=(h.root + semitones) % 12) for h in piece.harmony)
    key = None if piece.key is None else (piece.key % 12 + semitones) % 12 + 12 * (piece.key // 12)
    return replace(piece, parts=parts, harmony=harmony, key=key)


def _moved(note: ScoreNote, semitones: int) -> ScoreNote:
    pitch = note.pitch + semitones
    while pitch < 16:
        pitch += 12
    while pitch > 112:
        pitch -= 12
    return replace(note, pitch=pitch)


def onsets_per_beat(parts: Sequence[Part], length_beats: float) -> float:
    """Different onset times (to a twelfth of a beat) a beat: how busy the music is."""
    onsets = {round(note.start * 12) for part in parts for note in part.notes if note.start < length_beats}
    return len(onsets) / max(length_beats, 1.0)


# --- Where beats fall in a clip: at one tempo, or swaying about it as players do.


SWAYING_SHARE = 0.15
"""Share of clips whose tempo sways."""

MOST_SWAY = 0.03
"""How far the tempo goes from its mean at most, as a share of it."""

SWAY_PERIOD_SECONDS = (4.0, 16.0)


@dataclass(frozen=True)
class Timing:
    """Beats as seconds of the clip, which begins at `start_beat`.

    The tempo is `bpm` on average; it goes up and down by the share `sway` with a period of `period_seconds`,
    `phase` (a share of the period) telling where in it the clip begins.
    """

    bpm: float
    start_beat: float
    sway: float = 0.0
    period_seconds: float = 8.0
    phase: float = 0.0

    def seconds(self, beat: float) -> float:
        """When a beat falls; before the clip it is negative."""
        even = (beat - self.start_beat) * 60 / self.bpm
        turn = 2 * math.pi
        reach = self.sway * self.period_seconds / turn
        place = turn * (even / self.period_seconds + self.phase)
        return even + reach * (math.sin(place) - math.sin(turn * self.phase))


def some_sway(rng: Random) -> tuple[float, float, float]:
    """(sway, period in seconds, phase): none for most clips."""
    if rng.random() >= SWAYING_SHARE:
        return 0.0, SWAY_PERIOD_SECONDS[0], 0.0
    return rng.uniform(0.005, MOST_SWAY), rng.uniform(*SWAY_PERIOD_SECONDS), rng.random()


# --- How fast a style is played: the tempi at which its written beat is the one that listeners tap.
#
# A groove or tune has no tempo of its own. Played far from the usual ones it becomes another piece to the
# ear: a march at 55 is tapped at 110, and a truth of 55 would be wrong. The bounds are what dance and drum
# teachers' tables give, made wide. They count the beat as the truth does: dotted quarters in 6/8.


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

SCORE_TEMPI: dict[int, Range] = {2: (66, 130), 3: (76, 160), 4: (66, 140), 6: (48, 110)}
"""Chorales and quartets by theirs."""

BUSY = 3.0
"""A tune in four with more onsets a beat than this is written in sixteenths."""
BUSIEST_FROM_TO: Range = (60, 120)


def style_tempi(name: str, genres: Sequence[str]) -> Range:
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


def tune_tempi(meter: int, density: float) -> Range:
    """The same of a folk tune with `density` onsets a beat."""
    return BUSIEST_FROM_TO if meter == 4 and density > BUSY else _TUNES[meter]


# --- What a source raises for an item that cannot become a clip, and how it draws items of one split.


Item = TypeVar("Item")

DRAWS = 400


class Unusable(Refused):
    """An item of a source that cannot become a clip."""


def music21_corpus() -> Path:
    """The folder of music that comes with music21. `UserMustAct`: the extra is missing."""
    spec = importlib.util.find_spec("music21")
    if spec is None or spec.origin is None:
        raise UserMustAct("The source music21 needs the extra: pip install 'llark[corpus]'.")
    return Path(spec.origin).parent / "corpus"


def draw(choose: Callable[[], Item], admitted: Callable[[Item], bool]) -> Item:
    """The first item that is admitted. Raises `Unusable` when DRAWS of them are not."""
    for _ in range(DRAWS):
        item = choose()
        if admitted(item):
            return item
    raise Unusable("no-such-group", f"none of {DRAWS} draws was of the split")
