"""The source that needs no Debian package: our own progressions, styles and tunes, in every meter and key."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from llark.corpus.harmony import harmonise, melody, random_key
from llark.corpus.patterns import STYLES, accompany
from llark.corpus.piece import Part, Piece
from llark.corpus.programs import some_lead, some_program
from llark.corpus.unusable import draw

LICENCE = "Apache-2.0 (generated)"
VARIANTS = 12
"""A style's variants fix its drum kit and chord figure; the split is made between variants."""


def choose(rng: Random) -> tuple[str, int]:
    """A style and a variant; rare meters are drawn more often than their few styles would be."""
    meter = rng.choices((4, 3, 6, 2), (50, 22, 16, 12))[0]
    name = rng.choice(sorted(name for name, style in STYLES.items() if style.meter == meter))
    return name, rng.randrange(VARIANTS)


def _group(name: str, variant: int) -> str:
    return f"builtin/{name} {variant}"


def piece(rng: Random, beats: float, admits: Callable[[str], bool]) -> Piece:
    """A piece of at least `beats` beats: a style of a random meter, a random key, a progression, often a
    tune."""
    name, variant = draw(lambda: choose(rng), lambda item: admits(_group(*item)))
    style, key = STYLES[name], random_key(rng)
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
        fastest_bpm=style.fastest_bpm, licence=LICENCE, about={"style": f"{name} {variant}"},
    )  # fmt: skip
