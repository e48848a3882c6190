"""Which files become tracks, and under which ids."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llark.errors import UserMustAct
from llark.prepare.datasets.folder import fingerprint, tracks_of


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
    assert [t.id for t in both] == ["song", "song.mp3", "song.wav"]
    assert len({t.path for t in both}) == 3


def test_a_named_file_is_taken_whatever_its_suffix_and_only_once(tmp_path: Path) -> None:
    _touch(tmp_path, "take.bin", "b.mp3")
    tracks = tracks_of([tmp_path / "take.bin", tmp_path, tmp_path / "b.mp3", tmp_path / "." / "b.mp3"])
    assert [track.id for track in tracks] == ["b", "take"]
    assert all(Path(track.path).is_absolute() for track in tracks)


def test_a_folder_without_audio_is_for_a_person_to_mend(tmp_path: Path) -> None:
    _touch(tmp_path, "readme.txt")
    with pytest.raises(UserMustAct, match="holds no audio file"):
        tracks_of([tmp_path])


def test_a_path_that_is_not_there_is_for_a_person_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="There is no file or folder"):
        tracks_of([tmp_path / "nowhere"])


def test_a_name_that_is_not_text_is_for_a_person_to_mend(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.mp3"
    with open(path, "wb") as file:
        file.write(b"x")
    with pytest.raises(UserMustAct, match="not UTF-8"):
        tracks_of([tmp_path])


def test_the_fingerprint_changes_with_the_files_and_not_with_their_place(tmp_path: Path) -> None:
    _touch(tmp_path / "one", "a.mp3", "b.mp3")
    _touch(tmp_path / "two", "a.mp3", "b.mp3")
    before = fingerprint(tracks_of([tmp_path / "one"]))
    assert fingerprint(tracks_of([tmp_path / "two"])) == before
    (tmp_path / "two" / "a.mp3").write_bytes(b"longer")
    assert fingerprint(tracks_of([tmp_path / "two"])) != before
    _touch(tmp_path / "one", "c.mp3")
    assert fingerprint(tracks_of([tmp_path / "one"])) != before
