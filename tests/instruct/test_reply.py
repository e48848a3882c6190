"""What a reply is read as, whatever a model writes around it."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llark.instruct import reply
from llark.instruct.reply import MOST_ITEMS, ReplyItem, parse

ITEM = {"kind": "tempo", "question": "How fast?", "answer": "90 BPM.", "facts": ["tempo"]}
READ = ReplyItem("How fast?", "90 BPM.", "tempo", ("tempo",))
PAGE = json.dumps({"exchanges": [ITEM, ITEM]})


@pytest.mark.parametrize(
    "text",
    [
        PAGE,
        json.dumps([ITEM, ITEM]),
        json.dumps({"data": {"qa_pairs": [[ITEM], [ITEM]]}}),
        f"\ufeff{PAGE}",
        f"```json\n{PAGE}\n```",
        f"Sure! Here you go:\n{PAGE}\nI hope this helps.",
        f"<think>Let me see {{}} [1]</think>{PAGE}",
        PAGE.replace("]}]", "],}],"),
        repr([ITEM, ITEM]),
        PAGE[:-2],
        f"{json.dumps(ITEM)}\n{json.dumps(ITEM)}",
        f"1. {json.dumps(ITEM)} 2. {json.dumps(ITEM)} {{",
    ],
)
def test_two_items_are_read_from(text: str) -> None:
    assert parse(text) == (READ, READ)


def test_other_names_for_question_and_answer_are_understood() -> None:
    for question, answer in (
        ("q", "a"),
        ("Question", "Answer"),
        ("prompt", "response"),
        ("user", "assistant"),
    ):
        assert parse(json.dumps([{question: "How?", answer: "So."}])) == (ReplyItem("How?", "So."),)
    assert parse(json.dumps({"caption": "A waltz."})) == (ReplyItem("", "A waltz."),)
    assert parse("Q: How?\nA: So.\n\nQ: Why?\nA: Thus.") == (
        ReplyItem("How?", "So."),
        ReplyItem("Why?", "Thus."),
    )


def test_items_without_an_answer_are_left_out() -> None:
    found = parse(json.dumps({"exchanges": [ITEM, {"question": "And?"}, {"question": "x", "answer": 3}]}))
    assert found == (READ,)


@pytest.mark.parametrize(
    "text", ["", "I cannot.", "null", "3", "{}", "[]", '{"exchanges": []}', "[[[[[]]]]]", "{{{{"]
)
def test_nothing_is_read_from(text: str) -> None:
    assert parse(text) == ()


def test_texts_are_one_line_without_control_characters_and_surrogates() -> None:
    found = parse('[{"question": "How\\n\\u0000fast?", "answer": "90\\tBPM\\ud800 \\u202enow."}]')
    assert found == (ReplyItem("How fast?", "90 BPM? now."),)


def test_a_reply_holds_no_more_than_so_many_items() -> None:
    assert len(parse(json.dumps([ITEM] * 1000))) == MOST_ITEMS


@pytest.mark.parametrize("piece", ["[", "{", '{"a":', "[{", '"', "\\", '{"answer": "', "```", "Q: a\n"])
def test_a_hostile_reply_takes_little_time(piece: str) -> None:
    began = time.process_time()
    parse(piece * (400_000 // len(piece)))
    assert time.process_time() - began < 3


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_no_text_is_too_strange(text: str) -> None:
    for item in parse(text):
        assert item.answer == " ".join(item.answer.split())


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(PAGE)))
def test_a_reply_that_is_cut_anywhere_gives_its_whole_items(at: int) -> None:
    found = parse(PAGE[:at])
    assert set(found) <= {READ}
    assert len(found) == min(2, PAGE[:at].count("]}"))


@pytest.mark.parametrize("nested", ["[" * 60_000, "]" * 60_000 + '{"a":' * 30_000, "[" * 500 + "]" * 500])
def test_brackets_without_end_are_not_read_as_json_and_the_rest_is(
    nested: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply, "_value", lambda *_, **__: pytest.fail("read as JSON"))
    found = reply.parse(f"Q: How fast?\nA: 90 BPM.\n{nested}")
    assert [(item.question, item.answer) for item in found] == [("How fast?", "90 BPM.")]
