"""Regrouping of bars, on made-up onsets."""

from __future__ import annotations

import numpy as np
import pytest

from llark.annotate import meter
from llark.annotate.meter import Bars


def bars(period: float, per_bar: int, count: int = 24) -> Bars:
    return Bars(0.5 + period * np.arange(count), np.arange(count) % per_bar + 1)


def onsets(times: np.ndarray, seconds: float = 20.0) -> np.ndarray:
    frames = np.arange(int(seconds * 50)) / 50
    bumps = np.exp(-0.5 * ((frames[:, None] - times) / 0.012) ** 2).sum(axis=1)
    curve: np.ndarray = 0.1 + 5 * bumps
    return curve


def at(start: float, step: float, count: int) -> np.ndarray:
    times: np.ndarray = start + step * np.arange(count)
    return times


def test_beats_divided_in_three_are_six_eight_with_two_beats_a_bar() -> None:
    found = meter.regroup(bars(0.6, 4), onsets(at(0.5, 0.2, 72)), np.zeros(24))
    assert found.meter == 6
    assert found.places[:4].tolist() == [1, 2, 1, 2]
    np.testing.assert_allclose(found.times_seconds, bars(0.6, 4).times_seconds)


@pytest.mark.parametrize("per_bar", [3, 4])
def test_beats_divided_in_two_are_left_alone(per_bar: int) -> None:
    found = meter.regroup(bars(0.6, per_bar), onsets(at(0.5, 0.3, 48)), np.zeros(24))
    assert found.meter == per_bar
    assert found.places.tolist() == bars(0.6, per_bar).places.tolist()


def test_a_bar_of_three_with_its_accent_in_the_middle_is_two_dotted_beats() -> None:
    found = meter.regroup(bars(0.4, 3), onsets(at(0.5, 0.6, 16)), np.zeros(24))
    assert found.meter == 6
    np.testing.assert_allclose(np.diff(found.times_seconds), 0.6)
    assert found.places[:4].tolist() == [1, 2, 1, 2]


def test_chords_that_change_twice_a_bar_of_four_make_it_two_four() -> None:
    changes = (np.arange(24) % 2 == 0).astype(float)
    found = meter.regroup(bars(0.5, 4), onsets(at(0.5, 0.25, 48)), changes)
    assert found.meter == 2
    assert found.places[:4].tolist() == [1, 2, 1, 2]


def test_chords_that_change_once_a_bar_leave_it_four_four() -> None:
    changes = (np.arange(24) % 4 == 0).astype(float)
    assert meter.regroup(bars(0.5, 4), onsets(at(0.5, 0.25, 48)), changes).meter == 4


def test_silence_between_the_beats_changes_nothing() -> None:
    assert meter.regroup(bars(0.5, 3), np.zeros(1000), np.zeros(24)).meter == 3
