"""What is true of every reader, on its tree."""

from __future__ import annotations

import ast
import contextlib
import importlib
import math
import random
import unicodedata
from collections import Counter
from pathlib import Path

import fsspec
import pytest

from llark.errors import UserMustAct
from llark.prepare import datasets
from llark.prepare.reading import Root, split_of
from llark.records import KEYS, Dropped, Track, from_json, to_json
from tests.prepare.datasets.dataset_trees import TREES, write

PAGE = Path(__file__).parents[3] / "docs" / "datasets.md"
OWN_FILES = {"folder", "jsonl", "csv"}
"""Readers of people's own files: they have no publisher."""

PARTS = ("ABOUT", "CITATION", "LICENCE", "FILES", "WHERE", "SPLITS", "SPLITS_FROM", "LABELS", "read_tracks")

EXPECTED = {
    "musiccaps": (3, {"missing-audio": 1, "malformed-row": 2}),
    "yt8m_musictextclips": (3, {"malformed-row": 2, "duplicate-id": 1}),
    "musicnet": (3, {"missing-audio": 1, "malformed-row": 2}),
    "fma": (3, {"missing-audio": 1, "malformed-row": 2}),
    "mtg_jamendo": (4, {"missing-audio": 1, "malformed-row": 2}),
    "magnatagatune": (3, {"missing-audio": 1, "malformed-row": 2}),
    "slakh": (3, {"bad-midi": 1, "missing-audio": 1, "malformed-row": 1}),
    "fsl10k": (3, {"missing-audio": 1, "malformed-row": 1, "discarded-by-annotator": 1}),
    "wavcaps": (3, {"not-music": 2, "short-caption": 1, "missing-audio": 1, "malformed-row": 1}),
    "giantsteps_key": (2, {"missing-audio": 1, "malformed-row": 1}),
    "giantsteps_tempo": (2, {"missing-audio": 1, "malformed-row": 2}),
    "gtzan": (4, {"missing-audio": 995, "malformed-row": 1}),
    "medleydb": (1, {"missing-audio": 1, "malformed-row": 2}),
    "nsynth": (3, {"missing-audio": 1, "malformed-row": 1}),
    "medley_solos_db": (3, {"missing-audio": 1, "malformed-row": 2}),
}


@pytest.fixture(params=sorted(TREES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(name: str, root: Path | str, split: str | None = None) -> tuple[list[Track], list[Dropped]]:
    records = list(datasets.load(name).read_tracks(root, split))
    drops = [record for record in records if isinstance(record, Dropped)]
    return [record for record in records if isinstance(record, Track)], drops


def test_every_published_data_set_has_a_tree() -> None:
    assert set(datasets.names()) - OWN_FILES == set(TREES) == set(EXPECTED)


def test_a_reader_has_the_parts_in_their_order(name: str) -> None:
    module = importlib.import_module(f"llark.prepare.datasets.{name}")
    tree = ast.parse(Path(str(module.__file__)).read_text())
    assert len((ast.get_docstring(tree) or "").partition("\n\n")[0]) > 20
    names = [
        node.name if isinstance(node, ast.FunctionDef) else node.targets[0].id
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name))
    ]
    assert [part for part in names if part in PARTS] == list(PARTS)


def test_a_reader_says_what_it_is_whose_and_where_from(name: str) -> None:
    one = datasets.load(name)
    assert min(len(text) for text in (one.about, one.licence, one.where, one.splits_from)) >= 8
    assert one.checked.startswith("Layout checked against "), "its docstring says where it was learnt"
    assert one.citation.count("@") >= 1
    assert one.citation.count("{") == one.citation.count("}")
    assert one.files
    assert one.labels
    assert set(one.splits) <= {"train", "validation", "test", "omitted"}


def test_rows_are_tracks_or_drops_and_none_is_lost(name: str, tmp_path: Path) -> None:
    TREES[name](tmp_path)
    tracks, drops = read(name, tmp_path)
    count, reasons = EXPECTED[name]
    assert len(tracks) == count
    assert Counter(drop.reason for drop in drops) == reasons
    assert {drop.stage for drop in drops} == {"prepare"}
    assert all(drop.id and len(drop.detail) > 10 for drop in drops)


def test_a_recording_is_found_whose_name_is_in_another_form_of_unicode(tmp_path: Path) -> None:
    forms = [unicodedata.normalize(form, "Café") for form in ("NFC", "NFD")]
    for written, there in (forms, forms[::-1]):
        folder = tmp_path / f"{len(there)}"
        write(folder / "below" / f"{there}.OGG", "x")
        assert Root(folder).audio("gone/x", f"below/{written}") == str(folder / "below" / f"{there}.OGG")


HOSTILE = (
    b"\xff", b"\0", b'"', b",", b"\n", b"{", b"]", b"null", b"NaN", b"-1", b"1e999", b"9" * 5000, b"\t",
    b"[" * 3000, b"- ", b": ", b"&a [*a]", b"\xe9", b"..", b"''", b"",
)  # fmt: skip
"""What stands in the place of some bytes of a damaged file."""


