"""The annotate stage: a recording, or a clip of one, becomes its facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llark import annotate, audio
from llark.annotate.recording import Recording
from llark.errors import BadAudio
from llark.networks.features import AudioFeatures, Networks
from llark.records import Annotation, Clip, Track


@dataclass(frozen=True)
class Annotate:
    """Step: a `Track` is heard whole, window by window; of a `Clip` its own stretch is.

    It works on one thread, so that its sums do not depend on how many workers share the machine.
    Raises `BadAudio` as `audio.load` does, and `too-short` for less than a second.
    """

    notes: bool = False
    name: str = "annotate"

    def id_of(self, record: Track | Clip) -> str:
        return record.id

    def open(self) -> None:
        import torch

        torch.set_num_threads(1)
        Networks.shared()

    def __call__(self, record: Track | Clip) -> Iterator[Annotation]:
        if isinstance(record, Track):
            yield annotate_track(record, notes=self.notes)
        else:
            hearing = _hear(record.path, record.start_seconds, record.end_seconds)
            yield annotate.annotate(hearing, record.id, record.start_seconds, notes=self.notes)


def windows_of(track: Track) -> list[tuple[float, float]]:
    """(start, end) seconds of the windows a track is heard in, in its file.

    Raises `BadAudio` where there is less than a second to hear.
    """
    whole = audio.probe(track.path).duration_seconds
    end = whole if track.end_seconds is None else min(track.end_seconds, whole)
    spans = audio.windows(end - track.start_seconds)
    if not spans:
        found, least = end - track.start_seconds, audio.SHORTEST_SECONDS
        raise BadAudio("too-short", f"{track.path} is {found:.2f} s long; at least {least:.0f} s is needed.")
    return [(track.start_seconds + first, track.start_seconds + last) for first, last in spans]


def annotate_track(
    track: Track, *, notes: bool = False, heard: Callable[[], object] = lambda: None
) -> Annotation:
    """The facts of a whole recording, in flat memory; `heard` is called after each window."""
    recording = Recording(track.id, notes=notes)
    for start, end in windows_of(track):
        recording.hear(_hear(track.path, start, end), start)
        heard()
    return recording.facts()


def _hear(path: str, start_seconds: float, end_seconds: float) -> AudioFeatures:
    return AudioFeatures(*audio.load(path, start_seconds=start_seconds, end_seconds=end_seconds))
