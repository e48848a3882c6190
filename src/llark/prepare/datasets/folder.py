"""A folder of music: every audio file at any depth, with the tags that are written into it.

The only file that knows mutagen.

What a stranger wrote into a tag is kept as text or number, and never costs the recording: a tag that cannot
be read is said so in the track's metadata, under `tags_unreadable`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llark.audio import AUDIO_SUFFIXES, looks_like_audio
from llark.errors import UserMustAct
from llark.prepare import reading
from llark.prepare.reading import Root, Unreadable
from llark.records import Dropped, MetadataValue, Track
from llark.report import terminal
from llark.storage import folders

ABOUT = "Your own folder of music. Every audio file at any depth is a track; its tags are its metadata."
CITATION = ()
LICENCE = "unknown"
FILES = {"**/*": "recordings in any usual format (wav, flac, mp3, ogg, m4a …), films too; no hidden files"}
WHERE = "Any folder, or an fsspec URL of one."
SPLITS = ("all",)
SPLITS_FROM = "none: all is one split. To name splits, list the recordings in a csv or jsonl file."
LABELS = ("title", "artist", "album", "genre", "year", "bpm", "key", "comment")

COMPANIONS = (
    ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".avif", ".svg", ".pdf",
    ".txt", ".md", ".rtf", ".doc", ".docx", ".htm", ".html", ".xml", ".url", ".nfo", ".log", ".cue", ".m3u",
    ".m3u8", ".pls", ".lrc", ".csv", ".tsv", ".json", ".jsonl", ".jams", ".yaml", ".yml", ".ini", ".db",
    ".sfv", ".md5", ".zip", ".rar", ".7z", ".gz", ".tar", ".mid", ".midi", ".py", ".sh", ".npy", ".asd",
)  # fmt: skip
"""Suffixes of what lies beside recordings and is none: left out without a word."""


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """A track for each recording, folder by folder, sorted by name.

    The id is the path below the folder without its suffix, and with it where two would be the same. What a
    tag says is not checked, so it is metadata and no truth.

    Raises:
        UserMustAct: There is no such folder, it holds no recording, or the split is not `all`.
    """
    if split not in (None, *SPLITS):
        raise UserMustAct(f"There is no split {split!r}; a folder is one split, all. {SPLITS_FROM[6:]}")
    place, ids = Root(root), set[str]()
    for name, drop in recordings(place):
        id_ = _id_of(name, ids)
        yield drop or _track(place, id_, name)


@dataclass(frozen=True)
class _Search:
    """What a search for recordings has met so far."""

    folders: set[str] = dataclasses.field(default_factory=set)
    """Those that were searched. Links may lead in circles: none is searched twice."""
    left_out: Counter[str] = dataclasses.field(default_factory=Counter)
    """Files of suffixes that say nothing, and in which nothing looks like audio, by their suffix."""


def recordings(root: Root) -> Iterator[tuple[str, Dropped | None]]:
    """The names below a folder, at any depth, of the files that a search takes for recordings; and of what is
    lost, with the reason. Files of an unknown suffix are looked into; how many are left out is printed.

    Raises `UserMustAct` where there is not one.
    """
    search, any_recording = _Search(), False
    for recording in _below(root, "", search):
        any_recording = True
        yield recording
    left_out = ", ".join(f"{suffix or 'no suffix'} {n}×" for suffix, n in search.left_out.most_common(8))
    if not any_recording:
        hint = f"; left out: {left_out}" if left_out else ""
        raise UserMustAct(f"The folder {root.where} holds no audio file that llark knows{hint}.")
    if left_out:
        terminal.note(f"{root.where}: left out what is no audio: {left_out}")


def _below(root: Root, folder: str, search: _Search) -> Iterator[tuple[str, Dropped | None]]:
    """One folder's recordings, then those of the folders in it."""
    full = root.full(folder)
    real = full if folders.is_url(full) else os.path.realpath(full)
    if real in search.folders:
        return
    search.folders.add(real)
    try:
        inside, broken = root.listing(folder), root.broken(folder)
    except Unreadable as error:
        if not folder:
            raise
        yield folder, _lost(folder, "unreadable", str(error))
        return
    below = f"{folder}/" if folder else ""
    for name in (name for name, is_folder in inside.items() if not is_folder):
        if _is_recording(root, below + name, search.left_out):
            yield below + name, _refused(below + name, root.full(below + name))
    for name in broken:
        if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
            yield (
                below + name,
                _lost(below + name, "missing", f"{root.full(below + name)} is a link that leads to nothing."),
            )
    for name in (name for name, is_folder in inside.items() if is_folder):
        yield from _below(root, below + name, search)


