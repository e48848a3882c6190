"""The melody of a single line: its notes, its range and the shape of it.

Two witnesses must agree that there is one line and no more: the wave repeats itself with one period at a
time, and the note net, asked only then, finds one pitch at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from llark.annotate import notes
from llark.annotate.notes import Sounding
from llark.networks.features import AudioFeatures
from llark.records import Melody

SOURCE = "period+basic-pitch"
_RATE = 22050
_FRAMES_AT_ONCE = 32  # that many fit into a core's cache


FRAME_SAMPLES = 2048
HOP_SAMPLES = 1024
LOWEST_HZ = 60.0
HIGHEST_HZ = 1600.0
PERIODIC = 0.2
"""Share of a frame's energy that a shift by one period leaves over, up to which it is periodic."""
FAINTEST = 1e-3
"""Energy, against the loudest twentieth of the frames, under which nothing sounds."""
PERIODIC_SHARE = 0.55
"""Share of the sounding frames that must be periodic before the note net is asked."""
TAIL_SECONDS = 0.2
"""A note may ring into the next one for so long."""
MOST_OVERLAP = 0.12
"""Share of the sounding time in which more than one note may sound."""
FEWEST_NOTES = 5
LEAST_SECONDS = 2.5
"""Less of sounding notes is no melody."""
STATIC_SEMITONES = 2
"""A melody that moves no further is static."""
TRAVEL_SEMITONES = 4.0
"""What a rising or falling stretch covers at least …"""
STRAIGHTNESS = 0.75
"""… and how closely its pitch follows time there (rank correlation)."""
LEAST_CLARITY = 0.2
"""Confidence in the notes below which nothing is said of them."""
LEAST_CONFIDENCE = 0.4


def find(features: AudioFeatures, start_seconds: float = 0.0) -> Melody:
    """The melody of a clip that begins at `start_seconds` of its track; unknown wherever more sounds."""
    share = periodic_share(features.samples_22050)
    if share < PERIODIC_SHARE:
        return Melody(source=SOURCE)
    soundings = notes.decode(features.note)
    line = one_line(soundings)
    clarity = notes.find(features.note).confidence
    overlap = overlap_share(soundings)
    seconds = sum(sound.last - sound.first for sound in line) / notes.FRAMES_PER_SECOND
    if len(line) < FEWEST_NOTES or seconds < LEAST_SECONDS or overlap > MOST_OVERLAP:
        return Melody(source=SOURCE)
    confidence = (1 - overlap / MOST_OVERLAP / 2) * (0.5 + clarity / 2) * min(1.0, share / 0.8)
    if clarity < LEAST_CLARITY or confidence < LEAST_CONFIDENCE:
        return Melody(source=SOURCE)
    pitches = [sound.pitch_midi for sound in line]
    return Melody(
        contour=contour(pitches),
        lowest_midi=min(pitches),
        highest_midi=max(pitches),
        notes=notes.as_notes(line, start_seconds),
        confidence=round(confidence, 3),
        source=SOURCE,
    )


# --- one period at a time ---------------------------------------------------------------------------------


def periodic_share(samples: np.ndarray) -> float:
    """The share of sounding frames that repeat themselves; `samples` are at 22,050 Hz.

    Once it cannot reach `PERIODIC_SHARE` any more, the rest is not looked at, and 0 returned.
    """
    longest, width = int(_RATE / LOWEST_HZ), FRAME_SAMPLES
    if len(samples) < width + longest:
        return 0.0
    samples = samples.astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(samples, width + longest)[::HOP_SAMPLES]
    squares = np.concatenate([[0.0], np.cumsum(np.square(samples))])
    firsts = np.arange(len(frames)) * HOP_SAMPLES
    energy = squares[firsts + width] - squares[firsts]
    sounding = np.flatnonzero(energy > FAINTEST * np.percentile(energy, 95))
    periodic = 0
    for done in range(0, len(sounding), _FRAMES_AT_ONCE):
        if (periodic + len(sounding) - done) / len(sounding) < PERIODIC_SHARE:
            return 0.0
        part = sounding[done : done + _FRAMES_AT_ONCE]
        starts = firsts[part, None] + np.arange(longest + 1)
        left_over = _left_over(frames[part], squares[starts + width] - squares[starts])
        periodic += int((left_over < PERIODIC).sum())
    return periodic / len(sounding) if len(sounding) else 0.0


