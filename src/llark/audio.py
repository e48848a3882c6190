"""The only file that opens audio, and where all time and frame arithmetic lives.

Two decoders: libsndfile (fast, exact to the sample) and FFmpeg through PyAV for what libsndfile cannot read
or reads wrongly. Both count time from the first sample that the encoder was given, so a window is the same
stretch of music whichever of them reads it; an mp3 or aac file that does not say how long its encoder's delay
was keeps that delay, in both.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
import soxr

from llark.errors import BadAudio, UserMustAct

WINDOW_SECONDS = 25.0
"""How long a clip is; the last one of a track may be shorter."""

SHORTEST_SECONDS = 1.0
"""Nothing shorter than this is a clip."""

MINI_FRAMES_PER_SECOND = 2
"""Frames a second of the `mini` embedding: frame i covers [i/2, (i+1)/2) seconds from the clip's start."""

LOUDEST_SAMPLE = 8.0
"""Full scale is 1; a decoder that goes beyond this has read a damaged file."""

AUDIO_SUFFIXES = (
    ".wav", ".w64", ".flac", ".aif", ".aiff", ".au", ".caf", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".m4b",
    ".mp4", ".aac", ".webm", ".mka", ".wma",
)  # fmt: skip
"""Lower-case suffixes that a search for audio files takes."""

_BLOCK_VALUES = 1 << 21
"""Samples × channels read at a time, so that many channels at a high rate need little memory."""

_PREROLL_SECONDS = 0.25
"""Decoded before a window and thrown away: a lossy decoder starts wrong in the middle."""

_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,caf,eac3,flac,matroska,webm,mov,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv,avi,flv"
)
"""The containers FFmpeg may open: none of them is a playlist that names other files or addresses."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file holds: samples a second and channel, channels, seconds, and the container's name."""

    sample_rate: int
    channels: int
    duration_seconds: float
    format: str


class MissingAudio(UserMustAct, BadAudio):
    """There is no such file: a person asked for it, or it went away under a long run, which drops it."""


class _Unreadable(Exception):
    """libsndfile does not know this format, or reads it wrongly."""


class _Damaged(_Unreadable):
    """libsndfile knows the format and cannot read all of the file."""


def frame_count(duration_seconds: float, frames_per_second: float) -> int:
    """Frames needed to cover a duration; the last one may be covered in part only."""
    return math.ceil(duration_seconds * frames_per_second - 1e-6)


def windows(duration_seconds: float, window_seconds: float = WINDOW_SECONDS) -> list[tuple[float, float]]:
    """The (start, end) seconds of a track's clips, side by side. A rest under 1 s is left out."""
    spans: list[tuple[float, float]] = []
    while duration_seconds - len(spans) * window_seconds >= min(SHORTEST_SECONDS, window_seconds):
        start = len(spans) * window_seconds
        spans.append((start, min(start + window_seconds, duration_seconds)))
    return spans


def probe(path: str | Path) -> AudioInfo:
    """What the file holds, without decoding it where that can be avoided.

    The duration is that of what can be decoded, whatever the header says. Raises as `load` does.
    """
    path = _existing(path)
    try:
        return _soundfile_probe(path)
    except _Unreadable as error:
        return _av_probe(path, decode_all=isinstance(error, _Damaged))


def load(
    path: str | Path,
    *,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    sample_rate: int | None = None,
) -> tuple[np.ndarray, int]:
    """The samples between two times, all channels averaged into one.

    Args:
        start_seconds: From the start of the file.
        end_seconds: `None`, or a time after the end, stands for the end of what can be decoded.
        sample_rate: Samples a second wanted; `None` keeps the file's own.

    Returns:
        float32 [samples], full scale ±1, and its sample rate.

    Raises:
        MissingAudio: There is no such file. It is both a `UserMustAct` and a `BadAudio`.
        BadAudio: `empty`, `not-audio`, `no-audio` (a film without sound) or `damaged`.
    """
    if start_seconds < 0 or (end_seconds is not None and end_seconds <= start_seconds):
        raise ValueError(f"a window from {start_seconds} s to {end_seconds} s holds no sound")
    path = _existing(path)
    try:
        samples, rate = _soundfile_load(path, start_seconds, end_seconds)
    except _Unreadable:
        samples, rate = _av_load(path, start_seconds, end_seconds)
    _refuse_damaged(samples, path, start_seconds)
    wanted = sample_rate or rate
    return resample(samples, rate, wanted), wanted


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """float32 [samples] at another rate, band-limited (soxr, high quality)."""
    if from_rate == to_rate:
        return samples
    resampled: np.ndarray = soxr.resample(samples, from_rate, to_rate, quality="HQ")
    return resampled


def decode(data: bytes) -> tuple[np.ndarray, int]:
    """The samples of a whole file in memory that libsndfile reads: float32 [samples], and their rate."""
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    return samples.mean(axis=1), rate