def _is_recording(root: Root, name: str, left_out: Counter[str]) -> bool:
    """By its suffix or, where that says nothing, by its beginning; what is left out is counted."""
    suffix = Path(name).suffix.lower()
    if suffix in AUDIO_SUFFIXES or suffix in COMPANIONS:
        return suffix in AUDIO_SUFFIXES
    try:
        is_audio = looks_like_audio(root.beginning(name))
    except (Unreadable, OSError):  # it cannot be read, or has just gone
        is_audio = False
    if not is_audio:
        left_out[suffix] += 1
    return is_audio


def _refused(name: str, path: str) -> Dropped | None:
    """The drop of a file whose path no record can hold."""
    try:
        path.encode()
    except UnicodeEncodeError:
        stem, detail = name.removesuffix(Path(name).suffix), f"The path {path} is not UTF-8 text; rename it."
        return _lost(stem, "name-not-text", detail)
    return None


def _lost(name: str, reason: str, detail: str) -> Dropped:
    return Dropped(_as_text(name), reading.STAGE, reason, _as_text(detail))


def _as_text(name: str) -> str:
    """A name as it can be printed, whatever bytes are in it."""
    return name.encode("utf-8", "backslashreplace").decode()


def _id_of(name: str, taken: set[str]) -> str:
    """The name without its suffix; with it, or a number, where that is taken. Adds it to those taken."""
    stem = name.removesuffix(Path(name).suffix)
    choices = itertools.chain((stem, name), (f"{name}#{number}" for number in itertools.count(2)))
    id_ = next(choice for choice in choices if choice not in taken)
    taken.add(id_)
    return id_


def _track(root: Root, id_: str, name: str) -> Track:
    path = root.full(name)
    tags = read_tags(path)
    title, artist, album = (tags.pop(key, None) for key in ("title", "artist", "album"))
    return Track(
        id=id_,
        path=path,
        title=None if title is None else str(title),
        artist=None if artist is None else str(artist),
        album=None if album is None else str(album),
        metadata=tags,
    )


# --- recordings that a person names -------------------------------------------------------------------------


def tracks_of(paths: Iterable[str | Path]) -> list[Track | Dropped]:
    """The recordings that the paths name, in their order, those of a folder by name; and what is lost.

    A file is taken whatever its suffix, of a folder what `recordings` finds. The id is the path below the
    folder without its suffix, made unique where two are the same; it names the recording and says nothing
    else. A file reached twice is one track.

    Raises `UserMustAct` where a folder holds no recording.
    """
    names: dict[Path, tuple[str, Dropped | None]] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = {path / name: (name, drop) for name, drop in sorted(recordings(Root(path)), key=_name)}
        else:
            drop = (
                None if path.exists() else _lost(str(path), "missing", f"There is no file or folder {path}.")
            )
            inside = {path: (path.name, drop or _refused(path.name, os.path.abspath(path)))}
        for file, named in inside.items():
            names.setdefault(Path(os.path.abspath(file)), named)
    taken: set[str] = set()
    ids = {
        file: _id_of(name, taken) for file, (name, _) in sorted(names.items(), key=lambda n: (n[1][0], n[0]))
    }
    return [
        Track(id=ids[file], path=str(file)) if drop is None else replace(drop, id=_as_text(ids[file]))
        for file, (_, drop) in names.items()
    ]


def _name(recording: tuple[str, Dropped | None]) -> str:
    return recording[0]


def digest_of(tracks: Iterable[Track | Dropped]) -> str:
    """Changes when a recording is added, taken away or replaced by a file of another size."""
    digest = hashlib.sha256()
    for track in sorted(tracks, key=lambda track: track.id):
        size = -1
        if isinstance(track, Track) and Path(track.path).exists():
            size = Path(track.path).stat().st_size
        digest.update(f"{track.id}\0{size}\n".encode())
    return digest.hexdigest()


# --- tags ---------------------------------------------------------------------------------------------------

