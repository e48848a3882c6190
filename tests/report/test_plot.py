"""Pictures: drawn for every amount of knowledge, with nothing overlapping in the lanes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llark.errors import UserMustAct
from llark.records import Annotation, Beats, Chords, ChordSpan, Key, Loudness, Melody, Note, Tag, Tags, Tempo
from llark.report import facts_plot
from tests.report.test_timeline import HALF_MINUTE

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
    found = words(facts_plot.save(tmp_path / "a" / "song.svg", facts_plot.Picture("My song", FULL, WAVE)))
    lanes = {"wave", "sections", "key", "chords", "notes", "A minor", "Am", "My song", "jazz", "piano"}
    assert lanes <= set(found)
    assert {"60.0 BPM (or 120)", "one line: arch", "0.90", "0:15"} <= set(found)


def test_what_is_unknown_has_no_lane(tmp_path: Path) -> None:
    facts = Annotation("song", 0.0, 30.0)
    found = words(facts_plot.save(tmp_path / "song.svg", facts_plot.Picture("song", facts, WAVE)))
    assert {"chords", "key", "sections", "notes"} & set(found) == set()
    assert found.count("unknown") == 3


def test_narrow_chords_are_named_in_a_key_to_their_colours(tmp_path: Path) -> None:
    spans = tuple(ChordSpan(i, i + 1, ("C:maj", "A:min")[i % 2]) for i in range(300))
    facts = Annotation("song", 0.0, 300.0, chords=Chords(spans, 0.9, "c"))
    found = words(facts_plot.save(tmp_path / "song.svg", facts_plot.Picture("song", facts, WAVE)))
    assert found.count("C major") == found.count("A minor") == 1
    assert "Am" not in found


def test_the_same_facts_give_the_same_picture(tmp_path: Path) -> None:
    picture = facts_plot.Picture("song", FULL, WAVE)
    one, other = (facts_plot.save(tmp_path / f"{name}.png", picture).read_bytes() for name in "ab")
    assert one == other
    assert one[:4] == b"\x89PNG"


def test_another_suffix_is_refused_with_those_that_are_allowed(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match=r"\.png, \.svg, \.pdf"):
        facts_plot.save(tmp_path / "song.bmp", facts_plot.Picture("song", FULL, WAVE))


def test_every_chord_has_a_colour_and_neighbours_in_fifths_are_alike() -> None:
    c, g, f_sharp = (np.array(facts_plot.chord_colour(f"{root}:maj")) for root in ("C", "G", "F#"))
    assert np.abs(c - g).sum() < np.abs(c - f_sharp).sum()
    assert facts_plot.chord_colour("N") == "#f2f2f2"


def test_the_tempo_curve_shrugs_off_a_stray_beat_and_breaks_where_there_are_none() -> None:
    early, late = np.arange(0.0, 20.0, 0.5), np.arange(40.0, 60.0, 0.5)
    times, curve = facts_plot.tempo_curve(np.concatenate([early, [20.1], late]))
    known = np.isfinite(curve)
    assert len(times) == len(curve) == len(early) + 1 + len(late) - 4
    assert curve[known] == pytest.approx(120.0)
    assert not known[(times > 21) & (times < 39)].any()
    stray, missing = np.sort([*early, 7.25]), np.delete(early, 12)
    for beats in (stray, missing):
        assert np.median(facts_plot.tempo_curve(beats)[1]) == pytest.approx(120.0)
        assert (facts_plot.tempo_curve(beats)[1] < 200).all()


def test_too_few_beats_have_no_curve(tmp_path: Path) -> None:
    assert len(facts_plot.tempo_curve(np.arange(8.0))[1]) == 0
    facts = replace(FULL, tempo=Tempo(60.0, 0.9, "t", 120.0))
    assert "tempo" in " ".join(
        words(facts_plot.save(tmp_path / "a.svg", facts_plot.Picture("a", facts, WAVE)))
    )


def test_a_doubtful_key_of_the_whole_is_asked_rather_than_said(tmp_path: Path) -> None:
    sure, doubtful = (Annotation("a", 0.0, 30.0, key=Key("E minor", value, "h")) for value in (0.9, 0.14))
    said = words(facts_plot.save(tmp_path / "sure.svg", facts_plot.Picture("a", sure, WAVE)))
    asked = words(facts_plot.save(tmp_path / "doubtful.svg", facts_plot.Picture("a", doubtful, WAVE)))
    assert "E minor" in said
    assert "E minor?" not in said
    assert "E minor?" in asked


def test_numbers_of_bars_never_touch(tmp_path: Path) -> None:
    beats = Beats((1.0, 1.3, 1.6, 9.0), (1, 1, 1, 1), 0.9, "b")
    found = words(
        facts_plot.save(
            tmp_path / "a.svg", facts_plot.Picture("a", Annotation("a", 0.0, 60.0, beats=beats), WAVE)
        )
    )
    assert {"1", "4"} <= set(found)
    assert {"2", "3"} & set(found) == set()


@pytest.mark.parametrize("lufs", [(), (None, None)])
def test_loudness_without_a_sounding_second_has_no_lane(tmp_path: Path, lufs: tuple[None, ...]) -> None:
    facts = Annotation("a", 0.0, 2.0, loudness=Loudness(-68.0, None, -40.0, lufs))
    found = words(facts_plot.save(tmp_path / "a.svg", facts_plot.Picture("a", facts, WAVE)))
    assert "wave" in found
    assert not any("loudness" in word for word in found)


def test_dollars_in_a_name_are_no_formula(tmp_path: Path) -> None:
    facts = Annotation("a", 0.0, 30.0)
    assert r"$\foo$" in words(facts_plot.save(tmp_path / "a.svg", facts_plot.Picture(r"$\foo$", facts, WAVE)))


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserMustAct, match=r"Cannot write to .*taken/a\.png"):
        facts_plot.save(tmp_path / "taken" / "a.png", facts_plot.Picture("a", FULL, WAVE))
