"""Data sets that name a segment of a video: where its sound is, cut out or still inside the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llark import audio
from llark.errors import BadAudio
from llark.prepare.datasets._root import Root
from llark.prepare.datasets._rows import recording

_ROUNDING_SECONDS = 0.5
"""A cut file may be this much longer than its segment, and a video this much shorter than is said."""


@dataclass(frozen=True)
class Segment:
    """`start_seconds` to `end_seconds` of the file at `path`; `end_seconds` is `None` for the whole of it."""

    path: str
    start_seconds: float
    end_seconds: float | None
    duration_seconds: float | None


def segment_of(root: Root, folders: Sequence[str], video: str, start: str, end: str) -> Segment:
    """Finds the recording of `video` from `start` to `end` (seconds, as the table writes them).

    A file whose name holds the times is the segment. One with the video's name alone is looked into: when it
    is longer than the segment and reaches its end, it is the whole video. `BadRow`, `missing-audio`.
    """
    cut = _names(video, start, end)
    bare = (video, f"[{video}]")
    path = recording(root, *(f"{folder}{name}" for folder in folders for name in (*cut, *bare)))
    first, last = float(start), float(end)
    stem = path.rpartition("/")[2].rpartition(".")[0]
    if stem not in bare:
        return Segment(path, 0.0, None, None)
    try:
        seconds = audio.probe(path).duration_seconds
    except BadAudio:
        return Segment(path, 0.0, None, None)  # whoever reads it next says why it cannot be read
    is_whole = seconds > last - first + _ROUNDING_SECONDS and seconds > last - _ROUNDING_SECONDS
    return Segment(path, first, last, seconds) if is_whole else Segment(path, 0.0, None, seconds)


def _names(video: str, start: str, end: str) -> tuple[str, ...]:
    """File names, without suffix, that say they are the segment."""
    written = [(start, end)]
    for form in ("{:g}", "{}", "{:.3f}"):
        written.append((form.format(float(start)), form.format(float(end))))
    times = dict.fromkeys(written)
    names = []
    for first, last in times:
        names += [f"{video}-{first}-{last}", f"{video}_{first}_{last}", f"[{video}]-[{first}-{last}]"]
        names += [f"[{video}]-{first}-{last}", f"{video}_{first}", f"{video}-{first}"]
    return tuple(names)
