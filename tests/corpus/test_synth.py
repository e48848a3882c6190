"""Effects change the sound and never the time."""

from __future__ import annotations

import numpy as np
import pytest

from llark.corpus.synth import SAMPLE_RATE, finish_mix, noise, room


def clicks() -> np.ndarray:
    """Four seconds with a decaying tone burst at every second."""
    samples = np.zeros(4 * SAMPLE_RATE, np.float32)
    tone = np.sin(np.arange(4000) * 0.2) * np.exp(-np.arange(4000) / 600)
    for second in range(4):
        samples[second * SAMPLE_RATE + 2000 :][:4000] += tone
    return samples


@pytest.mark.parametrize("seed", range(6))
def test_a_finished_mix_has_a_peak_between_minus_12_and_minus_1_db_and_keeps_its_onsets(seed: int) -> None:
    mixed = finish_mix(clicks(), np.random.default_rng(seed))
    assert mixed.dtype == np.float32
    assert len(mixed) == 4 * SAMPLE_RATE
    peak = float(np.abs(mixed).max())
    assert 10 ** (-12 / 20) - 1e-3 <= peak <= 10 ** (-1 / 20) + 1e-3
    for second in range(4):
        place = int(np.abs(mixed[second * SAMPLE_RATE :][: SAMPLE_RATE // 2]).argmax())
        assert place == pytest.approx(2000, abs=220)  # 10 ms


def test_a_room_adds_a_tail_that_decays() -> None:
    dry = np.zeros(2 * SAMPLE_RATE, np.float32)
    dry[100] = 1.0
    wet = room(dry, 0.8, -6.0, np.random.default_rng(1))
    early, late = np.abs(wet[1000:4000]).mean(), np.abs(wet[12_000:15_000]).mean()
    assert wet[100] == pytest.approx(1.0, abs=1e-3)
    assert early > 10 * late > 0


def test_noise_lies_as_far_below_the_mix_as_asked() -> None:
    mix = clicks()
    hiss = noise(mix, 30.0, np.random.default_rng(2))
    ratio = 10 * np.log10((mix**2).mean() / (hiss**2).mean())
    assert ratio == pytest.approx(30.0, abs=0.1)


def test_silence_stays_finite() -> None:
    assert np.isfinite(finish_mix(np.zeros(SAMPLE_RATE, np.float32), np.random.default_rng(3))).all()
