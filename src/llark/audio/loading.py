"""Reads and writes audio files.

Two decoders: libsndfile (fast, exact to the sample) here, and FFmpeg (`decoders.py`) for what libsndfile
cannot read or reads wrongly. Both count time from the first sample that the encoder was given, so a window is
the same stretch of music whichever of them reads it; an mp3 or aac file that does not say how long its
encoder's delay was keeps that delay, in both.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import threading
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr

from llark.audio import decoders, framing
from llark.audio import source as sources
from llark.audio.source import AFTER_THE_END_BYTES, PREROLL_SECONDS, AudioInfo, AudioSource
from llark.errors import BadAudio
from llark.records import Clip
from llark.storage.folders import Place

LOUDEST_SAMPLE = 8.0
"""Full scale is 1; a decoder that goes beyond this has read a damaged file."""

_RATES = (1000, 768_000)
"""Samples a second; with fewer or more it is the header that is wrong."""

AUDIO_SUFFIXES = (
    ".wav", ".w64", ".flac", ".aif", ".aiff", ".au", ".caf", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".m4b",
    ".mp4", ".aac", ".webm", ".mka", ".wma", ".mp2", ".aifc", ".wv", ".tta", ".ape", ".wave", ".bwf", ".rf64",
    ".snd", ".voc", ".ogx", ".ogv", ".spx", ".weba", ".mkv", ".m4r", ".m4v", ".mov", ".3gp", ".3g2", ".avi",
    ".flv", ".f4a", ".mpg", ".mpeg", ".mp1", ".mpa", ".m2ts", ".mts", ".ac3", ".eac3", ".amr", ".asf", ".wmv",
    ".dsf", ".dff", ".dts", ".mpc", ".tak", ".shn", ".ofr", ".ra", ".rm", ".m4p", ".aax",
)  # fmt: skip
"""Lower-case suffixes that a search for audio files takes: those of the formats that are read, and of some
that are not, whose files must not be passed over without a word."""

_BEGINNINGS = re.compile(
    rb"RIF[FX]....(WAVE|AVI )|(RF64|BW64)....WAVE|FORM....(AIF[FC]|8SVX)|riff\x2e\x91\xcf\x11|fLaC|OggS|ID3"
    rb"|\.snd|caff|Creative Voice File|wvpk|TTA[12]|MAC |#!AMR|DSD |FRM8|MPCK|MP\+|OFR |tBaK|ajkg|\.RMF"
    rb"|\.ra\xfd|FLV\x01|\x30\x26\xb2\x75|\x1a\x45\xdf\xa3|....(ftyp|moov|mdat)|\x00\x00\x01[\xba\xb3]|\x0b\x77"
    rb"|\x7f\xfe\x80\x01|\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd\xf0\xf1\xf8\xf9]|(....)?G.{187}(.{4})?G",
    re.DOTALL,
)
"""What files of the formats of `AUDIO_SUFFIXES` begin with; a transport stream has a G every 188 bytes."""

_ROUNDED_SECONDS = 0.1
"""By so much two ways to tell a file's length may differ."""

_BLOCK_VALUES = 1 << 21
"""Samples × channels read at a time, so that many channels at a high rate need little memory."""

_OGG_END_SECONDS = 10
"""libsndfile seeks to wrong samples in the last page of an Ogg file: it is read from before that."""

_READ_PAST_HOLES = (("OGG", "FLAC"), ("WAV", "MPEG_LAYER_III"), ("WAV", "MPEG_LAYER_II"))
"""libsndfile's names of what only FFmpeg reads."""

_TOLD_BY_THEIR_END = ("FLAC", "OGG", "MP3", "MPEG")
"""libsndfile's names of formats in which nothing but a label can follow the sound."""


class _Unreadable(Exception):
    """libsndfile does not know this format, or reads it wrongly."""


class _Damaged(_Unreadable):
    """libsndfile knows the format and cannot read all of the file."""


def looks_like_audio(beginning: bytes) -> bool:
    """Whether a file that begins so (its first 200 bytes tell) may be a recording, or a film."""
    return _BEGINNINGS.match(beginning) is not None


def probe(path: Place) -> AudioInfo:
    """What the file holds, without decoding it where that can be avoided.

    The duration is that of what can be decoded, whatever the header says. Raises as `load` does.
    """
    with sources.opened(path) as source:
        try:
            info = _soundfile_probe(source)
        except _Unreadable as error:
            info = decoders.probe(source, decode_all=isinstance(error, _Damaged))
        _refuse_rate(info.sample_rate, source.name)
    return info


def fingerprint(path: Place) -> str:
    """16 hex digits that change with the file at a path or URL, whatever it is called or when it was copied.

    Only the size and 48 kB of the bytes are looked at: a file that shrank, grew or was swapped for another is
    noticed, a change of single bytes may not be. Raises as `load` does, but not for what is no audio.
    """
    with sources.opened(path) as source:
        return source.fingerprint()


