import numpy as np
import pytest

from llark.errors import BadAudio
from llark.networks.features import AudioFeatures, Networks


class Counting:
    """Stands in for the networks: each echoes how many samples it was given, and counts its calls."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda samples: self.calls.append((name, len(samples))) or len(samples)


def tone(seconds: float, sample_rate: int, level: float = 0.5) -> np.ndarray:
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    return (level * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def test_each_network_listens_once_and_only_when_asked():
    networks = Counting()
    features = AudioFeatures(tone(1, 44100), 44100, networks)
    assert networks.calls == []
    assert features.beat == features.beat == 22050
    assert features.tag == features.tag == 16000
    assert networks.calls == [("beat", 22050), ("tag", 16000)]
    assert (features.chord, features.speech) == (22050, 16000)


def test_resampling_keeps_the_tone_and_the_duration():
    features = AudioFeatures(tone(2, 48000), 48000)
    assert features.duration_seconds == 2.0
    for samples, rate in ((features.samples_22050, 22050), (features.samples_16000, 16000)):
        assert len(samples) == 2 * rate
        assert samples.dtype == np.float32
        assert np.argmax(np.abs(np.fft.rfft(samples))) == 880
        middle = slice(rate // 2, rate)
        assert np.abs(samples - tone(2, rate))[middle].max() < 1e-3


def test_samples_at_a_networks_own_rate_are_not_touched():
    samples = tone(1, 16000)
    assert AudioFeatures(samples, 16000).samples_16000 is samples


def test_a_quiet_recording_is_heard_and_silence_is_not():
    assert AudioFeatures(tone(1, 16000), 16000).rms == pytest.approx(0.5 / 2**0.5, rel=1e-3)
    assert not AudioFeatures(tone(1, 16000, 0.002), 16000).is_silent
    assert AudioFeatures(tone(1, 16000, 0.0001), 16000).is_silent
    assert AudioFeatures(np.zeros(100, np.float32), 16000).is_silent


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(0), "no-samples"),
        (np.zeros((2, 100)), "no-samples"),
        (np.array([0.0, np.nan]), "not-finite"),
        (np.array([0.0, np.inf]), "not-finite"),
    ],
)
def test_what_is_no_channel_of_finite_samples_is_refused(samples, reason):
    with pytest.raises(BadAudio) as caught:
        AudioFeatures(samples, 16000)
    assert caught.value.reason == reason


def test_a_process_has_one_set_of_networks():
    assert Networks.shared() is Networks.shared()
    assert Networks.shared().speech is Networks.shared().speech
