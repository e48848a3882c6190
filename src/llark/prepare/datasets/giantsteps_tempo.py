"""GiantSteps tempo: 664 previews of electronic dance music with their tempo, in two versions.

Layout checked against github.com/GiantSteps/giantsteps-tempo-dataset at d51ab24 and against mirdata: for all
664 tracks, the tempo files and the JAMS files give the same values in both versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, tracks
from llark.records import Dropped, Tempo, Track

ABOUT = (
    "664 previews of Beatport, nearly all 120 s long, with one tempo. Version 1 holds listeners' "
    "corrections in a forum; version 2, the default, was tapped in an experiment, gives the other tempo "
    "that was tapped, and says of three recordings that they have none. Both are kept as metadata, with the "
    "publisher's fold. JAMS files are read where the plain ones are not there. The repository may lie in a "
    "folder `giantsteps-tempo-dataset-*` beside `audio`, as mirdata unpacks it."
)

CITATION = ("knees2015two", "schreiber2018crowdsourced")

LICENCE = "annotations: not stated (mirdata says CC-BY-SA-4.0); the audio is its labels', for research"

FILES = {
    "annotations/tempo/*.LOFI.bpm": "version 1; or `annotations/jams/*.LOFI.jams`",
    "annotations_v2/tempo/*.LOFI.bpm": "version 2; 0.0 is no tempo; or `annotations_v2/jams/*.LOFI.jams`",
    "annotations_v2/mirex/*.LOFI.mirex": "optional: version 2 as slower and faster tempo, share of slower",
    "annotations/genre/*.LOFI.genre": "optional: the genre",
    "splits/fold01.txt": "optional: ten folds",
    "audio/*.LOFI.mp3": "the recordings",
}

WHERE = "github.com/GiantSteps/giantsteps-tempo-dataset"

SPLITS = (reading.TEST,)

SPLITS_FROM = "published as one test set; the ten folds for cross-validation are metadata."

LABELS = ("tempo", "genre")

_PLACES = {1: "annotations", 2: "annotations_v2"}
_SUFFIXES = {"tempo": ".bpm", "jams": ".jams"}


def read_tracks(
    root: str | Path, split: str | None = None, *, version: Literal[1, 2] = 2
) -> Iterator[Track | Dropped]:
    """One track a tempo file of the version; its id is the file's name without suffix, `28952.LOFI`."""
    return tracks(_rows(Root(root), version), split, SPLITS, dataset="giantsteps_tempo", licence=LICENCE)


def _rows(root: Root, version: int) -> Iterator[Row | Dropped]:
    places = [f"{_PLACES[version]}/{kind}" for kind in _SUFFIXES]
    base = root.inside("giantsteps-tempo-dataset", *places)
    folder, folds = root.need(*(base + place for place in places)), _folds(root, f"{base}splits")
    suffix = _SUFFIXES[folder.rpartition("/")[2]]
    ids = [name.removesuffix(suffix) for name in root.files(folder, suffix)]
    for id_ in ids:
        yield Row(id_, reading.TEST, partial(_track, root, base, id_, version, folds))
    for id_ in sorted(set(folds) - set(ids)):
        yield reading.malformed(id_, f"{id_} is in a fold, and {folder} has no {id_}{suffix}.")


def _folds(root: Root, folder: str) -> dict[str, int]:
    """Id → the fold that it is tested in, 1 to 10."""
    fold_of = {}
    for name in root.files(folder, ".txt"):
        fold = name.removeprefix("fold").removesuffix(".txt")
        if fold.isdecimal():
            lines = root.text(f"{folder}/{name}").split()
            fold_of.update({line.removesuffix(".mp3"): int(fold) for line in lines})
    return fold_of


def _track(root: Root, base: str, id_: str, version: int, folds: Mapping[str, int]) -> Track:
    path = reading.recording(
        root, f"{base}audio/{id_}", f"audio/{id_}", f"{base}wav/{id_}", f"wav/{id_}", id_
    )
    tempi = {number_: _bpm(root, f"{base}{place}", id_) for number_, place in _PLACES.items()}
    slow, fast, share = _two_tempi(root, f"{base}{_PLACES[2]}", id_)
    bpm = tempi[version]
    others = [other for other in (slow, fast) if version == 2 and bpm and other and other != bpm]
    tempo = Tempo(bpm, 1.0, f"giantsteps_tempo v{version}", others[0] if others else None) if bpm else Tempo()
    genres = _genres(root, f"{base}{_PLACES[1]}", id_)
    metadata = {
        "tempo_v1": tempi[1],
        "tempo_v2": tempi[2],
        "slower_tempo_v2": slow,
        "faster_tempo_v2": fast,
        "slower_share_v2": share,
        "fold": folds.get(id_),
        "genre": genres,
    }
    return Track(
        id_,
        path,
        truth=reading.truth(id_, None, tempo=tempo, genre=reading.sure(genres, "giantsteps_tempo")),
        metadata=reading.known(metadata),
    )


def _bpm(root: Root, place: str, id_: str) -> float | None:
    """The tempo, of the JAMS file the one with most votes; `None` for no file, nothing, or 0."""
    path = f"{place}/tempo/{id_}.bpm"
    if root.has(path):
        return reading.number(root.text(path), path) or None
    voted = _observed(root, f"{place}/jams/{id_}.jams", "tempo")
    best = max(voted, key=lambda vote: reading.number(vote.get("confidence"), path) or 0.0, default={})
    return reading.number(best.get("value"), path) or None


def _two_tempi(root: Root, place: str, id_: str) -> tuple[float | None, float | None, float | None]:
    """Slower tempo, faster tempo, and how salient the slower one is (0 to 1)."""
    path = f"{place}/mirex/{id_}.mirex"
    if root.has(path):
        cells = root.text(path).split()
        if len(cells) != 3:
            return None, None, None
        slow, fast, share = (reading.number(cell, path) for cell in cells)
        return slow or None, fast or None, share if slow or fast else None
    voted = _observed(root, f"{place}/jams/{id_}.jams", "tempo")
    votes = [
        (reading.number(v.get("value"), path) or 0.0, reading.number(v.get("confidence"), path))
        for v in voted
    ]
    votes.sort(key=lambda vote: vote[0])
    if not 1 <= len(votes) <= 2:
        return None, None, None
    return votes[0][0] or None, (votes[1][0] or None) if len(votes) == 2 else None, votes[0][1]


def _genres(root: Root, place: str, id_: str) -> list[str]:
    path = f"{place}/genre/{id_}.genre"
    if root.has(path):
        return [root.text(path).strip()]
    return [str(tag.get("value", "")) for tag in _observed(root, f"{place}/jams/{id_}.jams", "tag_open")]


def _observed(root: Root, path: str, namespace: str) -> list[Mapping[str, Any]]:
    """The observations of a JAMS file in one namespace; none where there is no file.

    Raises `BadRow`: the file is no JAMS file.
    """
    if not root.has(path):
        return []
    try:
        parts = [
            part for part in reading.page_of(root, path)["annotations"] if part["namespace"] == namespace
        ]
        return [dict(observation) for part in parts for observation in part["data"]]
    except (KeyError, TypeError, ValueError) as error:
        raise BadRow("malformed-row", f"{path} is not as JAMS files are: {error}.") from error
