"""What the truth of a clip says, on pieces small enough to know it by heart; and that the sound agrees."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from llark.corpus import mma
from llark.corpus.audible import key_is_audible, truth
from llark.corpus.builtin import STYLES
from llark.corpus.harmony import voicing
from llark.corpus.piece import (
    BEND,
    Control,
    Harmony,
    Part,
    Piece,
    ScoreNote,
    Timing,
    Unusable,
    style_tempi,
    transpose,
)
from llark.corpus.synth import SAMPLE_RATE, Portable
from llark.corpus.take import (
    PREROLL_SECONDS,
    SHORTEST_SECONDS,
    Take,
    choose,
    choose_bpm,
    mix,
    perform,
    reduced,
)
from llark.records import PITCH_CLASSES

C, G, A = 0, 7, 9


def waltz(bars: int = 12) -> Piece:
    """A waltz in C: chords on every beat, C F G C over and over, a bar each, and a drum on the downbeat."""
    roots = [(0, 5, 7, 0)[bar % 4] for bar in range(bars)]
    spans = tuple(Harmony(3 * b, 3 * b + 3, root, "maj") for b, root in enumerate(roots))
    chords = [
        ScoreNote(h.start + k, h.start + k + 0.9, p, 80)
        for h in spans
        for k in range(3)
        for p in voicing(h, 60)
    ]
    kicks = tuple(ScoreNote(h.start, h.start + 0.1, 36, 100) for h in spans)
    parts = (Part("chords", 0, tuple(chords)), Part("drums", 0, kicks))
    return Piece(parts, 3.0 * bars, "test/waltz", meter=3, key=C, harmony=spans, genres=("waltz",))


def test_beats_and_bar_positions_follow_a_clip_that_starts_inside_a_bar() -> None:
    facts = truth(waltz(), "x", Timing(120.0, 1.5), seconds=3.0, words=["piano"])
    assert facts.tempo.bpm == 120.0
    assert facts.beats.times_seconds == (0.25, 0.75, 1.25, 1.75, 2.25, 2.75)
    assert facts.beats.positions == (3, 1, 2, 3, 1, 2)
    assert facts.meter.beats_per_bar == 3


def test_a_beat_at_the_very_start_is_kept_and_one_at_the_very_end_is_not() -> None:
    facts = truth(waltz(), "x", Timing(60.0, 3.0), seconds=9.0, words=["piano"])
    assert facts.beats.times_seconds == tuple(float(k) for k in range(9))
    assert facts.beats.downbeats_seconds == (0.0, 3.0, 6.0)


def test_chords_are_cut_to_the_clip_and_cover_it() -> None:
    facts = truth(waltz(), "x", Timing(60.0, 4.0), seconds=8.0, words=["piano"])
    spans = [(s.start_seconds, s.end_seconds, s.label) for s in facts.chords.spans]
    assert spans == [(0.0, 2.0, "F:maj"), (2.0, 5.0, "G:maj"), (5.0, 8.0, "C:maj")]


def test_in_six_eight_a_bar_has_two_beats() -> None:
    piece = replace(waltz(), meter=6)
    facts = truth(piece, "x", Timing(60.0, 0.0), seconds=4.0, words=[])
    assert facts.meter.beats_per_bar == 6
    assert facts.beats.positions == (1, 2, 1, 2)


def test_without_a_meter_beats_have_no_positions() -> None:
    facts = truth(replace(waltz(), meter=None), "x", Timing(60.0, 0.0), 4.0, ["piano"])
    assert facts.beats.times_seconds == (0.0, 1.0, 2.0, 3.0)
    assert facts.beats.positions == ()
    assert facts.meter.beats_per_bar is None


def test_long_chords_that_mark_no_beats_leave_tempo_and_meter_unknown() -> None:
    piece = waltz()
    held = Part(
        "pad", 48, tuple(ScoreNote(h.start, h.end, p, 70) for h in piece.harmony for p in voicing(h, 60))
    )
    facts = truth(replace(piece, parts=(held,)), "x", Timing(60.0, 0.0), 12.0, ["strings"])
    assert facts.tempo.bpm is None
    assert facts.beats.times_seconds == ()
    assert facts.meter.beats_per_bar is None
    assert facts.key.name == "C major"
    assert len(facts.chords.spans) == 4


def test_a_key_is_unknown_where_its_tonic_is_not_heard() -> None:
    piece = waltz()
    assert key_is_audible(piece, 0.0, 12.0)
    assert truth(piece, "x", Timing(60.0, 3.0), 6.0, ["piano"]).key.name is None  # F and G alone


def test_a_modulating_piece_has_its_key_only_where_the_notes_say_so() -> None:
    piece = replace(waltz(), harmony=(), modulates=True)
    assert key_is_audible(piece, 0.0, 12.0)
    assert not key_is_audible(transpose(piece, 0), 3.0, 6.0)
    away = replace(piece, key=(G, A + 12)[1])
    assert not key_is_audible(away, 0.0, 12.0)


def test_a_piece_reduced_to_drums_or_bass_forgets_key_and_chords() -> None:
    kinds = {}
    for seed in range(400):
        piece = reduced(waltz(), Random(seed))
        if len(piece.parts) == 1 and piece.parts[0].is_drums:
            kinds["drums"] = piece
        elif piece.parts[0].role == "pad":
            kinds["pads"] = piece
    assert (kinds["drums"].key, kinds["drums"].harmony) == (None, ())
    assert kinds["pads"].key == C
    facts = truth(kinds["drums"], "x", Timing(60.0, 0.0), 8.0, ["drums"])
    assert facts.key.name is None
    assert facts.chords.spans == ()


def test_transposing_moves_notes_key_and_chords_and_leaves_drums() -> None:
    moved = transpose(waltz(), 9)
    assert moved.key == A
    assert [h.root for h in moved.harmony[:3]] == [9, 2, 4]
    assert moved.parts[0].notes[0].pitch == waltz().parts[0].notes[0].pitch + 9
    assert moved.parts[1] == waltz().parts[1]
    assert transpose(replace(waltz(), key=12 + 11), 2).key == 12 + 1


def test_a_tempo_keeps_to_the_bounds_of_the_piece_and_is_spread_over_them() -> None:
    piece = replace(waltz(40), slowest_bpm=70.0, fastest_bpm=140.0)
    drawn = [choose_bpm(piece, Random(seed)) for seed in range(200)]
    assert min(drawn) >= 70.0
    assert max(drawn) <= 140.0
    assert min(drawn) < 80
    assert max(drawn) > 130


def test_a_tempo_at_which_another_beat_would_be_tapped_is_not_drawn() -> None:
    piece = replace(waltz(40), usual_bpm=(92.0, 132.0))
    drawn = [choose_bpm(piece, Random(seed)) for seed in range(200)]
    assert 92 <= min(drawn) < 96
    assert 128 < max(drawn) <= 132
    out_of_reach = replace(piece, usual_bpm=(20.0, 30.0))
    assert 45 <= choose_bpm(out_of_reach, Random(1)) <= 220


def test_music_too_busy_for_its_written_beat_is_unusable() -> None:
    rolls = tuple(ScoreNote(k / 8, k / 8 + 0.1, 38, 100) for k in range(8 * 120))
    with pytest.raises(Unusable) as caught:
        choose_bpm(replace(waltz(40), parts=(Part("drums", 0, rolls),)), Random(1))
    assert caught.value.reason == "too-busy"


@pytest.mark.parametrize(
    ("name", "genres", "bounds"),
    [
        ("mma/casio/march1", ("march",), (92, 132)),
        ("mma/casio/16beatballad1", ("pop",), (48, 90)),
        ("mma/stdlib/fastjazzwaltz", ("jazz", "waltz"), (140, 210)),
        ("mma/zoom/fusion", ("jazz", "funk"), (84, 128)),
        ("somebody's style", (), (60, 200)),
    ],
)
def test_a_style_has_its_usual_tempi_by_name_and_else_by_genre(
    name: str, genres: tuple[str, ...], bounds: tuple[float, float]
) -> None:
    assert style_tempi(name, genres) == bounds


def test_every_groove_and_style_has_usual_tempi_that_it_may_be_played_at() -> None:
    for file, genres in mma.GENRES_OF.items():
        low, high = style_tempi(f"mma/{file}", genres)
        assert 40 <= low < high <= 220, file
    for name, style in STYLES.items():
        low, high = style_tempi(name, style.genres)
        assert max(low, style.slowest_bpm) < min(high, style.fastest_bpm), name


def test_a_piece_too_short_for_a_clip_is_unusable() -> None:
    with pytest.raises(Unusable) as caught:
        choose(replace(waltz(2), slowest_bpm=100.0), 10.0, Random(1))
    assert caught.value.reason == "too-short"


def test_a_clip_is_never_longer_than_the_piece() -> None:
    for seed in range(30):
        take = choose(waltz(10), 25.0, Random(seed))
        assert SHORTEST_SECONDS - 0.01 <= take.seconds <= 25
        assert take.end_beat <= 30 + 1e-6


def test_a_piece_without_a_note_is_silent_and_no_failure() -> None:
    with pytest.raises(Unusable) as found:
        choose(replace(waltz(), parts=(Part("drums", 0, ()),)), 25.0, Random(0))
    assert found.value.reason == "silent"


def test_a_performance_keeps_every_note_within_a_few_hundredths_of_a_second() -> None:
    take = Take(waltz(), 60.0, 6.0, 9.0)
    played = perform(take, Random(4))
    chords = next(part for part in played if part.role == "chords")
    starts = np.array([note.start for note in chords.notes])
    grid = np.arange(0, PREROLL_SECONDS + 9)
    assert np.abs(starts[:, None] - grid[None, :]).min(axis=1).max() < 0.07
    assert len({round(start) for start in starts}) == 11


def test_a_clip_out_of_tune_bends_everything_but_drums() -> None:
    bent = [perform(Take(waltz(), 60.0, 0.0, 8.0), Random(seed)) for seed in range(40)]
    shifts = {c.value for parts in bent for part in parts for c in part.controls}
    assert 5 <= len(shifts) <= 20
    assert max(abs(value) for value in shifts) <= 8192 * 40 / 200 + 1
    assert all(not part.controls for parts in bent for part in parts if part.is_drums)


def test_a_clip_begins_with_the_last_bend_and_volume_of_before_it() -> None:
    """Clips of Freedoom's songs began with the highest of the song so far."""
    piece = waltz()
    moved = (
        Control(0, BEND, 6000),
        Control(1, 7, 120),
        Control(2, BEND, 0),
        Control(3, 7, 80),
        Control(9, 7, 64),
    )
    bent = replace(piece, parts=(replace(piece.parts[0], controls=moved), piece.parts[1]))
    played = [perform(Take(bent, 60.0, 6.0, 8.0), Random(seed))[0].controls for seed in range(40)]
    for controls in played:
        heard = [(c.start, c.number) for c in controls]
        assert sorted(heard) == [(0.0, BEND), (0.0, 7), (5.0, 7)]
        assert {c.value for c in controls if c.number == 7} == {80, 64}
    bends = [c.value for controls in played for c in controls if c.number == BEND]
    assert max(map(abs, bends)) <= 8192 * 40 / 200 + 1
    assert bends.count(0) > 20


