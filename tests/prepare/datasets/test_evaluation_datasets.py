"""GiantSteps, GTZAN, MedleyDB and Medley-solos-DB: the truth that models are scored against."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest

from llark.prepare.datasets import giantsteps_key, giantsteps_tempo, gtzan, medley_solos_db, medleydb
from llark.prepare.reading import BadRow, key_of, known, literal_list, number, sure, whole
from llark.records import Dropped, Tempo, Track
from tests.prepare.datasets.dataset_trees import TREES, sound, write


def by_id(records: object) -> dict[str, Track]:
    return {record.id: record for record in records if isinstance(record, Track)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Gb minor", "F# minor"), ("D major", "D major"), ("c# min", "C# minor"), ("A:maj", "A major"),
        ("B♭ minor", "Bb minor"), ("Cb major", "B major"), ("F♯maj", "F# major"), ("b minor", "B minor"),
        ("none none", None), ("c unknown", None), ("C", None), ("", None), ("H major", None),
    ],
)  # fmt: skip
def test_a_key_has_one_spelling_or_none(text: str, name: str | None) -> None:
    key = key_of(text, "x")
    assert key.name == name
    assert key.confidence == (1.0 if name else 0.0)


def test_giantsteps_keys_keep_what_was_written(tmp_path: Path) -> None:
    TREES["giantsteps_key"](tmp_path)
    track = by_id(giantsteps_key.read_tracks(tmp_path))["1.LOFI"]
    assert track.truth is not None
    assert (track.truth.key.name, track.metadata["key"]) == ("F# minor", "Gb minor")
    assert track.truth.genre.labels == ("indie-dance nu-disco",)


def test_giantsteps_plus_brings_title_and_artists(tmp_path: Path) -> None:
    name = "10089 Jason - Close My Eyes (Original Mix)"
    write(tmp_path / f"keys_gs+/{name}.txt", "D major")
    page = {
        "title": "Close", "artists": [{"name": "Jason"}, {"name": "Ö"}], "genres": [{"name": "Breaks"}],
        "sub_genres": [{"name": "Big Beat"}], "remixers": [], "label": {"name": "Botchit"}, "mix": "Dub",
        "release": {"name": "Heroes EP"}, "date": {"released": "2004-02-23"}, "bpm": 150, "key": "D maj",
    }  # fmt: skip
    write(tmp_path / f"meta/{name}.json", json.dumps(page))
    sound(tmp_path / f"audio/{name}.mp3")
    track = by_id(giantsteps_key.read_tracks(tmp_path))[name]
    assert (track.title, track.artist, track.album) == ("Close", "Jason, Ö", "Heroes EP")
    assert track.truth is not None
    assert track.truth.key.name == "D major"
    assert track.truth.tempo == Tempo(), "the shop's tempo is no truth"
    assert track.metadata == {
        "key": "D major", "genres": ("Breaks",), "sub_genres": ("Big Beat",), "artists": ("Jason", "Ö"),
        "label": "Botchit", "mix": "Dub", "released": "2004-02-23", "bpm_by_shop": 150.0,
        "key_by_shop": "D maj",
    }  # fmt: skip


def test_a_broken_page_of_one_recording_costs_that_one_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"keys_gs+/{name}.txt", "D major")
        sound(tmp_path / f"audio/{name}.mp3")
    write(tmp_path / "meta/a.json", "[1]")
    drop, track = giantsteps_key.read_tracks(tmp_path)
    assert isinstance(drop, Dropped)
    assert (drop.reason, drop.detail) == ("malformed-row", "meta/a.json holds no object; list was found.")
    assert isinstance(track, Track)


@pytest.mark.parametrize("version", [1, 2])
def test_giantsteps_tempo_says_the_same_in_jams(tmp_path: Path, version: Literal[1, 2]) -> None:
    TREES["giantsteps_tempo"](tmp_path)
    before = by_id(giantsteps_tempo.read_tracks(tmp_path, version=version))
    for folder in ("annotations/tempo", "annotations/genre", "annotations_v2/tempo", "annotations_v2/mirex"):
        shutil.rmtree(tmp_path / folder)
    after = by_id(giantsteps_tempo.read_tracks(tmp_path, version=version))
    assert after == before
    assert list(after) == ["1.LOFI", "2.LOFI"]


def test_giantsteps_tempo_is_read_as_mirdata_unpacks_it(tmp_path: Path) -> None:
    TREES["giantsteps_tempo"](tmp_path / "plain")
    home = tmp_path / "home"
    shutil.copytree(tmp_path / "plain", home / "giantsteps-tempo-dataset-0b7d47ba8cae")
    (home / "giantsteps-tempo-dataset-0b7d47ba8cae/audio").rename(home / "audio")
    before, after = (list(giantsteps_tempo.read_tracks(tmp_path / name)) for name in ("plain", "home"))
    truths = [[track.truth for track in by_id(records).values()] for records in (before, after)]
    assert truths[0] == truths[1]
    assert by_id(after)["1.LOFI"].metadata == by_id(before)["1.LOFI"].metadata
    assert len(after) == len(before) == 5


def test_a_jams_file_of_another_kind_is_a_drop(tmp_path: Path) -> None:
    sound(tmp_path / "audio/1.LOFI.mp3")
    write(tmp_path / "annotations_v2/jams/1.LOFI.jams", '{"annotations": [{"data": []}]}')
    (drop,) = giantsteps_tempo.read_tracks(tmp_path)
    assert isinstance(drop, Dropped)
    assert drop.detail == "annotations_v2/jams/1.LOFI.jams is not as JAMS files are: 'namespace'."


def test_giantsteps_tempo_2_gives_both_tempi_and_its_fold(tmp_path: Path) -> None:
    TREES["giantsteps_tempo"](tmp_path)
    track = by_id(giantsteps_tempo.read_tracks(tmp_path))["1.LOFI"]
    assert track.truth is not None
    assert track.truth.tempo == Tempo(139.0, 1.0, "giantsteps_tempo v2", alternative_bpm=77.0)
    assert track.metadata == {
        "tempo_v1": 137.6, "tempo_v2": 139.0, "slower_tempo_v2": 77.0, "faster_tempo_v2": 139.0,
        "slower_share_v2": 0.309, "fold": 1, "genre": ("trance",),
    }  # fmt: skip


def test_a_tempo_of_0_is_no_tempo(tmp_path: Path) -> None:
    TREES["giantsteps_tempo"](tmp_path)
    track = by_id(giantsteps_tempo.read_tracks(tmp_path))["2.LOFI"]
    assert track.truth is not None
    assert track.truth.tempo == Tempo()
    assert "tempo_v2" not in track.metadata
    assert track.metadata["fold"] == 10


def test_giantsteps_tempo_1_is_read_when_asked_for(tmp_path: Path) -> None:
    TREES["giantsteps_tempo"](tmp_path)
    tracks = by_id(giantsteps_tempo.read_tracks(tmp_path, version=1))
    tempi = {id_: track.truth.tempo.bpm for id_, track in tracks.items() if track.truth}
    assert tempi == {"1.LOFI": 137.6, "2.LOFI": 120.0}


def test_gtzan_has_the_fault_filtered_split() -> None:
    counts = Counter(gtzan.split_of_excerpt(genre, index) for genre in gtzan.GENRES for index in range(100))
    assert counts == {"train": 443, "validation": 197, "test": 290, "omitted": 70}
    assert gtzan.split_of_excerpt("hiphop", 98) == "validation"
    assert gtzan.split_of_excerpt("reggae", 86) == "omitted", "an exact repeat"


def test_gtzan_beats_and_tempo_are_read_where_they_lie(tmp_path: Path) -> None:
    TREES["gtzan"](tmp_path)
    records = {record.id: record for record in gtzan.read_tracks(tmp_path)}
    track, bad = records["blues.00029"], records["hiphop.00099"]
    assert isinstance(track, Track)
    assert track.truth is not None
    assert track.truth.tempo.bpm == 85.53
    assert track.truth.beats.times_seconds == (0.113, 0.829, 1.537)
    assert track.truth.beats.positions == (1, 2, 3)
    assert track.truth.genre.labels == ("blues",)
    assert isinstance(bad, Dropped)
    assert bad.reason == "malformed-row"


@pytest.mark.parametrize("folder", ["genres_original", "gtzan_genre/genres", "gtzan_mini-main/genres", "."])
def test_gtzan_is_read_under_its_other_names(tmp_path: Path, folder: str) -> None:
    sound(tmp_path / folder / "blues/blues.00000.au")
    assert list(by_id(gtzan.read_tracks(tmp_path))) == ["blues.00000"]


def test_medleydb_names_the_instruments_of_its_stems(tmp_path: Path) -> None:
    TREES["medleydb"](tmp_path)
    track = by_id(medleydb.read_tracks(tmp_path))["Elan_Été"]
    assert track.truth is not None
    assert track.truth.instruments.labels == ("electric bass", "clarinet", "oboe")
    assert track.truth.genre.labels == ("World/Folk",)
    assert (track.title, track.artist, track.album) == ("Elan_Été: a song", "Élan", None)
    assert track.metadata == {
        "composer": ("Élan",), "origin": "Music Delta", "version": 1.2, "excerpt": False, "has_bleed": True,
        "instrumental": True, "stems": ("electric bass", "clarinet + oboe", "unknown"),
        "melody_instruments": ("clarinet", "oboe"), "bass_instruments": ("electric bass",),
        "raw_instruments": ("clarinet", "oboe"),
    }  # fmt: skip
    assert track.group == "artist Élan"


def test_medleydb_metadata_may_lie_beside_the_mixture(tmp_path: Path) -> None:
    TREES["medleydb"](tmp_path)
    page = tmp_path / "Metadata/Elan_Été_METADATA.yaml"
    page.rename(tmp_path / "Audio/Elan_Été" / page.name)
    for other in (tmp_path / "Metadata").iterdir():
        other.unlink()
    (tmp_path / "Metadata").rmdir()
    assert list(by_id(medleydb.read_tracks(tmp_path))) == ["Elan_Été"]


def test_medley_solos_training_is_train_and_songs_are_groups(tmp_path: Path) -> None:
    TREES["medley_solos_db"](tmp_path)
    tracks = by_id(medley_solos_db.read_tracks(tmp_path))
    assert {id_: track.split for id_, track in tracks.items()} == {
        "0e4371ac": "test", "b5ae4ffb": "train", "d07b1fc0": "validation",
    }  # fmt: skip
    track = tracks["b5ae4ffb"]
    assert track.truth is not None
    assert track.truth.instruments.labels == ("distorted electric guitar",)
    assert (track.group, track.metadata["song_id"]) == ("song 5", 5)


def test_an_instrument_under_a_wrong_number_is_a_drop(tmp_path: Path) -> None:
    TREES["medley_solos_db"](tmp_path)
    drops = {r.id: r for r in medley_solos_db.read_tracks(tmp_path) if isinstance(r, Dropped)}
    assert drops["wrong"].detail == "The instrument 'violin' has the number '4'."


def test_cells_that_say_nothing_are_unknown() -> None:
    assert [number(text, "x") for text in ("", "nan", "None", " 2.5 ", "inf")] == [
        None,
        None,
        None,
        2.5,
        None,
    ]
    assert whole("3.0", "x") == 3
    assert literal_list("['a', 7]", "x") == ("a", "7")
    assert known({"a": " b ", "c": float("nan"), "d": [None, ""], "e": {"z", "y"}, "f": False}) == {
        "a": "b", "e": ("y", "z"), "f": False,
    }  # fmt: skip
    assert sure(["a", "", "a", "b"], "x").labels == ("a", "b")
    assert sure([], "x").source == ""


@pytest.mark.parametrize(("read", "cell"), [(number, "ten"), (whole, "2.5"), (literal_list, "{'a': 1}")])
def test_cells_that_say_something_else_are_named(read: object, cell: str) -> None:
    with pytest.raises(BadRow, match="the column is ") as caught:
        read(cell, "the column")  # type: ignore[operator]
    assert caught.value.reason == "malformed-row"
