"""What a person sees of an answer."""

from __future__ import annotations

import json
from dataclasses import replace

from llark.records import Annotation, Answer, Chords, ChordSpan, Key, Tag, Tags, Tempo
from llark.report.text import AskResult, as_json, as_text, facts_as_row, facts_as_text
from llark.report.timeline import clock

FACTS = Annotation(
    "song",
    0.0,
    75.4,
    Tempo(95.04, 0.82, "beats", alternative_bpm=190.08),
    key=Key("E minor", 0.7, "chords+chroma"),
    chords=Chords((ChordSpan(0, 4, "E:min"), ChordSpan(4, 8, "G:7")), 0.9, "net"),
    instruments=Tags((Tag("drums", 0.93),), 0.93, "tags"),
)
RESULT = AskResult(
    "song.mp3", (Answer("How fast?", "It is at 95 BPM.", "mini", FACTS),), FACTS, {"hear": 1.25, "total": 2.5}
)


def test_a_clock_shows_minutes_and_seconds() -> None:
    assert clock(75.4) == "1:15"
    assert clock(59.96) == "1:00"
    assert clock(5.25, 2) == "0:05.25"


def test_the_text_shows_the_answer_and_each_fact_with_its_confidence() -> None:
    text = as_text(RESULT)
    assert "> How fast?\nIt is at 95 BPM." in text
    assert "95.0 BPM (or 190.1)" in text
    assert "0.82 ●●●●○" in text
    assert "0:00 E minor, 0:04 G7" in text
    assert "Measured, 0:00 to 1:15" in text


def test_an_unknown_fact_says_so_and_shows_no_confidence() -> None:
    line = next(line for line in as_text(RESULT).splitlines() if line.strip().startswith("meter"))
    assert line.split() == ["meter", "unknown"]


def test_the_json_holds_answers_facts_model_and_timings() -> None:
    page = json.loads(as_json(RESULT))
    answer = {"question": "How fast?", "answer": "It is at 95 BPM.", "saw_facts": True}
    assert page["answers"] == [{**answer, "kinds": [], "rests_on": []}]
    assert page["model"] == "mini"
    assert page["facts"]["tempo"]["bpm"] == 95.04
    assert page["timings_seconds"] == {"hear": 1.25, "total": 2.5}


def test_what_a_terminal_would_obey_is_shown_and_not_sent() -> None:
    """A name of a file or an answer may hold ESC, and with it colours, titles and links."""
    hostile = "\x1b]0;title\x07song\x9b2J"
    row = facts_as_row(replace(FACTS, clip_id=hostile))
    answer = replace(RESULT, answers=(Answer(hostile, f"{hostile}\n\tnext", "mini", None),))
    for text in (facts_as_text(hostile, FACTS), row, as_text(answer)):
        assert "\ufffd]0;title\ufffdsong\ufffd2J" in text
        assert not {"\x1b", "\x07", "\x9b"} & set(text)
    assert "song\ufffd2J\n\tnext" in as_text(answer)
