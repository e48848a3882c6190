"""`llark prepare`, as somebody who types it: several formats, damage, kill -9, and another option."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import mutagen
import numpy as np
import pytest

from llark import audio, cli
from llark.errors import StoreMismatch, UserMustAct
from llark.prepare import stage
from llark.prepare.crop import STRATEGIES, Crop, named
from llark.prepare.stage import PrepareConfig
from llark.records import Annotation, Beats, Clip, Dropped, Key, Note, Notes, Tempo, Track
from llark.storage import stages


def _music(folder: Path, lengths: dict[str, float], rate: int = 8000) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, seconds in lengths.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hertz = 200 + 10 * len(name)
        samples = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
        audio.save(path, samples.astype(np.float32), rate)
    return folder


def _llark(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit status, standard output and error of the real command line."""
    status = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["llark", *map(str, words)])
        try:
            cli.main()
        except SystemExit as stop:
            status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def _contents(out: Path) -> dict[str, bytes]:
    """All that a prepared folder says, whatever the borders of its parts."""
    found = {}
    for folder in sorted(path for path in out.iterdir() if path.is_dir() and path.name != "audio"):
        parts = sorted(folder.glob("part-*.jsonl"))
        found[f"{folder.name}/records"] = b"".join(part.read_bytes() for part in parts)
        for name in ("dropped.jsonl", "about.json"):
            found[f"{folder.name}/{name}"] = (folder / name).read_bytes()
    return {**found, "prepared.json": (out / "prepared.json").read_bytes()}


def test_a_folder_of_formats_and_damage_becomes_tracks_clips_and_counted_losses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lengths = {"a.wav": 30.5, "b/c.ogg": 12.0, "b/d.flac": 3.0, "e.mp3": 26.0, "short.wav": 0.3}
    music = _music(tmp_path / "music", lengths)
    (music / "bad.mp3").write_text("words\n" * 1000)
    (music / "empty.ogg").touch()
    tagged: Any = mutagen.File(music / "b" / "c.ogg")
    tagged.update(title="T", genre="Folk")
    tagged.save()
    status, said, _ = _llark(capsys, "prepare", music, "--out", tmp_path / "out", "--workers", 0)
    assert status == 0
    tracks = {track.id: track for track in stages.read(tmp_path / "out" / "tracks", Track)}
    assert list(tracks) == ["a", "e", "b/c", "b/d"]
    assert tracks["b/c"].title == "T"
    assert tracks["b/c"].metadata == {
        "genre": ("Folk",),
        "audio.format": "ogg",
        "audio.sample_rate": 8000,
        "audio.channels": 1,
        "audio.duration_seconds": 12.0,
    }
    clips = [(clip.id, clip.duration_seconds) for clip in stages.read(tmp_path / "out" / "clips", Clip)]
    assert [id_ for id_, _ in clips] == ["a@0.00", "a@25.00", "e@0.00", "e@25.00", "b/c@0.00", "b/d@0.00"]
    assert sum(seconds for _, seconds in clips) == pytest.approx(30.5 + 12 + 3 + 26, abs=0.1)
    page = json.loads((tmp_path / "out" / "prepared.json").read_bytes())
    assert page["counts"] == {
        "read": 7,
        "tracks": 4,
        "lost": {"empty": 1, "not-audio": 1, "too-short": 1},
        "clips": 6,
        "dropped": {"empty": 1, "not-audio": 1, "too-short": 1},
        "truths": 0,
        "captions": 0,
    }
    assert not (tmp_path / "out" / "truths").exists()
    assert "folder: 4 tracks, 1.2 min → 6 clips, 1.2 min" in said
    assert "dropped: not-audio 1×, as " in said


