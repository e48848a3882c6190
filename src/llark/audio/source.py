"""What a reader of audio opens: a file of this machine, or an object behind a URL, and what its bytes tell.

Behind a URL only the blocks that a decoder asks for are fetched, each once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from llark.errors import BadAudio, UserMustAct
from llark.storage import folders

SHORTEST_SECONDS = 1.0
"""Nothing shorter than this is a clip."""

PREROLL_SECONDS = 0.25
"""Decoded before a window and thrown away: a lossy decoder starts wrong in the middle."""

AFTER_THE_END_BYTES = 16_384
"""More than this after the last sample is more sound, or a large label."""

_BLOCK_BYTES = 1 << 19
"""Fetched at once from a remote object: 10 s of an mp3 of 400 kbit/s."""

_FINGERPRINT_BYTES = 1 << 14
"""Hashed at each of the three places that a fingerprint looks at."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file holds."""

    sample_rate: int
    """Samples a second and channel."""
    channels: int
    duration_seconds: float
    """Of what can be decoded."""
    format: str
    """The container's name."""


class MissingAudio(UserMustAct, BadAudio):
    """There is no such file: a person asked for it, or it went away under a long run, which drops it."""


@dataclass
class AudioSource:
    """One recording's bytes."""

    name: str
    """What messages call it."""
    size_bytes: int
    path: Path | None = None
    """Where it lies on this machine; `None` for an object behind a URL."""
    remote: tuple[Any, str] | None = None
    """The fsspec file system of an object, and the path in it."""
    trouble: list[OSError] = field(default_factory=list)
    """Errors of the store while it was read."""

    def open(self) -> BinaryIO:
        """The bytes as a file that can be sought in."""
        if self.path is not None:
            return self.path.open("rb")
        assert self.remote is not None
        system, path = self.remote
        with folders.foreign_errors():
            opened = system.open(path, "rb", block_size=_BLOCK_BYTES, cache_type="blockcache")
        return _Watched(opened, self.trouble)  # type: ignore[return-value]

    def pieces(self, starts: list[int], size_bytes: int) -> list[bytes]:
        """The bytes from each of some places on; of a remote object no more than those, in one request."""
        if self.remote is None:
            with self.open() as file:
                return [(file.seek(start), file.read(size_bytes))[1] for start in starts]
        system, path = self.remote
        ends = [min(start + size_bytes, self.size_bytes) for start in starts]
        with folders.foreign_errors():
            pieces: list[bytes] = system.cat_ranges([path] * len(starts), starts, ends, on_error="raise")
        return pieces

    def fingerprint(self) -> str:
        """A short hash of the size and of the bytes at the beginning, in the middle and at the end."""
        last = max(0, self.size_bytes - _FINGERPRINT_BYTES)
        pieces = self.pieces([0, last // 2, last], _FINGERPRINT_BYTES)
        return hashlib.blake2b(b"".join((str(self.size_bytes).encode(), *pieces)), digest_size=8).hexdigest()


class _Watched:
    """A remote file for decoders written in C, which pass no error on: it is kept, and looks like the end."""

    def __init__(self, file: Any, trouble: list[OSError]) -> None:
        self._file, self._trouble = file, trouble
        self.close, self.tell = file.close, file.tell

    def read(self, size: int = -1) -> bytes:
        try:
            with folders.foreign_errors():
                data: bytes = self._file.read(size)
        except OSError as error:
            self._trouble.append(error)
            return b""
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def __enter__(self) -> _Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def opened(place: folders.Place) -> Iterator[AudioSource]:
    """The recording at a path or URL.

    Raises:
        MissingAudio: There is none, or this user may not read it.
        BadAudio: `empty`, or `not-audio` for what is no regular file.
        OSError: A remote store could not be reached, or failed on the way.
    """
    source = _remote(place) if folders.is_url(place) else _local(folders.local_path(place))
    if source.size_bytes == 0:
        raise BadAudio("empty", f"{source.name} is empty: it has no bytes.")
    try:
        yield source
    except BadAudio as error:
        if source.trouble:  # what was read is not what is there
            raise source.trouble[0] from error
        raise
    if source.trouble:
        raise source.trouble[0]


def _local(path: Path) -> AudioSource:
    try:
        if path.is_dir():
            raise MissingAudio("folder", f"{path} is a folder; name an audio file in it.")
        size = path.stat().st_size
    except FileNotFoundError as error:
        to = f": it is a link to {os.readlink(path)}, which is not there" if path.is_symlink() else ""
        raise MissingAudio("missing", f"There is no file {path}{to}.") from error
    except (OSError, ValueError) as error:  # a name too long, a link to itself, a NUL in the name
        why = getattr(error, "strerror", None) or str(error)
        raise MissingAudio("missing", f"There is no file {str(path)[:300]}: {why}.") from error
    if not path.is_file():
        raise BadAudio("not-audio", f"{path} is not a regular file.")
    try:
        path.open("rb").close()
    except PermissionError as error:
        raise MissingAudio("missing", f"The file {path} may not be read by this user.") from error
    return AudioSource(str(path), size, path=path)


def _remote(place: folders.Place) -> AudioSource:
    name = folders.url(place)
    try:
        system, path = folders.filesystem(place)
        with folders.foreign_errors():
            info = system.info(path)
    except FileNotFoundError as error:
        raise MissingAudio("missing", f"{name} does not exist.") from error
    except UserMustAct as error:  # of this recording alone: others may have other addresses
        raise MissingAudio("unreachable", str(error)) from error
    except PermissionError as error:
        raise MissingAudio("missing", f"The object {name} may not be read: {error}.") from error
    if info["type"] == "directory":
        raise MissingAudio("folder", f"{name} is a folder; name an audio file in it.")
    return AudioSource(name, int(info["size"]), remote=(system, path))


def is_mp3_without_length(source: AudioSource) -> bool:
    """Whether this is an mp3 whose first frame does not tell how many there are.

    libsndfile then guesses the number from the first bit rate and leaves out what lies beyond.
    """
    with source.open() as file:
        head = file.read(10)
        tag_bytes = 0
        while head[:3] == b"ID3" and len(head) == 10:  # there may be several
            size = [byte & 0x7F for byte in head[6:]]
            tag_bytes += 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
            tag_bytes += 10 if head[5] & 0x10 else 0
            file.seek(tag_bytes)
            head = file.read(10)
        file.seek(tag_bytes)
        frame = file.read(4096)
    synchronised = len(frame) > 3 and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0
    if not tag_bytes and not (synchronised and frame[1] & 0x06):  # layer 0 is AAC
        return False
    return not any(mark in frame for mark in (b"Xing", b"Info", b"VBRI", b"fLaC", b"RIFF", b"FORM"))
