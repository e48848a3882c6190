"""The beat nets against BeatNet's own code, and what they hear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from llark.networks.beat import WIDTH, BeatNet
from tests.networks.rhythm_harmony_goldens import GOLDENS, SAMPLE_RATE, music


@pytest.fixture(scope="module")
def net() -> Iterator[BeatNet]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small recurrent nets only wait for a second thread
    yield BeatNet.load()
    torch.set_num_threads(threads)


def test_the_probabilities_are_beatnets_up_to_half_precision_weights(net: BeatNet) -> None:
    theirs = np.load(GOLDENS)["beat_activations"]
    heard = net(music())
    assert heard.activations.shape == theirs.shape == (200, 2)
    np.testing.assert_allclose(heard.activations, theirs, atol=5e-3)
    assert heard.hidden.shape == (200, WIDTH)
    assert heard.activations.dtype == heard.hidden.dtype == heard.onsets.dtype == np.float32


def test_clicks_at_120_a_minute_are_heard_as_beats_half_a_second_apart(net: BeatNet) -> None:
    beat = net(music(8.0)).activations.sum(axis=1)[150:]
    spectrum = np.abs(np.fft.rfft(beat - beat.mean(), 5000))
    assert np.argmax(spectrum[25:]) + 25 == pytest.approx(200, abs=4)  # 2 Hz at 50 frames a second


def test_loudness_does_not_change_what_is_heard(net: BeatNet) -> None:
    samples = music()
    loud, quiet = net(samples).activations, net(0.01 * samples).activations
    np.testing.assert_allclose(loud, quiet, atol=1e-4)


def test_onsets_peak_where_a_sound_begins(net: BeatNet) -> None:
    samples = np.zeros(2 * SAMPLE_RATE, np.float32)
    samples[SAMPLE_RATE:] = music(1.0)
    assert net(samples).onsets.argmax() == pytest.approx(50, abs=2)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (441, 1), (442, 2)])
def test_every_20_ms_begun_is_a_frame(net: BeatNet, samples: int, frames: int) -> None:
    heard = net(music(1.0)[:samples])
    assert heard.activations.shape == (frames, 2)
    assert heard.hidden.shape == (frames, WIDTH)
    assert heard.onsets.shape == (frames,)


def test_silence_has_no_beats(net: BeatNet) -> None:
    assert net(np.zeros(2 * SAMPLE_RATE, np.float32)).activations[40:].sum(axis=1).max() < 0.1


def test_the_first_layer_is_a_convolution_and_a_pooling(net: BeatNet) -> None:
    features = torch.rand(60, 272, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        for one in net.nets:
            plain = torch.max_pool1d(one.conv1(features[:, None]).relu(), 2)
            assert plain.std() > 0.01
            assert (one._local(features) - plain).abs().max() < 1e-5
