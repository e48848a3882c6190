import numpy as np
import pytest
import torch

from llark.networks import tag
from tests.networks.timbre_goldens import GOLDENS, ROWS, signal


@pytest.fixture(scope="module")
def net():
    return tag.TagNet.load()


@pytest.mark.parametrize("name", ["mtt", "msd"])
def test_float16_weights_say_what_the_original_ones_say(net, name):
    goldens = np.load(GOLDENS)
    mel = tag.tag_mel(signal())[None, : tag.PATCH_FRAMES]
    with torch.inference_mode():
        features = getattr(net, name).frames(mel)
        tags = getattr(net, name).tags(features)[0].numpy()
    assert np.abs(features[0].T[ROWS].numpy() - goldens[f"{name}_features"]).max() < 0.1
    assert np.abs(tags - goldens[f"{name}_tags"]).max() < 2e-3


def test_patches_cover_the_clip_and_are_three_seconds(net):
    heard = net(np.tile(signal(), 3)[: 16000 * 7])
    assert heard.features.shape == (1 + 16000 * 7 // 256, 753)
    assert heard.patch_frames == 187
    assert heard.patch_starts == (0, 126, 251)
    assert heard.mtt.shape == heard.msd.shape == (3, 50)
    assert heard.patch_starts[-1] + 187 == len(heard.features)


def test_a_short_clip_is_one_patch_of_its_own_length(net):
    heard = net(signal()[:16000])
    assert heard.mtt.shape == (1, 50)
    assert heard.patch_frames == len(heard.features) == 63


def test_probabilities_are_finite_in_silence_and_in_clipped_noise(net):
    for samples in (np.zeros(8000, np.float32), np.sign(np.sin(np.arange(8000))).astype(np.float32) * 8):
        heard = net(samples)
        for probabilities in (heard.mtt, heard.msd):
            assert np.isfinite(probabilities).all()
            assert ((probabilities >= 0) & (probabilities <= 1)).all()
        assert np.isfinite(heard.features).all()


def test_tag_names_are_fifty_each_and_unique():
    assert len(set(tag.MTT)) == len(set(tag.MSD)) == 50
    assert tag.WIDTH == 753
