"""What the readers of data sets share: a data set's folder, its rows, the values of a cell, and MIDI files.

A reader turns each row of its tables into a `Row`; `tracks` makes the tracks of one split of them, and a drop
of every row that is not as the publisher writes them.
"""

from __future__ import annotations

import ast
import codecs
import contextlib
import csv
import hashlib
import io
import itertools
import json
import math
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import fsspec
import yaml

from llark import audio
from llark.audio import AUDIO_SUFFIXES
from llark.errors import BadAudio, UserMustAct, one_line
from llark.music.names import key_name
from llark.records import Annotation, Dropped, Key, MetadataValue, Note, Notes, Tag, Tags, Track
from llark.report import terminal
from llark.storage import folders as files

_MOST_FOLDERS = 4096
"""Listings that are remembered; a data set with more folders than this reads each of them once anyway."""

LONGEST_CELL = 1 << 24
"""Characters. Biographies in FMA are longer than the 131,072 that `csv` allows."""

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

_SUFFIXES = (*AUDIO_SUFFIXES, *map(str.upper, AUDIO_SUFFIXES))


class Unreadable(UserMustAct):
    """A file or folder that is there and cannot be read. If it is about one recording, that one is lost."""


class _Windows1252:
    """How bytes are decoded that are not what the rest of the text is: `count` of them by now."""

    count = 0

    def __call__(self, error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        self.count += 1
        return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


_windows_1252 = _Windows1252()
codecs.register_error("windows-1252", _windows_1252)


@contextlib.contextmanager
def as_text(file: IO[bytes], name: str) -> Iterator[io.TextIOWrapper]:
    """A table's text: UTF-8, or UTF-16 or UTF-32 where its first bytes say so.

    Bytes that are no such text are read as Windows-1252, which spreadsheets write; that is printed once.
    """
    if isinstance(file, io.BufferedReader):
        beginning = file.peek(4)[:4]
    else:
        beginning = file.read(4)
        file.seek(0)
    encoding, before = json.detect_encoding(beginning), _windows_1252.count
    with io.TextIOWrapper(file, encoding=encoding, errors="windows-1252", newline="") as text:
        yield text
    if _windows_1252.count > before:
        other = "Its other bytes were read as Windows-1252: look at names with accents."
        terminal.note(f"{name} is no {encoding.upper()[:6]} text throughout. {other}")


def unicode_forms(name: str) -> dict[str, None]:
    """A name as it is written, and in the composed and the decomposed form of Unicode: systems differ."""
    return dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)))


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
                entries = self._fs.ls(self._full(folder), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        inside = {entry["name"].rstrip("/").rpartition("/")[2]: entry for entry in entries}
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
        path = self.first(*paths)
        if path is None:
            inside = ", ".join(list(self.listing())[:8]) or "nothing"
            raise UserMustAct(f"{self.where} has no {' or '.join(paths)}; it holds {inside}.")
        return path

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
            for form, suffix in itertools.product(unicode_forms(name) if inside else (), _SUFFIXES):
                if inside.get(form + suffix) is False:
                    return self.full(f"{stem.removesuffix(name)}{form}{suffix}")
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

    def beginning(self, path: str, size: int = 400) -> bytes:
        """The first bytes of a file; none of a pipe or device, which would be waited on for ever."""
        with self._read(path):
            if not self._fs.isfile(self._full(path)):
                return b""
            data: bytes = self._fs.cat_file(self._full(path), start=0, end=size)
        return data

    def text(self, path: str) -> str:
        """UTF-8, with or without a byte-order mark; a byte that is not UTF-8 is read as Windows-1252.

        `Unreadable`: a clone without Git LFS left a pointer where the file should be."""
        data = self.read_bytes(path)
        if data.startswith(_LFS_POINTER):
            raise Unreadable(f"{self.full(path)} is a pointer of Git LFS; `git lfs pull` brings the file.")
        return data.decode("utf-8-sig", "windows-1252")

    def rows(self, path: str, delimiter: str = ",", needed: Sequence[str] = ()) -> Iterator[dict[str, str]]:
        """Rows of a table with a header line, cells stripped: a missing one is empty, and those that have no
        column are under the empty name. `UserMustAct`: a column that is `needed` is not there."""
        lines = self.cells(path, delimiter)
        names = [name.strip() for name in next(lines, [])]
        if lacking := sorted(set(needed) - set(names)):
            raise UserMustAct(f"{self.full(path)} has no column {lacking[0]!r}: it is no table of this kind.")
        for values in filter(None, lines):
            row = dict(zip(names, map(str.strip, values), strict=False))
            row.update(dict.fromkeys(names[len(values) :], ""))
            if len(values) > len(names):
                row[""] = " ".join(values[len(names) :]).strip()
            yield row

    def cells(self, path: str, delimiter: str = ",") -> Iterator[list[str]]:
        """Rows of a table as lists, the header lines among them. `UserMustAct`: it is no table."""
        csv.field_size_limit(LONGEST_CELL)
        with (
            self._read(path),
            self._fs.open(self._full(path), "rb") as file,
            as_text(file, self.full(path)) as lines,
        ):
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
        except (yaml.YAMLError, RecursionError) as error:
            raise ValueError(f"{path} is not YAML: {error}") from error
        if not isinstance(content, dict):
            raise ValueError(f"{path} holds no mapping")
        return content

    def _full(self, path: str) -> str:
        return f"{self._base.rstrip('/')}/{path}" if path else self._base


# --- from rows to tracks ---------------------------------------------------------------------------------


STAGE = "prepare"
TRAIN, VALIDATION, TEST = "train", "validation", "test"

RULE = (
    "made here, for there is no official one: SHA-256 of the id (or of the group that must stay whole) gives "
    "80 % train, 10 % validation, 10 % test; see `split_of`."
)
"""What SPLITS_FROM says of a data set whose publishers name no splits."""


class BadRow(BadAudio):
    """A row that cannot become a track."""


@dataclass(frozen=True)
class Row:
    """A recording whose split is known."""

    id: str
    split: str
    make: Callable[[], Track]
    """Gives its track, whose split is filled in later, or raises `BadRow`."""


def tracks(
    rows: Iterable[Row | Dropped], split: str | None, splits: Sequence[str], **same: Any
) -> Iterator[Track | Dropped]:
    """The tracks of one split, or of all: bad rows and second rows of an id are drops.

    A row whose split cannot be known is a drop of every split. `same`: fields that all tracks of the data set
    have alike. Raises `UserMustAct` for a split that is not one of `splits`.
    """
    if split is not None and split not in splits:
        raise UserMustAct(f"There is no split {split!r}; this data set has {', '.join(splits)}.")
    seen: set[str] = set()
    for row in rows:
        if isinstance(row, Dropped):
            yield row
            continue
        again = row.id in seen
        seen.add(row.id)
        if split is None or row.split == split:
            yield _again(row) if again else _track(row, same)


def _again(row: Row) -> Dropped:
    return Dropped(row.id, STAGE, "duplicate-id", f"A second row says {row.id}; the first one counts.")


def _track(row: Row, same: Mapping[str, Any]) -> Track | Dropped:
    try:
        return replace(row.make(), split=row.split, **same)
    except BadRow as bad:
        return Dropped(row.id, STAGE, bad.reason, bad.detail)
    except Unreadable as error:
        return Dropped(row.id, STAGE, "unreadable", str(error))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # of values that no reader foresaw
        return malformed(row.id, f"{type(error).__name__}: {one_line(error)}")


def malformed(id_: str, detail: str) -> Dropped:
    """The drop of a row that is not as the publisher writes them."""
    return Dropped(id_, STAGE, "malformed-row", detail)


def split_of(group: str) -> str:
    """The split of a recording whose publisher names none.

    The first 8 hex digits of the SHA-256 of the UTF-8 text `group`, as a number, modulo 100: 0 to 79 is
    `train`, 80 to 89 `validation`, 90 to 99 `test`. `group` is the recording's id, or the name of what must
    not be split apart (its piece, artist or pack), so that the outcome depends on nothing else.
    """
    share = int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) % 100
    return TRAIN if share < 80 else VALIDATION if share < 90 else TEST


