"""Made-up grooves: each bar begins with kick and bass; what is between the beats is stressed too."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from llark import corpus
from llark.corpus import abc, clips, grooves
from llark.errors import UserMustAct

EVERY = [grooves.groove(number) for number in range(600)]


def places(text: str) -> list[float]:
    return [float(word.rstrip("rft")) for word in text.split()]


def snare_of(number: int) -> list[float]:
    drums = EVERY[number].drums
    return [place for drum in ("snare", "stick", "clap") if drum in drums for place in places(drums[drum])]


def test_every_bar_begins_with_kick_and_bass() -> None:
    assert all(places(style.drums["kick"])[0] == 0 and places(style.bass)[0] == 0 for style in EVERY)


def test_no_onset_lies_outside_its_bar() -> None:
    for style in EVERY:
        bar = 2 if style.meter == 6 else style.meter
        onsets = [
            place for text in (*style.drums.values(), style.bass, style.chords) for place in places(text)
        ]
        assert min(onsets) >= 0
        assert max(onsets) < bar


def test_snare_and_chords_are_off_the_beat_about_as_often_as_on_it() -> None:
    snares = [snare_of(number) for number in range(len(EVERY))]
    off = sum(bool(s) and all(place % 1 > 0.2 for place in s) for s in snares)
    on = sum(bool(s) and all(place % 1 == 0 for place in s) for s in snares)
    assert off > 60
    assert on > 200
    chords = [places(style.chords) for style in EVERY]
    assert sum(all(place % 1 > 0.2 for place in c) for c in chords) > 120


def test_where_the_snare_is_between_all_beats_the_beat_is_slow_enough_to_be_tapped() -> None:
    busy = [style for number, style in enumerate(EVERY) if _alternates(number)]
    assert len(busy) > 10
    assert all(style.fastest_bpm <= grooves.BUSY_BPM for style in busy)


def _alternates(number: int) -> bool:
    style, snare = EVERY[number], snare_of(number)
    beats = 2 if style.meter == 6 else style.meter
    between = [beat + (2 / 3 if style.meter == 6 else 0.5) for beat in range(beats)]
    return places(style.drums["kick"]) == list(range(beats)) and snare == pytest.approx(between, abs=1e-3)


def test_a_groove_is_the_same_each_time_and_its_number_tells_the_split() -> None:
    one, again = (grooves.piece(Random(5), 60.0, lambda group: True) for _ in range(2))
    assert one == again
    assert one.group.startswith("grooves/")
    assert one.genres == ()
    held = grooves.piece(Random(5), 60.0, lambda group: clips.split_of(group) == "test")
    assert clips.split_of(held.group) == "test"


def test_a_tune_alone_has_one_part_and_no_chords() -> None:
    pytest.importorskip("music21")
    song = abc.alone(Random(3), 60.0, lambda group: True)
    assert len(song.parts) == 1
    assert song.harmony == ()
    assert song.key is not None


def test_the_extra_sources_are_rendered_only_where_asked_for(tmp_path: Path) -> None:
    assert {order.source for order in clips.plan(200, 1, tuple(clips.SOURCES))} <= set(clips.SOURCES)
    clips.render(tmp_path, clips=2, seed=1, sources=["grooves"], workers=0, renderer="midirenderer",
                  progress=False)  # fmt: skip
    truths = [truth for _, truth in corpus.read(tmp_path)]
    assert len(truths) == 2
    assert all(truth.instruments.tags for truth in truths)


def test_an_unknown_source_is_refused_with_all_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="builtin, tunes, grooves"):
        clips.render(tmp_path, clips=1, seed=1, sources=["groove"], workers=0)
