"""Beats and bars from made-up activations: no network runs here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from llark.annotate import beats
from llark.records import Beats, Meter


@dataclass
class Activations:
    activations: np.ndarray
    onsets: np.ndarray


def pulse(
    bpm: float, per_bar: int, seconds: float = 20.0, divisions: tuple[float, ...] = (0.5,), start: float = 0.4
) -> Activations:
    """A net that is sure of every beat, and onsets on the beats and at the given places between them."""
    frames = np.arange(int(seconds * 50)) / 50
    activations = np.full((len(frames), 2), 0.01)
    onsets = np.full(len(frames), 0.2)
    period = 60 / bpm
    for number in range(int((seconds - start) / period)):
        at = start + number * period
        bump = np.exp(-0.5 * ((frames - at) / 0.012) ** 2)
        activations[:, 1 if number % per_bar == 0 else 0] += 0.85 * bump
        for place, loudness in ((0.0, 8.0), *((division, 4.0) for division in divisions)):
            onsets += loudness * np.exp(-0.5 * ((frames - at - place * period) / 0.012) ** 2)
    return Activations(activations.astype(np.float32), onsets.astype(np.float32))


def every(seconds: float, start: float = 0.4, until: float = 20.0) -> list[float]:
    return list(np.arange(start, until, seconds))


@pytest.mark.parametrize(("bpm", "per_bar"), [(60, 4), (97, 4), (140, 4), (90, 3), (170, 3)])
def test_a_sure_pulse_gives_its_beats_and_bars(bpm: float, per_bar: int) -> None:
    found, meter = beats.track(pulse(bpm, per_bar))
    periods = np.diff(found.times_seconds)
    assert np.median(periods) == pytest.approx(60 / bpm, rel=0.02)
    first = int(np.argmin(np.abs(np.array(found.times_seconds) - 0.4)))
    assert found.times_seconds[first] == pytest.approx(0.4, abs=0.03)
    assert found.positions[first : first + per_bar + 1] == (*range(1, per_bar + 1), 1)
    assert meter.beats_per_bar == per_bar
    assert found.confidence > 0.8
    assert meter.confidence > 0.5
    assert found.source == meter.source == "beatnet+metricon"


def test_chord_changes_decide_where_the_bar_begins_when_the_net_cannot_tell() -> None:
    vague = pulse(120, 4)
    vague.activations[:] = vague.activations.sum(axis=1, keepdims=True) / 2
    found, meter = beats.track(vague, every(2.0, start=1.4))
    assert meter.beats_per_bar == 4
    downbeats = np.array(found.downbeats_seconds)
    assert np.allclose((downbeats - 1.4 + 1) % 2 - 1, 0, atol=0.05)


@pytest.mark.parametrize("noise", ["silent", "flat", "random"])
def test_what_has_no_pulse_is_unknown(noise: str) -> None:
    smooth = np.cumsum(np.random.default_rng(0).normal(size=(1010, 2)), axis=0)
    level = {
        "silent": np.zeros((1000, 2)),
        "flat": np.full((1000, 2), 0.1),
        "random": np.clip(0.15 + 0.02 * (smooth[10:] - smooth[:-10]), 0, 0.5),
    }[noise]
    found = beats.track(Activations(level.astype(np.float32), np.ones(1000, np.float32)))
    assert found == (Beats(source=beats.SOURCE), Meter(source=beats.SOURCE))


@pytest.mark.parametrize("frames", [0, 1, 30, 60])
def test_too_little_to_count_is_unknown(frames: int) -> None:
    whole = pulse(120, 4)
    found, _ = beats.track(Activations(whole.activations[:frames], whole.onsets[:frames]))
    assert found.confidence == 0.0
    assert found.times_seconds == ()


def test_quick_beats_that_nothing_divides_under_slow_chords_are_halves_of_the_real_ones() -> None:
    found, _ = beats.track(pulse(150, 4, divisions=()), every(16 * 60 / 150))
    assert 60 / np.median(np.diff(found.times_seconds)) == pytest.approx(75, rel=0.02)


def test_quick_beats_that_are_divided_stay_quick() -> None:
    found, _ = beats.track(pulse(150, 4, divisions=(0.5,)), every(16 * 60 / 150))
    assert 60 / np.median(np.diff(found.times_seconds)) == pytest.approx(150, rel=0.02)
