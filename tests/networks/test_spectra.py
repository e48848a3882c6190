"""The spectrograms of beats and chords against madmom-infer's and librosa's, and against arithmetic."""

from __future__ import annotations

import time

import numpy as np
import pytest

from llark.networks import spectra
from tests.networks.rhythm_harmony_goldens import BEAT_ROWS, CQT_ROWS, GOLDENS, SAMPLE_RATE, music

REFERENCE = np.load(GOLDENS)


def test_the_log_filterbank_is_madmom_infers_to_a_millionth() -> None:
    ours = spectra.log_filterbank(music())
    assert ours.shape == (200, spectra.BEAT_WIDTH)
    np.testing.assert_allclose(ours[BEAT_ROWS], REFERENCE["beat_features"], atol=1e-6)


def test_the_tuning_is_librosas() -> None:
    assert spectra.constant_q(music()).tuning_bins == pytest.approx(float(REFERENCE["tuning_bins"]), abs=1e-9)


def test_the_constant_q_is_librosas_to_a_decibel_where_there_is_energy() -> None:
    ours = spectra.constant_q(music()).magnitudes[CQT_ROWS]
    theirs = REFERENCE["cqt"]
    assert ours.shape == theirs.shape
    loud = theirs > 1e-2 * theirs.max()
    decibels = 20 * np.abs(np.log10(ours[loud] / theirs[loud]))
    assert np.median(decibels) < 0.1
    assert np.percentile(decibels, 95) < 1.0
    assert np.linalg.norm(ours - theirs) < 0.02 * np.linalg.norm(theirs)


@pytest.mark.parametrize(("midi", "bin_expected"), [(24, 0), (36, 36), (69, 135), (98, 222), (107, 249)])
def test_a_sine_is_loudest_in_its_own_bin(midi: int, bin_expected: int) -> None:
    hz = 440 * 2 ** ((midi - 69) / 12)
    sine = np.sin(2 * np.pi * hz * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    assert int(spectra.constant_q(sine).magnitudes[40].argmax()) == bin_expected


def test_a_recording_tuned_up_by_ten_cents_shifts_the_grid_by_a_third_of_a_bin() -> None:
    assert spectra.constant_q(music(cents=10.0)).tuning_bins == pytest.approx(0.3, abs=0.06)


def test_sound_at_the_end_does_not_wrap_round_to_the_beginning() -> None:
    late = np.zeros(8 * SAMPLE_RATE, np.float32)
    late[-SAMPLE_RATE:] = music(1.0)
    magnitudes = spectra.constant_q(late).magnitudes
    assert magnitudes[:100].max() < 1e-3 * magnitudes.max()


@pytest.mark.parametrize("samples", [0, 1, 400, 3000])
def test_recordings_shorter_than_a_frame_still_give_the_promised_frames(samples: int) -> None:
    short = music(1.0)[:samples]
    assert spectra.log_filterbank(short).shape == (-(-samples // 441), 272)
    assert spectra.constant_q(short).magnitudes.shape == (1 + samples // 512, 252)


def test_silence_gives_zeros() -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    assert not spectra.log_filterbank(silence).any()
    assert not spectra.constant_q(silence).magnitudes.any()


def test_half_a_minute_of_constant_q_takes_less_than_a_cpu_second() -> None:
    samples = music(30.0)
    before = time.process_time()
    spectra.constant_q(samples)
    assert time.process_time() - before < 1.0


def test_the_table_of_the_hann_spectrum_is_exact_to_a_ten_millionth() -> None:
    offsets = np.concatenate([np.linspace(-8, 8, 100_003), [-1.0, 0.0, 1.0]])
    exact = spectra._hann_spectrum_exactly(offsets)
    assert exact.max() == 1.0
    np.testing.assert_allclose(spectra._hann_spectrum(offsets), exact, atol=2e-7)
