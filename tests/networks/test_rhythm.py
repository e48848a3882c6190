"""The rhythm net's shapes and symmetries, with random weights; and what the shipped one hears in a click."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llark.networks import rhythm
from llark.networks.features import AudioFeatures


def random_net(seed: int = 0) -> rhythm.TinyRhythm:
    torch.manual_seed(seed)
    return rhythm.TinyRhythm().eval()


def test_padding_a_clip_changes_nothing_that_is_heard_in_it() -> None:
    net, heard = random_net(), torch.randn(1, 400, rhythm.INPUT_WIDTH)
    alone = net(heard, torch.ones(1, 400, dtype=torch.bool))
    mask = torch.arange(600)[None] < 400
    padded = net(torch.cat([heard, torch.randn(1, 200, rhythm.INPUT_WIDTH)], 1), mask)
    torch.testing.assert_close(padded[0][:, :400], alone[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(padded[1], alone[1], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(padded[2], alone[2], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("frames", [1, 2, 51, 700])
def test_every_frame_gets_its_probabilities_and_the_clip_one_distribution(frames: int) -> None:
    weights = {f"0.{name}": value for name, value in random_net().state_dict().items()}
    heard = rhythm.RhythmNet(weights)(
        np.random.default_rng(0).normal(size=(frames, rhythm.INPUT_WIDTH)).astype("f4")
    )
    assert heard.activations.shape == (frames, 2)
    assert (heard.activations >= 0).all()
    assert heard.tempo.sum() == pytest.approx(1, abs=1e-5)
    assert heard.meter.shape == (4,)


def test_nothing_to_hear_leaves_every_tempo_and_meter_alike() -> None:
    weights = {f"0.{name}": value for name, value in random_net().state_dict().items()}
    heard = rhythm.RhythmNet(weights)(np.zeros((0, rhythm.INPUT_WIDTH), np.float32))
    assert heard.activations.shape == (0, 2)
    assert np.ptp(heard.tempo) == np.ptp(heard.meter) == 0


def classes_that_change(at: int, frames: int = 100) -> torch.Tensor:
    """[1, frames, 24]: C, then at `at` E; the bass stays on G."""
    classes = torch.zeros(1, frames, 24)
    classes[0, :at, 0] = classes[0, at:, 4] = classes[0, :, 12 + 7] = 1
    return classes


def test_a_change_of_pitch_class_is_seen_where_it_is_and_one_of_the_bass_apart() -> None:
    changes = rhythm.pitch_changes(classes_that_change(40), torch.ones(1, 100, dtype=torch.bool))[0]
    assert changes.shape == (100, rhythm.CHANGES)
    for column in (0, 2, 4):
        assert int(changes[:, column].argmax()) == 40
        assert changes[40, column] == pytest.approx(2.13, abs=0.01)
    assert changes[5:15, 0::2] == pytest.approx(-1, abs=0.01)
    assert changes[1:, 1::2] == pytest.approx(-1, abs=0.01)
    assert (changes[0] == 0).all()


def test_changes_are_the_same_in_every_key_and_none_where_nothing_sounds() -> None:
    classes, mask = torch.rand(2, 90, 24), torch.ones(2, 90, dtype=torch.bool)
    higher = torch.cat([part.roll(5, 2) for part in classes.split(12, dim=2)], dim=2)
    torch.testing.assert_close(rhythm.pitch_changes(higher, mask), rhythm.pitch_changes(classes, mask))
    assert (rhythm.pitch_changes(torch.zeros(1, 30, 24), mask[:1, :30]) == 0).all()
    mask[0, 50:] = False
    alone = rhythm.pitch_changes(classes[:1, :50], mask[:1, :50])
    torch.testing.assert_close(rhythm.pitch_changes(classes, mask)[:1, :50], alone)


@pytest.mark.parametrize("reads", [rhythm.RHYTHM_WIDTH, rhythm.RHYTHM_WIDTH + rhythm.CHANGES])
def test_a_net_that_reads_fewer_columns_hears_none_of_the_others(reads: int) -> None:
    net = rhythm.TinyRhythm(16, reads)
    weights = {f"0.{name}": value for name, value in net.state_dict().items()}
    heard = np.random.default_rng(2).normal(size=(120, rhythm.INPUT_WIDTH)).astype("f4")
    other = heard.copy()
    other[:, rhythm.RHYTHM_WIDTH :] = other[:, rhythm.RHYTHM_WIDTH :][:, ::-1]
    one, two = (rhythm.RhythmNet(weights)(values).activations for values in (heard, other))
    assert bool((one == two).all()) == (reads == rhythm.RHYTHM_WIDTH)


def test_several_nets_are_averaged() -> None:
    states = [random_net(seed).state_dict() for seed in (1, 2)]
    one, two, both = (
        rhythm.RhythmNet({f"{k}.{n}": v for k, state in enumerate(chosen) for n, v in state.items()})
        for chosen in ([states[0]], [states[1]], states)
    )
    heard = np.random.default_rng(1).normal(size=(300, rhythm.INPUT_WIDTH)).astype("f4")
    expected = (one(heard).meter + two(heard).meter) / 2
    np.testing.assert_allclose(both(heard).meter, expected, atol=1e-6)


def test_tempo_bins_are_the_lags_between_240_and_40_bpm() -> None:
    assert 230 < rhythm.BPM[0] <= 240
    assert 40 <= rhythm.BPM[-1] < 41.5
    np.testing.assert_allclose(
        rhythm.BPM[:-1] / rhythm.BPM[1:], rhythm.LAGS_SECONDS[1] / rhythm.LAGS_SECONDS[0]
    )


def clicks(bpm: float, per_bar: int, seconds: float = 12.0) -> np.ndarray:
    """A kick on the first of each bar, a hat on the others, over a bass note that changes with the bar."""
    rate, samples = 22050, np.zeros(int(seconds * 22050), np.float32)
    draw = np.random.default_rng(3)
    for number in range(int(seconds * bpm / 60)):
        start = int(number * 60 / bpm * rate)
        time = np.arange(min(rate // 5, len(samples) - start)) / rate
        first = number % per_bar == 0
        tone = np.sin(2 * np.pi * 60 * time) if first else 0.4 * draw.standard_normal(len(time))
        samples[start : start + len(time)] += (0.6 * tone * np.exp(-(12 if first else 60) * time)).astype(
            "f4"
        )
        pitch = 110 * 2 ** ((0, 5, 7, 3)[number // per_bar % 4] / 12)
        length = min(int(60 / bpm * rate), len(samples) - start)
        samples[start : start + length] += 0.1 * np.sin(2 * np.pi * pitch * np.arange(length) / rate).astype(
            "f4"
        )
    return samples


@pytest.mark.parametrize(("bpm", "per_bar"), [(100.0, 4), (120.0, 4), (132.0, 3)])
def test_the_shipped_net_hears_the_tempo_and_the_beats_of_a_plain_pulse(bpm: float, per_bar: int) -> None:
    heard = AudioFeatures(clicks(bpm, per_bar), 22050).rhythm
    likeliest = rhythm.BPM[int(heard.tempo.argmax())]
    assert min(abs(likeliest / (bpm * octave) - 1) for octave in (1, 0.5, 2)) < 0.04
    beats = np.rint(np.arange(2, 10) * 60 / bpm * rhythm.RATE).astype(int)
    between = np.rint(np.arange(2.35, 10) * 60 / bpm * rhythm.RATE).astype(int)
    assert heard.activations[beats, 0].mean() > 3 * heard.activations[between, 0].mean()


def test_the_shipped_net_hears_no_beats_in_noise() -> None:
    """But for the first tenth of a second: many of the clips that it learnt from begin on a beat."""
    noise = 0.1 * np.random.default_rng(4).standard_normal(22050 * 10)
    heard = AudioFeatures(noise.astype(np.float32), 22050).rhythm
    assert heard.activations[rhythm.RATE // 10 :, 0].max() < 0.2
    assert heard.tempo.max() < 0.3