def recording(root: Root, *stems: str) -> str:
    """Full path of the first recording there is. `BadRow`, `missing-audio`: there is none."""
    path = root.audio(*stems)
    if path is None:
        raise BadRow(
            "missing-audio", f"{root.where} has no recording {' or '.join(f'{s}.*' for s in stems)}."
        )
    return path


def page_of(root: Root, path: str) -> Mapping[str, Any]:
    """The JSON object that a file holds about one recording. `BadRow`: it holds none; the others stay."""
    try:
        page = json.loads(root.text(path))
    except (ValueError, RecursionError) as error:
        raise BadRow("malformed-row", f"{path} is not JSON: {error}.") from error
    if not isinstance(page, dict):
        raise BadRow("malformed-row", f"{path} holds no object; {type(page).__name__} was found.")
    return page


def number(text: object, what: str) -> float | None:
    """A finite number; `None` for nothing, NaN or None in words. `BadRow`: it is something else."""
    if text is None or str(text).strip().lower() in ("", "nan", "none", "null"):
        return None
    try:
        value = float(str(text).strip())
    except ValueError as error:
        raise BadRow("malformed-row", f"{what} is {text!r}; a number is wanted.") from error
    return value if math.isfinite(value) else None


def whole(text: object, what: str) -> int | None:
    """An integer, also where it is written 3.0. `BadRow`: it is something else."""
    value = number(text, what)
    if value is None:
        return None
    if value != round(value):
        raise BadRow("malformed-row", f"{what} is {text!r}; a whole number is wanted.")
    return round(value)