def refuse_changed(clip: Clip) -> None:
    """Raises `BadAudio`, `changed`, where a clip's file is no longer the one that the clip was cut from.

    Where no fingerprint was noted, as in older data, the file must at least reach the end of the clip.
    """
    if clip.fingerprint:
        is_same, how = fingerprint(clip.path) == clip.fingerprint, ""
    else:
        seconds = probe(clip.path).duration_seconds
        is_same = seconds > clip.end_seconds - _ROUNDED_SECONDS
        how = f": it ends at {seconds:.2f} s, and the clip at {clip.end_seconds:.2f} s"
    if not is_same:
        raise BadAudio("changed", f"{clip.path} has changed since it was prepared{how}.")


def load(
    path: Place,
    *,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    sample_rate: int | None = None,
) -> tuple[np.ndarray, int]:
    """The samples between two times, all channels averaged into one.

    Args:
        path: A local file, or a URL that fsspec can address: then only what is needed is fetched.
        start_seconds: From the start of the file.
        end_seconds: `None`, or a time after the end, stands for the end of what can be decoded.
        sample_rate: Samples a second wanted; `None` keeps the file's own.

    Returns:
        float32 [samples], full scale ±1, and its sample rate.

    Raises:
        MissingAudio: There is no such file. It is both a `UserMustAct` and a `BadAudio`.
        BadAudio: `empty`, `not-audio`, `no-audio` (a film without sound) or `damaged`.
        OSError: A remote store could not be reached.
    """
    end_seconds = None if end_seconds == math.inf else end_seconds
    if not (0 <= start_seconds < math.inf and (end_seconds is None or end_seconds > start_seconds)):
        raise ValueError(f"a window from {start_seconds} s to {end_seconds} s holds no sound")
    with sources.opened(path) as source:
        try:
            samples, rate = _soundfile_load(source, start_seconds, end_seconds)
        except _Unreadable:
            samples, rate = decoders.load(source, start_seconds, end_seconds)
        _refuse_rate(rate, source.name)
        _refuse_damaged(samples, source.name, start_seconds)
    target_rate = sample_rate or rate
    return resample(samples, rate, target_rate), target_rate


def one_channel(samples: np.ndarray, sample_rate: float) -> np.ndarray:
    """A clip's samples as float32 [samples].

    Raises:
        BadAudio: They are not one channel (`no-samples`) or not finite (`not-finite`).
        ValueError: They are not real numbers, or the rate is no number above 0.
    """
    if not isinstance(sample_rate, Real) or not 0 < sample_rate < math.inf:
        raise ValueError(f"a sample rate is samples a second, above 0; found {sample_rate!r:.60}")
    if np.asarray(samples).dtype.kind not in "fiu":
        raise ValueError(f"samples are an array of real numbers; found {samples!r:.60}")
    with np.errstate(over="ignore"):
        samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1 or not len(samples):
        raise BadAudio("no-samples", f"Expected one channel of samples, got an array of {samples.shape}.")
    if not np.isfinite(samples).all():
        raise BadAudio("not-finite", "The samples hold values that are not numbers.")
    return samples


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """float32 [samples] at another rate, band-limited (soxr, high quality)."""
    if from_rate == to_rate:
        return samples
    return soxr.resample(samples, from_rate, to_rate, quality="HQ")


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


def _refuse_rate(rate: int, name: str) -> None:
    least, most = _RATES
    if not least <= rate <= most:
        what = f"it says {rate:,} samples a second; {least:,} to {most:,} can be sound"
        raise BadAudio("damaged", f"{name} is damaged: {what}.")


def _refuse_damaged(samples: np.ndarray, name: str, start_seconds: float) -> None:
    if not len(samples):
        where = f" after {start_seconds:g} s" if start_seconds else ""
        raise BadAudio("empty", f"{name} has no sound{where}: not one sample.")
    loudest = float(np.abs(samples).max())
    if not math.isfinite(loudest):
        raise BadAudio("damaged", f"{name} is damaged: it holds samples that are not numbers.")
    if loudest > LOUDEST_SAMPLE:
        raise BadAudio("damaged", f"{name} is damaged: a sample is {loudest:.3g} times full scale.")


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
        saved_stderr = os.dup(2)
    except OSError:  # no standard error to protect
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved_stderr, 2)
        os.close(saved_stderr)
        os.close(nowhere)


@contextlib.contextmanager
def _soundfile_open(source: AudioSource) -> Iterator[tuple[Any, BinaryIO]]:
    """An open `SoundFile`, and the bytes it reads from. It is not told the name: the content decides."""
    if framing.is_flac_of_several(source):
        what = "it is several FLAC files, one after the other"
        raise BadAudio("damaged", f"{source.name} is damaged: {what}.")
    if framing.is_wav_of_false_header(source):
        what = "its header contradicts itself in channels, width and rate"
        raise BadAudio("damaged", f"{source.name} is damaged: {what}.")
    if framing.is_ogg_without_beginning(source):
        raise BadAudio("damaged", f"{source.name} is damaged: its beginning cannot be read.")
    if sources.is_mp3_without_length(source):
        raise _Unreadable("it would leave out the end")
    if framing.is_chained_ogg(source):
        raise _Damaged("it would leave out the streams after the first")
    with source.open() as data, _quiet_stderr():
        try:
            file = soundfile.SoundFile(data if source.path is None else os.dup(data.fileno()), closefd=True)
        except (soundfile.LibsndfileError, TypeError) as error:
            raise _Unreadable(str(error)) from error
        try:
            with file:
                if (file.format, file.subtype) in _READ_PAST_HOLES:
                    raise _Unreadable("it would join the ends of a hole, or end at it")
                yield file, data
        except soundfile.LibsndfileError as error:
            raise _Damaged(str(error)) from error


