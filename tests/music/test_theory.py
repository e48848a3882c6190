from __future__ import annotations

import pytest

from llark.music.names import pitch_class
from llark.music.theory import Chord, Scale, capo, conventional_name, mixes_with
from llark.records import KEYS, PITCH_CLASSES


def test_every_key_is_read_and_named_the_same() -> None:
    assert tuple(Scale.of(name).name for name in KEYS) == KEYS
    with pytest.raises(ValueError, match="F# minor"):
        Scale.of("D dorian")


@pytest.mark.parametrize(
    ("key", "relative", "parallel"),
    [
        ("C major", "A minor", "C minor"),
        ("F# minor", "A major", "F# major"),
        ("Bb major", "G minor", "Bb minor"),
        ("Eb minor", "F# major", "Eb major"),
    ],
)
def test_relative_and_parallel_keys(key: str, relative: str, parallel: str) -> None:
    assert Scale.of(key).relative.name == relative
    assert Scale.of(key).parallel.name == parallel


def test_relative_and_parallel_lead_back_from_every_key() -> None:
    for key in map(Scale.of, KEYS):
        assert key.relative.relative == key == key.parallel.parallel
        assert {pitch_class(note) for note in key.notes} == {pitch_class(note) for note in key.relative.notes}


@pytest.mark.parametrize(
    ("key", "notes"),
    [
        ("E major", "E F# G# A B C# D#"),
        ("F# major", "F# G# A# B C# D# E#"),
        ("D minor", "D E F G A Bb C"),
        ("Eb minor", "Eb F Gb Ab Bb Cb Db"),
    ],
)
def test_a_scale_uses_each_letter_once(key: str, notes: str) -> None:
    assert " ".join(Scale.of(key).notes) == notes


def test_no_scale_needs_a_letter_twice_or_a_double_sign() -> None:
    for key in map(Scale.of, KEYS):
        assert {note[0] for note in key.notes} == set("ABCDEFG")
        assert max(len(note) for note in key.notes) <= 2


def test_the_key_signature_counts_the_signs_of_the_scale() -> None:
    for key in map(Scale.of, KEYS):
        signs = sum(note.count("#") - note[1:].count("b") for note in key.notes)
        assert key.sharps == signs, key.name


def test_pentatonic_scales() -> None:
    assert Scale.of("A minor").pentatonic == ("A", "C", "D", "E", "G")
    assert Scale.of("G major").pentatonic == ("G", "A", "B", "D", "E")


def test_transposition_keeps_the_mode_and_the_one_spelling() -> None:
    assert Scale.of("E minor").moved(2).name == "F# minor"
    assert Scale.of("A major").moved(-1).name == "Ab major"
    assert [Scale.of("C major").moved(step).tonic_name for step in range(12)] == list(PITCH_CLASSES)


@pytest.mark.parametrize(
    ("label", "name", "triad"),
    [
        ("C:maj", "C major", "maj"),
        ("Db:min7/b3", "C#m7", "min"),
        ("Gb", "F# major", "maj"),
        ("A:hdim7", None, "dim"),
        ("G:7", None, "maj"),
        ("D:sus4(b7)", "Dsus4", "sus4"),
        ("E:5", None, "5"),
    ],
)
def test_a_chord_label_is_read_without_its_bass(label: str, name: str | None, triad: str) -> None:
    chord = Chord.of(label)
    assert chord is not None
    assert chord.triad == triad
    assert name is None or chord.name == name


def test_no_chord_is_no_chord() -> None:
    assert Chord.of("N") is None
    assert Chord.of("X") is None
    assert Chord.of("") is None


@pytest.mark.parametrize(
    ("key", "label", "numeral", "role"),
    [
        ("C major", "C:maj", "I", "tonic"),
        ("C major", "D:min7", "ii7", "supertonic"),
        ("C major", "G:7", "V7", "dominant"),
        ("C major", "B:dim", "vii°", "leading-tone chord"),
        ("C major", "D:maj", None, None),
        ("C major", "F:7", None, None),
        ("A minor", "E:maj", "V", "dominant"),
        ("A minor", "E:7", "V7", "dominant"),
        ("A minor", "E:min", "v", "dominant"),
        ("A minor", "G:maj", "VII", "subtonic"),
        ("A minor", "C#:maj", None, None),
    ],
)
def test_functions_of_chords(key: str, label: str, numeral: str | None, role: str | None) -> None:
    chord = Chord.of(label)
    assert chord is not None
    assert Scale.of(key).numeral(chord) == numeral
    assert Scale.of(key).role(chord) == role


def test_a_key_holds_its_own_triads_and_no_neighbours() -> None:
    for key in map(Scale.of, KEYS):
        for degree in range(7):
            chord = key.chord(degree)
            assert key.holds(chord)
            assert key.mode == "minor" or not key.holds(Chord(chord.root, "aug"))
        assert not key.holds(Chord((key.tonic + 1) % 12, "7"))


def test_the_raised_leading_tone_is_of_a_minor_key_in_its_dominant_alone() -> None:
    a_minor = Scale.of("A minor")
    assert [
        a_minor.holds(Chord(*chord)) for chord in ((4, "7"), (8, "dim7"), (9, "minmaj7"), (8, "maj"))
    ] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("key", "fret", "shape"),
    [
        ("Bb major", 1, "A major"),
        ("Ab major", 1, "G major"),
        ("F# major", 2, "E major"),
        ("G major", 0, "G major"),
        ("C minor", 3, "A minor"),
        ("F minor", 1, "E minor"),
    ],
)
def test_a_capo_goes_on_the_lowest_fret_that_gives_open_shapes(key: str, fret: int, shape: str) -> None:
    assert (capo(Scale.of(key))[0], capo(Scale.of(key))[1].name) == (fret, shape)


def test_a_capo_raises_the_shape_to_the_key() -> None:
    for key in map(Scale.of, KEYS):
        fret, shape = capo(key)
        assert 0 <= fret <= 5
        assert shape.moved(fret) == key


def test_keys_that_mix_differ_by_one_sign_at_most() -> None:
    assert [key.name for key in mixes_with(Scale.of("A minor"))] == ["C major", "E minor", "D minor"]
    for key in map(Scale.of, KEYS):
        for other in mixes_with(key):
            notes, others = ({pitch_class(note) for note in scale.notes} for scale in (key, other))
            assert len(notes & others) >= 6


def test_a_key_is_glossed_with_the_spelling_of_its_signature() -> None:
    assert conventional_name(Scale.of("C# major"), -5) == "Db major"
    assert conventional_name(Scale.of("F# major"), -6) == "Gb major"
    assert conventional_name(Scale.of("G minor"), -2) == "G minor"


def test_a_spelling_is_usual_in_a_key_or_it_is_not() -> None:
    e_major = Scale.of("E major")
    assert not e_major.spells(Chord(8, "min"))
    assert e_major.spells(Chord(9, "maj"))