def test_films_and_unknown_suffixes_are_read_and_what_cannot_be_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    music = _music(tmp_path / "music", {"a.wav": 2.0, "b.flac": 2.0, "c.ogg": 2.0})
    (music / "a.wav").rename(music / "a.bwf")
    (music / "b.flac").rename(music / "b")
    (music / "c.ogg").rename(music / "c.spx")
    (music / "d.dsf").write_bytes(b"DSD " + bytes(200))
    (music / "e.mkv").write_bytes(bytes(200))
    (music / "f.rec").write_bytes(b"OggS" + bytes(200))
    for name in ("cover.jpg", "list.cue", ".DS_Store", "x.dat"):
        (music / name).write_bytes(b"data")
    status, said, error = _llark(capsys, "prepare", music, "--out", tmp_path / "out", "--workers", 0)
    assert (status, said.splitlines()[0]) == (0, "folder: 3 tracks, 6 s → 3 clips, 6 s")
    assert [t.id for t in stages.read(tmp_path / "out" / "tracks", Track)] == ["a", "b", "c"]
    assert sorted(d.id for d in stages.read_dropped(tmp_path / "out" / "tracks")) == ["d", "e", "f"]
    assert f"{music}: left out what is no audio: .dat 1×" in error


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_source_that_gives_no_track_is_an_error_and_is_read_again_when_it_is_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    music = _music(tmp_path / "music", {"a.wav": 0.2})
    (music / "b.mp3").write_text("words")
    words = ("prepare", music, "--out", tmp_path / "out", "--workers", 0, "--drop-share", share)
    status, said, error = _llark(capsys, *words)
    assert (status, said) == (2, "")
    assert ("not-audio 1×" in error, "too-short 1×" in error) == (True, True)
    _music(music, {"a.wav": 2.0})
    assert _llark(capsys, *words)[0] == (0 if share < 1 else 2)


