"""Notes, melodies and isolated chords from what the note net says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from llark.annotate import chords, melody, notes
from llark.annotate.notes import FRAMES_PER_SECOND, Sounding
from llark.networks.features import AudioFeatures

RATE = 22050
Heard = list[tuple[int, float, float]]


@dataclass(frozen=True)
class Posteriors:
    notes: np.ndarray
    onsets: np.ndarray


def posteriors(heard: Heard, seconds: float = 4.0, level: float = 0.8) -> Posteriors:
    """What a net would say of notes (pitch, onset, offset) that it hears well."""
    frames = round(seconds * FRAMES_PER_SECOND)
    sounding, begins = np.full((frames, 88), 0.02), np.full((frames, 88), 0.02)
    for pitch, onset, offset in heard:
        first, last = round(onset * FRAMES_PER_SECOND), round(offset * FRAMES_PER_SECOND)
        sounding[first:last, pitch - 21] = level
        begins[first, pitch - 21] = 0.9
    return Posteriors(sounding, begins)


def plucked(heard: Heard, seconds: float) -> np.ndarray:
    """Decaying tones with eight harmonics."""
    time = np.arange(round(RATE * seconds)) / RATE
    sound = np.zeros_like(time)
    for pitch, onset, offset in heard:
        since = np.clip(time - onset, 0, None)
        level = np.exp(-1.5 * since) * np.clip((offset - time) / 0.03, 0, 1) * (time >= onset)
        for harmonic in range(1, 9):
            hz = 440 * 2 ** ((pitch - 69) / 12) * harmonic
            sound += 0.15 / harmonic**1.3 * level * np.sin(2 * np.pi * hz * since)
    return sound.astype(np.float32)


def line(*pitches: int, each: float = 0.4) -> Heard:
    return [(pitch, 0.1 + i * each, 0.1 + (i + 0.95) * each) for i, pitch in enumerate(pitches)]


def test_notes_are_told_in_seconds_of_the_track() -> None:
    found = notes.find(posteriors([(60, 0.5, 1.5), (64, 2.0, 3.0)]), start_seconds=50.0)
    assert [note.pitch_midi for note in found.notes] == [60, 64]
    assert found.notes[0].onset_seconds == pytest.approx(50.5, abs=0.01)
    assert found.notes[1].offset_seconds == pytest.approx(53.0, abs=0.01)
    assert found.confidence > 0.9


def test_a_pitch_struck_again_is_two_notes_and_a_short_gap_is_none() -> None:
    heard = posteriors([(60, 0.5, 1.0), (60, 1.0, 1.5)])
    heard.notes[60:63, 39] = 0.1
    assert [(s.first, s.last) for s in notes.decode(heard)] == [(43, 86), (86, 129)]


def test_a_note_that_stops_long_before_the_next_stroke_ends_there() -> None:
    found = notes.decode(posteriors([(60, 0.5, 1.0), (60, 3.0, 3.5)]))
    assert [(s.first, s.last) for s in found] == [(43, 86), (258, 301)]


def test_a_faint_overtone_that_begins_with_its_note_is_left_out() -> None:
    heard = posteriors([(60, 0.5, 2.0)], level=0.9)
    heard.notes[43:172, 72 - 21], heard.onsets[43, 72 - 21] = 0.45, 0.8
    assert [s.pitch_midi for s in notes.decode(heard)] == [60]


def test_doubtful_notes_are_unknown_as_a_whole() -> None:
    heard = posteriors([(60, 0.5, 2.0)], level=0.42)
    heard.notes[:, 10:20] = 0.35
    assert notes.find(heard).notes == ()


def test_a_scale_is_heard_note_by_note() -> None:
    found = notes.find(AudioFeatures(plucked(line(60, 62, 64, 65, 67, 69, 71, 72), 4.0), RATE).note)
    assert [note.pitch_midi for note in found.notes] == [60, 62, 64, 65, 67, 69, 71, 72]
    assert [n.onset_seconds for n in found.notes] == pytest.approx(
        [0.1 + 0.4 * i for i in range(8)], abs=0.04
    )


@pytest.mark.parametrize(
    ("pitches", "word"),
    [
        ((60, 62, 64, 65, 67, 69, 71, 72), "rising"),
        ((72, 71, 69, 67, 65, 64, 62, 60), "falling"),
        ((60, 64, 67, 71, 72, 69, 65, 60), "arch"),
        ((60, 67, 62, 69, 60, 67, 62, 69), "wave"),
        ((60, 62, 60, 61, 60, 62, 60, 60), "static"),
    ],
)
def test_the_contour_of_a_solo_line_has_a_word(pitches: tuple[int, ...], word: str) -> None:
    assert melody.contour(pitches) == word


def test_a_solo_line_is_a_melody_with_its_range() -> None:
    found = melody.find(AudioFeatures(plucked(line(60, 64, 67, 71, 72, 69, 65, 60), 4.0), RATE), 10.0)
    assert (found.contour, found.lowest_midi, found.highest_midi) == ("arch", 60, 72)
    assert found.notes[0].onset_seconds == pytest.approx(10.1, abs=0.04)
    assert found.confidence > 0.7


def test_two_lines_and_chords_are_no_melody() -> None:
    lower = [(pitch - 16, *span) for pitch, *span in line(64, 60, 62, 64, 60, 62, 60, 62)]
    both = plucked([*line(72, 74, 76, 77, 79, 77, 76, 74), *lower], 4.0)
    assert melody.find(AudioFeatures(both, RATE)).contour is None


def test_the_tail_of_a_note_under_the_next_is_no_second_line() -> None:
    ringing = [Sounding(30 * i, 30 * i + 45, 60 + i, 0.8) for i in range(8)]
    held = [Sounding(30 * i, 30 * i + 90, 60 + i, 0.8) for i in range(8)]
    assert melody.overlap_share(ringing) == 0.0
    assert melody.overlap_share(held) > 0.5
    assert [s.last - s.first for s in melody.one_line(ringing)] == [30] * 7 + [45]


CHORDS = {
    "C:maj": (48, 52, 55), "A:min": (45, 48, 52), "G:7": (43, 47, 50, 53), "F:maj7": (41, 45, 48, 52),
    "D:min7": (50, 53, 57, 60), "B:dim": (47, 50, 53), "C:aug": (48, 52, 56), "D:sus4": (50, 55, 57),
}  # fmt: skip


@pytest.mark.parametrize("label", CHORDS)
def test_an_arpeggiated_chord_has_its_quality(label: str) -> None:
    pitches = CHORDS[label]
    struck = [(pitches[i % len(pitches)], 0.1 + 0.25 * i, 0.7 + 0.25 * i) for i in range(4 * len(pitches))]
    found = chords.find_isolated(AudioFeatures(plucked(struck, 0.25 * len(struck) + 0.6), RATE))
    assert found.label == label
    assert found.confidence > 0.6


def test_two_chords_a_melody_and_a_single_note_are_no_isolated_chord() -> None:
    two = [(p, 0.1, 1.9) for p in CHORDS["C:maj"]] + [(p, 2.0, 3.9) for p in CHORDS["A:min"]]
    for heard in (two, line(60, 62, 64, 65, 67, 69, 71, 72), [(60, 0.1, 3.5)]):
        assert chords.find_isolated(AudioFeatures(plucked(heard, 4.0), RATE)).label is None


def test_where_no_note_is_found_there_is_no_line() -> None:
    assert melody.one_line([]) == []
