"""Where bytes lie: a folder on this machine, or below any URL that fsspec can address.

Both kinds of folder write a file wholly or not at all, and let one process write at a time. On a disk that is
a temporary name, a rename and a lock of the operating system. In an object store it is one PUT for each
object, and a lease: an object that its holder rewrites every few seconds. Stores that cannot write an object
at once (SFTP, say) are addressable too, but a kill may then tear a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from filelock import FileLock, Timeout

from llark import records
from llark.errors import UserMustAct

Place = str | Path
"""A local path or a URL. A `Path` made of a URL has lost a slash, and is understood all the same."""

BEAT_SECONDS = 5.0
"""How often the holder of a lease rewrites it."""

LEASE_SECONDS = 3 * BEAT_SECONDS
"""A lease that stays the same for so long was left behind by a process that ended. Clocks play no part."""

_URL = re.compile(r"[a-z][a-z0-9+.-]+(::[a-z][a-z0-9+.-]+)*:/")


def is_url(place: Place) -> bool:
    """Whether a place is addressed through fsspec; `file://` is a local path."""
    return _scheme(place) not in ("", "file", "local")


def folder(place: Place) -> Folder:
    """The folder at a place, which need not exist yet. Raises `UserMustAct`: no such kind of URL."""
    if is_url(place):
        return _RemoteFolder(place)
    return _LocalFolder(local_path(place))


def join(place: Place, name: str) -> Place:
    """The place of a file or folder inside another one."""
    return f"{url(place).rstrip('/')}/{name}" if is_url(place) else local_path(place) / name


def local_path(place: Place) -> Path:
    """The path of a place that is no foreign URL."""
    return Path(re.sub(r"^(file|local):/+", "/", str(place))) if _scheme(place) else Path(place)


def url(place: Place) -> str:
    """A URL with both of its slashes."""
    return re.sub(r"^([^/]+:)/(?!/)", r"\1//", str(place))


def filesystem(place: Place) -> tuple[Any, str]:
    """fsspec's file system for a place, and the path in it.

    Raises:
        UserMustAct: The kind of URL is unknown, or needs a library that is not installed.
    """
    import fsspec

    if not is_url(place):  # whatever is in its name: fsspec takes :: and ~ for more than letters
        return fsspec.filesystem("file"), os.path.abspath(local_path(place))
    try:
        system, path = fsspec.core.url_to_fs(url(place))
    except ImportError as error:
        raise UserMustAct(
            f"{url(place)} needs a library that is not installed ({error}); "
            "install llark[remote], which reads s3:// and gs://."
        ) from error
    except ValueError as error:
        raise UserMustAct(f"{url(place)} cannot be addressed: {error}.") from error
    return system, path


def _scheme(place: Place) -> str:
    match = _URL.match(str(place))
    return match.group().partition(":")[0] if match else ""


@contextlib.contextmanager
def clear_errors(place: Place, what: str = "write to") -> Iterator[None]:
    """What a full, broken, forbidden or unreachable store says, in one sentence."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        kept = ". What was finished is kept." if what == "write to" else "."
        raise UserMustAct(f"Cannot {what} {place}: {why}{kept}") from error


def read_json(kind: type[records.Record], text: str | bytes, where: object) -> records.Record:
    """What a file of this package holds: a record, or plain values. `where` names the file.

    Raises `UserMustAct` where the file holds something else.
    """
    try:
        if "\\ud" in str(text):  # halves of characters, of names that are no UTF-8: pydantic's JSON has none
            return records.from_plain(kind, json.loads(text))
        return records.from_json(kind, text)
    except (ValueError, RecursionError) as error:
        first: dict[str, Any] = next(iter(error.errors()), {}) if hasattr(error, "errors") else {}
        what = ": ".join([*map(str, first.get("loc", ())), str(first.get("msg", error))])[:200]
        name = getattr(kind, "__name__", "page")
        raise UserMustAct(f"{where} is no {name}: it is damaged, or of another release ({what}).") from error


