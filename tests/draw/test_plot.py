"""Pictures: drawn for every amount of knowledge, with nothing overlapping in the lanes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_timeline import HALF_MINUTE

from llark.draw import plot
from llark.errors import UserMustAct
from llark.records import Annotation, Chords, ChordSpan, Melody, Note, Tag, Tags, Tempo

pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")

FULL = replace(
    HALF_MINUTE,
    tempo=Tempo(60.0, 0.9, "t", 120.0),
    instruments=Tags((Tag("piano", 0.9),), 0.9, "i"),
    genre=Tags((Tag("jazz", 0.7),), 0.7, "g"),
    melody=Melody("arch", 60, 64, (Note(1.0, 2.0, 60, "unknown"), Note(2.0, 3.0, 64, "unknown")), 0.8, "m"),
)
WAVE = np.stack([-np.ones(200), np.ones(200)], axis=1).astype(np.float32)


def words(path: Path) -> list[str]:
    """The words in an SVG, which matplotlib leaves beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", path.read_text())


def test_an_svg_names_every_lane_and_the_facts_of_the_whole(tmp_path: Path) -> None:
    found = words(plot.save(tmp_path / "a" / "song.svg", plot.Picture("My song", FULL, WAVE)))
    lanes = {"wave", "sections", "key", "chords", "notes", "A minor", "Am", "My song", "jazz", "piano"}
    assert lanes <= set(found)
    assert {"60.0 BPM (or 120)", "one line: arch", "0.90", "0:15"} <= set(found)


def test_what_is_unknown_has_no_lane(tmp_path: Path) -> None:
    facts = Annotation("song", 0.0, 30.0)
    found = words(plot.save(tmp_path / "song.svg", plot.Picture("song", facts, WAVE)))
    assert {"chords", "key", "sections", "notes"} & set(found) == set()
    assert found.count("unknown") == 3


def test_narrow_chords_are_named_in_a_key_to_their_colours(tmp_path: Path) -> None:
    spans = tuple(ChordSpan(i, i + 1, ("C:maj", "A:min")[i % 2]) for i in range(300))
    facts = Annotation("song", 0.0, 300.0, chords=Chords(spans, 0.9, "c"))
    found = words(plot.save(tmp_path / "song.svg", plot.Picture("song", facts, WAVE)))
    assert found.count("C major") == found.count("A minor") == 1
    assert "Am" not in found


def test_the_same_facts_give_the_same_picture(tmp_path: Path) -> None:
    picture = plot.Picture("song", FULL, WAVE)
    one, other = (plot.save(tmp_path / f"{name}.png", picture).read_bytes() for name in "ab")
    assert one == other
    assert one[:4] == b"\x89PNG"


def test_another_suffix_is_refused_with_those_that_are_allowed(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match=r"\.png, \.svg, \.pdf"):
        plot.save(tmp_path / "song.bmp", plot.Picture("song", FULL, WAVE))


def test_every_chord_has_a_colour_and_neighbours_in_fifths_are_alike() -> None:
    c, g, f_sharp = (np.array(plot.chord_colour(f"{root}:maj")) for root in ("C", "G", "F#"))
    assert np.abs(c - g).sum() < np.abs(c - f_sharp).sum()
    assert plot.chord_colour("N") == "#f2f2f2"
