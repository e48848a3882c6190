"""Musical details that a judge lists: what of its reply counts, and what a report says of them."""

from __future__ import annotations

import pytest

from llark.errors import UserMustAct
from llark.evaluate.judge import VERDICTS, Described, count_details, read_details


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("tempo 120 BPM | supported\nkey of A minor | contradicted", ["supported", "contradicted"]),
        ("1. A sad violin | Supported.\n2) fast tempo | unknown", ["supported", "unknown"]),
        ("- **piano** | **supported**\n- piano | unknown", ["supported"]),
        ("detail | supported\ndrums | contradicts what is known", ["contradicted"]),
        ("| piano | supported |", ["supported"]),
        ("piano | unsupported\ndrums | not supported\nbass | supported", ["unknown", "unknown", "supported"]),
        ("NONE", []),
        ("None.", []),
    ],
)
def test_details_are_read_from_lists_as_judges_write_them(reply: str, found: list[str]) -> None:
    assert list((read_details(reply) or {}).values()) == found


@pytest.mark.parametrize("reply", ["", "It has many details.", "piano, drums", "piano | yes"])
def test_a_reply_that_is_no_list_is_not_a_list_of_none(reply: str) -> None:
    assert read_details(reply) is None


def answers(*said: str) -> list[Described]:
    return [Described(f"track-{i}", text, "a piano") for i, text in enumerate(said)]


def judge(prompt: str) -> str:
    said = prompt.split("music: ")[1].splitlines()[0]
    if said == "riddle":
        return "I would rather not."
    lines = [f"{word} | {'supported' if word == 'piano' else 'unknown'}" for word in said.split()]
    return "\n".join(lines) or "NONE"


def test_details_are_counted_an_answer_and_by_what_is_known() -> None:
    found = count_details(answers("piano", "piano drums bass", ""), judge)
    assert found.stated.value == pytest.approx(4 / 3)
    assert found.supported.value == pytest.approx(2 / 3)
    assert found.contradicted.value == 0.0
    assert found.unknown.value == pytest.approx(2 / 3)
    assert 0.0 <= found.stated.low < found.stated.value < found.stated.high <= 3.0
    assert (found.n, found.tracks, found.unread) == (3, 3, 0)
    assert str(found).startswith("1.33 [")


def test_replies_that_cannot_be_read_are_counted_apart() -> None:
    assert count_details(answers("piano", "riddle"), judge).unread == 1
    with pytest.raises(UserMustAct, match="none of 1 answers"):
        count_details(answers("riddle"), judge)


def test_an_answer_without_words_has_no_details_and_is_not_asked_about() -> None:
    found = count_details(answers("", " "), lambda prompt: pytest.fail("asked"))
    assert (found.stated.value, found.n) == (0.0, 2)


def test_the_judge_is_told_what_is_known() -> None:
    assert "What is known about the music: a piano\n" in answers("x")[0].prompt
    assert "What is known about the music: nothing\n" in Described("t", "x", "").prompt
    assert VERDICTS == ("supported", "contradicted", "unknown")
