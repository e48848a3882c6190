"""What kind of sound this is, before any network runs: noise of any colour, tones that never change.

The networks know no such sounds, and their outputs for them are chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llark.networks import mels

FRAME_SAMPLES, LEAST_FRAMES, BAND_HZ = 1024, 15, (100, 3500)
COLOUR_DEGREE = 3
"""Of the polynomial, logarithm against logarithm of frequency, that the spectrum is made flat by."""

SOUNDING = 0.1
"""Frames count whose level is this share of that of the loud ones."""

NOISE_FLATNESS = (0.53, 0.65)
"""Frames of pure noise have .56 (the number is e to minus Euler's constant), those of music .0 to .5: a drum
kit alone reaches .54. Above are sounds without any grain, such as a click or the skirts of a low tone."""

NOISE_VARIATION = 0.2
"""Steady noise varies by a tenth from frame to frame, music by .22 and more."""

STILL_CHANGE = 0.45
"""The magnitudes of tones that never change, with little noise or without, vary less than this; those of
music by .55 and more, those of noise by .5."""


@dataclass(frozen=True)
class Texture:
    """`flatness` is the median over sounding frames of the geometric by the arithmetic mean of power, when
    the sound's colour is taken off; `variation` is the standard deviation of the level against its mean, and
    `change` that of each frequency's magnitude, over all frames.

    A sound of less than a second has none of them: 0, 1 and 1.
    """

    flatness: float = 0.0
    variation: float = 1.0
    change: float = 1.0

    @classmethod
    def of(cls, samples_16000: np.ndarray) -> Texture:
        """`samples_16000` is [samples] at 16 kHz, 25 s or so."""
        frames = len(samples_16000) // FRAME_SAMPLES
        if frames < LEAST_FRAMES:
            return cls()
        blocks = samples_16000[: frames * FRAME_SAMPLES].reshape(frames, FRAME_SAMPLES)
        first, last = (round(hz * FRAME_SAMPLES / mels.SAMPLE_RATE) for hz in BAND_HZ)
        spectrum = np.fft.rfft(blocks * np.hanning(FRAME_SAMPLES), axis=1)[:, first:last]
        power = np.square(spectrum.real) + np.square(spectrum.imag) + 1e-20
        even = power / _colour(power.mean(axis=0), first)
        level = even.sum(axis=1)
        sounding = even[level > SOUNDING * np.percentile(level, 90)]
        flatness = np.exp(np.log(sounding).mean(axis=1)) / sounding.mean(axis=1)
        magnitudes = np.sqrt(power[1:-1])
        change = magnitudes.std(axis=0).sum() / magnitudes.mean(axis=0).sum()
        return cls(float(np.median(flatness)), float(level.std() / level.mean()), float(change))

    @property
    def is_toneless(self) -> bool:
        """Whether every moment of it is noise, be it steady or in bursts."""
        return NOISE_FLATNESS[0] < self.flatness < NOISE_FLATNESS[1]

    @property
    def is_still(self) -> bool:
        """Whether it is a tone, or many, that never change: no rhythm can be in it."""
        return self.change < STILL_CHANGE

    @property
    def is_plain(self) -> bool:
        """Whether it has no tones, or none that change: that it is music must then be proved."""
        return self.is_toneless or self.is_still

    @property
    def is_steady_noise(self) -> bool:
        return self.is_toneless and self.variation < NOISE_VARIATION


def _colour(power: np.ndarray, first: int) -> np.ndarray:
    """[bins]: the smooth course of a mean spectrum that begins at bin `first`."""
    octaves = np.log(np.arange(first, first + len(power)))
    octaves = (octaves - octaves.mean()) / octaves.std()
    return np.exp(np.polyval(np.polyfit(octaves, np.log(power), COLOUR_DEGREE), octaves))