def test_a_damaged_file_of_a_data_set_is_drops_or_one_sentence(name: str, tmp_path: Path) -> None:
    TREES[name](tmp_path)
    sounds = (".wav", ".mp3", ".flac", ".ogg")
    files = sorted(p for p in tmp_path.rglob("*") if p.is_file() and p.suffix not in sounds)
    rng = random.Random(name)
    for _ in range(25):
        path = rng.choice(files)
        whole = path.read_bytes()
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(damaged) + 1)
            damaged[at : at + rng.choice((0, 1, 5, 40, len(damaged)))] = rng.choice(HOSTILE)
        path.write_bytes(damaged)
        with contextlib.suppress(UserMustAct):
            for record in datasets.load(name).read_tracks(tmp_path):
                assert isinstance(record, Track | Dropped)
                assert from_json(type(record), to_json(record)) == record
        path.write_bytes(whole)


def test_tracks_are_unique_known_by_name_and_on_disk(name: str, tmp_path: Path) -> None:
    TREES[name](tmp_path)
    tracks, _ = read(name, tmp_path)
    assert len({track.id for track in tracks}) == len(tracks)
    assert {track.dataset for track in tracks} == {name}
    assert all(Path(track.path).is_absolute() and Path(track.path).is_file() for track in tracks)
    assert all(track.licence for track in tracks)


def test_splits_are_disjoint_and_together_all(name: str, tmp_path: Path) -> None:
    TREES[name](tmp_path)
    tracks, _ = read(name, tmp_path)
    by_split = {split: read(name, tmp_path, split)[0] for split in datasets.load(name).splits}
    assert all(track.split == split for split, members in by_split.items() for track in members)
    ids = [track.id for members in by_split.values() for track in members]
    assert sorted(ids) == sorted(track.id for track in tracks)


def test_metadata_is_typed_and_says_something(name: str, tmp_path: Path) -> None:
    TREES[name](tmp_path)
    values = [value for track in read(name, tmp_path)[0] for value in track.metadata.values()]
    assert values
    for value in values:
        assert isinstance(value, str | int | float | bool | tuple)
        assert value not in ("", "nan", "NaN", "None", ())
        assert not isinstance(value, float) or math.isfinite(value)
        assert not isinstance(value, tuple) or all(isinstance(part, str) and part for part in value)


def test_a_track_survives_its_json(name: str, tmp_path: Path) -> None:
    TREES[name](tmp_path)
    for track in read(name, tmp_path)[0]:
        line = to_json(track)
        assert "NaN" not in line
        assert from_json(Track, line) == track


def test_truth_is_in_the_package_s_spelling(name: str, tmp_path: Path) -> None:
    TREES[name](tmp_path)
    for track in read(name, tmp_path)[0]:
        if track.truth is not None:
            assert track.truth.clip_id == track.id
            assert track.truth.key.name is None or track.truth.key.name in KEYS
            onsets = [note.onset_seconds for note in track.truth.notes.notes]
            assert onsets == sorted(onsets)


def test_an_empty_folder_names_what_is_missing_and_where(name: str, tmp_path: Path) -> None:
    (tmp_path / "strange").mkdir()
    with pytest.raises(UserMustAct) as caught:
        read(name, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "it holds strange" in str(caught.value)


def test_no_folder_and_no_such_split_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="There is no folder"):
        read(name, tmp_path / "nowhere")
    TREES[name](tmp_path)
    with pytest.raises(UserMustAct, match=r"There is no split 'dev'; this data set has .*test"):
        read(name, tmp_path, "dev")


@pytest.mark.parametrize("remote", ["giantsteps_tempo", "musicnet", "fma"])
def test_a_data_set_is_read_from_a_url_as_from_disk(remote: str, tmp_path: Path) -> None:
    TREES[remote](tmp_path)
    memory = fsspec.filesystem("memory")
    memory.put(f"{tmp_path}/", f"/{remote}/", recursive=True)
    here, there = read(remote, tmp_path), read(remote, f"memory://{remote}")
    assert [track.id for track in here[0]] == [track.id for track in there[0]]
    assert [track.truth for track in here[0]] == [track.truth for track in there[0]]
    assert there[0][0].path.startswith(f"memory:///{remote}/") or there[0][0].path.startswith(
        f"memory://{remote}/"
    )
    memory.rm(f"/{remote}", recursive=True)


def test_links_to_folders_and_files_are_followed_and_broken_ones_are_not_there(tmp_path: Path) -> None:
    TREES["slakh"](tmp_path / "store")
    (tmp_path / "set/train").mkdir(parents=True)
    (tmp_path / "set/train/Track00001").symlink_to(tmp_path / "store/train/Track00001")
    (tmp_path / "set/test").symlink_to(tmp_path / "store/test")
    mix = tmp_path / "store/test/Track01877/mix.flac"
    mix.symlink_to(tmp_path / "nowhere.flac")
    tracks, drops = read("slakh", tmp_path / "set")
    assert [track.id for track in tracks] == ["Track00001"]
    assert {drop.id: drop.reason for drop in drops}["Track01877"] == "missing-audio"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserMustAct, match=r"no reader for a data set 'music-cap'. Did you mean musiccaps\?"):
        datasets.load("music-cap")
    assert datasets.load("MTG-Jamendo").name == "mtg_jamendo"


def test_the_rule_for_splits_is_the_one_written_down() -> None:
    assert [split_of(group) for group in ("user 0", "user 2", "user 5")] == ["train", "validation", "test"]
    shares = Counter(split_of(str(number)) for number in range(10_000))
    assert 7_800 < shares["train"] < 8_200
    assert 900 < shares["validation"] < 1_100
    assert 900 < shares["test"] < 1_100


def test_the_page_of_data_sets_is_what_the_readers_say() -> None:
    again = "write it anew: PAGE.write_text(datasets.as_markdown())"
    assert PAGE.read_text() == datasets.as_markdown(), again
