"""Questions and answers about clips, by any teacher, from what is known of each clip: its `Source`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from llark.records import UNKNOWN, Annotation, Clip, Track

FACTS = tuple(field.name for field in fields(Annotation))[3:]
"""The fields of an annotation that hold facts: all but its clip and times."""

_NOTHING = Annotation("", 0.0, 0.0)


@dataclass(frozen=True)
class Source:
    """The facts of one clip, and what its data set says of the recording, if there is one."""

    annotation: Annotation
    track: Track | None = None
    dataset: str = UNKNOWN
    split: str = "all"

    @property
    def id(self) -> str:
        return self.annotation.clip_id

    @property
    def licence(self) -> str:
        return UNKNOWN if self.track is None else self.track.licence

    def provenance(self, facts: Sequence[str]) -> dict[str, Any]:
        """The fields of an `Exchange` that say where it comes from; `facts` are those that it rests on."""
        return {
            "track_id": self.track.id if self.track else self.id,
            "dataset": self.dataset,
            "split": self.split,
            "licence": self.licence,
            "measured_by": tuple(self.measured_by(fact) for fact in facts),
        }

    def measured_by(self, fact: str) -> str:
        """Who says so: the source of a fact of the annotation, else the data set."""
        if fact in FACTS:
            return str(getattr(self.annotation, fact).source) or UNKNOWN
        return self.dataset if fact not in ("start_seconds", "end_seconds") else "file"


def join(
    measured: Iterable[Annotation] | None,
    clips: Mapping[str, Clip],
    truths: Mapping[str, Annotation],
    tracks: Mapping[str, Track],
) -> Iterator[Source]:
    """One source a clip, in the order of the measured annotations, or of the clips where there are none.

    Where a data set labels a fact, its label counts and the measurement does not.
    """
    if measured is None:
        measured = (Annotation(clip.id, clip.start_seconds, clip.end_seconds) for clip in clips.values())
    for annotation in measured:
        clip = clips.get(annotation.clip_id)
        track = tracks.get(annotation.clip_id if clip is None else clip.track_id)
        truth = truths.get(annotation.clip_id, track.truth if track is not None and clip is None else None)
        known = clip or track
        yield Source(
            annotation if truth is None else with_truth(annotation, truth),
            track,
            UNKNOWN if known is None else known.dataset,
            "all" if known is None else known.split,
        )


def with_truth(measured: Annotation, truth: Annotation) -> Annotation:
    """The measured facts, each replaced where the truth knows it."""
    known = {name: getattr(truth, name) for name in FACTS if getattr(truth, name) != getattr(_NOTHING, name)}
    return replace(measured, **known)
