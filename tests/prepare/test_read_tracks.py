"""Which files become tracks, and under which ids."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llark.errors import UserMustAct
from llark.prepare.datasets.folder import digest_of, read_tracks, tracks_of
from llark.records import Dropped, Track


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_folder_is_searched_to_the_bottom_and_sorted(tmp_path: Path) -> None:
    _touch(tmp_path, "b.mp3", "a/2.FLAC", "a/1.ogg", "a/cover.jpg", "notes.txt", ".hidden.mp3", ".git/x.wav")
    assert [track.id for track in tracks_of([tmp_path])] == ["a/1", "a/2", "b"]


def test_ids_stay_unique_where_names_without_suffix_are_the_same(tmp_path: Path) -> None:
    _touch(tmp_path, "x/song.mp3", "x/song.wav", "y/song.mp3", "song.v2.mp3")
    assert [t.id for t in tracks_of([tmp_path])] == ["song.v2", "x/song", "x/song.wav", "y/song"]
    both = tracks_of([tmp_path / "x", tmp_path / "y"])
    assert [t.id for t in both] == ["song", "song.wav", "song.mp3"]
    assert len({t.path for t in both if isinstance(t, Track)}) == 3


def test_a_named_file_is_taken_whatever_its_suffix_and_only_once(tmp_path: Path) -> None:
    _touch(tmp_path, "take.bin", "b.mp3")
    tracks = tracks_of([tmp_path / "take.bin", tmp_path, tmp_path / "b.mp3", tmp_path / "." / "b.mp3"])
    assert [track.id for track in tracks] == ["take", "b"]
    assert all(Path(track.path).is_absolute() for track in tracks if isinstance(track, Track))


def test_a_folder_without_audio_is_for_a_person_to_mend(tmp_path: Path) -> None:
    _touch(tmp_path, "readme.txt")
    with pytest.raises(UserMustAct, match="holds no audio file"):
        tracks_of([tmp_path])


def test_paths_that_are_not_there_and_names_that_are_not_text_cost_no_other(tmp_path: Path) -> None:
    _touch(tmp_path, "b.mp3", "a.mp3")
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp3"))
    path.write_bytes(b"x")
    found = tracks_of([tmp_path / "b.mp3", tmp_path / "no.mp3", path, tmp_path])
    assert [record.id for record in found] == ["b", "no", "\\udcff", "a"]
    assert [drop.reason for drop in found if isinstance(drop, Dropped)] == ["missing", "name-not-text"]


def test_no_path_that_is_not_text_reaches_a_record(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    _touch(folder, "a.mp3")
    _touch(tmp_path, "b.mp3")
    for found in (tracks_of([tmp_path]), list(read_tracks(tmp_path))):
        assert {record.id: getattr(record, "reason", "") for record in found} == {
            "b": "",
            "caf\\udce9/a": "name-not-text",
        }
    (drop,) = tracks_of([folder / "a.mp3"])
    assert isinstance(drop, Dropped)
    assert [record.reason for record in read_tracks(folder) if isinstance(record, Dropped)] == [drop.reason]


@pytest.mark.parametrize(
    "name", ["a::b", "~", "~root", "zip::y", "memory:", "file:o", "c#d*?[1]", "p\\q", "r\ns"]
)
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    _touch(tmp_path / name, f"{name}.mp3")
    for found in (tracks_of([tmp_path / name]), list(read_tracks(tmp_path / name))):
        assert [(record.id, Path(getattr(record, "path", "")).exists()) for record in found] == [(name, True)]


def test_a_recording_of_an_unknown_suffix_is_known_by_its_beginning_and_the_rest_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _touch(tmp_path, "a.mp3", "cover.jpg", "notes.TXT", "x.bin", "y.bin", "README")
    beginnings = {
        "b.dat": b"RIFF\0\0\0\0WAVEfmt ", "c": b"OggS\0", "d.ts": (b"G" + bytes(187)) * 3, "e.bak": b"ID3\4",
        "f.x": b"\0\0\0\x18ftypM4A ", "g.ts": b"export const G = 1;" * 30, "h.x": "text\n".encode("utf-16"),
    }  # fmt: skip
    for name, data in beginnings.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "pipe.bin")
    assert [track.id for track in tracks_of([tmp_path])] == ["a", "b", "c", "d", "e", "f"]
    assert (
        f"{tmp_path}: left out what is no audio: .bin 3×, no suffix 1×, .ts 1×, .x 1×"
        in capsys.readouterr().err
    )


def test_the_fingerprint_changes_with_the_files_and_not_with_their_place(tmp_path: Path) -> None:
    _touch(tmp_path / "one", "a.mp3", "b.mp3")
    _touch(tmp_path / "two", "a.mp3", "b.mp3")
    before = digest_of(tracks_of([tmp_path / "one"]))
    assert digest_of(tracks_of([tmp_path / "two"])) == before
    (tmp_path / "two" / "a.mp3").write_bytes(b"longer")
    assert digest_of(tracks_of([tmp_path / "two"])) != before
    _touch(tmp_path / "one", "c.mp3")
    assert digest_of(tracks_of([tmp_path / "one"])) != before
