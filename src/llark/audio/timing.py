"""All time arithmetic: the windows of a recording, and the frames that cover a duration.

Times are seconds of the recording's file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from llark.audio.loading import load, probe
from llark.audio.source import SHORTEST_SECONDS
from llark.errors import BadAudio
from llark.storage.folders import Place

WINDOW_SECONDS = 25.0
"""How long a clip is; the last one of a track may be shorter."""

MINI_FRAMES_PER_SECOND = 2
"""Frames a second of the `mini` embedding: frame i covers [i/2, (i+1)/2) seconds from the clip's start."""

Span = tuple[float, float]
"""Where a stretch begins and ends, in seconds."""


def frame_count(duration_seconds: float, frames_per_second: float) -> int:
    """Frames needed to cover a duration; the last one may be covered in part only."""
    return math.ceil(duration_seconds * frames_per_second - 1e-6)


def windows(
    duration_seconds: float, window_seconds: float = WINDOW_SECONDS, hop_seconds: float | None = None
) -> list[Span]:
    """The (start, end) seconds of a track's clips, from its start.

    Without a hop they lie side by side. With one their starts are a hop apart, up to the first that reaches
    the end. A rest under 1 s is left out.
    """
    hop = window_seconds if hop_seconds is None else hop_seconds
    spans: list[Span] = []
    while duration_seconds - len(spans) * hop >= min(SHORTEST_SECONDS, window_seconds):
        start = len(spans) * hop
        spans.append((start, min(start + window_seconds, duration_seconds)))
        if hop_seconds is not None and start + window_seconds >= duration_seconds:
            break
    return spans


def windows_of(
    path: Place,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    window_seconds: float = WINDOW_SECONDS,
) -> list[Span]:
    """The windows of a recording, or of a stretch of it, side by side: (start, end) seconds of its file.

    Raises `BadAudio` as `load` does, and `too-short` where there is none.
    """
    whole = probe(path).duration_seconds
    seconds = (whole if end_seconds is None else min(end_seconds, whole)) - start_seconds
    spans = windows(seconds, window_seconds)
    if not spans:
        least = f"at least {SHORTEST_SECONDS:.0f} s is needed"
        raise BadAudio("too-short", f"{path} is {seconds:.2f} s long; {least}.")
    return [(start_seconds + first, start_seconds + last) for first, last in spans]


def stream(path: Place, spans: Iterable[Span]) -> Iterator[tuple[Span, np.ndarray, int]]:
    """Each window of a recording with its samples, float32 [samples], and their rate, as `load` gives them.

    Only one window is in memory at a time.
    """
    for start, end in spans:
        yield (start, end), *load(path, start_seconds=start, end_seconds=end)
