"""The whole's beats are those of its windows, each beat once."""

from __future__ import annotations

import pytest

from llark.annotate.song import merge
from llark.records import Annotation, Beats


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
