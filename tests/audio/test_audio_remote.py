"""Recordings behind URLs: the same samples as on disk, fetching what is needed and no more."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from llark import audio, engine
from llark.audio import source
from llark.errors import BadAudio, UserMustAct
from llark.prepare.crop import Crop
from llark.records import Track
from llark.storage import stages
from tests.damage import encode


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("remote")
    return {
        "wav": encode.write(folder / "c.wav", encode.sound()),
        "flac": encode.write(folder / "c.flac", encode.sound()),
        "ogg": encode.write(folder / "c.ogg", encode.sound()),
        "mp3": encode.encode(folder / "c.mp3", "libmp3lame"),
        "bare": encode.encode(folder / "bare.mp3", "libmp3lame", write_xing="0"),
        "opus": encode.encode(folder / "c.opus", "libopus", rate=48000),
        "m4a": encode.encode(folder / "c.m4a", "aac"),
        "webm": encode.encode(folder / "c.webm", "libopus", rate=48000),
    }


def _put(url: str, data: bytes) -> str:
    with fsspec.open(url, "wb") as file:
        file.write(data)
    return url


@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "mp3", "bare", "opus", "m4a", "webm"])
@pytest.mark.parametrize("store_url", ["memory://music", "s3"])
def test_a_recording_behind_a_url_is_read_like_one_on_disk(
    files: dict[str, Path], name: str, store_url: str, request: pytest.FixtureRequest
) -> None:
    base = request.getfixturevalue("bucket") if store_url == "s3" else store_url
    url = _put(f"{base}/{files[name].name}", files[name].read_bytes())
    assert audio.probe(url) == audio.probe(files[name])
    for window in ({}, {"start_seconds": 2.3, "end_seconds": 4.1}):
        there, rate = audio.load(url, **window)
        here, _ = audio.load(files[name], **window)
        assert rate == audio.probe(url).sample_rate
        assert np.array_equal(there, here)


def test_a_window_of_a_long_recording_fetches_a_small_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    long = np.tile(encode.sound(), (40, 1))
    path = f"memory://{uuid.uuid4().hex}.wav"
    with fsspec.open(path, "wb") as file:
        encode.write(file, long, format="WAV")
    fetched: list[int] = []
    real = source._Watched.read

    def counted(self: source._Watched, size: int = -1) -> bytes:
        data = real(self, size)
        fetched.append(len(data))
        return data

    monkeypatch.setattr(source._Watched, "read", counted)
    samples, _ = audio.load(path, start_seconds=100.0, end_seconds=125.0)
    assert len(samples) == 25 * encode.RATE
    assert sum(fetched) < 1.2 * 25 * encode.RATE * 4 < long.nbytes / 8


@pytest.mark.parametrize("store_url", ["memory://prints", "s3"])
def test_a_fingerprint_tells_a_file_that_shrank_or_was_swapped_and_is_the_same_behind_a_url(
    files: dict[str, Path], tmp_path: Path, store_url: str, request: pytest.FixtureRequest
) -> None:
    base = request.getfixturevalue("bucket") if store_url == "s3" else store_url
    data = files["wav"].read_bytes()
    middle = len(data) // 2
    others = {
        "whole": data,
        "cut": data[:-1000],
        "longer": data + bytes(4),
        "swapped": data[:44] + data[4044:] + data[44:4044],
        "middle": data[:middle] + bytes(1000) + data[middle + 1000 :],
        "small": data[:100],
    }
    prints = {}
    for name, content in others.items():
        path = tmp_path / name
        path.write_bytes(content)
        prints[name] = audio.fingerprint(str(path))
        assert audio.fingerprint(_put(f"{base}/{name}", content)) == prints[name]
    assert prints["whole"] == audio.fingerprint(files["wav"])
    assert len(set(prints.values())) == len(others)
    for gone in (str(tmp_path / "gone"), f"{base}/gone"):
        with pytest.raises(UserMustAct):
            audio.fingerprint(gone)


def test_what_is_not_behind_a_url_is_missing_and_what_is_no_audio_is_dropped(bucket: str) -> None:
    _put(f"{bucket}/folder/song.mp3", b"<html>404</html>" * 100)
    _put(f"{bucket}/folder/empty.mp3", b"")
    expected = {
        "nobody.mp3": "missing",
        "folder": "folder",
        "folder/song.mp3": "not-audio",
        "folder/empty.mp3": "empty",
    }
    for name, reason in expected.items():
        for read in (audio.load, audio.probe):
            with pytest.raises(BadAudio, match=f"{bucket}/{name}") as caught:
                read(f"{bucket}/{name}")
            assert caught.value.reason == reason
            assert isinstance(caught.value, UserMustAct) == (reason in ("missing", "folder"))


def test_a_store_that_fails_on_the_way_is_no_damage(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("flac", "m4a"):
        url = _put(f"memory://failing/{files[name].name}", files[name].read_bytes())
        system = type(fsspec.filesystem("memory"))
        real = system.open

        def failing(self: Any, *args: Any, real: Any = real, **options: Any) -> Any:
            opened = real(self, *args, **options)
            calls = iter(range(1000))

            def read(size: int = -1) -> bytes:
                if next(calls) > 2:
                    raise TimeoutError("the store does not answer")
                return bytes(type(opened).read(opened, size))

            opened.read = read
            return opened

        with monkeypatch.context() as patch:
            patch.setattr(system, "open", failing)
            with pytest.raises(OSError, match="does not answer"):
                audio.load(url)


def test_a_folder_is_made_from_remote_recordings_to_a_remote_place(
    bucket: str, files: dict[str, Path]
) -> None:
    tracks = [
        Track(name, _put(f"{bucket}/in/{name}", path.read_bytes())) for name, path in sorted(files.items())
    ]
    tracks.append(Track("nobody", f"{bucket}/in/nobody"))
    engine.run(Crop(), tracks, stages.open_stage(f"{bucket}/clips", "prepare"), progress=False)
    assert stages.about(f"{bucket}/clips")["counts"] == {"in": 9, "out": 8, "dropped": {"missing": 1}}


def test_a_url_that_ffmpeg_knows_is_never_opened_by_ffmpeg(tmp_path: Path) -> None:
    for name in ("http:127.0.0.1", "concat:a|b", "data:audio"):
        with pytest.raises(BadAudio) as caught:
            audio.load(tmp_path / name)
        assert caught.value.reason == "missing"
