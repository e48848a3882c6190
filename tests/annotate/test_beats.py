"""Beats and bars from made-up activations: no network runs here."""

from __future__ import annotations

import numpy as np
import pytest

from llark.annotate import beats
from llark.records import Beats


def rhythm(bpm: float, per_bar: int, seconds: float = 20.0, start: float = 0.4) -> np.ndarray:
    """[frames, 2] of nets that are sure of every beat and of the first of each bar."""
    frames = np.arange(int(seconds * 50)) / 50
    activations = np.full((len(frames), 2), 0.01)
    period = 60 / bpm
    for number in range(int((seconds - start) / period)):
        bump = np.exp(-0.5 * ((frames - start - number * period) / 0.012) ** 2)
        activations[:, 0] += 0.85 * bump
        activations[:, 1] += 0.85 * bump * (number % per_bar == 0)
    return activations.astype(np.float32)


@pytest.mark.parametrize(("bpm", "per_bar"), [(60, 4), (97, 4), (140, 4), (90, 3), (170, 3), (100, 2)])
def test_a_sure_pulse_gives_its_beats_and_bars(bpm: float, per_bar: int) -> None:
    found = beats.track(rhythm(bpm, per_bar), bpm * 1.03, per_bar)
    assert np.median(np.diff(found.times_seconds)) == pytest.approx(60 / bpm, rel=0.02)
    second_bar = 0.4 + per_bar * 60 / bpm
    first = int(np.argmin(np.abs(np.array(found.times_seconds) - second_bar)))
    assert found.times_seconds[first] == pytest.approx(second_bar, abs=0.03)
    assert found.positions[first : first + per_bar + 1] == (*range(1, per_bar + 1), 1)
    assert found.confidence > 0.9
    assert found.source == "pulse+metricon"


def test_the_tempo_that_is_asked_for_decides_the_octave() -> None:
    activations = rhythm(120, 4)
    assert np.median(np.diff(beats.track(activations, 120, 4).times_seconds)) == pytest.approx(0.5, abs=0.02)
    assert np.median(np.diff(beats.track(activations, 60, 4).times_seconds)) == pytest.approx(1.0, abs=0.02)


def test_a_tempo_that_sways_by_three_per_cent_is_followed() -> None:
    true = 0.4 + np.arange(36) * 0.5 + 0.03 * np.sin(np.arange(36) * 0.5)
    frames = np.arange(1000) / 50
    bump = np.exp(-0.5 * ((frames[:, None] - true) / 0.012) ** 2).sum(axis=1)
    found = beats.track(np.stack([0.01 + 0.85 * bump, np.full(1000, 0.01)], axis=1), 120, 4)
    distance = np.abs(np.array(found.times_seconds)[:, None] - true).min(axis=0)
    assert (distance < 0.07).mean() > 0.95


@pytest.mark.parametrize("level", [0.0, 0.05, 0.15])
def test_what_has_no_pulse_is_unknown(level: float) -> None:
    wobble = 0.03 * np.random.default_rng(0).random((1000, 2))
    assert beats.track((level + wobble).astype(np.float32), 110, 4) == Beats(source=beats.SOURCE)


@pytest.mark.parametrize("frames", [0, 1, 30, 60])
def test_too_little_to_count_is_unknown(frames: int) -> None:
    found = beats.track(rhythm(120, 4)[:frames], 120, 4)
    assert (found.confidence, found.times_seconds) == (0.0, ())
