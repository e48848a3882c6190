"""The source that needs no Debian package: our own progressions, styles and tunes, in every meter and key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import yaml

from llark.corpus.harmony import chord_at, harmonise, melody, random_key, swung, voicing
from llark.corpus.piece import Harmony, Part, Piece, ScoreNote, draw, style_tempi
from llark.corpus.programs import COMPERS, PADS, PROGRAMS, RANGES, some_lead, some_program
from llark.music.theory import TONES

LICENCE = "Apache-2.0 (generated)"
VARIANTS = 24
"""A style's variants fix its kit and chord figure, and most of them a rhythm or two of another style of the
same meter; the split is made between variants."""

OWN_RHYTHMS = 6
"""So many variants of each style keep all of its rhythms."""


def choose(rng: Random) -> tuple[str, int]:
    """A style and a variant; rare meters are drawn more often than their few styles would be."""
    meter = rng.choices((4, 3, 6, 2), (44, 20, 20, 16))[0]
    name = rng.choice(sorted(name for name, style in STYLES.items() if style.meter == meter))
    return name, rng.randrange(VARIANTS)


def mixed(name: str, variant: int) -> Style:
    """The style, its bass, chords or drums taken from others of its meter and feel."""
    style, chance = STYLES[name], Random(f"{name}:{variant}:rhythms")
    if variant < OWN_RHYTHMS:
        return style
    alike = [other for other in STYLES.values() if (other.meter, other.swing) == (style.meter, style.swing)]
    drums, bass, chords = (chance.choice(alike) if chance.random() < 0.6 else style for _ in range(3))
    return replace(
        style,
        drums=drums.drums,
        bass=bass.bass,
        chords=chords.chords,
        short=chords.short,
        slowest_bpm=max(other.slowest_bpm for other in (style, drums)),
        fastest_bpm=min(other.fastest_bpm for other in (style, drums)),
    )


def _group(name: str, variant: int) -> str:
    return f"builtin/{name} {variant}"


def piece(rng: Random, beats: float, admits: Callable[[str], bool]) -> Piece:
    """A piece of at least `beats` beats: a style of a random meter, a random key, a progression, often a
    tune."""
    name, variant = draw(lambda: choose(rng), lambda item: admits(_group(*item)))
    style = mixed(name, variant)
    song = in_style(style, rng, beats, f"{name}:{variant}", drums=0.85, tune=0.7)
    return replace(
        song, group=_group(name, variant), genres=style.genres, usual_bpm=style_tempi(name, style.genres),
        about={"style": f"{name} {variant}"},
    )  # fmt: skip


def in_style(style: Style, rng: Random, beats: float, band: str, drums: float, tune: float) -> Piece:
    """A piece of at least `beats` beats, over a random progression in a random key: with drums and with a
    tune in these shares of the cases. `band`, the seed of the accompaniment, makes it the same each time."""
    key, per_bar = random_key(rng), style.beats_per_bar
    bars = int(beats // per_bar) + 2
    harmony = harmonise(key, bars, per_bar, rng, rng.choice((0.0, 0.0, 0.2, 0.8)))
    parts = list(accompany(style, harmony, bars, Random(band), drums=rng.random() < drums))
    if rng.random() < tune:
        word = some_lead(rng)
        notes = melody(harmony, key, style.meter, word, rng, style.swing)
        parts.append(Part("melody", some_program(word, rng), notes))
    return Piece(
        parts=tuple(parts), length_beats=float(bars * per_bar), group="", meter=style.meter, key=key,
        harmony=harmony, slowest_bpm=style.slowest_bpm, fastest_bpm=style.fastest_bpm, licence=LICENCE,
    )  # fmt: skip


# --- Drums, bass and chords in our own styles: the accompaniment of the `builtin` source and of folk tunes.


KIT = {
    "kick": 36, "stick": 37, "snare": 38, "clap": 39, "hat": 42, "open hat": 46, "ride": 51, "crash": 49,
    "shaker": 70,
}  # fmt: skip
"""Drums and their keys on the percussion channel."""


@dataclass(frozen=True)
class Style:
    """One bar of each role, in beats. `drums` maps a drum of `KIT` to its onsets; `bass` pairs an onset with
    `r` (root), `f` (fifth) or `t` (third); `chords` are onsets; `short` makes chords short. 6/8 counts dotted
    quarters."""

    meter: int
    genres: tuple[str, ...]
    drums: dict[str, str]
    bass: str
    chords: str
    short: bool = False
    swing: bool = False
    kits: tuple[int, ...] = (0, 8)
    slowest_bpm: float = 50.0
    fastest_bpm: float = 200.0

    @property
    def beats_per_bar(self) -> int:
        return 2 if self.meter == 6 else self.meter


def _styles() -> dict[str, Style]:
    page = yaml.safe_load(Path(__file__).with_name("styles.yaml").read_text("utf-8"))
    for style in page.values():
        style |= {field: tuple(value) for field, value in style.items() if isinstance(value, list)}
    return {name: Style(**style) for name, style in page.items()}


STYLES = _styles()
"""Styles that cover every meter; genre words from `records.GENRES`."""


def accompany(
    style: Style, harmony: Sequence[Harmony], bars: int, rng: Random, drums: bool = True
) -> tuple[Part, ...]:
    """Bass, chords and (if `drums`) drums for `bars` bars, sometimes with a pad."""
    parts = [_bass(style, harmony, bars, rng), _chords(style, harmony, bars, rng)]
    if rng.random() < 0.25:
        parts.append(pad(harmony, rng))
    if drums:
        parts.append(_drums(style, bars, rng))
    return tuple(parts)


def _places(text: str) -> list[float]:
    return [float(word) for word in text.split()]


def _drums(style: Style, bars: int, rng: Random) -> Part:
    notes: list[ScoreNote] = []
    dropped = rng.choice((None, None, "hat", "kick"))
    for bar in range(bars):
        for drum, text in style.drums.items():
            if drum == dropped or (drum == "crash" and bar % 8):
                continue
            for place in _places(text):
                accent = 12 if abs(place - round(place)) < 1e-3 else 0
                start = bar * style.beats_per_bar + swung(place, style.swing)
                notes.append(ScoreNote(start, start + 0.1, KIT[drum], 76 + accent + rng.randint(-8, 8)))
    return Part("drums", rng.choice(style.kits), tuple(notes))


def _bass(style: Style, harmony: Sequence[Harmony], bars: int, rng: Random) -> Part:
    low = RANGES["bass"][0] + 2
    notes: list[ScoreNote] = []
    places = [(float(word[:-1]), word[-1]) for word in style.bass.split()]
    ends = [place for place, _ in places[1:]] + [float(style.beats_per_bar)]
    for bar in range(bars):
        for (place, degree), end in zip(places, ends, strict=True):
            start = bar * style.beats_per_bar + swung(place, style.swing)
            chord = chord_at(harmony, bar * style.beats_per_bar + place)
            _, third, fifth, *_ = TONES[chord.quality]
            pitch = low + (chord.root + {"r": 0, "t": third, "f": fifth}[degree] - low) % 12
            stop = bar * style.beats_per_bar + swung(end, style.swing)
            notes.append(ScoreNote(start, start + (stop - start) * 0.9, pitch, 88 + rng.randint(-6, 6)))
    return Part("bass", rng.choice(PROGRAMS["bass"]), tuple(notes))


def _chords(style: Style, harmony: Sequence[Harmony], bars: int, rng: Random) -> Part:
    power = style.genres[0] in ("metal", "rock") and rng.random() < 0.6
    word = "distorted guitar" if power else rng.choice(COMPERS)
    places, low = _places(style.chords), rng.choice((50, 54, 57, 60))
    held = 0.4 if style.short else 0.95
    notes: list[ScoreNote] = []
    for bar in range(bars):
        for place, end in zip(places, [*places[1:], float(style.beats_per_bar)], strict=True):
            start = bar * style.beats_per_bar + swung(place, style.swing)
            length = (bar * style.beats_per_bar + swung(end, style.swing) - start) * held
            chord = chord_at(harmony, bar * style.beats_per_bar + place)
            pitches = voicing(chord, low)[:3] if power else voicing(chord, low)
            loud = 72 + rng.randint(-8, 8)
            notes.extend(ScoreNote(start, start + length, p, loud) for p in pitches)
    return Part("chords", some_program(word, rng), tuple(notes))


def pad(harmony: Sequence[Harmony], rng: Random) -> Part:
    """Long chords, one for each span of the harmony."""
    notes = [
        ScoreNote(h.start, h.end - 0.02, p, 62 + rng.randint(-5, 5)) for h in harmony for p in voicing(h, 55)
    ]
    return Part("pad", some_program(rng.choice(PADS), rng), tuple(notes))
