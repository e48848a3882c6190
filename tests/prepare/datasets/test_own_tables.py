"""People's own music: a folder with tags, a csv, JSON lines."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import mutagen
import numpy as np
import pytest

from llark import audio
from llark.errors import UserMustAct
from llark.prepare import datasets
from llark.prepare.datasets import csv, folder, jsonl
from llark.records import Dropped, Key, Tempo, Track


def _audio(path: Path, **tags: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.save(path, np.zeros(8000, np.float32), 8000)
    if tags:
        file = mutagen.File(path)
        file.update({name: [text] for name, text in tags.items()})
        file.save()
    return path


def _table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# --- folder -----------------------------------------------------------------------------------------------


def test_a_folder_is_read_to_the_bottom_with_the_tags_of_its_files(tmp_path: Path) -> None:
    _audio(tmp_path / "b.ogg", title="Bé", artist="A", album="L", genre="Rock", date="1999")
    _audio(tmp_path / "a" / "x.flac")
    _audio(tmp_path / "a" / "x.wav")
    _audio(tmp_path / ".trash" / "y.wav")
    (tmp_path / "cover.jpg").write_bytes(b"x")
    tracks = list(folder.read_tracks(tmp_path))
    assert tracks == [
        Track(
            "b", str(tmp_path / "b.ogg"), title="Bé", artist="A", album="L",
            metadata={"genre": ("Rock",), "year": 1999},
        ),
        Track("a/x", str(tmp_path / "a" / "x.flac")),
        Track("a/x.wav", str(tmp_path / "a" / "x.wav")),
    ]  # fmt: skip


def test_names_of_250_characters_and_of_every_script_are_ids(tmp_path: Path) -> None:
    names = ["é" * 120 + ".ogg", "夜に駆ける 🎵.ogg", "a" * 246 + ".ogg", "\u202eabc.ogg", "a'b\"c&d<e>.ogg"]
    for name in names:
        _audio(tmp_path / "x.ogg").rename(tmp_path / name)
    tracks = [track for track in folder.read_tracks(tmp_path) if isinstance(track, Track)]
    assert sorted(track.id + ".ogg" for track in tracks) == sorted(names)
    assert all(Path(track.path).exists() for track in tracks)


def test_a_name_that_is_not_text_is_dropped_and_the_rest_is_read(tmp_path: Path) -> None:
    _audio(tmp_path / "good.wav")
    with open(os.fsencode(tmp_path) + b"/bad\xff.wav", "wb") as file:
        file.write(b"x")
    dropped, track = sorted(folder.read_tracks(tmp_path), key=lambda record: record.id)
    assert isinstance(dropped, Dropped)
    assert (dropped.id, dropped.reason) == ("bad\\udcff", "name-not-text")
    assert isinstance(track, Track)


def test_a_link_that_leads_to_nothing_is_a_counted_loss(tmp_path: Path) -> None:
    _audio(tmp_path / "a.wav")
    (tmp_path / "b.wav").symlink_to("nowhere.wav")
    (tmp_path / "c.wav").symlink_to("c.wav")
    (tmp_path / "cover.jpg").symlink_to("nowhere.jpg")
    track, *drops = folder.read_tracks(tmp_path)
    assert isinstance(track, Track)
    assert [(drop.id, drop.reason) for drop in drops] == [("b.wav", "missing"), ("c.wav", "missing")]  # type: ignore[union-attr]
    assert drops[0].detail == f"{tmp_path}/b.wav is a link that leads to nothing."  # type: ignore[union-attr]


def test_links_to_folders_are_followed_once_and_circles_end(tmp_path: Path) -> None:
    _audio(tmp_path / "music" / "a" / "x.wav")
    _audio(tmp_path / "elsewhere" / "y.wav")
    (tmp_path / "music" / "a" / "again").symlink_to(tmp_path / "music", target_is_directory=True)
    (tmp_path / "music" / "b").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "music" / "c").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert [track.id for track in folder.read_tracks(tmp_path / "music")] == ["a/x", "b/y"]


@pytest.mark.parametrize(("split", "says"), [("train", "no split 'train'"), (None, "holds no audio file")])
def test_a_folder_without_music_and_a_split_it_has_not_are_for_a_person(
    tmp_path: Path, split: str | None, says: str
) -> None:
    with pytest.raises(UserMustAct, match=says):
        list(folder.read_tracks(tmp_path, split))


# --- csv and jsonl ----------------------------------------------------------------------------------------

ROWS = """track_id,file,name,bpm,Key,styles,where,price,from,to
7,music/one.wav,"One, two",120.5,Gb major,rock; pop,train,3,1.5,20
8,/abs/two.wav,,,none,,test,,,
9,s3://bucket/three.wav,Three,,,,train,,,
"""
COLUMNS = {
    "id": "track_id", "path": "file", "title": "name", "tempo_bpm": "bpm", "key": "Key", "genre": "styles",
    "split": "where", "start_seconds": "from", "end_seconds": "to",
}  # fmt: skip


def test_columns_of_any_name_fill_the_fields_they_are_mapped_to(tmp_path: Path) -> None:
    one, two, three = csv.read_tracks(_table(tmp_path / "t.csv", ROWS), columns=COLUMNS)
    assert isinstance(one, Track)
    assert isinstance(two, Track)
    assert isinstance(three, Track)
    assert (one.id, one.title, one.split) == ("7", "One, two", "train")
    assert one.path == str(tmp_path / "music" / "one.wav")
    assert (one.start_seconds, one.end_seconds, one.metadata) == (1.5, 20.0, {"price": "3"})
    assert one.truth is not None
    assert (one.truth.tempo, one.truth.key) == (Tempo(120.5, 1.0, "t.csv"), Key("F# major", 1.0, "t.csv"))
    assert one.truth.genre.labels == ("rock", "pop")
    assert (two.path, two.title, two.truth) == ("/abs/two.wav", None, None)
    assert two.metadata == {"key": "none"}
    assert three.path == "s3://bucket/three.wav"


def test_a_split_is_the_rows_of_one_value(tmp_path: Path) -> None:
    table = _table(tmp_path / "t.csv", ROWS)
    assert [track.id for track in csv.read_tracks(table, "train", COLUMNS)] == ["7", "9"]
    with pytest.raises(UserMustAct, match=r"no row of the split 'dev'; it has 'train', 'test'"):
        list(csv.read_tracks(table, "dev", COLUMNS))


@pytest.mark.parametrize("read", [csv.read_tracks, jsonl.read_tracks])
def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, read: object) -> None:
    text = "ident,file_name\n1,a.wav\n" if read is csv.read_tracks else '{"ident": 1, "file_name": "a.wav"}\n'
    table = _table(tmp_path / "t", text)
    with pytest.raises(UserMustAct) as wrong:
        list(read(table, columns={"path": "filename"}))  # type: ignore[operator]
    assert "no column 'filename', for path; it has 'ident', 'file_name'." in str(wrong.value)
    assert "Did you mean 'file_name'?" in str(wrong.value)
    with pytest.raises(UserMustAct, match="no column 'path', for path"):
        list(read(table))  # type: ignore[operator]


def test_semicolons_tabs_and_a_byte_order_mark_are_understood(tmp_path: Path) -> None:
    for text in ("\ufeffpath;title\na.wav;x, y\n", "path\ttitle\r\na.wav\tx, y\r\n"):
        (track,) = csv.read_tracks(_table(tmp_path / "t.csv", text))
        assert isinstance(track, Track)
        assert (track.id, track.title) == ("a", "x, y")


def test_broken_rows_are_drops_with_their_line_and_the_others_stay(tmp_path: Path) -> None:
    rows = ["a.wav,fast,,", "b.wav", ",90,,", "c.wav,90,,", "c.wav,91,,", "d.wav,,9,3"]
    text = "\n".join(["path,tempo_bpm,start_seconds,end_seconds", *rows, ""])
    found = list(csv.read_tracks(_table(tmp_path / "t.csv", text)))
    assert [(r.id, r.reason) for r in found if isinstance(r, Dropped)] == [
        ("a", "malformed-row"),
        ("line-3", "malformed-row"),
        ("line-4", "malformed-row"),
        ("c", "duplicate-id"),
        ("d", "malformed-row"),
    ]
    assert [record.id for record in found if isinstance(record, Track)] == ["c"]


def test_json_lines_keep_numbers_lists_and_inner_objects(tmp_path: Path) -> None:
    rows = [
        {
            "id": 3,
            "path": "a.wav",
            "caption": ["x", "y"],
            "genre": ["rock"],
            "info": {"plays": 7, "live": True},
        },
        {"path": "b.wav", "caption": "half \ud800", "mood": [], "none": None, "nan": float("nan")},
    ]
    lines = [*(json.dumps(row) for row in rows), "", "[1]", "{", "{}"]
    found = list(jsonl.read_tracks(_table(tmp_path / "t.jsonl", "\n".join(lines))))
    first, second = (record for record in found if isinstance(record, Track))
    assert (first.id, first.captions) == ("3", ("x", "y"))
    assert first.metadata == {"info.plays": 7, "info.live": True}
    assert first.truth is not None
    assert first.truth.genre.labels == ("rock",)
    assert (second.captions, second.metadata, second.truth) == (("half ?",), {}, None)
    drops = [(record.id, record.reason) for record in found if isinstance(record, Dropped)]
    assert drops == [("line-4", "malformed-row"), ("line-5", "malformed-row"), ("line-6", "malformed-row")]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "none.csv", "cannot be read: No such file"),
        (lambda folder: folder, "is a folder; name the table's file"),
        (lambda folder: _table(folder / "e.csv", ""), "does not begin with a header line"),
        (lambda folder: _table(folder / "d.csv", "path,x,x\n"), "two columns named 'x'"),
    ],
)
def test_a_table_that_is_none_is_one_sentence(tmp_path: Path, make: object, says: str) -> None:
    with pytest.raises(UserMustAct, match=says):
        list(csv.read_tracks(make(tmp_path)))  # type: ignore[operator]


def _peak_bytes(records: Iterator[object]) -> tuple[int, int]:
    tracemalloc.start()
    try:
        count = sum(1 for _ in records)
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "rows"), [pytest.param("csv", 20_000, marks=pytest.mark.slow), ("jsonl", 5_000)]
)
def test_a_table_of_many_rows_is_not_held_in_memory(tmp_path: Path, name: str, rows: int) -> None:
    table = tmp_path / "t"
    with table.open("w") as file:
        file.write("path,title\n" if name == "csv" else "")
        for index in range(rows):
            text = f"{index}.wav,{'x' * 1500}"
            file.write(
                f"{text}\n" if name == "csv" else json.dumps({"path": text, "title": "x" * 1500}) + "\n"
            )
    count, peak = _peak_bytes(datasets.load(name).read_tracks(table))
    assert count == rows
    assert peak < rows * 400  # the ids that were seen, and no rows: a title alone has 1,500 bytes
