"""MusicCaps, YouTube8M-MusicTextClips and WavCaps: captions, segments, and what speaks of music."""

from __future__ import annotations

from pathlib import Path

import pytest

from llark.errors import UserMustAct
from llark.prepare.datasets import musiccaps, wavcaps, yt8m_musictextclips
from llark.records import Dropped, Track
from tests.prepare.datasets.dataset_trees import TREES, wav


def by_id(records: object) -> dict[str, Track | Dropped]:
    return {record.id: record for record in records}  # type: ignore[attr-defined]


def test_musiccaps_keeps_every_column_typed(tmp_path: Path) -> None:
    TREES["musiccaps"](tmp_path)
    track = by_id(musiccaps.read_tracks(tmp_path))["-0aBcDeFgH1-30"]
    assert isinstance(track, Track)
    assert track.captions == ('A "raw" blues, with naïve singing.',)
    assert track.metadata == {
        "ytid": "-0aBcDeFgH1",
        "start_s": 30.0,
        "end_s": 40.0,
        "aspect_list": ("blues", "singer's cry", "slow"),
        "audioset_positive_labels": ("/m/04rlf", "/m/0155w"),
        "author_id": 4,
        "is_balanced_subset": False,
        "is_audioset_eval": True,
    }
    assert track.group == "-0aBcDeFgH1"


def test_musiccaps_evaluation_segments_are_test_and_the_others_train(tmp_path: Path) -> None:
    TREES["musiccaps"](tmp_path)
    tracks = [track for track in musiccaps.read_tracks(tmp_path) if isinstance(track, Track)]
    assert {track.id: track.split for track in tracks} == {
        "-0aBcDeFgH1-30": "test", "cut_Video02-10": "train", "wholeVid003-5": "train",
    }  # fmt: skip


def test_a_segment_is_placed_only_inside_a_whole_video(tmp_path: Path) -> None:
    TREES["musiccaps"](tmp_path)
    tracks = by_id(musiccaps.read_tracks(tmp_path))
    places = {}
    for id_, track in tracks.items():
        if isinstance(track, Track):
            places[id_] = (track.start_seconds, track.end_seconds, track.duration_seconds)
    assert places == {
        "-0aBcDeFgH1-30": (0.0, None, None),
        "cut_Video02-10": (0.0, None, 10.0),
        "wholeVid003-5": (5.0, 15.0, 61.0),
    }


@pytest.mark.parametrize(
    ("seconds", "place"), [(10.2, (0.0, None)), (12.0, (0.0, None)), (109.8, (100.0, 110.0))]
)
def test_a_bare_file_is_the_segment_unless_it_reaches_the_segment_s_end(
    tmp_path: Path, seconds: float, place: tuple[float, float | None]
) -> None:
    for name, rows in {"train.csv": "v,100,110,Text.\n", "test.csv": ""}.items():
        (tmp_path / name).write_text("video_id,start,end,text\n" + rows)
    wav(tmp_path / "audio/v.wav", seconds)
    (track,) = yt8m_musictextclips.read_tracks(tmp_path)
    assert isinstance(track, Track)
    assert (track.start_seconds, track.end_seconds) == place


def test_a_video_in_both_tables_is_in_one_split(tmp_path: Path) -> None:
    TREES["yt8m_musictextclips"](tmp_path)
    test = by_id(yt8m_musictextclips.read_tracks(tmp_path, "test"))
    assert isinstance(test["both"], Dropped)
    assert test["both"].reason == "duplicate-id"
    train = by_id(yt8m_musictextclips.read_tracks(tmp_path, "train"))
    assert isinstance(train["both"], Track)
    assert train["both"].captions == ("First.",)


def test_yt8m_descriptions_keep_their_commas_and_umlauts(tmp_path: Path) -> None:
    TREES["yt8m_musictextclips"](tmp_path)
    tracks = [t for t in yt8m_musictextclips.read_tracks(tmp_path) if isinstance(t, Track)]
    said = [track.captions[0] for track in tracks]
    assert said == ["Piano, alone.", "First.", "Ein fröhlicher Walzer."]
    assert (tracks[0].start_seconds, tracks[0].end_seconds) == (100.0, 110.0)


@pytest.mark.parametrize(
    ("caption", "music"),
    [
        ("Electric guitars are strummed.", True),
        ("A choir sings; two voices in harmonies.", True),
        ("A man is singing.", True),
        ("A bird is singing.", False),
        ("A singing contest of a business husband.", True),
        ("A business man talks to his husband.", False),
        ("A rocket launches.", False),
        ("Someone types on a keyboard near a rubber band.", False),
        ("An explosion with loud bass.", False),
        ("", False),
    ],
)
def test_only_whole_words_speak_of_music(caption: str, music: bool) -> None:
    assert wavcaps.speaks_of_music(caption) == music


def test_wavcaps_rows_that_are_filtered_say_why(tmp_path: Path) -> None:
    TREES["wavcaps"](tmp_path)
    records = by_id(wavcaps.read_tracks(tmp_path))
    reasons = {id_: r.reason for id_, r in records.items() if isinstance(r, Dropped)}
    assert reasons == {
        "FreeSound/2": "not-music", "FreeSound/3": "short-caption", "FreeSound/4": "missing-audio",
        "FreeSound/5": "malformed-row", "FreeSound/6": "not-music",
    }  # fmt: skip
    kept = records["FreeSound/1"]
    assert isinstance(kept, Track)
    assert (kept.artist, kept.title, kept.duration_seconds) == ("Zoë", "a.wav", 3.2)
    assert kept.metadata["tags"] == ("x", "y")
    assert isinstance(records["AudioSet_SL/Yabc"], Track)
    bbc = records["BBC_Sound_Effects/07066104"]
    assert isinstance(bbc, Track)
    assert bbc.metadata["category"] == ("Toys", "Music"), "a list that is written as text"


def test_wavcaps_filters_can_be_switched_off(tmp_path: Path) -> None:
    TREES["wavcaps"](tmp_path)
    records = wavcaps.read_tracks(tmp_path, music_only=False, fewest_words=1)
    kept = [record.id for record in records if isinstance(record, Track)]
    assert kept == [
        "FreeSound/1", "FreeSound/2", "FreeSound/3", "BBC_Sound_Effects/07066104", "AudioSet_SL/Yabc",
    ]  # fmt: skip


def test_the_sounds_of_one_author_stay_in_one_split(tmp_path: Path) -> None:
    TREES["wavcaps"](tmp_path)
    records = wavcaps.read_tracks(tmp_path, music_only=False, fewest_words=1)
    tracks = [record for record in records if isinstance(record, Track)]
    assert {t.split for t in tracks if t.group == "FreeSound author b"} == {"train"}


def test_a_json_file_that_is_no_list_of_captions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sb_final.json").write_text('{"data": {}}')
    with pytest.raises(UserMustAct, match=r"sb_final.json has no list `data`"):
        list(wavcaps.read_tracks(tmp_path))
    (tmp_path / "sb_final.json").write_text("{")
    with pytest.raises(UserMustAct, match=r"sb_final.json is not JSON"):
        list(wavcaps.read_tracks(tmp_path))
