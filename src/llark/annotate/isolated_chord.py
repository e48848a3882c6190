"""The quality of an isolated chord: a recording that is one chord, sustained or arpeggiated, and no more.

The note net is asked only where nearly all energy lies in four pitch classes, the same ones all the time. Its
notes must fill one chord, leave no note of it out, and be the same at the beginning and the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from llark.annotate import notes
from llark.annotate.notes import NoteConfig, Sounding
from llark.networks.features import AudioFeatures
from llark.records import PITCH_CLASSES, IsolatedChord

SOURCE = "basic-pitch"

QUALITIES = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10),
    "dim": (0, 3, 6), "aug": (0, 4, 8), "sus4": (0, 5, 7), "sus2": (0, 2, 7),
}  # fmt: skip
"""Semitones above the root."""


@dataclass(frozen=True)
class IsolatedChordConfig:
    longest_seconds: float = 60.0
    four_classes: float = 0.78
    """Share of the chroma that the four strongest pitch classes must hold."""
    steady: float = 0.8
    """Likeness (cosine) of the chroma of each stretch to that of the whole."""
    stretch_seconds: float = 2.0
    notes: NoteConfig = field(default_factory=lambda: NoteConfig(onset=0.4, least_sounding=0.3))
    """More notes than a transcription would take: the inner ones of a chord are faint."""
    inside: float = 0.92
    """Share of the notes that must lie in the chord."""
    weakest: float = 0.45
    """How strong the chord's weakest note must be, against an equal share."""
    likeness: float = 0.9
    """Of the first half to the second."""
    bass: float = 0.02
    """What a root in the bass counts, where several roots explain the notes alike."""


def find(hearing: AudioFeatures, config: IsolatedChordConfig | None = None) -> IsolatedChord:
    """The chord, spelled `C:maj7`; unknown where anything else sounds, or only part of a chord."""
    config = config or IsolatedChordConfig()
    unknown = IsolatedChord(source=SOURCE)
    if hearing.duration_seconds > config.longest_seconds:
        return unknown
    strengths = pitch_class_strengths(hearing.chord.chroma)
    if four_class_share(strengths) < config.four_classes:
        return unknown
    if (
        steadiness(strengths, max(2, round(hearing.duration_seconds / config.stretch_seconds)))
        < config.steady
    ):
        return unknown
    found = notes.decode(hearing.note, config.notes)
    first, second = halves(found, len(hearing.note.notes))
    if not first.any() or not second.any():
        return unknown
    likeness = float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
    lowest = min(found, key=lambda sound: sound.pitch_midi).pitch_midi % 12
    label, inside, weakest = best_chord(first**2 + second**2, lowest, config)
    if likeness < config.likeness or inside < config.inside or weakest < config.weakest:
        return unknown
    confidence = inside * likeness * min(1.0, (1 + weakest) / 1.6)
    return IsolatedChord(label, round(confidence, 3), SOURCE)


def pitch_class_strengths(chroma: np.ndarray) -> np.ndarray:
    """[frames, 12]: what stands out of each frame's median, as a share; little where it is quiet."""
    sums = chroma.sum(axis=1)
    if not len(chroma) or sums.max() <= 0:
        return np.zeros((len(chroma), 12))
    peaks = np.maximum(0, chroma - np.median(chroma, axis=1, keepdims=True))
    strengths: np.ndarray = peaks / (peaks.sum(axis=1, keepdims=True) + 0.05 * sums.max())
    return strengths


def four_class_share(strengths: np.ndarray) -> float:
    """The share of the four strongest pitch classes in all."""
    total = strengths.sum(axis=0)
    return float(np.sort(total)[-4:].sum() / max(total.sum(), 1e-9))


def steadiness(strengths: np.ndarray, stretches: int) -> float:
    """The least cosine between the pitch classes of a stretch and those of the whole; silent ones aside."""
    whole = strengths.sum(axis=0)
    parts = [part.sum(axis=0) for part in np.array_split(strengths, stretches)]
    sounding = [part for part in parts if part.sum() > 0.1 * whole.sum() / stretches]
    return min(
        (float(part @ whole / (np.linalg.norm(part) * np.linalg.norm(whole))) for part in sounding),
        default=0.0,
    )


def halves(found: Sequence[Sounding], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """[12] for each half: the root of how long and strong each pitch class sounds in it."""
    weights = np.zeros((2, 12))
    middle = frames // 2
    for sound in found:
        before = max(0, min(sound.last, middle) - sound.first)
        within = sound.last - sound.first
        weights[:, sound.pitch_midi % 12] += np.array([before, within - before]) * sound.strength
    first, second = np.sqrt(weights)
    return first, second


def best_chord(weights: np.ndarray, lowest: int, config: IsolatedChordConfig) -> tuple[str, float, float]:
    """(label, share of the notes in the chord, strength of its weakest note against an equal share).

    `weights` is [12] by pitch class, `lowest` the pitch class of the lowest note.
    """
    shares = np.sqrt(weights) / np.sqrt(weights).sum()
    best, best_score = ("", 0.0, 0.0), -1.0
    for root, name in enumerate(PITCH_CLASSES):
        for quality, semitones in QUALITIES.items():
            inside = shares[[(root + semitone) % 12 for semitone in semitones]]
            weakest = float(inside.min()) * len(semitones)
            score = float(inside.sum()) * min(1.0, weakest / 0.3) + config.bass * (root == lowest)
            if score > best_score:
                best, best_score = (f"{name}:{quality}", float(inside.sum()), weakest), score
    return best
