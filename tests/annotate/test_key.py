"""Keys from made-up chords and chroma: no network runs here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from llark.annotate import chords, key
from llark.records import KEYS, PITCH_CLASSES, Chords, ChordSpan, Key

FRAMES_A_CHORD = 86


@dataclass
class Heard:
    triad: np.ndarray
    seventh: np.ndarray
    bass: np.ndarray
    chroma: np.ndarray


def progression(loop: list[tuple[int, str]], tonic: int = 0, rounds: int = 3) -> tuple[Heard, Chords]:
    """A sure chord net on two-second chords, given as semitones over the tonic and quality."""
    triad, bass, chroma, spans = [], [], [], []
    for number, (semitones, quality) in enumerate(loop * rounds):
        root = (tonic + semitones) % 12
        third = root + (3 if quality == "min" else 4)
        triad.append(np.eye(73)[1 + 12 * chords.QUALITIES.index(quality) + root])
        bass.append(np.eye(13)[1 + root])
        chroma.append(np.bincount([root, third % 12, (root + 7) % 12], minlength=12) * 10.0 + 0.5)
        spans.append(ChordSpan(2.0 * number, 2.0 * number + 2, f"{PITCH_CLASSES[root]}:{quality}"))
    long = [np.repeat(np.array(rows), FRAMES_A_CHORD, axis=0) for rows in (triad, bass, chroma)]
    seventh = np.tile(np.eye(4)[0], (len(long[0]), 1))
    return Heard(long[0], seventh, long[1], long[2]), Chords(tuple(spans), 0.9, "made up")


def melody(notes: list[int], seconds_each: int = 20) -> Heard:
    """No chord anywhere, one pitch class after the other."""
    chroma = np.repeat(np.eye(12)[np.array(notes) % 12] * 10 + 0.2, seconds_each, axis=0)
    triad, seventh, bass = (np.tile(np.eye(width)[0], (len(chroma), 1)) for width in (73, 4, 13))
    return Heard(triad, seventh, bass, chroma)


MAJOR = [(0, "maj"), (9, "min"), (5, "maj"), (7, "maj")]
MINOR = [(0, "min"), (5, "min"), (7, "maj"), (0, "min")]


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("loop", "mode"), [(MAJOR, "major"), (MINOR, "minor")])
def test_a_plain_progression_gives_its_key_in_all_transpositions(
    tonic: int, loop: list[tuple[int, str]], mode: str
) -> None:
    found = key.find(*progression(loop, tonic))
    assert found.name == f"{PITCH_CLASSES[tonic]} {mode}"
    assert found.confidence > 0.5


@pytest.mark.parametrize("tonic", [0, 3, 8])
def test_a_solo_melody_is_read_from_its_notes_and_is_not_c_major_by_default(tonic: int) -> None:
    tune = [0, 2, 4, 5, 7, 4, 0, 7, 9, 11, 12, 7, 4, 2, 0, 0]
    assert key.find(melody([tonic + note for note in tune]), Chords()).name == f"{PITCH_CLASSES[tonic]} major"


def test_a_minor_melody_is_minor() -> None:
    tune = [0, 2, 3, 5, 7, 8, 7, 5, 3, 2, 0, 11, 0, 3, 7, 0]
    assert key.find(melody([9 + note for note in tune]), Chords()).name == "A minor"


@pytest.mark.parametrize("level", [0.0, 10.0])
def test_silence_and_equal_pitch_classes_have_no_key(level: float) -> None:
    noise = melody([0] * 12)
    noise.chroma = np.full_like(noise.chroma, level)
    assert key.find(noise, Chords()) == Key(source=key.SOURCE)


def test_nothing_heard_has_no_key() -> None:
    nothing = Heard(*(np.zeros((0, width)) for width in (73, 4, 13, 12)))
    assert key.find(nothing, Chords()).name is None


def test_only_steps_from_a_major_dominant_count_as_cadences() -> None:
    spans = tuple(
        ChordSpan(i, i + 1, label) for i, label in enumerate(("G:7", "C:maj", "G:min", "C:min", "N"))
    )
    found = key.cadences(Chords(spans))
    assert found[KEYS.index("C major")] == pytest.approx(1 / 3)
    assert found.sum() == pytest.approx(1 / 3)