def test_a_changed_option_is_refused_with_both_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    music = _music(tmp_path / "music", {"a.wav": 3.0})
    out = ("--out", tmp_path / "out", "--workers", 0)
    assert _llark(capsys, "prepare", music, *out)[0] == 0
    before = _contents(tmp_path / "out")
    for words, says in (
        (("--crop", "first"), 'crop.strategy: "every" there, "first" here'),
        (("--window-seconds", 10), "crop.window_seconds: 25.0 there, 10.0 here"),
        (("--convert", "wav"), 'convert: null there, "wav" here'),
        (("--limit", 1), "limit: null there, 1 here"),
    ):
        status, _, error = _llark(capsys, "prepare", music, *out, *words)
        assert status == 2
        assert says in error
        assert error.count("\n") == 1
    assert _llark(capsys, "prepare", music, *out)[0] == 0
    assert _contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--crop", "last"), "every"),
        (("--hop-seconds", "5", "--crop", "first"), "a hop goes with the strategy every"),
        (("--sample-rate", "8000"), "goes with --convert"),
        (("--dataset", "foldr"), "Did you mean folder?"),
        (("--columns", "path=x"), "goes with the data sets csv and jsonl"),
        (("--columns", "path"), "takes field=column"),
        (("--options", "version=1"), "folder has no option 'version'"),
        (("--options", "version"), "--options takes name=value, as version=1, each once; not 'version'"),
        (("--split", "train"), "There is no split 'train'"),
        (("--limit", "0"), "Must be >= 1"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    music = _music(tmp_path / "music", {"a.wav": 3.0})
    status, out, error = _llark(capsys, "prepare", music, "--out", tmp_path / "out", "--workers", 0, *words)
    assert status != 0
    assert says in " ".join((out + error).split())
    assert not (tmp_path / "out" / "prepared.json").exists()


_KILLED = """
import sys, time
from llark import cli
from llark.prepare import stage
from llark.prepare.crop import Crop
stage._FLUSH_RECORDS = 30
real = Crop.__call__

def slow(self, record):
    time.sleep(0.01)  # so that a kill comes before the end on a busy machine too
    return real(self, record)

Crop.__call__ = slow
sys.argv = ["llark", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.slow
def test_kill_9_and_a_rerun_give_the_bytes_of_an_undisturbed_run(tmp_path: Path) -> None:
    music = _music(tmp_path / "music", {f"{n:03d}.wav": 1.0 + n % 4 for n in range(120)})
    (music / "100.wav").write_bytes(b"RIFF no audio")
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    words = [str(music), "--out", str(out), "--convert", "wav", "--window-seconds", "2", "--workers", "0"]
    command = [sys.executable, "-c", _KILLED, "prepare", *words]
    subprocess.run(command, check=True, capture_output=True)
    out.rename(undisturbed)
    kills = 0
    for parts in (1, 3, 6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        committed = out / "tracks" / "unfinished"
        while process.poll() is None and len(list(committed.glob("part-*.json"))) < parts:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 2
    assert not (out / "tracks" / "about.json").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert _contents(out) == _contents(undisturbed)
    names = sorted(path.relative_to(out) for path in out.rglob("*.wav"))
    assert names == sorted(path.relative_to(undisturbed) for path in undisturbed.rglob("*.wav"))
    assert len(names) == len(list(stages.read(out / "clips", Clip)))
    assert all((out / name).read_bytes() == (undisturbed / name).read_bytes() for name in names)
    counts = json.loads((out / "prepared.json").read_bytes())["counts"]
    assert (counts["read"], counts["tracks"], counts["lost"]) == (120, 119, {"not-audio": 1})


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    music = _music(tmp_path / "music", {f"{n}.wav": 5.0 + n / 10 for n in range(12)})
    crop = named("random", 2.0, seed=3)
    alone, together = tmp_path / "alone", tmp_path / "together"
    stage.run(PrepareConfig(str(music), crop=crop), str(alone), progress=False)
    stage.run(PrepareConfig(str(music), crop=crop), str(together), workers=2, progress=False)
    assert _contents(alone) == _contents(together)
    assert len({clip.start_seconds for clip in stages.read(alone / "clips", Clip)}) == 12


def test_a_source_that_changed_between_two_runs_is_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    music = _music(tmp_path / "music", {"a.wav": 2.0, "b.wav": 2.0, "c.wav": 2.0})
    settings, out = PrepareConfig(str(music)), str(tmp_path / "out")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage.PrepareWriter, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            stage.run(settings, out, progress=False)
    (music / "b.wav").unlink()
    with pytest.raises(UserMustAct, match=r"now gives 2 recordings, .* accounts for 3: the source changed"):
        stage.run(settings, out, progress=False)


def test_clips_of_a_track_that_is_not_there_are_not_called_prepared(tmp_path: Path) -> None:
    """A kill after a track's clips were written and before the track was, and then its file is gone."""
    music = _music(tmp_path / "music", {"a.wav": 2.0, "b.wav": 2.0})
    settings, out = PrepareConfig(str(music)), str(tmp_path / "out")
    with stage.PrepareWriter(out, settings) as folders:
        clip = Clip("c@0.00", "c", str(music / "c.wav"), 0.0, 2.0)
        folders._clips.write("c", [clip])
    with pytest.raises(UserMustAct, match=r"now gives 2 recordings, .* accounts for 3: the source changed"):
        stage.run(settings, out, progress=False)
    assert not (tmp_path / "out/prepared.json").exists()


def test_a_track_that_was_lost_after_its_clips_were_written_is_not_called_prepared(tmp_path: Path) -> None:
    music = _music(tmp_path / "music", {"a.wav": 2.0, "b.wav": 2.0})
    settings, out = PrepareConfig(str(music)), str(tmp_path / "out")
    with stage.PrepareWriter(out, settings) as folders:
        folders._clips.write("b", [Clip("b@0.00", "b", str(music / "b.wav"), 0.0, 2.0)])
    (music / "b.wav").write_bytes(b"no longer a recording")
    with pytest.raises(UserMustAct, match=r"clips of 2 recordings and 1 tracks: a recording changed"):
        stage.run(settings, out, progress=False)
    assert not (tmp_path / "out/prepared.json").exists()


# --- clips with files of their own ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_converted_clips_are_mono_files_at_the_rate_that_sound_like_their_window(
    tmp_path: Path, kind: Any
) -> None:
    music = tmp_path / "music"
    music.mkdir()
    time_ = np.arange(5 * 44100) / 44100
    tone = np.where(time_ < 2, 0, 0.5 * np.sin(2 * np.pi * 440 * time_)).astype(np.float32)
    audio.save(music / "a.flac", np.stack([tone, np.zeros_like(tone)], axis=1), 44100)
    settings = PrepareConfig(str(music), crop=Crop(2.0), convert=kind, sample_rate=16000)
    stage.run(settings, str(tmp_path / "out"), progress=False)
    first, second, third = stages.read(tmp_path / "out" / "clips", Clip)
    assert [clip.offset_seconds for clip in (first, second, third)] == [0.0, 2.0, 4.0]
    assert (second.id, second.start_seconds, second.end_seconds) == ("a@2.00", 0.0, 2.0)
    assert Path(second.path).is_relative_to(tmp_path / "out" / "audio")
    info = audio.probe(second.path)
    assert (info.sample_rate, info.channels, info.duration_seconds) == (16000, 1, 2.0)
    quiet, loud = (audio.load(clip.path)[0] for clip in (first, second))
    assert np.abs(quiet[:-200]).max() < 1e-3
    assert np.sqrt((loud**2).mean()) == pytest.approx(0.25 / np.sqrt(2), rel=0.01)
    assert third.end_seconds == pytest.approx(1.0)
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_converted_clips_of_hostile_and_long_names_have_short_and_plain_file_names(tmp_path: Path) -> None:
    names = ["é" * 120 + ".wav", "a;$(rm -rf x) `b`.wav", "夜.wav", "夜夜.wav"]
    music = _music(tmp_path / "music", dict.fromkeys(names, 1.5))
    stage.run(PrepareConfig(str(music), convert="wav"), str(tmp_path / "out"), progress=False)
    paths = [Path(clip.path) for clip in stages.read(tmp_path / "out" / "clips", Clip)]
    assert len(set(paths)) == 4
    assert all(path.name.isascii() and len(path.name) < 80 and path.exists() for path in paths)
    assert not any(set(path.name) & set(" ;$`()/") for path in paths)


