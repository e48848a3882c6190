"""Encoders for test files: every format, from the same few seconds of a recording."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import av
import hostile_files
import numpy as np
import soundfile
import soxr

from llark import audio

DEMO = Path(audio.__file__).parents[1] / "weights" / "demo" / "feelings.ogg"
RATE = 44100
SECONDS = 6.0


@cache
def sound() -> np.ndarray:
    """float32 [samples, 2]: six seconds of the demo recording, the right channel at half of the left."""
    samples, rate = soundfile.read(DEMO, frames=int(22050 * SECONDS), dtype="float32")
    left = soxr.resample(samples, rate, RATE)
    return np.stack([left, 0.5 * left], axis=1)


def mono() -> np.ndarray:
    """float32 [samples]: what a reader should hear."""
    return sound().mean(axis=1)


def write(path: Path, samples: np.ndarray, rate: int = RATE, **options: Any) -> Path:
    """Writes [samples] or [samples, channels] through libsndfile."""
    soundfile.write(path, samples, rate, **options)
    return path


def encode(
    path: Path,
    codec: str,
    *,
    rate: int = RATE,
    container: str = "",
    film: bool = False,
    repeat: int = 1,
    **options: str,
) -> Path:
    """Writes the sound with an FFmpeg encoder; `film` adds a picture."""
    samples = np.tile(sound() if rate == RATE else soxr.resample(sound(), RATE, rate), (repeat, 1))
    return hostile_files.encode(path, f"{codec}:{container}", samples, rate, options, film=film)


def silent_film(path: Path) -> Path:
    """A film without a sound track."""
    with av.open(str(path), "w") as file:
        pictures = hostile_files.add_pictures(file)
        file.mux(pictures.encode(hostile_files.PICTURE))
        file.mux(pictures.encode(None))
    return path


def packet_ends(path: Path) -> list[tuple[int, float]]:
    """Of an undamaged file: (byte after the packet, second after the packet), in order."""
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        origin = stream.start_time or 0
        packets = [p for p in file.demux(stream) if p.pts is not None and p.pos is not None]
        return [
            (p.pos + p.size, float((p.pts + (p.duration or 0) - origin) * stream.time_base)) for p in packets
        ]
