"""The songs with a human tempo, with small files in their place, and the bundled demo recording."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import llark
from llark import audio
from llark.errors import UserMustAct
from llark.evaluate import sounds
from llark.records import Clip

DEMO = Path(llark.__file__).parent / "weights" / "demo"
RATE = 8000


def lay_out(root: Path) -> None:
    """The eight songs' files, a second long: the rest is a tone of 0.5, the guitar another of 0.7."""
    time = np.arange(RATE) / RATE
    for act, folder, _, _ in sounds._SONGS:
        (root / act / folder).mkdir(parents=True)
        for stem, hertz, peak in (("song.ogg", 440, 0.5), ("guitar.ogg", 880, 0.7)):
            tone = peak * np.sin(2 * np.pi * hertz * time)
            audio.save(root / act / folder / stem, tone.astype(np.float32), RATE)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the songs are looked for."""
    monkeypatch.setattr(sounds, "ROOT", tmp_path / "songs")
    return tmp_path / "songs"


def test_missing_songs_name_the_packages_to_install(root: Path) -> None:
    with pytest.raises(UserMustAct, match="apt install fretsonfire-songs-sectoid fretsonfire-songs-muldjord"):
        sounds.songs()


def test_the_eight_songs_have_their_charted_tempo(root: Path) -> None:
    lay_out(root)
    songs = sounds.songs()
    assert [song.tempo_bpm for song in songs] == [95, 140, 150, 135, 170, 170, 190, 180]
    assert {song.licence for song in songs} == {"MIT", "CC-BY-SA-3.0"}
    assert len({song.id for song in songs}) == 8


def test_a_mix_is_the_sum_of_its_files_and_does_not_clip(root: Path) -> None:
    lay_out(root)
    song = sounds.songs()[0]
    samples, rate = sounds.mix(song.paths)
    parts = [audio.load(path)[0] for path in song.paths]
    assert (rate, len(samples)) == (RATE, RATE)
    assert np.abs(samples).max() == pytest.approx(0.9, abs=1e-6)
    np.testing.assert_allclose(samples, sum(parts) * (0.9 / np.abs(sum(parts)).max()), atol=1e-6)
    alone, _ = sounds.mix(song.paths[:1])
    assert np.abs(alone).max() < 0.6


def test_mixes_become_tracks_that_any_clip_of_theirs_has_the_tempo_of(root: Path, tmp_path: Path) -> None:
    lay_out(root)
    tracks = sounds.write_mixes(tmp_path / "mixes")
    assert [track.title for track in tracks[:2]] == ["Feelings", "War of freedom"]
    assert audio.probe(tracks[0].path).duration_seconds == 1.0
    written = Path(tracks[0].path).stat().st_mtime_ns
    assert sounds.write_mixes(tmp_path / "mixes") == tracks
    assert Path(tracks[0].path).stat().st_mtime_ns == written
    clip = Clip("clip", tracks[1].id, tracks[1].path, 0.0, 1.0)
    assert sounds.song_truth(clip).tempo.bpm == 140.0


def test_the_demo_recording_is_thirty_seconds_under_the_mit_licence() -> None:
    about = json.loads((DEMO / "feelings.json").read_text())
    samples, rate = audio.load(DEMO / "feelings.ogg")
    assert (rate, len(samples) / rate) == (22_050, 30.0)
    assert 0.8 < np.abs(samples).max() <= 1.0
    assert np.sqrt(np.mean(samples**2)) > 0.1
    assert (DEMO / "feelings.ogg").stat().st_size < 500_000
    assert (about["title"], about["artist"], about["tempo_bpm"], about["licence"]) == (
        "Feelings",
        "Sectoid",
        95.0,
        "MIT",
    )
    assert "Permission is hereby granted" in (DEMO / about["licence_text"]).read_text()
