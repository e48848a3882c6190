"""FMA, MTG-Jamendo, MagnaTagATune and FSL10K: tags, their trees, and who gave them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from llark.errors import UserMustAct
from llark.prepare.datasets import fma, fsl10k, magnatagatune, mtg_jamendo
from llark.prepare.reading import split_of
from llark.records import Dropped, Tag, Track
from tests.prepare.datasets.dataset_trees import TREES, fma_row, sound, write


def by_id(records: object) -> dict[str, Track]:
    return {record.id: record for record in records if isinstance(record, Track)}  # type: ignore[attr-defined]


def test_fma_keeps_every_column_under_its_name(tmp_path: Path) -> None:
    TREES["fma"](tmp_path)
    track = by_id(fma.read_tracks(tmp_path))["000002"]
    assert (track.title, track.artist, track.album) == ('Food, "fast"', "Björk & Co", "Way")
    assert (track.licence, track.group, track.split) == ("Attribution 3.0", "artist 1", "train")
    assert track.metadata["track.tags"] == ("loud", "live")
    assert track.metadata["track.duration"] == 168
    assert track.metadata["artist.latitude"] == 40.05
    assert track.metadata["track.language_code"] == "en"
    assert track.metadata["album.information"] == "Two lines of text"
    assert "album.listens" not in track.metadata, "-1 is unknown"


def test_fma_genres_are_names_and_know_their_parents(tmp_path: Path) -> None:
    TREES["fma"](tmp_path)
    track = by_id(fma.read_tracks(tmp_path))["000002"]
    assert track.metadata["track.genres_all"] == ("Punk", "Rock")
    assert track.metadata["track.genre_paths"] == ("Rock / Punk",)
    assert track.truth is not None
    assert track.truth.genre.labels == ("Rock", "Punk")


def test_fma_training_is_train(tmp_path: Path) -> None:
    TREES["fma"](tmp_path)
    splits = {id_: track.split for id_, track in by_id(fma.read_tracks(tmp_path)).items()}
    assert splits == {"000002": "train", "000005": "validation", "000010": "test"}


def test_fma_rows_of_a_larger_subset_are_not_looked_for_in_a_smaller(tmp_path: Path) -> None:
    TREES["fma"](tmp_path)
    ids = {record.id for record in fma.read_tracks(tmp_path)}
    assert "000143" not in ids
    sound(tmp_path / "fma_full/000/000143.mp3")
    full = {record.id: record for record in fma.read_tracks(tmp_path)}
    assert isinstance(full["000143"], Track)
    assert isinstance(full["000002"], Dropped), "fma_full is there, and does not hold it"


def test_fma_length_is_that_of_the_file_or_unknown(tmp_path: Path) -> None:
    TREES["fma"](tmp_path)
    assert by_id(fma.read_tracks(tmp_path))["000002"].duration_seconds is None
    sound(tmp_path / "fma_full/000/000002.mp3")
    assert by_id(fma.read_tracks(tmp_path))["000002"].duration_seconds == 168.0


def test_a_very_long_cell_is_read(tmp_path: Path) -> None:
    TREES["fma"](tmp_path)
    table = tmp_path / "fma_metadata/tracks.csv"
    row = fma_row(11, set_split="training", set_subset="small", track_title="x" * 300_000)
    table.write_text(table.read_text() + row + "\n")
    sound(tmp_path / "fma_small/000/000011.mp3")
    assert len(by_id(fma.read_tracks(tmp_path))["000011"].title or "") == 300_000


def test_html_becomes_text() -> None:
    assert fma.plain_text("<p>Rock &amp; <b>roll</b></p>\n<br/>now") == "Rock & roll now"


def test_jamendo_tags_go_to_their_categories(tmp_path: Path) -> None:
    TREES["mtg_jamendo"](tmp_path)
    track = by_id(mtg_jamendo.read_tracks(tmp_path))["track_0000214"]
    assert track.truth is not None
    assert track.truth.genre.labels == ("punkrock", "rock")
    assert track.truth.instruments.labels == ("guitar",)
    assert track.truth.mood.labels == ("party",)
    assert track.truth.end_seconds == track.duration_seconds == 124.6
    assert track.group == "artist_000014"


def test_jamendo_quotation_marks_are_text_and_a_tab_too_many_is_mended(tmp_path: Path) -> None:
    TREES["mtg_jamendo"](tmp_path)
    tracks = by_id(mtg_jamendo.read_tracks(tmp_path))
    first, second = tracks["track_0000214"], tracks["track_0000948"]
    assert (first.title, first.artist, first.album) == ('"Ça', 'The "Ones', 'LP 7"')
    assert (second.title, second.artist, second.album) == ("Song", "Band", "LP")
    assert second.metadata["release_date"] == "2005-01-01"


def test_jamendo_licence_is_the_track_s_own(tmp_path: Path) -> None:
    TREES["mtg_jamendo"](tmp_path)
    tracks = by_id(mtg_jamendo.read_tracks(tmp_path))
    assert tracks["track_0000214"].licence == "http://creativecommons.org/licenses/by/2.0/"
    assert tracks["track_0000948"].licence == mtg_jamendo.LICENCE


def test_jamendo_splits_are_split_0_and_the_rest_is_omitted(tmp_path: Path) -> None:
    TREES["mtg_jamendo"](tmp_path)
    splits = {id_: track.split for id_, track in by_id(mtg_jamendo.read_tracks(tmp_path)).items()}
    assert splits == {
        "track_0000214": "train", "track_0000948": "validation", "track_0000949": "test",
        "track_0000952": "omitted",
    }  # fmt: skip


def test_a_jamendo_subset_is_read_with_its_own_splits(tmp_path: Path) -> None:
    TREES["mtg_jamendo"](tmp_path)
    for path in (*tmp_path.glob("data/*.tsv"), *tmp_path.glob("data/splits/split-0/*.tsv")):
        path.rename(path.with_name(path.name.replace("autotagging", "autotagging_moodtheme")))
    assert len(by_id(mtg_jamendo.read_tracks(tmp_path, "validation"))) == 1


def test_a_jamendo_link_that_became_a_file_is_followed(tmp_path: Path) -> None:
    """In the publisher's repository autotagging.tsv is a link to raw_30s_cleantags_50artists.tsv."""
    TREES["mtg_jamendo"](tmp_path)
    before = list(mtg_jamendo.read_tracks(tmp_path))
    (tmp_path / "data/autotagging.tsv").rename(tmp_path / "data/raw_30s_cleantags_50artists.tsv")
    (tmp_path / "data/autotagging.tsv").write_text("raw_30s_cleantags_50artists.tsv")
    after = list(mtg_jamendo.read_tracks(tmp_path))
    assert [r for r in after if isinstance(r, Track)] == [r for r in before if isinstance(r, Track)]
    assert len(after) == len(before)


