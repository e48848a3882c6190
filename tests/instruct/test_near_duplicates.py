from __future__ import annotations

from random import Random

from llark.instruct.keep import KEYS, LONG_WORDS, Seen, same_question, signature, similarity
from llark.llm.ledger import Ledger

LONG = "An accordion leads this waltz in F# minor over bass and drums and comes home after a tense C#7 chord."


def triples(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[at : at + 3]) for at in range(len(words) - 2)}


def test_common_hashes_estimate_the_share_of_common_word_triples() -> None:
    rng = Random(3)
    errors = []
    for _ in range(60):
        words = [f"w{rng.randrange(500)}" for _ in range(60)]
        changed = [word if rng.random() > 0.05 else "x" for word in words]
        one, other = " ".join(words), " ".join(changed)
        true = len(triples(one) & triples(other)) / len(triples(one) | triples(other))
        errors.append(similarity(signature(one), signature(other)) - true)
    assert abs(sum(errors) / len(errors)) < 0.03
    assert max(map(abs, errors)) < 0.35


def test_texts_without_a_common_triple_share_no_key() -> None:
    one, other = (" ".join(f"{letter}{n}" for n in range(40)) for letter in "ab")
    assert not {*signature(one)} & {*signature(other)}
    assert similarity(signature(one), signature(other)) == 0.0


def test_texts_that_are_alike_share_a_key_though_most_of_their_words_are_common_ones() -> None:
    rng, missed = Random(4), 0
    for _ in range(300):
        words = [f"w{rng.randrange(500)}" for _ in range(40)]
        one, other = " ".join(words), " ".join([*words[:39], "x"])
        missed += not {*signature(one)[:KEYS]} & {*signature(other)[:KEYS]}
    assert missed == 0


def test_a_long_answer_is_seen_again_whatever_its_case_and_stops() -> None:
    with Ledger(":memory:") as ledger:
        seen = Seen(ledger)
        assert seen.alike("a#caption#0", LONG) is None
        assert seen.alike("b#caption#0", LONG.upper().replace(".", "!")) == "a#caption#0"
        assert seen.alike("a#caption#0", LONG) is None, "one that goes on does not find itself"


def test_answers_that_differ_in_a_third_of_their_words_or_are_short_are_kept() -> None:
    other = (
        LONG.replace("accordion", "piano").replace("F# minor", "C major").replace("C#7 chord", "G7 at last")
    )
    with Ledger(":memory:") as ledger:
        seen = Seen(ledger)
        assert [seen.alike("a", LONG), seen.alike("b", other)] == [None, None]
        assert [seen.alike("c", "120 BPM."), seen.alike("d", "120 BPM.")] == [None, None]
    assert len(["It", "is", "in", "C", "major", "at", "120", "BPM."]) < LONG_WORDS


def test_what_was_seen_is_known_to_the_next_run(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with Ledger(tmp_path / "x.sqlite") as ledger:
        Seen(ledger).alike("a", LONG)
    with Ledger(tmp_path / "x.sqlite") as ledger:
        assert Seen(ledger).alike("b", LONG) == "a"


def test_the_same_question_in_other_trappings() -> None:
    assert same_question("What is the key of this song?", "what is the key of the clip")
    assert same_question("Please tell me: what is the tempo?", "What is the tempo?")
    assert not same_question("What is the key?", "What is the tempo?")
