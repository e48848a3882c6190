"""Time grids: windows that cover a clip, and frames of one rate averaged into frames of another.

All borders are exact fractions of a second until the last step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np


def frame_count(duration_seconds: Fraction, frames_per_second: Fraction) -> int:
    """Frames that cover a duration: at least one, the last one covered in part only."""
    return max(1, math.ceil(duration_seconds * frames_per_second))


def regrid(
    values: np.ndarray, rate: Fraction, duration_seconds: Fraction, frames_per_second: Fraction
) -> np.ndarray:
    """Averages values that each hold for 1 / rate seconds into frames of another rate.

    Args:
        values: [n, width]; value k holds for [k / rate, (k + 1) / rate) seconds, the last one to the end.
        rate: Values a second.
        duration_seconds: Of the clip; what lies after it does not count.

    Returns:
        float32 [ceil(duration * frames_per_second), width]: the mean over each frame's seconds in the clip.
    """
    frames = frame_count(duration_seconds, frames_per_second)
    if rate == frames_per_second and len(values) >= frames:
        return np.ascontiguousarray(values[:frames], dtype=np.float32)
    end = duration_seconds * rate
    borders = np.asarray([float(min(Fraction(i) / frames_per_second * rate, end)) for i in range(frames + 1)])
    values = values[: math.ceil(end)]
    before = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, dtype=np.float64, out=before[1:])
    whole = np.minimum(borders.astype(np.int64), len(values) - 1)
    sums = before[whole] + (borders - whole)[:, None] * values[whole]
    spans = np.maximum(borders[1:] - borders[:-1], 1e-9)
    mean: np.ndarray = ((sums[1:] - sums[:-1]) / spans[:, None]).astype(np.float32)
    return mean


def windows(total: int, window: int, overlap: int, *, whole: bool = False) -> list[tuple[int, int]]:
    """The (start, end) of windows of at most `window` that cover `total`, in any unit.

    Each next one begins `overlap` before the end of the one before it. The last one is as short as the rest
    needs; `whole`: it begins earlier instead, and is as long as the others.
    """
    if not 0 <= overlap < window:
        raise ValueError(f"an overlap of {overlap} does not fit into windows of {window}")
    spans = [(0, min(window, total))]
    while spans[-1][1] < total:
        start = spans[-1][1] - overlap
        end = min(start + window, total)
        spans.append((end - window if whole else start, end))
    return spans


def join(pieces: Sequence[np.ndarray], spans: Sequence[tuple[int, int]], *, causal: bool) -> np.ndarray:
    """One sequence from what was heard in windows that overlap.

    Args:
        pieces: [end - start, width] of each window.
        spans: The windows' (start, end).
        causal: A value depends on what is before it alone: then the earlier window counts to its end, else
            to the middle of the overlap.

    Returns:
        [end of the last window, width].
    """
    kept: list[np.ndarray] = []
    at = 0
    for index, (piece, (start, end)) in enumerate(zip(pieces, spans, strict=True)):
        is_last = index + 1 == len(spans)
        stop = end if is_last or causal else (spans[index + 1][0] + end) // 2
        kept.append(piece[at - start : stop - start])
        at = stop
    return np.concatenate(kept)
