"""Which exchanges are kept: every rule, and what looks like it and is none."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from llark.instruct import Source
from llark.instruct.keep import Seen, rules, sift
from llark.instruct.prompt import Prompt, build, fields_of, known_of, texts
from llark.instruct.reply import ReplyItem
from llark.llm.ledger import Ledger
from llark.music.claims import check
from llark.questions import FAMILIES
from llark.records import Annotation, Dropped, Key, Tags, Tempo, Track
from tests.instruct.every_kind import ask_all

TRACK = Track(
    "t", "x.ogg", dataset="set", licence="CC0", title="Blue Harbour Waltz", artist="Ekaterina", album="Dawn",
    metadata={"composer": "Anna Quill", "tags": ("wistful", "banjo"), "bpm_by_maker": 93},
)  # fmt: skip


def prompt_of(annotation: Annotation, family: str = "understanding", track: Track | None = TRACK) -> Prompt:
    prompt = build(Source(annotation, track, "set", "train"), family)
    assert prompt is not None
    return prompt


BY = ("openai-1", "m", "k")


def verdict(annotation: Annotation, question: str, answer: str, family: str = "understanding") -> str:
    """The reason for the drop, or the facts that the exchange rests on."""
    item = ReplyItem(question, answer, "tempo" if family == "understanding" else "", ())
    (one,) = sift(prompt_of(annotation, family), (item,), (question,), BY, Seen(Ledger()))
    return one.reason if isinstance(one, Dropped) else "+".join(one.facts)


@pytest.mark.parametrize(
    ("question", "answer", "kept"),
    [
        ("How fast is it?", "It goes at 90 BPM.", "tempo"),
        ("How fast is it?", "Around 92 beats per minute.", "tempo"),
        ("How fast is it?", "It goes at 120 BPM.", "wrong-tempo"),
        ("How fast is it?", "The tempo is 180.", "wrong-tempo"),
        ("How fast is it?", "Its makers aimed at 93 BPM.", "tempo"),
        ("Meter?", "It is in 3/4.", "meter"),
        ("Meter?", "It is in 4/4.", "wrong-meter"),
        ("Meter?", "It is in common time, with drums.", "wrong-meter"),
        ("Key?", "It is in F# minor.", "key"),
        ("Key?", "It is in G♭ minor, with bass.", "key+instruments"),
        ("Key?", "It is in F-sharp minor.", "key"),
        ("Key?", "It is in D major.", "wrong-harmony"),
        ("Chords?", "F# minor, B minor and C#7.", "key+chords"),
        ("Chords?", "It moves to C#m7.", "wrong-harmony"),
        ("Chords?", "A minor third above the bass.", "instruments"),
        ("Who plays?", "An accordion, a bass guitar and a drum kit.", "instruments"),
        ("Who plays?", "An accordion and a flute.", "wrong-instrument"),
        ("Who plays?", "A guitar with drums.", "wrong-instrument"),
        ("Who plays?", "A banjo, too.", "metadata.tags"),
        ("Who plays?", "There are no drums.", "wrong-instrument"),
        ("Who plays?", "There is no flute, but an accordion.", "instruments"),
        ("When does it change?", "At 10 seconds, to C#7.", "chords"),
        ("When does it change?", "At 26 seconds the bass comes in.", "instruments"),
        ("When does it change?", "At 40 seconds the bass comes in.", "past-the-end"),
        ("Is it in D minor?", "Yes, it is.", "wrong-yes-or-no"),
        ("Is it in F# minor?", "No.", "wrong-yes-or-no"),
        ("Is there a flute?", "Yes.", "wrong-yes-or-no"),
        ("Is there an accordion?", "No, the drums are alone.", "wrong-yes-or-no"),
        ("Is it faster than 100 BPM?", "Yes.", "wrong-yes-or-no"),
        ("Is it slower than 100 BPM?", "Yes, it goes at 90 BPM.", "tempo"),
        ("Does it feel sad or glad?", "It feels wistful, a waltz.", "genre"),
        ("What is it?", "Something nice.", "rests-on-nothing"),
    ],
)  # fmt: skip
def test_a_claim_is_compared_with_the_facts(waltz: Annotation, question: str, answer: str, kept: str) -> None:
    assert verdict(waltz, question, answer) == kept


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("The metadata names an accordion.", "leaks-the-record"),
        ("Based on the provided information, it has drums.", "leaks-the-record"),
        ("The record says 90 BPM.", "leaks-the-record"),
        ("The tempo is not specified; drums play.", "hedges"),
        ("I cannot determine more than drums.", "hedges"),
        ("It is not possible to determine more than drums.", "hedges"),
        ("It isn't possible to tell; drums play.", "hedges"),
        ("There is no way of knowing, but drums play.", "hedges"),
        ("No information is available beyond the drums.", "hedges"),
        ("There is no further information about the drums.", "hedges"),
        ("The tempo is unknown; drums play.", "hedges"),
        ("It is unclear whether it is more than drums.", "hedges"),
        ("As an AI, I hear drums.", "hedges"),
        ("This is Blue Harbour Waltz, with drums.", "names-the-recording"),
        ("It is by anna quill, with drums.", "names-the-recording"),
        ("The drums of Ekaterina.", "names-the-recording"),
        ("Violin 1 plays, and drums.", "numbered-part"),
        ("<|im_end|> drums", "markup"),
        ("Drums, see https://example.org", "markup"),
        ("### Human: drums", "markup"),
        ("As instructed, drums.", "follows-the-record"),
        ("drums " * 900, "too-long"),
    ],
)
def test_what_must_not_be_said_is_a_drop_with_its_rule(waltz: Annotation, answer: str, reason: str) -> None:
    assert verdict(waltz, "What is it?", answer) == reason


@pytest.mark.parametrize(
    "answer",
    [
        "A packaged groove with drums.",
        "The duration of each drum hit is short.",
        "Drums that are packed with energy.",
        "The drums provide information of where the beat is.",
        "Drums at dawn.",
        "The first note is played by the bass.",
        "The bass cannot be missed under the drums.",
        "The drums play at no time for details of tone.",
        "It is possible to tell the drums apart.",
        "The drums are clear, if dry.",
    ],
)
def test_whole_words_count_and_not_their_parts(waltz: Annotation, answer: str) -> None:
    assert verdict(waltz, "What is it?", answer) == "instruments"


@pytest.mark.parametrize(
    "question",
    [
        "Who is the composer?",
        "What is the title of this piece?",
        "Which album is it from?",
        "When was it released?",
        "Tell me about the artist.",
        "Can you tell us a bit about its composer?",
        "What is the movement?",
        "Which movement is this?",
        "What is the movement number of the piece?",
        "Which band plays it?",
        "What is this song called?",
        "Could you identify the piece?",
    ],
)
def test_names_are_not_asked_for(waltz: Annotation, question: str) -> None:
    assert verdict(waltz, question, "It has drums.") == "asks-for-names"


@pytest.mark.parametrize(
    "question",
    [
        "What is the movement of the bass line?",
        "What movement would you dance to it?",
        "Tell me about the rhythm.",
        "Can you name the instruments?",
        "What is this rhythm called?",
        "Which instrument plays the tune?",
    ],
)
def test_what_can_be_heard_may_be_asked_for(waltz: Annotation, question: str) -> None:
    assert verdict(waltz, question, "It has drums.") == "instruments"


def test_reasoning_may_suppose_what_is_not_and_the_other_families_may_not(waltz: Annotation) -> None:
    answer = "If you transpose it to A minor, the accordion sits lower; a flute could replace it at 120 BPM."
    assert verdict(waltz, "What if?", answer, "reasoning") == "instruments"
    assert verdict(waltz, "What if?", answer) in ("wrong-tempo", "wrong-harmony", "wrong-instrument")
    assert verdict(waltz, "What?", "It is in A minor with drums.", "reasoning") == "wrong-harmony"


def test_what_the_record_does_not_hold_is_not_said(silent: Annotation) -> None:
    known = replace(silent, key=Key("C major", 1.0, "truth"))
    track = replace(TRACK, metadata={})
    for answer, reason in (
        ("120 BPM in C major.", "unknown-tempo"),
        ("C major in 4/4.", "unknown-meter"),
        ("A flute in C major.", "unknown-instruments"),
        ("It is in C major and uses G7.", "unknown-harmony"),
    ):
        (one,) = sift(
            prompt_of(known, track=track), (ReplyItem("What?", answer),), (), ("t", "m", "k"), Seen(Ledger())
        )
        assert isinstance(one, Dropped)
        assert one.reason == reason, answer
    known = replace(silent, tempo=Tempo(100.0, 1.0, "truth"))
    (one,) = sift(
        prompt_of(known, track=track), (ReplyItem("What?", "C major."),), (), ("t", "m", "k"), Seen(Ledger())
    )
    assert isinstance(one, Dropped)
    assert one.reason == "unknown-harmony"


def test_the_examples_of_the_prompts_pass_their_own_rules(waltz: Annotation) -> None:
    example = texts()["examples"][0]
    seen = 0
    for family in FAMILIES:
        items = tuple(
            ReplyItem(one.get("question", ""), one["answer"], one["kind"], tuple(one["facts"]))
            for one in example[family]
        )
        for one in sift(
            prompt_of(waltz, family, None), items, ("Describe it.",) * 9, ("t", "m", "k"), Seen(Ledger())
        ):
            assert not isinstance(one, Dropped), one
            seen += 1
    assert seen == 8


def test_what_the_offline_teacher_says_is_contradicted_by_nothing(many: tuple[Annotation, ...]) -> None:
    """Our grammar and our fact check were written apart: each is the other's reference."""
    wrong, seen = [], 0
    for annotation in Random(1).sample(many, 20):
        fields = fields_of(Source(annotation))
        for one in ask_all(annotation, 5):
            free = one.task == "reasoning" or one.kind in SUPPOSING
            found = check(known_of(annotation, fields), one.question, one.answer, free)
            seen += 1
            if found.reason and "tell" not in one.answer and one.kind not in OTHER_VALUES:
                wrong.append((one.kind, found.reason, one.question, one.answer))
    assert seen > 1500
    assert wrong == []


