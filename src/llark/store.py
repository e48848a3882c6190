"""The only file that writes a stage's folder.

A finished folder holds `part-00000.jsonl` … (one record a line), `dropped.jsonl` and, written last,
`about.json`. Embeddings lie in `part-00000.safetensors` …, float16 [frames, width] under the clips' ids; the
lines of the `.jsonl` beside it say the rest. While a stage runs there is also `unfinished/`: `begun.json`
(what the folder is for) and one file a part that names the inputs it finished. That file is renamed into
place after the part's data, so a part counts when it is there and is thrown away when it is not: `kill -9`
at any moment costs the records since the last flush, and never doubles or tears one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from llark import records
from llark.errors import StoreMismatch, UserMustAct
from llark.records import Dropped, Embedding

Record = TypeVar("Record")

ABOUT = "about.json"
DROPPED = "dropped.jsonl"
UNFINISHED = "unfinished"
SHARD_BYTES = 64_000_000
FORMAT = 1
"""The version of this folder layout."""

RETRIED = ("error:", "worker-killed", "timeout")
"""Drops whose cause may be gone by the next run: an unfinished folder tries these inputs again."""


class StageWriter:
    """A stage's folder while it is written. Made by `open_stage`; used as a context manager.

    `done`: ids of the inputs that are finished and on disk, or waiting for the next flush.
    `finished`: whether the folder was complete when it was opened: there is nothing to do.
    """

    def __init__(self, folder: Path, plan: dict[str, Any], flush_records: int, flush_seconds: float) -> None:
        self.folder = folder
        self.stage = str(plan["stage"])
        self.finished = (folder / ABOUT).exists()
        self.done: set[str] = set()
        self._plan = plan
        self._flush_records = flush_records
        self._flush_seconds = flush_seconds
        self._entries: list[dict[str, Any]] = []
        self._lines: list[str] = []
        self._arrays: dict[str, np.ndarray] = {}
        self._flushed_at = time.monotonic()
        self._next_part = 0
        self._lock: int | None = None
        if not self.finished:
            try:
                self._resume()
            except BaseException:
                self.close()
                raise

    def _resume(self) -> None:
        """Locks the folder, throws away what an interrupted run left half done, and finds what is done."""
        unfinished = self.folder / UNFINISHED
        with _clear_errors(self.folder):
            unfinished.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(unfinished / "lock", self.folder)
            if not (unfinished / "begun.json").exists():
                _write(unfinished / "begun.json", _json_bytes(self._plan))
            committed = {path.stem for path in unfinished.glob("part-*.json")}
            for path in [*self.folder.iterdir(), *unfinished.iterdir()]:
                uncommitted = path.name.startswith("part-") and path.stem not in committed
                if uncommitted or path.name.endswith(".tmp"):
                    path.unlink()
        self._next_part = 1 + max((int(name.removeprefix("part-")) for name in committed), default=-1)
        self.done = {id_ for id_, entry in _journal(self.folder).items() if not _is_retried(entry)}

    def write(self, input_id: str, outputs: Sequence[object]) -> None:
        """Takes what one input became: records, drops, or nothing. On disk after the next flush.

        An embedding that float16 cannot hold becomes a drop, `not-finite`.

        Raises:
            ValueError: The input is already done, or the folder is finished.
            UserMustAct: The disk is full.
        """
        if self.finished or input_id in self.done:
            raise ValueError(f"{input_id} is already in {self.folder}")
        outputs = [_fit(output, self.stage) for output in outputs]
        drops = [records.to_dict(output) for output in outputs if isinstance(output, Dropped)]
        lines = [_line(output, self._arrays) for output in outputs if not isinstance(output, Dropped)]
        self.done.add(input_id)
        self._lines += lines
        self._entries.append({"id": input_id, "records": len(lines), "dropped": drops})
        full = len(self._entries) >= self._flush_records
        full = full or sum(frames.nbytes for frames in self._arrays.values()) >= SHARD_BYTES
        if full or time.monotonic() - self._flushed_at >= self._flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Puts everything written so far on disk, as one part. `UserMustAct`: there is no room."""
        entries, lines, arrays = self._entries, self._lines, self._arrays
        self._entries, self._lines, self._arrays = [], [], {}
        self._flushed_at = time.monotonic()
        if not entries:
            return
        name = f"part-{self._next_part:05d}"
        paths = [self.folder / UNFINISHED / f"{name}.json"]
        paths += [self.folder / f"{name}{suffix}" for suffix in (".jsonl", ".safetensors")]
        try:
            with _clear_errors(self.folder):
                if arrays:
                    _write(paths[2], save(arrays))
                if lines:
                    _write(paths[1], "".join(line + "\n" for line in lines).encode())
                _write(paths[0], _json_bytes(entries))
        except UserMustAct:
            for path in paths:
                path.unlink(missing_ok=True)
            raise
        self._next_part += 1

    def finish(self) -> dict[str, Any]:
        """Flushes, writes `dropped.jsonl` and then `about.json`, and returns what the latter says."""
        if self.finished:
            return about(self.folder)
        self.flush()
        journal = _journal(self.folder)
        drops = [drop for entry in journal.values() for drop in entry["dropped"]]
        reasons = dict(sorted(Counter(drop["reason"] for drop in drops).items()))
        out = sum(entry["records"] for entry in journal.values())
        counts = {"in": len(journal), "out": out, "dropped": reasons}
        page = {
            **self._plan,
            "versions": _versions(),
            "counts": counts,
            "sha256": _sha256(*_parts(self.folder)),
        }
        with _clear_errors(self.folder):
            text = "".join(json.dumps(drop, ensure_ascii=False) + "\n" for drop in drops)
            _write(self.folder / DROPPED, text.encode())
            _write(self.folder / ABOUT, _json_bytes(page))
        self.finished = True
        self.close()
        shutil.rmtree(self.folder / UNFINISHED, ignore_errors=True)
        return page

    def close(self) -> None:
        """Lets another process write to the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> StageWriter:
        return self

    def __exit__(self, *error: object) -> None:
        """Flushes what was done, also after Ctrl-C and errors, and unlocks the folder."""
        try:
            if not self.finished:
                self.flush()
        finally:
            self.close()


def open_stage(
    folder: str | Path,
    stage: str,
    config: object = None,
    inputs: Iterable[str | Path] = (),
    *,
    flush_records: int = 500,
    flush_seconds: float = 60.0,
) -> StageWriter:
    """A writer for a stage's folder: new, unfinished (it goes on from there) or finished (it does nothing).

    Args:
        config: What the outcome depends on: a dataclass, a pydantic model, or plain JSON values.
        inputs: Finished folders of the stages that this one reads.

    Raises:
        StoreMismatch: The folder was made by another stage, configuration or input.
        UserMustAct: An input is not finished, the folder cannot be written, or another process writes to it.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UserMustAct(f"{folder} is a file; the output of {stage} needs a folder.")
    plan = {
        "format": FORMAT,
        "stage": stage,
        "config": _plain(config),
        "inputs": [{"stage": about(path)["stage"], "sha256": _sha256(Path(path) / ABOUT)} for path in inputs],
    }
    pages = [path for path in (folder / ABOUT, folder / UNFINISHED / "begun.json") if path.exists()]
    if pages:
        _refuse_other_plan(folder, json.loads(pages[0].read_bytes()), plan)
    elif folder.exists() and any(path.name != UNFINISHED for path in folder.iterdir()):
        raise StoreMismatch(f"{folder} holds other files; name a new or an empty folder for {stage}.")
    return StageWriter(folder, plan, flush_records, flush_seconds)


