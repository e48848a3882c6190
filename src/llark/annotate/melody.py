"""The melody of a single line: its notes, its range and the shape of it.

Two witnesses must agree that there is one line and no more: the wave repeats itself with one period at a
time, and the note net, asked only then, finds one pitch at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from llark.annotate import notes
from llark.annotate.notes import Sounding
from llark.networks.features import AudioFeatures
from llark.records import Melody

SOURCE = "period+basic-pitch"
_RATE = 22050
_FRAMES_AT_ONCE = 32  # that many fit into a core's cache


@dataclass(frozen=True)
class MelodyConfig:
    frame_samples: int = 2048
    hop_samples: int = 1024
    lowest_hz: float = 60.0
    highest_hz: float = 1600.0
    periodic: float = 0.2
    """Share of a frame's energy that a shift by one period leaves over, up to which it is periodic."""
    faintest: float = 1e-3
    """Energy, against the loudest twentieth of the frames, under which nothing sounds."""
    periodic_share: float = 0.55
    """Share of the sounding frames that must be periodic before the note net is asked."""
    tail_seconds: float = 0.2
    """A note may ring into the next one for so long."""
    most_overlap: float = 0.12
    """Share of the sounding time in which more than one note may sound."""
    fewest_notes: int = 5
    least_seconds: float = 2.5
    """Less of sounding notes is no melody."""
    static_semitones: int = 2
    """A melody that moves no further is static."""
    travel_semitones: float = 4.0
    """What a rising or falling stretch covers at least …"""
    straightness: float = 0.75
    """… and how closely its pitch follows time there (rank correlation)."""
    least_clarity: float = 0.2
    """Confidence in the notes below which nothing is said of them."""
    least_confidence: float = 0.4


def find(
    features: AudioFeatures, start_seconds: float = 0.0, config: MelodyConfig = MelodyConfig()
) -> Melody:
    """The melody of a clip that begins at `start_seconds` of its track; unknown wherever more sounds."""
    share = periodic_share(features.samples_22050, config)
    if share < config.periodic_share:
        return Melody(source=SOURCE)
    soundings = notes.decode(features.note)
    line = one_line(soundings, config)
    clarity = notes.find(features.note).confidence
    overlap = overlap_share(soundings, config)
    seconds = sum(sound.last - sound.first for sound in line) / notes.FRAMES_PER_SECOND
    if len(line) < config.fewest_notes or seconds < config.least_seconds or overlap > config.most_overlap:
        return Melody(source=SOURCE)
    confidence = (1 - overlap / config.most_overlap / 2) * (0.5 + clarity / 2) * min(1.0, share / 0.8)
    if clarity < config.least_clarity or confidence < config.least_confidence:
        return Melody(source=SOURCE)
    pitches = [sound.pitch_midi for sound in line]
    return Melody(
        contour=contour(pitches, config),
        lowest_midi=min(pitches),
        highest_midi=max(pitches),
        notes=notes.as_notes(line, start_seconds),
        confidence=round(confidence, 3),
        source=SOURCE,
    )


# --- one period at a time ---------------------------------------------------------------------------------


def periodic_share(samples: np.ndarray, config: MelodyConfig = MelodyConfig()) -> float:
    """The share of sounding frames that repeat themselves; `samples` are at 22,050 Hz.

    Once it cannot reach `config.periodic_share` any more, the rest is not looked at, and 0 returned.
    """
    longest, width = int(_RATE / config.lowest_hz), config.frame_samples
    if len(samples) < width + longest:
        return 0.0
    samples = samples.astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(samples, width + longest)[:: config.hop_samples]
    squares = np.concatenate([[0.0], np.cumsum(np.square(samples))])
    firsts = np.arange(len(frames)) * config.hop_samples
    energy = squares[firsts + width] - squares[firsts]
    sounding = np.flatnonzero(energy > config.faintest * np.percentile(energy, 95))
    periodic = 0
    for done in range(0, len(sounding), _FRAMES_AT_ONCE):
        if (periodic + len(sounding) - done) / len(sounding) < config.periodic_share:
            return 0.0
        part = sounding[done : done + _FRAMES_AT_ONCE]
        starts = firsts[part, None] + np.arange(longest + 1)
        left_over = _left_over(frames[part], squares[starts + width] - squares[starts], config)
        periodic += int((left_over < config.periodic).sum())
    return periodic / len(sounding) if len(sounding) else 0.0


def _left_over(frames: np.ndarray, energy: np.ndarray, config: MelodyConfig) -> np.ndarray:
    """[frames]: the least share of energy that a shift by a period leaves over.

    `frames` is [frames, frame samples + longest shift], `energy` [frames, 1 + longest shift]: that of a frame
    shifted so far. The cumulative mean normalised difference (de Cheveigné and Kawahara 2002), by FFT.
    """
    from scipy import fft

    longest = energy.shape[1] - 1
    size = fft.next_fast_len(frames.shape[1], real=True)
    spectrum = np.conj(fft.rfft(frames[:, : config.frame_samples], size)) * fft.rfft(frames, size)
    products = fft.irfft(spectrum, size)[:, : longest + 1]
    difference = np.maximum(energy[:, :1] + energy - 2 * products, 0.0)[:, 1:]
    means = np.cumsum(difference, axis=1) / np.arange(1, longest + 1)
    normalised = difference / np.maximum(means, 1e-12)
    return normalised[:, int(_RATE / config.highest_hz) :].min(axis=1)


# --- one note at a time -----------------------------------------------------------------------------------


def overlap_share(soundings: Sequence[Sounding], config: MelodyConfig = MelodyConfig()) -> float:
    """The share of the sounding time in which more than one note sounds, but for the tails of notes."""
    if not soundings:
        return 0.0
    tail = round(config.tail_seconds * notes.FRAMES_PER_SECOND)
    sounding = np.zeros(max(sound.last for sound in soundings), int)
    for sound in soundings:
        sounding[sound.first : max(sound.first + 2, sound.last - tail)] += 1
    return float((sounding > 1).sum() / max((sounding > 0).sum(), 1))


def one_line(soundings: Sequence[Sounding], config: MelodyConfig = MelodyConfig()) -> list[Sounding]:
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


def contour(pitches_midi: Sequence[int], config: MelodyConfig = MelodyConfig()) -> str:
    """One of `CONTOURS` for the pitches of a line: `wave` is whatever is none of the others."""
    pitches = np.array(pitches_midi, float)
    if np.ptp(pitches) <= config.static_semitones:
        return "static"
    for word, sign in (("rising", 1), ("falling", -1)):
        if _climbs(sign * pitches, config):
            return word
    top = round(float(np.flatnonzero(pitches == pitches.max()).mean()))
    middle = len(pitches) / 5 <= top <= len(pitches) * 4 / 5
    if middle and _climbs(pitches[: top + 1], config) and _climbs(-pitches[top:], config):
        return "arch"
    return "wave"


def _climbs(pitches: np.ndarray, config: MelodyConfig) -> bool:
    """Whether the pitches go up: in all by enough, and rather straight."""
    if len(pitches) < 3 or pitches[-1] - pitches[0] < config.travel_semitones:
        return False
    ranks = np.array([(pitches < pitch).sum() + (pitches == pitch).sum() / 2 for pitch in pitches])
    return float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1]) >= config.straightness
