"""FMA: the dump of the Free Music Archive, 106,574 tracks, in four sizes.

Layout checked against github.com/mdeff/fma at 607364e: the notebook that made the tables (columns, subsets,
names of the splits) and the functions that read them. The tables were not at hand.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, tracks
from llark.records import Dropped, MetadataValue, Track

ABOUT = (
    "106,574 tracks of 16,341 artists under Creative Commons licences, with 163 genres in a tree. The "
    "largest size that is there is read: `fma_small` and `fma_medium` hold the rows of their subset, "
    "`fma_large` and `fma_full` all. Files of all sizes but full are excerpts of 30 s from the middle. "
    "Every column is kept under its own name (`track.language_code`); -1 and blank stand for unknown and "
    "are left out."
)

CITATION = ("defferrard2017fma",)

LICENCE = "CC-BY-4.0 (metadata); each track its own Creative Commons licence"

FILES = {
    "fma_metadata/tracks.csv": "a row a track, under three header lines",
    "fma_metadata/genres.csv": "names and parents of the genres",
    "fma_*/000/000002.mp3": "the recordings: `fma_full`, `fma_large`, `fma_medium`, `fma_small`, or the root",
}

WHERE = "github.com/mdeff/fma"

SPLITS = ("train", "validation", "test")

SPLITS_FROM = "the publisher's (`set.split`), 80/10/10 within each genre; no artist is in two."

LABELS = (
    "genre", "title", "artist", "album", "language", "tags", "licence", "dates", "places", "play counts",
)  # fmt: skip

SUBSETS = {
    "fma_full": ("small", "medium", "large"),
    "fma_large": ("small", "medium", "large"),
    "fma_medium": ("small", "medium"),
    "fma_small": ("small",),
    "": ("small", "medium", "large"),
}
"""Folder of recordings → values of `set.subset` whose recordings it holds, the largest first."""

_SPLIT_NAMES = {"training": "train", "validation": "validation", "test": "test"}
_LISTS = ("album.tags", "artist.tags", "track.genres", "track.genres_all", "track.tags")
_WHOLE = (
    "album.comments", "album.favorites", "album.id", "album.listens", "album.tracks", "artist.comments",
    "artist.favorites", "artist.id", "track.bit_rate", "track.comments", "track.duration", "track.favorites",
    "track.interest", "track.listens", "track.number",
)  # fmt: skip
_NUMBERS = ("artist.latitude", "artist.longitude")
_HTML = ("album.information", "artist.bio", "track.information")
_TAG = re.compile(r"<[^<>]*>")

Genres = Mapping[str, tuple[str, str]]
"""Genre id → its title and its parent's id."""


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a row of the subset; its id has six digits, as the files have."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="fma")


def _rows(root: Root) -> Iterator[Row | Dropped]:
    table = root.need("fma_metadata/tracks.csv", "tracks.csv")
    genres = _genres(root)
    folder = next((name for name in SUBSETS if name and root.has(name)), "")
    for row in _table(root, table):
        number_ = row.get("track.id", "")
        id_ = number_.zfill(6)
        split = _SPLIT_NAMES.get(row.get("set.split", ""))
        if not number_.isdecimal() or split is None:
            detail = f"A row of {table} has the id {number_!r} and the split {row.get('set.split')!r}."
            yield reading.malformed(id_, detail)
        elif row.get("set.subset") in SUBSETS[folder]:
            yield Row(id_, split, partial(_track, root, folder, genres, row))


def _table(root: Root, table: str) -> Iterator[dict[str, str]]:
    """Rows with the first two header lines joined as names: `album.title`; the id is `track.id`."""
    lines = root.cells(table)
    groups, columns = next(lines, []), next(lines, [])
    names = [f"{group}.{column}" for group, column in zip(groups, columns, strict=False)]
    for cells in lines:
        if cells and cells[0] != "track_id":
            yield {"track.id": cells[0], **dict(zip(names[1:], map(str.strip, cells[1:]), strict=False))}


def _genres(root: Root) -> Genres:
    table = root.need("fma_metadata/genres.csv", "genres.csv")
    rows = root.rows(table, needed=("genre_id", "title", "parent"))
    return {row["genre_id"]: (row["title"], row["parent"]) for row in rows}


def _track(root: Root, folder: str, genres: Genres, row: dict[str, str]) -> Track:
    id_ = row["track.id"].zfill(6)
    path = reading.recording(root, f"{folder}/{id_[:3]}/{id_}".removeprefix("/"))
    metadata = _metadata(row, genres)
    seconds = reading.number(row.get("track.duration"), "track.duration") if folder == "fma_full" else None
    named = [row.get("track.genre_top", ""), *_names(row, "track.genres", genres)]
    return Track(
        id_,
        path,
        licence=row.get("track.license") or "unknown",
        title=row.get("track.title") or None,
        artist=row.get("artist.name") or None,
        duration_seconds=seconds,
        group=f"artist {row.get('artist.id')}",
        album=row.get("album.title") or None,
        truth=reading.truth(id_, seconds, genre=reading.sure(named, "fma")),
        metadata=metadata,
    )


def _metadata(row: dict[str, str], genres: Genres) -> dict[str, MetadataValue]:
    """Every column, typed, and `track.genre_paths`: each genre under its parents, `Rock / Punk`."""
    fields: dict[str, object] = dict(row)
    for name in _LISTS:
        fields[name] = reading.literal_list(row.get(name, ""), name)
    for name in ("track.genres", "track.genres_all"):
        fields[name] = _names(row, name, genres)
    for name in _WHOLE:
        value = reading.whole(row.get(name), name)
        fields[name] = None if value == -1 else value
    for name in _NUMBERS:
        fields[name] = reading.number(row.get(name), name)
    for name in _HTML:
        fields[name] = plain_text(row.get(name, ""))
    fields["track.genre_paths"] = [
        _path(genre, genres) for genre in reading.literal_list(row.get("track.genres", ""), "track.genres")
    ]
    return reading.known(fields)


def _names(row: dict[str, str], column: str, genres: Genres) -> list[str]:
    ids = reading.literal_list(row.get(column, ""), column)
    unknown = [genre for genre in ids if genre not in genres]
    if unknown:
        raise BadRow(
            "malformed-row", f"{column} names the genre {unknown[0]}, which genres.csv does not have."
        )
    return [genres[genre][0] for genre in ids]


def _path(genre: str, genres: Genres) -> str:
    names: list[str] = []
    while genre in genres and len(names) < len(genres):
        title, genre = genres[genre]
        names.append(title)
    return " / ".join(reversed(names))


def plain_text(markup: str) -> str:
    """Text without HTML tags and entities, its blanks run together."""
    return " ".join(html.unescape(_TAG.sub(" ", markup)).split())