def save(path: str | Path, samples: np.ndarray, sample_rate: int) -> None:
    """Writes [samples] or [samples, channels] in the format the suffix names, wholly or not at all.

    A second at a time: libsndfile's Vorbis encoder can overflow the stack on more.
    """
    path = Path(path)
    kind = {".oga": "OGG", ".opus": "OGG", ".aif": "AIFF"}.get(path.suffix.lower(), path.suffix[1:].upper())
    subtype = {"WAV": "PCM_16", "FLAC": "PCM_16"}.get(
        kind, "OPUS" if path.suffix.lower() == ".opus" else None
    )
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    temporary = path.with_name(path.name + ".tmp")
    try:
        with soundfile.SoundFile(temporary, "w", sample_rate, channels, subtype, format=kind) as file:
            for start in range(0, len(samples), sample_rate):
                file.write(samples[start : start + sample_rate])
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if path.is_dir():
        raise MissingAudio("folder", f"{path} is a folder; name an audio file in it.")
    if not path.exists():
        raise MissingAudio("missing", f"There is no file {path}.")
    if not os.access(path, os.R_OK):
        raise MissingAudio("missing", f"The file {path} may not be read by this user.")
    if not path.is_file():
        raise BadAudio("not-audio", f"{path} is not a regular file.")
    if path.stat().st_size == 0:
        raise BadAudio("empty", f"{path} is empty: it has no bytes.")
    return path


def _refuse_damaged(samples: np.ndarray, path: Path, start_seconds: float) -> None:
    if not len(samples):
        where = f" after {start_seconds:g} s" if start_seconds else ""
        raise BadAudio("empty", f"{path} has no sound{where}: not one sample.")
    loudest = float(np.abs(samples).max())
    if not math.isfinite(loudest):
        raise BadAudio("damaged", f"{path} is damaged: it holds samples that are not numbers.")
    if loudest > LOUDEST_SAMPLE:
        raise BadAudio("damaged", f"{path} is damaged: a sample is {loudest:.3g} times full scale.")


def _is_mp3_without_length(path: Path) -> bool:
    """Whether this is an mp3 whose first frame does not tell how many there are.

    libsndfile then guesses the number from the first bit rate and leaves out what lies beyond.
    """
    with path.open("rb") as file:
        head = file.read(10)
        tag_bytes = 0
        if head[:3] == b"ID3" and len(head) == 10:
            size = [byte & 0x7F for byte in head[6:]]
            tag_bytes = 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
            tag_bytes += 10 if head[5] & 0x10 else 0
        file.seek(tag_bytes)
        frame = file.read(4096)
    synchronised = len(frame) > 3 and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0
    if not tag_bytes and not (synchronised and frame[1] & 0x06):  # layer 0 is AAC
        return False
    return not any(mark in frame for mark in (b"Xing", b"Info", b"VBRI", b"fLaC", b"RIFF", b"FORM"))


# --- libsndfile -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keeps libmpg123, which prints from C, off the terminal.

    File descriptor 2 belongs to the whole process, so a server's decoding threads leave it alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        kept = os.dup(2)
    except OSError:  # no standard error to protect
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def _soundfile_open(path: Path) -> Iterator[Any]:
    """An open `SoundFile`. The descriptor hides the name, so that only the content decides the format."""
    if _is_mp3_without_length(path):
        raise _Unreadable("it would leave out the end")
    with _quiet_stderr():
        try:
            file = soundfile.SoundFile(os.open(path, os.O_RDONLY), closefd=True)
        except soundfile.LibsndfileError as error:
            raise _Unreadable(str(error)) from error
        try:
            with file:
                yield file
        except soundfile.LibsndfileError as error:
            raise _Damaged(str(error)) from error


def _soundfile_probe(path: Path) -> AudioInfo:
    with _soundfile_open(path) as file:
        if not file.frames:
            raise BadAudio("empty", f"{path} has no sound: not one sample.")
        file.seek(file.frames - 1)
        if len(file.read(1)) != 1:
            raise _Damaged("shorter than its header says")
        return AudioInfo(file.samplerate, file.channels, file.frames / file.samplerate, file.format.lower())


