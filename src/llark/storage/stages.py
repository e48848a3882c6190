"""The only file that writes a stage's folder.

A finished folder holds `part-00000.jsonl` … (one record a line), `dropped.jsonl` and, written last,
`about.json`. Embeddings lie in `part-00000.safetensors` …, float16 [frames, width] under the clips' ids; the
lines of the `.jsonl` beside it say the rest. While a stage runs there is also `unfinished/`: `begun.json`
(what the folder is for) and one file a part that names the inputs it finished. That file is renamed into
place after the part's data, so a part counts when it is there and is thrown away when it is not: `kill -9`
at any moment costs the records since the last flush, and never doubles or tears one.

A folder may lie below any URL that fsspec can address (`s3://`, `gs://`, `memory://` …): see `folders.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from importlib import metadata
from typing import Any, NotRequired, TypeVar

import numpy as np
from safetensors.numpy import save
from typing_extensions import TypedDict

from llark import records
from llark.errors import StoreMismatch, UserMustAct
from llark.records import Dropped, Embedding
from llark.storage import folders
from llark.storage.folders import Folder, Place

Record = TypeVar("Record")

ABOUT = "about.json"
DROPPED = "dropped.jsonl"
UNFINISHED = "unfinished"
BEGUN, LOCK = "begun.json", "lock"
SHARD_BYTES = 64_000_000
FORMAT = 1
"""The version of this folder layout."""

FIRST_FLUSH_SECONDS, FLUSH_SHARE = 5.0, 0.1
"""A young run flushes early, so that one that is killed again and again gets on; an old one in few parts."""


class Plan(TypedDict):
    """What a folder is made for: `begun.json`."""

    format: int
    stage: str
    config: dict[str, Any]
    inputs: list[Any]


Counts = TypedDict("Counts", {"in": int, "out": int, "dropped": dict[str, int]})
"""Inputs, records, and drops by reason."""


class About(Plan):
    """What a finished folder says of itself: `about.json`."""

    versions: dict[str, str]
    counts: Counts
    sha256: str
    """Of the lines of all parts."""
    dropped_sha256: NotRequired[str]
    """Of the lines of `dropped.jsonl`. This key and the next are absent in older data."""
    own_sha256: NotRequired[str]
    """Of all else in the page."""


@dataclass(frozen=True)
class JournalEntry:
    """What became of one input: how many records, and which drops."""

    id: str
    records: int
    dropped: list[Dropped]

    @property
    def is_retried(self) -> bool:
        """Whether an unfinished folder tries the input again: its drop's cause may be gone by now."""
        return not self.records and any(drop.reason.startswith(records.MAY_PASS) for drop in self.dropped)


