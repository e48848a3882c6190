"""Chords: the most likely line of major, minor and no-chord through the outputs of the harmony nets.

Sevenths and diminished triads are named where those nets are clear about them, suspended and augmented ones
where the chord net is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from llark.annotate import notes
from llark.annotate.notes import NoteConfig, Sounding
from llark.music.theory import TONES
from llark.networks.chord import ChordOutput
from llark.networks.features import AudioFeatures
from llark.networks.harmony import HarmonyOutput
from llark.records import PITCH_CLASSES, Chords, ChordSpan, IsolatedChord

SOURCE = "harmony"
NO_CHORD = "N"
QUALITIES = ("maj", "min", "7", "maj7", "min7", "dim")
"""What the harmony nets tell apart: each of these on twelve roots, then no chord."""
TRIADS = ("maj", "min", "sus4", "sus2", "dim", "aug")
"""The chord net's triads: no chord first, then each of these on twelve roots."""
_MAJOR, _MINOR = (0, 2, 3), (1, 4, 5)
_RARE = (2, 3, 5)
_STATES = 25
_FLOOR = 1e-3


FRAMES_PER_SECOND = 22050 / 512
CHANGE_COST = 10.0
"""What a change must gain in log probability; higher gives longer chords."""
QUALITY_SHARE = 0.5
"""Of a major or minor chord's probability, the share of a seventh or a diminished triad from which on it
is named."""
RARE_TRIAD_PROBABILITY = 0.5
"""Mean over a chord above which the chord net's suspended or augmented triad is named."""
QUIET = 2e-3
"""Chroma sum, in full-scale units, under which nothing sounds."""
LEAST_SHARE = 0.1
"""Share of the clip that must carry a chord; with less, chords are unknown."""
SHORTEST_SECONDS = 0.2
"""No-chord gaps shorter than this go to the chord before them."""


def decode(output: ChordOutput, harmony: HarmonyOutput) -> Chords:
    """The spans cover the clip from 0 s without gaps; labels are `C:maj`, `F#:min`, `G:7` or `N`.

    Nothing pitched (silence, noise, drums) gives no spans and confidence 0.
    """
    probabilities = majmin(output, harmony)
    if not len(probabilities):
        return Chords(source=SOURCE)
    path = viterbi(np.log(probabilities + _FLOOR), CHANGE_COST)
    certainty = probabilities[np.arange(len(path)), path]
    pitched = path > 0
    if pitched.mean() < LEAST_SHARE:
        return Chords(source=SOURCE)
    confidence = float(certainty[pitched].mean() * min(1.0, 2 * pitched.mean()))
    edges = [0, *(np.flatnonzero(np.diff(path)) + 1), len(path)]
    spans = []
    for first, last in pairwise(edges):
        label = _label(int(path[first]), output.triad[first:last], harmony.chords[first:last])
        start, end = (_seconds(edge, len(path)) for edge in (first, last))
        spans.append(ChordSpan(start, end, label))
    return Chords(_without_slivers(spans), confidence, SOURCE)


def majmin(output: ChordOutput, harmony: HarmonyOutput) -> np.ndarray:
    """[frames, 25]: no chord, then twelve major, then twelve minor chords, each row adding up to 1."""
    qualities = harmony.chords[:, :-1].reshape(-1, len(QUALITIES), 12)
    families = [qualities[:, kinds, :].sum(axis=1) for kinds in (_MAJOR, _MINOR)]
    probabilities: np.ndarray = np.concatenate([harmony.chords[:, -1:], *families], axis=1)
    silent = output.chroma.sum(axis=1) < QUIET
    probabilities[silent] = np.eye(_STATES, dtype=probabilities.dtype)[0]
    return probabilities


def viterbi(log_likelihoods: np.ndarray, change_cost: float) -> np.ndarray:
    """[frames, states] → the best state of each frame, where every change of state costs the same."""
    frames, states = log_likelihoods.shape
    came_from = np.empty((frames, states), np.int64)
    best = log_likelihoods[0].astype(np.float64)
    stay = np.arange(states)
    for frame in range(1, frames):
        champion = int(np.argmax(best))
        jump = best[champion] - change_cost
        came_from[frame] = np.where(best >= jump, stay, champion)
        best = np.maximum(best, jump) + log_likelihoods[frame]
    path = np.empty(frames, np.int64)
    path[-1] = int(np.argmax(best))
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path


def _label(state: int, triads: np.ndarray, chords: np.ndarray) -> str:
    """`triads` is [frames, 73] of the chord net, `chords` [frames, 73] of the harmony nets, in one chord."""
    if state == 0:
        return NO_CHORD
    minor, root = divmod(state - 1, 12)
    rare = triads[:, 1:].reshape(-1, len(TRIADS), 12)[:, _RARE, root].mean(axis=0)
    if rare.max() > RARE_TRIAD_PROBABILITY:
        return f"{PITCH_CLASSES[root]}:{TRIADS[_RARE[int(rare.argmax())]]}"
    family = _MINOR if minor else _MAJOR
    shares = chords[:, :-1].reshape(-1, len(QUALITIES), 12)[:, family, root].mean(axis=0)
    best = int(shares.argmax())
    quality = family[best if shares[best] > QUALITY_SHARE * shares.sum() else 0]
    return f"{PITCH_CLASSES[root]}:{QUALITIES[quality]}"


def _seconds(edge: int, frames: int) -> float:
    """The time of the edge before frame `edge`: half a frame before its centre, but within the clip."""
    return float(np.clip(edge - 0.5, 0, frames - 1)) / FRAMES_PER_SECOND


