"""A track becomes clips: windows side by side over all of it, the last one shorter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llark.audio import SHORTEST_SECONDS, WINDOW_SECONDS, probe, windows
from llark.records import Clip, Dropped, Track

_UNHEARD_SECONDS = 0.05
"""A rest shorter than this is the padding of an encoder, and no loss worth a line."""


@dataclass(frozen=True)
class Crop:
    """Step: `Track` → `Clip`s of `window_seconds`; a rest under 1 s is dropped, `too-short`.

    A clip's id is the track's and the second it starts at. Raises `BadAudio` as `audio.probe` does.
    """

    window_seconds: float = WINDOW_SECONDS
    name: str = "prepare"

    def id_of(self, record: Track) -> str:
        return record.id

    def open(self) -> None:
        """Nothing to load."""

    def __call__(self, record: Track) -> Iterator[Clip | Dropped]:
        seconds = probe(record.path).duration_seconds
        spans = windows(seconds, self.window_seconds)
        for start, end in spans:
            yield Clip(
                id=clip_id(record.id, start),
                track_id=record.id,
                path=record.path,
                start_seconds=start,
                end_seconds=end,
                split=record.split,
                dataset=record.dataset,
            )
        covered = spans[-1][1] if spans else 0.0
        if not spans or seconds - covered > _UNHEARD_SECONDS:
            where = f" after {covered:g} s" if spans else ""
            long = f"{record.path} is {seconds - covered:.2f} s long{where}"
            detail = f"{long}; a clip needs {SHORTEST_SECONDS:g} s."
            yield Dropped(clip_id(record.id, covered), self.name, "too-short", detail)


def clip_id(track_id: str, start_seconds: float) -> str:
    """Opaque: nothing reads the start back out of it."""
    return f"{track_id}@{start_seconds:.2f}"
