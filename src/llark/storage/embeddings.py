"""Reading embeddings: a stage's folder (see `llark.storage.stages`) whose frames say what they cover.

Frames lie in float16 in safetensors shards, so that any tool opens them; each line of the index beside a
shard gives a clip's id, its encoder, the exact frames a second as a fraction, the seconds of the recording
that the frames cover, their shape, and the SHA-256 of their bytes. A clip is read by its id, on disk or with
one ranged read below a URL.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NotRequired

import numpy as np
from typing_extensions import TypedDict

from llark import records
from llark.errors import UserMustAct
from llark.records import Embedding
from llark.storage import folders, stages
from llark.storage.folders import Place


class IndexEntry(TypedDict):
    """The line of the index about a clip."""

    clip_id: str
    encoder: str
    frames_per_second: float
    shape: tuple[int, int]
    sha256: str
    start_seconds: NotRequired[float]
    end_seconds: NotRequired[float]
    rate: NotRequired[str]


OPEN_SHARDS = 32
"""Shards of one folder that are open at once: each is a file handle, and systems allow some hundreds."""


class Embeddings(Mapping[str, Embedding]):
    """The embeddings of a finished folder by clip id, each read when asked for: from disk, or, below a URL,
    with one ranged read of its shard.

    Iterates over the ids in the order of the stage's input. Can be sent to another process. `[clip_id]`
    raises `UserMustAct` where a clip's frames cannot be read, or are not those that were written, which is
    checked the first time.

    Raises:
        UserMustAct: The folder is not finished, or its index is damaged.
    """

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self._verified: set[str] = set()
        self._index: dict[str, tuple[str, IndexEntry]] = {}
        for part, entry in stages.read_parts(folder, IndexEntry):
            clip_id, rate = entry["clip_id"], entry["frames_per_second"]
            if clip_id in self._index or not 0 <= rate < math.inf:
                raise stages.damaged(folder, f"what it says of {clip_id} cannot be")
            self._index[clip_id] = (f"{part}.safetensors", entry)
        self._open_files()

    def _open_files(self) -> None:
        """Opened shards; the one that was used longest ago is closed for a new one."""
        self._files = folders.folder(self.folder)
        self._tensors = lru_cache(OPEN_SHARDS)(self._files.tensors)

    def __getitem__(self, clip_id: str) -> Embedding:
        from safetensors import SafetensorError

        shard, entry = self._index[clip_id]
        try:
            frames: np.ndarray = self._tensors(shard).get_tensor(clip_id)
            exact = str(records.fraction(entry.get("rate", entry["frames_per_second"])))
        except (OSError, SafetensorError, LookupError, TypeError, ValueError) as error:
            raise stages.damaged(self.folder, f"{clip_id} cannot be read ({error})") from error
        if clip_id not in self._verified:
            digest = hashlib.sha256(frames.tobytes()).hexdigest()
            if (digest, frames.shape) != (entry["sha256"], entry["shape"]):
                raise stages.damaged(self.folder, f"the frames of {clip_id} are not those that were written")
            self._verified.add(clip_id)
        rate, start = entry["frames_per_second"], entry.get("start_seconds", 0.0)
        end = entry.get("end_seconds", start + (len(frames) / rate if rate else 0.0))
        return Embedding(clip_id, entry["encoder"], frames, rate, start, end, exact)

    @property
    def frames_per_second(self) -> float:
        """Of the first clip; 0 where there is none."""
        return next((entry["frames_per_second"] for _, entry in self._index.values()), 0.0)

    def shape(self, clip_id: str) -> tuple[int, int]:
        """(frames, width), without reading them."""
        return self._index[clip_id][1]["shape"]

    def entry(self, clip_id: str) -> IndexEntry:
        """The line of the index about a clip."""
        return self._index[clip_id][1]

    def damaged(self) -> list[str]:
        """Ids of the clips whose frames are not those that were written, or cannot be read any more."""
        return [clip_id for clip_id in self if not self._is_as_written(clip_id)]

    def _is_as_written(self, clip_id: str) -> bool:
        try:
            return self[clip_id] is not None
        except UserMustAct:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_files", "_tensors")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open_files()