def _refuse_false_end(file: Any, data: BinaryIO, source: AudioSource) -> None:
    """Reads the last sample that the header tells of: it must be there, and nothing much after it."""
    last = file.frames - 1
    if file.seek(last) != last or len(file.read(1)) != 1:  # libmpg123 may stop far beyond
        raise _Damaged("shorter than its header says")
    left = source.size_bytes - _place(data, source)
    if file.format in _TOLD_BY_THEIR_END and left > AFTER_THE_END_BYTES:
        raise _Damaged("longer than its header says")


def _refuse_hole(file: Any, data: BinaryIO, source: AudioSource, begins: int, first: int, last: int) -> None:
    """Looks at the bytes of the samples `first` to `last`, which were read from a place on.

    Where pages or frames are lost, libsndfile joins the ends.
    """
    if file.format not in _TOLD_BY_THEIR_END:
        return
    start = max(0, begins - 2 * framing.PAGE_BYTES) if file.format in ("OGG", "FLAC") else 0
    count = _place(data, source) - start + framing.PAGE_BYTES
    data.seek(start)
    piece = data.read(count)
    if file.format != "OGG":
        is_flac = file.format == "FLAC"
        if framing.has_flac_hole(piece) if is_flac else framing.frame_hole(piece) is not None:
            raise _Damaged("frames are missing")
        return
    if holes := framing.ogg_holes(piece):
        scale = 48_000 / file.samplerate if file.subtype == "OPUS" else 1
        skipped = framing.last_granule(source) - file.frames * scale
        for before, after in holes:
            if before - skipped < last * scale and after - skipped > first * scale:
                at = (before - skipped) / scale / file.samplerate
                raise BadAudio("damaged", f"{source.name} is damaged: pages of it are missing at {at:.1f} s.")


def _place(data: BinaryIO, source: AudioSource) -> int:
    """The byte that libsndfile has come to."""
    return data.tell() if source.path is None else os.lseek(data.fileno(), 0, os.SEEK_CUR)


def _soundfile_probe(source: AudioSource) -> AudioInfo:
    with _soundfile_open(source) as (file, data):
        if not file.frames:
            raise BadAudio("empty", f"{source.name} has no sound: not one sample.")
        _refuse_false_end(file, data, source)
        return AudioInfo(file.samplerate, file.channels, file.frames / file.samplerate, file.format.lower())


def _soundfile_load(
    source: AudioSource, start_seconds: float, end_seconds: float | None
) -> tuple[np.ndarray, int]:
    with _soundfile_open(source) as (file, data):
        rate = file.samplerate
        if file.frames and (end_seconds is None or end_seconds * rate >= file.frames):
            _refuse_false_end(file, data, source)
        last = file.frames if end_seconds is None else min(round(end_seconds * rate), file.frames)
        first = min(round(start_seconds * rate), last)
        begin, until = max(0, first - round(PREROLL_SECONDS * rate)), last
        to_the_end = file.format == "OGG" and last > file.frames - _OGG_END_SECONDS * rate
        if to_the_end:
            begin, until = max(0, min(begin, file.frames - _OGG_END_SECONDS * rate)), file.frames
        file.seek(begin)
        begins = _place(data, source)
        samples = _read(file, until - begin)
        _refuse_hole(file, data, source, begins, begin, until)
        if len(samples) < until - begin:
            raise _Damaged("shorter than its header says")
    return samples[first - begin : last - begin], rate


def _read(file: Any, missing: int) -> np.ndarray:
    """float32 [samples], the mean of the channels; a block at a time, for files of many channels.

    Fewer than asked for are what comes before damage: what libsndfile reads after it may stand elsewhere.
    """
    blocks, block = [], max(1, _BLOCK_VALUES // file.channels)
    while missing > 0:
        read = file.read(min(block, missing), dtype="float32", always_2d=True)
        blocks.append(_mixed(read))
        missing = missing - block if len(read) == min(block, missing) else 0
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _mixed(block: np.ndarray) -> np.ndarray:
    """[samples]: the mean of [samples, channels], by columns: numpy is slow along so short an axis."""
    mixed: np.ndarray = block[:, 0].copy()
    for channel in range(1, block.shape[1]):
        mixed += block[:, channel]
    if block.shape[1] > 1:
        mixed /= np.float32(block.shape[1])
    return mixed
