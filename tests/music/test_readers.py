"""The readers, against a table written by hand and against answers made by rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llark.evaluate.options import LETTERS, OptionList, _words, read_bare_option, read_option
from llark.evaluate.tasks import TASKS
from llark.music.claims import asserted, plain
from llark.music.lexicon import FAMILIES
from llark.music.names import note_name
from llark.music.readers import (
    read_chords,
    read_genre,
    read_instruments,
    read_key,
    read_meter,
    read_pitch,
    read_tempo,
    read_times,
)
from llark.records import GENRES, INSTRUMENTS, KEYS, METER_NAMES, PITCH_CLASSES

TABLE = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "evaluate" / "readings.jsonl").read_text().splitlines()
]

SHARPS = {"C#": 1, "D#": 3, "F#": 6, "G#": 8, "A#": 10, "E#": 5, "B#": 0}
FLATS = {"Db": 1, "Eb": 3, "Gb": 6, "Ab": 8, "Bb": 10, "Cb": 11, "Fb": 4}
NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
TONICS = {**NATURALS, **SHARPS, **FLATS}
TELLING = (
    "{}",
    "The answer is {}.",
    "I think it is {}, more or less.",
    "Probably {}",
    "I hear {}!",
    "{} I'd say.",
)
FRAGMENTS = (
    "not",
    "no",
    ",",
    "or",
    "but",
    "A",
    "b",
    "#",
    "/",
    "4",
    "120",
    "-",
    "♭",
    "piano",
    "minor",
    ".",
    "is",
)
NOT_TELLING = (
    "I can't tell whether it is {}.",
    "It is hard to say if this is {}.",
    "It isn't {}.",
    "Not {}.",
)

FIVE = ("genre", "instruments", "key", "meter", "tempo")
PLAIN = {
    "tempo": "The tempo is 120 BPM.",
    "key": "The key is F# minor.",
    "meter": "It is in 3/4 time.",
    "genre": "jazz",
    "instruments": "piano, bass and drums",
}
NOT_PLAIN = [
    ("tempo", "around 120 BPM"),
    ("tempo", "120-125 BPM"),
    ("tempo", "120 BPM or 60 BPM"),
    ("tempo", "one hundred twenty beats per minute"),
    ("key", "C major or A minor"),
    ("key", "Not C major but G major"),
    ("key", "Key: G"),
    ("key", "probably G major"),
    ("meter", "common time"),
    ("meter", "3/4 or 6/8"),
    ("genre", "bebop"),
    ("genre", "jazz or blues"),
    ("instruments", "a guitar and a piano"),
    ("instruments", "piano, no drums"),
]

UNITS = ["", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def in_words(number: int, joint: str) -> str:
    """21 to 399, as "one hundred{joint}twenty-one"."""
    hundreds, rest = divmod(number, 100)
    below = (
        TEENS[rest - 10]
        if 10 <= rest < 20
        else "-".join(w for w in (TENS[rest // 10], UNITS[rest % 10]) if w)
    )
    if not hundreds:
        return below
    return f"{UNITS[hundreds]} hundred{joint}{below}" if rest else f"{UNITS[hundreds]} hundred"


def read_both(row: dict[str, Any]) -> tuple[Any, Any]:
    """(lenient, strict) reading of a row."""
    if row["task"] == "choices":
        options = OptionList(tuple(row["options"]), 0)
        return read_option(row["answer"], options), read_bare_option(row["answer"], options)
    task = TASKS[row["task"]]
    return task.read(row["answer"]), task.strict(row["answer"])


def plain_json(value: object) -> object:
    return (
        sorted(value) if isinstance(value, frozenset) else list(value) if isinstance(value, tuple) else value
    )


def test_the_table_has_four_hundred_answers_and_thirty_for_each_fact_of_the_hall() -> None:
    assert len(TABLE) >= 400
    for task in (*FIVE, "choices"):
        assert sum(row["task"] == task for row in TABLE) >= 30


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row['task']}: {row['answer']}")
def test_an_answer_is_read_as_people_read_it(row: dict[str, Any]) -> None:
    lenient, strict = read_both(row)
    assert plain_json(lenient) == row["reading"]
    assert strict in (None, lenient)


def test_the_strict_reading_takes_fewer_answers_but_those_that_are_plain() -> None:
    taken = {task: [0, 0] for task in FIVE}
    for row in TABLE:
        if row["task"] in taken:
            lenient, strict = read_both(row)
            taken[row["task"]][0] += lenient is not None
            taken[row["task"]][1] += strict is not None
    assert all(0 < strict < lenient for lenient, strict in taken.values())
    for task, answer in PLAIN.items():
        assert TASKS[task].strict(answer) == TASKS[task].read(answer) is not None


@pytest.mark.parametrize(("task", "answer"), NOT_PLAIN)
def test_a_hedge_a_range_or_a_second_value_is_no_strict_answer(task: str, answer: str) -> None:
    assert TASKS[task].strict(answer) is None
    assert TASKS[task].read(answer) is not None


@given(st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=5, unique=True), st.data())
def test_a_letter_alone_is_that_option(texts: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(texts) - 1))
    letter = LETTERS[place]
    options = OptionList(tuple(texts), 0)
    if not any(_words(text) in (letter.lower(), f"answer {letter.lower()}") for text in texts):
        for frame in ("{}", "({})", "{}.", "Answer: {}"):
            assert read_option(frame.format(letter), options) == place


@given(st.integers(0, 127))
def test_every_note_is_read_by_number_and_by_name(midi: int) -> None:
    assert read_pitch(f"MIDI note {midi}") == midi
    assert read_pitch(f"It is {note_name(midi)}.") == midi


@given(st.lists(st.floats(0, 600).map(lambda t: round(t, 2)), min_size=1, max_size=20, unique=True))
def test_a_list_of_seconds_is_read_in_ascending_order(times: list[float]) -> None:
    assert read_times(", ".join(map(str, times))) == tuple(sorted(times))


@given(
    st.sampled_from(sorted(TONICS)),
    st.sampled_from(["major", "minor"]),
    st.sampled_from(TELLING),
    st.booleans(),
)
def test_every_spelling_of_every_key_is_read_as_the_halls(
    tonic: str, mode: str, frame: str, in_full: bool
) -> None:
    spelled = tonic
    if in_full:
        spelled = tonic[0] + {"#": " sharp", "b": "-flat", "": ""}[tonic[1:]]
    assert read_key(frame.format(f"{spelled} {mode}")) == f"{PITCH_CLASSES[TONICS[tonic]]} {mode}"


@given(st.sampled_from(KEYS), st.sampled_from(KEYS))
def test_of_two_keys_the_one_that_is_not_denied_is_read(one: str, other: str) -> None:
    assert read_key(f"Not {one} but {other}.") == other
    assert read_key(f"It is in {one}, not in {other}.") == one


@given(st.integers(20, 400), st.sampled_from(TELLING))
def test_every_tempo_in_digits_is_read(bpm: int, frame: str) -> None:
    assert read_tempo(frame.format(bpm)) == bpm
    assert read_tempo(frame.format(f"about {bpm} BPM in 4/4")) == bpm


@given(st.integers(21, 399), st.sampled_from([" ", " and "]))
def test_every_tempo_in_words_is_read(bpm: int, joint: str) -> None:
    assert read_tempo(f"It moves at {in_words(bpm, joint)} beats per minute.") == bpm


@given(st.floats(20, 400).map(lambda bpm: round(bpm, 1)))
def test_a_tempo_with_a_decimal_is_read_to_that_decimal(bpm: float) -> None:
    assert read_tempo(f"{bpm} BPM") == bpm


@given(
    st.integers(20, 390),
    st.integers(1, 10),
    st.sampled_from(["{}-{} BPM", "{} to {} BPM", "between {} and {} BPM"]),
)
def test_a_range_is_read_as_its_middle(low: int, width: int, frame: str) -> None:
    assert read_tempo(frame.format(low, low + width)) == low + width / 2


@given(st.sampled_from(sorted(METER_NAMES)), st.sampled_from(TELLING), st.integers(20, 400))
def test_a_time_signature_is_read_beside_any_tempo(meter: int, frame: str, bpm: int) -> None:
    text = frame.format(f"{METER_NAMES[meter]} at {bpm} BPM")
    assert read_meter(text) == meter
    assert read_tempo(text) == bpm


@given(
    st.sets(st.sampled_from(INSTRUMENTS), min_size=1, max_size=8),
    st.sampled_from([", ", " and ", "; ", " + "]),
)
def test_a_list_of_instruments_is_read_as_that_set(words: set[str], joint: str) -> None:
    assert read_instruments(f"I hear {joint.join(sorted(words))}.") == words


@given(
    st.sets(st.sampled_from(INSTRUMENTS), min_size=1, max_size=4),
    st.sets(st.sampled_from(INSTRUMENTS), min_size=1, max_size=4),
    st.sampled_from(
        ["There is {heard}, but no {denied}.", "No {denied}; {heard}.", "{heard} without {denied}"]
    ),
)
def test_denied_instruments_are_not_heard(heard: set[str], denied: set[str], frame: str) -> None:
    heard = heard - denied or {"harp"}
    text = frame.format(
        heard=" and ".join(sorted(heard)), denied=" or ".join(sorted(denied - heard)) or "bells"
    )
    assert read_instruments(text) == heard


@given(st.sampled_from(GENRES), st.sampled_from(TELLING))
def test_every_style_is_read(genre: str, frame: str) -> None:
    assert read_genre(frame.format(genre)) == genre


@given(st.sampled_from(NOT_TELLING))
def test_an_answer_that_does_not_tell_is_no_answer(frame: str) -> None:
    assert read_tempo(frame.format("120 BPM")) is None
    assert read_key(frame.format("C major")) is None
    assert read_meter(frame.format("4/4")) is None
    assert read_instruments(frame.format("a piano")) is None
    assert read_genre(frame.format("rock")) is None


@given(st.text(max_size=200) | st.lists(st.sampled_from(FRAGMENTS)).map(" ".join))
def test_no_text_breaks_a_reader(text: str) -> None:
    assert len(asserted(text)) == len(plain(text))
    assert read_tempo(text) is None or 20 <= read_tempo(text) <= 400
    assert read_key(text) in (None, *KEYS)
    assert read_meter(text) is None or 1 <= read_meter(text) <= 16
    assert (read_instruments(text) or set()) <= {*INSTRUMENTS, *FAMILIES}
    assert read_genre(text) is None or isinstance(read_genre(text), str)
    assert read_pitch(text) is None or 0 <= read_pitch(text) <= 127
    assert all(chord.endswith((":maj", ":min")) for chord in read_chords(text) or ())
    assert read_option(text, OptionList(("rock", "no drums", "A"), 0)) in (None, 0, 1, 2)
    for name in FIVE:
        assert TASKS[name].strict(text) in (None, TASKS[name].read(text))
