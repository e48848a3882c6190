"""Noise of every colour, and tones that never change, are told from music before any network hears them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llark import audio
from llark.networks.texture import Texture
from llark.pipeline.ask import demo_recording

RATE = 16_000


def coloured(slope: float, seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    """Noise whose power falls by so many powers of frequency: 0 is white, 1 pink, 2 brown."""
    rng, count = np.random.default_rng(seed), round(RATE * seconds)
    hz = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 5.0)
    spectrum = (rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz))) * hz ** (-slope / 2)
    noise = np.fft.irfft(spectrum, count)
    return (0.1 * noise / noise.std()).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(
    slope=st.floats(-1.0, 2.5), seconds=st.floats(1.5, 8.0), seed=st.integers(0, 999),
    level=st.sampled_from([1e-3, 1.0, 30.0]),
)  # fmt: skip
def test_steady_noise_is_noise_at_any_colour_length_and_level(
    slope: float, seconds: float, seed: int, level: float
) -> None:
    heard = Texture.of(level * coloured(slope, seconds, seed))
    assert heard.is_steady_noise
    assert heard.is_plain


def test_the_flatness_of_noise_is_what_theory_says() -> None:
    assert Texture.of(coloured(1.0, 20.0)).flatness == pytest.approx(np.exp(-np.euler_gamma), abs=0.015)


def test_noise_in_bursts_is_toneless_and_not_steady() -> None:
    time = np.arange(RATE * 4) / RATE
    heard = Texture.of((coloured(0.0) * np.exp(-10 * (time % 0.5))).astype(np.float32))
    assert heard.is_toneless
    assert not heard.is_steady_noise


def test_a_tone_that_never_changes_is_plain_with_noise_and_without() -> None:
    tone = np.sin(np.arange(RATE * 4) * 0.17).astype(np.float32)
    assert Texture.of(tone).change < 0.01
    assert Texture.of(tone + 0.3 * coloured(0.0)).is_plain
    assert not Texture.of(tone + 0.3 * coloured(0.0)).is_toneless


@pytest.mark.parametrize("start", [0.0, 10.0])
def test_a_song_is_neither_even_with_noise_as_loud_as_itself(start: float) -> None:
    samples, rate = audio.load(demo_recording(), start_seconds=start, end_seconds=start + 8)
    song = audio.resample(samples, rate, RATE)
    noise = coloured(0.0, 9.0)[: len(song)] * (song.std() / 0.1)
    for heard in (Texture.of(song), Texture.of(song + noise)):
        assert not heard.is_plain
        assert not heard.is_steady_noise


def test_of_less_than_a_second_nothing_is_said() -> None:
    assert Texture.of(coloured(0.0, 0.9)) == Texture(0.0, 1.0, 1.0)
    assert not Texture.of(np.zeros(0, np.float32)).is_plain
