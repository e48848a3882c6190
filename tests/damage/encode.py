"""Encoders for test files: every format, from the same few seconds of a recording."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import av
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
    quality: int | None = None,
    bit_rate: int = 192_000,
    container: str | None = None,
    sample_format: str = "fltp",
    options: dict[str, str] | None = None,
    film: bool = False,
    repeat: int = 1,
) -> Path:
    """Writes the sound with an FFmpeg encoder; `quality` makes the bit rate vary, `film` adds pictures."""
    with av.open(str(path), "w", format=container, options=options or {}) as file:
        pictures: Any = _pictures(file) if film else None
        stream: Any = file.add_stream(codec, rate=rate)
        stream.layout, stream.bit_rate = "stereo", bit_rate
        if quality is not None:
            stream.codec_context.flags |= av.codec.context.Flags.qscale
            stream.codec_context.global_quality = quality * 118
        samples = np.tile(sound() if rate == RATE else soxr.resample(sound(), RATE, rate), (repeat, 1))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = rate, 0
        if film:
            file.mux(pictures.encode(_picture()))
            file.mux(pictures.encode(None))
        frames = av.AudioResampler(sample_format).resample(frame)
        for packet in (*(p for f in frames for p in stream.encode(f)), *stream.encode(None)):
            file.mux(packet)
    return path


def silent_film(path: Path) -> Path:
    """A film without a sound track."""
    with av.open(str(path), "w") as file:
        pictures = _pictures(file)
        file.mux(pictures.encode(_picture()))
        file.mux(pictures.encode(None))
    return path


def _pictures(file: Any) -> Any:
    stream = file.add_stream("mpeg4", rate=10)
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
    return stream


def _picture() -> Any:
    return av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")


def packet_ends(path: Path) -> list[tuple[int, float]]:
    """Of an undamaged file: (byte after the packet, second after the packet), in order."""
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        origin = stream.start_time or 0
        packets = [p for p in file.demux(stream) if p.pts is not None and p.pos is not None]
        return [
            (p.pos + p.size, float((p.pts + (p.duration or 0) - origin) * stream.time_base)) for p in packets
        ]