def about(folder: str | Path) -> dict[str, Any]:
    """What a finished folder says of itself. Raises `UserMustAct` if it is not finished, or not there."""
    path = Path(folder) / ABOUT
    if not path.exists():
        if (Path(folder) / UNFINISHED).exists():
            raise UserMustAct(f"{folder} is not finished; run its stage again, and it will go on.")
        raise UserMustAct(f"{folder} is not the folder of a finished stage: it has no {ABOUT}.")
    page: dict[str, Any] = json.loads(path.read_bytes())
    return page


def read(folder: str | Path, kind: type[Record]) -> Iterator[Record]:
    """The records of a finished folder, in the order of the stage's input.

    Raises:
        UserMustAct: The folder is not finished, or a line is no such record.
    """
    about(folder)
    for path in _parts(Path(folder)):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield records.from_json(kind, line)
                except ValueError as error:
                    raise UserMustAct(f"{path}, line {number}, is no {kind.__name__}.") from error


def read_dropped(folder: str | Path) -> Iterator[Dropped]:
    """What a finished stage dropped, with the reasons."""
    about(folder)
    with (Path(folder) / DROPPED).open("rb") as lines:
        for line in lines:
            yield records.from_json(Dropped, line)


class Embeddings(Mapping[str, Embedding]):
    """The embeddings of a finished folder by clip id, each read from disk when asked for.

    Iterates over the ids in the order of the stage's input. Can be sent to another process.
    Raises `UserMustAct` if the folder is not finished.
    """

    def __init__(self, folder: str | Path) -> None:
        about(folder)
        self.folder = Path(folder)
        self._index: dict[str, tuple[str, dict[str, Any]]] = {}
        self._open: dict[str, Any] = {}
        for path in _parts(self.folder):
            for line in path.read_bytes().splitlines():
                entry = json.loads(line)
                self._index[entry["clip_id"]] = (path.with_suffix(".safetensors").name, entry)

    def __getitem__(self, clip_id: str) -> Embedding:
        part, entry = self._index[clip_id]
        if part not in self._open:
            self._open[part] = safe_open(self.folder / part, framework="np")
        frames: np.ndarray = self._open[part].get_tensor(clip_id)
        return Embedding(clip_id, entry["encoder"], frames, entry["frames_per_second"])

    def shape(self, clip_id: str) -> tuple[int, int]:
        """(frames, width), without reading them."""
        frames, width = self._index[clip_id][1]["shape"]
        return frames, width

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}


