"""MagnaTagATune: 25,863 clips of 29 s from Magnatune with tags that players of a game agreed on.

Layout checked against public scripts that read the two tables (tabs, tag columns between the number and the
path); the split against the lists of github.com/jongpillee/music_dataset_split at 07e8557: all their 21,105
clips lie in the same one here. The tables were not at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, tracks
from llark.records import Dropped, Track

ABOUT = (
    "25,863 clips of 29 s from 5,223 songs, with those of 188 tags that at least two players of the game "
    "TagATune gave; synonyms are left as they are. The clips of an album lie in one of the 16 chunks."
)

CITATION = ("law2009evaluation",)

LICENCE = "CC-BY-NC-SA-1.0 (recordings of Magnatune)"

FILES = {
    "annotations_final.csv": "a row a clip: its number, 188 tags as 0 or 1, its path; separated by tabs",
    "clip_info_final.csv": "title, artist, album, place in the song and addresses; separated by tabs",
    "*/*.mp3": "the recordings in their chunk, 0 to f, at the root or in `mp3`",
}

WHERE = "mirg.city.ac.uk (The MagnaTagATune Dataset)"

SPLITS = (reading.TRAIN, reading.VALIDATION, reading.TEST)

SPLITS_FROM = "the one the field uses: chunks 0 to b are train, c validation, d to f test."

LABELS = ("tags", "title", "artist", "album")

CHUNKS = {
    **dict.fromkeys("0123456789ab", reading.TRAIN),
    "c": reading.VALIDATION,
    **dict.fromkeys("def", reading.TEST),
}

_AUDIO = ("", "mp3/", "mp3s/", "audio/")
_OTHER_COLUMNS = ("clip_id", "mp3_path", "")


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a row of the annotations; its id is the clip's number."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="magnatagatune", licence=LICENCE)


def _rows(root: Root) -> Iterator[Row | Dropped]:
    annotations = root.need("annotations_final.csv")
    table = root.need("clip_info_final.csv")
    info = {row["clip_id"]: row for row in root.rows(table, "\t", needed=("clip_id",))}
    for line, row in enumerate(root.rows(annotations, "\t"), start=2):
        id_, split = row.get("clip_id", ""), CHUNKS.get(row.get("mp3_path", "")[:1].lower())
        if not id_.isdecimal() or split is None:
            detail = f"Line {line} of {annotations} has the path {row.get('mp3_path')!r}; a chunk is 0 to f."
            yield reading.malformed(id_ or f"line {line}", detail)
            continue
        yield Row(id_, split, partial(_track, root, row, info.get(id_, {})))


def _track(root: Root, row: dict[str, str], info: Mapping[str, str]) -> Track:
    id_, stem = row["clip_id"], row["mp3_path"].removesuffix(".mp3")
    path = reading.recording(root, *(f"{folder}{stem}" for folder in _AUDIO))
    strange = [name for name, value in row.items() if name not in _OTHER_COLUMNS and value not in ("0", "1")]
    if strange:
        raise BadRow("malformed-row", f"The tag {strange[0]!r} is {row[strange[0]]!r}; 0 or 1 is wanted.")
    metadata = {
        "tags": [name for name, value in row.items() if name not in _OTHER_COLUMNS and value == "1"],
        "mp3_path": row["mp3_path"],
        "track_number": reading.whole(info.get("track_number"), "track_number"),
        "segmentStart": reading.number(info.get("segmentStart"), "segmentStart"),
        "segmentEnd": reading.number(info.get("segmentEnd"), "segmentEnd"),
        "url": info.get("url"),
        "original_url": info.get("original_url"),
    }
    return Track(
        id_,
        path,
        title=info.get("title") or None,
        artist=info.get("artist") or None,
        group=info.get("url") or info.get("album") or id_,
        album=info.get("album") or None,
        metadata=reading.known(metadata),
    )
