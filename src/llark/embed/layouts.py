"""Embeddings in the layouts that LLark's code reads and writes, in and out.

`npy`: a folder of `.npy`, one a clip, [frames, width]. `webdataset`: tar files whose samples hold a `.npy`,
[1, frames, width]; the published shards hold a pickle (`audio_encoding.pyd`) instead, which is code that runs
when it is read: those are refused, with the way out. An export has `index.jsonl` beside it, since a file name
cannot hold every id.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
import re
import tarfile
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from llark import engine
from llark.errors import Refused, StoreMismatch, UserMustAct
from llark.records import Dropped, Embedding, fraction
from llark.storage import stages
from llark.storage.embeddings import Embeddings
from llark.storage.folders import Place

LAYOUTS = ("npy", "webdataset")
INDEX = "index.jsonl"
SHARD_CLIPS = 256

PICKLED = (".pyd", ".pkl", ".pickle", ".pth", ".pt")

WAY_OUT = (
    "It is a pickle: reading it runs whatever code is in it, so it is refused. If you trust who made it, "
    "convert it yourself, file by file: numpy.save(NAME + '.npy', numpy.asarray(pickle.load(open(FILE, "
    "'rb')), dtype=numpy.float32)); then import the .npy files."
)


# --- out --------------------------------------------------------------------------------------------------


def export(folder: Place, out: Path, layout: str) -> int:
    """Writes every clip of a finished folder into a new one. Returns how many.

    Raises:
        UserMustAct: The layout is unknown, or `out` is there already.
    """
    if layout not in LAYOUTS:
        raise UserMustAct(f"{layout} is no layout; it can be {' or '.join(LAYOUTS)}.")
    if out.exists() and any(out.iterdir()):
        raise StoreMismatch(f"{out} is not empty; name a new folder.")
    shards = Embeddings(folder)
    out.mkdir(parents=True, exist_ok=True)
    names = _names(list(shards))
    lines = []
    exported = _export_files if layout == "npy" else _export_tars
    with engine.Ticker("export", len(shards)) as tick:
        for line in exported(shards, out, names):
            lines.append(line)
            tick()
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (out / INDEX).write_text(text, encoding="utf-8")
    return len(lines)


def _export_files(shards: Embeddings, out: Path, names: dict[str, str]) -> Iterator[dict[str, object]]:
    for clip_id, embedding in shards.items():
        name = f"{names[clip_id]}.npy"
        np.save(out / name, embedding.frames.astype(np.float32), allow_pickle=False)
        yield _entry(embedding, name)


def _export_tars(shards: Embeddings, out: Path, names: dict[str, str]) -> Iterator[dict[str, object]]:
    ids = list(shards)
    for number, at in enumerate(range(0, len(ids), SHARD_CLIPS)):
        name = f"embeddings-{number:06d}.tar"
        with tarfile.open(out / name, "w") as tar:
            for clip_id in ids[at : at + SHARD_CLIPS]:
                embedding = shards[clip_id]
                buffer = io.BytesIO()
                np.save(buffer, embedding.frames.astype(np.float32)[None], allow_pickle=False)
                entry = _entry(embedding, name)
                _add(tar, f"{names[clip_id]}.audio_encoding.npy", buffer.getvalue())
                _add(tar, f"{names[clip_id]}.json", json.dumps(entry, ensure_ascii=False).encode())
                yield entry


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _entry(embedding: Embedding, file: str) -> dict[str, object]:
    return {
        "clip_id": embedding.clip_id,
        "file": file,
        "encoder": embedding.encoder,
        "rate": embedding.rate,
        "start_seconds": embedding.start_seconds,
        "end_seconds": embedding.end_seconds,
    }


def _names(ids: list[str]) -> dict[str, str]:
    """A file name for each id: no dots, which part a WebDataset name, and no two alike."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for clip_id in ids:
        name = re.sub(r"[^A-Za-z0-9@_-]+", "_", clip_id).strip("_") or "clip"
        unique, number = name, 1
        while unique.lower() in taken:
            number += 1
            unique = f"{name}-{number}"
        taken.add(unique.lower())
        names[clip_id] = unique
    return names


# --- in ---------------------------------------------------------------------------------------------------

_HEADS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""Readers of a `.npy`'s head, by its version."""