SUPPOSING = (
    "key-yesno", "key-choice", "chord-yesno", "tempo-half", "tempo-double", "tempo-compare", "tempo-choice",
    "tempo-range", "tempo-other", "meter-yesno", "meter-choice", "relative-key", "parallel-key",
    "instrument-odd", "instrument-choice",
)  # fmt: skip
"""Kinds whose answers name a value beside the true one."""

OTHER_VALUES = (
    "diatonic-chords", "primary-chords", "transposing-instrument", "transpose", "mix-tempo", "practice-tempo",
    "meter-waltz", "compare", "professor", "borrowed-chord", "secondary-dominant", "modulate", "substitute",
    "learn", "half-time", "double-time", "restyle",
)  # fmt: skip
"""Kinds that are about values that are not the clip's, in sentences that do not say so."""


def test_every_rule_is_a_slug_and_has_words() -> None:
    assert len(rules()) == 5
    assert all(not pattern.search("A warm piano plays in C major at 90 BPM.") for pattern in rules().values())


def test_instruments_that_are_not_known_are_not_denied(silent: Annotation) -> None:
    known = replace(silent, instruments=Tags(), tempo=Tempo(100.0, 1.0, "truth"))
    fields = fields_of(Source(known))
    assert (
        check(known_of(known, fields), "What?", "No drums, 100 BPM.", False).reason == "unknown-instruments"
    )
