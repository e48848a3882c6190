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
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from llark import engine
from llark.errors import StoreMismatch, UserMustAct
from llark.records import Dropped, Embedding
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
    with engine.Ticker("export", len(shards)) as tick:
        if layout == "npy":
            for clip_id, embedding in shards.items():
                np.save(
                    out / f"{names[clip_id]}.npy", embedding.frames.astype(np.float32), allow_pickle=False
                )
                lines.append(_entry(embedding, f"{names[clip_id]}.npy"))
                tick()
        else:
            lines = list(_export_tars(shards, out, names, tick))
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (out / INDEX).write_text(text, encoding="utf-8")
    return len(lines)


def _export_tars(
    shards: Embeddings, out: Path, names: dict[str, str], tick: engine.Ticker
) -> Iterator[dict[str, object]]:
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
                tick()


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


@dataclass(frozen=True, eq=False)
class Sample:
    """One array of a layout, not yet read, and what is said of it beside: the fields of an export's index."""

    name: str
    data: bytes
    said: dict[str, Any]

    @property
    def clip_id(self) -> str:
        return str(self.said.get("clip_id", self.name))


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
    found = _sources(source)
    names = [path.name if source.is_file() else path.relative_to(source).as_posix() for path in found]
    plan: dict[str, object] = {
        "imported": {"files": len(names), "names": hashlib.sha256("\n".join(names).encode()).hexdigest()},
        "encoder": encoder,
        "frames_per_second": str(exact),
    }
    writer = stages.open_stage(out, "embed", _described(plan))
    with writer, engine.Ticker("import", None) as tick:
        if writer.finished:
            return
        for input_id, record in _records(_samples(found, names, source), encoder, exact):
            if input_id not in writer.done:
                writer.write(input_id, [record])
                tick()
        writer.finish()


def _rate(said: str) -> Fraction:
    try:
        exact = Fraction(said)
    except (ValueError, ZeroDivisionError) as error:
        raise UserMustAct(f"--rate {said} is no number of frames a second.") from error
    if exact <= 0:
        raise UserMustAct(f"--rate {said} is no number of frames a second.")
    return exact


def _described(plan: dict[str, object]) -> dict[str, object]:
    """The same keys as an embed stage has, so that what reads one reads the other."""
    settings = {"encoder": plan["encoder"]}
    return {"settings": settings, "version": "imported", "width": None, "licence": "unknown", **plan}


def _sources(source: Path) -> list[Path]:
    if source.is_file():
        found = [source]
    elif source.is_dir():
        found = sorted(path for path in source.rglob("*") if path.suffix in (".npy", ".tar", *PICKLED))
    else:
        raise UserMustAct(f"There is no {source}.")
    for path in found:
        if path.suffix in PICKLED:
            raise UserMustAct(f"{path}: {WAY_OUT}")
    if not found:
        raise UserMustAct(f"{source} holds no .npy and no .tar.")
    return found


def _index(source: Path) -> dict[str, dict[str, Any]]:
    """What an export's index says of each `.npy`, by its name."""
    path = source / INDEX
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    entries = [_said(line.encode(), f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    return {str(entry.get("file")): entry for entry in entries}


def _said(data: bytes, where: str) -> dict[str, Any]:
    """An object of JSON. Raises `UserMustAct` where it is none."""
    try:
        said = json.loads(data)
    except ValueError as error:
        raise UserMustAct(f"{where}, is no JSON: {error}.") from error
    return said if isinstance(said, dict) else {}


def _samples(found: list[Path], names: list[str], source: Path) -> Iterator[Sample]:
    """Every array, in the order of the files."""
    known = _index(source)
    for path, name in zip(found, names, strict=True):
        if path.suffix == ".npy":
            yield Sample(name.removesuffix(".npy"), path.read_bytes(), known.get(name, {}))
            continue
        try:
            with tarfile.open(path) as tar:
                yield from _of_tar(tar, path)
        except tarfile.TarError as error:
            raise UserMustAct(f"{path} is no tar file that can be read: {error}.") from error


def _of_tar(tar: tarfile.TarFile, path: Path) -> Iterator[Sample]:
    """The samples of one tar. The members of a sample have the same name up to the first dot, and lie side by
    side; its `json` may give an id, a rate and the seconds that it covers."""
    for key, members in itertools.groupby((m for m in tar if m.isfile()), key=lambda m: _key(m)[0]):
        data, said = None, {}
        for member in members:
            ending = _key(member)[1]
            if f".{ending.rpartition('.')[2]}" in PICKLED:
                raise UserMustAct(f"{path}, {member.name}: {WAY_OUT}")
            file = tar.extractfile(member)
            if file is not None and ending.endswith("npy"):
                data = file.read()
            elif file is not None and ending == "json":
                said = _said(file.read(), f"{path}, {member.name}")
        if data is not None:
            yield Sample(key, data, said)


def _key(member: tarfile.TarInfo) -> tuple[str, str]:
    """A member's name up to its first dot, the folder included, and what follows."""
    folder, _, name = member.name.removeprefix("./").rpartition("/")
    key, _, ending = name.partition(".")
    return (f"{folder}/{key}" if folder else key), ending


def _records(
    samples: Iterator[Sample], encoder: str, rate: Fraction
) -> Iterator[tuple[str, Embedding | Dropped]]:
    """(id of the input, its record). Of two samples of one id the first is kept."""
    seen: Counter[str] = Counter()
    for sample in samples:
        seen[sample.clip_id] += 1
        if (number := seen[sample.clip_id]) == 1:
            yield sample.clip_id, _read(sample, encoder, rate)
        else:
            input_id = f"{sample.clip_id} ({number})"
            why = f"{sample.clip_id} is there {number} times; the first one is kept."
            yield input_id, Dropped(input_id, "embed", "same-id", why)


def _read(sample: Sample, encoder: str, rate: Fraction) -> Embedding | Dropped:
    """One array as a record: [1, frames, width], [frames, width] or [width]."""
    clip_id, said = sample.clip_id, sample.said
    try:
        frames = np.load(io.BytesIO(sample.data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        return Dropped(clip_id, "embed", "not-npy", f"It is no .npy of numbers: {error}"[:300])
    frames = frames[0] if frames.ndim == 3 and len(frames) == 1 else np.atleast_2d(frames)
    if frames.ndim != 2 or not frames.size or not np.issubdtype(frames.dtype, np.floating):
        return Dropped(clip_id, "embed", "not-frames", f"It is {frames.dtype} {frames.shape}, not frames.")
    try:
        own = _rate(str(said.get("rate", rate)))
        start = float(said.get("start_seconds", 0.0))
        end = float(said.get("end_seconds", start + float(len(frames) / own)))
    except (UserMustAct, TypeError, ValueError) as error:
        return Dropped(
            clip_id, "embed", "not-times", f"What is said of its times is no number: {error}"[:300]
        )
    return Embedding(clip_id, encoder, frames, float(own), start, end, str(own))