def test_a_full_disk_stops_the_run_and_another_run_goes_on(tmp_path: Path) -> None:
    lengths = {f"{n}.wav": 1.0 for n in range(5)} | {"5.wav": 9.0}
    music, out = _music(tmp_path / "music", lengths), tmp_path / "out"
    words = ["prepare", str(music), "--out", str(out), "--convert", "wav", "--workers", "0"]
    command = [str(Path(sys.executable).parent / "llark"), *words]
    limited = ["bash", "-c", 'ulimit -f 60; exec "$@"', "limited", *command]  # no file above 60 kB
    stopped = subprocess.run(limited, capture_output=True, text=True)
    assert stopped.returncode == 2
    assert stopped.stderr.splitlines()[-1].startswith("llark: Cannot write ")
    assert "What was finished is kept." in stopped.stderr
    assert not list(out.rglob("*.tmp"))
    assert not (out / "prepared.json").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "6 tracks" in again.stdout
    assert "dropped" not in again.stdout
    for clip in stages.read(out / "clips", Clip):
        assert audio.probe(clip.path).duration_seconds == clip.duration_seconds


def test_source_and_output_may_be_urls(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    _music(tmp_path, {"a.ogg": 5.0})
    memory.pipe_file("/prepare-test/in/b/a.ogg", (tmp_path / "a.ogg").read_bytes())
    settings = PrepareConfig("memory://prepare-test/in", crop=Crop(3.0), convert="flac")
    found = stage.run(settings, "memory://prepare-test/out", progress=False)
    assert (found.whole.tracks, found.whole.clips) == (1, 2)
    first, second = stages.read("memory://prepare-test/out/clips", Clip)
    assert first.path.startswith("memory://prepare-test/out/audio/")
    assert audio.probe(second.path).duration_seconds == 2.0
    assert memory.exists("/prepare-test/out/prepared.json")


# --- truths -----------------------------------------------------------------------------------------------

TRUTH = Annotation(
    "t", 0.0, 9.0, Tempo(120, 1.0, "x"), Beats((0.5, 2.5, 4.5, 8.5)), key=Key("C major", 1.0, "x"),
    notes=Notes((Note(1.0, 5.0, 60, "piano"),), 1.0, "x"),
)  # fmt: skip


def _labelled(folder: Path, labels: Annotation | None) -> Iterator[Track | Dropped]:
    yield Track("bare", str(folder / "a.wav"), licence="CC0")
    yield Dropped("x", "prepare", "missing-audio", "There is no x.")
    yield Dropped("x", "prepare", "missing-audio", "There is no x either.")
    yield Track("t", str(folder / "b.wav"), split="test", start_seconds=2.0, truth=labels)


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    music = _music(tmp_path / "music", {"a.wav": 3.0, "b.wav": 9.0})
    monkeypatch.setattr(stage, "_read", lambda settings: _labelled(music, TRUTH))
    return music


def test_each_clip_has_its_own_part_of_the_labels(tmp_path: Path, labelled: Path) -> None:
    settings = PrepareConfig(str(labelled), crop=Crop(4.0))
    found = stage.run(settings, str(tmp_path / "out"), progress=False, drop_share=1.0)
    one, two = stages.read(tmp_path / "out" / "truths", Annotation)
    assert (one.clip_id, one.start_seconds, one.end_seconds) == ("t@2.00", 2.0, 6.0)
    assert (one.beats.times_seconds, two.beats.times_seconds) == ((2.5, 4.5), (8.5,))
    assert [(note.onset_seconds, note.offset_seconds) for note in one.notes.notes] == [(2.0, 5.0)]
    assert (two.notes, two.key.name, two.tempo.bpm) == (Notes(), "C major", 120)
    assert (found.truths, found.lost) == (2, {"missing-audio": 2})
    assert {name: part.clips for name, part in found.splits.items()} == {"all": 1, "test": 2}
    assert stages.about(tmp_path / "out" / "truths")["counts"]["in"] == 1


def test_the_labels_of_converted_clips_are_on_the_clock_of_their_files(
    tmp_path: Path, labelled: Path
) -> None:
    settings = PrepareConfig(str(labelled), crop=Crop(4.0), convert="wav")
    stage.run(settings, str(tmp_path / "out"), progress=False, drop_share=1.0)
    one, two = stages.read(tmp_path / "out" / "truths", Annotation)
    assert (one.start_seconds, one.end_seconds) == (0.0, 4.0)
    assert (one.beats.times_seconds, two.beats.times_seconds) == ((0.5, 2.5), (2.5,))


def test_every_input_is_kept_or_dropped_or_our_mistake_is_loud(tmp_path: Path) -> None:
    with stage.PrepareWriter(str(tmp_path / "out"), PrepareConfig("x")) as folders:
        with pytest.raises(AssertionError, match="neither kept nor dropped"):
            folders.write("a", [])
        with pytest.raises(AssertionError, match="clips and no track"):
            folders.write("a", [Clip("a@0", "a", "a.wav", 0, 1)])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_accounts_for_each_track(tmp_path: Path, strategy: Any) -> None:
    music = _music(tmp_path / "music", {f"{n}.wav": 0.5 + 1.3 * n for n in range(8)})
    found = stage.run(
        PrepareConfig(str(music), crop=named(strategy, 2.0)), str(tmp_path / "out"), progress=False
    )
    assert found.whole.tracks + sum(found.lost.values()) == 8
    expected = {"every": (7, 21), "published-multi": (6, 16)}.get(strategy, (7, 7))
    assert (found.whole.tracks, found.whole.clips) == expected


# --- memory -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_20_000_tracks_go_through_and_few_are_alive_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: weakref.WeakSet[Track] = weakref.WeakSet()
    most = 0

    def tracks(_: PrepareConfig) -> Iterator[Track]:
        nonlocal most
        for index in range(20_000):
            track = Track(f"{index}", "a.wav")
            alive.add(track)
            most = max(most, len(alive))
            yield track

    monkeypatch.setattr(stage, "_read", tracks)
    monkeypatch.setattr(audio, "probe", lambda path: audio.AudioInfo(8000, 1, 20.0, "wav"))
    monkeypatch.setattr(audio, "fingerprint", lambda path: "f")
    found = stage.run(PrepareConfig("x"), str(tmp_path / "out"), progress=False)
    assert (found.whole.tracks, found.whole.clips) == (20_000, 20_000)
    assert most < 20


def test_a_new_folder_with_other_settings_is_not_mixed(tmp_path: Path) -> None:
    with stage.PrepareWriter(str(tmp_path / "out"), PrepareConfig("x")):
        pass
    with pytest.raises(StoreMismatch, match='split: null there, "test" here'):
        stage.PrepareWriter(str(tmp_path / "out"), replace(PrepareConfig("x"), split="test"))
