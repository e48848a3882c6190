import itertools

import numpy as np
import pytest

from llark.embed import mini
from llark.networks.chord import ChordOutput
from llark.networks.features import AudioFeatures
from llark.networks.tag import TagOutput

RATE = 22050


def chord_sound(root: int, third: int, seconds: float) -> np.ndarray:
    """A triad over its root, decaying; `root` in semitones above C3."""
    time = np.arange(int(seconds * RATE)) / RATE
    sound = np.zeros_like(time)
    for semitone, level in ((root - 12, 2.0), (root, 1.0), (root + third, 1.0), (root + 7, 1.0)):
        for harmonic in range(1, 6):
            pitch = 130.8128 * 2 ** (semitone / 12) * harmonic
            sound += level * np.sin(2 * np.pi * pitch * time) / harmonic**1.5
    return 0.05 * sound * np.exp(-time)


@pytest.fixture(scope="module")
def cadence() -> AudioFeatures:
    """C major, A minor, F major, G major, two seconds each, and 0.2 s more."""
    chords = [chord_sound(root, third, 2.0) for root, third in ((0, 4), (9, 3), (5, 4), (7, 4))]
    return AudioFeatures(np.concatenate([*chords, np.zeros(4410)]).astype(np.float32), RATE)


@pytest.fixture(scope="module")
def frames(cadence) -> np.ndarray:
    return mini.embed(cadence)


def lag_of_peak(frames: np.ndarray, channel: str) -> float:
    """The lag in seconds at which one channel of the mean rhythm part is highest."""
    curves = frames[:, mini.PARTS["rhythm"]].reshape(len(frames), 4, -1).mean(axis=0)
    return float(mini.RHYTHM_LAGS_SECONDS[curves[mini.RHYTHM_CHANNELS.index(channel)].argmax()])


def test_a_clip_has_two_frames_a_second_and_one_for_the_rest(frames):
    assert frames.shape == (17, mini.WIDTH)
    assert frames.dtype == np.float32
    assert np.isfinite(frames).all()


def test_the_parts_lie_side_by_side_and_fill_the_width():
    ends = [0, *(part.stop for part in mini.PARTS.values())]
    assert [part.start for part in mini.PARTS.values()] == ends[:-1]
    assert ends[-1] == mini.WIDTH == 2436
    assert mini.PARTS["rhythm"].stop - mini.PARTS["rhythm"].start == 4 * 96


def test_chords_and_bass_are_heard_in_their_own_half_seconds(frames):
    classes = frames[:16, mini.PARTS["chords"]].argmax(axis=1)
    assert classes.tolist() == [1] * 4 + [13 + 9] * 4 + [1 + 5] * 4 + [1 + 7] * 4
    assert frames[:16, mini.PARTS["bass"]].argmax(axis=1).tolist() == [0] * 4 + [9] * 4 + [5] * 4 + [7] * 4


def test_the_same_clip_gives_the_same_frames(cadence, frames):
    again = mini.embed(AudioFeatures(cadence.samples.copy(), RATE))
    np.testing.assert_array_equal(again, frames)


