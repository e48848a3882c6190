"""What is no music, beyond what `test_annotate_stage.py` hears: more noise, constants, a click, hum."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from llark import audio
from llark.annotate import annotate
from llark.networks.features import AudioFeatures
from llark.pipeline.ask import demo_recording
from llark.records import Annotation, Tags

RATE = 22_050


def white_noise(rate: int, level: float, seconds: float = 5.0) -> np.ndarray:
    return (level * np.random.default_rng(rate).standard_normal(round(rate * seconds))).astype(np.float32)


def heard(samples: np.ndarray, rate: int = RATE) -> Annotation:
    return annotate(AudioFeatures(samples, rate), "a")


def claims(facts: Annotation) -> dict[str, float]:
    """Every confidence above 0.5, those of single words included."""
    found = {}
    for field in dataclasses.fields(facts):
        fact = getattr(facts, field.name)
        if isinstance(fact, Tags):
            found |= {f"{field.name}: {tag.label}": tag.confidence for tag in fact.tags}
        if hasattr(fact, "confidence"):
            found[field.name] = fact.confidence
    return {name: confidence for name, confidence in found.items() if confidence > 0.5}


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_white_noise_has_no_rhythm_and_no_chords_at_any_sample_rate(rate: int) -> None:
    found = claims(heard(white_noise(rate, 0.2), rate))
    assert {"tempo", "beats", "meter", "chords", "melody", "instruments", "mood"} & set(found) == set()


@functools.cache
def claims_of_seeds(level: float) -> tuple[dict[str, float], ...]:
    """Of five times two seconds of white noise."""
    noises = (np.random.default_rng(seed).standard_normal(2 * RATE) for seed in range(5))
    return tuple(claims(heard((level * noise).astype(np.float32))) for noise in noises)


@pytest.mark.parametrize("level", [0.003, 0.2])
def test_no_short_white_noise_has_a_key(level: float) -> None:
    assert [found["key"] for found in claims_of_seeds(level) if "key" in found] == []


def test_no_short_white_noise_has_a_style() -> None:
    assert [found["genre"] for found in claims_of_seeds(0.2) if "genre" in found] == []


def coloured(slope: float, seconds: float, seed: int) -> np.ndarray:
    """Noise whose power falls by so many powers of frequency: 1 is pink, 2 brown."""
    rng, count = np.random.default_rng(seed), round(RATE * seconds)
    hz = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 5.0)
    noise = np.fft.irfft(
        (rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz))) * hz ** (-slope / 2), count
    )
    return (0.1 * noise / noise.std()).astype(np.float32)


@pytest.mark.parametrize(("slope", "seed"), [(1.0, 0), (2.0, 1), (2.0, 2), (-1.0, 3)])
def test_pink_brown_and_blue_noise_claim_nothing(slope: float, seed: int) -> None:
    facts = heard(coloured(slope, 6.0, seed))
    assert facts == Annotation("a", 0.0, 6.0, loudness=facts.loudness)
    assert facts.loudness.integrated_lufs is not None


def claps(seconds: float, a_second: float, seed: int) -> np.ndarray:
    """Short noises at any time: many are applause, few are somebody at work."""
    rng, sound = np.random.default_rng(seed), np.zeros(round(RATE * seconds))
    fall = np.exp(-np.arange(600) / 120)
    for at in rng.integers(0, len(sound) - 600, round(a_second * seconds)):
        sound[at : at + 600] += rng.standard_normal(600) * fall * rng.uniform(0.3, 1.0)
    return (0.1 * sound / sound.std()).astype(np.float32)


@pytest.mark.parametrize(("a_second", "seed"), [(60.0, 5), (8.0, 6), (8.0, 7)])
def test_applause_and_stray_claps_claim_nothing(a_second: float, seed: int) -> None:
    assert claims(heard(claps(5.0, a_second, seed))) == {}


def test_claps_at_a_steady_tempo_keep_their_beats() -> None:
    time = np.arange(8 * RATE) / RATE
    loud = np.where((time / 0.5).astype(int) % 4 == 0, 1.0, 0.4) * np.exp(-30 * (time % 0.5))
    facts = heard((white_noise(RATE, 0.2, 8.0) * loud).astype(np.float32))
    assert facts.tempo.bpm == pytest.approx(120, rel=0.02)
    assert facts.beats.confidence > 0.5


@pytest.mark.parametrize("hz", [100.0, 440.0, 3000.0])
def test_a_sine_claims_nothing_with_noise_and_without(hz: float) -> None:
    sine = 0.1 * np.sin(2 * np.pi * hz * np.arange(RATE * 5) / RATE)
    assert claims(heard(sine.astype(np.float32))) == {}
    assert claims(heard((sine + white_noise(RATE, 0.02)).astype(np.float32))) == {}


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_white_noise_is_told_from_drums_and_from_a_song(rate: int) -> None:
    assert AudioFeatures(white_noise(rate, 0.2, 1.0), rate).is_noise
    beat = white_noise(rate, 0.2) * np.exp(-10 * (np.arange(5 * rate) / rate % 0.5)).astype(np.float32)
    assert not AudioFeatures(beat, rate).is_noise
    assert not AudioFeatures(*audio.load(demo_recording(), end_seconds=5.0)).is_noise


def test_the_noise_of_the_last_bit_claims_nothing() -> None:
    facts = heard(white_noise(RATE, 1 / 32768, 4.0))
    assert facts == Annotation("a", 0.0, 4.0)


def test_a_constant_and_a_single_click_claim_nothing() -> None:
    click = np.zeros(RATE * 4, np.float32)
    click[40_000] = 1.0
    assert claims(heard(click)) == {}
    assert claims(heard(np.full(RATE * 4, 0.3, np.float32))) == {}


def test_mains_hum_and_a_siren_have_no_beats_no_key_and_no_chords() -> None:
    time = np.arange(RATE * 5) / RATE
    hum = 0.2 * np.sign(np.sin(2 * np.pi * 50 * time))
    siren = 0.3 * np.sin(2 * np.pi * 100 * np.exp(0.8 * time) * time)
    for sound in (hum, siren):
        facts = heard(sound.astype(np.float32))
        assert {"tempo", "beats", "meter", "key", "chords", "melody"} & set(claims(facts)) == set()
    assert claims(heard(hum.astype(np.float32))) == {}


def test_the_same_samples_give_the_same_facts_again() -> None:
    samples = white_noise(RATE, 0.1, 2.0) + np.sin(np.arange(2 * RATE) * 0.06, dtype=np.float32)
    assert heard(samples) == heard(samples.copy())
