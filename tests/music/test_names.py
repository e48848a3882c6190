"""Names of pitches, keys and chords, read in any spelling and written in one."""

from __future__ import annotations

import pytest

from llark.music.names import key_name, note_name, pitch, pitch_class
from llark.records import KEYS, PITCH_CLASSES


def test_note_names_of_either_spelling_give_their_pitch_class() -> None:
    assert [pitch_class(name) for name in PITCH_CLASSES] == list(range(12))
    assert [pitch_class(name) for name in ("Db", "Cb", "E#", "B#", "Fb", "F##")] == [1, 11, 5, 0, 4, 7]
    assert [pitch_class(name) for name in ("D♭", "F♯", "G sharp", "B-flat")] == [1, 6, 8, 10]
    assert (pitch("Cb"), pitch("B#")) == (-1, 12)
    for wrong in ("", "H", "c", "C!", "Cm", "C flat sharp"):
        with pytest.raises(ValueError, match="no note name"):
            pitch_class(wrong)


@pytest.mark.parametrize(
    ("text", "key"),
    [("Db major", "C# major"), ("A# minor", "Bb minor"), ("c minor", "C minor"), ("Cb major", "B major"),
     ("Am", "A minor"), ("bb min", "Bb minor"), ("C♯:minor", "C# minor"), ("Amaj", "A major"),
     ("H major", None), ("C dorian", None), ("C", None), ("GM", None), ("", None)],
)  # fmt: skip
def test_a_key_in_any_spelling_is_one_of_ours(text: str, key: str | None) -> None:
    assert key_name(text) == key


def test_every_key_and_every_midi_number_has_one_name() -> None:
    assert tuple(map(key_name, KEYS)) == KEYS
    assert [note_name(midi) for midi in (0, 60, 69, 127)] == ["C-1", "C4", "A4", "G9"]
