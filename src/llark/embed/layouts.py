"""Embeddings in the layouts that LLark's code reads and writes, in and out.

`npy`: a folder of `.npy`, one a clip, [frames, width]. `webdataset`: tar files whose samples hold a `.npy`,
[1, frames, width]; the published shards hold a pickle (`audio_encoding.pyd`) instead, which is code that runs
when it is read: those are refused, with the way out. An export has `index.jsonl` beside it, since a file name
cannot hold every id.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from llark import engine, store
from llark.embed.shards import Placed, Shards
from llark.errors import StoreMismatch, UserMustAct
from llark.files import Place
from llark.records import Dropped

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
    shards = Shards(folder)
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
    shards: Shards, out: Path, names: dict[str, str], tick: engine.Ticker
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


def _entry(embedding: Placed, file: str) -> dict[str, object]:
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


def import_(source: Path, out: Place, encoder: str, rate: str) -> None:
    """Reads a folder of `.npy`, a tar or a folder of tars into a folder of this package.

    Args:
        encoder: What made the frames, as the index will say.
        rate: Frames a second, as a number or a fraction; 44100/4352 for the published Jukebox frames.

    Raises:
        UserMustAct: There is nothing to import, the rate is no number, or there are pickles.
    """
    try:
        exact = Fraction(rate)
    except (ValueError, ZeroDivisionError) as error:
        raise UserMustAct(f"--rate {rate} is no number of frames a second.") from error
    if exact <= 0:
        raise UserMustAct(f"--rate {rate} is no number of frames a second.")
    found = _sources(source)
    plan: dict[str, object] = {
        "imported": [path.name for path in found],
        "encoder": encoder,
        "frames_per_second": str(exact),
    }
    known = _index(source)
    writer = store.open_stage(out, "embed", _described(plan))
    with writer, engine.Ticker("import", None) as tick:
        if writer.finished:
            return
        for name, data in _arrays(found):
            entry = known.get(name, {})
            clip_id = str(entry.get("clip_id", name))
            if clip_id not in writer.done:
                start = float(entry.get("start_seconds", 0.0))
                writer.write(clip_id, [_read(clip_id, data, encoder, exact, start)])
                tick()
        writer.finish()


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
    """What an export's index says, by the name of a file without its ending."""
    path = source / INDEX
    if not path.is_file():
        return {}
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {
        str(entry["file"]).removesuffix(".npy"): entry for entry in entries if ".tar" not in entry["file"]
    }


def _arrays(found: list[Path]) -> Iterator[tuple[str, bytes]]:
    """(name, bytes of a .npy) of every sample."""
    for path in found:
        if path.suffix == ".npy":
            yield path.stem, path.read_bytes()
            continue
        try:
            with tarfile.open(path) as tar:
                yield from _samples(tar, path)
        except tarfile.TarError as error:
            raise UserMustAct(f"{path} is no tar file that can be read: {error}.") from error


def _samples(tar: tarfile.TarFile, path: Path) -> Iterator[tuple[str, bytes]]:
    """The arrays of one tar; a sample's own `json`, if it comes first or second, gives its id."""
    waiting: dict[str, bytes] = {}
    named: dict[str, str] = {}
    for member in tar:
        key, _, ending = member.name.rpartition("/")[2].partition(".")
        file = tar.extractfile(member)
        if file is None:
            continue
        if f".{ending.rpartition('.')[2]}" in PICKLED:
            raise UserMustAct(f"{path}, {member.name}: {WAY_OUT}")
        if ending.endswith("npy"):
            waiting[key] = file.read()
        elif ending == "json":
            said = json.loads(file.read())
            named[key] = str(said.get("clip_id", key)) if isinstance(said, dict) else key
        for ready in [key for key in waiting if key in named]:
            yield named[ready], waiting.pop(ready)
    for key, data in waiting.items():
        yield key, data


def _read(clip_id: str, data: bytes, encoder: str, rate: Fraction, start: float) -> Placed | Dropped:
    """One array as a record: [1, frames, width], [frames, width] or [width]."""
    try:
        frames = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        return Dropped(clip_id, "embed", "not-npy", f"It is no .npy of numbers: {error}"[:300])
    frames = frames[0] if frames.ndim == 3 and len(frames) == 1 else np.atleast_2d(frames)
    if frames.ndim != 2 or not frames.size or not np.issubdtype(frames.dtype, np.floating):
        return Dropped(clip_id, "embed", "not-frames", f"It is {frames.dtype} {frames.shape}, not frames.")
    end = start + float(len(frames) / rate)
    return Placed(clip_id, encoder, frames, float(rate), start, end, str(rate))