def test_a_jamendo_table_without_its_header_is_refused(tmp_path: Path) -> None:
    TREES["mtg_jamendo"](tmp_path)
    (tmp_path / "data/autotagging.tsv").write_text("elsewhere.tsv")
    with pytest.raises(UserMustAct, match=r"no header line with TRACK_ID; it begins 'elsewhere.tsv'"):
        list(mtg_jamendo.read_tracks(tmp_path))


def test_a_pointer_of_git_lfs_is_no_table(tmp_path: Path) -> None:
    TREES["mtg_jamendo"](tmp_path)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4499\nsize 147300685\n"
    (tmp_path / "data/autotagging.tsv").write_text(pointer)
    with pytest.raises(UserMustAct, match=r"is a pointer of Git LFS; `git lfs pull` brings the file"):
        list(mtg_jamendo.read_tracks(tmp_path))


def test_magnatagatune_keeps_the_positive_tags_only(tmp_path: Path) -> None:
    TREES["magnatagatune"](tmp_path)
    tracks = by_id(magnatagatune.read_tracks(tmp_path))
    assert tracks["2"].metadata["tags"] == ("no voice", "guitar")
    assert "tags" not in tracks["10"].metadata
    assert (tracks["2"].title, tracks["2"].artist, tracks["2"].album) == ('Cantata "54"', "Été", "Solo")
    assert tracks["2"].metadata["segmentEnd"] == 29.0
    assert (tracks["2"].start_seconds, tracks["2"].end_seconds) == (0.0, None), "the file is the segment"