def known(fields: Mapping[str, Any]) -> dict[str, MetadataValue]:
    """The fields that say something, lists as tuples of text; None, NaN, blank and empty are left out."""
    values = {name: _value(value) for name, value in fields.items()}
    return {name: value for name, value in values.items() if value is not None}


def _value(value: Any) -> MetadataValue | None:
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple | set | frozenset):
        parts = sorted(value) if isinstance(value, set | frozenset) else value
        texts = tuple(text for text in (str(part).strip() for part in parts if part is not None) if text)
        return texts or None
    text = "" if value is None else str(value).strip()
    return text or None


def sure(labels: Iterable[str], source: str) -> Tags:
    """Labels that people gave, each once and in their order; nothing is known where there are none."""
    unique = tuple(dict.fromkeys(label for label in labels if label))
    return Tags(tuple(Tag(label, 1.0) for label in unique), 1.0 if unique else 0.0, source if unique else "")


def truth(id_: str, end_seconds: float | None, **facts: Any) -> Annotation:
    """What the publisher labels of the file, from 0 to `end_seconds` (0 where its length is not known)."""
    return Annotation(id_, 0.0, end_seconds or 0.0, **facts)


def literal_list(text: str, what: str) -> tuple[str, ...]:
    """A list as Python writes it, its parts as text; nothing for an empty cell. `BadRow`: it is no list."""
    if text in ("", "[]"):
        return ()
    try:
        parts = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:  # the latter two: of deep nesting
        raise BadRow("malformed-row", f"{what} is {text[:80]!r}; a list is wanted.") from error
    if not isinstance(parts, list | tuple):
        raise BadRow("malformed-row", f"{what} is {text[:80]!r}; a list is wanted.")
    return tuple(str(part).strip() for part in parts if str(part).strip())


def in_ranges(ranges: str) -> frozenset[int]:
    """`"2-4 7"` → {2, 3, 4, 7}."""
    ends = (part.partition("-") for part in ranges.split())
    return frozenset(n for first, _, last in ends for n in range(int(first), int(last or first) + 1))


def key_of(text: str, source: str) -> Key:
    """`Gb major`, `f# min` or `Am` as one of `records.KEYS`; an unknown `Key` where it is none."""
    name = key_name(text)
    return Key(name, 1.0, source) if name else Key()


# --- segments of videos ----------------------------------------------------------------------------------


_ROUNDING_SECONDS = 0.5
"""A cut file may be this much longer than its segment, and a video this much shorter than is said."""


VIDEO_FOLDERS = ("audio/", "wav/", "data/", "")
"""Where the recordings of videos lie below a data set's root."""


