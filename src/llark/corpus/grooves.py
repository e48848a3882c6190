"""Made-up grooves: any rhythm of drums, bass and chords that still has a beat, for training beat trackers.

The styles of the other sources are few, and a net learns them by heart: that the snare is on two, the chord
on the beat. Here drums, bass and chords are drawn apart, and what lies between the beats is stressed as often
as they are. Only the kick and the bass begin the bar, as they do in nearly all music that has both.
Not part of the corpus unless asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from llark.corpus.builtin import Style, in_style
from llark.corpus.piece import Piece, draw

GROOVES = 4000
"""How many there are; a groove fixes its rhythms, kit and feel, and the split is made between grooves."""

METER_SHARES = {2: 0.25, 3: 0.15, 4: 0.4, 6: 0.2}
USUAL_BPM = {2: (80.0, 140.0), 3: (80.0, 180.0), 4: (72.0, 170.0), 6: (44.0, 130.0)}
BUSY_BPM = 112.0
"""The fastest beat where the snare falls between all the beats: faster, it is the beat that is tapped."""


def groove(number: int) -> Style:
    """The rhythms of one bar, in beats, by the number of the groove."""
    rng = Random(f"groove:{number}")
    meter = rng.choices(list(METER_SHARES), list(METER_SHARES.values()))[0]
    beats = 2 if meter == 6 else meter
    swing = meter in (3, 4) and rng.random() < 0.2
    slowest, fastest = USUAL_BPM[meter]
    parts = 3 if meter == 6 else 4 if rng.random() < 0.3 and not swing else 2
    drums, between = _drums(rng, meter, parts)
    if between:
        fastest = BUSY_BPM
    if parts == 4:
        fastest = min(fastest, 132.0)
    bass = " ".join(f"{place}{degree}" for place, degree in _bass(rng, beats, parts))
    return Style(
        meter, (rng.choice(("rock", "pop")),), drums, bass,
        _written(_chords(rng, beats, parts)), short=rng.random() < 0.5, swing=swing,
        kits=(rng.choice((0, 8, 16, 24, 25, 32, 40)),), slowest_bpm=slowest, fastest_bpm=fastest,
    )  # fmt: skip


def _written(places: Sequence[float]) -> str:
    return " ".join(f"{place:.4g}" for place in places)


def _some(places: Sequence[float], chance: float, rng: Random) -> list[float]:
    return [place for place in places if rng.random() < chance]


def _grid(beats: int, parts: int) -> list[float]:
    """Every place that `parts` to the beat make."""
    return [beat + part / parts for beat in range(beats) for part in range(parts)]


def _off(beats: int, parts: int) -> list[float]:
    """The place between two beats that is stressed most: the second half, or the last third."""
    return [beat + (2 / 3 if parts == 3 else 0.5) for beat in range(beats)]


def _drums(rng: Random, meter: int, parts: int) -> tuple[dict[str, str], bool]:
    """Onsets of each drum; and whether the snare falls between all the beats, on none of them."""
    beats = 2 if meter == 6 else meter
    on, off, grid = _grid(beats, 1), _off(beats, parts), _grid(beats, parts)
    kick = rng.choice(([0.0], [0.0, *_some(on[1:], 0.5, rng)], on, [0.0, *_some(grid[1:], 0.25, rng)]))
    threes, fours = rng.choice(([1.0, 2.0], [2.0], [1.0])), rng.choice(([1.0, 3.0], [1.0, 3.0], [2.0]))
    back = {2: [1.0], 3: threes, 4: fours, 6: [1.0]}[meter]
    kind = rng.choice(("back", "back", "off", "all", "roll", "push", "none"))
    snare = {
        "back": back, "off": off, "all": on, "roll": _some(grid, 0.6, rng), "none": [],
        "push": [place - 0.5 if rng.random() < 0.5 and parts != 3 else place for place in back],
    }[kind]  # fmt: skip
    hats = rng.choice((on, off, grid, _grid(beats, min(parts, 3)), []))
    drums = {"kick": kick, rng.choice(("snare", "snare", "stick", "clap")): snare}
    drums[rng.choice(("hat", "open hat", "ride", "shaker"))] = hats
    if rng.random() < 0.2:
        drums["crash"] = [0.0]
    between = snare == off and kick == on
    return {drum: _written(sorted(set(places))) for drum, places in drums.items() if places}, between


def _bass(rng: Random, beats: int, parts: int) -> list[tuple[str, str]]:
    on, off = _grid(beats, 1), _off(beats, parts)
    kinds: tuple[Sequence[float], ...] = (
        [0], on, on, [0, *_some(on[1:], 0.5, rng)], [0, *_some(_grid(beats, parts)[1:], 0.3, rng)],
        _grid(beats, min(parts, 3)), [0, off[-1]],
    )  # fmt: skip
    return [(f"{place:.4g}", "r" if place == 0 else rng.choice("rrft")) for place in rng.choice(kinds)]


def _chords(rng: Random, beats: int, parts: int) -> Sequence[float]:
    on, off, grid = _grid(beats, 1), _off(beats, parts), _grid(beats, parts)
    later = [0.5 + beat for beat in range(beats)] if parts != 3 else [beat + 1 / 3 for beat in range(beats)]
    return rng.choice(
        ([0], on, off, off, sorted({*off, *later}), on[1:] or on, grid, [0, *_some(grid[1:], 0.35, rng)])
    )


def piece(rng: Random, beats: float, admits: Callable[[str], bool]) -> Piece:
    """A piece of at least `beats` beats: a groove under a progression, often with a tune or without drums.
    It has no style that a word could name."""
    number = draw(lambda: rng.randrange(GROOVES), lambda number: admits(f"grooves/{number}"))
    style = groove(number)
    song = in_style(style, rng, beats, f"groove:{number}:band", drums=0.8, tune=0.5)
    return replace(
        song, group=f"grooves/{number}", usual_bpm=(style.slowest_bpm, style.fastest_bpm),
        about={"style": f"groove {number}"},
    )  # fmt: skip
