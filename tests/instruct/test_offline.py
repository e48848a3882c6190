from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import replace

import pytest

from llark.instruct import Source
from llark.instruct.offline import CORE_KINDS, KINDS, TEACHER, OfflineConfig, teach
from llark.instruct.prompt import fields_of, known_of
from llark.music.claims import check
from llark.music.facts_line import describe_facts
from llark.questions import FAMILIES, advice
from llark.questions.facts import Facts, listed
from llark.questions.kinds import BASIC_KINDS, BY_SLUG
from llark.records import INSTRUMENTS, KEYS, METER_NAMES, Annotation, ChordSpan, Exchange, Key
from tests.instruct.every_kind import ask_all, basic

BPM = re.compile(r"(\d+(?:\.\d+)?) BPM")
SIGNATURE = re.compile(r"\b\d/\d\b")
KEY = re.compile(r"\b[A-G][#b]? (?:major|minor)\b")
CANNOT = re.compile(r"can't tell|cannot tell")
UNSAID = re.compile(r"[][{}<>|~]|//|  | [.,;:]|[.,]{2}|\bNone\b")
INSTRUMENT = re.compile(rf"\b({'|'.join(sorted(INSTRUMENTS, key=len, reverse=True))})\b")


@pytest.fixture(scope="module")
def asked(many: tuple[Annotation, ...]) -> list[tuple[Facts, Exchange]]:
    """Every kind of question about every annotation, twice."""
    return [(Facts(some), exchange) for some in many for seed in (1, 2) for exchange in ask_all(some, seed)]


def of_kind(asked: list[tuple[Facts, Exchange]], *kinds: str) -> list[tuple[Facts, Exchange]]:
    found = [(facts, exchange) for facts, exchange in asked if exchange.kind in kinds]
    assert len(found) > 100
    return found


def test_the_same_clip_seed_and_purpose_give_the_same_exchanges(waltz: Annotation) -> None:
    first = teach(waltz, basic(20, 3))
    assert first == teach(waltz, basic(20, 3))
    others = [
        teach(waltz, basic(20, 4)),
        teach(waltz, basic(20, 3, purpose="test")),
        teach(replace(waltz, clip_id="x"), basic(20, 3)),
    ]
    assert all([e.question for e in other] != [e.question for e in first] for other in others)
    assert {e.clip_id for e in others[2]} == {"x"}


def test_a_clip_gets_as_many_exchanges_as_asked_for_and_no_question_twice(
    many: tuple[Annotation, ...],
) -> None:
    for annotation in many:
        exchanges = teach(annotation, basic(24, 0))
        assert len({exchange.question for exchange in exchanges}) == len(exchanges) <= 24
    full = [len(teach(some, basic(24, 0))) == 24 for some in many if Facts(some).knows("key")]
    assert sum(full) / len(full) > 0.95


@pytest.mark.parametrize("most", [1, 5, 12])
def test_core_kinds_are_most_of_the_exchanges(many: tuple[Annotation, ...], most: int) -> None:
    kinds = Counter(e.kind for some in many for e in teach(some, basic(most, 0)))
    core = sum(kinds[slug] for slug in CORE_KINDS) / kinds.total()
    assert core == 1.0 if most == 1 else 0.55 <= core <= 0.65
    assert set(CORE_KINDS) == {"tempo", "meter", "key", "chords", "instruments", "genre", "caption"}


def test_every_kind_is_taught(many: tuple[Annotation, ...]) -> None:
    kinds = {e.kind for some in many for e in teach(some, OfflineConfig(20, 0))}
    assert kinds == set(KINDS)
    assert len(KINDS) >= 100


def test_the_basic_kinds_are_taught_alone(many: tuple[Annotation, ...]) -> None:
    exchanges = [e for some in many for e in teach(some, basic(20, 0))]
    assert {e.kind for e in exchanges} == {kind.slug for kind in BASIC_KINDS}
    assert {e.teacher for e in exchanges} == {TEACHER}
    assert {e.teacher for e in teach(many[0], OfflineConfig(3, 0))} == {TEACHER}


def test_what_is_taught_of_all_kinds_is_clean_and_true(many: tuple[Annotation, ...]) -> None:
    seen = 0
    for some in many[:120]:
        facts = Facts(some)
        record = known_of(some, fields_of(Source(some)))
        for exchange in teach(some, OfflineConfig(16, 1)):
            for text in (exchange.question, exchange.answer):
                assert not UNSAID.search(text), text
                assert text, exchange
            assert exchange.facts or CANNOT.search(exchange.answer), exchange
            if exchange.kind in CORE_KINDS or exchange.task == "captioning":
                assert check(record, "", exchange.answer, free=False).reason is None, exchange
                assert set(BPM.findall(exchange.answer)) <= {str(facts.bpm)}
                seen += 1
    assert seen > 500


