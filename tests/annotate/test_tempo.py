"""Tempo from made-up probabilities and beat times."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from llark.annotate import tempo
from llark.networks.rhythm import BPM
from llark.records import Beats, Tempo


def heard(bpm: float, other: float | None = None) -> SimpleNamespace:
    """Nets that are 0.9 sure of a tempo, and give the rest to another."""
    probabilities = np.full(len(BPM), 1e-4)
    for value, share in ((bpm, 0.9), (other, 0.08)):
        if value is not None:
            weight = np.exp(-0.5 * (np.log(value / BPM) / np.log(BPM[0] / BPM[1]) / 0.6) ** 2)
            probabilities += share * weight / weight.sum()
    return SimpleNamespace(tempo=probabilities / probabilities.sum())


def beats(times: np.ndarray, confidence: float = 0.9) -> Beats:
    return Beats(tuple(float(time) for time in times), (), confidence, "made up")


@pytest.mark.parametrize("bpm", [45.0, 88.8, 120.0, 219.0])
def test_the_slope_of_the_beats_makes_the_tempo_exact(bpm: float) -> None:
    found = tempo.measure(heard(bpm * 1.015), BPM, beats(0.3 + 60 / bpm * np.arange(20)))
    assert found.bpm == pytest.approx(bpm, abs=0.01)
    assert 0.8 < found.confidence <= 1.0


@pytest.mark.parametrize("bpm", [45.0, 88.8, 120.0, 219.0])
def test_between_two_bins_the_probabilities_tell_where(bpm: float) -> None:
    assert tempo.likeliest(heard(bpm), BPM).bpm == pytest.approx(bpm, rel=0.01)


def test_beats_of_another_tempo_do_not_move_it() -> None:
    found = tempo.measure(heard(100), BPM, beats(0.5 * np.arange(30)))
    assert found.bpm == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize(("bpm", "other"), [(60.0, 120.0), (100.0, 200.0), (140.0, 70.0)])
def test_the_alternative_is_the_comfortable_octave_where_the_nets_name_none(bpm: float, other: float) -> None:
    found = tempo.measure(heard(bpm), BPM, beats(60 / bpm * np.arange(20)))
    assert found.alternative_bpm == pytest.approx(other, rel=0.01)


def test_the_alternative_is_the_one_that_the_nets_think_of() -> None:
    found = tempo.measure(heard(70, other=210), BPM, beats(60 / 70 * np.arange(20)))
    assert found.alternative_bpm == pytest.approx(210, rel=0.01)


def test_a_missing_and_a_stray_beat_do_not_move_the_tempo() -> None:
    times = np.sort(np.append(np.delete(0.5 * np.arange(40), 17), 3.25))
    assert 60 / tempo.seconds_per_beat(times) == pytest.approx(120, abs=0.5)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_than_four_beats_are_unknown(count: int) -> None:
    assert tempo.measure(heard(120), BPM, beats(0.5 * np.arange(count))) == Tempo(source=tempo.SOURCE)


def test_unsure_beats_give_no_tempo() -> None:
    assert tempo.measure(heard(120), BPM, beats(0.5 * np.arange(20), confidence=0.1)).bpm is None
