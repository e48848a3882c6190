"""The drummers of the Groove MIDI Dataset (Gillick et al., ICML 2019; CC BY 4.0): ten people playing to a
click, by themselves or under our own bass, chords and tunes.

What people play between the beats, and how far from them, no pattern of ours has. `mirdata` calls the data
set `groove_midi`; its folder is taken as it was downloaded. Not part of the corpus unless asked for.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from llark.corpus import midi
from llark.corpus.builtin import STYLES, Style, accompany
from llark.corpus.harmony import harmonise, melody, random_key
from llark.corpus.piece import Part, Piece, ScoreNote, Unusable, draw
from llark.corpus.programs import some_lead, some_program
from llark.errors import UserMustAct

LICENCE = "CC-BY-4.0"
INDEX = "info.csv"
METERS = {"4-4": 4, "3-4": 3}
"""Time signatures that are used; the few performances in 6-8, 5-4 and 5-8 are not."""
SHORTEST_SECONDS = 10.0
FASTER = 1.12
"""Played at most so many times as fast, or as slowly, as the drummer did."""
ALONE_SHARE = 0.4

GENERAL_MIDI = {22: 42, 26: 46, 58: 43}
"""What the drum kit sends for the hi-hat's edge, closed and open, and the third tom's rim, as General MIDI
has it."""

GENRES = {
    "rock": "rock", "punk": "rock", "funk": "funk", "latin": "latin", "jazz": "jazz", "soul": "soul",
    "gospel": "soul", "pop": "pop", "dance": "dance", "reggae": "reggae", "blues": "blues",
    "country": "country",
}  # fmt: skip
SWINGING = ("jazz", "blues")
METER_UNKNOWN = ("latin", "afrocuban", "afrobeat", "highlife")
"""Styles that were written in four for drummers, and are as well felt in two."""


@dataclass(frozen=True)
class Performance:
    """A row of the index: `file` below the folder, beats a minute, 3 or 4 beats a bar, the style's first
    word, and the session, by which the split is made."""

    file: str
    bpm: float
    meter: int
    style: str
    session: str


@dataclass(frozen=True)
class Drummers:
    """The performances below `folder` that last long enough."""

    folder: Path
    performances: tuple[Performance, ...]

    def piece(self, rng: Random, beats: float, admits: Callable[[str], bool]) -> Piece:
        """One performance, alone or with a band. Its beats are the click's."""
        del beats  # it is as long as it was played
        played = draw(lambda: rng.choice(self.performances), lambda p: admits(f"groove_midi/{p.session}"))
        drums, length = _drums(self.folder / played.file)
        piece = Piece(
            parts=(drums,), length_beats=length, group=f"groove_midi/{played.session}",
            meter=None if played.style in METER_UNKNOWN else played.meter,
            genres=(GENRES[played.style],) if played.style in GENRES else (),
            slowest_bpm=played.bpm / FASTER, fastest_bpm=played.bpm * FASTER, licence=LICENCE,
            about={"piece": played.file, "style": played.style},
        )  # fmt: skip
        return piece if rng.random() < ALONE_SHARE else _with_band(piece, played, rng)


def drummers(folder: Path) -> Drummers:
    """Raises `UserMustAct` where `folder` is not the data set."""
    index = folder / INDEX
    try:
        with index.open(encoding="utf-8", newline="") as lines:
            performances = [
                Performance(
                    row["midi_filename"], float(row["bpm"]), METERS[row["time_signature"]],
                    row["style"].partition("/")[0], row["session"],
                )
                for row in csv.DictReader(lines)
                if row["beat_type"] == "beat"
                and row["time_signature"] in METERS
                and float(row["duration"]) >= SHORTEST_SECONDS
            ]  # fmt: skip
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UserMustAct(
            f"{folder} is not the Groove MIDI Dataset: {INDEX} cannot be read ({error!r}). "
            "The folder is the one that holds info.csv and drummer1."
        ) from error
    if not performances:
        raise UserMustAct(f"{index} names no performance of {SHORTEST_SECONDS:.0f} s or more.")
    return Drummers(folder, tuple(performances))


def _drums(path: Path) -> tuple[Part, float]:
    """The drums and how many beats they last. Raises `Unusable` for a file that cannot be read."""
    try:
        parts, tempos = midi.read(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Unusable("unreadable", f"{path}: {error}") from error
    notes = [
        ScoreNote(n.start, max(n.end, n.start + 0.1), GENERAL_MIDI.get(n.pitch, n.pitch), n.velocity)
        for part in parts
        if part.is_drums
        for n in part.notes
    ]
    return Part("drums", 0, tuple(notes)), tempos.length_beats


def _with_band(piece: Piece, played: Performance, rng: Random) -> Piece:
    """Bass and chords under the drums, often a tune."""
    swing, meter = played.style in SWINGING, played.meter
    alike = [style for style in STYLES.values() if (style.meter, style.swing) == (meter, swing)]
    same: list[Style] = [style for style in alike if set(style.genres) & set(piece.genres)]
    style, key = rng.choice(same if same and rng.random() < 0.5 else alike), random_key(rng)
    bars = int(piece.length_beats // meter) + 1
    harmony = harmonise(key, bars, meter, rng, rng.choice((0.0, 0.0, 0.2, 0.8)))
    parts = [*piece.parts, *accompany(style, harmony, bars, rng, drums=False)]
    if rng.random() < 0.5:
        word = some_lead(rng)
        parts.append(Part("melody", some_program(word, rng), melody(harmony, key, meter, word, rng, swing)))
    return replace(piece, parts=tuple(parts), key=key, harmony=harmony)
