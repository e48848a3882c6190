"""Keys from made-up probabilities, and from sounds that have none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from llark.annotate import key
from llark.networks.features import AudioFeatures
from llark.records import KEYS, Key

RATE = 22050


@dataclass
class Heard:
    key: np.ndarray


def odds(**shares: float) -> Heard:
    """Probabilities of keys, spelled `C_major`, or `none`; the others share the rest."""
    named = [*KEYS, "none"]
    found = np.full(25, (1 - sum(shares.values())) / (25 - len(shares)))
    for name, share in shares.items():
        found[named.index(name.replace("_", " "))] = share
    return Heard(found)


@pytest.mark.parametrize("name", ["C major", "F# minor", "B minor"])
def test_the_likeliest_key_is_given_with_its_probability(name: str) -> None:
    found = key.find(odds(**{name.replace(" ", "_"): 0.8}))
    assert found == Key(name, pytest.approx(0.8), key.SOURCE)


def test_where_no_key_is_likelier_than_any_key_it_is_unknown() -> None:
    assert key.find(odds(none=0.5, C_major=0.4)) == Key(source=key.SOURCE)


def test_a_key_that_is_hardly_likely_is_unknown() -> None:
    assert key.find(odds(C_major=0.29)) == Key(source=key.SOURCE)
    assert key.find(odds(C_major=0.31)).name == "C major"


def test_a_sine_and_white_noise_have_no_key_with_confidence() -> None:
    time = np.arange(6 * RATE) / RATE
    noise = 0.1 * np.random.default_rng(4).standard_normal(6 * RATE)
    for sound in (0.3 * np.sin(2 * np.pi * 440 * time), noise):
        assert key.find(AudioFeatures(sound.astype(np.float32), RATE).harmony).confidence < 0.5
