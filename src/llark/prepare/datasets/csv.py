"""A table of recordings as comma-, semicolon- or tab-separated text with a header line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from llark.errors import UserMustAct
from llark.prepare.datasets import _columns
from llark.prepare.datasets._columns import Numbered, Table, bad_line, open_table
from llark.records import Dropped, Track

ABOUT = "Your own table of recordings: one a row, with a column of paths and any others."
CITATION = "None: the recordings are yours."
LICENCE = "the column licence, or unknown"
FILES = {"*.csv": "UTF-8 with a header line; the columns are separated by commas, semicolons or tabs"}
WHERE = "Any file, or an fsspec URL of one. Its paths are below the file's folder, absolute, or URLs."
SPLITS = _columns.SPLITS
SPLITS_FROM = _columns.SPLITS_FROM
LABELS = _columns.LABELS

_LONGEST_FIELD = 1 << 24


def read_tracks(
    root: str | Path, split: str | None = None, columns: Mapping[str, str] | None = None
) -> Iterator[Track | Dropped]:
    """A track for each row of the file `root`; `columns` maps fields (`LABELS`, or any name) to columns.

    Lists (genre, instruments, mood) are separated by `;` or `|`.

    Raises:
        UserMustAct: No such file or column, no row of the split, or the file is no table.
    """
    return Table(str(root), dict(columns or {})).read_tracks(_rows(str(root)), split)


def _rows(where: str) -> Iterator[Numbered]:
    csv.field_size_limit(_LONGEST_FIELD)
    with open_table(where) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
        header = lines.readline()
        if not header.strip():
            raise UserMustAct(f"{where} does not begin with a header line.")
        delimiter = max(",;\t", key=header.count)
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise UserMustAct(f"{where} has two columns named {sorted(twice)[0]!r}.")
        yield from _below(where, csv.reader(lines, delimiter=delimiter), names)


def _below(where: str, reader: Iterator[list[str]], names: list[str]) -> Iterator[Numbered]:
    """The rows under the header. A broken row is a drop, and the next one is read."""
    line = 1
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            line += 1
            yield line, bad_line(where, line, f"{error}.")
            continue
        line += 1
        if not values:
            continue
        row: dict[str, str] | Dropped = dict(zip(names, values, strict=False))
        if len(values) != len(names):
            row = bad_line(where, line, f"{len(values)} values for {len(names)} columns.")
        yield line, row