_FIELDS = {
    "title": ("tit2", "©nam", "title", "inam"),
    "artist": ("tpe1", "©art", "artist", "author", "iart"),
    "album": ("talb", "©alb", "album", "wm/albumtitle", "iprd"),
    "genre": ("tcon", "©gen", "genre", "wm/genre", "ignr"),
    "year": ("tdrc", "tyer", "©day", "date", "year", "wm/year", "icrd"),
    "bpm": ("tbpm", "tmpo", "bpm", "tempo", "wm/beatsperminute"),
    "key": ("tkey", "initialkey", "key", "wm/initialkey"),
    "comment": ("comm", "©cmt", "comment", "description", "icmt"),
}
"""What is kept → the lower-case names it has in ID3, MP4, Vorbis comments, ASF and RIFF."""

_LONGEST_TEXT = 2000
_MOST_GENRES = 20


def tags_available() -> bool:
    """Whether mutagen is there. Without it no tag is read; `pip install "llark[tags]"` brings it."""
    return find_spec("mutagen") is not None


def read_tags(path: str) -> dict[str, MetadataValue]:
    """title, artist, album, genre (a tuple), year, bpm, key and comment, as far as the file at `path` says.

    `path` is a file here or an fsspec URL. Whatever is no regular file, or has no tags, gives nothing.
    """
    if not tags_available():
        return {}
    try:
        return _typed(dict(_texts(path)))
    except Exception as error:  # mutagen lets many kinds through for a broken tag; none may cost the track
        why = " ".join(f"{type(error).__name__}: {error}".split())
        return {"tags_unreadable": _clean(why)[:200]}


def _texts(path: str) -> Iterator[tuple[str, list[str]]]:
    """Each tag's lower-case name, and its texts."""
    import mutagen

    with _open(path) as file:
        tagged = None if file is None else mutagen.File(file)
    tags = None if tagged is None else tagged.tags
    for name, value in () if tags is None else tags.items():
        name = name.lower().removeprefix("txxx:").removeprefix("----:com.apple.itunes:").partition(":")[0]
        texts = [_clean(text) for text in _values(value)]
        if any(texts):
            yield name, [text for text in texts if text]


def _open(path: str) -> Any:
    """The file, open; or a context without one, for a pipe or a device that would be waited on for ever."""
    from contextlib import nullcontext

    if folders.is_url(path):
        system, inside = folders.filesystem(path)
        return system.open(inside, "rb")
    return open(path, "rb") if stat.S_ISREG(os.stat(path).st_mode) else nullcontext()


def _values(value: Any) -> list[str]:
    """A tag's texts, whatever its format keeps them in; pictures have none."""
    if hasattr(value, "genres"):  # ID3 writes some genres as numbers
        return [str(text) for text in value.genres]
    if hasattr(value, "FrameID"):
        return [str(text) for text in getattr(value, "text", ())]
    if isinstance(value, bytes):
        return [value.decode("utf-8", "replace")] if len(value) <= _LONGEST_TEXT else []
    if isinstance(value, list | tuple):
        return [text for one in value[:_MOST_GENRES] for text in _values(one)]
    return [str(value)]


def _clean(text: str) -> str:
    """Without line breaks, control characters and halves of characters, and not longer than a page."""
    whole = text.encode("utf-8", "replace").decode()
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", whole).split())[:_LONGEST_TEXT]


def _typed(texts: dict[str, list[str]]) -> dict[str, MetadataValue]:
    """The fields that are kept, each in its type; a number that is none is left out."""
    fields: dict[str, MetadataValue] = {}
    for field, names in _FIELDS.items():
        values = next((texts[name] for name in names if name in texts), None)
        value = None if values is None else _value(field, values)
        if value is not None:
            fields[field] = value
    return fields


def _value(field: str, values: list[str]) -> MetadataValue | None:
    if field == "genre":
        return tuple(dict.fromkeys(values))[:_MOST_GENRES]
    if field == "year":
        year = re.search(r"(?<!\d)\d{4}(?!\d)", values[0])
        return int(year.group()) if year and int(year.group()) > 0 else None
    if field == "bpm":
        try:
            bpm = float(values[0].replace(",", "."))
        except ValueError:
            return None
        return bpm if 0 < bpm < math.inf else None
    return values[0] if field in ("title", "key", "album") else ", ".join(dict.fromkeys(values))