def test_a_family_can_be_taught_alone(many: tuple[Annotation, ...]) -> None:
    for family in FAMILIES:
        config = OfflineConfig(8, families=(family,))
        found = [e for some in many[:40] for e in teach(some, config)]
        assert {e.task for e in found} == {family}
        assert len(found) > 200


def test_some_training_questions_are_typed_casually_and_no_test_question(
    many: tuple[Annotation, ...],
) -> None:
    train = [e.question for some in many for e in teach(some, basic(12, 0))]
    casual = [question for question in train if question[-1] not in "?."]
    assert 0.03 < len(casual) / len(train) < 0.1
    assert {"what", "is", "do"} <= {question.split()[0] for question in casual}
    assert not {"bb", "eb", "ab", "i"} & {question.split()[0] for question in casual}
    test = [e.question for some in many for e in teach(some, basic(12, 0, purpose="test"))]
    assert all(question[-1] in "?." for question in test)


def test_nothing_of_the_grammar_is_left_in_a_sentence(asked: list[tuple[Facts, Exchange]]) -> None:
    for _, exchange in asked:
        for text in (exchange.question, exchange.answer):
            assert not UNSAID.search(text), text
            assert text[0] == text[0].upper(), text
        assert exchange.answer.endswith("."), exchange.answer
        assert exchange.question.endswith(("?", ".")), exchange.question
        assert exchange.teacher == TEACHER


