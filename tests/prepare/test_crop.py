"""Tracks become clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llark import audio, engine
from llark.errors import BadAudio, UserMustAct
from llark.prepare.crop import Crop, named
from llark.prepare.datasets.folder import tracks_of
from llark.records import Clip, Dropped, Track
from llark.storage import stages


def _track(folder: Path, seconds: float, name: str = "song") -> Track:
    samples = 0.1 * np.sin(np.arange(round(seconds * 8000)) / 10)
    audio.save(folder / f"{name}.wav", samples, 8000)
    return Track(id=name, path=str(folder / f"{name}.wav"), split="test", dataset="d")


def test_a_track_becomes_windows_of_25_seconds_and_a_shorter_last_one(tmp_path: Path) -> None:
    track = _track(tmp_path, 62.5)
    clips = list(Crop()(track))
    assert all(isinstance(clip, Clip) for clip in clips)
    assert [(clip.start_seconds, clip.end_seconds) for clip in clips] == [(0, 25), (25, 50), (50, 62.5)]
    assert clips[1] == Clip(
        "song@25.00", "song", track.path, 25.0, 50.0, "test", "d", 0.0, audio.fingerprint(track.path)
    )


def test_a_rest_under_a_second_is_dropped_with_its_length(tmp_path: Path) -> None:
    clip, rest = Crop()(_track(tmp_path, 25.5))
    assert isinstance(clip, Clip)
    assert isinstance(rest, Dropped)
    assert (rest.id, rest.stage, rest.reason) == ("song@25.00", "prepare", "too-short")
    assert "0.50 s long after 25 s" in rest.detail


def test_a_rest_of_encoder_padding_is_not_worth_a_line(tmp_path: Path) -> None:
    assert len(list(Crop()(_track(tmp_path, 25.03)))) == 1


def test_a_fifth_of_a_second_is_too_short(tmp_path: Path) -> None:
    (dropped,) = Crop()(_track(tmp_path, 0.2))
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "too-short"
    assert "song.wav is 0.20 s long; a clip needs 1 s." in dropped.detail


def test_a_text_file_is_bad_audio(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_text("words\n" * 1000)
    with pytest.raises(BadAudio, match="not an audio file"):
        list(Crop()(Track("a", str(tmp_path / "a.mp3"))))


def test_a_folder_of_good_and_bad_files_becomes_clips_and_counted_drops(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    _track(music, 30.0, "good")
    _track(music, 0.2, "short")
    (music / "empty.mp3").touch()
    (music / "text.mp3").write_text("words\n" * 1000)
    writer = stages.open_stage(tmp_path / "clips", "prepare", {"window_seconds": 25.0})
    engine.run(Crop(), tracks_of([music]), writer, progress=False)
    assert [clip.id for clip in stages.read(tmp_path / "clips", Clip)] == ["good@0.00", "good@25.00"]
    counts = stages.about(tmp_path / "clips")["counts"]
    assert counts == {"in": 4, "out": 2, "dropped": {"empty": 1, "not-audio": 1, "too-short": 1}}


Spans = list[tuple[float, float]]


def _spans(crop: Crop, seconds: float, start: float = 0.0, end: float | None = None, id_: str = "t") -> Spans:
    track = Track(id_, "song.wav", start_seconds=start, end_seconds=end)
    return [(c.start_seconds, c.end_seconds) for c in crop.cut(track, seconds) if isinstance(c, Clip)]


def _drops(crop: Crop, seconds: float, start: float = 0.0, end: float | None = None) -> list[tuple[str, str]]:
    track = Track("t", "song.wav", start_seconds=start, end_seconds=end)
    return [(d.id, d.reason) for d in crop.cut(track, seconds) if isinstance(d, Dropped)]


@pytest.mark.parametrize(
    ("crop", "seconds", "expected"),
    [
        (Crop(10.0), 25.0, [(0, 10), (10, 20), (20, 25)]),
        (Crop(10.0, hop_seconds=5.0), 22.0, [(0, 10), (5, 15), (10, 20), (15, 22)]),
        (Crop(10.0, hop_seconds=5.0), 20.0, [(0, 10), (5, 15), (10, 20)]),
        (Crop(10.0, hop_seconds=20.0), 45.0, [(0, 10), (20, 30), (40, 45)]),
        (Crop(10.0, "first"), 25.0, [(0, 10)]),
        (Crop(10.0, "first"), 4.0, [(0, 4)]),
        (Crop(10.0, "middle"), 25.0, [(7.5, 17.5)]),
        (Crop(10.0, "middle"), 25.013, [(7.5, 17.5)]),
        (Crop(10.0, "middle"), 10.0, [(0, 10)]),
        (Crop(10.0, "middle"), 6.0, [(0, 6)]),
        (Crop(10.0, "random"), 8.0, [(0, 8)]),
        (named("published-multi"), 95.0, [(0, 30), (30, 60), (60, 90)]),
        (named("published-multi"), 29.0, []),
        (named("published"), 59.9, [(0, 30)]),
        (named("published"), 12.0, [(0, 12)]),
        (Crop(30.0, "published", first_probability=0.0), 60.0, [(30, 60)]),
        (Crop(30.0, "published", first_probability=1.0), 300.0, [(0, 30)]),
        (Crop(0.5), 1.2, [(0, 0.5), (0.5, 1.0)]),
        (Crop(10.0, "first"), 0.5, []),
    ],
)
def test_each_strategy_takes_the_windows_it_promises(crop: Crop, seconds: float, expected: Spans) -> None:
    assert _spans(crop, seconds) == expected


def test_windows_keep_inside_the_segment_that_the_data_set_names() -> None:
    assert _spans(Crop(10.0), 100.0, start=30.0, end=52.5) == [(30, 40), (40, 50), (50, 52.5)]
    assert _spans(Crop(10.0, "middle"), 100.0, start=30.0, end=60.0) == [(40, 50)]
    assert _spans(Crop(10.0), 36.0, start=30.0, end=60.0) == [(30, 36)]
    assert _spans(named("published"), 200.0, start=100.0, end=130.0) == [(100, 130)]
    assert _drops(Crop(10.0), 20.0, start=30.0, end=40.0) == [("t@30.00", "outside")]


def test_every_loss_of_a_strategy_that_takes_all_is_a_drop() -> None:
    assert _drops(named("published-multi"), 95.0) == [("t@90.00", "too-short")]
    assert _drops(named("published-multi"), 29.0) == [("t@0.00", "too-short")]
    assert _drops(Crop(10.0, hop_seconds=20.0), 40.7) == [("t@40.00", "too-short")]
    assert _drops(Crop(10.0, hop_seconds=20.0), 35.0) == []
    assert _drops(Crop(10.0, "first"), 25.0) == []
    assert _drops(Crop(10.0, "first"), 0.5) == [("t@0.00", "too-short")]


def test_the_random_window_depends_on_seed_and_id_alone_and_reaches_all_of_the_track() -> None:
    crop = Crop(10.0, "random", seed=1)
    assert _spans(crop, 100.0, id_="a") == [(78.75, 88.75)]
    assert _spans(crop, 100.0, id_="a") == _spans(Crop(10.0, "random", seed=1), 100.0, id_="a")
    assert _spans(crop, 100.0, id_="b") != _spans(crop, 100.0, id_="a")
    assert _spans(Crop(10.0, "random", seed=2), 100.0, id_="a") != _spans(crop, 100.0, id_="a")
    starts = [_spans(crop, 12.0, id_=str(index))[0][0] for index in range(2000)]
    assert min(starts) == 0.0
    assert 1.98 <= max(starts) <= 2.0
    assert 0.95 < sum(starts) / 2000 < 1.05


def test_published_takes_the_first_window_of_one_long_track_in_five() -> None:
    firsts = sum(_spans(named("published"), 200.0, id_=str(i)) == [(0, 30)] for i in range(2000))
    seconds = sum(_spans(named("published"), 200.0, id_=str(i)) == [(30, 60)] for i in range(2000))
    assert firsts + seconds == 2000
    assert 350 < firsts < 450


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("first", None, 5.0), "a hop goes with the strategy every"),
        (("every", 0.0), "a window of 0.0 s"),
        (("every", 10.0, 0.001), "a hop of 0.001 s is under 0.01 s"),
        (("last",), "there is no strategy 'last'; there are every, first"),
    ],
)
def test_values_that_contradict_are_refused_in_one_sentence(words: tuple[object, ...], says: str) -> None:
    with pytest.raises(UserMustAct, match=says):
        named(*words)  # type: ignore[arg-type]
