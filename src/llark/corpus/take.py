"""One performance of a piece: how fast, which seconds of it, by whom, and how it sounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from llark.corpus.audible import key_is_audible
from llark.corpus.builtin import pad
from llark.corpus.harmony import voicing
from llark.corpus.piece import BEND, Control, Part, Piece, ScoreNote, Timing, Unusable, onsets_per_beat
from llark.corpus.programs import BASS, DRUM_KITS, DRUMS, word_of
from llark.corpus.synth import SAMPLE_RATE, Synth

SHORTEST_SECONDS = 8.0
LONGEST_SECONDS = 25.0
PREROLL_SECONDS = 2.0
"""Notes that began this long before the clip still ring in it."""

SPECIALS = {"drums only": 0.04, "bass only": 0.018, "pads only": 0.02}
"""Share of clips that are reduced on purpose."""

ROLE_DB = {"melody": 3.0, "bass": 1.0}
"""What a role is moved by in the mix."""

MOST_ONSETS_A_BEAT = 7.0
"""In busier music listeners tap a part of the written beat, whatever its tempo: sixteenths in 6/8 are six."""

TEMPI_DRAWN = 20
"""Tempi drawn for a piece before one is drawn from its usual ones alone."""

INAUDIBLE = 1e-5
"""A part below this level (full scale is 1) is left out."""

FAINTEST_DB = -18.0
"""A part that would be fainter than this, against the loudest one, is lifted to it: what is named can be
heard."""


@dataclass(frozen=True)
class Take:
    """`seconds` of a piece at `bpm`, from `start_beat`."""

    piece: Piece
    bpm: float
    start_beat: float
    seconds: float
    sway: tuple[float, float, float] = (0.0, 8.0, 0.0)
    """How the tempo sways: the last three fields of `Timing`."""

    @property
    def end_beat(self) -> float:
        """Where the clip ends, give or take what the tempo sways."""
        return self.start_beat + self.seconds * self.bpm / 60

    @property
    def timing(self) -> Timing:
        return Timing(self.bpm, self.start_beat, *self.sway)


def clip_seconds(rng: Random) -> float:
    """25 s in a fifth of the cases, else 8 to 22, mostly around 13."""
    return LONGEST_SECONDS if rng.random() < 0.2 else round(rng.triangular(SHORTEST_SECONDS, 22.0, 10.0), 2)


def reduced(piece: Piece, rng: Random) -> Piece:
    """Now and then only the drums, only the bass, or long chords without drums. What can no longer be heard
    of key and harmony becomes unknown."""
    draw, kind = rng.random(), None
    for name, share in SPECIALS.items():
        if kind is None and (draw := draw - share) < 0:
            kind = name
    drums = tuple(part for part in piece.parts if part.is_drums)
    basses = tuple(part for part in piece.parts if part.role == BASS)
    if kind == "drums only" and drums:
        return replace(piece, parts=drums, key=None, harmony=())
    if kind == "bass only" and basses:
        return replace(piece, parts=basses[:1], key=None, harmony=())
    if kind == "pads only" and piece.harmony:
        return replace(piece, parts=(pad(piece.harmony, rng), *_roots(piece, rng)))
    return piece


def _roots(piece: Piece, rng: Random) -> tuple[Part, ...]:
    if rng.random() < 0.5:
        return ()
    notes = tuple(ScoreNote(h.start, h.end - 0.05, voicing(h, 36)[0], 76) for h in piece.harmony)
    return (Part(BASS, rng.choice((32, 33, 38, 39)), notes),)


def choose_bpm(piece: Piece, rng: Random) -> float:
    """A tempo at which the busiest music is still music and its beats are those that listeners tap: half from
    a wide range, half nearer 110.

    Raises `Unusable` for a piece too short to last SHORTEST_SECONDS at any of its tempi, or too busy for its
    beat.
    """
    density = max(onsets_per_beat(piece.parts, piece.length_beats), 0.25)
    if density > MOST_ONSETS_A_BEAT:
        raise Unusable("too-busy", f"{density:.1f} onsets a beat")
    low = max(piece.slowest_bpm, min(48 / density, piece.fastest_bpm * 0.8))
    high = max(min(piece.fastest_bpm, 690 / density), low * 1.1)
    fits = (piece.length_beats - 1) * 60 / SHORTEST_SECONDS
    high = min(high, fits, piece.fastest_bpm)
    low = min(low, high)
    if fits < piece.slowest_bpm:
        raise Unusable("too-short", f"{piece.length_beats:.0f} beats are under {SHORTEST_SECONDS:.0f} s")
    usual = max(piece.usual_bpm[0], low), min(piece.usual_bpm[1], high)
    usual = usual if usual[0] < usual[1] else (low, high)
    for _ in range(TEMPI_DRAWN):
        bpm = _drawn(low, high, rng)
        if usual[0] <= bpm <= usual[1]:
            return bpm
    return _between(*usual, rng)


def _drawn(low: float, high: float, rng: Random) -> float:
    if rng.random() < 0.5:
        bpm = rng.lognormvariate(math.log(110), 0.3)
        if low <= bpm <= high:
            return round(bpm, 2)
    return _between(low, high, rng)


def _between(low: float, high: float, rng: Random) -> float:
    return round(math.exp(rng.uniform(math.log(low), math.log(high))), 2)


def choose(piece: Piece, seconds: float, rng: Random) -> Take:
    """A tempo and a place: from a bar line in half the cases, from anywhere in the others; where the key can
    be heard, if possible."""
    bpm = choose_bpm(piece, rng)
    starts = [note.start for part in piece.parts for note in part.notes]
    if not starts:
        raise Unusable("silent", "no notes in what is left of the piece")
    first = math.floor(min(starts) + 1e-6)
    seconds = min(seconds, (piece.length_beats - first) * 60 / bpm)
    if seconds < SHORTEST_SECONDS - 1e-6:
        raise Unusable("too-short", f"{seconds:.1f} s of music at {bpm:.0f} BPM")
    seconds = math.floor(seconds * SAMPLE_RATE) / SAMPLE_RATE
    last = piece.length_beats - seconds * bpm / 60
    take = Take(piece, bpm, float(first), seconds)
    for _ in range(8):
        take = replace(take, start_beat=_start(piece, first, max(last, first), rng))
        if _has_notes(take) and (piece.key is None or key_is_audible(piece, take.start_beat, take.end_beat)):
            break
    if not _has_notes(take):
        raise Unusable("silent", "no notes in the stretch that was drawn")
    return take


def _start(piece: Piece, first: float, last: float, rng: Random) -> float:
    start = rng.uniform(first, last)
    bar = piece.beats_per_bar or 4
    if rng.random() < 0.5:
        snapped = bar * round(start / bar)
        if first <= snapped <= last:
            return float(snapped)
    return start


def _has_notes(take: Take) -> bool:
    inside = [n for p in take.piece.parts for n in p.notes if take.start_beat <= n.start < take.end_beat]
    return len(inside) >= 4


def perform(take: Take, rng: Random) -> tuple[Part, ...]:
    """The parts in seconds from PREROLL_SECONDS before the clip, played by people: time and loudness waver a
    little; one clip in four is out of tune by up to 40 cents."""
    timing = take.timing
    waver, loudness = rng.choice((0.0, 0.003, 0.006, 0.01)), rng.uniform(2, 7)
    cents = rng.uniform(-40, 40) if rng.random() < 0.25 else 0.0
    kit = rng.choice(DRUM_KITS)
    played = []
    for part in take.piece.parts:
        lean = rng.gauss(0, waver)
        notes = []
        for note in part.notes:
            begins, ends = timing.seconds(note.start), timing.seconds(note.end)
            if ends <= -PREROLL_SECONDS or begins >= take.seconds:
                continue
            start = max(0.0, PREROLL_SECONDS + begins + lean + rng.gauss(0, waver))
            length = max(ends - begins, 0.03)
            velocity = min(127, max(12, round(note.velocity + rng.gauss(0, loudness))))
            notes.append(ScoreNote(start, start + length, note.pitch, velocity))
        if notes:
            controls = [
                Control(max(0.0, PREROLL_SECONDS + timing.seconds(c.start)), c.number, c.value)
                for c in part.controls
            ]
            # Of each number at each time the last one counts: all of before the clip are at its beginning.
            last = {(control.start, control.number): control for control in _tuned(controls, cents)}
            tuned = () if part.is_drums else tuple(last.values())
            program = kit if part.is_drums else part.program
            played.append(Part(part.role, program, tuple(notes), tuned))
    return tuple(played)


def _tuned(controls: Sequence[Control], cents: float) -> list[Control]:
    """Controls with every bend moved by `cents` (a bend of 8192 is two semitones)."""
    shift = round(cents / 200 * 8192)
    if shift == 0:
        return list(controls)
    bent = [
        replace(c, value=max(-8192, min(8191, c.value + shift))) if c.number == BEND else c for c in controls
    ]
    return [Control(0.0, BEND, shift), *bent]


@dataclass(frozen=True)
class Stem:
    """One part's samples; `level` is how loud it is where it sounds."""

    word: str
    role: str
    samples: np.ndarray
    level: float


