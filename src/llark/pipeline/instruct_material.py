"""Where facts for `llark instruct` lie: folders of annotate, prepare, build and corpus, joined by clip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llark.errors import UserMustAct
from llark.records import Annotation, Clip, Track
from llark.storage import folders as files
from llark.storage import stages
from llark.storage.folders import Place

if TYPE_CHECKING:
    from llark.instruct.sources import Source


@dataclass(frozen=True)
class Material:
    """The places to read, and how many clips to take (`None`: all)."""

    places: tuple[Place, ...]
    limit: int | None = None


@dataclass
class Folders:
    """Finished stage folders, by what they hold."""

    annotated: list[Place] = field(default_factory=list)
    clips: list[Place] = field(default_factory=list)
    truths: list[Place] = field(default_factory=list)
    tracks: list[Place] = field(default_factory=list)
    corpora: list[Place] = field(default_factory=list)

    @property
    def all(self) -> list[Place]:
        return [*self.annotated, *self.clips, *self.truths, *self.tracks, *self.corpora]


def folders(material: Material) -> Folders:
    """Raises `UserMustAct` for a place that holds no facts, or is not finished."""
    found = Folders()
    for place in material.places:
        _add(found, place)
    return found


def _add(found: Folders, place: Place) -> None:
    inside = files.folder(place)
    kinds = {
        "annotations": found.annotated,
        "clips": found.clips,
        "truths": found.truths,
        "tracks": found.tracks,
        "corpus": found.corpora,
    }
    named = [name for name in kinds if inside.exists(f"{name}/{stages.ABOUT}")]
    for name in named:
        kinds[name].append(files.join(place, name))
    if named:
        return
    stage = stages.about(place)["stage"]
    if stage not in ("annotate", "corpus"):
        raise UserMustAct(
            f"{place} is the folder of the stage {stage}; facts are in what annotate, prepare, build or "
            "corpus have filled."
        )
    (found.annotated if stage == "annotate" else found.corpora).append(place)


def sources(material: Material) -> Iterator[Source]:
    """One source a clip, from all places joined by the clips' ids."""
    from llark.instruct.sources import join

    found = folders(material)
    clips = {clip.id: clip for folder in found.clips for clip in stages.read(folder, Clip)}
    tracks = {track.id: track for folder in found.tracks for track in stages.read(folder, Track)}
    truths = {truth.clip_id: truth for folder in found.truths for truth in stages.read(folder, Annotation)}
    for folder in found.corpora:
        _add_corpus(folder, clips, truths, tracks)
    measured = (one for folder in found.annotated for one in stages.read(folder, Annotation))
    for number, source in enumerate(join(measured if found.annotated else None, clips, truths, tracks)):
        if number == material.limit:
            return
        yield source


def clips(material: Material) -> Mapping[str, Clip]:
    """The clips by id, as far as they are known."""
    found = folders(material)
    by_id = {clip.id: clip for folder in found.clips for clip in stages.read(folder, Clip)}
    for folder in found.corpora:
        _add_corpus(folder, by_id, {}, {})
    return by_id


def _add_corpus(
    folder: Place, clips: dict[str, Clip], truths: dict[str, Annotation], tracks: dict[str, Track]
) -> None:
    """A corpus's truth for the clips of the same build; where there are none, its tracks are the clips."""
    from llark import corpus

    by_track: dict[str, list[Clip]] = {}
    for clip in clips.values():
        by_track.setdefault(clip.track_id, []).append(clip)
    for track, truth in corpus.read(files.local_path(folder)):
        tracks[track.id] = track
        whole = Clip(
            track.id, track.id, track.path, truth.start_seconds, truth.end_seconds, track.split, track.dataset
        )
        for clip in by_track.get(track.id, [] if by_track else [whole]):
            clips[clip.id] = clip
            truths[clip.id] = replace(truth, clip_id=clip.id)
