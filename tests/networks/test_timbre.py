"""The timbre net's evidence, and what the shipped one makes of nothing."""

from __future__ import annotations

import numpy as np
import pytest

from llark.networks import tag, timbre
from llark.networks.features import AudioFeatures
from llark.records import GENRES, INSTRUMENTS


def test_the_evidence_is_the_mean_and_the_spread_of_the_half_seconds() -> None:
    frames = np.stack([np.zeros(timbre.HALF_WIDTH), np.full(timbre.HALF_WIDTH, 2.0)])
    summary = timbre.summary(frames)
    assert summary.shape == (timbre.INPUT_WIDTH,)
    assert summary[0] == summary[-1] == 1.0


def test_the_evidence_holds_speech_timbre_and_tags() -> None:
    heard = tag.TagOutput(np.full((188, 753), 3.0), np.full((1, 50), 0.5), np.full((1, 50), 0.5), (0,), 187)
    found = timbre.evidence(np.full((150, 512), 7.0), heard, 3.0)
    assert found[0] == pytest.approx(7.0)
    assert found[512] == pytest.approx(3.0)
    assert found[512 + 753] == pytest.approx(1.0)
    assert np.abs(found[timbre.HALF_WIDTH :]).max() < 1e-6


@pytest.mark.parametrize("kind", ["white noise", "hum"])
def test_the_shipped_net_names_no_instrument_in_what_is_no_music(kind: str) -> None:
    time = np.arange(16000 * 6) / 16000
    draw = np.random.default_rng(2)
    sound = draw.standard_normal(len(time)) if kind == "white noise" else np.sin(2 * np.pi * 50 * time)
    found = AudioFeatures((0.1 * sound).astype(np.float32), 16000).timbre
    assert set(found.instruments) == set(INSTRUMENTS)
    assert set(found.genre) == set(GENRES)
    assert max(found.instruments.values()) < 0.5
