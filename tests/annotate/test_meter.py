"""Meter from made-up probabilities."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from llark.annotate import meter
from llark.records import Meter


def heard(*probabilities: float) -> SimpleNamespace:
    return SimpleNamespace(meter=np.array(probabilities))


@pytest.mark.parametrize(("place", "beats"), [(0, 2), (1, 3), (2, 4), (3, 6)])
def test_the_likeliest_meter_is_reported_with_its_probability(place: int, beats: int) -> None:
    probabilities = np.full(4, 0.1)
    probabilities[place] = 0.7
    assert meter.find(heard(*probabilities)) == Meter(beats, 0.7, "pulse")


def test_a_meter_is_no_surer_than_its_beats() -> None:
    assert meter.find(heard(0.0, 0.0, 0.9, 0.1), certainty=0.6).confidence == pytest.approx(0.54)
    assert meter.find(heard(0.0, 0.0, 0.9, 0.1), certainty=0.3) == Meter(source="pulse")


def test_even_odds_are_unknown() -> None:
    assert meter.find(heard(0.25, 0.25, 0.25, 0.25)).beats_per_bar is None


@pytest.mark.parametrize(("place", "beats"), [(0, 2), (1, 3), (2, 4), (3, 2)])
def test_bars_of_six_eight_have_two_beats(place: int, beats: int) -> None:
    assert meter.beats_per_bar(heard(*np.eye(4)[place])) == beats