class StageWriter:
    """A stage's folder while it is written. Made by `open_stage`; used as a context manager.

    `done`: ids of the inputs that are finished and on disk, or waiting for the next flush.
    `finished`: whether the folder was complete when it was opened: then nothing is left to do.
    """

    def __init__(self, folder: Place, plan: Plan, flush_records: int, flush_seconds: float) -> None:
        self.folder = folder
        self.stage = plan["stage"]
        self._files = folders.folder(folder)
        self.finished = self._files.exists(ABOUT)
        self.done: set[str] = set()
        self._plan = plan
        self._flush_records = flush_records
        self._flush_seconds = flush_seconds
        self._entries: list[JournalEntry] = []
        self._lines: list[str] = []
        self._arrays: dict[str, np.ndarray] = {}
        self._began = self._flushed_at = time.monotonic()
        self._next_part = 0
        if self.finished:  # a kill may have come before this was deleted
            self._files.delete(UNFINISHED)
        else:
            try:
                self._resume()
            except BaseException:
                self.close()
                raise

    def _resume(self) -> None:
        """Locks the folder, throws away what an interrupted run left half done, and finds what is done."""
        with folders.clear_errors(self.folder):
            self._files.lock(f"{UNFINISHED}/{LOCK}")
            if not self._files.exists(f"{UNFINISHED}/{BEGUN}"):
                self._files.write(f"{UNFINISHED}/{BEGUN}", _json_bytes(self._plan))
            inside = [f"{UNFINISHED}/{name}" for name in self._files.names(UNFINISHED)]
            committed = {_stem(name) for name in inside if _is_part(name, ".json")}
            for name in [*self._files.names(), *inside]:
                uncommitted = _stem(name).startswith("part-") and _stem(name) not in committed
                if uncommitted or name.endswith(".tmp"):
                    self._files.delete(name)
        self._next_part = 1 + max((int(name.removeprefix("part-")) for name in committed), default=-1)
        journal = _journal(self._files)
        if any(entry.records for entry in journal.values()):  # where all was lost, all is tried again
            self.done = {id_ for id_, entry in journal.items() if not entry.is_retried}

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
        drops = [output for output in outputs if isinstance(output, Dropped)]
        lines = [_line(output, self._arrays) for output in outputs if not isinstance(output, Dropped)]
        self.done.add(input_id)
        self._lines += lines
        self._entries.append(JournalEntry(input_id, len(lines), drops))
        full = len(self._entries) >= self._flush_records
        full = full or sum(frames.nbytes for frames in self._arrays.values()) >= SHARD_BYTES
        now = time.monotonic()
        patience = min(self._flush_seconds, FIRST_FLUSH_SECONDS + FLUSH_SHARE * (now - self._began))
        if full or now - self._flushed_at >= patience:
            self.flush()

    def flush(self) -> None:
        """Puts everything written so far on disk, as one part. `UserMustAct`: there is no room."""
        entries, lines, arrays = self._entries, self._lines, self._arrays
        self._entries, self._lines, self._arrays = [], [], {}
        self._flushed_at = time.monotonic()
        if not entries:
            return
        name = f"part-{self._next_part:05d}"
        entry, lines_of, arrays_of = f"{UNFINISHED}/{name}.json", f"{name}.jsonl", f"{name}.safetensors"
        try:
            with folders.clear_errors(self.folder):
                self._files.still_locked()
                if arrays:
                    self._files.write(arrays_of, save(arrays))
                if lines:
                    text = "".join(line + "\n" for line in lines)
                    self._files.write(lines_of, text.encode(errors="backslashreplace"))
                self._files.write(entry, _json_bytes([records.to_dict(one) for one in entries]))
        except UserMustAct:
            for written in (entry, lines_of, arrays_of):
                self._files.delete(written)
            raise
        self._next_part += 1

    def finish(self) -> About:
        """Flushes, writes `dropped.jsonl` and then `about.json`, and returns what the latter says."""
        if self.finished:
            return about(self.folder)
        self.flush()
        journal = _journal(self._files)
        drops = [drop for entry in journal.values() for drop in entry.dropped]
        reasons = dict(sorted(Counter(drop.reason for drop in drops).items()))
        out = sum(entry.records for entry in journal.values())
        dropped = "".join(json.dumps(asdict(drop), ensure_ascii=False) + "\n" for drop in drops).encode()
        page: About = {
            "format": FORMAT,
            "stage": self.stage,
            "config": self._plan["config"],
            "inputs": self._plan["inputs"],
            "versions": versions(),
            "counts": {"in": len(journal), "out": out, "dropped": reasons},
            "sha256": _sha256(self._files, *_parts(self._files)),
            "dropped_sha256": hashlib.sha256(dropped).hexdigest(),
        }
        page["own_sha256"] = _own_sha256(page)
        with folders.clear_errors(self.folder):
            self._files.still_locked()
            self._files.write(DROPPED, dropped)
            self._files.write(ABOUT, _json_bytes(page))
        self.finished = True
        self.close()
        self._files.delete(UNFINISHED)
        return page

    def close(self) -> None:
        """Lets another process write to the folder."""
        self._files.unlock()

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
    folder: Place,
    stage: str,
    config: object = None,
    inputs: Iterable[Place] = (),
    *,
    flush_records: int = 500,
    flush_seconds: float = 60.0,
) -> StageWriter:
    """A writer for a stage's folder: new, unfinished (it goes on from there) or finished (it does nothing).

    Args:
        folder: A local path, or a URL that fsspec can address.
        config: What the outcome depends on: a dataclass, a pydantic model, or plain JSON values.
        inputs: Finished folders of the stages that this one reads.

    Raises:
        StoreMismatch: The folder was made by another stage, configuration or input.
        UserMustAct: An input is not finished, the folder cannot be written, or another process writes to it.
    """
    made_from = [
        {"stage": about(path)["stage"], "sha256": _sha256(folders.folder(path), ABOUT)} for path in inputs
    ]
    plan: Plan = {"format": FORMAT, "stage": stage, "config": plain(config) or {}, "inputs": made_from}
    place = folders.folder(folder)
    with folders.clear_errors(folder, "read"):
        if place.is_file():
            raise UserMustAct(f"{folder} is a file; the output of {stage} needs a folder.")
        there = plan_of(folder)
        if there is not None:
            refuse_other(folder, there, plan)
        elif any(name != UNFINISHED for name in place.names()):
            raise StoreMismatch(f"{folder} holds other files; name a new or an empty folder for {stage}.")
    return StageWriter(folder, plan, flush_records, flush_seconds)


