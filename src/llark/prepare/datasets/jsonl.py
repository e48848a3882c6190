"""A table of recordings as JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from llark.prepare.datasets import csv as tables
from llark.prepare.datasets.csv import Numbered, OwnTable, bad_line, lines_of
from llark.records import Dropped, Track

ABOUT = "Your own table of recordings: one JSON object a line, with a field of paths and any others."
CITATION = ()
LICENCE = "the field licence, or unknown"
FILES = {"*.jsonl": "UTF-8; one object a line, whose fields are text, numbers, true, false or lists of text"}
WHERE = "Any file, or an fsspec URL of one. Its paths are below the file's folder, absolute, or URLs."
SPLITS = tables.SPLITS
SPLITS_FROM = tables.SPLITS_FROM
LABELS = tables.LABELS


def read_tracks(
    root: str | Path, split: str | None = None, columns: Mapping[str, str] | None = None
) -> Iterator[Track | Dropped]:
    """A track for each line of the file `root`; `columns` maps fields (`LABELS`, or any name) to its names.

    An object in an object becomes `outer.inner`.

    Raises:
        UserMustAct: No such file or field, or no line of the split.
    """
    return OwnTable(str(root), dict(columns or {})).read_tracks(_rows(str(root)), split)


def _rows(where: str) -> Iterator[Numbered]:
    for number, line in enumerate(lines_of(where), 1):
        if line.strip():
            yield number, _row(where, number, line)


def _row(where: str, number: int, line: str) -> dict[str, object] | Dropped:
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            return bad_line(where, number, f"{type(row).__name__} instead of an object.")
        flat = _flat(row)
    except (ValueError, RecursionError) as error:
        return bad_line(where, number, f"no JSON ({error}).")
    if len(flat) > tables.MOST_COLUMNS:
        return bad_line(where, number, f"{len(flat)} fields.")
    return flat


def _flat(row: Mapping[str, object], above: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in row.items():
        inside = _flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: _whole(value)}
        flat |= inside
    return flat


def _whole(value: object) -> object:
    """JSON can write half a character, which no file can hold: it becomes a question mark."""
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
