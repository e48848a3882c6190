"""A data set's folder, here or at an fsspec URL: the one place where the readers touch files."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec
import yaml

from llark.audio import AUDIO_SUFFIXES
from llark.errors import UserMustAct
from llark.storage import folders as files

_MOST_FOLDERS = 4096
"""Listings that are remembered; a data set with more folders than this reads each of them once anyway."""

_LONGEST_CELL = 1 << 24
"""Characters. Biographies in FMA are longer than the 131,072 that `csv` allows."""

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class Unreadable(UserMustAct):
    """A file or folder that is there and cannot be read. If it is about one recording, that one is lost."""


class Root:
    """Reads below one folder. Paths are relative to it, with `/`.

    Raises `UserMustAct` where the folder itself is not there, and whatever reads raises `Unreadable`.
    """

    def __init__(self, where: str | Path) -> None:
        self.where = str(where)
        self._fs, self._base = files.filesystem(self.where)
        self._listings: dict[str, dict[str, bool]] = {}
        if not self._fs.isdir(self._base):
            raise UserMustAct(f"There is no folder {self.where}.")

    def listing(self, folder: str = "") -> dict[str, bool]:
        """Names in a folder, sorted, each with whether it is a folder; empty where there is none."""
        if folder not in self._listings:
            if len(self._listings) >= _MOST_FOLDERS:
                self._listings.clear()
            self._listings[folder] = self._list(folder)
        return self._listings[folder]

    def _list(self, folder: str) -> dict[str, bool]:
        try:
            with self._read(folder):
                found = self._fs.ls(self._full(folder), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        inside = {entry["name"].rstrip("/").rpartition("/")[2]: entry for entry in found}
        return {
            name: self._is_folder(entry)
            for name, entry in sorted(inside.items())
            if not name.startswith(".") and (not entry.get("islink") or self._fs.exists(entry["name"]))
        }

    def _is_folder(self, entry: Mapping[str, Any]) -> bool:
        return entry["type"] == "directory" or bool(entry.get("islink") and self._fs.isdir(entry["name"]))

    @contextlib.contextmanager
    def _read(self, path: str) -> Iterator[None]:
        """What a store or a disk says when it does not give what it has, in one sentence."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError as error:
            raise Unreadable(f"{self.full(path)} cannot be read: {error.strerror or error}.") from error

    def broken(self, folder: str) -> list[str]:
        """Names of the links in a folder that lead to nothing, sorted."""
        if files.is_url(self.where):
            return []
        with self._read(folder):
            paths = {name: f"{self._full(folder)}/{name}" for name in os.listdir(self._full(folder))}
        return sorted(n for n, path in paths.items() if os.path.islink(path) and not os.path.exists(path))

    def folders(self, folder: str = "") -> list[str]:
        """Names of the folders in a folder, sorted."""
        return [name for name, is_folder in self.listing(folder).items() if is_folder]

    def files(self, folder: str, suffix: str) -> list[str]:
        """Names of the files in a folder that end so, sorted."""
        inside = self.listing(folder).items()
        return [name for name, is_folder in inside if not is_folder and name.endswith(suffix)]

    def has(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        folder, _, name = path.rpartition("/")
        return name in self.listing(folder)

    def first(self, *paths: str) -> str | None:
        """The first of the paths that exists."""
        return next((path for path in paths if self.has(path)), None)

    def need(self, *paths: str) -> str:
        """The first of the paths that exists. `UserMustAct` names them all where none does."""
        found = self.first(*paths)
        if found is None:
            inside = ", ".join(list(self.listing())[:8]) or "nothing"
            raise UserMustAct(f"{self.where} has no {' or '.join(paths)}; it holds {inside}.")
        return found

    def inside(self, prefix: str, *markers: str) -> str:
        """Where a repository lies: empty for the root itself, or `prefix-main/` and the like, as archives
        unpack. `markers` are paths of which it has one; empty where there is no such place."""
        places = ["", *(f"{name}/" for name in self.folders() if name.startswith(prefix))]
        return next((place for place in places if self.first(*(place + m for m in markers))), "")

    def audio(self, *stems: str) -> str | None:
        """Full path of the first of `stems` that, with an audio suffix, is a file; `None`: there is none."""
        for stem in stems:
            folder, _, name = stem.rpartition("/")
            inside = self.listing(folder)
            for suffix in (*AUDIO_SUFFIXES, *map(str.upper, AUDIO_SUFFIXES)):
                if inside.get(name + suffix) is False:
                    return self.full(stem + suffix)
        return None

    def full(self, path: str) -> str:
        """The path as the rest of the package opens it: absolute, or the URL."""
        local = isinstance(self._fs, fsspec.get_filesystem_class("file"))
        full = self._full(path)
        return full if local else str(self._fs.unstrip_protocol(full))

    def read_bytes(self, path: str) -> bytes:
        with self._read(path):
            data: bytes = self._fs.cat_file(self._full(path))
        return data

    def text(self, path: str) -> str:
        """UTF-8, with or without a byte-order mark; a byte that is not UTF-8 is read as Latin-1.

        `Unreadable`: a clone without Git LFS left a pointer where the file should be."""
        data = self.read_bytes(path)
        if data.startswith(_LFS_POINTER):
            raise Unreadable(f"{self.full(path)} is a pointer of Git LFS; `git lfs pull` brings the file.")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def rows(self, path: str, delimiter: str = ",") -> Iterator[dict[str, str]]:
        """Rows of a table with a header line, cells stripped: a missing one is empty, and those that have no
        column are under the empty name."""
        lines = self.cells(path, delimiter)
        names = [name.strip() for name in next(lines, [])]
        for values in filter(None, lines):
            row = dict(zip(names, map(str.strip, values), strict=False))
            row.update(dict.fromkeys(names[len(values) :], ""))
            if len(values) > len(names):
                row[""] = " ".join(values[len(names) :]).strip()
            yield row

    def cells(self, path: str, delimiter: str = ",") -> Iterator[list[str]]:
        """Rows of a table as lists, the header lines among them. `UserMustAct`: it is no table."""
        csv.field_size_limit(_LONGEST_CELL)
        with self._read(path), self._fs.open(self._full(path), "rb") as file:
            lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
            try:
                yield from csv.reader(lines, delimiter=delimiter)
            except csv.Error as error:
                raise UserMustAct(f"{self.full(path)} is no table: {error}.") from error

    def json(self, path: str) -> Any:
        """A JSON file's content. `UserMustAct`: it is no JSON."""
        try:
            return json.loads(self.text(path))
        except (ValueError, RecursionError) as error:
            raise UserMustAct(f"{self.full(path)} is not JSON: {error}.") from error

    def yaml(self, path: str) -> Mapping[str, Any]:
        """A YAML file's mapping. `ValueError`: it is none."""
        try:
            content = yaml.safe_load(self.text(path))
        except yaml.YAMLError as error:
            raise ValueError(f"{path} is not YAML: {error}") from error
        if not isinstance(content, dict):
            raise ValueError(f"{path} holds no mapping")
        return content

    def _full(self, path: str) -> str:
        return f"{self._base.rstrip('/')}/{path}" if path else self._base
