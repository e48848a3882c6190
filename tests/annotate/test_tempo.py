"""Tempo from made-up beat times."""

from __future__ import annotations

import numpy as np
import pytest

from llark.annotate import tempo
from llark.records import Beats, Tempo


def beats(times: np.ndarray, confidence: float = 0.9) -> Beats:
    return Beats(tuple(float(time) for time in times), (), confidence, "made up")


@pytest.mark.parametrize("bpm", [45.0, 88.8, 120.0, 219.0])
def test_even_beats_give_their_tempo_and_keep_their_confidence(bpm: float) -> None:
    found = tempo.measure(beats(0.3 + 60 / bpm * np.arange(20)))
    assert found.bpm == pytest.approx(bpm, abs=0.01)
    assert found.confidence == pytest.approx(0.9)


@pytest.mark.parametrize(("bpm", "other"), [(60.0, 120.0), (100.0, 200.0), (140.0, 70.0)])
def test_the_alternative_is_the_other_octave(bpm: float, other: float) -> None:
    assert tempo.measure(beats(60 / bpm * np.arange(20))).alternative_bpm == pytest.approx(other, abs=0.05)


def test_jitter_of_20_ms_moves_the_tempo_by_less_than_half_a_beat_a_minute_and_costs_confidence() -> None:
    jitter = np.random.default_rng(1).normal(0, 0.02, 40)
    found = tempo.measure(beats(0.5 * np.arange(40) + jitter))
    assert found.bpm == pytest.approx(120, abs=0.5)
    assert 0.4 < found.confidence < 0.9


def test_a_missing_and_a_stray_beat_do_not_move_the_tempo() -> None:
    times = np.delete(0.5 * np.arange(40), 17)
    found = tempo.measure(beats(np.sort(np.append(times, 3.25))))
    assert found.bpm == pytest.approx(120, abs=0.5)


def test_beats_at_random_are_unknown() -> None:
    times = np.sort(np.random.default_rng(2).uniform(0, 20, 30))
    assert tempo.measure(beats(times)) == Tempo(source=tempo.SOURCE)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_than_four_beats_are_unknown(count: int) -> None:
    assert tempo.measure(beats(0.5 * np.arange(count))).bpm is None


def test_unsure_beats_give_no_tempo() -> None:
    assert tempo.measure(beats(0.5 * np.arange(20), confidence=0.1)).bpm is None