class BadFrames(Refused):
    """An array that holds no frames."""


@dataclass(frozen=True, eq=False)
class ForeignFrames:
    """One array of a layout: a stretch of a file, read when it is needed, and what is said beside it."""

    name: str
    """The path of a `.npy` below its folder without the ending, or the key of a sample in a tar."""
    path: Path
    """The file that holds it."""
    offset: int
    """Bytes of the file before it."""
    size: int
    """Its bytes."""
    beside: dict[str, Any]
    """The fields of an export's index, or of a sample's `json`: an id, a rate, the seconds that it covers."""

    @property
    def written(self) -> str:
        """What tells these bytes from others: the stretch, and when its file was last changed."""
        return f"{self.offset}+{self.size} {self.path.stat().st_mtime_ns}"

    def shape(self) -> tuple[int, int]:
        """(frames, width) as the head says; [1, frames, width] and [width] count, too. Raises `BadFrames`."""
        try:
            head = io.BytesIO(self._bytes(4096))
            full, _, dtype = _HEADS[np.lib.format.read_magic(head)](head)
        except (ValueError, KeyError, OSError, SyntaxError, RecursionError, tokenize.TokenError) as error:
            raise BadFrames("not-npy", f"{self.path} holds no array of numbers ({error})") from error
        if dtype.hasobject:
            raise BadFrames("not-npy", f"{self.path} holds objects, not numbers")
        shape = full[1:] if len(full) == 3 and full[0] == 1 else (1, *full) if len(full) == 1 else full
        if not np.issubdtype(dtype, np.floating) or len(shape) != 2 or not all(shape):
            raise BadFrames("not-frames", f"{self.path} holds {dtype} of shape {full}, not [frames, width]")
        return shape[0], shape[1]

    def read(self) -> np.ndarray:
        """[frames, width]. Raises `BadFrames`."""
        shape = self.shape()
        try:
            if math.prod(shape) > self.size:  # numpy would ask for memory for all that the head promises
                raise ValueError(f"its head says {shape}, and there are {self.size} bytes")
            array = np.lib.format.read_array(io.BytesIO(self._bytes(self.size)), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise BadFrames("not-npy", f"{self.path} is damaged ({error})") from error
        return array.reshape(shape)

    def _bytes(self, most: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(min(self.size, most))


def read_foreign(source: Path, *, strict: bool = True) -> Iterator[ForeignFrames]:
    """Every array of a `.npy`, a tar, or a folder of them, in the order of the files.

    `strict`: whether a page beside an array must be JSON; else one that is not says nothing.
    Raises `UserMustAct` where there is no such place, where there are pickles, or a tar cannot be read.
    """
    index = _index(source)
    for path, name in _files(source).items():
        if path.suffix == ".npy":
            size = path.stat().st_size
            yield ForeignFrames(name.removesuffix(".npy"), path, 0, size, index.get(name, {}))
            continue
        try:
            with tarfile.open(path, "r:") as tar:  # not compressed: its arrays are read where they lie
                yield from _of_tar(tar, path, strict)
        except tarfile.TarError as error:
            raise UserMustAct(f"{path} is no plain tar file that can be read: {error}.") from error


def _files(source: Path) -> dict[Path, str]:
    """The files of a place that hold arrays, with their names below it."""
    if not source.exists():
        raise UserMustAct(f"There is no {source}.")
    paths = sorted(source.rglob("*")) if source.is_dir() else [source]
    for path in paths:
        if path.suffix in PICKLED:
            raise UserMustAct(f"{path}: {WAY_OUT}")
    kept = [path for path in paths if path.suffix in (".npy", ".tar")]
    return {path: path.name if path == source else path.relative_to(source).as_posix() for path in kept}


def _index(source: Path) -> dict[str, dict[str, Any]]:
    """What an export's index says of each `.npy`, by its name."""
    path = source / INDEX
    if not path.is_file():
        return {}
    lines = path.read_bytes().splitlines()
    entries = [_page(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    return {str(entry.get("file")): entry for entry in entries}


def _page(data: bytes, where: str, strict: bool = True) -> dict[str, Any]:
    """An object of JSON."""
    try:
        page = json.loads(data)
    except (ValueError, RecursionError) as error:
        if strict:
            raise UserMustAct(f"{where}, is no JSON: {error}.") from error
        return {}
    return page if isinstance(page, dict) else {}


def _of_tar(tar: tarfile.TarFile, path: Path, strict: bool) -> Iterator[ForeignFrames]:
    """The samples of one tar. The members of a sample have the same name up to the first dot, and lie side by
    side; its `json` may give an id, a rate and the seconds that it covers."""
    for key, members in itertools.groupby((m for m in tar if m.isfile()), key=lambda m: _key(m)[0]):
        array, page = None, {}
        for member in members:
            ending = _key(member)[1]
            if f".{ending.rpartition('.')[2]}" in PICKLED:
                raise UserMustAct(f"{path}, {member.name}: {WAY_OUT}")
            file = tar.extractfile(member) if ending == "json" else None
            if ending.endswith("npy"):
                array = member
            elif file is not None:
                page = _page(file.read(), f"{path}, {member.name}", strict)
        if array is not None:
            yield ForeignFrames(key, path, array.offset_data, array.size, page)


def _key(member: tarfile.TarInfo) -> tuple[str, str]:
    """A member's name up to its first dot, the folder included, and what follows."""
    folder, _, name = member.name.removeprefix("./").rpartition("/")
    key, _, ending = name.partition(".")
    return (f"{folder}/{key}" if folder else key), ending


# --- import -----------------------------------------------------------------------------------------------


def import_(source: Path, out: Place, encoder: str, rate: str) -> None:
    """Reads a folder of `.npy`, a tar or a folder of tars into a folder of this package.

    Args:
        encoder: What made the frames, as the index will say.
        rate: Frames a second, as a number or a fraction; 44100/4352 for the published Jukebox frames. Where
            an export says beside a clip what its rate is, that one holds.

    Raises:
        UserMustAct: There is nothing to import, the rate is no number, or there are pickles.
    """
    exact = _rate(rate)
    names = list(_files(source).values())
    if not names:
        raise UserMustAct(f"{source} holds no .npy and no .tar.")
    plan: dict[str, object] = {  # with the keys of an embed stage, so that what reads one reads the other
        "settings": {"encoder": encoder},
        "version": "imported",
        "width": None,
        "licence": "unknown",
        "imported": {"files": len(names), "names": hashlib.sha256("\n".join(names).encode()).hexdigest()},
        "encoder": encoder,
        "frames_per_second": str(exact),
    }
    writer = stages.open_stage(out, "embed", plan)
    with writer, engine.Ticker("import", None) as tick:
        if writer.finished:
            return
        for input_id, record in _records(read_foreign(source), encoder, exact):
            if input_id not in writer.done:
                writer.write(input_id, [record])
                tick()
        writer.finish()


def _rate(text: str) -> Fraction:
    try:
        exact = fraction(text)
    except ValueError:
        exact = Fraction(0)
    if not exact:
        raise UserMustAct(f"--rate {text[:40]} is no number of frames a second.")
    return exact


def _records(
    arrays: Iterator[ForeignFrames], encoder: str, rate: Fraction
) -> Iterator[tuple[str, Embedding | Dropped]]:
    """(id of the input, its record). Of two samples of one id the first is kept."""
    seen: Counter[str] = Counter()
    for array in arrays:
        clip_id = str(array.beside.get("clip_id", array.name))
        seen[clip_id] += 1
        if (number := seen[clip_id]) == 1:
            yield clip_id, _record(array, clip_id, encoder, rate)
        else:
            input_id = f"{clip_id} ({number})"
            why = f"{clip_id} is there {number} times; the first one is kept."
            yield input_id, Dropped(input_id, "embed", "same-id", why)


def _record(array: ForeignFrames, clip_id: str, encoder: str, rate: Fraction) -> Embedding | Dropped:
    try:
        frames = array.read()
    except BadFrames as error:
        return Dropped(clip_id, "embed", error.reason, f"{error}."[:300])
    try:
        own = _rate(str(array.beside.get("rate", rate)))
        start = float(array.beside.get("start_seconds", 0.0))
        end = float(array.beside.get("end_seconds", start + float(len(frames) / own)))
    except (UserMustAct, TypeError, ValueError) as error:
        return Dropped(
            clip_id, "embed", "not-times", f"What is said of its times is no number: {error}"[:300]
        )
    return Embedding(clip_id, encoder, frames, float(own), start, end, str(own))
