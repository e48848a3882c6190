"""A clip gets a file of its own, mono, for the tools that need one."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from llark import audio
from llark.errors import UserMustAct
from llark.records import Clip
from llark.storage import folders

Kind = Literal["wav", "flac"]

SUFFIXES: dict[str, str] = {"wav": ".wav", "flac": ".flac"}
"""The formats a clip can be written in, 16 bits a sample, and their suffixes."""

_READABLE_CHARACTERS = 40


@dataclass(frozen=True)
class Convert:
    """Writes clips below the folder `out`, each file wholly or not at all.

    `sample_rate`: samples a second; `None` keeps the track's own.
    """

    out: str
    kind: Kind = "wav"
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in SUFFIXES:
            raise ValueError(f"clips are written as {' or '.join(SUFFIXES)}, not as {self.kind!r}")
        if self.sample_rate is not None and not 1000 <= self.sample_rate <= 384_000:
            raise ValueError(f"{self.sample_rate} samples a second: 1000 to 384000 can be written")

    def __call__(self, clip: Clip) -> Clip:
        """The clip in its own file: its times are of that file, and `offset_seconds` says where it was.

        Only the clip's window is decoded. Raises `BadAudio` as `audio.load` does, and `UserMustAct` where the
        file cannot be written.
        """
        samples, rate = audio.load(
            clip.path,
            start_seconds=clip.start_seconds,
            end_seconds=clip.end_seconds,
            sample_rate=self.sample_rate,
        )
        path = self._saved(file_name(clip.id) + SUFFIXES[self.kind], _as_integers(samples), rate)
        return replace(
            clip,
            path=path,
            start_seconds=0.0,
            end_seconds=len(samples) / rate,
            offset_seconds=clip.start_seconds,
        )

    def _saved(self, name: str, integers: np.ndarray, rate: int) -> str:
        """Writes int16 [samples] to a file of the folder, and returns its path or URL."""
        place = folders.join(self.out, name)
        with _clear_errors(place):
            if not folders.is_url(place):
                Path(place).parent.mkdir(parents=True, exist_ok=True)
                audio.save(place, integers, rate)
                return str(place)
            with TemporaryDirectory() as folder:
                here = Path(folder, f"clip{SUFFIXES[self.kind]}")
                audio.save(here, integers, rate)
                folders.folder(self.out).write(name, here.read_bytes())
        return str(place)


@contextlib.contextmanager
def _clear_errors(place: folders.Place) -> Iterator[None]:
    """A file that cannot be written is no fault of the clip: the disk is full or forbidden; the run stops."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # libsndfile's errors are RuntimeErrors
        why = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        full = f"Cannot write {place}: {why}. Is the disk full? What was finished is kept."
        raise UserMustAct(full) from error


def _as_integers(samples: np.ndarray) -> np.ndarray:
    """int16 [samples], rounded; what is beyond full scale is cut off."""
    integers: np.ndarray = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    return integers


def file_name(clip_id: str) -> str:
    """`3f/what-can-be-read-3f0c…`: short, of plain letters, and another one for every id."""
    digest = hashlib.sha256(clip_id.encode()).hexdigest()[:16]
    readable = re.sub(r"[^A-Za-z0-9.@]+", "-", clip_id)[-_READABLE_CHARACTERS:].strip("-.")
    return f"{digest[:2]}/{readable}-{digest}"