def replace(made: Path, path: Path) -> None:
    """Gives what was made under a temporary name, a file or a folder, its own name at once and for good: its
    bytes are on the disk before, so that a crash of the machine leaves the old or the new one whole.

    A folder that is there already is deleted. Raises `UserMustAct` where `path` is a device, `OSError` where
    there is no room.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UserMustAct(f"{path} is neither a file nor a folder, and is not replaced by one.")
    for inside in [*made.rglob("*"), made] if made.is_dir() else [made]:
        _sync(inside)
    if made.is_dir() and path.is_dir():
        shutil.rmtree(path)
    os.replace(made, path)
    _sync(path.parent)


def checksum(path: Path) -> str:
    """A file's digest at the speed of memory, five times that of SHA-256: it finds what breaks by accident
    (zeros, cut ends, flipped bits, exchanged blocks) and is no defence against a forger.

    Of each 64 kB the sum of its 64-bit words is hashed.
    """
    words, digest = np.empty((8, 8192), np.uint64), hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(memoryview(words)):  # type: ignore[arg-type]
            words.reshape(-1).view(np.uint8)[size:] = 0
            digest.update(size.to_bytes(4, "little") + words.sum(axis=1).tobytes())
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _LocalFolder:
    """A folder on this machine. Names of its files may have one slash in them. Errors are `OSError`s."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: FileLock | None = None

    def is_file(self) -> bool:
        """Whether there is a file where the folder should be."""
        return self.path.exists() and not self.path.is_dir()

    def names(self, inside: str = "") -> list[str]:
        """What lies in the folder, or in a folder inside it, sorted; nothing where there is none."""
        where = self.path / inside
        return sorted(os.listdir(where)) if where.is_dir() else []

    def exists(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Writes a whole file or none: a temporary name, then a rename, both made to last."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        try:
            temporary.write_bytes(data)
            replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def delete(self, name: str) -> None:
        """Deletes a file, or a folder with all that is in it, if it is there and may be deleted."""
        path = self.path / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
            return
        with contextlib.suppress(OSError):
            path.unlink()

    def lock(self, name: str) -> None:
        """Holds the folder for this process; the system lets go of it however this process ends.

        Raises `UserMustAct` where another one writes to it.
        """
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, blocking=False, thread_local=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise UserMustAct(f"Another process is writing to {self.path}; wait for it to end.") from error
        self._lock = lock

    def still_locked(self) -> None:
        """Raises `UserMustAct` where another process has taken the folder from this one: here nobody can."""

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def tensors(self, name: str) -> Any:
        """An open safetensors file: `get_tensor(key)` reads one array."""
        from safetensors import safe_open

        return safe_open(self.path / name, framework="np")


class _RemoteFolder:
    """A folder below a URL, with the methods of a local one."""

    def __init__(self, place: Place) -> None:
        self.url = url(place)
        self._system, self._root = filesystem(place)
        self._lease: _Lease | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_lease": None}

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/")

    def is_file(self) -> bool:
        with foreign_errors():
            return bool(self._system.isfile(self._at("")))

    def names(self, inside: str = "") -> list[str]:
        where = self._at(inside)
        with foreign_errors():
            self._system.invalidate_cache()
            try:
                paths = self._system.ls(where, detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        own = where.rpartition("/")[2]
        last = {path.rstrip("/").rpartition("/")[2] for path in paths if path.strip("/") != where.strip("/")}
        return sorted(last - {""}) if own or last else []

    def exists(self, name: str) -> bool:
        with foreign_errors():
            self._system.invalidate_cache()
            return bool(self._system.exists(self._at(name)))

    def read(self, name: str) -> bytes:
        with foreign_errors():
            data: bytes = self._system.cat_file(self._at(name))
        return data

    def write(self, name: str, data: bytes, new: bool = False) -> None:
        with foreign_errors():
            self._system.pipe_file(self._at(name), data, mode="create" if new else "overwrite")

    def delete(self, name: str) -> None:
        with contextlib.suppress(OSError), foreign_errors():
            self._system.invalidate_cache()
            self._system.rm(self._at(name), recursive=True)

    def lock(self, name: str) -> None:
        self._lease = _Lease(self, name)
        self._lease.take()

    def still_locked(self) -> None:
        if self._lease is not None:
            self._lease.check()

    def unlock(self) -> None:
        if self._lease is not None:
            self._lease.give_back()
            self._lease = None

    def tensors(self, name: str) -> Any:
        return _RemoteTensors(self._system, self._at(name))


Folder: TypeAlias = _LocalFolder | _RemoteFolder
"""The files of one folder. Neither kind need exist before something is written to it."""


class _Lease:
    """An object that says who writes to a folder, kept fresh by a thread.

    A process that finds another's lease watches it: one that changes is held, one that does not was left
    behind by a kill, and is taken over. Who lost the lease so (by sleeping too long) notices before the next
    part is committed.
    """

    def __init__(self, place: _RemoteFolder, name: str) -> None:
        self._place, self._name = place, name
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
        self._beats = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="llark-lease", daemon=True)

    def take(self) -> None:
        lease = self._read()
        if lease is not None:
            self._watch(lease)
        self._beat(new=lease is None)
        self.check()
        self._thread.start()

    def _watch(self, lease: dict[str, Any]) -> None:
        """Waits until a lease has stood still for long enough. Raises `UserMustAct` where it does not."""
        deadline = time.monotonic() + LEASE_SECONDS
        while time.monotonic() < deadline:
            time.sleep(BEAT_SECONDS / 2)
            now = self._read()
            if now is not None and now != lease:
                raise self._taken(now)

    def _taken(self, by: dict[str, Any] | None) -> UserMustAct:
        who = ":".join(str(by.get("holder")).split(":")[:2]) if by else "one that just began"
        return UserMustAct(f"Another process ({who}) is writing to {self._place.url}; wait for it to end.")

    def check(self) -> None:
        if not self._is_ours():
            raise UserMustAct(f"Another process has taken over {self._place.url}; this one stops.")

    def give_back(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(OSError):  # left behind, it is taken over by whoever comes next
            if self._is_ours():
                self._place.delete(self._name)

    def _read(self) -> dict[str, Any] | None:
        try:
            data = self._place.read(self._name)
        except FileNotFoundError:
            return None
        return read_json(dict[str, Any], data, join(self._place.url, self._name))

    def _is_ours(self) -> bool:
        lease = self._read()
        return lease is not None and lease.get("holder") == self._holder

    def _beat(self, new: bool = False) -> None:
        self._beats += 1
        page = {"holder": self._holder, "beat": self._beats}
        try:
            self._place.write(self._name, json.dumps(page).encode(), new=new)
        except FileExistsError as error:
            raise self._taken(None) from error

    def _keep(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):  # a store that cannot be reached fails the next flush, clearly
                if not self._is_ours():
                    return
                self._beat()


class _RemoteTensors:
    """A safetensors file of float16 arrays in an object store: one ranged read for each array."""

    def __init__(self, system: Any, path: str) -> None:
        self._system, self._path = system, path
        size = int.from_bytes(self._bytes(0, 8), "little")
        self._header = read_json(dict[str, Any], self._bytes(8, 8 + size), path)
        self._data = 8 + size

    def _bytes(self, start: int, end: int) -> bytes:
        with foreign_errors():
            data: bytes = self._system.cat_file(self._path, start=start, end=end)
        if len(data) != end - start:
            raise OSError(f"{self._path} ends at {start + len(data)} bytes; {end} are needed")
        return data

    def get_tensor(self, key: str) -> Any:
        entry = self._header[key]
        start, end = entry["data_offsets"]
        data = self._bytes(self._data + start, self._data + end)
        return np.frombuffer(data, {"F16": np.float16}[entry["dtype"]]).reshape(entry["shape"])


@contextlib.contextmanager
def foreign_errors() -> Iterator[None]:
    """Each backend of fsspec has its own family of errors; here all of them are `OSError`s."""
    try:
        yield
    except (OSError, UserMustAct):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
