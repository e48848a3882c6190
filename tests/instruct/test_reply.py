"""What a reply is read as, whatever a model writes around it."""

from __future__ import annotations

import json
import re
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
    found = parse(json.dumps({"exchanges": [ITEM, {"question": "And?"}, {"question": "x", "answer": "…"}]}))
    assert found == (READ,)


FAST, KEY = {"question": "How fast?", "answer": "90 BPM."}, {"question": "Which key?", "answer": "D major."}
BOTH = json.dumps([FAST, KEY])
SPOKEN = """1. **Question:** How fast?
   **Answer:** 90 BPM.

2. **Question:** Which key?
   **Answer:** D major.

I hope this helps! Tell me if you want more."""

PAIRS = {
    "numbers as answers": ('[{"question": "How fast?", "answer": 90}]', [("How fast?", "90")]),
    "a fraction": ('[{"question": "How fast?", "answer": 90.5}]', [("How fast?", "90.5")]),
    "yes and no": ('[{"question": "Is it fast?", "answer": false}]', [("Is it fast?", "No")]),
    "a list as answer": ('[{"q": "Who plays?", "a": ["piano", "bass"]}]', [("Who plays?", "piano, bass")]),
    "numbers in a list": ('[{"q": "Which bars?", "a": [2, 4.5]}]', [("Which bars?", "2, 4.5")]),
    "an object as answer": (
        '[{"q": "How fast?", "a": {"text": "90 BPM.", "unit": 1}}]',
        [("How fast?", "90 BPM.")],
    ),
    "no last brackets": (BOTH[:-2], None),
    "no last bracket": (BOTH[:-1], None),
    "no brackets behind an object": (json.dumps({"exchanges": [FAST, KEY]})[:-3], None),
    "brackets in the wrong order": (json.dumps({"exchanges": [FAST, KEY]})[:-3] + "]}}", None),
    "cut in the third": (BOTH[:-1] + ', {"question": "And then?", "answer": "It goes', None),
    "JSON in a string": (json.dumps(BOTH), None),
    "JSON in a field": (json.dumps({"response": BOTH}), None),
    "JSON in a turn": (json.dumps([{"role": "assistant", "content": BOTH}]), None),
    "strings of JSON in a list": (json.dumps([json.dumps(FAST), json.dumps(KEY)]), None),
    "bold and numbered": (SPOKEN, None),
    "bold, number behind": (
        "**Q1:** How fast?\n**A1:** 90 BPM.\n\n**Q2:** Which key?\n**A2:** D major.",
        None,
    ),
    "bold questions": ("**1. How fast?**\n90 BPM.\n\n**2. Which key?**\nD major.", None),
    "bold questions, apart": ("**1. How fast?**\n\n90 BPM.\n\n**2. Which key?**\n\nD major.", None),
    "headings": (
        "### Question 1\nHow fast?\n### Answer 1\n90 BPM.\n"
        "### Question 2\nWhich key?\n### Answer 2\nD major.",
        None,
    ),
    "lists": ("- Question: How fast?\n- Answer: 90 BPM.\n- Question: Which key?\n- Answer: D major.", None),
    "on one line": ("Q: How fast? A: 90 BPM.\nQ: Which key? A: D major.", None),
    "numbered, on one line": ("1. How fast? 90 BPM.\n2. Which key? D major.", None),
    "numbered, with a dash": ("1) How fast? – 90 BPM.\n2) Which key? – D major.", None),
    "an answer of two lines": (
        "Q: How fast?\nA: 90 BPM,\nsteadily.\n\nBye.",
        [("How fast?", "90 BPM, steadily.")],
    ),
    "YAML": (
        "- question: How fast?\n  answer: 90 BPM.\n  facts: [tempo]\n"
        "- question: Which key?\n  answer: D major.",
        None,
    ),
    "YAML in quotes": (
        '- question: "How fast?"\n  answer: "90 BPM."\n- question: "Which key?"\n  answer: "D major."',
        None,
    ),
    "a table": ("| Question | Answer |\n|---|---|\n| How fast? | 90 BPM. |\n| Which key? | D major. |", None),
    "tags": (
        "<question>How fast?</question><answer>90 BPM.</answer>\n"
        "<question>Which key?</question><answer>D major.</answer>",
        None,
    ),
    "curly quotes": (BOTH.replace('"', "“"), None),
    "curly quotes in pairs": (re.sub('"([^"]*)"', "“\\1”", BOTH), None),
    "curly quotes in one value": (BOTH.replace('"90 BPM."', "“90 BPM.”"), None),
    "pairs": (json.dumps([list(FAST.values()), list(KEY.values())]), None),
    "pairs in an object": (json.dumps({"exchanges": [list(FAST.values()), list(KEY.values())]}), None),
    "tuples": (repr([tuple(FAST.values()), tuple(KEY.values())]), None),
    "one pair": (json.dumps(list(FAST.values())), [("How fast?", "90 BPM.")]),
    "answers by question": (json.dumps({"How fast?": "90 BPM.", "Which key?": "D major."}), None),
    "answers by question, inside": (
        json.dumps({"exchanges": {"How fast?": "90 BPM.", "Which key?": "D major."}}),
        None,
    ),
    "answers by question, each apart": (
        json.dumps([{"How fast?": "90 BPM."}, {"Which key?": "D major."}]),
        None,
    ),
    "objects by question": (
        json.dumps({"How fast?": {"answer": "90 BPM."}, "Which key?": {"answer": "D major."}}),
        None,
    ),
    "objects by number": (json.dumps({"1": FAST, "2": KEY}), None),
    "answers by question, without marks": (
        json.dumps({"exchanges": {"How fast is it": "90 BPM."}}),
        [("How fast is it", "90 BPM.")],
    ),
    "requests in pairs": (
        json.dumps([["Describe the tempo.", "It is 90 BPM."]]),
        [("Describe the tempo.", "It is 90 BPM.")],
    ),
    "lists under single names": (
        json.dumps({"question": ["How fast?", "Which key?"], "answer": ["90 BPM.", "D major."]}),
        None,
    ),
    "turns with values": (
        json.dumps([{"from": "human", "value": "How fast?"}, {"from": "gpt", "value": "90 BPM."}]),
        [("How fast?", "90 BPM.")],
    ),
    "an answer with a unit": ('[{"question": "How fast?", "answer": {"bpm": 90}}]', [("How fast?", "90")]),
    "escaped without quotes around": (json.dumps(BOTH)[1:-1], None),
    "a string of JSON, cut": (json.dumps(BOTH)[:-3], None),
    "bold questions without numbers": ("**How fast?**\n90 BPM.\n\n**Which key?** D major.", None),
    "questions as headings": ("## How fast?\n90 BPM.\n\n## Which key?\n\nD major.", None),
    "numbered names": (
        json.dumps(
            {
                "question1": "How fast?",
                "answer1": "90 BPM.",
                "question_2": "Which key?",
                "answer_2": "D major.",
            }
        ),
        None,
    ),
    "two lists": (
        json.dumps({"questions": ["How fast?", "Which key?"], "answers": ["90 BPM.", "D major."]}),
        None,
    ),
    "turns of a chat": (
        json.dumps(
            [
                {"role": role, "content": said}
                for one in (FAST, KEY)
                for role, said in zip(("user", "assistant"), one.values(), strict=True)
            ]
        ),
        None,
    ),
    "quotes in a text": (
        '[{"question": "Is it "fast"?", "answer": "No, a "slow" one."}]',
        [('Is it "fast"?', 'No, a "slow" one.')],
    ),
    "quotes at the end": (
        '[{"question": "How?", "answer": "It is "slow"", "facts": []}]',
        [("How?", 'It is "slow"')],
    ),
    "quotes before a comma": (
        '[{"question": "How?", "answer": "It is "slow", or so."}]',
        [("How?", 'It is "slow", or so.')],
    ),
    "escaped quotes": ('[{"question": "How?", "answer": "A \\"slow\\" one."},]', [("How?", 'A "slow" one.')]),
    "escaped apostrophes": (
        BOTH.replace("90 BPM.", "It\\'s slow."),
        [("How fast?", "It's slow."), ("Which key?", "D major.")],
    ),
    "apostrophes in Python": (
        repr([{"question": "How?", "answer": 'It\'s "slow".'}]),
        [("How?", 'It\'s "slow".')],
    ),
    "line breaks in a text": (
        '[{"question": "How?", "answer": "Slow,\nand calm."}]',
        [("How?", "Slow, and calm.")],
    ),
    "bare names": (
        '[{question: "How fast?", answer: "90 BPM."}, {question: "Which key?", answer: "D major."}]',
        None,
    ),
    "comments": (BOTH.replace("}, {", "}, // the second\n {").replace("[{", "[ /* all */ {"), None),
    "no commas": (BOTH.replace("}, {", "}\n{").replace('?", "', '?"\n"'), None),
    "too many commas": (BOTH.replace("}, {", ",},, {").replace("}]", "},]"), None),
    "Python's words": (repr([{**FAST, "facts": None}, {**KEY, "sure": True}]), None),
    "lines of JSON": (f"{json.dumps(FAST)}\n{json.dumps(KEY)}", None),
    "a page's escapes": (BOTH.replace('"', "&quot;"), None),
    "brackets in the words before": (f"Here [as asked] are {{two}}:\n{BOTH}", None),
    "thoughts without a beginning": (f"Perhaps {json.dumps([FAST])}, no.</think>{BOTH}", None),
}


