from __future__ import annotations

import pytest

from llark.music import fingering
from llark.music.mentions import by_sort, mentions, with_sorts
from llark.music.theory import Chord, Scale, camelot


@pytest.mark.parametrize(
    ("text", "sort", "values"),
    [
        ("Is it in G minor or Bb major?", "key", ("G minor", "Bb major")),
        ("is it in c# minor", "key", ("C# minor",)),
        ("Am I right that it's in Am?", "key", ("A minor",)),
        ("is this faster than 120 bpm", "bpm", ("120",)),
        ("is it around one-twenty", "number", ("120",)),
        ("What chord plays at 1:30?", "seconds", ("90",)),
        ("between 45 seconds and 2 minutes", "seconds", ("45", "120")),
        ("Does G7 fit, or Cmaj7?", "chord", ("G:7", "C:maj7")),
        ("transpose it down a perfect fourth", "interval", ("fourth",)),
        ("three semitones up", "interval", ("minor third",)),
        ("two whole steps", "interval", ("major third",)),
        ("practice at eighty percent", "percent", ("80",)),
        ("how long are 16 bars", "bars", ("16",)),
        ("is there a fiddle, a banjo or a sax?", "instrument", ("violin", "banjo", "saxophone")),
        ("jazz or hip hop?", "genre", ("jazz", "hip hop")),
        ("is it 3/4 or 6/8", "meter", ("3/4", "6/8")),
        ("the chords of the second half", "part", ("second half",)),
        ("what is a plagal cadence", "term", ("plagal cadence",)),
        ("which one of them is it", "number", ()),
    ],
)
def test_what_a_question_names_is_found_in_the_words_of_the_records(
    text: str, sort: str, values: tuple[str, ...]
) -> None:
    assert by_sort(mentions(text)).get(sort, ()) == values


def test_sorts_stand_in_the_place_of_values_so_that_two_questions_of_one_kind_are_alike() -> None:
    one, other = "Is it in G minor at 1:30?", "Is it in F# major at 20 seconds?"
    assert with_sorts(one, mentions(one)) == "Is it in  {key}  at  {seconds} ?"
    assert with_sorts(one, mentions(one)) == with_sorts(other, mentions(other))


def sounding(frets: str) -> set[int]:
    """Pitch classes of a fingering."""
    each = frets.split("-") if "-" in frets else list(frets)
    return {
        (string + int(fret)) % 12 for string, fret in zip(fingering.TUNING, each, strict=True) if fret != "x"
    }


@pytest.mark.parametrize("root", range(12))
@pytest.mark.parametrize("quality", ["maj", "min", "7", "min7", "maj7", "sus2", "sus4", "dim", "aug", "maj6"])
def test_a_fingering_sounds_the_notes_of_its_chord_and_no_others(root: int, quality: str) -> None:
    chord = Chord(root, quality)
    frets = fingering.guitar(chord)
    assert frets is not None
    tones = {(root + tone) % 12 for tone in chord.tones}
    without_fifth = tones - {(root + 7) % 12}
    assert sounding(frets) in (tones, without_fifth)


def test_open_chords_are_those_that_a_beginner_learns() -> None:
    shapes = {"C:maj": "x32010", "G:maj": "320003", "D:maj": "xx0232", "A:min": "x02210", "E:maj": "022100"}
    for label, frets in shapes.items():
        chord = Chord.of(label)
        assert chord is not None
        assert fingering.guitar(chord) == frets


@pytest.mark.parametrize(
    ("key", "code"),
    [("C major", "8B"), ("A minor", "8A"), ("F# minor", "11A"), ("D major", "10B"), ("Eb minor", "2A")],
)
def test_keys_have_their_places_on_the_wheel(key: str, code: str) -> None:
    assert camelot(Scale.of(key)) == code
