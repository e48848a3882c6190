"""The judges of answers take what is right in any wording and nothing that is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import questions as q

from llark.records import (
    Annotation,
    Beats,
    Chords,
    ChordSpan,
    Key,
    LocalKeys,
    Loudness,
    Meter,
    Span,
    Tag,
    Tags,
    Tempo,
)

SONG = Annotation(
    "song",
    0.0,
    20.0,
    tempo=Tempo(96.0, 0.9, "test", 192.0),
    beats=Beats((0.5, 1.1, 1.8, 2.4, 3.0), (1, 2, 3, 4, 1), 0.9),
    meter=Meter(4, 0.9),
    key=Key("D major", 0.9),
    chords=Chords(
        (
            ChordSpan(0, 8, "D:maj"),
            ChordSpan(8, 12, "G:maj"),
            ChordSpan(12, 16, "A:7"),
            ChordSpan(16, 20, "B:min"),
        ),
        0.9,
    ),
    instruments=Tags((Tag("piano", 0.9), Tag("drums", 0.8), Tag("voice", 0.3)), 0.9),
    genre=Tags((Tag("rock", 0.7),), 0.7),
    loudness=Loudness(-14.2, 3.0, -1.0, (-20.0,) * 10 + (-12.0,) * 10, (), 0.0, "test"),
    local_keys=LocalKeys((Span(0, 20, "D major", 0.9),), 0.9),
)
OTHER = Annotation(
    "other", 0.0, 20.0, tempo=Tempo(120.0, 0.9), key=Key("E minor", 0.9), loudness=Loudness(-9.0)
)
SILENCE = Annotation("silence", 0.0, 10.0)
SLOTS: dict[str, Any] = {
    "x": "", "target": 120, "seconds": 9, "from_seconds": 8, "to_seconds": 16, "interval": "whole tone",
    "key2": "E major", "meter2": "6/8", "other": OTHER, "never": "", "say": (), "a": "piano", "b": "flute",
}  # fmt: skip

RIGHT = [
    ("tempo", "It runs at about 96 beats per minute.", {}),
    ("tempo", "95 BPM, not 130.", {}),
    ("tempo_word", "I'd call it moderate, at 96 BPM.", {}),
    ("tempo_yesno", "No, it is 96 BPM.", {"x": "120"}),
    ("tempo_yesno", "It is 96 BPM.", {"x": "120"}),
    ("tempo_yesno", "Yes, that's right.", {"x": "96"}),
    ("tempo_choice", "96 BPM.", {"a": "96", "b": "120"}),
    ("tempo_choice", "It is closer to 110 BPM; the tempo is 96 BPM.", {"a": "110", "b": "150"}),
    ("tempo_than", "No: at 96 BPM it is slower than 120 BPM.", {}),
    ("tempo_half", "Half of 96 BPM is 48 BPM.", {}),
    ("beat_length", "One beat lasts 625 ms.", {}),
    ("beat_length", "About 0.62 seconds.", {}),
    ("bar_length", "A bar of 4/4 takes 2.5 seconds.", {}),
    ("tempo_percent", "Speed it up by 25 %.", {}),
    ("mentions_tempo", "Hardly: from 96 to 120 BPM is a change of 25 %.", {}),
    ("meter", "Count 1, 2, 3, 4.", {}),
    ("meter", "Four beats to the bar.", {}),
    ("meter_yesno", "No, it is in 4/4, not 3/4.", {"x": "3/4"}),
    ("waltz", "No, a waltz is in 3/4, and this is in 4/4.", {}),
    ("first_downbeat", "The first bar begins at 0.5 seconds.", {}),
    ("count_in", "One, two, three, four, at 96 BPM.", {}),
    ("key", "It's in D.", {}),
    ("key", "Not A major: D major.", {}),
    ("mode", "Major.", {}),
    ("mode_minor", "No, it is in D major.", {}),
    ("relative", "The relative minor of D major is B minor.", {}),
    ("parallel", "That would be D minor.", {}),
    ("dominant", "In D major that is A major, which resolves to D major.", {}),
    ("dominant", "A7.", {}),
    ("scale_notes", "D, E, F♯, G, A, B and C♯.", {}),
    ("signature", "Two sharps: F# and C#.", {}),
    ("solo_scale", "Try the D major pentatonic: D, E, F#, A and B.", {}),
    ("solo_scale", "B minor pentatonic fits.", {}),
    ("camelot", "10B; it mixes with 9B.", {}),
    ("mix_keys", "B minor, A major and G major.", {}),
    ("mix_keys", "10A, 9B or 11B.", {}),
    ("modulation", "No, it stays in D major.", {}),
    ("chords", "D, G, A7 and Bm.", {}),
    ("chords", "The key is D major; the chords are D major, G major, A7 and B minor.", {}),
    ("chord_yesno", "Yes, there is a B minor.", {"x": "Bm"}),
    ("chord_at", "At nine seconds it is G major.", {}),
    ("chords_stretch", "First G, then A7.", {}),
    ("chord_common", "D major lasts longest.", {}),
    ("chord_count", "Four different chords.", {}),
    ("numerals", "I, IV, V7 and vi.", {}),
    ("fingerings", "D xx0232, G 320003, A7 x02020, Bm x24432.", {}),
    ("fingerings", "Play B minor as x-2-4-4-3-2.", {}),
    ("piano", "D major is D F# A; G major is G B D.", {}),
    ("capo", "No capo is needed: D works with open chords.", {}),
    ("capo", "Put a capo on the second fret and play the shapes of C major.", {}),
    ("transpose", "Up a whole tone from D major is E major; the chords become E major, A major and B7.", {}),
    ("transpose_down", "C major.", {}),
    ("transpose_chords", "E, A, B7 and C#m.", {}),
    ("transpose_horn", "You read it in B major.", {}),
    ("instruments", "Piano and drums, and maybe a voice.", {}),
    ("instrument_yesno", "No, I hear no flute.", {"x": "flute"}),
    ("instrument_yesno", "Yes, a piano can be heard.", {"x": "piano"}),
    ("instrument_choice", "A piano, not a flute.", {}),
    ("drums", "Nobody sings. Yes, there are drums.", {}),
    ("genre", "I'd file it under rock.", {}),
    ("genre_yesno", "No, this is rock.", {"x": "jazz"}),
    ("lufs", "It measures -14.2 LUFS.", {}),
    ("halves", "The second half is louder.", {}),
    ("loudest", "At about 0:12.", {}),
    ("duration", "Twenty seconds, that is 20 s.", {}),
    ("two_faster", "The second is faster.", {}),
    ("two_key", "No: D major and E minor.", {}),
    ("describe", "A rock piece with piano and drums at 96 BPM in D major.", {}),
    ("refuse", "I can't tell from the sound who sings.", {}),
    ("civil", "You're welcome!", {}),
    ("says", "A G7 has G, B, D and F.", {"say": (r"\bG\b", r"\bF\b"), "never": "F#"}),
]  # fmt: skip

WRONG = [
    ("tempo", "It runs at 130 BPM.", {}),
    ("tempo", "It is in 4/4.", {}),
    ("tempo_word", "It is fast.", {}),
    ("tempo_yesno", "Yes, it is 120 BPM.", {"x": "120"}),
    ("tempo_yesno", "No, it is 110 BPM.", {"x": "120"}),
    ("tempo_choice", "120 BPM.", {"a": "96", "b": "120"}),
    ("tempo_choice", "150 BPM.", {"a": "110", "b": "150"}),
    ("tempo_than", "Yes, it is faster.", {}),
    ("tempo_half", "192 BPM.", {}),
    ("beat_length", "500 ms.", {}),
    ("tempo_percent", "Slow it down by 25 %.", {}),
    ("tempo_percent", "No, the tempo is 96 BPM.", {}),
    ("meter", "Count 1, 2, 3.", {}),
    ("meter_yesno", "Yes, it is in 3/4.", {"x": "3/4"}),
    ("waltz", "Yes, it is in 3/4.", {}),
    ("count_in", "One, two, three, at 96 BPM.", {}),
    ("key", "D minor.", {}),
    ("mode_minor", "Yes, it is in minor.", {}),
    ("relative", "The relative minor of D major is F# minor.", {}),
    ("dominant", "E major.", {}),
    ("dominant", "Yes, I hear D major.", {}),
    ("scale_notes", "D, E, F, G, A, B and C.", {}),
    ("scale_notes", "D major (D F# A), A7 (A C# E G) and E minor (E G B).", {}),
    ("signature", "One flat.", {}),
    ("solo_scale", "Use D minor pentatonic: D, F, G, A and C.", {}),
    ("camelot", "8B.", {}),
    ("mix_keys", "F minor and Eb major.", {}),
    ("modulation", "Yes, it modulates to E major.", {}),
    ("chords", "C, F and G.", {}),
    ("chords", "It is in D major.", {}),
    ("chord_yesno", "No, there is none.", {"x": "Bm"}),
    ("chord_at", "At nine seconds it is D major.", {}),
    ("chords_stretch", "D and Bm.", {}),
    ("chord_common", "B minor.", {}),
    ("chord_count", "Seven chords.", {}),
    ("numerals", "I, ii and iii.", {}),
    ("fingerings", "D x32010 and G 320003.", {}),
    ("fingerings", "C x32010.", {}),
    ("piano", "D major is D F A; G major is G Bb D.", {}),
    ("capo", "Put a capo on fret 3 and play the shapes of C major.", {}),
    ("transpose", "Up a whole tone is F major.", {}),
    ("transpose_chords", "In order: D, G, A7 and Bm.", {}),
    ("instruments", "Flute, violin and brass.", {}),
    ("instrument_yesno", "Yes, a flute can be heard.", {"x": "flute"}),
    ("instrument_yesno", "No, I hear no piano.", {"x": "piano"}),
    ("instrument_choice", "A flute.", {}),
    ("instrumental", "No, it is instrumental.", {}),
    ("genre", "It is jazz.", {}),
    ("lufs", "It measures -20 LUFS.", {}),
    ("halves", "The first half is louder.", {}),
    ("loudest", "At about 0:03.", {}),
    ("two_faster", "The first is faster.", {}),
    ("describe", "A jazz piece with flute at 96 BPM in Eb minor.", {}),
    ("refuse", "It is sung by Freddie Mercury, I cannot tell more.", {}),
    ("refuse", "Bass and drums.", {}),
    ("civil", "The tempo is 96 BPM.", {}),
    ("says", "A G7 has G, B, D and F#.", {"say": (r"\bG\b",), "never": "F#"}),
]  # fmt: skip


def judged(name: str, answer: str, slots: dict[str, Any]) -> bool:
    return bool(q.JUDGES[name][0](answer, q.Facts(SONG), SLOTS | slots))


@pytest.mark.parametrize(("name", "answer", "slots"), RIGHT)
def test_a_right_answer_is_taken_in_any_wording(name: str, answer: str, slots: dict[str, Any]) -> None:
    assert judged(name, answer, slots)


@pytest.mark.parametrize(("name", "answer", "slots"), WRONG)
def test_a_wrong_answer_is_not_taken(name: str, answer: str, slots: dict[str, Any]) -> None:
    assert not judged(name, answer, slots)


def kind(name: str) -> q.Kind:
    return next(one for one in q.read_kinds() if one.name == name)


def test_a_refusal_is_no_wrong_answer_and_an_answer_to_something_else_is() -> None:
    facts = q.Facts(SONG)
    assert q.verdict(kind("tempo"), "I can't tell the tempo.", facts, SLOTS) == "refused"
    assert q.verdict(kind("tempo"), "It is in D major.", facts, SLOTS) == "wrong"
    assert q.verdict(kind("tempo-and-key"), "96 BPM, but I can't tell the key.", facts, SLOTS) == "refused"
    assert q.verdict(kind("tempo-and-key"), "96 BPM, in D major.", facts, SLOTS) == "right"


def test_a_doubt_about_what_is_told_is_no_refusal() -> None:
    assert not q.refuses("For a party: 96 BPM is right for it. I am not sure of the tempo, though.")
    assert q.refuses("I'm not sure what you are asking.")


def test_a_colon_after_a_meter_is_no_part_of_it() -> None:
    assert q.meter_said("It is in 6/8: two dotted-quarter beats, or six eighth notes, to a bar.") == 6


def test_yes_and_no_to_one_question_is_wrong() -> None:
    said = "Yes, it is 96 BPM. No, it is 96 BPM, not 120."
    assert q.verdict(kind("tempo-choice"), said, q.Facts(SONG), SLOTS | {"a": "96", "b": "120"}) == "wrong"


@dataclass
class Says:
    """Says one sentence, whatever is asked."""

    sentence: str
    heard: list[str] = field(default_factory=list)

    def ask(self, text: str, /) -> q.Text:
        self.heard.append(text)
        return q.Text(self.sentence)


def of(recording: Annotation, name: str, sentence: str) -> q.Case:
    case = q.Recording(recording.clip_id, recording)
    asked = kind(name)
    slots = q.slots_of(asked, case, [q.Recording("other", OTHER)], 0)
    return q.asked(asked, asked.wordings[0], case, slots, lambda facts, other: Says(sentence))


def test_what_silence_does_not_tell_must_be_refused() -> None:
    assert of(SILENCE, "tempo", "I can't tell the tempo.").refused_rightly is True
    assert of(SILENCE, "tempo", "I can't tell the key. The tempo is 120 BPM.").refused_rightly is False
    assert of(SILENCE, "key", "It is in C major.").refused_rightly is False
    assert of(SILENCE, "drums", "No, there are no drums.").refused_rightly is True
    assert of(SONG, "tempo", "I can't tell the tempo.").faithful == "refused"
    assert of(SONG, "singer", "I can't tell who sings. The tempo is 96 BPM.").refused_rightly is True
    assert of(SONG, "singer", "The tempo is 96 BPM.").refused_rightly is False


def test_a_crash_is_a_wrong_answer_and_the_rest_is_asked() -> None:
    class Falls:
        def ask(self, text: str, /) -> q.Text:
            raise ValueError("no line")

    song = q.Recording("song", SONG)
    cases = q.ask_all([song, q.Recording("other", OTHER)], [kind("tempo")], False, lambda *_: Falls())
    assert len(cases) >= 4
    assert {case.faithful for case in cases} == {"wrong"}
    assert q.figures(cases)["crashes"].startswith("1.000")


def test_the_keyword_reader_answers_the_plainest_questions() -> None:
    keywords = q.KeywordReader(SONG)
    assert keywords.ask("bpm?").text == "The tempo is 96 BPM."
    assert keywords.ask("Who made it?").text.startswith("I cannot tell")


def test_every_turn_of_a_conversation_is_asked_and_slots_are_filled() -> None:
    heard = Says("It is 10B.")
    asked = kind("follow-correct-key")
    song = q.Recording("song", SONG)
    q.asked(asked, asked.wordings[0], song, SLOTS, lambda facts, other: heard)
    assert heard.heard[1:] == ["No, it's in E major.", "And the Camelot code?"]


@pytest.mark.parametrize("sort", ["bpm", "meter", "key", "chord", "instrument", "genre"])
def test_one_value_of_a_pair_is_true_and_the_other_false(sort: str) -> None:
    facts = q.Facts(SONG)
    yes, no = q._values(sort, facts, facts, facts.bpm, q.Random(0))
    there = {
        "bpm": {"96"}, "meter": {"4/4"}, "key": {"D major"}, "chord": {"D", "G", "A", "Bm"},
        "instrument": {"piano", "drums"}, "genre": {"rock"},
    }  # fmt: skip
    assert yes in there[sort]
    assert no not in there[sort] | {""}


@pytest.mark.parametrize("what", ["tempo", "key", "meter", "instruments"])
def test_one_fact_is_changed_and_no_other(what: str) -> None:
    new, fields = q.changed(SONG, what), {"tempo", "key", "meter", "instruments"} - {what}
    assert getattr(new, what) != getattr(SONG, what)
    assert all(getattr(new, name) == getattr(SONG, name) for name in fields)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "The the tempo is 96.",
        "It is in None.",
        "96 bpm, , .",
        "no sentence",
        "Yes. Right. Right so. Right so.",
    ],
)
def test_nonsense_is_found(answer: str) -> None:
    assert q.is_nonsense(answer)


def test_a_plain_answer_is_no_nonsense() -> None:
    assert not q.is_nonsense("The tempo is 96 BPM, counted in 4/4 (one, two, three, four).")


def test_the_exam_is_as_large_as_it_says() -> None:
    kinds = q.read_kinds()
    assert len(kinds) >= 60
    assert all(len({*one.wordings}) == len(one.wordings) for one in kinds)
    wordings = [wording for one in kinds for wording in one.wordings]
    assert len(wordings) >= 400
    assert all(len(one.wordings) >= 4 for one in kinds)
    assert sum(len(one.wordings) for one in kinds if one.none) >= 40
    assert 0.28 < sum(map(q.is_sealed, wordings)) / len(wordings) < 0.4
    assert {name for one in kinds for name in one.judges} <= {*q.JUDGES}


def test_the_sealed_wordings_are_never_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    song, other = q.Recording("song", SONG), q.Recording("other", OTHER)
    cases = q.ask_all(
        [song, other], [kind("tempo")], False, lambda facts, other: q.KeywordReader(facts, other)
    )
    assert not any(q.is_sealed(case.wording) for case in cases)
    q._by_kind(cases, 9)
    printed = capsys.readouterr().out
    assert not [one for one in kind("tempo").wordings if q.is_sealed(one) and one[0] in printed]
