"""Questions in everyday words, about facts that are made up: what is read, solved, worded and checked."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import replace
from random import Random

import pytest

from llark.errors import UserMustAct
from llark.generate import answers as answering
from llark.generate import reader as reading
from llark.generate.answers import Conversation, Stretch, within
from llark.generate.reader import Query, Reader, fill
from llark.music import claims
from llark.music.claims import KnownFacts
from llark.music.lexicon import FINDERS
from llark.music.mentions import by_sort, mentions
from llark.music.theory import INTERVAL_NAMES
from llark.questions import Kind
from llark.questions.facts import Facts
from llark.questions.grammar import phrases
from llark.questions.kinds import ALL_KINDS, BY_SLUG
from llark.questions.pairs import PAIRS
from llark.records import (
    KEYS,
    PITCH_CLASSES,
    Annotation,
    Beats,
    Chords,
    ChordSpan,
    Key,
    LocalKeys,
    Loudness,
    Meter,
    Sections,
    Span,
    Tag,
    Tags,
    Tempo,
)

LABELS = ("D:maj", "A:maj", "B:min", "G:maj", "C:maj", "F:maj")
SONG = Annotation(
    "song", 0.0, 120.0,
    tempo=Tempo(95.0, 0.95, "net", 190.0),
    beats=Beats(tuple(0.6316 * n for n in range(190)), tuple(n % 4 + 1 for n in range(190)), 0.9),
    meter=Meter(4, 0.95), key=Key("D major", 0.9),
    chords=Chords(tuple(ChordSpan(20.0 * n, 20.0 * n + 20, label) for n, label in enumerate(LABELS)), 0.9),
    instruments=Tags((Tag("bass", 0.9), Tag("drums", 0.9), Tag("voice", 0.8), Tag("strings", 0.6)), 0.8),
    genre=Tags((Tag("rock", 0.7),), 0.7),
    loudness=Loudness(-14.0, 6.0, -1.0, tuple([-24.0] * 60 + [-12.0] * 60), (), 0.9),
    local_keys=LocalKeys((Span(0, 60, "D major", 0.9), Span(60, 120, "C major", 0.9)), 0.9),
    sections=Sections((Span(0, 20, "A"), Span(20, 60, "B"), Span(60, 80, "A"), Span(80, 120, "B"))),
)  # fmt: skip
UNKNOWN = Annotation("noise", 0.0, 30.0)


def said(question: str, facts: Annotation = SONG) -> str:
    return Conversation(facts).ask(question).text


@pytest.mark.parametrize(
    ("question", "right"),
    [
        ("Is there singing?", r"^Yes"),
        ("does it have drums", r"^Yes"),
        ("Is there a trumpet?", r"^No\b.*trumpet"),
        ("What key is it in?", r"D major"),
        ("is it in 3/4", r"^No.*4/4"),
        ("is it in D major or B minor?", r"D major"),
        ("3/4 or 4/4?", r"4/4"),
        ("Is it faster than 120 bpm?", r"^No.*95"),
        ("is it 95 bpm", r"^Yes.*95"),
        ("is it at 190 bpm?", r"95.*190|190.*95"),
        ("how fast is it", r"95"),
        ("Is it a waltz?", r"^No.*4/4"),
        ("What chord is at 0:30?", r"A major"),
        ("How do I play it on guitar?", r"xx0232"),
        ("What is the Camelot code?", r"10B"),
        ("Can I mix it with a track at 126 BPM?", r"Hardly"),
        ("Can I mix it with a track in A major?", r"^Yes.*11B"),
        ("Where do I put the capo?", r"open chords|capo"),
        ("Transpose it up two semitones.", r"E major"),
        ("How many semitones is it to G major?", r"five semitones"),
        ("What scale can I solo with?", r"pentatonic|D, E, F#"),
        ("Does it build up?", r"^Yes.*12"),
        ("Where is the chorus?", r"0:00|0:20"),
        ("How long is the intro?", r"0:20"),
        ("What are the notes of E major?", r"E, F#, G#, A, B, C# and D#"),
        ("How do I play F#m7?", r"242222"),
        ("How many semitones is a fifth?", r"seven semitones"),
        ("What is a plagal cadence?", r"subdominant to the tonic"),
        ("What is the relative minor of G major?", r"E minor"),
        ("What genre is it?", r"rock"),
        ("Is it rock or jazz?", r"rock"),
        ("What are the chords of the first 20 seconds?", r"^(?!.*A major).*D major"),
        ("which chords are in the last 30 seconds", r"C major.*F major|F major.*C major"),
        ("What key is it in, and is there a trumpet?", r"D major.*No\b.*trumpet"),
        ("bass guitar or double bass?", r"bass, but I can't tell which kind"),
        ("transpose it to A minor", r"down two semitones.*C major \(the relative of A minor\)"),
        ("transpose it to B minor", r"same notes as B minor"),
        ("is there a chord that is not in the key?", r"Not all: .*C major"),
        ("what is the V chord", r"A major"),
        ("do the chords ever leave the key", r"C major"),
        ("thx", r"welcome"),
    ],
)
def test_everyday_questions_are_answered_from_the_facts(question: str, right: str) -> None:
    assert re.search(right, said(question)), said(question)


@pytest.mark.parametrize(
    "question",
    [
        "Who is the singer?", "What are the lyrics?", "When was this song released?", "Who wrote it?",
        "What's this song called?", "Is it copyrighted?", "Do you like it?", "Recommend similar songs.",
        "Is the singer male or female?", "What's the weather like?", "What language are they singing in?",
    ],
)  # fmt: skip
def test_what_no_sound_can_say_is_refused_and_what_can_be_told_is_named(question: str) -> None:
    text = said(question)
    assert re.search(r"can't|no taste|no other|only answer", text), text
    assert "the tempo" in text
    assert "D major" not in text


def test_of_what_is_not_known_nothing_is_said() -> None:
    for question in ("What key is it in?", "Is there singing?", "how fast is it", "What genre is it?"):
        reply = Conversation(UNKNOWN).ask(question)
        assert not reply.is_answered
        assert re.search(r"can't|cannot", reply.text)
        assert not list(claims.claims(reply.text))


def test_what_nobody_can_read_is_no_guess() -> None:
    for text in ("", "???", "purple elephant sideways", "\x00\x1b[2J", "<audio_patch>" * 50, "x" * 1900):
        reply = Conversation(SONG).ask(text)
        assert len(reply.text) < 400
        assert not list(claims.claims(reply.text))


def test_a_question_of_a_hundred_thousand_letters_is_one_sentence_at_once() -> None:
    with pytest.raises(UserMustAct, match="too long: it has 100,000 letters, and may have 2,000"):
        Conversation(SONG).ask("x" * 100_000)


def test_the_answer_follows_the_fact() -> None:
    slower = replace(SONG, tempo=Tempo(70.0, 0.9))
    minor = replace(SONG, key=Key("F# minor", 0.9))
    assert "70" in said("How fast is it?", slower)
    assert "95" not in said("How fast is it?", slower)
    assert "F# minor" in said("What key is it in?", minor)
    assert said("Is it in a minor key?", minor).startswith("Yes")
    assert said("Is it in a minor key?").startswith("No")


def test_choices_do_not_depend_on_their_order() -> None:
    for one, other in (("3/4", "4/4"), ("D major", "G major"), ("80", "95"), ("drums", "a trumpet")):
        ask = "Is it {} or {}?" if one != "drums" else "Do you hear {} or {}?"
        first, second = said(ask.format(one, other)), said(ask.format(other, one))
        right = {"3/4": "4/4", "D major": "D major", "80": "95", "drums": "drums"}[one]
        assert right in first, first
        assert right in second, second


def test_two_questions_in_one_are_both_answered() -> None:
    text = said("What's the key and how fast is it?")
    assert "D major" in text
    assert "95" in text
    text = said("Does it have drums? And is there a trumpet?")
    assert "Yes" in text
    assert "No" in text


def test_a_correction_holds_for_what_follows() -> None:
    talk = Conversation(SONG)
    talk.ask("what's the tempo")
    talk.ask("no, it's 80")
    assert "3 seconds" in talk.ask("how long is a bar?").text
    assert talk.facts.tempo == Tempo(80.0, 1.0, "you")
    talk.ask("The key is C minor.")
    assert "C minor" in talk.ask("what key is it in").text


@pytest.mark.parametrize("claim", ["The tempo is 300000 BPM.", "No, the meter is 7/8."])
def test_a_correction_that_nothing_can_be_worked_out_from_is_not_taken(claim: str) -> None:
    talk = Conversation(SONG)
    assert talk.ask(claim).text.startswith("That is no")
    assert talk.facts == SONG


def test_a_short_question_with_another_value_asks_the_same_of_it() -> None:
    talk = Conversation(SONG)
    assert talk.ask("Is there a trumpet?").text.startswith("No")
    assert talk.ask("and drums?").text.startswith("Yes")


def test_a_short_question_with_another_part_asks_the_same_of_it() -> None:
    talk = Conversation(SONG)
    talk.ask("what are the chords?")
    text = talk.ask("and from 0:20 to 0:39?").text
    assert "A major" in text
    assert "D major" not in text
    assert "A major" not in talk.ask("and in the last 20 seconds?").text


def test_a_recording_in_which_nothing_is_heard_is_said_to_be_silent() -> None:
    assert "may be silent" in said("what do you hear?", UNKNOWN)


def test_the_name_of_a_style_with_an_and_is_one_name() -> None:
    assert "dance" in said("is it drum and bass?", replace(SONG, genre=Tags((Tag("dance", 0.9),), 0.9)))
    assert "drums" not in said("is it drum and bass?")


def test_a_question_about_two_recordings_that_is_not_understood_is_not_answered() -> None:
    solution = Conversation(SONG, other=SONG).ask("colourless green ideas which one sleeps furiously")
    assert not solution.is_answered
    text = Conversation(SONG, other=SONG).ask("what is the difference?").text
    assert "4/4 in both" in text


def test_a_part_of_the_song_has_its_own_chords_and_key() -> None:
    part = within(SONG, Stretch(60.0, 120.0))
    assert [span.label for span in part.chords.spans] == ["G:maj", "C:maj", "F:maj"]
    assert part.key.name == "C major"
    assert "C major" in said("What key is it in in the second half?")
    assert "D major" in said("What key is it in between 0:10 and 0:40?")
    talk = Conversation(SONG, stretch=Stretch(0.0, 20.0))
    assert re.search(r"D major", talk.ask("which chords are there?").text)
    assert "A major" not in talk.ask("which chords are there?").text


def test_a_time_is_one_of_the_whole_recording_also_while_a_part_is_talked_about() -> None:
    talk = Conversation(SONG, stretch=Stretch(60.0, 120.0))
    assert "G major" in talk.ask("What chord is at 1:10?").text
    assert talk.ask("Where is it loudest?").text == said("Where is it loudest?")


def test_a_short_question_with_another_time_asks_the_same_of_it() -> None:
    talk = Conversation(SONG)
    assert "A major" in talk.ask("What chord is at 0:30?").text
    talk.last = read_one("Which chords are there?")
    assert "G major" in talk.ask("hm, 1:05 to 1:15?").text


def read_one(question: str) -> Query:
    return next(answering.read(question))


@pytest.mark.parametrize(
    ("question", "right"),
    [
        ("Transpose it up a tritone.", r"up a tritone is Ab major"),
        ("Transpose it down a major sixth.", r"down a major sixth is F major"),
        ("modulate up a fifth", r"E7 .*A major"),
        ("How long is a beat at 0 BPM?", r"not understand|not sure"),
        ("Can I mix it with a track at 0 BPM?", r"not understand|not sure"),
        (f"Transpose it up {'9' * 400} semitones.", r"can tell|ask me"),
        ("\ud800 what key is it in?", r"D major"),
    ],
)
def test_values_that_no_exercise_draws_are_answered_or_not_understood(question: str, right: str) -> None:
    assert re.search(right, said(question), re.IGNORECASE)


STRANGE = (
    replace(SONG, end_seconds=0.0), replace(UNKNOWN, end_seconds=0.0), replace(SONG, end_seconds=10_805.0),
    replace(SONG, chords=Chords((ChordSpan(0.0, 1.0, "C:dim7"),))), replace(SONG, meter=Meter(5, 0.9)),
    replace(SONG, loudness=Loudness(-14.0, None, None, (None, -14.0))), replace(SONG, tempo=Tempo(0.3, 0.9)),
    replace(SONG, instruments=Tags((Tag("piano", 0.9),))), SONG, UNKNOWN,
)  # fmt: skip
VALUES = {
    **{sort: tuple({*finder.words.values()} - {""}) for sort, finder in FINDERS.items()},
    "interval": INTERVAL_NAMES,
    "bpm": ("1", "95", "999999"), "percent": ("0.1", "100"), "bars": ("1", "999999"),
    "seconds": ("0", "5", "7200"), "key": KEYS, "mode": ("major", "minor"), "note": PITCH_CLASSES,
    "chord": ("C:maj", "F#:hdim7", "D:5", "E:1"), "meter": ("2/4", "6/8", "7/8"),
}  # fmt: skip


@pytest.mark.parametrize("facts", STRANGE, ids=range(len(STRANGE)))
def test_every_kind_has_an_answer_to_every_value_about_any_facts(facts: Annotation) -> None:
    for kind in ALL_KINDS:
        for at in range(max([len(VALUES[sort]) for sort in kind.slots], default=1)):
            slots = {
                sort: tuple(VALUES[sort][(at + n) % len(VALUES[sort])] for n in range(kind.slots.count(sort)))
                for sort in kind.slots
            }
            for part in (None, Stretch(0.0, 0.0)):
                assert answering.answer(Query("", kind.slug, 1.0, slots), kind, facts, part).text
        if kind.slug in PAIRS:
            for other in STRANGE:
                assert answering.compared(Query("", kind.slug, 1.0), kind, facts, other).text


def test_where_all_is_known_and_nothing_fits_no_fact_is_called_unknown() -> None:
    assert said("What are the roman numerals of the chords?").startswith("There is no clear answer")


def test_two_recordings_are_compared() -> None:
    other = replace(SONG, tempo=Tempo(128.0, 0.9), key=Key("A major", 0.9), loudness=Loudness(-9.0))
    talk = Conversation(SONG, other=other)
    assert re.search(r"second is faster: 95 .*128", talk.ask("Which is faster?").text)
    assert re.search(r"second is louder", talk.ask("Which one is louder?").text)
    assert re.search(r"^No.*D major.*A major", talk.ask("Are they in the same key?").text)
    assert re.search(r"Both have bass", talk.ask("Which instruments do they share?").text)
    assert "one recording only" in said("Which is faster?")


def test_an_answer_that_rests_on_a_doubtful_fact_says_so() -> None:
    doubtful = replace(SONG, key=Key("D major", 0.3))
    assert re.search(r"not sure|grain of salt", said("What key is it in?", doubtful))
    assert not re.search(r"not sure|grain of salt", said("What key is it in?"))


@pytest.mark.parametrize("kind", [kind for kind in ALL_KINDS if kind.facts], ids=lambda kind: kind.slug)
def test_no_answer_contradicts_the_facts_it_is_made_of(kind: Kind) -> None:
    rng, known = Random(kind.slug), KnownFacts(SONG)
    asked = kind.ask(Facts(SONG), rng)
    if asked is None or asked.form not in phrases()[kind.slug].answers:
        return
    text = phrases()[kind.slug].answer(asked.form, {"clip": "song", **asked.values}, rng).text
    if kind.task != "reasoning" and asked.form != "no":  # a "no" names what is not so
        trouble = [claims.check(known, "", one, free=True).reason for one in re.split(r"(?<=[.]) ", text)]
        assert not any(trouble), (text, trouble)


@pytest.mark.parametrize("kind", [kind for kind in ALL_KINDS if kind.slots], ids=lambda kind: kind.slug)
def test_the_values_in_a_kinds_own_question_are_read_back(kind: Kind) -> None:
    """The grammar asks with a value, the mentions find it: what is solved is what was asked."""
    rng, read, drawn = Random(kind.slug), 0, 0
    for _ in range(12):
        slots = kind.asks.draw(Facts(SONG), rng)  # type: ignore[union-attr]
        if slots is None:
            continue
        asked = kind.answer(Facts(SONG), slots, rng)
        assert asked is not None or kind.slug == "modulate"
        if asked is None:
            continue
        question = phrases()[kind.slug].question({"clip": "song", **asked.values}, rng).text
        drawn += 1
        read += fill(kind, by_sort(mentions(question))) == dict(slots)
    assert read >= 0.75 * drawn


def test_every_kind_has_its_words_and_an_answer_for_each_form_that_it_takes() -> None:
    assert len(BY_SLUG) == len(ALL_KINDS)
    for kind in ALL_KINDS:
        wording = phrases()[kind.slug]
        for seed in range(20):
            asked = kind.ask(Facts(SONG), Random(seed))
            assert asked is None or asked.form in wording.answers, (kind.slug, asked)


def test_the_reader_is_sure_of_plain_questions_and_unsure_of_nonsense() -> None:
    reader = Reader.shipped()
    assert set(reader.kinds) == set(BY_SLUG)
    for text, kind in (
        ("What is the tempo?", "tempo"), ("whats the bpm", "tempo"), ("is it in 6/8", "meter-yesno"),
        ("Who is singing?", "who-sings"), ("wich instruments do you here", "instruments"),
    ):  # fmt: skip
        query = reader.read(text)
        assert query.kind == kind
        assert query.sure > 0.6
    assert reader.read("colourless green ideas sleep furiously").sure < 0.5


def test_no_wording_of_a_question_is_in_the_code_that_reads() -> None:
    """Words belong into the tables and the trained net: strings in the code are names, not sentences."""
    for module in (reading, answering):
        tree = ast.parse(inspect.getsource(module))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            said = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
            if said and node.value != answering.TOO_LONG:  # type: ignore[attr-defined]
                assert len(re.findall(r"[a-z]{2,}", node.value)) <= 2, node.value