def plan_of(folder: Place) -> Plan | None:
    """What a stage's folder is for, finished or only begun; `None` where no stage has begun.

    Raises `UserMustAct` where the folder is damaged.
    """
    place = folders.folder(folder)
    with folders.clear_errors(folder, "read"):
        if place.exists(ABOUT):
            return about(folder)
        if not place.exists(f"{UNFINISHED}/{BEGUN}"):
            return None
        begun = folders.join(folder, f"{UNFINISHED}/{BEGUN}")
        return folders.read_json(Plan, place.read(f"{UNFINISHED}/{BEGUN}"), begun)


def forget_begun(folder: Place) -> None:
    """Empties the folder of a stage that was begun and has not written one record, so that it may be begun
    with another configuration: a run that failed before its first record binds nobody.

    Raises `UserMustAct` where another process writes to it.
    """
    place = folders.folder(folder)
    if place.exists(ABOUT) or not place.exists(f"{UNFINISHED}/{BEGUN}"):
        return
    place.lock(f"{UNFINISHED}/{LOCK}")
    try:
        if any(entry.records for entry in _journal(place).values()):
            return
        inside = [f"{UNFINISHED}/{name}" for name in place.names(UNFINISHED) if name != LOCK]
        for name in [*(name for name in place.names() if name != UNFINISHED), *inside]:
            place.delete(name)
    finally:
        place.unlock()


def about(folder: Place) -> About:
    """What a finished folder says of itself. Raises `UserMustAct` if it is not finished, not there, or
    damaged."""
    place = folders.folder(folder)
    with folders.clear_errors(folder, "read"):
        if place.exists(ABOUT):
            page = folders.read_json(About, place.read(ABOUT), folders.join(folder, ABOUT))
            if page.get("own_sha256") not in (None, _own_sha256(page)):
                raise damaged(folder, f"its {ABOUT} is not as it was written")
            return page
        if place.names(UNFINISHED):
            raise UserMustAct(f"{folder} is not finished; run its stage again, and it will go on.")
    raise UserMustAct(f"{folder} is not the folder of a finished stage: it has no {ABOUT}.")


def damaged(folder: Place, what: str) -> UserMustAct:
    """What is said of a folder whose content has changed since it was written."""
    return UserMustAct(f"{folder}: {what}. It is damaged; delete it and run its stage again.")


def read(folder: Place, kind: type[Record]) -> Iterator[Record]:
    """The records of a finished folder, in the order of the stage's input.

    Raises:
        UserMustAct: The folder is not finished, a line is no such record, or lines are not those that were
            written.
    """
    for _, record in read_parts(folder, kind):
        yield record


def read_parts(folder: Place, kind: type[Record]) -> Iterator[tuple[str, Record]]:
    """The records of a finished folder, each with the name of its part. Raises as `read` does."""
    expected, place = about(folder)["sha256"], folders.folder(folder)
    with folders.clear_errors(folder, "read"):
        names = _parts(place)
        as_written = _sha256(place, *names) == expected
        for name in names:
            for number, line in enumerate(io.BytesIO(place.read(name)), 1):
                where = f"{folders.join(folder, name)}, line {number},"
                record = folders.read_json(kind, line, where)
                if as_written:
                    yield _stem(name), record
    if not as_written:  # and every line is a record
        raise damaged(folder, "its records are not those that were written")