@pytest.mark.parametrize(("text", "found"), PAIRS.values(), ids=list(PAIRS))
def test_questions_and_answers_are_read_from(text: str, found: list[tuple[str, str]] | None) -> None:
    both = [("How fast?", "90 BPM."), ("Which key?", "D major.")]
    assert [(one.question, one.answer) for one in parse(text)] == (found or both)


NO_PAIRS = (
    "", "I cannot.", "null", "3", "true", "{}", "[]", '{"exchanges": []}', "[[[[[]]]]]", "{{{{", "[{",
    '["tempo", "key"]',
    "I'm sorry, but I can't help with that.",
    '{"error": {"message": "Rate limit reached", "code": 429}}',
    '{"length": "25 s", "tempo": "90 BPM", "key": "D major"}',
    '{"exchanges": [{"kind": "tempo", "question": "How fast?"}]}',
    '{"exchanges": [{"kind": "tempo", "question": "How fast?", "answer": ""}]}',
    '{"exchanges": [{"kind": "tempo", "question": "How fast?", "answer": null}]}',
    '{"exchanges": [{"kind": "…", "question": "…", "answer": "…", "facts": ["…"]}]}',
    '{"exchanges": [{"kind": "tempo", "question": "How fast?", "answer": "It is ab',
    "<think>First {\"question\": \"How fast?\", \"answer\": \"90 BPM.\"}",
    "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
    "1. How fast is it?\n2. Which key is it in?\n3. Who plays?",
    "Question: How fast is it?\n\nQuestion: Which key is it in?",
    "Q:\nA:",
    '["How fast is it?", "Which key is it in?"]',
    '{"name": "get_tempo", "arguments": {"bpm": 90}}',
    "Kinds wanted this time, one each: learn, change",
    "| Question | Answer |\n|---|---|",
    '[["tempo", "90 BPM"], ["key", "D major"]]',
    "**What would you like?**",
    "```json\n```",
)  # fmt: skip


@pytest.mark.parametrize("text", NO_PAIRS)
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
    assert {(one.question, one.answer) for one in found} <= {(READ.question, READ.answer)}
    assert len(found) == PAGE[:at].count('90 BPM."')


@pytest.mark.parametrize("nested", ["[" * 60_000, "]" * 60_000 + '{"a":' * 30_000, "[" * 500 + "]" * 500])
def test_brackets_without_end_are_not_read_as_json_and_the_rest_is(
    nested: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply, "_value", lambda *_, **__: pytest.fail("read as JSON"))
    found = reply.parse(f"Q: How fast?\nA: 90 BPM.\n{nested}")
    assert [(item.question, item.answer) for item in found] == [("How fast?", "90 BPM.")]
