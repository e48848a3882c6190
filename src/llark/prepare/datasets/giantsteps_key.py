"""GiantSteps key: 604 previews of electronic dance music with the key that listeners corrected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from llark.prepare.datasets._root import Root
from llark.prepare.datasets._rows import TEST, BadRow, Row, key_of, known, recording, sure, tracks, truth
from llark.records import Dropped, Track

ABOUT = (
    "604 previews of Beatport, nearly all 120 s long, with one global key from listeners' corrections, and "
    "the shop's genre. GiantSteps+, a revision of 600 of them with titles and artists, is read where the "
    "first publication is not there; a recording that it gives no single key is a track without a key."
)

CITATION = """
@inproceedings{knees2015two,
  author = {Knees, Peter and Faraldo, {\\'A}ngel and Herrera, Perfecto and Vogl, Richard and
            B\\"ock, Sebastian and H\\"orschl\\"ager, Florian and Le Goff, Mickael},
  title = {Two data sets for tempo estimation and key detection in electronic dance music annotated from user
           corrections},
  booktitle = {International Society for Music Information Retrieval Conference (ISMIR)},
  year = {2015}
}
"""

LICENCE = "not stated (annotations); the audio is its labels', for research"

FILES = {
    "annotations/key/*.LOFI.key": "the keys, as `D major`",
    "annotations/genre/*.LOFI.genre": "optional: the genre",
    "audio/*.LOFI.mp3": "the recordings",
    "keys_gs+/*.txt": "GiantSteps+: the keys; read where `annotations/key` is not there",
    "meta/*.json": "GiantSteps+, optional: title, artists, label, genres",
}

WHERE = "github.com/GiantSteps/giantsteps-key-dataset; zenodo.org/records/1095691 (GiantSteps+)"

SPLITS = (TEST,)

SPLITS_FROM = "published as one test set."

LABELS = ("key", "genre", "title", "artist")


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a key file; its id is the file's name without suffix, `10089.LOFI`."""
    return tracks(_rows(Root(root)), split, SPLITS)


def _rows(root: Root) -> Iterator[Row]:
    folder = root.need("annotations/key", "keys_gs+")
    suffix = ".txt" if folder == "keys_gs+" else ".key"
    for name in root.files(folder, suffix):
        id_ = name.removesuffix(suffix)
        yield Row(id_, TEST, partial(_track, root, id_, f"{folder}/{name}"))


def _track(root: Root, id_: str, path: str) -> Track:
    sound = recording(root, f"audio/{id_}", f"wav/{id_}", id_)
    said = root.text(path).strip()
    if not said:
        raise BadRow("malformed-row", f"{path} is empty; a key is wanted.")
    meta = _meta(root, id_)
    genre = f"annotations/genre/{id_}.genre"
    genres = [root.text(genre).strip()] if root.has(genre) else meta["genres"]
    return Track(
        id_,
        sound,
        dataset="giantsteps_key",
        split=TEST,
        licence=LICENCE,
        title=meta["title"],
        artist=", ".join(meta["artists"]) or None,
        truth=truth(id_, None, key=key_of(said, "giantsteps_key"), genre=sure(genres, "giantsteps_key")),
        metadata=known({"key": said, "genres": genres, "label": meta["label"], "artists": meta["artists"]}),
    )


def _meta(root: Root, id_: str) -> dict[str, Any]:
    """Title, artists, label and genres of GiantSteps+."""
    page = root.json(f"meta/{id_}.json") if root.has(f"meta/{id_}.json") else {}
    label = page.get("label") or {}
    return {
        "title": page.get("title") or None,
        "artists": _names(page.get("artists")),
        "genres": _names(page.get("genres")),
        "label": label.get("name") if isinstance(label, Mapping) else None,
    }


def _names(entries: Any) -> list[str]:
    return [str(entry["name"]) for entry in entries or () if isinstance(entry, Mapping) and "name" in entry]