def test_most_values_are_of_unit_scale(frames):
    for name, part in mini.PARTS.items():
        assert 0.02 < np.sqrt(np.mean(frames[:, part] ** 2)) < 7.0, name


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.3])
def test_silence_gives_finite_frames_without_rhythm(seconds):
    frames = mini.embed(AudioFeatures(np.zeros(int(RATE * seconds), np.float32), RATE))
    assert frames.shape == (-(-int(seconds * 20) // 10), mini.WIDTH)
    assert np.isfinite(frames).all()
    assert np.abs(frames[:, mini.PARTS["rhythm"]]).max() == 0.0


def test_pooling_takes_each_value_into_the_half_second_it_starts_in():
    values = np.arange(50.0)[:, None]
    pooled = mini.pool(values, 22050 / 512, 3)
    borders = [0, 22, 44, 50]  # 0.5 s is frame 21.5, 1.0 s is frame 43.07
    assert pooled[:, 0].tolist() == [values[a:b].mean() for a, b in itertools.pairwise(borders)]


def test_pooling_repeats_the_last_value_where_frames_run_out():
    assert mini.pool(np.ones((1, 2)) * 7.0, 50, 3).tolist() == [[7.0, 7.0]] * 3


def test_triads_are_shared_among_major_and_minor_without_loss():
    triad = np.zeros((5, 73))
    for frame, index in enumerate((0, 1 + 3, 13 + 4, 25 + 5, 61 + 6)):  # N, Eb, E minor, F sus4, F# aug
        triad[frame, index] = 1.0
    classes = mini.chord_classes(triad)
    np.testing.assert_allclose(classes.sum(axis=1), 1.0)
    assert classes.argmax(axis=1).tolist() == [0, 1 + 3, 13 + 4, 1 + 5, 1 + 6]
    assert classes[3, 13 + 5] == classes[3, 1 + 5] == 0.5


def pulses(period_seconds: float, seconds: float = 25.0) -> np.ndarray:
    """[4, n] curves at 50 Hz: a smooth pulse each period in all four channels."""
    time = np.arange(int(seconds * 50)) / 50
    phase = (time + period_seconds / 2) % period_seconds - period_seconds / 2
    return np.tile(np.exp(-0.5 * (phase / 0.025) ** 2), (4, 1))


def tempogram(period_seconds: float, seconds: float = 25.0) -> np.ndarray:
    """Mean over frames: [channels, lags]."""
    frames = mini.tempogram_of(pulses(period_seconds, seconds), int(2 * seconds))
    return frames.reshape(int(2 * seconds), 4, 96).mean(axis=0)


@pytest.mark.parametrize("period", [0.31, 0.4286, 0.625, 0.9])
def test_the_shortest_strong_lag_is_the_period(period):
    heard = tempogram(period)[0]
    strong = np.flatnonzero(heard > 0.75 * heard.max())[0]
    nearby = slice(strong, strong + 3)
    lag = mini.RHYTHM_LAGS_SECONDS[nearby][heard[nearby].argmax()]
    assert lag == pytest.approx(period, rel=0.03)


def test_a_slower_tempo_is_a_shift_of_the_tempogram():
    bins = 10
    ratio = (mini.RHYTHM_LAGS_SECONDS[1] / mini.RHYTHM_LAGS_SECONDS[0]) ** bins
    fast, slow = tempogram(0.5)[0], tempogram(0.5 * ratio)[0]
    assert np.corrcoef(fast[:60], slow[bins : 60 + bins])[0, 1] > 0.9
    assert np.corrcoef(fast[:60], slow[:60])[0, 1] < 0.3


def test_rhythm_is_local():
    curves = np.concatenate([pulses(0.4, 20.0), pulses(0.7, 20.0)], axis=1)
    heard = mini.tempogram_of(curves, 80).reshape(80, 4, 96)[:, 0]
    near = [int(np.abs(mini.RHYTHM_LAGS_SECONDS - period).argmin()) for period in (0.4, 0.7)]
    assert heard[5, near[0]] > 2.0 > 0.0 > heard[5, near[1]]
    assert heard[75, near[1]] > 2.0 > 0.0 > heard[75, near[0]]
    np.testing.assert_array_equal(heard[0], heard[8])  # the window moves inwards at the edges


def test_lags_that_a_short_clip_cannot_show_are_zero():
    heard = tempogram(0.5, seconds=3.0)[0]
    beyond = mini.RHYTHM_LAGS_SECONDS > 2.4
    assert beyond.sum() > 10
    assert (heard[beyond] == 0.0).all()
    assert heard[~beyond].max() > 2.0


def test_flat_curves_have_no_rhythm():
    faint = np.random.default_rng(0).normal(size=(4, 1250)) * 1e-4
    assert np.abs(mini.tempogram_of(faint + 0.3, 50)).max() < 0.01


def test_lag_weights_are_averages_that_leave_no_sample_out():
    weights = mini.lag_weights(330)
    np.testing.assert_allclose(weights.sum(axis=0), 1.0)
    assert (weights[11:290].sum(axis=1) > 0).all()


def test_harmonic_change_peaks_where_the_chord_changes():
    triad = np.zeros((260, 73), np.float32)
    triad[:130, 1], triad[130:, 1 + 7] = 1.0, 1.0
    chroma = np.ones((260, 12), np.float32)
    empty = np.zeros((260, 1), np.float32)
    change = mini.harmonic_change(ChordOutput(empty, triad, empty, empty, chroma, chroma))
    assert change.argmax() == 130
    assert change[130] == pytest.approx(0.5)
    assert change[:100].max() == 0.0


def test_tags_are_those_of_the_nearest_patch():
    mtt, msd = np.full((2, 50), 0.5), np.full((2, 50), 0.0)
    mtt[1] = 1.0 / (1.0 + np.e**3)
    heard = TagOutput(np.zeros((374, 753)), mtt, msd, (0, 187), 187)
    levels = mini.tag_levels(heard, 12)
    assert levels.shape == (12, 100)
    np.testing.assert_allclose(levels[:6, 0], 1.0)
    np.testing.assert_allclose(levels[6:, 0], 0.0, atol=1e-9)
    assert np.isfinite(levels).all()


def test_loudness_is_tens_of_decibels():
    samples = np.concatenate([np.full(8000, 0.1), np.full(8000, 0.01)]).astype(np.float32)
    levels = mini.loudness(samples, 16000, 2)
    np.testing.assert_allclose(levels[:, 0], [0.0, -2.0], atol=1e-5)
    assert levels[0, 1] - levels[1, 1] == pytest.approx(2.0)


def test_a_clap_every_half_second_is_heard_as_that():
    time = np.arange(6 * RATE) / RATE
    noise = np.random.default_rng(1).normal(size=len(time))
    claps = (0.5 * noise * np.exp(-80 * (time % 0.5))).astype(np.float32)
    frames = mini.embed(AudioFeatures(claps, RATE))
    lag = lag_of_peak(frames, "onset")
    assert lag / 0.5 == pytest.approx(round(lag / 0.5), rel=0.04)
    assert round(lag / 0.5) in (1, 2)
