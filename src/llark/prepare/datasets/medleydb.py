"""MedleyDB: multitrack recordings with the instrument of every stem.

Layout checked against github.com/marl/medleydb at 537bb7b (its 330 metadata files, 122 and 74 of them those
of versions 1 and 2) and against mirdata's loader of MedleyDB-Melody, which keeps some of the same fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, Unreadable, tracks
from llark.records import Dropped, Track

ABOUT = (
    "Multitrack recordings, 122 in version 1 and 74 in version 2, each mixed from stems whose instruments "
    "are named, with genre, bleed, and which stems carry melody or bass. The mixtures are read. The "
    "metadata also describe 134 recordings that are not given out with it: those are drops, "
    "`missing-audio`. The pitch curves of the melody are not read. The split keeps an artist together: "
    + reading.RULE
)

CITATION = ("bittner2014medleydb", "bittner2016medleydb")

LICENCE = "CC-BY-NC-SA-4.0 (recordings); MIT (metadata)"

FILES = {
    "Metadata/*_METADATA.yaml": "the metadata, in `Metadata`, `medleydb/data/Metadata` or beside the mix",
    "Audio/*/*_MIX.wav": "the mixtures, in a folder each, below `Audio`, `V1`, `V2` or the root",
}

WHERE = "medleydb.weebly.com; github.com/marl/medleydb for the metadata"

SPLITS = ("train", "validation", "test")

SPLITS_FROM = reading.RULE

LABELS = ("instruments", "genre", "title", "artist", "album", "composer", "melody", "bleed")

_METADATA = ("Metadata", "medleydb/data/Metadata")
_AUDIO = ("Audio", "V1", "V2", "audio", "")
_SUFFIX = "_METADATA.yaml"
_YES_NO = {"yes": True, "no": False, "True": True, "False": False}
_NO_INSTRUMENT = ("Main System", "Unlabeled", "")


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a multitrack recording: its mixture; its id is `Artist_Title`."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="medleydb", licence=LICENCE)


def _rows(root: Root) -> Iterator[Row | Dropped]:
    for path in _metadata_files(root):
        id_ = path.rpartition("/")[2].removesuffix(_SUFFIX)
        try:
            page = root.yaml(path)
        except (ValueError, Unreadable) as error:
            yield reading.malformed(id_, f"{str(error).rstrip('.')}.")
            continue
        group = f"artist {page.get('artist') or id_.partition('_')[0]}"
        yield Row(id_, reading.split_of(group), partial(_track, root, id_, group, page))


def _metadata_files(root: Root) -> list[str]:
    folder = root.first(*_METADATA)
    if folder:
        return [f"{folder}/{name}" for name in root.files(folder, _SUFFIX)]
    places = [place for place in _AUDIO if not place or root.has(place)]
    folders = [f"{place}/{name}".removeprefix("/") for place in places for name in root.folders(place)]
    beside = [f"{folder}/{name}" for folder in folders for name in root.files(folder, _SUFFIX)]
    return beside or [root.need(*_METADATA)]


def _track(root: Root, id_: str, group: str, page: Mapping[str, Any]) -> Track:
    path = reading.recording(root, *(f"{place}/{id_}/{id_}_MIX".removeprefix("/") for place in _AUDIO))
    stems = page.get("stems")
    if not isinstance(stems, Mapping) or not all(isinstance(stem, Mapping) for stem in stems.values()):
        raise BadRow("malformed-row", f"The metadata of {id_} has no stems.")
    ordered = [stems[name] for name in sorted(stems)]
    genre = str(page.get("genre") or "")
    played = [name for stem in ordered for name in _instruments(stem)]
    return Track(
        id_,
        path,
        title=str(page.get("title") or "") or None,
        artist=str(page.get("artist") or "") or None,
        group=group,
        album=str(page.get("album") or "") or None,
        truth=reading.truth(
            id_, None, genre=reading.sure([genre], "medleydb"), instruments=reading.sure(played, "medleydb")
        ),
        metadata=reading.known(_metadata(page, ordered)),
    )


def _metadata(page: Mapping[str, Any], stems: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    yes_no = {name: _YES_NO.get(str(page.get(name))) for name in ("excerpt", "has_bleed", "instrumental")}
    plain = ("composer", "producer", "origin", "version", "website")
    return {
        **{name: page.get(name) for name in plain},
        **yes_no,
        "stems": [" + ".join(_instruments(stem)) or "unknown" for stem in stems],
        "melody_instruments": _of_component(stems, "melody"),
        "bass_instruments": _of_component(stems, "bass"),
        "raw_instruments": list(dict.fromkeys(name for stem in stems for name in _raw(stem))),
    }


def _of_component(stems: Sequence[Mapping[str, Any]], component: str) -> list[str]:
    names = [name for stem in stems if stem.get("component") == component for name in _instruments(stem)]
    return list(dict.fromkeys(names))


def _instruments(stem: Mapping[str, Any]) -> list[str]:
    """The instruments of a stem, one or several; none for a stem without a name or of the whole system."""
    names_given = stem.get("instrument")
    names = [str(name) for name in names_given] if isinstance(names_given, list) else [str(names_given or "")]
    return [name for name in names if name not in _NO_INSTRUMENT]


def _raw(stem: Mapping[str, Any]) -> list[str]:
    """The instruments of the recordings that a stem was mixed from: the drums of a drum set, say."""
    parts = stem.get("raw")
    inside = [parts[name] for name in sorted(parts)] if isinstance(parts, Mapping) else []
    return [name for part in inside if isinstance(part, Mapping) for name in _instruments(part)]