@pytest.mark.parametrize(
    ("chunk", "split"), [("0", "train"), ("b", "train"), ("c", "validation"), ("d", "test"), ("f", "test")]
)
def test_magnatagatune_chunks_are_the_splits_of_the_field(chunk: str, split: str) -> None:
    assert magnatagatune.CHUNKS[chunk] == split
    assert len(magnatagatune.CHUNKS) == 16


def test_fsl10k_weighs_its_annotators(tmp_path: Path) -> None:
    TREES["fsl10k"](tmp_path)
    track = by_id(fsl10k.read_tracks(tmp_path))["12"]
    assert track.truth is not None
    assert (track.truth.tempo.bpm, track.truth.tempo.confidence) == (90.0, pytest.approx(2 / 3))
    assert (track.truth.key.name, track.truth.key.confidence) == ("C# minor", 1.0)
    assert track.truth.meter.beats_per_bar == 4
    assert track.truth.genre.tags == (Tag("hip hop", 1.0), Tag("global", pytest.approx(1 / 3)))
    assert track.metadata["instrumentation"] == ("percussion", "bass")
    assert track.metadata["annotators"] == 3, "an answer that was saved for later is none"
    assert track.metadata["bpm_as_written"] == ("90", "180", "90.0")
    assert track.metadata["parent_genres"] == ("hip hop",)


def test_fsl10k_tempo_that_is_no_number_is_no_answer(tmp_path: Path) -> None:
    TREES["fsl10k"](tmp_path)
    path = tmp_path / "annotations/ben/sound-12.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "bpm": "90 or 180"}))
    track = by_id(fsl10k.read_tracks(tmp_path))["12"]
    assert track.truth is not None
    assert (track.truth.tempo.bpm, track.truth.tempo.confidence) == (90.0, pytest.approx(2 / 3))
    assert track.metadata["bpm_as_written"] == ("90", "90 or 180", "90.0")


def test_fsl10k_reads_the_joined_metadata_where_there_are_no_single_files(tmp_path: Path) -> None:
    TREES["fsl10k"](tmp_path)
    before = list(fsl10k.read_tracks(tmp_path))
    shutil.rmtree(tmp_path / "FSL10K/fs_analysis")
    assert list(fsl10k.read_tracks(tmp_path)) == before


def test_fsl10k_archive_unpacks_without_a_folder_of_its_own(tmp_path: Path) -> None:
    TREES["fsl10k"](tmp_path)
    (tmp_path / "annotations").rename(tmp_path / "FSL10K/annotations")
    tracks = by_id(fsl10k.read_tracks(tmp_path / "FSL10K"))
    assert list(tracks) == ["12", "34", "99"]
    assert tracks["12"].metadata["annotators"] == 3


def test_fsl10k_page_that_is_broken_costs_its_loop_alone(tmp_path: Path) -> None:
    TREES["fsl10k"](tmp_path)
    write(tmp_path / "FSL10K/fs_analysis/34.json", '{"name": ')
    drops = {r.id: r for r in fsl10k.read_tracks(tmp_path) if isinstance(r, Dropped)}
    assert drops["34"].reason == drops["90"].reason == "malformed-row"
    assert drops["34"].detail.startswith("FSL10K/fs_analysis/34.json is not JSON")
    assert drops["90"].detail.startswith("annotations/ann/sound-90.json is not JSON")


def test_fsl10k_loops_without_annotation_are_tracks_with_what_the_maker_wrote(tmp_path: Path) -> None:
    TREES["fsl10k"](tmp_path)
    tracks = by_id(fsl10k.read_tracks(tmp_path))
    loop = tracks["34"]
    assert loop.truth is not None
    assert loop.truth.tempo.bpm is None
    assert loop.metadata["bpm_by_maker"] == 87.5
    assert "avg_rating" not in loop.metadata, "NaN is unknown"
    assert Path(loop.path).name == "34_ann.wav.wav"
    assert tracks["99"].title is None


def test_fsl10k_splits_keep_a_user_together(tmp_path: Path) -> None:
    TREES["fsl10k"](tmp_path)
    track = by_id(fsl10k.read_tracks(tmp_path))["12"]
    assert track.group == "user zoë"
    assert track.split == split_of("user zoë")
