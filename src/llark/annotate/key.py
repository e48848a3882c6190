"""Key: chords as degrees, dominant-to-tonic steps, bass and pitch-class profile, weighed against each other.

Where chords are clear they decide; where there are none, as in a solo melody, the profile does. The four
weights were fitted on 335 labelled clips (rendered songs, chorales, solo melodies), so that the softmax of
the scores is a probability.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from llark.annotate import chords as chord_decoding
from llark.records import KEYS, PITCH_CLASSES, Chords, Key

SOURCE = "chords+chroma"

_DEGREE_SHARES = {  # (semitones above the tonic, is minor) → share of time; what is not named gets the rest
    "major": {
        (0, 0): 0.30, (5, 0): 0.19, (7, 0): 0.18, (9, 1): 0.10, (2, 1): 0.07, (10, 0): 0.035, (4, 1): 0.03,
        (2, 0): 0.02, (4, 0): 0.012, (5, 1): 0.012, (9, 0): 0.012, (7, 1): 0.01, (8, 0): 0.01, (3, 0): 0.008,
        (0, 1): 0.008,
    },
    "minor": {
        (0, 1): 0.32, (8, 0): 0.11, (10, 0): 0.11, (5, 1): 0.11, (3, 0): 0.09, (7, 0): 0.08, (7, 1): 0.05,
        (5, 0): 0.03, (0, 0): 0.02, (2, 1): 0.015, (1, 0): 0.01, (10, 1): 0.008,
    },
}  # fmt: skip
_RARE_SHARE = 0.004

_PROFILES = {  # how well each pitch class above the tonic fits (Temperley 1999)
    "major": (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0),
    "minor": (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0),
}


@dataclass(frozen=True)
class KeyConfig:
    degree_weight: float = 4.0
    profile_weight: float = 8.0
    cadence_weight: float = 4.6
    bass_weight: float = 1.9
    least_confidence: float = 0.3
    """Keys of less confidence are not reported."""
    flat_variation: float = 0.2
    """Standard deviation over mean of the pitch classes' strengths up to which no key is heard …"""
    tonal_variation: float = 0.45
    """… and from which on it counts in full."""
    quiet: float = chord_decoding.ChordConfig.quiet
    """Chroma sum, in full-scale units, under which nothing sounds."""


class KeyEvidence(chord_decoding.ChordEvidence, Protocol):
    """What `nets.chord.ChordOutput` offers: chords, and [frames, 13] bass probabilities, none first."""

    @property
    def bass(self) -> np.ndarray: ...


def find(heard: KeyEvidence, chords: Chords, config: KeyConfig | None = None) -> Key:
    """The most likely of the 24 keys, with its probability; silence, noise and drums alone are unknown."""
    config = config or KeyConfig()
    strengths = pitch_class_strengths(heard.chroma, config)
    tonality = _tonality(strengths, config)
    if tonality == 0:
        return Key(source=SOURCE)
    scores = log_scores(heard, strengths, chords, config)
    probabilities = np.exp(scores - scores.max())
    probabilities /= probabilities.sum()
    best = int(np.argmax(probabilities))
    confidence = float(tonality * probabilities[best])
    return (
        Key(KEYS[best], confidence, SOURCE) if confidence >= config.least_confidence else Key(source=SOURCE)
    )


def log_scores(heard: KeyEvidence, strengths: np.ndarray, chords: Chords, config: KeyConfig) -> np.ndarray:
    """[24], up to a constant, in the order of `KEYS`; `strengths` is [12]: how strong each pitch class is."""
    sounding = chord_decoding.majmin(heard)[:, 1:]
    clarity = float(sounding.max(axis=1).mean()) if len(sounding) else 0.0
    scores: np.ndarray = (
        config.degree_weight * clarity * (_degree_table() @ _shares(sounding))
        + config.profile_weight * (1 - clarity) * _profile_correlations(strengths)
        + config.cadence_weight * cadences(chords)
        + config.bass_weight * np.tile(_shares(heard.bass[:, 1:]), 2)
    )
    return scores


def _shares(probabilities: np.ndarray) -> np.ndarray:
    """[frames, n] → [n] that add up to 1, or to 0 where there is nothing."""
    mass = probabilities.sum(axis=0, dtype=np.float64)
    shares: np.ndarray = mass / max(float(mass.sum()), 1e-9)
    return shares


def pitch_class_strengths(chroma: np.ndarray, config: KeyConfig) -> np.ndarray:
    """[12]: how much each pitch class stands out from its frame's median, summed over what sounds."""
    sums = chroma.sum(axis=1)
    if not len(chroma) or sums.max() < config.quiet:
        return np.zeros(12)
    peaks = np.maximum(0, chroma - np.median(chroma, axis=1, keepdims=True))
    loudness_floor = 0.05 * sums.max()
    strengths: np.ndarray = (peaks / (peaks.sum(axis=1, keepdims=True) + loudness_floor)).sum(axis=0)
    return strengths


def _tonality(strengths: np.ndarray, config: KeyConfig) -> float:
    """0 to 1: 0 where all pitch classes are equally strong."""
    if strengths.sum() <= 0:
        return 0.0
    variation = float(strengths.std() / strengths.mean())
    span = config.tonal_variation - config.flat_variation
    return float(np.clip((variation - config.flat_variation) / span, 0, 1))


def cadences(chords: Chords) -> np.ndarray:
    """[24]: the share of chord changes that fall a fifth from a major chord onto the tonic chord of a key."""
    heard = [state for state in (_state(span.label) for span in chords.spans) if state is not None]
    found = np.zeros(24)
    for before, after in pairwise(heard):
        if before < 12 and (before - after) % 12 == 7:
            found[after] += 1
    return found / max(1, len(heard) - 1)


def _state(label: str) -> int | None:
    """The chord's place among twelve major and twelve minor ones; `None` for no chord."""
    root, _, quality = label.partition(":")
    if root not in PITCH_CLASSES:
        return None
    return PITCH_CLASSES.index(root) + (12 if quality.startswith(("min", "dim")) else 0)


@functools.cache
def _degree_table() -> np.ndarray:
    """[24 keys, 24 chords]: log share of time."""
    shares = np.full((24, 24), _RARE_SHARE)
    for key, name in enumerate(KEYS):
        for (semitones, minor), share in _DEGREE_SHARES[name.split()[1]].items():
            shares[key, (key + semitones) % 12 + 12 * minor] = share
    table: np.ndarray = np.log(shares / shares.sum(axis=1, keepdims=True))
    return table


def _profile_correlations(strengths: np.ndarray) -> np.ndarray:
    """[24]: Pearson correlation of the strengths with each key's profile."""
    profiles = np.array([np.roll(_PROFILES[name.split()[1]], key % 12) for key, name in enumerate(KEYS)])
    centred = profiles - profiles.mean(axis=1, keepdims=True)
    deviation = strengths - strengths.mean()
    norms = np.linalg.norm(centred, axis=1) * np.linalg.norm(deviation)
    correlations: np.ndarray = centred @ deviation / np.maximum(norms, 1e-12)
    return correlations
