from __future__ import annotations

import pytest

from llark.records import Annotation, Beats, Chords, ChordSpan, Key, Loudness, Sections, Span
from llark.report import timeline

HALF_MINUTE = Annotation(
    "song",
    0.0,
    30.0,
    beats=Beats(tuple(i * 1.0 for i in range(30)), tuple(1 + i % 4 for i in range(30)), 0.9, "b"),
    key=Key("A minor", 0.8, "k"),
    chords=Chords(
        (ChordSpan(0, 15, "A:min"), ChordSpan(15, 15.6, "G:7"), ChordSpan(15.6, 30, "N")), 0.9, "c"
    ),
    loudness=Loudness(-14.0, 6.0, -1.0, (*(-10.0 for _ in range(15)), *(-31.0 for _ in range(15)))),
    sections=Sections((Span(0, 15, "A", 0.9), Span(15, 30, "B", 0.9)), 0.9, "s"),
)


def lanes(facts: Annotation) -> dict[str, str]:
    """The first line of the score by name of its lane, without the names."""
    block = timeline.draw(facts).split("\n\n")[0].splitlines()
    return {row[:10].strip(): row[10:] for row in block}


def test_what_begins_at_a_time_stands_under_that_time() -> None:
    drawn = lanes(HALF_MINUTE)
    middle = 44
    assert drawn[""].index("0:15") == middle
    assert drawn["sections"].index("B") == middle
    assert drawn["chords"].startswith("Am···")
    assert drawn["chords"][middle : middle + 3] == "|–·"
    assert drawn["key"].startswith("A minor·")


def test_downbeats_are_bars_and_other_beats_dots() -> None:
    drawn = lanes(HALF_MINUTE)["beats"]
    assert drawn.count("|") == 8
    assert drawn.count(".") == 22
    assert drawn[0] == "|"


def test_the_loudness_falls_where_the_music_does() -> None:
    drawn = lanes(HALF_MINUTE)["loudness"]
    assert drawn[:44] == "█" * 44
    assert drawn[46:] == "▁" * 42


def test_lanes_of_unknown_facts_are_not_drawn() -> None:
    assert set(lanes(Annotation("song", 0.0, 30.0))) == {""}


@pytest.mark.parametrize("seconds", [1.0, 12.3, 59.9, 300.0, 3600.0, 10800.0])
def test_no_line_is_wider_than_a_hundred_columns_and_there_are_few(seconds: float) -> None:
    beats = tuple(i * 0.5 for i in range(int(seconds * 2)))
    facts = Annotation(
        "song", 0.0, seconds, beats=Beats(beats, (), 0.9, "b"), key=Key("C major", 0.9, "k"),
        chords=Chords((ChordSpan(0.0, seconds, "C:maj"),), 0.9, "c"),
    )  # fmt: skip
    drawn = timeline.draw(facts).splitlines()
    assert max(map(len, drawn)) <= 100
    assert 4 <= len(drawn) <= 32
    assert any("C major" in row for row in drawn)


def test_a_long_song_takes_several_lines_that_cover_it() -> None:
    systems = timeline.systems(10.0, 310.0)
    assert [system.start_seconds for system in systems] == [10.0, 70.0, 130.0, 190.0, 250.0]
    assert systems[-1].end_seconds == 310.0


def test_short_dynamics_are_marked_as_musicians_do() -> None:
    spans = (Span(0, 28, "loud", 0.8), Span(28, 29, "quiet", 0.8), Span(29, 30, "loud", 0.8))
    facts = Annotation("song", 0.0, 30.0, loudness=Loudness(-14.0, 6.0, -1.0, (), spans, 0.8))
    assert lanes(facts)["dynamics"].startswith("loud·····")
    assert lanes(facts)["dynamics"].endswith("p··f··")
