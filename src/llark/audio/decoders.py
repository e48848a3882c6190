"""FFmpeg through PyAV: reads what libsndfile cannot, and counts what a header does not tell or tells wrongly.

Where something is lost on the way, what follows keeps its time: a short gap becomes silence, a longer one is
damage.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from llark.audio import framing
from llark.audio.source import AFTER_THE_END_BYTES, PREROLL_SECONDS, SHORTEST_SECONDS, AudioInfo, AudioSource
from llark.errors import BadAudio

_ROUNDED_SECONDS = 0.005
"""Containers round times by this much; frames that are further apart have lost something between them."""

_LOST_SECONDS = 0.1
"""Shorter gaps become silence; more than this in all is damage."""

_BROKEN_PACKETS = 1
"""More than so many that cannot be decoded between others that can is damage. One is where two mp3s meet."""

_ENDLESS = 1 << 62

_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""FFmpeg's names of containers whose packets can be sought by time, exactly."""

_FRAMED = ("aac", "ac3", "eac3", "mp3", "mp2")
"""FFmpeg's names of formats that are frames side by side and nothing else."""

_ROUNDED_DOWN = ("ac3", "eac3")
"""Formats in which FFmpeg rounds each frame's length down before it adds them up."""

_CHECKED = ("flac", "tta", "wavpack", "ac3", "eac3")
"""Codecs whose frames carry a checksum that every encoder writes."""

_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,caf,eac3,flac,matroska,webm,mov,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv,avi,flv"
)
"""The containers FFmpeg may open: none of them is a playlist that names other files or addresses."""


@contextlib.contextmanager
def _open(source: AudioSource) -> Iterator[tuple[Any, Any]]:
    """An open container and its first audio stream. FFmpeg itself opens no address but a local file's."""
    with contextlib.ExitStack() as stack:
        where = f"file:{source.path.absolute()}" if source.path else stack.enter_context(source.open())
        try:
            container = av.open(where, options={"format_whitelist": _CONTAINERS})
        except (av.FFmpegError, ValueError) as error:
            raise BadAudio(
                "not-audio", f"{source.name} is not an audio file that can be read, or is damaged."
            ) from error
        stack.enter_context(container)
        if not container.streams.audio:
            raise BadAudio("no-audio", f"{source.name} has no sound track.")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise BadAudio("not-audio", f"{source.name} holds sound in a format that cannot be read.")
        if stream.codec_context.name in _CHECKED:
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        yield container, stream


def probe(source: AudioSource, *, decode_all: bool = False) -> AudioInfo:
    """Counts packets, which is cheap, or samples, where a packet may turn out not to be decodable."""
    with _open(source) as (container, _):
        name = container.format.name.split(",")[0]
        decode_all = decode_all or name in ("flac", "ogg", *_ROUNDED_DOWN)  # packets tell a wrong time
    frames = _frames(source, 0.0, None)
    position, frame = next(frames, (0, None))
    if frame is None:
        raise BadAudio("damaged", f"{source.name} is damaged: nothing in it can be decoded.")
    rate, channels = frame.sample_rate, len(frame.layout.channels)
    if not decode_all:
        return AudioInfo(rate, channels, _packet_seconds(source), name)
    end = position + frame.samples
    for position, frame in frames:
        end = position + frame.samples
    return AudioInfo(rate, channels, end / rate, name)


def _packet_seconds(source: AudioSource) -> float:
    """Where the last packet ends, from where the first sample stands."""
    end = Fraction(0)
    with _open(source) as (container, stream):
        for packet in _packets(source, container, stream):
            if packet.pts is not None:
                end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
        return float(end - _origin(stream))


def _origin(stream: Any) -> Any:
    """The time, a fraction of seconds, that FFmpeg gives to the first sample where a delay is cut off.

    A FLAC stream has none: its frames are numbered from the first, and where that is lost, the others stay.
    In a film time counts from where its pictures or its sound begin, whichever comes first.
    """
    if stream.container.format.name == "flac":
        return 0
    starts = [(each.start_time or 0) * each.time_base for each in (stream, *_films(stream))]
    return min(starts) + _wma_delay(stream.codec_context)


def _films(stream: Any) -> list[Any]:
    """The streams of moving pictures beside a stream; the picture of a cover is none."""
    return [
        each
        for each in stream.container.streams.video
        if not each.disposition & av.stream.Disposition.attached_pic
    ]


def _wma_delay(codec: Any) -> Any:
    """The seconds of one frame, which a WMA encoder puts before the sound, and FFmpeg keeps."""
    if not codec.name.startswith("wmav"):
        return 0
    limits = (16_000, 32_000 if codec.name == "wmav1" else 22_050, 48_000, 96_000)
    return Fraction(512 << bisect.bisect_left(limits, codec.sample_rate), codec.sample_rate)


