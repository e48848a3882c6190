"""The source that needs no Debian package: our own progressions, styles and tunes, in every meter and key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from llark.corpus import tempi
from llark.corpus.harmony import harmonise, melody, random_key
from llark.corpus.patterns import STYLES, Style, accompany
from llark.corpus.piece import Part, Piece
from llark.corpus.programs import some_lead, some_program
from llark.corpus.unusable import draw

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
    style, key = mixed(name, variant), random_key(rng)
    meter = style.meter
    per_bar = 2 if meter == 6 else meter
    bars = int(beats // per_bar) + 2
    sevenths = rng.choice((0.0, 0.0, 0.2, 0.8))
    harmony = harmonise(key, bars, per_bar, rng, sevenths)
    band = Random(f"{name}:{variant}")
    parts = list(accompany(style, harmony, bars, band, drums=rng.random() < 0.85))
    if rng.random() < 0.7:
        word = some_lead(rng)
        tune = melody(harmony, key, meter, word, rng, style.swing)
        parts.append(Part("melody", some_program(word, rng), tune))
    return Piece(
        parts=tuple(parts), length_beats=float(bars * per_bar), group=_group(name, variant), meter=meter,
        key=key, harmony=harmony, genres=style.genres, slowest_bpm=style.slowest_bpm,
        fastest_bpm=style.fastest_bpm, usual_bpm=tempi.of_style(name, style.genres), licence=LICENCE,
        about={"style": f"{name} {variant}"},
    )  # fmt: skip
