import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor
from transformers.audio_utils import mel_filter_bank

from llark.networks import mels
from tests.networks.timbre_goldens import GOLDENS, ROWS, signal


@pytest.mark.parametrize(("bands", "frame"), [(96, 512), (80, 400), (40, 2048)])
def test_mel_filters_are_those_of_an_independent_implementation(bands, frame):
    theirs = mel_filter_bank(1 + frame // 2, bands, 0.0, 8000.0, 16000, norm="slaney", mel_scale="slaney")
    assert np.abs(mels.mel_filters(bands, frame) - theirs.T).max() < 1e-8


def test_the_mel_scale_is_linear_to_1_khz_and_returns():
    hz = np.array([0.0, 500.0, 999.0, 1000.0, 4000.0, 8000.0])
    scale = np.array([mels.hz_to_mel(value) for value in hz])
    assert scale[1] == pytest.approx(7.5)
    assert scale[3] == pytest.approx(15.0)
    np.testing.assert_allclose(mels.mel_to_hz(scale), hz, rtol=1e-12, atol=1e-9)


def test_the_tag_spectrogram_is_librosas():
    ours = mels.tag_mel(signal())
    assert ours.shape == (1 + 48000 // 256, 96)
    assert np.abs(ours[ROWS].numpy() - np.load(GOLDENS)["tag_mel"]).max() < 1e-4


def test_the_speech_spectrogram_is_librosas():
    ours = mels.speech_mel(signal())
    assert ours.shape == (300, 80)
    assert np.abs(ours[ROWS].numpy() - np.load(GOLDENS)["speech_mel"]).max() < 1e-4


def test_the_speech_spectrogram_is_that_of_transformers():
    theirs = WhisperFeatureExtractor(feature_size=80)(
        signal(), sampling_rate=16000, padding="do_not_pad", return_tensors="np"
    ).input_features[0]
    assert np.abs(mels.speech_mel(signal()).T.numpy() - theirs).max() < 1e-4


def test_loud_music_does_not_overflow():
    assert torch.isfinite(mels.tag_mel(np.full(16000, 8.0, np.float32))).all()


def test_silence_is_the_floor_of_both_spectrograms():
    silence = np.zeros(16000, np.float32)
    assert mels.tag_mel(silence).abs().max() == 0.0
    assert mels.speech_mel(silence).unique().tolist() == [-1.5]


def test_a_clip_shorter_than_a_frame_is_one_or_two_frames():
    assert mels.tag_mel(np.zeros(10, np.float32)).shape == (1, 96)
    assert mels.speech_mel(np.zeros(10, np.float32)).shape == (2, 80)
