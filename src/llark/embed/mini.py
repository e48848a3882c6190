"""The `mini` encoder: what the four frozen networks and a local tempogram hear, twice a second.

Frame i covers [i/2, (i+1)/2) seconds of the clip. Half a second of averaging erases the beat, so rhythm has
its own part: autocorrelations over ten seconds, on lags whose ratio is constant, so that a change of tempo is
a shift. All values are finite and of about unit scale; the model standardises them with its own statistics.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from llark import audio
from llark.nets import beat, chord, speech, tag

if TYPE_CHECKING:
    from llark.nets.hearing import Hearing

VERSION = "mini-1"
"""Changes whenever the same samples would give other frames."""

FRAMES_PER_SECOND = audio.MINI_FRAMES_PER_SECOND

RHYTHM_RATE = 50
"""Frames a second of the four curves whose periodicity is measured."""

RHYTHM_CHANNELS = ("beat", "downbeat", "onset", "harmonic change")
RHYTHM_LAGS_SECONDS = np.geomspace(0.2, 6.0, 96)
"""Lags of the autocorrelations: 19.4 to an octave."""

RHYTHM_WINDOW_SECONDS = 10
RHYTHM_QUIET = (1e-4, 1e-4, 0.25, 1e-4)
"""Variance of each curve below which it counts as flat."""

RHYTHM_SCALE = 5.0
LONGEST_LAG_SHARE = 0.8
"""Lags beyond this share of the window rest on too few products, and are given as 0."""

CHORD_CLASSES = 25
"""No chord, twelve major, twelve minor."""

CHANGE_SECONDS = 0.35
"""Harmony before and after an instant is averaged over this long to tell whether it changed."""

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
}


def _lay_out(widths: dict[str, int]) -> dict[str, slice]:
    ends = np.cumsum(list(widths.values())).tolist()
    return {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)}


PARTS = _lay_out(_WIDTHS)
"""Where each part lies in the width of a frame. `chords` is no chord, 12 major, 12 minor; `chords`, `chroma`
and `bass` count pitch classes up from C; `rhythm` is [channels, lags], flattened."""

WIDTH = sum(_WIDTHS.values())


def embed(hearing: Hearing) -> np.ndarray:
    """[ceil(2 * seconds), WIDTH] float32 for one clip. Silence gives finite frames, too."""
    frames = audio.frame_count(hearing.duration_seconds, FRAMES_PER_SECOND)
    heard = hearing.chord
    parts = {
        "speech": pool(hearing.speech, speech.FRAMES_PER_SECOND, frames),
        "harmony": pool(heard.features, chord.FRAMES_PER_SECOND, frames),
        "chords": pool(chord_classes(heard.triad), chord.FRAMES_PER_SECOND, frames),
        "chroma": chroma_profile(pool(heard.chroma, chord.FRAMES_PER_SECOND, frames)),
        "bass": chroma_profile(pool(heard.bass_chroma, chord.FRAMES_PER_SECOND, frames)),
        "timbre": pool(hearing.tag.features, tag.FRAMES_PER_SECOND, frames),
        "pulse": pool(hearing.beat.hidden[:, PULSE], beat.FRAMES_PER_SECOND, frames),
        "tags": tag_levels(hearing.tag, frames),
        "loudness": loudness(hearing.samples, hearing.sample_rate, frames),
        "rhythm": rhythm(rhythm_curves(hearing), frames),
    }
    return np.concatenate([parts[name] for name in PARTS], axis=1, dtype=np.float32)


def pool(values: np.ndarray, rate: float, frames: int) -> np.ndarray:
    """Means over the half seconds of a clip: [n, width] at `rate` a second → [frames, width] float64.

    Value k belongs to the half second that holds second k / rate; where there is none, the last is taken.
    """
    edges = np.ceil(np.arange(frames + 1) * rate / FRAMES_PER_SECOND - 1e-6).astype(int)
    starts = np.minimum(edges[:-1], len(values) - 1)
    ends = np.maximum(np.minimum(edges[1:], len(values)), starts + 1)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    means: np.ndarray = (sums[ends] - sums[starts]) / (ends - starts)[:, None]
    return means


def chord_classes(triad: np.ndarray) -> np.ndarray:
    """[frames, 73] probabilities of triads → [frames, 25]: no chord, 12 major, 12 minor.

    Augmented chords count as major, diminished ones as minor, suspended ones as half of each.
    """
    major, minor, sus4, sus2, diminished, augmented = (
        triad[:, 1 + 12 * i : 13 + 12 * i] for i in range(len(chord.TRIADS))
    )
    suspended = (sus4 + sus2) / 2.0
    return np.concatenate(
        [triad[:, :1], major + augmented + suspended, minor + diminished + suspended], axis=1
    )


def chroma_profile(chroma: np.ndarray) -> np.ndarray:
    """Magnitudes by pitch class → the square roots of their shares, so that loudness does not matter."""
    total = chroma.sum(axis=1, keepdims=True)
    profile: np.ndarray = np.sqrt(np.maximum(chroma, 0.0) / np.maximum(total, 1e-6))
    return profile


def tag_levels(heard: tag.TagOutput, frames: int) -> np.ndarray:
    """Compressed logits of the tags of the nearest patch: [frames, 100]."""
    probabilities = np.concatenate([heard.mtt, heard.msd], axis=1).clip(1e-4, 1.0 - 1e-4)
    logits = np.log(probabilities / (1.0 - probabilities))
    centres = (np.asarray(heard.patch_starts) + heard.patch_frames / 2.0) / tag.FRAMES_PER_SECOND
    times = (np.arange(frames) + 0.5) / FRAMES_PER_SECOND
    nearest = np.abs(times[:, None] - centres).argmin(axis=1)
    levels: np.ndarray = logits[nearest] / 3.0 + 1.0
    return levels


def loudness(samples: np.ndarray, sample_rate: int, frames: int) -> np.ndarray:
    """Level of each half second against full scale and against the clip, in tens of dB: [frames, 2]."""
    power = pool(np.square(samples, dtype=np.float64)[:, None], sample_rate, frames)[:, 0]
    level = np.log10(np.maximum(power, 1e-8))
    return np.stack([level + 2.0, level - np.log10(max(float(power.mean()), 1e-8))], axis=1)


def rhythm_curves(hearing: Hearing) -> np.ndarray:
    """The curves named in `RHYTHM_CHANNELS`: [4, n] at 50 Hz; flat in silence, where nets only warm up."""
    activations = hearing.beat.activations
    if hearing.is_silent:
        return np.zeros((len(RHYTHM_CHANNELS), len(activations)))
    change = harmonic_change(hearing.chord)
    times = np.arange(len(activations)) / RHYTHM_RATE
    change_times = np.arange(len(change)) / chord.FRAMES_PER_SECOND
    return np.stack(
        [
            activations.sum(axis=1),
            activations[:, 1],
            hearing.beat.onsets,
            np.interp(times, change_times, change),
        ]
    )


def harmonic_change(heard: chord.ChordOutput) -> np.ndarray:
    """How different the harmony is after each frame from before it, 0 to 1: [frames] at 43 Hz."""
    classes = np.sqrt(chord_classes(heard.triad).clip(min=0.0))
    both = np.concatenate([classes, chroma_profile(heard.chroma)], axis=1)
    reach = round(CHANGE_SECONDS * chord.FRAMES_PER_SECOND)
    sums = np.concatenate([np.zeros((1, both.shape[1])), np.cumsum(both, axis=0, dtype=np.float64)])
    here = np.arange(len(both))
    before, after = np.maximum(here - reach, 0), np.minimum(here + reach, len(both))
    past = (sums[here] - sums[before]) / np.maximum(here - before, 1)[:, None]
    future = (sums[after] - sums[here]) / np.maximum(after - here, 1)[:, None]
    distance: np.ndarray = np.square(future - past).sum(axis=1) / 4.0
    distance[: reach // 2] = 0.0
    return distance


@functools.cache
def lag_weights(longest: int) -> np.ndarray:
    """[longest + 1, 96]: averages autocorrelation at whole samples into the lags of `RHYTHM_LAGS_SECONDS`.

    Each is a triangle as wide as the distance to the neighbouring lags, and at least one sample, so that no
    peak falls between two of them. Lags beyond `longest` get no weight.
    """
    centres = RHYTHM_LAGS_SECONDS * RHYTHM_RATE
    reach = np.maximum(1.0, centres * (RHYTHM_LAGS_SECONDS[1] / RHYTHM_LAGS_SECONDS[0] - 1.0))
    samples = np.arange(longest + 1)[:, None]
    weights: np.ndarray = np.maximum(0.0, 1.0 - np.abs(samples - centres) / reach)
    weights /= np.maximum(weights.sum(axis=0), 1e-9)
    weights[:, centres + reach > longest] = 0.0
    weights.setflags(write=False)
    return weights


def rhythm(curves: np.ndarray, frames: int) -> np.ndarray:
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