def _without_slivers(spans: list[ChordSpan]) -> tuple[ChordSpan, ...]:
    """Neighbours with the same label joined, and very short gaps given to the chord beside them."""
    kept: list[ChordSpan] = []
    for span in spans:
        last = kept[-1] if kept else None
        short = span.end_seconds - span.start_seconds < SHORTEST_SECONDS
        if last and (span.label == last.label or (span.label == NO_CHORD and short)):
            kept[-1] = ChordSpan(last.start_seconds, span.end_seconds, last.label)
        elif last and len(kept) == 1 and last.label == NO_CHORD and last.end_seconds < SHORTEST_SECONDS:
            kept[-1] = ChordSpan(0.0, span.end_seconds, span.label)
        else:
            kept.append(span)
    return tuple(kept)


# --- an isolated chord ------------------------------------------------------------------------------------
# A recording that is one chord, sustained or arpeggiated, and no more. The note net runs only where nearly
# all energy lies in four pitch classes, the same ones all the time. Its notes must fill one chord, leave no
# note of it out, and be the same at the beginning and the end.

NOTES_SOURCE = "basic-pitch"

ISOLATED_QUALITIES = ("maj", "min", "7", "maj7", "min7", "dim", "aug", "sus4", "sus2")
"""Of a chord that sounds alone; of two that explain the notes alike, the first."""


ISOLATED_LONGEST_SECONDS = 60.0
ISOLATED_FOUR_CLASSES = 0.78
"""Share of the chroma that the four strongest pitch classes must hold."""
ISOLATED_STEADY = 0.8
"""Likeness (cosine) of the chroma of each stretch to that of the whole."""
ISOLATED_STRETCH_SECONDS = 2.0
ISOLATED_NOTES = NoteConfig(onset=0.4, least_sounding=0.3)
"""More notes than a transcription would take: the inner ones of a chord are faint."""
ISOLATED_INSIDE = 0.92
"""Share of the notes that must lie in the chord."""
ISOLATED_WEAKEST = 0.45
"""How strong the chord's weakest note must be, against an equal share."""
ISOLATED_LIKENESS = 0.9
"""Of the first half to the second."""
ISOLATED_BASS = 0.02
"""What a root in the bass counts, where several roots explain the notes alike."""


def find_isolated(features: AudioFeatures) -> IsolatedChord:
    """The chord, spelled `C:maj7`; unknown where anything else sounds, or only part of a chord."""
    unknown = IsolatedChord(source=NOTES_SOURCE)
    if features.duration_seconds > ISOLATED_LONGEST_SECONDS:
        return unknown
    strengths = pitch_class_strengths(features.chord.chroma)
    if four_class_share(strengths) < ISOLATED_FOUR_CLASSES:
        return unknown
    stretches = max(2, round(features.duration_seconds / ISOLATED_STRETCH_SECONDS))
    if steadiness(strengths, stretches) < ISOLATED_STEADY:
        return unknown
    sounding_notes = notes.decode(features.note, ISOLATED_NOTES)
    first, second = halves(sounding_notes, len(features.note.notes))
    if not first.any() or not second.any():
        return unknown
    likeness = float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
    lowest = min(sounding_notes, key=lambda sound: sound.pitch_midi).pitch_midi % 12
    label, inside, weakest = best_chord(first**2 + second**2, lowest)
    if likeness < ISOLATED_LIKENESS or inside < ISOLATED_INSIDE or weakest < ISOLATED_WEAKEST:
        return unknown
    confidence = inside * likeness * min(1.0, (1 + weakest) / 1.6)
    return IsolatedChord(label, round(confidence, 3), NOTES_SOURCE)


def pitch_class_strengths(chroma: np.ndarray) -> np.ndarray:
    """[frames, 12]: what stands out of each frame's median, as a share; little where it is quiet."""
    sums = chroma.sum(axis=1)
    if not len(chroma) or sums.max() <= 0:
        return np.zeros((len(chroma), 12))
    peaks = np.maximum(0, chroma - np.median(chroma, axis=1, keepdims=True))
    return peaks / (peaks.sum(axis=1, keepdims=True) + 0.05 * sums.max())


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


def halves(sounding_notes: Sequence[Sounding], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """[12] for each half: the root of how long and strong each pitch class sounds in it."""
    weights = np.zeros((2, 12))
    middle = frames // 2
    for sound in sounding_notes:
        before = max(0, min(sound.last, middle) - sound.first)
        within = sound.last - sound.first
        weights[:, sound.pitch_midi % 12] += np.array([before, within - before]) * sound.strength
    first, second = np.sqrt(weights)
    return first, second


def best_chord(weights: np.ndarray, lowest: int) -> tuple[str, float, float]:
    """(label, share of the notes in the chord, strength of its weakest note against an equal share).

    `weights` is [12] by pitch class, `lowest` the pitch class of the lowest note.
    """
    shares = np.sqrt(weights) / np.sqrt(weights).sum()
    best, best_score = ("", 0.0, 0.0), -1.0
    for root, name in enumerate(PITCH_CLASSES):
        for quality in ISOLATED_QUALITIES:
            inside = shares[[(root + semitone) % 12 for semitone in TONES[quality]]]
            weakest = float(inside.min()) * len(TONES[quality])
            score = float(inside.sum()) * min(1.0, weakest / 0.3) + ISOLATED_BASS * (root == lowest)
            if score > best_score:
                best, best_score = (f"{name}:{quality}", float(inside.sum()), weakest), score
    return best
