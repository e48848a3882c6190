"""People's own music: a folder with tags, a csv, JSON lines."""

from __future__ import annotations

import json
import os
import threading
import tracemalloc
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import mutagen
import numpy as np
import pytest

from llark import audio
from llark.errors import UserMustAct
from llark.prepare import datasets, stage
from llark.prepare.crop import Crop
from llark.prepare.datasets import csv, folder, jsonl
from llark.prepare.stage import PrepareConfig
from llark.records import Dropped, Key, Tempo, Track
from llark.storage import stages


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


TABLES = {
    "csv": "id;path;title\n1;a.wav;Beyoncé\n2;b.wav;y\n",
    "jsonl": '{"id": 1, "path": "a.wav", "title": "Beyoncé"}\n{"id": 2, "path": "b.wav", "title": "y"}\n',
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_a_table_is_read_in_the_encodings_that_spreadsheets_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, encoding: str
) -> None:
    table = tmp_path / "t"
    table.write_bytes(TABLES[kind].encode(encoding))
    titles = {
        r.id: r.title if isinstance(r, Track) else r.detail for r in datasets.load(kind).read_tracks(table)
    }
    assert titles == {"1": "Beyoncé", "2": "y"}
    told = f"{table} is no UTF-8 text throughout. Its other bytes were read as Windows-1252"
    assert (told in capsys.readouterr().err) == (encoding == "cp1252")


def test_a_table_may_come_through_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    writer = threading.Thread(target=pipe.write_text, args=("path\na.wav\n",))
    writer.start()
    assert [record.id for record in csv.read_tracks(pipe)] == ["a"]
    writer.join()


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_whose_rows_are_all_malformed_is_so_many_drops(tmp_path: Path, kind: str) -> None:
    text = "id,path\n1\n2,b,c\n" if kind == "csv" else "[]\n{\n" + '{"a":' * 50_000 + "\n"
    drops = list(datasets.load(kind).read_tracks(_table(tmp_path / "t", text)))
    assert [drop.reason for drop in drops] == ["malformed-row"] * (2 if kind == "csv" else 3)
    with pytest.raises(UserMustAct, match=r"records were dropped \(malformed-row [23]×\)"):
        stage.run(PrepareConfig(str(tmp_path / "t"), kind), str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "# made by x\nid,path,title\n1,b.ogg,x\n",
            r"t, line 1, has no column 'path', for path; it has '# made",
        ),
        (",".join(f"c{n}" for n in range(1_000_000)) + "\n", "has more than 10,000 columns"),
        (f"{'x' * 5_000_000}\n", "has no column 'path', for path; it has 'x{100}'"),
        ("path\n", None),
    ],
    ids=["a comment", "a million columns", "a long name", "no row"],
)
def test_a_header_that_is_none_is_one_short_sentence(tmp_path: Path, text: str, says: str | None) -> None:
    table = _table(tmp_path / "t", text)
    if says is None:
        with pytest.raises(UserMustAct, match="holds not one recording"):
            stage.run(PrepareConfig(str(table), "csv"), str(tmp_path / "out"))
        return
    with pytest.raises(UserMustAct, match=says) as caught:
        list(csv.read_tracks(table))
    assert len(str(caught.value)) < 500


def test_a_path_is_found_in_another_form_of_unicode_with_backslashes_and_as_a_file_url(
    tmp_path: Path,
) -> None:
    names = [unicodedata.normalize("NFD", "Café.wav"), unicodedata.normalize("NFC", "é/ö.wav"), "a b%.wav"]
    for name in names:
        _audio(tmp_path / "sub" / name)
    (tmp_path / "sub" / "real\\name.wav").touch()
    sub = tmp_path / "sub"
    written = {
        unicodedata.normalize("NFC", "sub/Café.wav"): names[0],
        "sub\\" + unicodedata.normalize("NFD", "é\\ö.wav"): names[1],
        f"file://{sub}/a b%.wav": names[2],
        f"file://{sub}/a%20b%25.wav": names[2],
        f"file://localhost{sub}/a%20b%25.wav": names[2],
        "sub/real\\name.wav": "real\\name.wav",
        "sub/gone\\x.wav": "gone\\x.wav",
    }
    text = "\n".join(["id,path", *(f"{n},{path}" for n, path in enumerate(written))])
    found = [
        track.path for track in csv.read_tracks(_table(tmp_path / "t", text)) if isinstance(track, Track)
    ]
    assert found == [str(sub / name) for name in written.values()]


def test_a_row_whose_address_cannot_be_costs_no_other(tmp_path: Path) -> None:
    _audio(tmp_path / "a.wav")
    bad = ["nosuch://x/a.wav", "http://[::1/a.wav", "zip://x.wav", "s3::nosuch://x", "data:,x"]
    text = "\n".join(["path", *bad, "a.wav"])
    out = tmp_path / "out"
    config = PrepareConfig(str(_table(tmp_path / "t.csv", text)), "csv", crop=Crop(0.5))
    stage.run(config, str(out), progress=False)
    assert [track.id for track in stages.read(out / "tracks", Track)] == ["a"]
    drops = list(stages.read_dropped(out / "tracks"))
    assert len(drops) == len(bad)
    assert (drops[0].reason, drops[0].detail[:41]) == (
        "unreachable",
        "nosuch://x/a.wav cannot be addressed: Pro",
    )


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
