"""A table of recordings as comma-, semicolon- or tab-separated text with a header line.

And, for tables of any kind, which column is which field of a track.
"""

from __future__ import annotations

import csv
import difflib
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from llark.errors import UserMustAct
from llark.prepare import reading
from llark.prepare.reading import BadRow, Row, tracks
from llark.records import Dropped, Key, Tempo, Track
from llark.storage import folders

ABOUT = "Your own table of recordings: one a row, with a column of paths and any others."
CITATION = "None: the recordings are yours."
LICENCE = "the column licence, or unknown"
FILES = {"*.csv": "UTF-8 with a header line; the columns are separated by commas, semicolons or tabs"}
WHERE = "Any file, or an fsspec URL of one. Its paths are below the file's folder, absolute, or URLs."
SPLITS = ("the values of the column split",)
SPLITS_FROM = "the column `split` (--columns split=NAME where it has another name); without one all is `all`."
LABELS = (
    "path", "id", "title", "artist", "album", "split", "licence", "group", "caption", "start_seconds",
    "end_seconds", "tempo_bpm", "key", "genre", "instruments", "mood",
)  # fmt: skip
"""The fields that a column of the same name fills; any other column becomes metadata under its own name."""

_LONGEST_FIELD = 1 << 24


def read_tracks(
    root: str | Path, split: str | None = None, columns: Mapping[str, str] | None = None
) -> Iterator[Track | Dropped]:
    """A track for each row of the file `root`; `columns` maps fields (`LABELS`, or any name) to columns.

    Lists (genre, instruments, mood) are separated by `;` or `|`.

    Raises:
        UserMustAct: No such file or column, no row of the split, or the file is no table.
    """
    return OwnTable(str(root), dict(columns or {})).read_tracks(_rows(str(root)), split)


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
    for line in itertools.count(2):
        try:
            values = next(reader, None)
        except csv.Error as error:
            yield line, bad_line(where, line, f"{error}.")
            continue
        if values is None:
            return
        if not values:
            continue
        row: dict[str, str] | Dropped = dict(zip(names, values, strict=False))
        if len(values) != len(names):
            row = bad_line(where, line, f"{len(values)} values for {len(names)} columns.")
        yield line, row


# --- tables of any kind -------------------------------------------------------------------------------------

_LISTS = ("genre", "instruments", "mood")
_TEXTS = ("title", "artist", "album", "licence", "group")
_PEEKED_ROWS = 100

Numbered = tuple[int, Mapping[str, Any] | Dropped]
"""A line's number, and its row."""