def test_answers_are_short_and_captions_longer(asked: list[tuple[Facts, Exchange]]) -> None:
    long = {kind.slug for kind in advice.KINDS}
    lengths = sorted(
        len(exchange.answer.split())
        for _, exchange in asked
        if exchange.task != "captioning" and exchange.kind not in long
    )
    assert lengths[int(0.95 * len(lengths))] <= 25
    assert max(len(exchange.answer.split()) for _, exchange in asked) <= 70
    advised = sorted(len(e.answer.split()) for _, e in asked if e.kind in ("learn", "produce", "professor"))
    assert advised[len(advised) // 2] >= 20


def test_the_tempo_said_is_that_of_the_annotation(asked: list[tuple[Facts, Exchange]]) -> None:
    for facts, exchange in of_kind(asked, "tempo"):
        assert BPM.findall(exchange.answer) == ([] if facts.bpm is None else [str(facts.bpm)])


def test_the_meter_said_is_that_of_the_annotation(asked: list[tuple[Facts, Exchange]]) -> None:
    for facts, exchange in of_kind(asked, "meter"):
        assert SIGNATURE.findall(exchange.answer) == ([facts.meter_name] if facts.meter_name else [])


def test_the_key_said_is_that_of_the_annotation(asked: list[tuple[Facts, Exchange]]) -> None:
    for facts, exchange in of_kind(asked, "key"):
        assert KEY.findall(exchange.answer) == ([facts.scale.name] if facts.scale else [])
    for facts, exchange in of_kind(asked, "tonic", "mode"):
        assert facts.scale is None or facts.scale.name in exchange.answer


def test_the_instruments_said_are_those_of_the_annotation(asked: list[tuple[Facts, Exchange]]) -> None:
    for facts, exchange in of_kind(asked, "instruments"):
        assert tuple(INSTRUMENT.findall(exchange.answer.lower())) == facts.instruments


def test_the_chords_said_are_those_of_the_facts_line(asked: list[tuple[Facts, Exchange]]) -> None:
    for facts, exchange in of_kind(asked, "chords"):
        names = tuple(chord.name for chord in facts.common)
        assert listed(names) in exchange.answer
        line = describe_facts(facts.annotation).partition("chords: ")[2].partition(";")[0]
        assert line == (", ".join(names) or "unknown")


def test_a_caption_says_only_what_is_known(asked: list[tuple[Facts, Exchange]]) -> None:
    for facts, exchange in asked:
        if exchange.task != "captioning":
            continue
        assert set(BPM.findall(exchange.answer)) <= {str(facts.bpm)}
        assert set(SIGNATURE.findall(exchange.answer)) <= {facts.meter_name}
        assert set(INSTRUMENT.findall(exchange.answer.lower())) <= set(facts.instruments)
        allowed = {chord.name for chord in facts.common} | ({facts.scale.name} if facts.scale else set())
        assert set(KEY.findall(exchange.answer)) <= allowed


def test_a_caption_names_the_facts_it_uses(asked: list[tuple[Facts, Exchange]]) -> None:
    seen = 0
    for facts, exchange in of_kind(asked, "caption", "caption-short", "caption-listener"):
        if CANNOT.search(exchange.answer):
            continue
        assert ("meter" in exchange.facts) == bool(SIGNATURE.search(exchange.answer)), exchange
        assert ("instruments" in exchange.facts) == bool(INSTRUMENT.search(exchange.answer.lower()))
        assert all(facts.knows(fact) for fact in exchange.facts)
        seen += "meter" in exchange.facts
    assert seen > 100


def test_facts_are_fields_of_the_annotation(asked: list[tuple[Facts, Exchange]]) -> None:
    assert {fact for _, e in asked for fact in e.facts} <= set(Annotation.__dataclass_fields__)
    assert all(e.facts or CANNOT.search(e.answer) for _, e in asked)


def test_where_nothing_is_known_every_answer_says_so(silent: Annotation) -> None:
    for seed in range(30):
        for exchange in ask_all(silent, seed):
            if exchange.kind == "duration":
                assert "25 seconds" in exchange.answer
                continue
            assert CANNOT.search(exchange.answer), exchange
            for invented in (BPM, SIGNATURE, KEY):
                assert not invented.search(exchange.answer), exchange
            if exchange.kind not in ("drums", "voice"):
                assert not INSTRUMENT.search(exchange.answer), exchange


def test_an_unknown_fact_is_not_told_whatever_else_is_known(asked: list[tuple[Facts, Exchange]]) -> None:
    for facts, exchange in asked:
        needs = BY_SLUG[exchange.kind].facts
        if len(needs) == 1 and not facts.knows(needs[0]):
            assert CANNOT.search(exchange.answer), exchange
            assert not BPM.search(exchange.answer)
            assert not KEY.search(exchange.answer)


def test_no_answer_says_unknown_where_all_is_known(waltz: Annotation) -> None:
    waltz = replace(waltz, mood=replace(waltz.genre))
    for seed in range(20):
        assert not [e.answer for e in ask_all(waltz, seed) if CANNOT.search(e.answer)]


def test_unknown_facts_are_asked_sometimes_or_never_as_wished(silent: Annotation, waltz: Annotation) -> None:
    assert teach(silent, basic(10, 0))
    assert {e.kind for e in teach(silent, basic(10, 0, say_unknown=False))} <= {"duration"}
    keyless = replace(waltz, key=Key())
    some = [e for seed in range(40) for e in teach(keyless, basic(12, seed))]
    share = sum(bool(CANNOT.search(e.answer)) for e in some) / len(some)
    assert 0.03 < share < 0.2
    none = [e for seed in range(40) for e in teach(keyless, basic(12, seed, say_unknown=False))]
    assert not [e for e in none if CANNOT.search(e.answer)]


@pytest.mark.parametrize(
    "kind",
    [
        "instrument-yesno",
        "key-yesno",
        "chord-yesno",
        "tempo-compare",
        "tempo-range",
        "meter-yesno",
        "genre-yesno",
        "mode-yesno",
        "instrument-family",
    ],
)
def test_yes_is_as_likely_as_no(asked: list[tuple[Facts, Exchange]], kind: str) -> None:
    answers = [exchange.answer for _, exchange in of_kind(asked, kind)]
    yes = sum(answer.startswith("Yes") for answer in answers)
    no = sum(answer.startswith("No") for answer in answers)
    assert yes + no > 250
    assert 0.42 < yes / (yes + no) < 0.58


def test_yes_and_no_are_true(asked: list[tuple[Facts, Exchange]]) -> None:
    def right(facts: Facts, exchange: Exchange) -> bool:
        question = exchange.question
        if exchange.kind == "tempo-compare":
            than = int(re.findall(r"(\d+)", question)[0])
            assert facts.bpm is not None
            assert abs(facts.bpm - than) >= 7
            return ("faster" in question) == (facts.bpm > than)
        if exchange.kind == "meter-yesno":
            return SIGNATURE.findall(question) == [facts.meter_name]
        if exchange.kind == "instrument-yesno":
            return INSTRUMENT.findall(question.lower())[0] in facts.instruments
        assert facts.scale is not None
        return KEY.findall(question) == [facts.scale.name]

    for facts, exchange in of_kind(asked, "tempo-compare", "meter-yesno", "key-yesno", "instrument-yesno"):
        if not CANNOT.search(exchange.answer):
            assert exchange.answer.startswith("Yes" if right(facts, exchange) else "No"), exchange


def test_a_chord_is_asked_for_in_seconds_of_the_clip_not_of_the_track(waltz: Annotation) -> None:
    spans = tuple((s.start_seconds - 50, s.end_seconds - 50, s.label) for s in waltz.chords.spans)
    names = {"F#:min": "F# minor", "B:min": "B minor", "C#:7": "C# 7"}
    for seed in range(40):
        exchange = next(e for e in ask_all(waltz, seed) if e.kind == "chord-at")
        at = float(re.findall(r"\d+(?:\.\d)?", exchange.question)[-1])
        label = next(label for start, end, label in spans if start < at < end)
        assert names.get(label, label).split()[0] in exchange.answer, exchange


def test_the_answers_about_one_waltz_are_right(waltz: Annotation) -> None:
    said = {kind: [] for kind in KINDS}
    for seed in range(40):
        for exchange in ask_all(waltz, seed):
            said[exchange.kind].append(exchange.answer)

    expected = {
        "tempo-words": "moderate",
        "tempo-marking": "ndante",
        "tempo-half": "45 BPM",
        "tempo-double": "180 BPM",
        "beats-heard": "37",
        "first-downbeat": "0.2 seconds",
        "meter-feel": "triple",
        "beats-per-bar": "hree beats",
        "bar-seconds": "2 seconds",
        "beat-seconds": "0.67 seconds",
        "duration": "25 seconds",
        "relative-key": "A major",
        "parallel-key": "F# major",
        "key-signature": "hree sharps",
        "chord-most": "F# minor",
        "chord-first": "F# minor",
        "chord-last": "F# minor",
        "improvise": "F#, A, B, C# and E",
        "capo": "fret 2",
        "metronome": "90 BPM",
        "count-in": "1, 2, 3",
        "dance": "a slow waltz",
        "bars-a-minute": "30 bars",
        "delay-time": "667 ms",
        "primary-chords": "F# minor, B minor and C# major",
        "dominant-chord": "C# major",
        "chords-in-key": "main chords",
        "bass-root": "F#",
        "meter-waltz": "Yes",
        "tempo-steady": "Yes",
        "drums": "Yes",
        "voice": "No",
    }
    for kind, part in expected.items():
        assert said[kind], kind
        assert all(part in answer for answer in said[kind]), (kind, part, set(said[kind]))


def test_transposed_chords_move_with_the_key(waltz: Annotation) -> None:
    moved = [e for seed in range(120) for e in ask_all(waltz, seed) if e.kind == "transpose"]
    up = [e for e in moved if "up a whole tone" in e.question]
    assert up
    assert all("Ab minor" in e.answer for e in up)
    down = [e for e in moved if "down a whole tone" in e.question and "chords" in e.answer]
    assert down
    assert all("E minor" in e.answer and "A minor" in e.answer and "B7" in e.answer for e in down)


def test_six_eight_is_counted_in_two_dotted_quarters(waltz: Annotation) -> None:
    jig = replace(waltz, meter=replace(waltz.meter, beats_per_bar=6))
    answers = {e.kind: e.answer for e in ask_all(jig, 0)}
    assert "6/8" in answers["meter"]
    assert "two" in answers["beats-per-bar"]
    assert "dotted" in answers["beats-per-bar"]
    assert "1.3 seconds" in answers["bar-seconds"]
    assert "45 bars" in answers["bars-a-minute"]


def test_a_meter_without_a_name_is_unknown(waltz: Annotation) -> None:
    odd = replace(waltz, meter=replace(waltz.meter, beats_per_bar=7))
    assert 7 not in METER_NAMES
    answers = {e.kind: e.answer for e in ask_all(odd, 0)}
    assert CANNOT.search(answers["meter"])
    assert CANNOT.search(answers["bar-seconds"])


def test_chords_of_odd_spelling_are_named_in_the_one_spelling(waltz: Annotation) -> None:
    spans = (ChordSpan(50.0, 60.0, "Db:maj/3"), ChordSpan(60.0, 75.0, "X"))
    answers = {
        e.kind: e.answer for e in ask_all(replace(waltz, chords=replace(waltz.chords, spans=spans)), 0)
    }
    assert "C# major" in answers["chords"]
    assert "one" in answers["chord-count"].lower()


def test_keys_are_written_as_in_the_records(asked: list[tuple[Facts, Exchange]]) -> None:
    for _, exchange in of_kind(asked, "transpose", "mix-key", "transposing-instrument", "parallel-key"):
        assert set(KEY.findall(exchange.answer)) <= set(KEYS), exchange


def test_a_thousand_exchanges_take_less_than_two_seconds(many: tuple[Annotation, ...]) -> None:
    ask_all(many[0], 0)
    start = time.process_time()
    count = sum(len(teach(some, basic(12, 0))) for some in many)
    assert count / (time.process_time() - start) > 500