def _lead_seconds(source: AudioSource) -> float:
    """How much later than a film its sound begins. FFmpeg may not have met any when it opened the film."""
    with _open(source) as (container, stream):
        first = next(_packets(source, container, stream), None)
        if first is None or first.pts is None or not _films(stream):
            return 0.0
        return float(first.pts * first.time_base - _origin(stream))


def _refuse_hole(source: AudioSource) -> None:
    """Frames of these formats tell no time: where some are lost, FFmpeg joins the ends."""
    with _open(source) as (container, stream):
        name, codec = container.format.name, stream.codec_context
        if name == "flac" and not codec.extradata:
            raise BadAudio("damaged", f"{source.name} is damaged: its beginning cannot be read.")
        in_wav = name in ("wav", "w64") and codec.name.startswith(_FRAMED)
    if not in_wav and name not in (*_FRAMED, "ogg", "flac"):
        return
    with source.open() as file:
        data = file.read()
    begins = data.find(b"data") + 8 if in_wav else 0
    checks: dict[str, Callable[[bytes], object]] = {
        "ogg": framing.ogg_holes,
        "flac": framing.has_flac_hole,
    }
    if checks[name](data) if name in checks else framing.frame_hole(data[begins:]) is not None:
        raise BadAudio("damaged", f"{source.name} is damaged: pieces of it are missing.")


