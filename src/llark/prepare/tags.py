"""The tags that are written into audio files: the only file that knows mutagen.

What a stranger wrote into a tag is kept as text or number, and never costs the recording: a tag that cannot
be read is said so in the track's metadata, under `tags_unreadable`.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from llark.records import MetadataValue
from llark.storage import folders

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


def available() -> bool:
    """Whether mutagen is there. Without it no tag is read; `pip install "llark[tags]"` brings it."""
    return find_spec("mutagen") is not None


def read(path: str) -> dict[str, MetadataValue]:
    """title, artist, album, genre (a tuple), year, bpm, key and comment, as far as the file at `path` says.

    `path` is a file here or an fsspec URL. Whatever is no regular file, or has no tags, gives nothing.
    """
    if not available():
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
        found = None if file is None else mutagen.File(file)
    tags = None if found is None else found.tags
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
    found: dict[str, MetadataValue] = {}
    for field, names in _FIELDS.items():
        values = next((texts[name] for name in names if name in texts), None)
        value = None if values is None else _value(field, values)
        if value is not None:
            found[field] = value
    return found


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