read_embeddings = Embeddings


# --- files ------------------------------------------------------------------------------------------------


def _write(path: Path, data: bytes) -> None:
    """Writes a whole file or none: a temporary name, then a rename, both made to last."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextlib.contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    """What a full, broken or forbidden disk says, in one sentence."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise UserMustAct(f"Cannot write to {folder}: {why}. What was finished is kept.") from error


def _lock(path: Path, folder: Path) -> int:
    """Holds the folder for this process; the system lets go when it ends, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UserMustAct(f"Another process is writing to {folder}; wait for it to end.") from error
    return descriptor


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.jsonl"))


def _journal(folder: Path) -> dict[str, dict[str, Any]]:
    """The finished inputs by id; a later try takes the place of an earlier one."""
    entries: dict[str, dict[str, Any]] = {}
    for path in sorted((folder / UNFINISHED).glob("part-*.json")):
        for entry in json.loads(path.read_bytes()):
            entries[entry["id"]] = entry
    return entries


def _is_retried(entry: dict[str, Any]) -> bool:
    return not entry["records"] and any(drop["reason"].startswith(RETRIED) for drop in entry["dropped"])


def _fit(record: object, stage: str) -> object:
    """The record, its frames as float16; or a drop, where they hold no finite float16 numbers."""
    if not isinstance(record, Embedding):
        return record
    with np.errstate(over="ignore"):
        frames = np.ascontiguousarray(record.frames, dtype=np.float16)
    if not np.isfinite(frames).all():
        return Dropped(record.clip_id, stage, "not-finite", "The frames hold numbers that float16 cannot.")
    return replace(record, frames=frames)


def _line(record: object, arrays: dict[str, np.ndarray]) -> str:
    """A record's line of JSON. The frames of an embedding go to `arrays`."""
    if not isinstance(record, Embedding):
        return records.to_json(record)
    frames = record.frames
    if record.clip_id in arrays or frames.ndim != 2:
        raise ValueError(f"{record.clip_id} was embedded twice, or its frames are not [frames, width]")
    arrays[record.clip_id] = frames
    entry = {
        "clip_id": record.clip_id,
        "encoder": record.encoder,
        "frames_per_second": record.frames_per_second,
        "shape": list(frames.shape),
        "sha256": hashlib.sha256(frames.tobytes()).hexdigest(),
    }
    return json.dumps(entry, ensure_ascii=False)


# --- plans ------------------------------------------------------------------------------------------------


def _refuse_other_plan(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Says what differs. Versions and counts may."""
    if found.get("stage") != wanted["stage"]:
        what = f"holds the output of {found.get('stage')}, not of {wanted['stage']}"
    elif found.get("config") != wanted["config"]:
        what = f"was made with another configuration ({_difference(found.get('config'), wanted['config'])})"
    elif found.get("inputs") != wanted["inputs"]:
        what = "was made from other input"
    elif found.get("format") != wanted["format"]:
        what = "has the layout of another version of llark"
    else:
        return
    raise StoreMismatch(f"{folder} {what}; name a new folder, or delete this one.")


def _difference(found: object, wanted: object, key: str = "") -> str:
    """The first key that differs, with both values."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                return _difference(found.get(name), wanted.get(name), f"{key}.{name}".lstrip("."))
    return f"{key or 'all of it'}: {json.dumps(found)} there, {json.dumps(wanted)} here"[:300]


def _plain(config: object) -> Any:
    """Plain JSON values, so that they compare equal to what is read back."""
    if hasattr(config, "model_dump"):
        config = config.model_dump(mode="json")
    elif is_dataclass(config) and not isinstance(config, type):
        config = asdict(config)
    return json.loads(json.dumps(config, default=str))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("llark", "numpy", "soundfile", "av", "soxr", "torch", "transformers", "safetensors"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _sha256(*paths: Path) -> str:
    """Of the files' bytes, one after the other: it is the same wherever the parts begin and end."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _json_bytes(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
