"""What files say of themselves, in the formats that people have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import mutagen
import numpy as np
import pytest
from mutagen.id3 import APIC, COMM, ID3, TALB, TBPM, TCON, TDRC, TIT2, TKEY, TPE1, TXXX
from mutagen.mp4 import MP4FreeForm

from llark import audio
from llark.prepare.datasets import folder
from llark.prepare.datasets.folder import read_tags

EXPECTED = {
    "title": "Für Élise",
    "artist": "Ludwig",
    "album": "Bagatellen",
    "genre": ("Classical", "Piano"),
    "year": 1810,
    "bpm": 72.5,
    "key": "Am",
    "comment": "a comment",
}


def _tone(path: Path) -> Path:
    samples = (0.1 * np.sin(np.arange(22050) / 10)).astype(np.float32)
    if path.suffix == ".m4a":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=22050, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate = 22050
            container.mux([*stream.encode(frame), *stream.encode(None)])
    else:
        audio.save(path, samples, 22050)
    return path


def _id3() -> ID3:
    found = ID3()
    for frame in (
        TIT2(text="Für Élise"),
        TPE1(text="Ludwig"),
        TALB(text="Bagatellen"),
        TCON(text=["Classical", "Piano"]),
        TDRC(text="1810-04-27"),
        TBPM(text="72.5"),
        TKEY(text="Am"),
        COMM(lang="eng", desc="", text="a comment"),
        APIC(mime="image/png", data=b"x" * 100_000),
    ):
        found.add(frame)
    return found


def _vorbis(path: Path) -> None:
    file: Any = mutagen.File(path)
    pairs = {**EXPECTED, "genre": ["Classical", "Piano"], "bpm": "72.5", "date": "1810-04-27"}
    file.update({key: value if isinstance(value, list) else [str(value)] for key, value in pairs.items()})
    del file["year"]
    file.save()


@pytest.mark.parametrize("suffix", [".ogg", ".flac", ".opus"])
def test_vorbis_comments_become_typed_fields(tmp_path: Path, suffix: str) -> None:
    path = _tone(tmp_path / f"a{suffix}") if suffix != ".opus" else tmp_path / "a.opus"
    if suffix == ".opus":
        audio.save(path, np.zeros(48000, np.float32), 48000)
    _vorbis(path)
    assert read_tags(str(path)) == EXPECTED


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".aiff"])
def test_id3_becomes_the_same_fields_and_its_picture_none(tmp_path: Path, suffix: str) -> None:
    path = _tone(tmp_path / f"a{suffix}")
    file: Any = mutagen.File(path)
    file.tags = None
    file.add_tags()
    for frame in _id3().values():
        file.tags.add(frame)
    file.save()
    assert read_tags(str(path)) == EXPECTED


def test_mp4_atoms_become_the_same_fields(tmp_path: Path) -> None:
    path = _tone(tmp_path / "a.m4a")
    file: Any = mutagen.File(path)
    file["©nam"], file["©ART"], file["©alb"] = "Für Élise", "Ludwig", "Bagatellen"
    file["©gen"], file["©day"], file["tmpo"] = ["Classical", "Piano"], "1810", [72]
    file["©cmt"] = "a comment"
    file["----:com.apple.iTunes:initialkey"] = MP4FreeForm(b"Am")
    file.save()
    assert read_tags(str(path)) == {**EXPECTED, "bpm": 72.0}


def test_a_genre_that_is_a_number_is_named_and_a_key_in_a_user_frame_is_found(tmp_path: Path) -> None:
    path = _tone(tmp_path / "a.mp3")
    found = ID3()
    found.add(TCON(text="(17)"))
    found.add(TXXX(desc="INITIALKEY", text="8A"))
    found.save(path)
    assert read_tags(str(path)) == {"genre": ("Rock",), "key": "8A"}


def test_numbers_that_are_none_and_empty_texts_are_left_out(tmp_path: Path) -> None:
    path = _tone(tmp_path / "a.ogg")
    file: Any = mutagen.File(path)
    file.update(bpm=["fast"], date=["n.d."], title=["  "], artist=["A\x00\nB"], genre=[""])
    file.save()
    assert read_tags(str(path)) == {"artist": "A B"}


def test_a_broken_tag_is_said_so_and_costs_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(b"fLaC" + bytes([0x84, 0xFF, 0xFF, 0xFF]) + b"\xff" * 100)
    found = read_tags(str(path))
    assert list(found) == ["tags_unreadable"]
    assert "rror" in str(found["tags_unreadable"])


def test_a_pipe_is_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp3")
    assert read_tags(str(tmp_path / "a.mp3")) == {}


def test_without_mutagen_there_are_no_tags_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _tone(tmp_path / "a.ogg")
    _vorbis(path)
    monkeypatch.setattr(folder, "tags_available", lambda: False)
    assert read_tags(str(path)) == {}