def test_only_what_sounds_in_the_clip_is_named(portable: Portable) -> None:
    early = Part("melody", 73, (ScoreNote(0.0, 0.4, 79, 90),))
    piano = Part(
        "chords", 0, tuple(ScoreNote(2.1 + k, 2.9 + k, 60 + p, 80) for k in range(4) for p in (0, 4, 7))
    )
    faint = Part("chords", 40, (ScoreNote(2.5, 5.0, 67, 30),), (Control(0.0, 7, 40),))
    samples, words = mix([early, piano, faint], 4.0, portable, Random(1))
    assert set(words) == {"piano", "violin"}
    assert len(samples) == 4 * SAMPLE_RATE


def test_a_stretch_without_sound_is_unusable(portable: Portable) -> None:
    with pytest.raises(Unusable) as caught:
        mix([Part("melody", 73, (ScoreNote(0.0, 0.1, 79, 90),))], 2.0, portable, Random(1))
    assert caught.value.reason == "silent"


def test_a_note_sounds_at_its_pitch_and_its_time(portable: Portable) -> None:
    samples = portable.play(Part("melody", 73, (ScoreNote(0.5, 1.5, 69, 100),)), 2.0)
    assert len(samples) == 2 * SAMPLE_RATE
    onset = np.argmax(np.abs(samples) > 0.1 * np.abs(samples).max()) / SAMPLE_RATE
    assert onset == pytest.approx(0.5, abs=0.05)
    tone = samples[int(0.7 * SAMPLE_RATE) : int(1.4 * SAMPLE_RATE)]
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(tone) == pytest.approx(440, abs=4)


def test_the_sound_of_each_labelled_chord_is_its_notes(portable: Portable) -> None:
    piece = transpose(replace(waltz(), parts=waltz().parts[:1]), 2)
    take = Take(piece, 90.0, 2.0, 8.0)
    samples, words = mix(perform(take, Random(2)), 8.0, portable, Random(2))
    facts = truth(piece, "x", take.timing, take.seconds, words)
    assert facts.key.name == "D major"
    for span in facts.chords.spans:
        low, high = round(span.start_seconds * SAMPLE_RATE), round(span.end_seconds * SAMPLE_RATE)
        if high - low < SAMPLE_RATE:
            continue
        root = PITCH_CLASSES.index(span.label.split(":")[0])
        weight = _pitch_class_weight(samples[low:high])
        fits = [sum(weight[(tonic + step) % 12] for step in (0, 4, 7)) for tonic in range(12)]
        assert int(np.argmax(fits)) == root


def _pitch_class_weight(samples: np.ndarray) -> np.ndarray:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    inside = (hertz > 240) & (hertz < 540)
    classes = np.round(69 + 12 * np.log2(hertz[inside] / 440)).astype(int) % 12
    return np.bincount(classes, spectrum[inside] ** 2, minlength=12)