@dataclass(frozen=True)
class OwnTable:
    """Where the rows are from, and which column is which field."""

    where: str
    columns: Mapping[str, str]

    def read_tracks(self, rows: Iterable[Numbered], split: str | None) -> Iterator[Track | Dropped]:
        """The tracks of one split, or of all.

        Raises:
            UserMustAct: A column that is needed or named is not there, or no row has the split.
        """
        first = list(itertools.islice(source := iter(rows), _PEEKED_ROWS))
        columns = {name: None for _, row in first if not isinstance(row, Dropped) for name in row}
        self._refuse_missing(list(columns), split)
        seen: dict[str, None] = {}
        every = (self._row(line, row, seen) for line, row in itertools.chain(first, source))
        of_split = (row for row in every if isinstance(row, Dropped) or split in (None, row.split))
        yield from tracks(of_split, None, ())
        if split is not None and split not in seen:
            raise UserMustAct(f"{self.where} has no row of the split {split!r}; it has {_some(seen)}.")

    def _refuse_missing(self, columns: list[str], split: str | None) -> None:
        needed = ["path", *(["split"] if split is not None else []), *self.columns]
        for field in dict.fromkeys(needed):
            column = self.columns.get(field, field)
            if column not in columns:
                near = difflib.get_close_matches(column, columns, n=1, cutoff=0.5)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                what = f"{self.where} has no column {column!r}, for {field}; it has {_some(columns)}."
                raise UserMustAct(f"{what}{hint} --columns {field}=NAME says which one it is.")

    def _row(self, line: int, row: Mapping[str, Any] | Dropped, seen: dict[str, None]) -> Row | Dropped:
        if isinstance(row, Dropped):
            return row
        fields = self._named(row)
        path, split = fields.pop("path", None), fields.pop("split", "all")
        if path is None:
            return reading.malformed(f"line-{line}", f"{self.where}, line {line}: no path.")
        if len(seen) < 1000:
            seen.setdefault(str(split))
        stem = str(path)
        id_ = str(fields.pop("id", stem.removesuffix(PurePosixPath(stem).suffix)))
        return Row(id_, str(split), lambda: self._track(id_, stem, str(split), fields))

    def _named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row's values under the names of fields; what says nothing is left out."""
        renamed = {column: field for field, column in self.columns.items()}
        mapped = {renamed[name]: value for name, value in row.items() if name in renamed}
        rest = {n: v for n, v in row.items() if n not in renamed and n not in mapped}
        return dict(reading.known({**rest, **mapped}))

    def _track(self, id_: str, path: str, split: str, fields: dict[str, Any]) -> Track:
        text = {name: str(fields.pop(name)) for name in _TEXTS if name in fields}
        captions = fields.pop("caption", ())
        start = reading.number(fields.pop("start_seconds", None), "start_seconds") or 0.0
        end = reading.number(fields.pop("end_seconds", None), "end_seconds")
        if start < 0 or (end is not None and end <= start):
            raise BadRow("malformed-row", f"{id_}: the segment from {start:g} s to {end} s holds no sound.")
        duration = reading.number(fields.pop("duration_seconds", None), "duration_seconds")
        facts = self._facts(fields)
        return Track(
            id=id_,
            path=self._full(path),
            split=split,
            start_seconds=start,
            end_seconds=end,
            duration_seconds=duration,
            captions=(captions,) if isinstance(captions, str) else tuple(map(str, captions)),
            truth=reading.truth(id_, duration, **facts) if facts else None,
            metadata=fields,
            **text,
        )

    def _facts(self, fields: dict[str, Any]) -> dict[str, Any]:
        """What the row says of the music, taken out of `fields`; a key in other words stays there."""
        source, facts = PurePosixPath(self.where).name, dict[str, Any]()
        bpm = reading.number(fields.pop("tempo_bpm", None), "tempo_bpm")
        if bpm is not None:
            if bpm <= 0:
                raise BadRow("malformed-row", f"tempo_bpm is {bpm:g}; it must be above 0.")
            facts["tempo"] = Tempo(bpm, 1.0, source)
        key = reading.key_of(str(fields.get("key", "")), source)
        if key != Key():
            facts["key"] = key
            del fields["key"]
        for name in _LISTS:
            if name in fields:
                facts[name] = reading.sure(_parts(fields.pop(name)), source)
        return facts

    def _full(self, path: str) -> str:
        """A path of the table: absolute, a URL, or below the table's own folder."""
        if folders.is_url(path):
            return path
        if folders.is_url(self.where):
            return path if path.startswith("/") else f"{self.where.rpartition('/')[0]}/{path}"
        return str(folders.local_path(self.where).absolute().parent / path)


def _parts(value: Any) -> list[str]:
    """`a; b` or a list, as its parts."""
    parts = value.replace("|", ";").split(";") if isinstance(value, str) else value
    return [text for text in (str(part).strip() for part in parts) if text]


def _some(names: Iterable[str], most: int = 30) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return (", ".join(map(repr, listed[:most])) or "none") + more


def open_table(source: str | Path) -> Any:
    """The table's bytes, here or at an fsspec URL. `UserMustAct`: there is no such file."""
    where = str(source)
    try:
        if folders.is_url(where):
            system, path = folders.filesystem(where)
            return system.open(path, "rb")
        return folders.local_path(where).open("rb")
    except IsADirectoryError as error:
        raise UserMustAct(f"{where} is a folder; name the table's file in it.") from error
    except OSError as error:
        raise UserMustAct(f"{where} cannot be read: {error.strerror or error}.") from error


def bad_line(where: str, line: int, why: str) -> Dropped:
    return Dropped(f"line-{line}", reading.STAGE, "malformed-row", f"{where}, line {line}: {why}")
