"""`mini` behind the contract: the numbers of training, and songs of any length in flat memory."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from llark import audio
from llark.embed import mini
from llark.embed.encoder import Device, EncoderOptions, Sound
from llark.networks.features import AudioFeatures

RATE = 11_025


def song(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    rng = np.random.default_rng(2)
    clicks = 0.3 * rng.normal(size=len(time)) * np.exp(-60 * (time % 0.5))
    return (clicks + 0.1 * np.sin(2 * np.pi * 262 * time)).astype(np.float32)


def test_a_clip_gives_exactly_the_frames_that_training_sees() -> None:
    samples = song(2.2)
    listen = mini.load(EncoderOptions("mini", rate="native"), Device())
    heard = listen([Sound(samples, RATE)])[0]
    np.testing.assert_array_equal(heard, mini.embed(AudioFeatures(samples, RATE)))
    assert listen.card.version == mini.VERSION
    assert heard.shape == (5, mini.WIDTH)
    slower = mini.load(EncoderOptions("mini", rate="1"), Device())([Sound(samples, RATE)])[0]
    np.testing.assert_allclose(slower[0], heard[:2].mean(0), atol=1e-4)
    assert slower.shape == (3, mini.WIDTH)


def test_a_song_is_heard_a_window_at_a_time_and_never_held_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "WINDOW_SECONDS", 1.0)
    monkeypatch.setattr(mini, "WINDOW_SECONDS", Fraction(1))
    path = tmp_path / "song.wav"
    audio.save(path, song(3.4), RATE)
    held: list[int] = []
    plain = audio.load

    def spy(*given: object, **named: object) -> tuple[np.ndarray, int]:
        samples, rate = plain(*given, **named)  # type: ignore[arg-type]
        held.append(len(samples))
        return samples, rate

    monkeypatch.setattr(audio, "load", spy)
    listen = mini.load(EncoderOptions("mini", rate="native"), Device())
    streamed = list(listen.stream(path))
    assert [(len(frames), seconds) for frames, seconds in streamed] == [
        (2, 1),
        (2, 1),
        (2, 1),
        (1, Fraction(2, 5)),
    ]
    assert held == [RATE, RATE, RATE, round(0.4 * RATE)]
    frames, seconds = listen.song(path, 0.3, 2.9)
    assert seconds == Fraction(round(2.9 * RATE) - round(0.3 * RATE), RATE)
    samples, _ = plain(path, start_seconds=0.3, end_seconds=2.9)
    np.testing.assert_array_equal(frames, listen([Sound(samples, RATE)])[0])
    one = mini.load(EncoderOptions("mini", rate="clip"), Device())
    np.testing.assert_allclose(one.song(path, 0.0, 3.4)[0], one([Sound(plain(path)[0], RATE)])[0], atol=1e-6)