def mix(parts: Sequence[Part], seconds: float, synth: Synth, rng: Random) -> tuple[np.ndarray, list[str]]:
    """[samples] float32 of `seconds`, dry, and the words of the instruments that sound in it, loudest first.

    Parts are moved half the way to one loudness, then at random; none stays fainter than FAINTEST_DB.
    Raises `Unusable` where nothing sounds.
    """
    stems = [stem for part in parts if (stem := _stem(part, seconds, synth)) is not None]
    if not stems:
        raise Unusable("silent", "no part sounds in the stretch that was drawn")
    usual = float(np.exp(np.mean([np.log(stem.level) for stem in stems])))
    decibels = [rng.gauss(0, 2.5) + ROLE_DB.get(stem.role, 0.0) for stem in stems]
    gains = [(usual / s.level) ** 0.5 * 10 ** (db / 20) for s, db in zip(stems, decibels, strict=True)]
    floor = max(s.level * gain for s, gain in zip(stems, gains, strict=True)) * 10 ** (FAINTEST_DB / 20)
    total = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    levels: dict[str, float] = {}
    for stem, gain in zip(stems, gains, strict=True):
        level = max(stem.level * gain, floor)
        total += stem.samples[: len(total)] * np.float32(level / stem.level)
        levels[stem.word] = max(levels.get(stem.word, 0.0), level)
    return total, sorted(levels, key=lambda word: -levels[word])


def _stem(part: Part, seconds: float, synth: Synth) -> Stem | None:
    """The part within the clip; `None` where no note of it is heard for a third of a second."""
    if not any(note.end > PREROLL_SECONDS + 0.3 for note in part.notes):
        return None
    samples = synth.play(part, PREROLL_SECONDS + seconds)[round(PREROLL_SECONDS * SAMPLE_RATE) :]
    level = sounding_level(samples)
    word = DRUMS if part.is_drums else word_of(part.program)
    return Stem(word, part.role, samples, level) if level > INAUDIBLE else None


def sounding_level(stem: np.ndarray) -> float:
    """Root mean square, highs emphasised as ears do, of the frames (50 ms) that sound; 0 where less than 0.4
    s of them do."""
    size = SAMPLE_RATE // 20
    bright = np.diff(stem.astype(np.float64), prepend=0.0) + 0.25 * stem
    power = (bright[: len(bright) // size * size].reshape(-1, size) ** 2).mean(axis=1)
    sounding = power[power > max(float(power.max(initial=0.0)) * 1e-4, 1e-12)]
    return float(np.sqrt(sounding.mean())) if len(sounding) >= 8 else 0.0
