"""From the rows of somebody's own table to tracks: which column is which field of a track."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from llark.errors import UserMustAct
from llark.prepare.datasets._rows import (
    STAGE,
    BadRow,
    Row,
    key_of,
    known,
    malformed,
    number,
    sure,
    tracks,
    truth,
)
from llark.records import Dropped, Key, Tempo, Track
from llark.storage import folders

LABELS = (
    "path", "id", "title", "artist", "album", "split", "licence", "group", "caption", "start_seconds",
    "end_seconds", "tempo_bpm", "key", "genre", "instruments", "mood",
)  # fmt: skip
"""The fields that a column of the same name fills; any other column becomes metadata under its own name."""

SPLITS = ("the values of the column split",)
SPLITS_FROM = "the column `split` (--columns split=NAME where it has another name); without one all is `all`."

_LISTS = ("genre", "instruments", "mood")
_PEEKED_ROWS = 100

Numbered = tuple[int, Mapping[str, Any] | Dropped]
"""A line's number, and its row."""


@dataclass(frozen=True)
class Table:
    """Where the rows are from, and which column is which field."""

    where: str
    columns: Mapping[str, str]

    def read_tracks(self, rows: Iterable[Numbered], split: str | None) -> Iterator[Track | Dropped]:
        """The tracks of one split, or of all.

        Raises:
            UserMustAct: A column that is needed or named is not there, or no row has the split.
        """
        first = list(itertools.islice(source := iter(rows), _PEEKED_ROWS))
        found = {name: None for _, row in first if not isinstance(row, Dropped) for name in row}
        self._refuse_missing(list(found), split)
        seen: dict[str, None] = {}
        every = (self._row(line, row, seen) for line, row in itertools.chain(first, source))
        wanted = (row for row in every if isinstance(row, Dropped) or split in (None, row.split))
        yield from tracks(wanted, None, ())
        if split is not None and split not in seen:
            raise UserMustAct(f"{self.where} has no row of the split {split!r}; it has {_some(seen)}.")

    def _refuse_missing(self, found: list[str], split: str | None) -> None:
        needed = ["path", *(["split"] if split is not None else []), *self.columns]
        for field in dict.fromkeys(needed):
            column = self.columns.get(field, field)
            if column not in found:
                near = difflib.get_close_matches(column, found, n=1, cutoff=0.5)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                what = f"{self.where} has no column {column!r}, for {field}; it has {_some(found)}."
                raise UserMustAct(f"{what}{hint} --columns {field}=NAME says which one it is.")

    def _row(self, line: int, row: Mapping[str, Any] | Dropped, seen: dict[str, None]) -> Row | Dropped:
        if isinstance(row, Dropped):
            return row
        fields = self._named(row)
        path, split = fields.pop("path", None), fields.pop("split", "all")
        if path is None:
            return malformed(f"line-{line}", f"{self.where}, line {line}: no path.")
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
        return dict(known({**rest, **mapped}))

    def _track(self, id_: str, path: str, split: str, fields: dict[str, Any]) -> Track:
        text = {name: str(fields.pop(name)) for name in _TEXTS if name in fields}
        captions = fields.pop("caption", ())
        start = number(fields.pop("start_seconds", None), "start_seconds") or 0.0
        end = number(fields.pop("end_seconds", None), "end_seconds")
        if start < 0 or (end is not None and end <= start):
            raise BadRow("malformed-row", f"{id_}: the segment from {start:g} s to {end} s holds no sound.")
        duration = number(fields.pop("duration_seconds", None), "duration_seconds")
        facts = self._facts(fields)
        return Track(
            id=id_,
            path=self._full(path),
            split=split,
            start_seconds=start,
            end_seconds=end,
            duration_seconds=duration,
            captions=(captions,) if isinstance(captions, str) else tuple(map(str, captions)),
            truth=truth(id_, duration, **facts) if facts else None,
            metadata=fields,
            **text,
        )

    def _facts(self, fields: dict[str, Any]) -> dict[str, Any]:
        """What the row says of the music, taken out of `fields`; a key in other words stays there."""
        source, facts = PurePosixPath(self.where).name, dict[str, Any]()
        bpm = number(fields.pop("tempo_bpm", None), "tempo_bpm")
        if bpm is not None:
            if bpm <= 0:
                raise BadRow("malformed-row", f"tempo_bpm is {bpm:g}; it must be above 0.")
            facts["tempo"] = Tempo(bpm, 1.0, source)
        key = key_of(str(fields.get("key", "")), source)
        if key != Key():
            facts["key"] = key
            del fields["key"]
        for name in _LISTS:
            if name in fields:
                facts[name] = sure(_parts(fields.pop(name)), source)
        return facts

    def _full(self, path: str) -> str:
        """A path of the table: absolute, a URL, or below the table's own folder."""
        if folders.is_url(path):
            return path
        if folders.is_url(self.where):
            return path if path.startswith("/") else f"{self.where.rpartition('/')[0]}/{path}"
        return str(folders.local_path(self.where).absolute().parent / path)


_TEXTS = ("title", "artist", "album", "licence", "group")


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
    return Dropped(f"line-{line}", STAGE, "malformed-row", f"{where}, line {line}: {why}")
