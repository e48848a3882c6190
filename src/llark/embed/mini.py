"""The `mini` encoder: what the four frozen networks and a local tempogram give, twice a second.

Frame i covers [i/2, (i+1)/2) seconds of the clip. Half a second of averaging erases the beat, so rhythm has
its own part: autocorrelations over ten seconds, on lags whose ratio is constant, so that a change of tempo is
a shift. All values are finite and of about unit scale; the model standardises them with its own statistics.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from llark import audio
from llark.networks import beat, chord, rhythm, speech, tag
from llark.networks.chord import CHORD_CLASSES, chord_classes, chroma_profile, harmonic_change
from llark.networks.rhythm import LAGS_SECONDS as RHYTHM_LAGS_SECONDS
from llark.networks.rhythm import RATE as RHYTHM_RATE
from llark.networks.rhythm import lag_weights
from llark.networks.timbre import pool, tag_levels

if TYPE_CHECKING:
    from llark.networks.features import AudioFeatures
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from llark.embed import windowed
from llark.embed.encoder import Card, Device, EncoderOptions, Sound
from llark.storage.folders import Place

VERSION = "mini-8"
"""Changes whenever the same samples would give other frames."""

FRAMES_PER_SECOND = audio.MINI_FRAMES_PER_SECOND

RHYTHM_CHANNELS = ("beat", "downbeat", "onset", "harmonic change")
RHYTHM_WINDOW_SECONDS = 10
RHYTHM_QUIET = (1e-4, 1e-4, 0.25, 1e-4)
"""Variance of each curve below which it counts as flat."""

RHYTHM_SCALE = 5.0
LONGEST_LAG_SHARE = 0.8
"""Lags beyond this share of the window rest on too few products, and are given as 0."""

PULSE = slice(2 * beat.MEMORY, 3 * beat.MEMORY)
"""The memory of the third beat network, the best one for downbeats."""

_WIDTHS = {
    "speech": speech.WIDTH,
    "harmony": chord.WIDTH,
    "chords": CHORD_CLASSES,
    "chroma": 12,
    "bass": 12,
    "timbre": tag.WIDTH,
    "pulse": beat.MEMORY,
    "tags": len(tag.MTT) + len(tag.MSD),
    "loudness": 2,
    "rhythm": len(RHYTHM_CHANNELS) * len(RHYTHM_LAGS_SECONDS),
    "tempo": len(rhythm.BPM),
    "meter": len(rhythm.METERS),
}


_ENDS = itertools.accumulate(_WIDTHS.values())
PARTS = {name: slice(end - _WIDTHS[name], end) for name, end in zip(_WIDTHS, _ENDS, strict=True)}
"""Where each part lies in the width of a frame. `chords` is no chord, 12 major, 12 minor; `chords`, `chroma`
and `bass` count pitch classes up from C; `rhythm` is [channels, lags], flattened; `tempo` and `meter` are the
log probabilities of the rhythm nets, the same in every frame."""

WIDTH = sum(_WIDTHS.values())


def embed(features: AudioFeatures) -> np.ndarray:
    """[ceil(2 * seconds), WIDTH] float32 for one clip. Silence gives finite frames, too."""
    frames = audio.frame_count(features.duration_seconds, FRAMES_PER_SECOND)
    chords = features.chord
    parts = {
        "speech": pool(features.speech, speech.FRAMES_PER_SECOND, frames),
        "harmony": pool(chords.features, chord.FRAMES_PER_SECOND, frames),
        "chords": pool(chord_classes(chords.triad), chord.FRAMES_PER_SECOND, frames),
        "chroma": chroma_profile(pool(chords.chroma, chord.FRAMES_PER_SECOND, frames)),
        "bass": chroma_profile(pool(chords.bass_chroma, chord.FRAMES_PER_SECOND, frames)),
        "timbre": pool(features.tag.features, tag.FRAMES_PER_SECOND, frames),
        "pulse": pool(features.beat.hidden[:, PULSE], beat.FRAMES_PER_SECOND, frames),
        "tags": tag_levels(features.tag, frames),
        "loudness": loudness(features.samples, features.sample_rate, frames),
        "rhythm": tempogram_of(rhythm_curves(features), frames),
        "tempo": log_probabilities(features.rhythm.tempo, frames),
        "meter": log_probabilities(features.rhythm.meter, frames),
    }
    return np.concatenate([parts[name] for name in PARTS], axis=1, dtype=np.float32)


def embed_long(features: AudioFeatures) -> np.ndarray:
    """As `embed`; a clip longer than 25 s in windows of 25 s side by side, as a song is listened to."""
    from llark.networks.features import AudioFeatures

    rate = features.sample_rate
    window = int(audio.WINDOW_SECONDS * rate)  # samples
    if len(features.samples) <= window:
        return embed(features)
    starts = range(0, len(features.samples), window)
    return np.concatenate([embed(AudioFeatures(features.samples[at : at + window], rate)) for at in starts])


def log_probabilities(values: np.ndarray, frames: int) -> np.ndarray:
    """[n] probabilities → [frames, n] logarithms, none under that of a thousandth."""
    return np.tile(np.log(np.maximum(values, 1e-3)), (frames, 1))


def loudness(samples: np.ndarray, sample_rate: int, frames: int) -> np.ndarray:
    """Level of each half second against full scale and against the clip, in tens of dB: [frames, 2]."""
    power = pool(np.square(samples, dtype=np.float64)[:, None], sample_rate, frames)[:, 0]
    level = np.log10(np.maximum(power, 1e-8))
    return np.stack([level + 2.0, level - np.log10(max(float(power.mean()), 1e-8))], axis=1)


def rhythm_curves(features: AudioFeatures) -> np.ndarray:
    """The curves named in `RHYTHM_CHANNELS`: [4, n] at 50 Hz; flat in silence, where nets only warm up."""
    activations = features.beat.activations
    if features.is_silent:
        return np.zeros((len(RHYTHM_CHANNELS), len(activations)))
    change = harmonic_change(features.chord)
    times = np.arange(len(activations)) / RHYTHM_RATE
    change = np.interp(times, np.arange(len(change)) / chord.FRAMES_PER_SECOND, change)
    return np.stack([activations.sum(axis=1), activations[:, 1], features.beat.onsets, change])


def tempogram_of(curves: np.ndarray, frames: int) -> np.ndarray:
    """Local autocorrelations of curves at 50 Hz: [channels, n] → [frames, channels * lags].

    The window of ten seconds is centred on its frame, and moved inwards at the clip's edges; a shorter clip
    is one window. Correlation 1 is given as `RHYTHM_SCALE`, before the mean over lags is taken off.
    """
    channels, available = curves.shape
    length = min(RHYTHM_WINDOW_SECONDS * RHYTHM_RATE, available)
    centres = (np.arange(frames) + 0.5) * RHYTHM_RATE / FRAMES_PER_SECOND
    starts = np.clip(np.round(centres - length / 2).astype(int), 0, available - length)
    distinct, which = np.unique(starts, return_inverse=True)
    windows = curves[:, distinct[:, None] + np.arange(length)]
    windows = windows - windows.mean(axis=2, keepdims=True)
    longest = min(int(LONGEST_LAG_SHARE * length), int(1.1 * RHYTHM_LAGS_SECONDS[-1] * RHYTHM_RATE))
    spectra = np.fft.rfft(windows, n=1 << (length + longest).bit_length(), axis=2)
    products = np.fft.irfft(np.square(np.abs(spectra)), axis=2)[:, :, : longest + 1]
    covariance = products / (length - np.arange(longest + 1))
    quiet = np.asarray(RHYTHM_QUIET)[:channels, None, None]
    correlation = (covariance / (covariance[:, :, :1] + quiet)) @ lag_weights(longest)
    reached = lag_weights(longest).any(axis=0)
    mean = correlation.sum(axis=2, keepdims=True) / max(1, int(reached.sum()))
    scaled: np.ndarray = RHYTHM_SCALE * (correlation - mean) * reached
    return scaled.transpose(1, 0, 2)[which].reshape(frames, -1)


# --- `mini` as an encoder: the numbers that training sees, for clips and whole songs ----------------------

# A clip of up to 25 s is one window, a longer one windows of 25 s side by side.

WINDOW_SECONDS = Fraction(audio.WINDOW_SECONDS)
RATE = Fraction(FRAMES_PER_SECOND)


@dataclass(frozen=True)
class MiniEncoder:
    """Made by `load`."""

    card: Card

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        """float32 [ceil(2 * seconds), width] for each clip, or averages of them."""
        return [self._on_grid(_embed(sound), sound.duration_seconds) for sound in sounds]

    def _on_grid(self, frames: np.ndarray, duration_seconds: Fraction) -> np.ndarray:
        if self.card.frames_per_second == RATE:
            return frames
        return windowed.regrid(frames, RATE, duration_seconds, self.card.rate_of(duration_seconds))

    def song(self, path: Place, start_seconds: float, end_seconds: float) -> tuple[np.ndarray, Fraction]:
        """What a call gives for a stretch of a recording, and its exact seconds: one window of samples is in
        memory at a time, however long the stretch is.

        Raises `BadAudio` as `audio.load` does.
        """
        windows = list(self.stream(path, start_seconds, end_seconds))
        duration = sum((seconds for _, seconds in windows), Fraction(0))
        return self._on_grid(np.concatenate([frames for frames, _ in windows]), duration), duration

    def stream(
        self, path: Place, start_seconds: float = 0.0, end_seconds: float | None = None
    ) -> Iterator[tuple[np.ndarray, Fraction]]:
        """A recording's windows one after the other: two frames a second of each, and its exact seconds."""
        info = audio.probe(path)
        rate, end = info.sample_rate, info.duration_seconds
        last = round((end if end_seconds is None else min(end_seconds, end)) * rate)
        for first in range(round(start_seconds * rate), last, int(WINDOW_SECONDS * rate)):
            until = min(first + int(WINDOW_SECONDS * rate), last)
            sound = Sound(*audio.load(path, start_seconds=first / rate, end_seconds=until / rate))
            yield _embed(sound), sound.duration_seconds


def load(settings: EncoderOptions, device: Device) -> MiniEncoder:
    """The encoder in the package. Raises `UserMustAct` for a setting that it has no use for."""
    settings.refuse(weights=settings.weights, compat=settings.compat, layer=settings.layer)
    card = Card(
        name="mini",
        version=VERSION,
        sample_rate=22_050,
        width=WIDTH,
        frames_per_second=settings.frames_per_second(RATE),
        window_seconds=WINDOW_SECONDS,
        licence="MIT, ISC, CC BY 4.0 and Apache-2.0: see NOTICE",
    )
    return MiniEncoder(card)


def _embed(sound: Sound) -> np.ndarray:
    from llark.networks.features import AudioFeatures, one_thread

    with one_thread():
        return embed_long(AudioFeatures(sound.samples, sound.sample_rate))