def read_all(many: Iterable[Place], kind: type[Record]) -> Iterator[Record]:
    """The records of several finished folders, one folder after the other; see `read`."""
    for folder in many:
        yield from read(folder, kind)


def read_dropped(folder: Place) -> Iterator[Dropped]:
    """What a finished stage dropped, with the reasons. Raises as `read` does."""
    page, place = about(folder), folders.folder(folder)
    with folders.clear_errors(folder, "read"):
        data = place.read(DROPPED)
    for number, line in enumerate(io.BytesIO(data), 1):
        yield folders.read_json(Dropped, line, f"{folders.join(folder, DROPPED)}, line {number},")
    if page.get("dropped_sha256") not in (None, hashlib.sha256(data).hexdigest()):
        raise damaged(folder, f"its {DROPPED} is not as it was written")


# --- parts ------------------------------------------------------------------------------------------------


def _is_part(name: str, suffix: str) -> bool:
    return _stem(name).startswith("part-") and name.endswith(suffix)


def _stem(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]


def _parts(place: Folder) -> list[str]:
    return [name for name in place.names() if _is_part(name, ".jsonl")]


def _journal(place: Folder) -> dict[str, JournalEntry]:
    """The finished inputs by id; a later try takes the place of an earlier one."""
    entries: dict[str, JournalEntry] = {}
    for name in place.names(UNFINISHED):
        if _is_part(name, ".json"):
            data = place.read(f"{UNFINISHED}/{name}")
            for entry in folders.read_json(list[JournalEntry], data, f"{UNFINISHED}/{name} of a stopped run"):
                entries[entry.id] = entry
    return entries


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
        "start_seconds": record.start_seconds,
        "end_seconds": record.end_seconds,
        "rate": record.rate,
    }
    return json.dumps({name: value for name, value in entry.items() if value is not None}, ensure_ascii=False)


def _sha256(place: Folder, *names: str) -> str:
    """Of the files' bytes, one after the other: it is the same wherever the parts begin and end."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(place.read(name))
    return digest.hexdigest()


def _own_sha256(page: About) -> str:
    rest = {name: value for name, value in page.items() if name != "own_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _json_bytes(value: object) -> bytes:
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")  # halves of characters, as JSON escapes them


# --- what a folder is made for ---------------------------------------------------------------------------


def refuse_other(folder: Place, there: Plan, plan: Plan) -> None:
    """Raises `StoreMismatch` that says what differs. Versions and counts may."""
    if there["stage"] != plan["stage"]:
        what = f"holds the output of {there['stage']}, not of {plan['stage']}"
    elif there["config"] != plan["config"]:
        what = f"was made with another configuration ({_difference(there['config'], plan['config'])})"
    elif there["inputs"] != plan["inputs"]:
        what = "was made from other input"
    elif there["format"] != plan["format"]:
        what = "has the layout of another version of llark"
    else:
        return
    raise StoreMismatch(f"{folder} {what}; name a new folder, or delete this one.")


def _difference(there: object, here: object, key: str = "") -> str:
    """The first key that differs, with both values."""
    if isinstance(there, dict) and isinstance(here, dict):
        for name in sorted(there.keys() | here.keys()):
            if there.get(name) != here.get(name):
                return _difference(there.get(name), here.get(name), f"{key}.{name}".lstrip("."))
    return f"{key or 'all of it'}: {json.dumps(there)} there, {json.dumps(here)} here"[:300]


def plain(config: object) -> Any:
    """Plain JSON values, so that they compare equal to what is read back."""
    if hasattr(config, "model_dump"):
        config = config.model_dump(mode="json")
    elif is_dataclass(config) and not isinstance(config, type):
        config = asdict(config)
    return json.loads(json.dumps(config, default=str))


def versions() -> dict[str, str]:
    """Of Python and of the packages that an outcome depends on, as far as they are installed."""
    known = {"python": platform.python_version()}
    for package in ("llark", "numpy", "soundfile", "av", "soxr", "torch", "transformers", "safetensors"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            known[package] = metadata.version(package)
    return known