def _left_over(frames: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """[frames]: the least share of energy that a shift by a period leaves over.

    `frames` is [frames, frame samples + longest shift], `energy` [frames, 1 + longest shift]: that of a frame
    shifted so far. The cumulative mean normalised difference (de Cheveigné and Kawahara 2002), by FFT.
    """
    from scipy import fft

    longest = energy.shape[1] - 1
    size = fft.next_fast_len(frames.shape[1], real=True)
    spectrum = np.conj(fft.rfft(frames[:, :FRAME_SAMPLES], size)) * fft.rfft(frames, size)
    products = fft.irfft(spectrum, size)[:, : longest + 1]
    difference = np.maximum(energy[:, :1] + energy - 2 * products, 0.0)[:, 1:]
    means = np.cumsum(difference, axis=1) / np.arange(1, longest + 1)
    normalised = difference / np.maximum(means, 1e-12)
    return normalised[:, int(_RATE / HIGHEST_HZ) :].min(axis=1)


# --- one note at a time -----------------------------------------------------------------------------------


def overlap_share(soundings: Sequence[Sounding]) -> float:
    """The share of the sounding time in which more than one note sounds, but for the tails of notes."""
    if not soundings:
        return 0.0
    tail = round(TAIL_SECONDS * notes.FRAMES_PER_SECOND)
    sounding = np.zeros(max(sound.last for sound in soundings), int)
    for sound in soundings:
        sounding[sound.first : max(sound.first + 2, sound.last - tail)] += 1
    return float((sounding > 1).sum() / max((sounding > 0).sum(), 1))


def one_line(soundings: Sequence[Sounding]) -> list[Sounding]:
    """The notes, each ending where the next begins; of two that begin together the stronger one."""
    together = round(0.05 * notes.FRAMES_PER_SECOND)
    line: list[Sounding] = []
    for sound in sorted(soundings, key=lambda sound: (sound.first, -sound.strength)):
        if line and sound.first - line[-1].first <= together:
            if sound.strength > line[-1].strength:
                line[-1] = sound
            continue
        line.append(sound)
    ended = [replace(sound, last=min(sound.last, after.first)) for sound, after in pairwise(line)]
    return ended + line[-1:]


# --- its shape --------------------------------------------------------------------------------------------


def contour(pitches_midi: Sequence[int]) -> str:
    """One of `CONTOURS` for the pitches of a line: `wave` is whatever is none of the others."""
    pitches = np.array(pitches_midi, float)
    if np.ptp(pitches) <= STATIC_SEMITONES:
        return "static"
    for word, sign in (("rising", 1), ("falling", -1)):
        if _climbs(sign * pitches):
            return word
    top = round(float(np.flatnonzero(pitches == pitches.max()).mean()))
    middle = len(pitches) / 5 <= top <= len(pitches) * 4 / 5
    if middle and _climbs(pitches[: top + 1]) and _climbs(-pitches[top:]):
        return "arch"
    return "wave"


def _climbs(pitches: np.ndarray) -> bool:
    """Whether the pitches go up: in all by enough, and rather straight."""
    if len(pitches) < 3 or pitches[-1] - pitches[0] < TRAVEL_SEMITONES:
        return False
    ranks = np.array([(pitches < pitch).sum() + (pitches == pitch).sum() / 2 for pitch in pitches])
    return float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1]) >= STRAIGHTNESS
