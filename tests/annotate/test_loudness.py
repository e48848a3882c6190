"""Loudness against the standard's own figure, and against values of an independent meter."""

from __future__ import annotations

import numpy as np
import pytest

from llark.annotate import loudness
from llark.networks import weighting
from llark.networks.features import AudioFeatures


def tone(hz: float, level: float, seconds: float, rate: int) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


def steps(levels: list[float], each_seconds: int, rate: int = 22050) -> np.ndarray:
    """A tone whose level is another one every so many seconds."""
    return tone(440, 0.2, each_seconds * len(levels), rate) * np.repeat(levels, each_seconds * rate)


@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_full_scale_tone_of_997_hz_reads_three_below_zero(rate: int) -> None:
    heard = loudness.find(AudioFeatures(tone(997, 1.0, 5, rate), rate))
    assert heard.integrated_lufs == pytest.approx(-3.01, abs=0.01)
    assert heard.peak_dbfs == pytest.approx(0.0, abs=0.01)
    assert heard.range_lu == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(
    ("rate", "expected"), [(8000, -20.0008), (22050, -20.1542), (44100, -20.1998), (48000, -20.2035)]
)
def test_gated_loudness_is_what_pyloudnorm_measures(rate: int, expected: float) -> None:
    """pyloudnorm 0.2.0 with the filters of the standard ("DeMan")."""
    seconds = 12
    time = np.arange(rate * seconds) / rate
    samples = 0.2 * np.sin(2 * np.pi * 440 * time)
    samples *= np.where(time < 4, 1.0, np.where(time < 8, 0.05, 0.4))
    heard = loudness.find(AudioFeatures(samples, rate))
    assert heard.integrated_lufs == pytest.approx(expected, abs=0.01)


def test_windows_side_by_side_measure_like_the_whole() -> None:
    rng = np.random.default_rng(3)
    samples = 0.1 * rng.standard_normal(22050 * 20) * np.repeat([1.0, 0.2], 22050 * 10)
    whole = loudness.find(AudioFeatures(samples, 22050))
    halves = [AudioFeatures(half, 22050).energies for half in np.split(samples, 2)]
    joined = loudness.measure(weighting.join(halves))
    assert joined.integrated_lufs == pytest.approx(whole.integrated_lufs, abs=0.01)
    assert joined.range_lu == pytest.approx(whole.range_lu, abs=0.05)
    assert joined.peak_dbfs == whole.peak_dbfs


def test_loud_and_quiet_passages_and_silence_are_named_in_seconds_of_the_track() -> None:
    heard = loudness.find(AudioFeatures(steps([1.0, 0.1, 1.0, 0.0], 6), 22050), start_seconds=100.0)
    assert [span.label for span in heard.dynamics] == ["loud", "quiet", "loud", "silence"]
    starts = [span.start_seconds for span in heard.dynamics]
    assert starts == pytest.approx([100.0, 106.0, 112.0, 118.0], abs=1.0)
    assert heard.dynamics[-1].end_seconds == 124.0
    assert heard.confidence > 0.5
    assert heard.each_second_lufs[-1] is None


@pytest.mark.parametrize(("word", "gains"), [("crescendo", (-30, 0)), ("decrescendo", (0, -30))])
def test_a_long_fade_is_a_swell_and_a_step_is_none(word: str, gains: tuple[int, int]) -> None:
    fade = 10 ** (np.linspace(*gains, 22050 * 15) / 20)
    heard = loudness.find(AudioFeatures(tone(440, 0.3, 15, 22050) * fade, 22050))
    longest = max(heard.dynamics, key=lambda span: span.end_seconds - span.start_seconds)
    assert longest.label == word
    assert longest.end_seconds - longest.start_seconds >= 12
    stepped = loudness.find(AudioFeatures(steps([0.1, 1.0], 8), 22050))
    assert {span.label for span in stepped.dynamics} == {"quiet", "loud"}


def test_where_nothing_changes_there_are_no_words() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(22050 * 20)
    heard = loudness.find(AudioFeatures(noise, 22050))
    assert heard.dynamics == ()
    assert heard.confidence == 0.0
    assert heard.integrated_lufs == pytest.approx(-17.1, abs=0.2)


def test_silence_and_a_blink_have_no_loudness() -> None:
    assert loudness.find(AudioFeatures(np.zeros(22050 * 3), 22050)).integrated_lufs is None
    assert loudness.find(AudioFeatures(tone(440, 0.5, 0.3, 22050), 22050)).integrated_lufs is None
