"""A folder of music: every audio file at any depth, with the tags that are written into it.

The only file that knows mutagen.

What a stranger wrote into a tag is kept as text or number, and never costs the recording: a tag that cannot
be read is said so in the track's metadata, under `tags_unreadable`.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llark.audio import AUDIO_SUFFIXES
from llark.errors import UserMustAct
from llark.prepare import reading
from llark.prepare.reading import Root, Unreadable
from llark.records import Dropped, MetadataValue, Track
from llark.storage import folders

ABOUT = "Your own folder of music. Every audio file at any depth is a track; its tags are its metadata."
CITATION = "None: the recordings are yours."
LICENCE = "unknown"
FILES = {"**/*": "recordings in any usual format (wav, flac, mp3, ogg, m4a …); hidden files are left out"}
WHERE = "Any folder, or an fsspec URL of one."
SPLITS = ("all",)
SPLITS_FROM = "none: all is one split. To name splits, list the recordings in a csv or jsonl file."
LABELS = ("title", "artist", "album", "genre", "year", "bpm", "key", "comment")


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """A track for each audio file, folder by folder, sorted by name.

    The id is the path below the folder without its suffix, and with it where two would be the same. What a
    tag says is not checked, so it is metadata and no truth.

    Raises:
        UserMustAct: There is no such folder, it holds no audio file, or the split is not `all`.
    """
    if split not in (None, *SPLITS):
        raise UserMustAct(f"There is no split {split!r}; a folder is one split, all. {SPLITS_FROM[6:]}")
    place, any_audio = Root(root), False
    for record in _tracks_below(place, "", set()):
        any_audio = True
        yield record
    if not any_audio:
        raise UserMustAct(f"The folder {place.where} holds no audio file ({', '.join(AUDIO_SUFFIXES)}).")


def _tracks_below(root: Root, folder: str, visited: set[str]) -> Iterator[Track | Dropped]:
    """One folder's recordings, then those of the folders in it. Links may lead in circles: a folder that was
    `walked` is not walked again."""
    full = root.full(folder)
    real = full if folders.is_url(full) else os.path.realpath(full)
    if real in visited:
        return
    visited.add(real)
    try:
        inside, broken = root.listing(folder), root.broken(folder)
    except Unreadable as error:
        if not folder:
            raise
        yield Dropped(_as_text(folder), reading.STAGE, "unreadable", str(error))
        return
    below = f"{folder}/" if folder else ""
    taken: set[str] = set()
    for name, is_folder in inside.items():
        suffix = Path(name).suffix
        if is_folder or suffix.lower() not in AUDIO_SUFFIXES:
            continue
        id_ = next(i for i in (name.removesuffix(suffix), name) if i not in taken)
        taken.add(id_)
        yield _track(root, below + id_, below + name)
    for name in broken:
        if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
            detail = f"{_as_text(root.full(below + name))} is a link that leads to nothing."
            yield Dropped(_as_text(below + name), reading.STAGE, "missing", detail)
    for name in (name for name, is_folder in inside.items() if is_folder):
        yield from _tracks_below(root, below + name, visited)


def _track(root: Root, id_: str, name: str) -> Track | Dropped:
    try:
        name.encode()
    except UnicodeEncodeError:
        detail = f"The name {_as_text(name)} is not UTF-8 text; rename the file."
        return Dropped(_as_text(id_), reading.STAGE, "name-not-text", detail)
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


def _as_text(name: str) -> str:
    """A name as it can be printed, whatever bytes are in it."""
    return name.encode("utf-8", "backslashreplace").decode()


# --- recordings that a person names -------------------------------------------------------------------------


def tracks_of(paths: Iterable[str | Path]) -> list[Track]:
    """The recordings that the paths name, sorted by id.

    A file is taken whatever its suffix; of a folder, at any depth, the files whose suffix is known, but no
    hidden ones. The id is the path below the folder without its suffix, made unique where two are the same;
    it names the recording and says nothing else. A file reached twice is one track.

    Raises:
        UserMustAct: A path does not exist, a folder holds no audio, or a name is not text.
    """
    files: dict[Path, str] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(_audio_files(path))
            if not inside:
                raise UserMustAct(f"The folder {path} holds no audio file ({', '.join(AUDIO_SUFFIXES)}).")
            names = [file.relative_to(path) for file in inside]
        elif path.exists():
            inside, names = [path], [Path(path.name)]
        else:
            raise UserMustAct(f"There is no file or folder {path}.")
        for file, name in zip(inside, names, strict=True):
            files.setdefault(Path(os.path.abspath(file)), name.as_posix())
    tracks = [Track(id=id_, path=str(file)) for file, id_ in _unique_ids(files).items()]
    return sorted(tracks, key=lambda track: track.id)


def fingerprint(tracks: Iterable[Track]) -> str:
    """Changes when a track is added, taken away or replaced by a file of another size."""
    digest = hashlib.sha256()
    for track in tracks:
        size = Path(track.path).stat().st_size if Path(track.path).exists() else -1
        digest.update(f"{track.id}\0{size}\n".encode())
    return digest.hexdigest()


def _audio_files(folder: Path) -> Iterator[Path]:
    for parent, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield Path(parent, name)


def _unique_ids(names: dict[Path, str]) -> dict[Path, str]:
    """An id for each file: its name without suffix; with suffix, or a number, where that is taken."""
    ids: dict[Path, str] = {}
    taken: set[str] = set()
    for file, name in sorted(names.items(), key=lambda item: (item[1], str(item[0]))):
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise UserMustAct(
                f"The name of {os.fsencode(file)!r} is not UTF-8 text; rename the file."
            ) from error
        stem = name.removesuffix(Path(name).suffix)
        choices = (stem, name, *(f"{name}#{number}" for number in range(2, len(names) + 2)))
        ids[file] = next(choice for choice in choices if choice not in taken)
        taken.add(ids[file])
    return ids


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