def _packets(source: AudioSource, container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets, as far as the container can be read: to the end, or near to it."""
    end, until = 0, Fraction(0)
    try:
        for packet in container.demux(stream):
            end = max(end, (packet.pos or 0) + packet.size)
            if packet.pts is not None:
                until = (packet.pts + (packet.duration or 0)) * packet.time_base
            yield packet
    except (av.FFmpegError, IndexError) as error:  # PyAV does not know a stream that comes on the way
        if source.size_bytes - end > AFTER_THE_END_BYTES:
            what = f"it cannot be read on from byte {end}"
            raise BadAudio("damaged", f"{source.name} is damaged: {what}.") from error
    if container.format.name == "avi" and stream.codec_context.name.startswith(_FRAMED):
        # its packets are counted, but for those that are lost
        missing = (stream.duration or 0) * stream.time_base - until
        if missing > _LOST_SECONDS:
            raise BadAudio("damaged", f"{source.name} is damaged: {float(missing):.2f} s are missing in it.")


def _packets_from(
    source: AudioSource, container: Any, stream: Any, seconds: float
) -> Iterator[tuple[float, Any]]:
    """Packets from a time on, or from some before it, each with the second it begins at.

    Where the container has an index, it is sought; elsewhere time can only be counted from the start.
    """
    unit, origin = float(stream.time_base), float(_origin(stream))

    def begins(packet: Any) -> float:
        return 0.0 if packet.pts is None else packet.pts * unit - origin

    packets = _packets(source, container, stream)
    if seconds > PREROLL_SECONDS and container.format.name in _INDEXED:
        timestamp = math.floor((seconds + origin) / unit)
        with contextlib.suppress(av.FFmpegError):
            container.seek(timestamp, stream=stream)
        first = next(packets, None)
        if first is not None and first.pts is not None and begins(first) <= seconds:
            packets = itertools.chain([first], packets)
        else:
            with contextlib.suppress(av.FFmpegError):
                container.seek(0)
            packets = _packets(source, container, stream)
    before = True
    for packet in packets:
        at = begins(packet)
        before = before and packet.pts is not None and at + (packet.duration or 0) * unit <= seconds
        if not before:
            yield at, packet


def _frames(
    source: AudioSource, start_seconds: float, end_seconds: float | None
) -> Iterator[tuple[int, Any]]:
    """Decoded frames around a window, each with the sample of the track that it starts at.

    Packets that cannot be decoded at the very start are what was left by a cut, and at the end by a broken
    download. Between others they are damage where they are more than a few, and so is a stretch of time that
    no packet covers.
    """
    broken: list[float] = []
    lost = 0.0
    _refuse_hole(source)
    with _open(source) as (container, stream):
        # an Ogg file may be several, each with a time of its own; a FLAC header may lack the unit of time
        clock = _Clock(source.name, chained=container.format.name in ("ogg", "flac"))
        for begins, packet in _packets_from(source, container, stream, start_seconds - PREROLL_SECONDS):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                broken += [begins] if clock.rate else []
                if (
                    packet.pos is None or packet.pos + packet.size < source.size_bytes
                ):  # no cut goes through it
                    lost += float((packet.duration or 0) * packet.time_base)
                continue
            if frames and broken:
                clock.skip(broken)
                broken, lost = [], 0.0
            position = 0
            for frame in frames:
                position = clock(frame, stream)
                yield position, frame
            if end_seconds is not None and position > (end_seconds + PREROLL_SECONDS) * clock.rate:
                return
    if broken and broken[0] < SHORTEST_SECONDS:
        what = f"only {broken[0]:.2f} s of it can be decoded"
        raise BadAudio("damaged", f"{source.name} is damaged: {what}.")
    if broken:
        _refuse_lost(source.name, round(lost * clock.rate), round(broken[0] * clock.rate), clock.rate)


class _Clock:
    """Says at which sample of the track a frame starts: samples are counted, and the gaps between them.

    A gap is one that two frames in a row tell of: FFmpeg gives single frames of Ogg files too late a time. If
    the first of a window is one of them, the second tells.
    """

    def __init__(self, name: str, *, chained: bool) -> None:
        self.name, self.rate, self.chained = name, 0, chained
        self._position = self._lost = self._suspected = self._broken = self._second = 0

    def __call__(self, frame: Any, stream: Any) -> int:
        seconds = None if frame.pts is None else frame.pts * frame.time_base - _origin(stream)
        if seconds is not None and stream.container.format.name in _ROUNDED_DOWN:
            seconds = Fraction(frame.pts // frame.duration * frame.samples, frame.sample_rate)
        if not self.rate:
            self.rate, self._position = frame.sample_rate, round((seconds or 0) * frame.sample_rate)
            if size := round(_wma_delay(stream.codec_context) * self.rate):  # the times are rounded
                self._position = size * round(self._position / size)
            self._second = self._position + frame.samples if self._position > 0 else 0
        if frame.sample_rate != self.rate:
            raise BadAudio("damaged", f"{self.name} changes its sample rate on the way.")
        if seconds is not None:
            gap, early = round(seconds * self.rate) - self._position, -_ROUNDED_SECONDS * self.rate
            if self._position == self._second and gap < early:
                self._position += gap
            self._mind(round(seconds * self.rate) - self._position)
        position = self._position
        self._position += frame.samples
        return position

    def skip(self, broken: list[float]) -> None:
        """Packets that begin at these seconds could not be decoded, and others after them can."""
        self._broken += len(broken)
        if broken:
            self._suspected = _ENDLESS  # the next frame alone tells of a gap
        if self._broken > _BROKEN_PACKETS:
            raise BadAudio("damaged", f"{self.name} is damaged: it cannot be decoded at {broken[0]:.1f} s.")

    def _mind(self, gap: int) -> None:
        if max(gap, self._suspected) < -_LOST_SECONDS * self.rate and not self.chained:
            raise BadAudio("damaged", f"{self.name} is damaged: its time goes back on the way.")
        late, self._suspected = min(gap, self._suspected), gap
        if late > _ROUNDED_SECONDS * self.rate:
            self._lost += late
            self._suspected -= late
            _refuse_lost(self.name, self._lost, self._position, self.rate)
            self._position += late


def _refuse_lost(name: str, lost: int, position: int, rate: int) -> None:
    if lost > _LOST_SECONDS * rate:
        what = f"{lost / rate:.2f} s are missing at {position / rate:.1f} s"
        raise BadAudio("damaged", f"{name} is damaged: {what}.")


def load(source: AudioSource, start_seconds: float, end_seconds: float | None) -> tuple[np.ndarray, int]:
    """float32 [samples] between two times, all channels averaged into one, and their rate.

    Raises `BadAudio`: `not-audio`, `no-audio` or `damaged`.
    """
    blocks: list[np.ndarray] = []
    rate = at = 0
    for position, frame in _frames(source, start_seconds, end_seconds):
        if not rate:
            rate = frame.sample_rate
            at = round(start_seconds * rate)
        end = position + frame.samples if end_seconds is None else round(end_seconds * rate)
        if position > at:  # silence keeps the time of what follows
            silent = max(0, min(position, end) - at)
            if silent > _LOST_SECONDS * rate and not blocks:
                silent -= max(0, min(round(_lead_seconds(source) * rate) - at, silent))
            _refuse_lost(source.name, silent, at, rate)
            blocks.append(np.zeros(max(0, min(position, end) - at), np.float32))
            at = position
        inside = _mono(frame)[max(0, at - position) : max(0, end - position)]
        blocks.append(inside)
        at += len(inside)
    if not blocks:
        where = f"from {start_seconds:g} s on"
        raise BadAudio("damaged", f"{source.name} is damaged: nothing can be decoded {where}.")
    return np.concatenate(blocks), rate


def _mono(frame: Any) -> np.ndarray:
    """float32 [samples]: the mean of the frame's channels, whatever its sample format."""
    if frame.format.name in ("s64", "s64p"):  # unknown to PyAV
        frame = av.AudioResampler(format="dblp").resample(frame)[0]
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, len(frame.layout.channels)).T
    full_scale = 1.0 if values.dtype.kind == "f" else 2.0 ** (8 * values.dtype.itemsize - 1)
    if values.dtype.kind == "u":
        values = values.astype(np.int16) - 128
    mono: np.ndarray = values.mean(axis=0, dtype=np.float64) / full_scale
    return mono.astype(np.float32)
