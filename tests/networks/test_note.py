from __future__ import annotations

import numpy as np
import pytest
import torch

from llark.networks import note
from tests.networks.note_goldens import GOLDENS, OUTPUTS, ROWS, windows


@pytest.fixture(scope="module")
def net() -> note.NoteNet:
    return note.NoteNet.load()


def test_the_port_says_what_the_original_says_to_a_ten_thousandth(net: note.NoteNet) -> None:
    goldens = np.load(GOLDENS)
    with torch.inference_mode():
        heard = net.net(torch.from_numpy(windows()))
    for name, ours in zip(OUTPUTS, heard, strict=True):
        assert goldens[name][:2].max() > 0.6
        assert np.abs(ours.numpy()[:, ROWS] - goldens[name]).max() < 1e-4, name


def test_windows_side_by_side_give_one_frame_for_every_256_samples(net: note.NoteNet) -> None:
    samples = windows()[0]
    once = net(samples)
    assert once.notes.shape == once.onsets.shape == (172, 88)
    assert once.contours.shape == (172, 264)
    assert net(samples[:100]).notes.shape == (1, 88)


def test_an_a4_sounds_at_its_own_frames_and_pitch(net: note.NoteNet) -> None:
    time = np.arange(22050 * 6) / 22050
    since = np.maximum(time - 3.0, 0.0)
    tone = sum(0.2 / k * np.sin(2 * np.pi * 440 * k * since) for k in range(1, 5)) * np.exp(-since)
    heard = net(tone.astype(np.float32))
    a4 = 69 - note.LOWEST_MIDI
    assert heard.notes[300:340].mean(axis=0).argmax() == a4
    assert heard.onsets[:, a4].argmax() / note.FRAMES_PER_SECOND == pytest.approx(3.0, abs=0.03)
