"""The whole's beats are those of its windows, each beat once; what its windows disagree on is unknown."""

from __future__ import annotations

import pytest

from llark.annotate.song import merge
from llark.records import Annotation, Beats, Key, Meter, Tempo


def window(start: float, times: tuple[float, ...], places: tuple[int, ...] = ()) -> Annotation:
    return Annotation("w", start, start + 25.0, beats=Beats(times, places, 0.8, "pulse"))


def test_a_beat_that_both_windows_find_on_their_seam_is_one_beat() -> None:
    first, second = window(0.0, (24.0, 24.5, 24.98), (3, 4, 1)), window(25.0, (25.1, 25.5, 26.0), (1, 2, 3))
    whole = merge("song", [first, second])
    assert whole.beats == Beats((24.0, 24.5, 24.98, 25.5, 26.0), (3, 4, 1, 2, 3), pytest.approx(0.8), "pulse")


def test_a_beat_half_a_step_or_more_after_the_seam_is_another() -> None:
    first, second = window(0.0, (24.0, 24.5)), window(25.0, (25.0, 25.5, 26.0))
    assert merge("song", [first, second]).beats.times_seconds == (24.0, 24.5, 25.0, 25.5, 26.0)


def test_places_are_unknown_where_a_window_does_not_know_them() -> None:
    whole = merge("song", [window(0.0, (24.0, 24.5), (1, 2)), window(25.0, (25.0, 25.5))])
    assert whole.beats.times_seconds == (24.0, 24.5, 25.0, 25.5)
    assert whole.beats.positions == ()


def test_windows_without_beats_are_passed_over() -> None:
    whole = merge("song", [window(0.0, (24.0, 24.5)), window(25.0, ()), window(50.0, (50.0, 50.5))])
    assert whole.beats.times_seconds == (24.0, 24.5, 50.0, 50.5)


def heard(number: int, tempo: Tempo, key: Key, meter: Meter) -> Annotation:
    return Annotation("w", 25.0 * number, 25.0 * number + 25.0, tempo=tempo, key=key, meter=meter)


def song_of(bpms: list[float], keys: list[str], meters: list[int], confidence: float) -> Annotation:
    windows = zip(bpms, keys, meters, strict=True)
    return merge(
        "song",
        [
            heard(
                i,
                Tempo(bpm, confidence, "pulse", 2 * bpm),
                Key(key, confidence, "harmony"),
                Meter(beats, confidence, "pulse"),
            )
            for i, (bpm, key, beats) in enumerate(windows)
        ],
    )


def test_what_the_windows_agree_on_is_known_with_the_share_of_them_times_their_confidence() -> None:
    whole = song_of([100.0, 101.0, 100.0, 140.0], ["C major"] * 3 + ["G major"], [4, 4, 4, 3], 0.8)
    assert whole.tempo == Tempo(
        pytest.approx(100.33, abs=0.01), pytest.approx(0.6), "pulse", pytest.approx(200.67, abs=0.01)
    )
    assert whole.key == Key("C major", pytest.approx(0.6), "harmony")
    assert whole.meter == Meter(4, pytest.approx(0.6), "pulse")


def test_what_the_windows_disagree_on_is_unknown() -> None:
    whole = song_of(
        [80.0, 100.0, 120.0, 150.0], ["C major", "D minor", "E major", "A minor"], [2, 3, 4, 6], 0.9
    )
    assert (whole.tempo, whole.key, whole.meter) == (
        Tempo(source="pulse"),
        Key(source="harmony"),
        Meter(source="pulse"),
    )


def test_half_a_song_of_doubtful_windows_is_not_enough_and_of_sure_ones_is() -> None:
    values = [100.0] * 2 + [130.0, 160.0], ["C major"] * 2 + ["D major", "E major"], [4, 4, 3, 2]
    doubtful, sure = song_of(*values, 0.5), song_of(*values, 0.9)
    assert (doubtful.tempo.bpm, doubtful.key.name, doubtful.meter.beats_per_bar) == (None, None, None)
    assert (sure.tempo.bpm, sure.key.name, sure.meter.beats_per_bar) == (100.0, "C major", 4)


def test_windows_that_know_nothing_count_against_what_the_others_say() -> None:
    windows = [
        heard(0, Tempo(100.0, 0.8, "pulse"), Key("C major", 0.8, "harmony"), Meter(4, 0.8, "pulse")),
        *(heard(i, Tempo(source="pulse"), Key(source="harmony"), Meter(source="pulse")) for i in (1, 2)),
    ]
    whole = merge("song", windows)
    assert (whole.tempo.bpm, whole.key.name, whole.meter.beats_per_bar) == (None, None, None)
