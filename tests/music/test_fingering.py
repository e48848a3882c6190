"""How chords are played."""

from __future__ import annotations

import pytest

from llark.music.fingering import TUNING, guitar, notes
from llark.music.theory import TONES, Chord


@pytest.mark.parametrize("quality", TONES)
def test_a_fingering_sounds_notes_of_its_chord_and_no_other_with_the_root_lowest(quality: str) -> None:
    for root in range(12):
        chord = Chord(root, quality)
        if frets := guitar(chord):
            each = frets.split("-") if "-" in frets else list(frets)
            sounding = [
                (string + int(fret)) % 12 for string, fret in zip(TUNING, each, strict=True) if fret != "x"
            ]
            tones, fifth = {(root + tone) % 12 for tone in chord.tones}, {(root + 7) % 12}
            assert tones - fifth <= set(sounding) <= tones  # a shape may leave out the fifth
            assert sounding[0] == root


def test_a_quality_without_a_usual_shape_has_notes_and_no_fingering() -> None:
    assert guitar(Chord(0, "dim7")) is None
    assert notes(Chord(0, "dim7")) == ("C", "Eb", "Gb", "Bbb")


def test_frets_of_two_digits_are_divided() -> None:
    assert guitar(Chord(7, "dim")) == "x-10-11-12-11-x"
    assert guitar(Chord(2, "5")) == "x577xx"
