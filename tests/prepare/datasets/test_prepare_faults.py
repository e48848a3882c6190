"""What may not be read or written, for somebody who is not root: counted losses, or one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from llark import audio
from llark.errors import UserMustAct
from llark.prepare import datasets, stage
from llark.prepare.crop import Convert
from llark.prepare.stage import PrepareConfig
from llark.records import Clip, Dropped, Track
from llark.storage import stages
from tests.prepare.datasets.dataset_trees import TREES, write


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    """A folder where work is done without root's rights; what must be imported is imported before."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    _music(folder / "before", 1)
    stage.run(PrepareConfig(str(folder / "before"), convert="wav"), str(folder / "warm"), progress=False)
    for name in datasets.names():
        datasets.load(name)
    b"\xef\xbb\xbf".decode("utf-8-sig")
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        subprocess.run(["chmod", "-R", "u+rwx", str(folder)], check=True)
        shutil.rmtree(folder)


def _music(folder: Path, number: int) -> Path:
    folder.mkdir(parents=True)
    for index in range(number):
        audio.save(folder / f"{index:02d}.wav", np.full(16000, 0.1, np.float32), 8000)
    return folder


def test_files_and_folders_that_may_not_be_opened_are_counted_losses(nobodys_folder: Path) -> None:
    music = _music(nobodys_folder / "music", 3)
    _music(music / "closed", 2)
    (music / "closed").chmod(0)
    (music / "01.wav").chmod(0)
    found = stage.run(PrepareConfig(str(music)), str(nobodys_folder / "out"), progress=False)
    assert (found.whole.tracks, found.lost) == (2, {"missing": 1, "unreadable": 1})
    drops = {drop.id: drop for drop in stages.read_dropped(nobodys_folder / "out" / "clips")}
    assert drops["closed"].detail == f"{music}/closed cannot be read: Permission denied."
    (music / "closed").chmod(0o755)


def test_a_source_that_may_not_be_opened_is_one_sentence(nobodys_folder: Path) -> None:
    music = _music(nobodys_folder / "music", 1)
    music.chmod(0)
    with pytest.raises(UserMustAct, match=r"music cannot be read: Permission denied\."):
        list(datasets.load("folder").read_tracks(music))


@pytest.mark.parametrize(
    ("name", "file", "id_"),
    [
        ("giantsteps_key", "annotations/key/1.LOFI.key", "1.LOFI"),
        ("gtzan", "gtzan_tempo_beat-main/beats/gtzan_blues_00029.beats", "blues.00029"),
        ("slakh", "train/Track00001/MIDI/S00.mid", "Track00001"),
        ("fsl10k", "annotations/ben/sound-12.json", "12"),
    ],
)
def test_a_file_about_one_recording_costs_that_recording(
    nobodys_folder: Path, name: str, file: str, id_: str
) -> None:
    TREES[name](nobodys_folder / "set")
    before = [r.id for r in datasets.load(name).read_tracks(nobodys_folder / "set") if isinstance(r, Track)]
    (nobodys_folder / "set" / file).chmod(0)
    records = list(datasets.load(name).read_tracks(nobodys_folder / "set"))
    assert [r.id for r in records if isinstance(r, Track)] == [other for other in before if other != id_]
    (drop,) = [r for r in records if isinstance(r, Dropped) and r.id == id_]
    assert drop.reason == "unreadable"
    assert drop.detail == f"{nobodys_folder}/set/{file} cannot be read: Permission denied."


@pytest.mark.parametrize(
    ("name", "table"),
    [("fma", "fma_metadata/tracks.csv"), ("nsynth", "nsynth-test/examples.json"),
     ("mtg_jamendo", "data/autotagging.tsv")],
)  # fmt: skip
def test_a_table_that_may_not_be_read_is_one_sentence(nobodys_folder: Path, name: str, table: str) -> None:
    TREES[name](nobodys_folder / "set")
    (nobodys_folder / "set" / table).chmod(0)
    with pytest.raises(UserMustAct) as caught:
        list(datasets.load(name).read_tracks(nobodys_folder / "set"))
    assert str(caught.value) == f"{nobodys_folder}/set/{table} cannot be read: Permission denied."


@pytest.mark.parametrize("place", ["audio", "clips", "tracks/unfinished"])
def test_a_permission_taken_away_in_the_middle_stops_and_the_next_run_goes_on(
    nobodys_folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    music, out = _music(nobodys_folder / "music", 12), nobodys_folder / "out"
    settings, calls, whole = PrepareConfig(str(music), convert="wav"), [], Convert.__call__
    monkeypatch.setattr(stage, "_FLUSH_RECORDS", 6)

    def revoke(self: Convert, clip: Clip) -> Clip:
        calls.append(clip)
        if len(calls) == 7:
            (out / place).chmod(0o555)
            for folder in (out / place).glob("*") if place == "audio" else ():
                folder.chmod(0o555)
        return whole(self, clip)

    with monkeypatch.context() as patch:
        patch.setattr(Convert, "__call__", revoke)
        with pytest.raises(UserMustAct, match=r"^Cannot write .*Permission denied"):
            stage.run(settings, str(out), progress=False)
    assert not (out / "prepared.json").exists()
    for folder in (out / place, *((out / place).glob("*") if place == "audio" else ())):
        folder.chmod(0o755)
    assert not [path for path in out.rglob("*.tmp") if path.suffix == ".wav"]
    found = stage.run(settings, str(out), progress=False)
    assert (found.whole.tracks, found.whole.clips, dict(found.lost)) == (12, 12, {})
    assert [clip.track_id for clip in stages.read(out / "clips", Clip)] == [f"{n:02d}" for n in range(12)]
    assert all(audio.probe(clip.path).duration_seconds == 2.0 for clip in stages.read(out / "clips", Clip))


def test_an_empty_store_of_a_data_set_is_said_to_be_empty(tmp_path: Path) -> None:
    write(tmp_path / "README", "moved")
    with pytest.raises(UserMustAct, match=r"has no fma_metadata/tracks.csv or tracks.csv; it holds README\."):
        list(datasets.load("fma").read_tracks(tmp_path))
