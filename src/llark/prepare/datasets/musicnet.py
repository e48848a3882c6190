"""MusicNet: 330 recordings of classical music with their notes aligned to the sound.

Layout checked against the author's loader (github.com/jthickstun/pytorch_musicnet at 79718ec: folders,
columns) and public scripts that read the label tables, times in samples, and list the ten pieces of the test
folder; the data were not at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, tracks
from llark.records import Dropped, Note, Notes, Track

ABOUT = (
    "330 freely licensed recordings of chamber and solo works by ten composers, with more than a million "
    "notes aligned to the sound. The label tables are read where they are, else the MIDI files of "
    "MusicNetEM; a piece with neither is a track without notes. The instrument numbers of the tables count "
    "from 1 (1 is piano, 41 violin); they are read so. `group` is composer and composition."
)

CITATION = ("thickstun2017learning",)

LICENCE = "CC-BY-4.0 (labels); the recordings are public domain or Creative Commons"

FILES = {
    "musicnet_metadata.csv": "composer, composition, movement, ensemble and length of each piece",
    "train_data/*.wav": "the recordings, also under `musicnet/`; those of the test split in `test_data/`",
    "train_labels/*.csv": "optional: the notes, in samples at 44,100 Hz; those of the test split in "
    "`test_labels/`",
    "musicnet_em/*.mid": "optional: refined alignments, read where there is no label table",
}

WHERE = "zenodo.org/records/5120004 (MusicNet)"

SPLITS = (reading.TRAIN, reading.TEST)

SPLITS_FROM = "the publisher's: the ten pieces of `test_data` are test, the other 320 train."

LABELS = ("notes", "instruments", "composer", "composition", "movement", "ensemble")

TEST_IDS = frozenset((1759, 1819, 2106, 2191, 2298, 2303, 2382, 2416, 2556, 2628))
LABEL_RATE = 44_100
"""Samples a second of the times in the label tables."""

_BASES = ("", "musicnet/", "musicnet/musicnet/")


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a piece."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="musicnet", licence=LICENCE)


def _rows(root: Root) -> Iterator[Row | Dropped]:
    table = root.need(*(f"{base}musicnet_metadata.csv" for base in _BASES))
    for line, row in enumerate(root.rows(table), start=2):
        id_ = row.get("id", "")
        if id_.isdecimal():
            split = reading.TEST if int(id_) in TEST_IDS else reading.TRAIN
            yield Row(id_, split, partial(_track, root, split, row))
        else:
            yield reading.malformed(id_ or f"line {line}", f"Line {line} of {table} has no number in `id`.")


def _track(root: Root, split: str, row: dict[str, str]) -> Track:
    id_ = row["id"]
    folders = [f"{base}{part}_data" for base in _BASES for part in (split, reading.TRAIN, reading.TEST)]
    path = reading.recording(root, *(f"{folder}/{id_}" for folder in folders))
    seconds = reading.number(row.get("seconds"), "seconds")
    notes = _notes(root, id_)
    facts = reading.truth(
        id_, seconds, notes=notes, instruments=reading.sure((n.instrument for n in notes.notes), notes.source)
    )
    columns = ("composer", "composition", "movement", "ensemble", "source", "transcriber", "catalog_name")
    return Track(
        id_,
        path,
        title=", ".join(filter(None, (row.get("composition"), row.get("movement")))) or None,
        artist=row.get("composer") or None,
        duration_seconds=seconds,
        group=f"{row.get('composer')}: {row.get('composition')}",
        truth=facts,
        metadata=reading.known({name: row.get(name) for name in columns}),
    )


def _notes(root: Root, id_: str) -> Notes:
    tables = [f"{base}{part}_labels/{id_}.csv" for base in _BASES for part in (reading.TRAIN, reading.TEST)]
    table = root.first(*tables)
    if table is not None:
        return reading.by_onset([_note(row, table) for row in root.rows(table)], "musicnet")
    bases = (*_BASES, "musicnet_em/")
    midi = root.first(*(f"{base}musicnet_em/{id_}.mid" for base in bases))
    return (
        reading.by_onset(reading.read_midi(root.read_bytes(midi), midi), "musicnet_em") if midi else Notes()
    )


def _note(row: dict[str, str], table: str) -> Note:
    try:
        start, end = int(row["start_time"]), int(row["end_time"])
        program, pitch = int(row["instrument"]) - 1, int(row["note"])
    except (KeyError, ValueError) as error:
        raise BadRow("malformed-row", f"{table} has a row that is no note: {row}.") from error
    return Note(
        onset_seconds=round(start / LABEL_RATE, 6),
        offset_seconds=round(end / LABEL_RATE, 6),
        pitch_midi=pitch,
        instrument=reading.program_name(program),
        program=program,
    )
