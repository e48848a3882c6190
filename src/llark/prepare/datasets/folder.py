"""A folder of music: every audio file at any depth, with the tags that are written into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from llark.audio import AUDIO_SUFFIXES
from llark.errors import UserMustAct
from llark.prepare import tags
from llark.prepare.datasets._root import Root, Unreadable
from llark.prepare.datasets._rows import STAGE
from llark.records import Dropped, Track
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
    for record in _walk(place, "", set()):
        any_audio = True
        yield record
    if not any_audio:
        raise UserMustAct(f"The folder {place.where} holds no audio file ({', '.join(AUDIO_SUFFIXES)}).")


def _walk(root: Root, folder: str, walked: set[str]) -> Iterator[Track | Dropped]:
    """One folder's recordings, then those of the folders in it. Links may lead in circles: a folder that was
    `walked` is not walked again."""
    full = root.full(folder)
    real = full if folders.is_url(full) else os.path.realpath(full)
    if real in walked:
        return
    walked.add(real)
    try:
        inside, broken = root.listing(folder), root.broken(folder)
    except Unreadable as error:
        if not folder:
            raise
        yield Dropped(_as_text(folder), STAGE, "unreadable", str(error))
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
            yield Dropped(_as_text(below + name), STAGE, "missing", detail)
    for name in (name for name, is_folder in inside.items() if is_folder):
        yield from _walk(root, below + name, walked)


def _track(root: Root, id_: str, name: str) -> Track | Dropped:
    try:
        name.encode()
    except UnicodeEncodeError:
        detail = f"The name {_as_text(name)} is not UTF-8 text; rename the file."
        return Dropped(_as_text(id_), STAGE, "name-not-text", detail)
    path = root.full(name)
    found = tags.read(path)
    title, artist, album = (found.pop(key, None) for key in ("title", "artist", "album"))
    return Track(
        id=id_,
        path=path,
        title=None if title is None else str(title),
        artist=None if artist is None else str(artist),
        album=None if album is None else str(album),
        metadata=found,
    )


def _as_text(name: str) -> str:
    """A name as it can be printed, whatever bytes are in it."""
    return name.encode("utf-8", "backslashreplace").decode()
