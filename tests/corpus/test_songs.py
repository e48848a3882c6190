"""A folder of MIDI files as a source: which files are songs, and which are one song."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from random import Random

import mido
import pytest

from llark import corpus
from llark.corpus import songs as room
from llark.corpus.clips import render as render_corpus
from llark.corpus.songs import as_piece, catalogue, phrases
from llark.errors import StoreMismatch, UserMustAct
from llark.storage import stages

BARS = 40


def tune(seed: int, *, up: int = 0, bpm: int = 120, bars: int = BARS, late: int = 0) -> bytes:
    """Random quarters and eighths of 480 ticks a beat; with `late`, every second note floats free."""
    rng = Random(seed)
    track = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)),
            mido.MetaMessage("time_signature", numerator=4, denominator=4),
        ]
    )
    for number in range(4 * bars):
        pitch, wait = 60 + up + rng.randrange(12), late if number % 2 else 0
        for length in (480,) if rng.random() < 0.6 else (240, 240):
            track.append(mido.Message("note_on", note=pitch, velocity=90, time=wait))
            track.append(mido.Message("note_off", note=pitch, velocity=0, time=length))
            wait = 0
    buffer = io.BytesIO()
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(file=buffer)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three songs, the second in two keys, one of them deeper; a loose one, and two files that are none."""
    files = {
        "a.mid": tune(1), "b.MID": tune(2), "below/b2.midi": tune(2, up=3, bpm=100), "c.mid": tune(3),
        "loose.mid": tune(4, late=100), "broken.mid": b"MThd broken", "notes.txt": b"no music",
    }  # fmt: skip
    for name, data in files.items():
        path = tmp_path / "songs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "songs"


HOSTILE = {
    "division 0": (12, b"\x00\x00"),
    "SMPTE timing": (12, b"\xe7\x28"),
    "tempo 0": (tune(1).index(b"\xff\x51\x03") + 3, b"\x00\x00\x00"),
    "a meter of 4/2^255": (tune(1).index(b"\xff\x58\x04") + 4, b"\xff"),
    "no such key": (tune(1).index(b"\xff\x58\x04"), b"\xff\x59\x02\x2e\x07\x00\xff\x01\x00"),
}
"""Where bytes of a song are replaced by others."""


def test_a_midi_file_whose_name_is_no_text_or_that_cannot_be_read_costs_no_other(folder: Path) -> None:
    (folder / os.fsdecode(b"\xff.mid")).write_bytes(tune(9))
    (folder / "a.mid").rename(folder / "z.mid")
    found = catalogue(folder, folder.parent / "page.json")
    found.keep(folder.parent / "page.json")
    assert [name for name, _ in found.groups] == ["b.MID", "below/b2.midi", "c.mid", "z.mid"]
    assert catalogue(folder, folder.parent / "page.json") == found


@pytest.mark.parametrize("damage", HOSTILE)
def test_a_midi_file_that_counts_no_time_is_no_song_and_costs_no_other(folder: Path, damage: str) -> None:
    (at, data), song = HOSTILE[damage], bytearray(tune(1))
    song[at : at + len(data)] = data
    (folder / "a.mid").write_bytes(song)
    found = catalogue(folder, folder.parent / "page.json")
    assert [name for name, _ in found.groups] == ["b.MID", "below/b2.midi", "c.mid"]


def render(out: Path, folder: Path | None, clips: int = 3, **more: object) -> None:
    render_corpus(
        out, clips=clips, seed=5, workers=0, renderer="midirenderer", midi=folder, progress=False, **more
    )  # type: ignore[arg-type]


def test_versions_of_one_song_are_one_group_and_files_that_are_no_song_are_none(
    folder: Path, tmp_path: Path
) -> None:
    groups = dict(catalogue(folder, tmp_path / "songs.json").groups)
    assert set(groups) == {"a.mid", "b.MID", "below/b2.midi", "c.mid"}
    assert groups["b.MID"] == groups["below/b2.midi"]
    assert len(set(groups.values())) == 3


def test_a_song_of_another_source_keeps_the_group_that_it_has_there(folder: Path, tmp_path: Path) -> None:
    known = as_piece(tune(3, up=-5), "freedoom/123", "BSD-3-Clause")
    assert known is not None
    groups = dict(catalogue(folder, tmp_path / "songs.json", [("D_E1M1", known)]).groups)
    assert groups["c.mid"] == "freedoom/123"
    assert groups["a.mid"].startswith("midi/")


def test_phrases_are_those_of_any_key_and_differ_between_songs() -> None:
    one, higher, other = (as_piece(data, "x", "") for data in (tune(1), tune(1, up=4), tune(2)))
    assert one is not None
    assert higher is not None
    assert other is not None
    assert phrases(one) == phrases(higher)
    assert len(phrases(one)) > 100
    assert not phrases(one) & phrases(other)


def test_the_files_are_read_once_and_again_when_they_change(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = catalogue(folder, tmp_path / "songs.json")
    first.keep(tmp_path / "songs.json")
    with monkeypatch.context() as patched:
        patched.setattr(room, "as_piece", lambda *_: pytest.fail("read again"))
        assert catalogue(folder, tmp_path / "songs.json") == first
    (folder / "d.mid").write_bytes(tune(9))
    assert len(catalogue(folder, tmp_path / "songs.json").groups) == len(first.groups) + 1


def test_clips_of_a_folder_have_the_beats_meter_and_tempo_of_their_songs(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    render(out, folder)
    found = list(corpus.read(out))
    groups = json.loads((out / "songs.json").read_text())["groups"]
    assert len(found) == 2  # the third is to be held out, and no song of the three is
    assert [drop.reason for drop in stages.read_dropped(out)] == ["no-such-group"]
    for track, truth in found:
        assert (track.dataset, track.licence, track.split) == ("corpus-midi", "unknown", "train")
        assert track.group in groups.values()
        assert truth.meter.beats_per_bar == 4
        assert truth.tempo.bpm is not None
        assert 80 <= truth.tempo.bpm <= 144
        assert len(truth.beats.times_seconds) > 8
    before = sorted(path.stat().st_mtime_ns for path in out.rglob("*.ogg"))
    render(out, folder)
    assert sorted(path.stat().st_mtime_ns for path in out.rglob("*.ogg")) == before


def test_another_folder_in_the_same_corpus_is_refused(folder: Path, tmp_path: Path) -> None:
    render(tmp_path / "out", folder, clips=1)
    (folder / "d.mid").write_bytes(tune(9))
    with pytest.raises(StoreMismatch):
        render(tmp_path / "out", folder, clips=1)


def test_a_folder_without_songs_says_what_a_song_is(tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "loose.mid").write_bytes(tune(4, late=100))
    with pytest.raises(UserMustAct, match=r"has 1 MIDI files .* none of which is a song of one tempo"):
        render(tmp_path / "out", tmp_path / "songs")


def test_no_folder_and_a_source_without_its_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="nowhere is no folder"):
        render(tmp_path / "out", tmp_path / "nowhere")
    with pytest.raises(UserMustAct, match="give both"):
        render(tmp_path / "out", None, sources=("midi",))
    with pytest.raises(UserMustAct, match="give both"):
        render(tmp_path / "out", tmp_path, sources=("builtin",))
