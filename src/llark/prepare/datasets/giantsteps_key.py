"""GiantSteps key: 604 previews of electronic dance music with the key that listeners corrected.

Layout checked against github.com/GiantSteps/giantsteps-key-dataset at 6bcd492 (all 604 keys are of
`records.KEYS`), and that of GiantSteps+ against mirdata's loader and the real files in its tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, tracks
from llark.records import Dropped, Track

ABOUT = (
    "604 previews of Beatport, nearly all 120 s long, with one global key from listeners' corrections, and "
    "the shop's genre. GiantSteps+, a revision of 600 of them with titles and artists, is read where the "
    "first publication is not there; a recording that it gives no single key is a track without a key."
)

CITATION = ("knees2015two",)

LICENCE = "annotations: not stated (mirdata says CC-BY-SA-4.0); the audio is its labels', for research"

FILES = {
    "annotations/key/*.LOFI.key": "the keys, as `D major`; also in a folder `giantsteps-key-dataset-*`",
    "annotations/genre/*.LOFI.genre": "optional: the genre",
    "audio/*.LOFI.mp3": "the recordings",
    "keys_gs+/*.txt": "GiantSteps+: the keys; read where `annotations/key` is not there",
    "meta/*.json": "GiantSteps+, optional: what the shop says: title, artists, release, label, genres, bpm",
}

WHERE = "github.com/GiantSteps/giantsteps-key-dataset; zenodo.org/records/1095691 (GiantSteps+)"

SPLITS = (reading.TEST,)

SPLITS_FROM = "published as one test set."

LABELS = ("key", "genre", "title", "artist", "album", "label", "the shop's tempo and key")


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a key file; its id is the file's name without suffix, `10089.LOFI`."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="giantsteps_key", licence=LICENCE)


def _rows(root: Root) -> Iterator[Row]:
    base = root.inside("giantsteps-key-dataset", "annotations/key", "keys_gs+")
    folder = root.need(f"{base}annotations/key", f"{base}keys_gs+")
    suffix = ".key" if folder.endswith("/key") else ".txt"
    for name in root.files(folder, suffix):
        id_ = name.removesuffix(suffix)
        yield Row(id_, reading.TEST, partial(_track, root, base, id_, f"{folder}/{name}"))


def _track(root: Root, base: str, id_: str, path: str) -> Track:
    sound = reading.recording(
        root, f"{base}audio/{id_}", f"audio/{id_}", f"{base}wav/{id_}", f"wav/{id_}", id_
    )
    key = root.text(path).strip()
    if not key:
        raise BadRow("malformed-row", f"{path} is empty; a key is wanted.")
    shop = _shop(root, f"{base}meta/{id_}.json")
    genre = f"{base}annotations/genre/{id_}.genre"
    genres = [root.text(genre).strip()] if root.has(genre) else shop["genres"]
    title, album = (str(shop.pop(name) or "") or None for name in ("title", "release"))
    return Track(
        id_,
        sound,
        title=title,
        artist=", ".join(shop["artists"]) or None,
        album=album,
        truth=reading.truth(
            id_,
            None,
            key=reading.key_of(key, "giantsteps_key"),
            genre=reading.sure(genres, "giantsteps_key"),
        ),
        metadata=reading.known({**shop, "key": key, "genres": genres}),
    )


def _shop(root: Root, path: str) -> dict[str, Any]:
    """What the shop says of the recording, in GiantSteps+. Its tempo and key are its own, and no truth."""
    page = reading.page_of(root, path) if root.has(path) else {}
    date = page.get("date")
    return {
        "title": page.get("title"),
        "release": _name(page.get("release")),
        "artists": _names(page.get("artists")),
        "remixers": _names(page.get("remixers")),
        "genres": _names(page.get("genres")),
        "sub_genres": _names(page.get("sub_genres")),
        "label": _name(page.get("label")),
        "mix": page.get("mix"),
        "released": date.get("released") if isinstance(date, Mapping) else None,
        "bpm_by_shop": reading.number(page.get("bpm"), "bpm"),
        "key_by_shop": page.get("key"),
    }


def _name(entry: Any) -> str | None:
    return str(entry["name"]) if isinstance(entry, Mapping) and "name" in entry else None


def _names(entries: Any) -> list[str]:
    names = map(_name, entries if isinstance(entries, list) else [])
    return [name for name in names if name]
