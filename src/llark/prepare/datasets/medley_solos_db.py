"""Medley-solos-DB: 21,571 clips of 3 s, each of one of eight instruments alone.

Layout checked against mirdata's loader and the real row in its tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, tracks
from llark.records import Dropped, Track

ABOUT = (
    "21,571 clips of 3 s of one instrument out of eight: training and validation clips are from MedleyDB, "
    "test clips from solosDB, so that no song is in two splits. A row that says `train` or `training` is "
    "read alike."
)

CITATION = ("lostanlen2016deep",)

LICENCE = "CC-BY-4.0"

FILES = {
    "Medley-solos-DB_metadata.csv": "subset, instrument, song and number of each clip; also in `annotation`",
    "audio/Medley-solos-DB_training-0_*.wav": "the clips, named by subset, instrument and number; also in "
    "`Medley-solos-DB` or the root",
}

WHERE = "zenodo.org/records/3464194 (Medley-solos-DB)"

SPLITS = ("train", "validation", "test")

SPLITS_FROM = "the publisher's subsets."

LABELS = ("instruments",)

INSTRUMENTS = (
    "clarinet", "distorted electric guitar", "female singer", "flute", "piano", "tenor saxophone", "trumpet",
    "violin",
)  # fmt: skip
"""Index = `instrument_id`."""

_SPLIT_NAMES = {"training": "train", "train": "train", "validation": "validation", "test": "test"}
_AUDIO = ("audio/", "Medley-solos-DB/", "")
_NAME = "Medley-solos-DB_metadata.csv"


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a clip; its id is the clip's UUID."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="medley_solos_db", licence=LICENCE)


def _rows(root: Root) -> Iterator[Row | Dropped]:
    table = root.need(_NAME, f"annotation/{_NAME}")
    for line, row in enumerate(root.rows(table), start=2):
        id_, split = row.get("uuid4", ""), _SPLIT_NAMES.get(row.get("subset", ""))
        if id_ and split:
            yield Row(id_, split, partial(_track, root, row))
        else:
            detail = f"Line {line} of {table} has the subset {row.get('subset')!r} and the UUID {id_!r}."
            yield reading.malformed(id_ or f"line {line}", detail)


def _track(root: Root, row: dict[str, str]) -> Track:
    number = reading.whole(row.get("instrument_id"), "instrument_id")
    name = row.get("instrument", "")
    if number is None or number not in range(len(INSTRUMENTS)) or INSTRUMENTS[number] != name:
        raise BadRow("malformed-row", f"The instrument {name!r} has the number {row.get('instrument_id')!r}.")
    clip = f"Medley-solos-DB_{row['subset']}-{number}_{row['uuid4']}"
    path = reading.recording(root, *(f"{folder}{clip}" for folder in _AUDIO))
    return Track(
        row["uuid4"],
        path,
        group=f"song {row.get('song_id')}",
        truth=reading.truth(row["uuid4"], None, instruments=reading.sure([name], "medley_solos_db")),
        metadata=reading.known({"instrument": name, "song_id": reading.whole(row.get("song_id"), "song_id")}),
    )
