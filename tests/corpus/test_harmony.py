"""Progressions, tunes, styles and programs: the vocabulary that every source shares."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from llark.corpus import builtin
from llark.corpus.audible import key_rank, pitch_classes
from llark.corpus.builtin import STYLES, accompany
from llark.corpus.harmony import (
    DEGREES,
    MAJOR_FORMS,
    MINOR_FORMS,
    harmonise,
    melody,
    merged,
    voicing,
)
from llark.corpus.mma import GENRES_OF
from llark.corpus.piece import Harmony, ScoreNote
from llark.corpus.programs import (
    COMPERS,
    LEADS,
    PADS,
    PROGRAMS,
    RANGES,
    SUBSTITUTES,
    UNPITCHED,
    into_range,
    playable,
    vary,
    word_of,
)
from llark.music.theory import TONES
from llark.records import GENRES, INSTRUMENTS, KEYS


@pytest.mark.parametrize("key", [0, 6, 12, 21])
@pytest.mark.parametrize("per_bar", [2, 3, 4])
def test_a_progression_fills_its_bars_without_gaps(key: int, per_bar: int) -> None:
    for seed in range(12):
        spans = harmonise(key, 9, per_bar, Random(seed), 0.3)
        assert spans[0].start == 0
        assert spans[-1].end == 9 * per_bar
        assert all(a.end == b.start for a, b in pairwise(spans))
        assert all((a.root, a.quality) != (b.root, b.quality) for a, b in pairwise(spans))


def test_every_degree_of_every_form_is_known() -> None:
    words = {word for form in (*MAJOR_FORMS, *MINOR_FORMS) for word in form.split()}
    assert words <= set(DEGREES)
    assert {quality for _, quality in DEGREES.values()} <= set(TONES)


@pytest.mark.parametrize("key", [0, 4, 12, 19])
def test_chords_of_a_progression_mostly_give_its_key_away(key: int) -> None:
    ranks = []
    for seed in range(30):
        spans = harmonise(key, 8, 4, Random(seed), 0.0)
        parts = accompany(STYLES["pop"], spans, 8, Random(seed), drums=False)
        ranks.append(key_rank(pitch_classes(parts, 0, 32), key))
    assert sum(rank <= 3 for rank in ranks) >= 24


def test_sevenths_come_only_when_asked_for() -> None:
    plain = harmonise(2, 8, 4, Random(1), 0.0)
    jazzy = [span for seed in range(5) for span in harmonise(2, 8, 4, Random(seed), 1.0)]
    assert not any(span.quality in ("maj7", "min7") for span in plain)
    assert sum("7" in span.quality for span in jazzy) >= len(jazzy) * 0.8


def test_the_same_chord_twice_is_one_span() -> None:
    spans = [Harmony(0, 2, 0, "maj"), Harmony(2, 4, 0, "maj"), Harmony(4, 6, 7, "7")]
    assert merged(spans) == (Harmony(0, 4, 0, "maj"), Harmony(4, 6, 7, "7"))


def test_a_voicing_lies_in_the_octave_above_its_floor() -> None:
    assert voicing(Harmony(0, 1, 7, "7"), 60) == (62, 65, 67, 71)


@pytest.mark.parametrize("meter", [2, 3, 4, 6])
def test_a_tune_stays_in_its_register_and_in_its_bars(meter: int) -> None:
    per_bar = 2 if meter == 6 else meter
    spans = harmonise(14, 8, per_bar, Random(5), 0.0)
    notes = melody(spans, 14, meter, "trumpet", Random(5))
    low, high = RANGES["trumpet"]
    assert all(low <= note.pitch <= high for note in notes)
    assert all(0 <= note.start < note.end <= 8 * per_bar + 1e-6 for note in notes)
    beats_of_chord_tones = [n for n in notes if abs(n.start - round(n.start)) < 1e-3]
    fits = [n.pitch % 12 in _tones(spans, n) for n in beats_of_chord_tones]
    assert all(fits)
    assert len(fits) >= 8


def _tones(spans: tuple[Harmony, ...], note: ScoreNote) -> set[int]:
    span = next(s for s in spans if s.start - 1e-6 <= note.start < s.end - 1e-6)
    return {(span.root + step) % 12 for step in TONES[span.quality]}


def test_swing_moves_the_off_beats_to_the_last_third() -> None:
    spans = harmonise(0, 8, 4, Random(1), 0.0)
    straight = {n.start % 1 for n in melody(spans, 0, 4, "piano", Random(9))}
    swung = {round(n.start % 1, 3) for n in melody(spans, 0, 4, "piano", Random(9), swing=True)}
    assert 0.5 in straight
    assert 0.5 not in swung
    assert 0.667 in swung


@pytest.mark.parametrize("name", sorted(STYLES))
def test_a_style_plays_every_bar_with_its_bass_on_the_roots(name: str) -> None:
    style = STYLES[name]
    per_bar = 2 if style.meter == 6 else style.meter
    spans = tuple(Harmony(b * per_bar, (b + 1) * per_bar, (2, 7, 9)[b % 3], "min") for b in range(6))
    parts = {part.role: part for part in accompany(style, spans, 6, Random(3)) if part.role != "pad"}
    assert set(parts) == {"bass", "chords", "drums"}
    firsts = {}
    for note in parts["bass"].notes:
        firsts.setdefault(int(note.start // per_bar), note.pitch % 12)
    assert firsts == {b: (2, 7, 9)[b % 3] for b in range(6)}
    assert {int(note.start // per_bar) for note in parts["drums"].notes} == set(range(6))


def test_styles_cover_every_meter_with_words_that_exist() -> None:
    assert {style.meter for style in STYLES.values()} == {2, 3, 4, 6}
    assert {genre for style in STYLES.values() for genre in style.genres} <= set(GENRES)
    assert {genre for genres in GENRES_OF.values() for genre in genres} <= set(GENRES)
    assert {g for s in STYLES.values() for g in s.genres} >= set(GENRES) - {"classical"}


def test_the_built_in_source_gives_every_meter_every_key_and_many_instruments() -> None:
    pieces = [builtin.piece(Random(seed), 16, lambda group: True) for seed in range(300)]
    assert {piece.meter for piece in pieces} == {2, 3, 4, 6}
    assert {piece.key for piece in pieces} == set(range(len(KEYS)))
    words = {word_of(p.program) for piece in pieces for p in piece.parts if not p.is_drums}
    assert len(words) >= 20


def test_every_program_is_an_instrument_word_a_substitute_or_left_out() -> None:
    for program in range(128):
        played = playable(program)
        if program in UNPITCHED:
            assert played is None
        else:
            assert played is not None
            assert word_of(played) in INSTRUMENTS
    assert not set(SUBSTITUTES) & {p for programs in PROGRAMS.values() for p in programs}
    assert set(PROGRAMS) == set(INSTRUMENTS) - {"drums", "voice"}
    assert {*LEADS, *COMPERS, *PADS} <= set(PROGRAMS)


def test_a_bass_is_only_ever_recast_as_a_bass() -> None:
    assert {word_of(vary(33, "bass", Random(seed))) for seed in range(50)} == {"bass"}
    assert len({word_of(vary(0, "chords", Random(seed))) for seed in range(80)}) >= 6


def test_a_pitch_moves_by_octaves_into_reach() -> None:
    assert into_range(100, "cello") == 64
    assert into_range(20, "flute") == 68
    assert into_range(60, "piano") == 60
