"""The exchanges in the formats of others: Parquet, chat JSON lines, and WebDataset tars.

The tars of the published code hold pickles, which run what is in them when they are read. Ours hold `.npy`;
the published layout is written where it is asked for by name, and never read.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import tarfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from llark.errors import UserMustAct
from llark.questions import CAPTIONING, REASONING, UNDERSTANDING
from llark.records import Clip, Embedding, Exchange

FORMATS = ("parquet", "chat", "webdataset")
ROWS = 10_000
"""Exchanges of one row group."""

SHARD_SAMPLES = 1000
PUBLISHED_FAMILIES = {UNDERSTANDING: "mir", CAPTIONING: "captioning", REASONING: "reasoning"}
"""What the published shards call the families: its sampler looks for these words in the names."""


def parquet(exchanges: Iterable[Exchange], out: Path) -> Path:
    """One file, a row an exchange. Raises `UserMustAct` where pyarrow is missing."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserMustAct("Parquet needs pyarrow: pip install 'llark[parquet]'.") from error
    text, texts = pyarrow.string(), pyarrow.list_(pyarrow.string())
    lists = {"facts", "measured_by"}
    schema = pyarrow.schema(
        [(name, texts if name in lists else text) for name in Exchange.__dataclass_fields__]
    )
    path, written = out / "exchanges.parquet", out / "exchanges.parquet.tmp"
    with pyarrow.parquet.ParquetWriter(written, schema, compression="zstd") as writer:
        rows = map(asdict, exchanges)
        while group := list(islice(rows, ROWS)):
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))
    written.replace(path)
    return path


def chat(exchanges: Iterable[Exchange], out: Path, clips: Mapping[str, Clip]) -> Path:
    """`chat.jsonl`: a conversation a line, in the turns that chat templates with audio take.

    The audio is the clip's file and stretch where the clips are known, else its id.
    """
    path, written = out / "chat.jsonl", out / "chat.jsonl.tmp"
    with written.open("w", encoding="utf-8") as file:
        for one in exchanges:
            file.write(json.dumps(_conversation(one, clips.get(one.clip_id)), ensure_ascii=False) + "\n")
    written.replace(path)
    return path


def _conversation(one: Exchange, clip: Clip | None) -> dict[str, Any]:
    audio: dict[str, Any] = {"type": "audio", "audio": one.clip_id}
    if clip is not None:
        audio |= {"audio": clip.path, "start_seconds": clip.start_seconds, "end_seconds": clip.end_seconds}
    return {
        "id": one.clip_id,
        "messages": [
            {"role": "user", "content": [audio, {"type": "text", "text": one.question}]},
            {"role": "assistant", "content": [{"type": "text", "text": one.answer}]},
        ],
        "task": one.task,
        "kind": one.kind,
        "facts": list(one.facts),
        "teacher": one.teacher,
        "split": one.split,
        "licence": one.licence,
    }


def webdataset(
    exchanges: Iterable[Exchange], out: Path, embeddings: Mapping[str, Embedding], *, published: bool = False
) -> list[Path]:
    """Tars of `KEY.json` and `KEY.audio_encoding.npy` (float32 [1, frames, width]) for each clip.

    Named `DATASET-SPLIT-ENCODER-FAMILY-000000.tar`. Clips without an embedding are left out. With `published`
    a pickled array [frames, width], `KEY.audio_encoding.pyd`, takes the place of the `.npy`, and the tars go
    into a folder of their own. Raises `UserMustAct` where there is nothing to write.
    """
    folder = out / ("webdataset-published" if published else "webdataset")
    folder.mkdir(parents=True, exist_ok=True)
    shards: dict[str, _Shard] = {}
    for clip_id, group in groupby(exchanges, key=lambda one: one.clip_id):
        if clip_id not in embeddings:
            continue
        embedding = embeddings[clip_id]
        by_family: dict[str, list[Exchange]] = {}
        for one in group:
            by_family.setdefault(one.task, []).append(one)
        for family, some in by_family.items():
            parts = some[0].dataset, some[0].split, embedding.encoder, PUBLISHED_FAMILIES[family]
            name = "-".join(map(_name, parts))
            shards.setdefault(name, _Shard(folder, name, published)).add(clip_id, some, embedding)
    paths = [path for shard in shards.values() for path in shard.close()]
    if not paths:
        raise UserMustAct("None of the clips has an embedding: name the folder of theirs with --embeddings.")
    return paths


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", text) or "unknown"


class _Shard:
    """Tars of one name, so many samples each; each is renamed into place when it is whole."""

    def __init__(self, folder: Path, name: str, published: bool) -> None:
        self.folder, self.name, self.published = folder, name, published
        self.paths: list[Path] = []
        self._tar: tarfile.TarFile | None = None
        self._keys: set[str] = set()

    def add(self, clip_id: str, some: list[Exchange], embedding: Embedding) -> None:
        if self._tar is None:
            self.paths.append(self.folder / f"{self.name}-{len(self.paths):06d}.tar")
            self._tar = tarfile.open(self.paths[-1].with_suffix(".tmp"), "w")  # noqa: SIM115
        key = self._key(clip_id)
        pairs = [{"question": one.question, "answer": one.answer} for one in some]
        origin = {"licence": some[0].licence, "teacher": some[0].teacher}
        about = {
            name: getattr(embedding, name) for name in ("encoder", "rate", "start_seconds", "end_seconds")
        }
        known = {name: value for name, value in about.items() if value is not None}
        page = {"uri": clip_id, "clip_id": clip_id, "response": pairs, **origin, **known}
        self._member(f"{key}.json", json.dumps(page, ensure_ascii=False).encode())
        frames = embedding.frames.astype(np.float32)
        if self.published:
            self._member(f"{key}.audio_encoding.pyd", pickle.dumps(frames, protocol=4))
        else:
            buffer = io.BytesIO()
            np.save(buffer, frames[None], allow_pickle=False)
            self._member(f"{key}.audio_encoding.npy", buffer.getvalue())
        if len(self._keys) == SHARD_SAMPLES:
            self._finish()

    def _key(self, clip_id: str) -> str:
        """The clip's id without the dots that part a WebDataset name; no two are alike in a tar."""
        plain = re.sub(r"[./\\\s]", "_", clip_id)
        key, number = plain, 1
        while key in self._keys:
            number += 1
            key = f"{plain}-{number}"
        self._keys.add(key)
        return key

    def _member(self, name: str, data: bytes) -> None:
        assert self._tar is not None
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(data), int(time.time())
        self._tar.addfile(info, io.BytesIO(data))

    def _finish(self) -> None:
        if self._tar is not None:
            self._tar.close()
            self.paths[-1].with_suffix(".tmp").replace(self.paths[-1])
            self._tar, self._keys = None, set()

    def close(self) -> list[Path]:
        self._finish()
        return self.paths
