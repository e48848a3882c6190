"""Loudness by ITU-R BS.1770-4, its range by EBU Tech 3342, and words for the dynamics.

Everything follows from the K-weighted energy of each tenth of a second, so that the windows of a long song
are measured one by one and judged as a whole.
"""

from __future__ import annotations

import math
from itertools import groupby, pairwise

import numpy as np

from llark.networks.features import AudioFeatures
from llark.networks.weighting import STEPS_PER_SECOND, Energies
from llark.records import Loudness, Span

SOURCE = "bs1770"
_BLOCK_STEPS = 4
_SHORT_TERM_STEPS = 30


ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
RANGE_GATE_LU = -20.0
SILENT_LUFS = -60.0
"""A second of less is silence."""
LEAST_CONTRAST_LU = 6.0
"""Between the loudest and the quietest tenth of the sounding seconds; with less there are no words."""
LOUD_LU = -4.0
"""From here up to the loudest passages it is loud …"""
QUIET_LU = -10.0
"""… and from here down quiet."""
SWELL_LU = 7.0
"""A steady rise or fall of so much is a crescendo or decrescendo …"""
SWELL_SECONDS = (4.0, 40.0)
"""… if it takes so long, …"""
SWELL_SLACK_LU = 1.5
"""… never turns back by more than this, …"""
SWELL_JUMP = 0.5
"""… and no two seconds make up more than this share of it."""
SHORTEST_SECONDS = 3
"""Words for less are given to what is before."""


def find(features: AudioFeatures, start_seconds: float = 0.0) -> Loudness:
    """The loudness of one clip that begins at `start_seconds` of its track."""
    return measure(features.energies, start_seconds)


def measure(energies: Energies, start_seconds: float = 0.0) -> Loudness:
    """Silence, and less than 0.4 s, is unknown."""
    integrated = _integrated(energies.steps)
    if integrated is None:
        return Loudness(source=SOURCE)
    seconds = _lufs(_means(energies.steps, STEPS_PER_SECOND, STEPS_PER_SECOND))
    spans, confidence = _dynamics(seconds, start_seconds)
    width = _range(energies.steps)
    return Loudness(
        integrated_lufs=round(integrated, 2),
        range_lu=None if width is None else round(width, 2),
        peak_dbfs=round(20 * math.log10(max(energies.peak, 1e-9)), 2),
        each_second_lufs=tuple(
            None if value < ABSOLUTE_GATE_LUFS else round(float(value), 1) for value in seconds
        ),
        dynamics=spans,
        confidence=round(confidence, 3),
        source=SOURCE,
    )


def _lufs(energies: np.ndarray) -> np.ndarray:
    return -0.691 + 10 * np.log10(np.maximum(energies, 1e-12))


def _means(steps: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Means of `length` steps, every `hop`; what does not fill a whole one is left out."""
    if len(steps) < length:
        return np.zeros(0)
    return np.lib.stride_tricks.sliding_window_view(steps, length)[::hop].mean(axis=1)


def _gated(blocks: np.ndarray, relative_lu: float) -> np.ndarray:
    """The blocks that count: not silent, and not too far below the mean of those."""
    sounding = blocks[_lufs(blocks) > ABSOLUTE_GATE_LUFS]
    if not len(sounding):
        return sounding
    return sounding[_lufs(sounding) > float(_lufs(sounding.mean(keepdims=True))[0]) + relative_lu]


def _integrated(steps: np.ndarray) -> float | None:
    kept = _gated(_means(steps, _BLOCK_STEPS, 1), RELATIVE_GATE_LU)
    return float(_lufs(kept.mean(keepdims=True))[0]) if len(kept) else None


def _range(steps: np.ndarray) -> float | None:
    """From the 10th to the 95th percentile of the loudness of three seconds."""
    kept = _gated(_means(steps, _SHORT_TERM_STEPS, 1), RANGE_GATE_LU)
    if not len(kept):
        return None
    low, high = np.percentile(_lufs(kept), [10, 95])
    return float(high - low)


# --- words ------------------------------------------------------------------------------------------------


def _dynamics(seconds: np.ndarray, start_seconds: float) -> tuple[tuple[Span, ...], float]:
    """Words for the loudness of each second, and confidence in them: none where it hardly changes."""
    sounding = seconds[seconds > SILENT_LUFS]
    if not len(sounding) or len(seconds) < 2 * SHORTEST_SECONDS:
        return (), 0.0
    low, top = np.percentile(sounding, [10, 95])
    contrast = float(top - low)
    if contrast < LEAST_CONTRAST_LU:
        return (), 0.0
    smooth = _smoothed(np.maximum(seconds, SILENT_LUFS))
    words = np.where(smooth > top + LOUD_LU, "loud", "medium").astype(object)
    words[smooth < top + QUIET_LU] = "quiet"
    for first, last, word in _swells(smooth):
        words[first:last] = word
    words = _without_short(words, SHORTEST_SECONDS)
    words[seconds <= SILENT_LUFS] = "silence"
    words = _without_short(words, 2)
    confidence = float(np.clip(contrast / (2 * LEAST_CONTRAST_LU), 0.5, 0.95))
    spans, at = [], 0
    for word, group in groupby(words):
        length = len(list(group))
        spans.append(Span(start_seconds + at, start_seconds + at + length, str(word), round(confidence, 3)))
        at += length
    return tuple(spans), confidence


def _smoothed(levels: np.ndarray) -> np.ndarray:
    """The median of three seconds: a single loud or silent one is no passage."""
    padded = np.pad(levels, 1, mode="edge")
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)


def _swells(levels: np.ndarray) -> list[tuple[int, int, str]]:
    """(first, last, word) of the steady rises and falls."""
    swells = []
    for word, curve in (("crescendo", levels), ("decrescendo", -levels)):
        at = 0
        while at < len(curve) - 1:
            end = _end_of_rise(curve, at, SWELL_SLACK_LU)
            start = at + int(np.flatnonzero(curve[at : end + 1] == curve[at : end + 1].min())[-1])
            if _is_swell(curve[start : end + 1]):
                swells.append((start, end + 1, word))
            at = max(end, at + 1)
    return swells


def _end_of_rise(curve: np.ndarray, at: int, slack: float) -> int:
    """The index of the highest point reached from `at` before the curve falls back by more than the slack."""
    best = at
    for i in range(at + 1, len(curve)):
        if curve[i] > curve[best]:
            best = i
        elif curve[i] < curve[best] - slack:
            break
    return best


def _is_swell(curve: np.ndarray) -> bool:
    rise = float(curve[-1] - curve[0])
    shortest, longest = SWELL_SECONDS
    if rise < SWELL_LU or not shortest <= len(curve) - 1 <= longest:
        return False
    steepest = max(float(b - a) for a, b in pairwise(curve))
    return steepest <= SWELL_JUMP * rise


def _without_short(words: np.ndarray, shortest: int) -> np.ndarray:
    """Runs shorter than `shortest` seconds take the word before them; a short first one that after it."""
    runs = [(word, len(list(group))) for word, group in groupby(words)]
    kept: list[tuple[object, int]] = []
    for word, length in runs:
        if kept and (length < shortest or kept[-1][0] == word):
            kept[-1] = (kept[-1][0], kept[-1][1] + length)
        elif len(kept) == 1 and kept[0][1] < shortest:
            kept[0] = (word, kept[0][1] + length)
        else:
            kept.append((word, length))
    return np.array([word for word, length in kept for _ in range(length)], dtype=object)
