"""NSynth: 305,979 single notes of 1,006 instruments.

Layout checked against public loaders of `examples.json` (fields, folders, sizes of the splits); the data were
not at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from llark.errors import UserMustAct
from llark.music.names import note_name
from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, tracks
from llark.records import Dropped, Note, Notes, Track

ABOUT = (
    "305,979 notes of 4 s, held for 3 s and let go, of 1,006 instruments in 11 families at five velocities, "
    "with 10 qualities of sound. An instrument of train is in no other split. The splits that are there are "
    "read."
)

CITATION = ("engel2017neural",)

LICENCE = "CC-BY-4.0"

FILES = {
    "nsynth-*/examples.json": "the labels, in `nsynth-train`, `nsynth-valid` and `nsynth-test`; one of "
    "the three must be there",
    "nsynth-*/audio/*.wav": "the notes",
}

WHERE = "magenta.tensorflow.org/datasets/nsynth"

SPLITS = ("train", "validation", "test")

SPLITS_FROM = "the publisher's: 289,205 train, 12,678 validation and 4,096 test notes."

LABELS = ("instruments", "notes", "qualities", "source")

FOLDERS = {"train": "nsynth-train", "validation": "nsynth-valid", "test": "nsynth-test"}
DURATION_SECONDS = 4.0
HELD_SECONDS = 3.0


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a note; its id is `note_str`, `keyboard_acoustic_004-060-025`."""
    return tracks(_rows(Root(root), split), split, SPLITS, dataset="nsynth", licence=LICENCE)


def _rows(root: Root, split: str | None) -> Iterator[Row | Dropped]:
    asked = [split] if split in FOLDERS else list(FOLDERS)
    root.need(*(FOLDERS[name] for name in asked))
    for name in asked:
        folder = FOLDERS[name]
        if root.has(folder):
            examples = root.json(root.need(f"{folder}/examples.json"))
            if not isinstance(examples, dict):
                raise UserMustAct(f"{root.full(folder)}/examples.json does not map names to notes.")
            for id_, example in examples.items():
                yield Row(id_, name, partial(_track, root, id_, name, example))


def _track(root: Root, id_: str, split: str, example: Mapping[str, Any]) -> Track:
    path = reading.recording(root, f"{FOLDERS[split]}/audio/{id_}")
    try:
        pitch, velocity = int(example["pitch"]), int(example["velocity"])
        family, source = str(example["instrument_family_str"]), str(example["instrument_source_str"])
        instrument, qualities = str(example["instrument_str"]), list(example["qualities_str"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadRow(
            "malformed-row", f"The example {id_} lacks a label or has a strange one: {error}."
        ) from error
    note = Note(0.0, HELD_SECONDS, pitch, family, velocity)
    metadata = {
        "pitch": pitch,
        "pitch_name": note_name(pitch),
        "velocity": velocity,
        "instrument_family_str": family,
        "instrument_source_str": source,
        "instrument_str": instrument,
        "qualities_str": qualities,
    }
    return Track(
        id_,
        path,
        duration_seconds=DURATION_SECONDS,
        group=instrument,
        truth=reading.truth(
            id_,
            DURATION_SECONDS,
            notes=Notes((note,), 1.0, "nsynth"),
            instruments=reading.sure([family], "nsynth"),
        ),
        metadata=reading.known(metadata),
    )