def segment_track(
    root: Root, id_: str, row: Mapping[str, str], columns: tuple[str, str, str, str], **further: Any
) -> Track:
    """A row about a segment of a video as a track.

    A file whose name holds the times is the segment. One with the video's name alone is looked into: when it
    is longer than the segment and reaches its end, it is the whole video.

    Args:
        columns: Those of the video's id, the segment's start and end in seconds, and what a person wrote.
        further: What else is kept as metadata.

    Raises:
        BadRow: The times are none, nothing is written, or there is no recording.
    """
    video, start, end, caption = (row.get(column, "") for column in columns)
    first, last = number(start, columns[1]), number(end, columns[2])
    if first is None or last is None or not 0 <= first < last:
        raise BadRow("malformed-row", f"The segment is {start!r} to {end!r} s.")
    if not caption:
        raise BadRow("malformed-row", f"The {columns[3]} is empty.")
    names = (*_segment_names(video, start, end), *(bare := (video, f"[{video}]")))
    path = recording(root, *(f"{folder}{name}" for folder in VIDEO_FOLDERS for name in names))
    seconds, is_whole = None, False
    if path.rpartition("/")[2].rpartition(".")[0] in bare:
        with contextlib.suppress(BadAudio):  # whoever reads it next says why it cannot be read
            seconds = audio.probe(path).duration_seconds
            is_whole = seconds > last - first + _ROUNDING_SECONDS and seconds > last - _ROUNDING_SECONDS
    return Track(
        id_,
        path,
        duration_seconds=seconds,
        group=video,
        start_seconds=first if is_whole else 0.0,
        end_seconds=last if is_whole else None,
        captions=(caption,),
        metadata=known({**dict(zip(columns, (video, first, last), strict=False)), **further}),
    )


def _segment_names(video: str, start: str, end: str) -> tuple[str, ...]:
    """File names, without suffix, that say they are the segment."""
    written = [(start, end)]
    for form in ("{:g}", "{}", "{:.3f}"):
        written.append((form.format(float(start)), form.format(float(end))))
    times = dict.fromkeys(written)
    names = []
    for first, last in times:
        names += [f"{video}-{first}-{last}", f"{video}_{first}_{last}", f"[{video}]-[{first}-{last}]"]
        names += [f"[{video}]-{first}-{last}", f"{video}_{first}", f"{video}-{first}"]
    return tuple(names)


# --- notes -----------------------------------------------------------------------------------------------


PROGRAMS = 128


def _pretty_midi() -> Any:
    try:
        import pretty_midi
    except ModuleNotFoundError as error:
        raise UserMustAct("Notes are read with the extra: pip install 'llark[prepare]'.") from error
    return pretty_midi


def program_name(program: int) -> str:
    """The General MIDI name of program 0 to 127: 0 is `Acoustic Grand Piano`, 40 `Violin`."""
    if not 0 <= program < PROGRAMS:
        raise BadRow("malformed-row", f"A General MIDI program is 0 to 127; this one is {program}.")
    return _pretty_midi().program_to_instrument_name(program)


def drum_name(pitch: int) -> str:
    """The General MIDI name of a percussion key: `Acoustic Snare` for 38, `drum 93` for one without."""
    name: str = _pretty_midi().note_number_to_drum_name(pitch)
    return name or f"drum {pitch}"


def read_midi(data: bytes, what: str) -> list[Note]:
    """The notes of a MIDI file, times in seconds by its own tempo map. `BadRow`, `bad-midi`: it is none."""
    library = _pretty_midi()
    from mido import KeySignatureError

    try:
        if data[12:14] == b"\0\0" or data[12:13] >= b"\x80":
            raise ValueError("it counts time in no beats")
        parts = library.PrettyMIDI(io.BytesIO(data)).instruments
    except (
        OSError, EOFError, ArithmeticError, LookupError, TypeError, ValueError, KeySignatureError
    ) as error:  # fmt: skip
        raise BadRow("bad-midi", f"{what} is no MIDI file that can be read: {error}.") from error
    return [_note_of(note, part.program, part.is_drum) for part in parts for note in part.notes]


def _note_of(note: Any, program: int, is_drum: bool) -> Note:
    return Note(
        onset_seconds=round(float(note.start), 6),
        offset_seconds=round(float(note.end), 6),
        pitch_midi=int(note.pitch),
        instrument=drum_name(note.pitch) if is_drum else program_name(program),
        velocity=int(note.velocity),
        is_drum=is_drum,
        program=None if is_drum else int(program),
    )


def by_onset(notes: list[Note], source: str) -> Notes:
    """`Notes` in order of onset, pitch and instrument; unknown where there are none."""
    ordered = tuple(sorted(notes, key=lambda n: (n.onset_seconds, n.pitch_midi, n.instrument)))
    return Notes(ordered, 1.0, source) if ordered else Notes()
