"""A table of recordings as comma-, semicolon- or tab-separated text with a header line.

And, for tables of any kind, which column is which field of a track.
"""

from __future__ import annotations

import csv
import difflib
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from llark.errors import UserMustAct
from llark.prepare import reading
from llark.prepare.reading import BadRow, Row, tracks
from llark.records import Dropped, Key, Tempo, Track
from llark.storage import folders

ABOUT = "Your own table of recordings: one a row, with a column of paths and any others."
CITATION = ()
LICENCE = "the column licence, or unknown"
FILES = {"*.csv": "UTF-8 or UTF-16 with a header line; columns are separated by commas, semicolons or tabs"}
WHERE = "Any file, or an fsspec URL of one. Its paths are below the file's folder, absolute, or URLs."
SPLITS = ("the values of the column split",)
SPLITS_FROM = "the column `split` (--columns split=NAME where it has another name); without one all is `all`."
LABELS = (
    "path", "id", "title", "artist", "album", "split", "licence", "group", "caption", "start_seconds",
    "end_seconds", "tempo_bpm", "key", "genre", "instruments", "mood",
)  # fmt: skip
"""The fields that a column of the same name fills; any other column becomes metadata under its own name."""

MOST_COLUMNS = 10_000

_LONGEST_LINE = 1 << 26
"""Characters. What is longer is cut in two, and so not held in memory."""


def read_tracks(
    root: str | Path, split: str | None = None, columns: Mapping[str, str] | None = None
) -> Iterator[Track | Dropped]:
    """A track for each row of the file `root`; `columns` maps fields (`LABELS`, or any name) to columns.

    Lists (genre, instruments, mood) are separated by `;` or `|`.

    Raises:
        UserMustAct: No such file or column, no row of the split, or the file is no table.
    """
    csv.field_size_limit(reading.LONGEST_CELL)
    where = str(root)
    lines = lines_of(where)
    header = next(lines, "")
    if not header.strip():
        raise UserMustAct(f"{where} does not begin with a header line.")
    delimiter = max(",;\t", key=header.count)
    if header.count(delimiter) >= MOST_COLUMNS:
        raise UserMustAct(f"{where} has more than {MOST_COLUMNS:,} columns: it is no table of recordings.")
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserMustAct(f"{where} has two columns named {min(twice)!r}.")
    rows = _below(where, csv.reader(lines, delimiter=delimiter), names)
    yield from OwnTable(where, dict(columns or {})).read_tracks(rows, split, names)


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

    def read_tracks(
        self, rows: Iterable[Numbered], split: str | None, columns: Sequence[str] = ()
    ) -> Iterator[Track | Dropped]:
        """The tracks of one split, or of all. `columns` are those of the header, if there is one.

        Raises:
            UserMustAct: A column that is needed or named is not there, or no row has the split.
        """
        first = list(itertools.islice(source := iter(rows), _PEEKED_ROWS))
        peeked = {name: None for _, row in first if not isinstance(row, Dropped) for name in row}
        if columns or peeked:
            self._refuse_missing(list(columns or peeked), split, ", line 1," if columns else "")
        seen: dict[str, None] = {}
        every = (self._row(line, row, seen) for line, row in itertools.chain(first, source))
        of_split = (row for row in every if isinstance(row, Dropped) or split in (None, row.split))
        yield from tracks(of_split, None, ())
        if split is not None and split not in seen:
            raise UserMustAct(f"{self.where} has no row of the split {split!r}; it has {_some(seen)}.")

    def _refuse_missing(self, columns: list[str], split: str | None, line: str) -> None:
        needed = ["path", *(["split"] if split is not None else []), *self.columns]
        for field in dict.fromkeys(needed):
            column = self.columns.get(field, field)
            if column not in columns:
                near = difflib.get_close_matches(column, columns, n=1, cutoff=0.5)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                what = f"{self.where}{line} has no column {column!r}, for {field}; it has {_some(columns)}."
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
        """A path of the table: absolute, a URL, or below the table's own folder.

        Where there is no such file here, but one whose name is written otherwise (with / for \\, in another
        form of Unicode, or without the % of a `file:` URL), it is that one.
        """
        if folders.is_url(path):
            return path
        if folders.is_url(self.where):
            return path if path.startswith("/") else f"{self.where.rpartition('/')[0]}/{path}"
        here = folders.local_path(self.where).absolute().parent
        spellings = [path, path.replace("\\", "/")]
        if path.startswith("file:"):
            spellings = [str(folders.local_path(path)), unquote(urlsplit(path).path)]
        places = [here / form for spelling in spellings for form in reading.unicode_forms(spelling)]
        return str(next((place for place in places if os.path.exists(place)), places[0]))


def _parts(value: Any) -> list[str]:
    """`a; b` or a list, as its parts."""
    parts = value.replace("|", ";").split(";") if isinstance(value, str) else value
    return [text for text in (str(part).strip() for part in parts) if text]


def _some(names: Iterable[str], most: int = 30) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return (", ".join(repr(name[:100]) for name in listed[:most]) or "none") + more


def lines_of(where: str) -> Iterator[str]:
    """The lines of a table, here or at an fsspec URL, with their ends. `UserMustAct`: it cannot be read."""
    try:
        with _open(where) as file, reading.as_text(file, where) as lines:
            while line := lines.readline(_LONGEST_LINE):
                yield line
    except IsADirectoryError as error:
        raise UserMustAct(f"{where} is a folder; name the table's file in it.") from error
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserMustAct(f"{where} cannot be read: {why}.") from error


def _open(where: str) -> Any:
    if not folders.is_url(where):
        return folders.local_path(where).open("rb")
    system, path = folders.filesystem(where)
    return system.open(path, "rb")


def bad_line(where: str, line: int, why: str) -> Dropped:
    return Dropped(f"line-{line}", reading.STAGE, "malformed-row", f"{where}, line {line}: {why}")
