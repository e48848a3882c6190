"""What sentences claim of the music, with what they deny, leave open and suppose; and whether it is so."""

from __future__ import annotations

import pytest

from llark.music import lexicon
from llark.music.claims import KnownFacts, check, claims, polarity
from llark.records import (
    GENRES,
    INSTRUMENTS,
    Annotation,
    Chords,
    ChordSpan,
    Key,
    Meter,
    Tag,
    Tags,
    Tempo,
)

SONG = Annotation(
    "song",
    0.0,
    25.0,
    tempo=Tempo(120.0, 1.0, "truth"),
    meter=Meter(4, 1.0, "truth"),
    key=Key("A minor", 1.0, "truth"),
    chords=Chords((ChordSpan(0.0, 12.0, "A:min"), ChordSpan(12.0, 25.0, "E:7")), 1.0, "truth"),
    instruments=Tags((Tag("electric guitar", 1.0), Tag("piano", 1.0)), "truth"),
)


def claimed(text: str) -> set[tuple[str, str]]:
    """(kind, value) of what a text says outright, with `no ` before a value that it denies."""
    return {(claim.what, ("no " if claim.denied else "") + claim.value) for claim in claims(text)}


def test_claims_are_read_with_their_denials() -> None:
    assert claimed("No drums, but a sax in Bb major at 96 BPM.") == {
        ("instrument", "no drums"),
        ("instrument", "saxophone"),
        ("key", "Bb major"),
        ("tempo", "96"),
    }


def test_a_bass_note_or_a_guitar_in_a_bass_is_no_instrument_of_its_own() -> None:
    assert claimed("A bass guitar plays a bass note.") == {("instrument", "bass")}
    assert claimed("An electric guitar and another guitar.") == {
        ("instrument", "electric guitar"),
        ("instrument", "guitar"),
    }


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("It is not C but G major.", {"G major"}),
        ("It's not an electric guitar but an acoustic guitar.", {"no electric guitar", "acoustic guitar"}),
        ("Not only drums but also bass.", {"drums", "bass"}),
        ("I can't tell whether it's C major or A minor at 120 BPM.", set()),
        ("It is hard to say whether this is 3/4 or 6/8.", set()),
        ("Apart from the piano, there are drums.", {"drums"}),
        ("Drums are absent.", {"no drums"}),
        ("The bass cannot be missed.", {"bass"}),
        ("A major key gives it a bright sound.", set()),
        ("A minor third above, in A minor.", {"A minor"}),
        ("3/4 of the song is quiet.", set()),
        ("In waltz time at one-twenty BPM.", {"3/4", "120"}),
        ("In march time, or in a compound duple meter.", {"2/4", "6/8"}),
        ("It gets 30 BPM faster.", set()),
        ("It lies above 90 BPM.", set()),
        ("At 172 BPM it lies between 150 and 180.", {"172"}),
        ("It is in D dorian and moves from Am to F#m7b5.", {"D minor", "A minor", "F#m7b5"}),
        ("A bass drum and a bass clarinet.", {"drums", "clarinet"}),
        ("A synth bass, a distorted electric guitar and nylon-string guitars.",
         {"bass", "distorted guitar", "acoustic guitar"}),
        ("Acoustic and electric guitars with an oboe.", {"acoustic guitar", "electric guitar", "oboe"}),
        ("On the other hand, the keys share a string of notes.", set()),
    ],
)  # fmt: skip
def test_a_sentence_claims_what_people_read_in_it(text: str, values: set[str]) -> None:
    assert {value for _, value in claimed(text)} == values


def test_what_is_said_denied_and_left_open_are_three_parts_of_one_text() -> None:
    text = "A piano, no drums. I can't tell whether a harp plays."
    is_said, is_denied = polarity(text)
    assert len(is_said) == len(is_denied) == len(text)
    assert is_said.split() == ["A", "piano,", ".", "I", "."]
    assert is_denied.split() == ["no", "drums"]


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("How fast?", "About 118 BPM.", None),
        ("How fast?", "About 90 BPM.", "wrong-tempo"),
        ("Who plays?", "A guitar and a keyboard.", None),
        ("Who plays?", "There is no guitar.", "wrong-instrument"),
        ("Who plays?", "Woodwinds.", "wrong-instrument"),
        ("Who plays?", "I can't tell whether there is a piano.", None),
        ("Chords?", "Am and E7.", None),
        ("Chords?", "Am and Emaj9.", "wrong-harmony"),
        ("Meter?", "Waltz time.", "wrong-meter"),
        ("When?", "At 40 seconds.", "past-the-end"),
        ("Is it in A minor?", "No.", "wrong-yes-or-no"),
        ("Is there a piano?", "Yes.", None),
    ],
)
def test_a_claim_is_compared_with_the_annotation(question: str, answer: str, reason: str | None) -> None:
    assert check(KnownFacts(SONG), question, answer, free=False).reason == reason


def test_what_other_texts_say_of_the_recording_may_be_said() -> None:
    known = KnownFacts(SONG, {"captions": "A banjo plays."})
    assert check(known, "Who plays?", "A banjo.", free=False).used == {"captions"}
    assert check(KnownFacts(SONG), "Who plays?", "A banjo.", free=False).reason == "wrong-instrument"


def test_every_word_of_the_records_is_read_as_itself() -> None:
    for word in INSTRUMENTS:
        assert [named.word for named in lexicon.INSTRUMENT_PHRASES.find(word)] == [word]
        assert claimed(f"There is {word}.") == {("instrument", word)}
    for word in GENRES:
        assert [named.word for named in lexicon.GENRE_PHRASES.find(word)] == [word]
