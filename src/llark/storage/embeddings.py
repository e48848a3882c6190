"""The embeddings' store: a stage's folder (see `llark.storage.stages`) whose frames say what they cover.

Frames lie in float16 in safetensors shards, so that any tool opens them; each line of the index beside a
shard gives a clip's id, its encoder, the exact frames a second as a fraction, the seconds of the recording
that the frames cover, their shape, and the SHA-256 of their bytes. A clip is read by its id, on disk or with
one ranged read below a URL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from llark.records import Clip, Embedding
from llark.storage import stages
from llark.storage.folders import Place


@dataclass(frozen=True, eq=False)
class Placed(Embedding):
    """An embedding that says what it covers: `start_seconds` and `end_seconds` of its recording's file, and
    `rate`, the exact frames a second, as a fraction."""

    start_seconds: float = 0.0
    end_seconds: float = 0.0
    rate: str = ""

    @property
    def exact_rate(self) -> Fraction:
        return Fraction(self.rate)


def placed(clip: Clip, encoder: str, frames: np.ndarray, rate: Fraction, heard_seconds: Fraction) -> Placed:
    """What an encoder heard in a clip: `heard_seconds` are those of the samples that were there."""
    end = clip.start_seconds + float(heard_seconds)
    return Placed(clip.id, encoder, frames, float(rate), clip.start_seconds, end, str(rate))


class Shards(Mapping[str, Placed]):
    """The embeddings of a finished folder by clip id; see `store.Embeddings`, which it wraps."""

    def __init__(self, folder: Place) -> None:
        self.inner = stages.Embeddings(folder)

    def __getitem__(self, clip_id: str) -> Placed:
        found, entry = self.inner[clip_id], self.inner.entry(clip_id)
        seconds = len(found.frames) / found.frames_per_second if found.frames_per_second else 0.0
        start = float(entry.get("start_seconds", 0.0))
        return Placed(
            clip_id,
            found.encoder,
            found.frames,
            found.frames_per_second,
            start,
            float(entry.get("end_seconds", start + seconds)),
            str(entry.get("rate") or Fraction(found.frames_per_second)),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.inner)

    def __len__(self) -> int:
        return len(self.inner)

    def damaged(self) -> list[str]:
        """Ids of the clips whose frames are not those that were written, or cannot be read any more."""
        return [clip_id for clip_id in self.inner if not self._is_as_written(clip_id)]

    def _is_as_written(self, clip_id: str) -> bool:
        from safetensors import SafetensorError

        try:
            frames = self.inner[clip_id].frames
        except (OSError, SafetensorError, KeyError, ValueError):
            return False
        entry = self.inner.entry(clip_id)
        digest = hashlib.sha256(frames.tobytes()).hexdigest()
        return (digest, list(frames.shape)) == (entry["sha256"], entry["shape"])