def _soundfile_load(path: Path, start_seconds: float, end_seconds: float | None) -> tuple[np.ndarray, int]:
    with _soundfile_open(path) as file:
        rate = file.samplerate
        last = file.frames if end_seconds is None else min(round(end_seconds * rate), file.frames)
        first = min(round(start_seconds * rate), last)
        preroll = min(first, round(_PREROLL_SECONDS * rate))
        file.seek(first - preroll)
        wanted, blocks, block = last - first + preroll, [], max(1, _BLOCK_VALUES // file.channels)
        while wanted:
            read = file.read(min(block, wanted), dtype="float32", always_2d=True)
            if not len(read):
                raise _Damaged("shorter than its header says")
            blocks.append(read[:, 0].copy() if file.channels == 1 else read.mean(axis=1))
            wanted -= len(read)
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    return samples[preroll:], rate


# --- FFmpeg -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _av_open(path: Path) -> Iterator[tuple[Any, Any]]:
    """An open container and its first audio stream."""
    try:
        container = av.open(f"file:{path.absolute()}", options={"format_whitelist": _CONTAINERS})
    except (av.FFmpegError, ValueError) as error:
        raise BadAudio(
            "not-audio", f"{path} is not an audio file that can be read, or is damaged."
        ) from error
    with container:
        if not container.streams.audio:
            raise BadAudio("no-audio", f"{path} has no sound track.")
        yield container, container.streams.audio[0]


def _av_probe(path: Path, *, decode_all: bool = False) -> AudioInfo:
    """Counts packets, which is cheap, or samples, where a packet may turn out not to be decodable."""
    with _av_open(path) as (container, _):
        name = container.format.name.split(",")[0]
    frames = _av_frames(path, 0.0, None)
    position, frame = next(frames, (0, None))
    if frame is None:
        raise BadAudio("damaged", f"{path} is damaged: nothing in it can be decoded.")
    rate, channels = frame.sample_rate, len(frame.layout.channels)
    if not decode_all:
        return AudioInfo(rate, channels, _av_packet_seconds(path), name)
    end = position + frame.samples
    for position, frame in frames:
        end = position + frame.samples
    return AudioInfo(rate, channels, end / rate, name)


def _av_packet_seconds(path: Path) -> float:
    """Where the last packet ends, from where the first sample stands."""
    end = Fraction(0)
    with _av_open(path) as (container, stream):
        for packet in _packets(container, stream):
            if packet.pts is not None:
                end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
        return float(end - _origin(stream))


def _origin(stream: Any) -> Any:
    """The time, a fraction of seconds, that FFmpeg gives to the first sample where a delay is cut off."""
    return (stream.start_time or 0) * stream.time_base


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets, as far as the container can be read."""
    with contextlib.suppress(av.FFmpegError):
        yield from container.demux(stream)


def _packets_of_window(
    path: Path, start_seconds: float, end_seconds: float | None
) -> Iterator[tuple[float, Any]]:
    """Packets around a window, each with the second it begins at.

    They are read from the start of the file, never sought: without an index, time can only be counted.
    """
    with _av_open(path) as (container, stream):
        origin, before = _origin(stream), True
        for packet in _packets(container, stream):
            begins = 0.0 if packet.pts is None else float(packet.pts * packet.time_base - origin)
            before = before and packet.pts is not None and begins < start_seconds - _PREROLL_SECONDS
            if not before:
                yield begins, packet
            if end_seconds is not None and begins > end_seconds + _PREROLL_SECONDS:
                return


def _av_frames(path: Path, start_seconds: float, end_seconds: float | None) -> Iterator[tuple[int, Any]]:
    """Decoded frames around a window, each with the sample of the track that it starts at.

    Packets that cannot be decoded at the very start are what was left by a cut, and at the end by a broken
    download; between others they are damage.
    """
    broken_at: float | None = None
    position: int | None = None
    rate = 1
    for begins, packet in _packets_of_window(path, start_seconds, end_seconds):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            broken_at = begins if broken_at is None and position is not None else broken_at
            continue
        if frames and broken_at is not None:
            raise BadAudio("damaged", f"{path} is damaged: it cannot be decoded at {broken_at:.1f} s.")
        for frame in frames:
            if position is None:
                origin = _origin(packet.stream)
                seconds = Fraction(0) if frame.pts is None else frame.pts * frame.time_base - origin
                rate, position = frame.sample_rate, round(seconds * frame.sample_rate)
            if frame.sample_rate != rate:
                raise BadAudio("damaged", f"{path} changes its sample rate on the way.")
            yield position, frame
            position += frame.samples
    if broken_at is not None and broken_at < SHORTEST_SECONDS:
        raise BadAudio("damaged", f"{path} is damaged: only {broken_at:.2f} s of it can be decoded.")


def _av_load(path: Path, start_seconds: float, end_seconds: float | None) -> tuple[np.ndarray, int]:
    blocks: list[np.ndarray] = []
    rate = 0
    for position, frame in _av_frames(path, start_seconds, end_seconds):
        rate = frame.sample_rate
        first = max(0, round(start_seconds * rate) - position)
        last = frame.samples if end_seconds is None else max(0, round(end_seconds * rate) - position)
        blocks.append(_mono(frame)[first:last])
    if not blocks:
        raise BadAudio("damaged", f"{path} is damaged: nothing can be decoded from {start_seconds:g} s on.")
    return np.concatenate(blocks), rate


def _mono(frame: Any) -> np.ndarray:
    """float32 [samples]: the mean of the frame's channels, whatever its sample format."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, len(frame.layout.channels)).T
    full_scale = 1.0 if values.dtype.kind == "f" else 2.0 ** (8 * values.dtype.itemsize - 1)
    if values.dtype.kind == "u":
        values = values.astype(np.int16) - 128
    mono: np.ndarray = values.mean(axis=0, dtype=np.float64) / full_scale
    return mono.astype(np.float32)
