"""Tracks become clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llark import audio, engine, store
from llark.errors import BadAudio
from llark.prepare.crop import Crop
from llark.prepare.files import read_tracks
from llark.records import Clip, Dropped, Track


def _track(folder: Path, seconds: float, name: str = "song") -> Track:
    samples = 0.1 * np.sin(np.arange(round(seconds * 8000)) / 10)
    audio.save(folder / f"{name}.wav", samples, 8000)
    return Track(id=name, path=str(folder / f"{name}.wav"), split="test", dataset="d")


def test_a_track_becomes_windows_of_25_seconds_and_a_shorter_last_one(tmp_path: Path) -> None:
    track = _track(tmp_path, 62.5)
    clips = list(Crop()(track))
    assert all(isinstance(clip, Clip) for clip in clips)
    assert [(clip.start_seconds, clip.end_seconds) for clip in clips] == [(0, 25), (25, 50), (50, 62.5)]
    assert clips[1] == Clip("song@25.00", "song", track.path, 25.0, 50.0, "test", "d")


def test_a_rest_under_a_second_is_dropped_with_its_length(tmp_path: Path) -> None:
    clip, rest = Crop()(_track(tmp_path, 25.5))
    assert isinstance(clip, Clip)
    assert isinstance(rest, Dropped)
    assert (rest.id, rest.stage, rest.reason) == ("song@25.00", "prepare", "too-short")
    assert "0.50 s long after 25 s" in rest.detail


def test_a_rest_of_encoder_padding_is_not_worth_a_line(tmp_path: Path) -> None:
    assert len(list(Crop()(_track(tmp_path, 25.03)))) == 1


def test_a_fifth_of_a_second_is_too_short(tmp_path: Path) -> None:
    (dropped,) = Crop()(_track(tmp_path, 0.2))
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "too-short"
    assert "song.wav is 0.20 s long; a clip needs 1 s." in dropped.detail


def test_a_text_file_is_bad_audio(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_text("words\n" * 1000)
    with pytest.raises(BadAudio, match="not an audio file"):
        list(Crop()(Track("a", str(tmp_path / "a.mp3"))))


def test_a_folder_of_good_and_bad_files_becomes_clips_and_counted_drops(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    _track(music, 30.0, "good")
    _track(music, 0.2, "short")
    (music / "empty.mp3").touch()
    (music / "text.mp3").write_text("words\n" * 1000)
    writer = store.open_stage(tmp_path / "clips", "prepare", {"window_seconds": 25.0})
    engine.run(Crop(), read_tracks([music]), writer, progress=False)
    assert [clip.id for clip in store.read(tmp_path / "clips", Clip)] == ["good@0.00", "good@25.00"]
    counts = store.about(tmp_path / "clips")["counts"]
    assert counts == {"in": 4, "out": 2, "dropped": {"empty": 1, "not-audio": 1, "too-short": 1}}
