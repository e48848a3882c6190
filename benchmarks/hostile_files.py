"""Recordings in every format that can be written here, and ways to damage them: the files of `hostile.py`."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
import soundfile

from llark import audio

SECONDS, OTHER_SECONDS = 35.0, 27.0
WRONG_SECONDS = 0.1
"""How long a stretch may be wrong: a frame of a lossy codec, and what overlaps it."""
LAG_SAMPLES = 1 << 18
"""So much is compared to see how far sound is off its time."""
REASONS = frozenset({"damaged", "not-audio", "no-audio", "empty", "too-short"})

FORMATS = """
wav-s16      wav  WAV/PCM_16        bytes
wav-u8       wav  WAV/PCM_U8        bytes
wav-s24      wav  WAVEX/PCM_24      bytes
wav-f32      wav  WAV/FLOAT         bytes
wav-f64      wav  WAV/DOUBLE        bytes
wav-ulaw     wav  WAV/ULAW          bytes
wav-s64      wav  pcm_s64le         bytes
wav-adpcm    wav  adpcm_ms          bytes
wav-ima      wav  adpcm_ima_wav     bytes
wav-mp3      wav  libmp3lame        frames  late
wav-ac3      wav  ac3               frames  late
rf64         wav  RF64/PCM_16       bytes
w64          w64  W64/PCM_24        bytes
aiff         aiff AIFF/PCM_16       bytes
au           au   AU/PCM_24         bytes
caf          caf  CAF/PCM_16        bytes
caf-alac     caf  CAF/ALAC_16       sized
voc          voc  VOC/PCM_16        bytes
flac         flac FLAC/PCM_16       time
flac-ffmpeg  flac flac              time
ogg          ogg  OGG/VORBIS        time
opus         opus libopus           time    rate=48000
oga-flac     oga  flac:ogg          time
mp3          mp3  libmp3lame        frames
mp3-vbr      mp3  libmp3lame        frames  quality=4
mp3-bare     mp3  libmp3lame        frames  late write_xing=0 id3v2_version=0
mp3-low      mp3  MP3/MPEG_LAYER_III frames rate=22050
mp2          mp2  mp2               frames  late
aac          aac  aac:adts          frames  late
ac3          ac3  ac3               frames  late
eac3         eac3 eac3              frames  late
amr          amr  libopencore_amrnb frames  late rate=8000 bit_rate=12200
m4a          m4a  aac               sized
m4a-fast     m4a  aac               sized   movflags=faststart
m4a-pieces   mp4  aac               time    late movflags=frag_keyframe+empty_moov frag_duration=1000000
m4a-alac     m4a  alac              sized
mp4-mp3      mp4  libmp3lame        sized
mov-pcm      mov  pcm_s16le         bytes
3gp          3gp  aac               sized
wma          wma  wmav2             sized   bit_rate=128000
wma1         wma  wmav1             sized   bit_rate=128000
wv           wv   wavpack           time
tta          tta  tta               sized
mka-vorbis   mka  vorbis            sized
mka-aac      mka  aac               sized
mkv-flac     mkv  flac:matroska     sized
mkv-mp3      mkv  libmp3lame:matroska sized
mkv-ac3      mkv  ac3:matroska      sized   late
mka-alac     mka  alac:matroska     sized
mka-pcm      mka  pcm_s24le:matroska sized
mka-tta      mka  tta:matroska      sized
mka-wv       mka  wavpack:matroska  sized
webm         webm libopus           sized   rate=48000
ts-aac       ts   aac:mpegts        time    late
ts-mp2       ts   mp2:mpegts        time    late
mpg-mp2      mpg  mp2:mpeg          time    late
flv          flv  libmp3lame:flv    time    late
avi-mp3      avi  libmp3lame:avi    sized   late
avi-pcm      avi  pcm_s16le:avi     bytes
"""
"""Name, suffix, how it is written (libsndfile's KIND/SUBTYPE or FFmpeg's codec:container), what it says of
its sound, options. `late`: it cannot tell its encoder's delay, which is then heard."""


@dataclass(frozen=True)
class Format:
    """A way to write sound to a file."""

    name: str
    suffix: str
    writer: str
    says: str
    """`bytes`, `frames`, `time` or `sized`."""
    late: bool = False
    options: dict[str, str] = field(default_factory=dict, hash=False)


def _format(line: str) -> Format:
    name, suffix, writer, says, *options = line.split()
    pairs = dict(option.split("=") for option in options if "=" in option)
    return Format(name, suffix, writer, says, "late" in options, pairs)


ALL = {format.name: format for format in map(_format, FORMATS.strip().splitlines())}


# --- undamaged files --------------------------------------------------------------------------------------


def notes(seed: int, seconds: float, rate: int, channels: int) -> np.ndarray:
    """float32 [samples, channels]: three new tones every 80 ms, each fading into the next: no two alike."""
    hop, random = round(0.08 * rate), np.random.default_rng(seed)
    sound = np.zeros((round(seconds * rate) + 2 * hop, channels), np.float32)
    radians = (2 * np.pi / rate * np.arange(2 * hop, dtype=np.float32))[:, None, None]
    fade = 0.12 * np.hanning(2 * hop + 1)[:-1, None].astype(np.float32)
    for start in range(0, len(sound) - 2 * hop, hop):
        hertz, phases = random.uniform((200, 0), (3000, 6.28), (3, channels, 2)).astype(np.float32).T
        sound[start : start + 2 * hop] += fade * np.sin(radians * hertz.T + phases.T).sum(axis=1)
    return sound[hop:-hop]


def encode(
    path: Path, writer: str, samples: np.ndarray, rate: int, options: dict[str, str], *, film: bool = False
) -> Path:
    """Writes [samples, channels] with an encoder of libsndfile or FFmpeg; `film` adds a picture."""
    if "/" in writer:
        kind, subtype = writer.split("/")
        with soundfile.SoundFile(path, "w", rate, samples.shape[1], subtype, format=kind) as file:
            for start in range(0, len(samples), rate):  # libsndfile's Vorbis overflows the stack on more
                file.write(samples[start : start + rate])
        return path
    codec, _, container = writer.partition(":")
    rest = {name: value for name, value in options.items() if name not in ("rate", "bit_rate", "quality")}
    with av.open(str(path), "w", format=container or None, options=rest) as target:
        pictures = add_pictures(target) if film else None
        stream: Any = target.add_stream(codec, rate=rate)
        stream.layout = "stereo" if samples.shape[1] == 2 else "mono"
        stream.codec_context.options = {"strict": "experimental"}
        stream.bit_rate = int(options.get("bit_rate", 192_000))
        if "quality" in options:  # of a bit rate that varies
            stream.codec_context.flags |= av.codec.context.Flags.qscale
            stream.codec_context.global_quality = int(options["quality"]) * 118
        usable = [form.name for form in av.codec.Codec(codec, "w").audio_formats or ()]
        form = next((name for name in ("fltp", "s16", "s16p") if name in usable), usable[0])
        resampler = av.AudioResampler(form, stream.layout.name, rate)
        packets = [*pictures.encode(PICTURE), *pictures.encode(None)] if pictures else []
        for start in range(0, len(samples), 4096):
            part = np.ascontiguousarray(samples[start : start + 4096].T)
            frame = av.AudioFrame.from_ndarray(part, "fltp", stream.layout.name)
            frame.sample_rate, frame.pts = rate, start
            packets += [packet for one in resampler.resample(frame) for packet in stream.encode(one)]
        for packet in (*packets, *stream.encode(None)):
            target.mux(packet)
    return path


PICTURE = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")


def add_pictures(film: Any) -> Any:
    """A stream of pictures for a container."""
    stream = film.add_stream("mpeg4", rate=10)
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
    return stream


def decode(path: Path, *, strict: bool = False) -> tuple[np.ndarray, int] | None:
    """(float32 [samples], rate) as FFmpeg reads a file from end to end; `strict`: None at the first error."""
    blocks, rate = [], 0
    ignored = () if strict else (av.FFmpegError,)
    try:
        with av.open(str(path)) as file:
            stream, to_floats = file.streams.audio[0], av.AudioResampler("fltp")
            if strict:
                stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
            for packet in file.demux(stream):
                with contextlib.suppress(*ignored):
                    for frame in itertools.chain(*map(to_floats.resample, packet.decode())):
                        blocks.append(frame.to_ndarray().mean(axis=0))
                        rate = frame.sample_rate
    except (av.FFmpegError, ValueError, IndexError):
        blocks = [] if strict else blocks
    return (np.concatenate(blocks), rate) if blocks else None


@dataclass(frozen=True)
class Whole:
    """An undamaged file."""

    data: bytes
    rate: int
    truth: np.ndarray
    """float32 [samples]: the mean of its channels."""
    pieces: tuple[tuple[int, int, float, float], ...]
    """(first byte, byte after, seconds it begins at, and ends at) of each page or packet."""
    raw: tuple[int, str, str, int] | None
    """Where PCM begins, its subtype, its byte order and its channels; None for all else."""

    @property
    def header_bytes(self) -> int:
        return self.pieces[0][0]

    def seconds(self, byte: int, *, after: bool) -> float:
        """Where the pieces before a byte end (the piece it lies in included, where `after`)."""
        ends = [p[3] for p in self.pieces if (p[0] < byte if after else p[1] <= byte)]
        return ends[-1] if ends else 0.0

    def piece_seconds(self) -> float:
        return max(end - begin for _, _, begin, end in self.pieces)


@lru_cache(maxsize=4)
def whole(name: str, variant: int) -> Whole:
    """A format's recording: variant 0 is stereo; 1 mono, at another rate if it may; 2 like 0, but shorter."""
    form = ALL[name]
    rate = int(form.options.get("rate", 48_000 if variant == 1 else 44_100))
    channels = 1 if (variant == 1 and form.writer != "vorbis") or name == "amr" else 2
    sound = notes(variant, OTHER_SECONDS if variant == 2 else SECONDS, rate, channels)
    with TemporaryDirectory() as folder:
        path = encode(Path(folder, f"whole.{form.suffix}"), form.writer, sound, rate, form.options)
        data, heard = path.read_bytes(), decode(path)
        raw = _raw(data, form, sound, rate)
        mixed = sound.mean(axis=1)
        truth = _aligned(mixed if heard is None else heard[0], mixed, form.late)
        seconds = len(truth) / rate
        pieces = _pages(data, seconds) if data[:4] == b"OggS" else _packets(path, data, seconds)
    if raw is not None:
        first, width = raw[0], len(_raw_bytes(sound[:1], raw[1], raw[2], rate))
        bounds = itertools.pairwise([*range(0, len(truth), 4096), len(truth)])
        pieces = tuple((first + a * width, first + b * width, a / rate, b / rate) for a, b in bounds)
    return Whole(data, rate, truth, pieces, raw)


def lag_samples(heard: np.ndarray, truth: np.ndarray, most: int) -> int:
    """How many samples later (at most so many, either way) the sound comes than it should."""
    heard, truth = np.nan_to_num(heard[: LAG_SAMPLES + most]), truth[:LAG_SAMPLES]
    size = 1 << (len(heard) + len(truth)).bit_length()
    match = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(truth, size)), size)
    return int(np.argmax(np.concatenate([match[-most:], match[: most + 1]]))) - most


def _aligned(heard: np.ndarray, sound: np.ndarray, late: bool) -> np.ndarray:
    """What was decoded, from where the encoder was given its first sample, unless the format cannot tell."""
    if late:
        return heard
    lag = lag_samples(heard, sound, 10_000)
    heard = heard[lag:] if lag >= 0 else np.pad(heard, (-lag, 0))
    return np.pad(heard, (0, max(0, len(sound) - len(heard))))[: len(sound)]


def _raw_bytes(sound: np.ndarray, subtype: str, order: str, rate: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate, subtype=subtype, endian=order, format="RAW")
    return file.getvalue()


def _raw(data: bytes, form: Format, sound: np.ndarray, rate: int) -> tuple[int, str, str, int] | None:
    subtype = form.writer.partition("/")[2] or {"pcm_s16le": "PCM_16"}.get(form.writer.partition(":")[0], "")
    for order in ("LITTLE", "BIG") if form.says == "bytes" and subtype and form.name != "avi-pcm" else ():
        width = len(_raw_bytes(sound[:1], subtype, order, rate))
        place = data.find(_raw_bytes(sound[1000:1100], subtype, order, rate)) - 1000 * width
        if place >= 0:
            return place, subtype, order, sound.shape[1]
    return None


def _pages(data: bytes, seconds: float) -> tuple[tuple[int, int, float, float], ...]:
    starts = [m.start() for m in re.finditer(b"OggS\0", data)]
    ends = [int.from_bytes(data[a + 6 : a + 14], "little", signed=True) for a in starts]
    unit, pieces, at = seconds / max(ends), [], 0.0
    for start, after, end in zip(starts, [*starts[1:], len(data)], ends, strict=True):
        if end:
            pieces.append((start, after, at, max(at, end * unit)))
            at = pieces[-1][3]
    return tuple(pieces)


def _packets(path: Path, data: bytes, seconds: float) -> tuple[tuple[int, int, float, float], ...]:
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        begins: dict[int, float] = {}
        end = first = None
        for packet in file.demux(stream):
            if packet.pts is not None and packet.pos is not None and packet.pos >= 0:
                first = packet.pts if first is None else first
                begins.setdefault(packet.pos, float((packet.pts - first) * packet.time_base))
                end = (
                    packet.pos + packet.size,
                    float((packet.pts + (packet.duration or 0) - first) * packet.time_base),
                )
    if end is None or len(begins) < 20:
        steps = zip(np.linspace(2048, len(data), 401).astype(int), np.linspace(0, seconds, 401), strict=True)
        return tuple((int(a), int(b), begin, after) for (a, begin), (b, after) in itertools.pairwise(steps))
    places = [*sorted(begins.items()), end]
    return tuple((a, b, begin, max(begin, after)) for (a, begin), (b, after) in itertools.pairwise(places))


# --- damage -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """What may be heard in a damaged file, and why it may be refused."""

    sounds: tuple[tuple[np.ndarray, ...], ...]
    """Any of these: each is stretches, float32 [samples], one after the other. None: it must be refused."""
    rate: int
    missing_seconds: float = 0.0
    """So much may be missing at the end."""
    headerless: bool = False
    """The header, which tells the encoder's delay, is lost or damaged."""
    intact: bool = False
    """Refusing it is a pity."""
    reasons: frozenset[str] = REASONS


@dataclass(frozen=True)
class Damage:
    """One file: what `--only` takes."""

    format: str
    kind: str
    seed: int

    @property
    def id(self) -> str:
        return f"{self.format} {self.kind} {self.seed}"


Made = tuple[bytes, Expected]
Maker = Callable[[Whole, Format, np.random.Generator], Made | None]
"""A damaged file, or None where this cannot be done to the format."""


def make(damage: Damage) -> tuple[str, bytes, Expected] | None:
    """(suffix, bytes, what to expect) of a damaged file; always the same for the same `Damage`."""
    form, random = ALL[damage.format], np.random.default_rng([zlib.crc32(damage.id.encode()), damage.seed])
    variant = 0 if damage.kind == "chain" else damage.seed % 2
    made = KINDS[damage.kind](whole(damage.format, variant), form, random)
    suffixes = sorted({other.suffix for other in ALL.values()} - {form.suffix})
    suffix = str(random.choice(suffixes)) if damage.kind == "suffix" else form.suffix
    return made and (suffix, *made)


def _like(file: Whole, **changes: Any) -> Expected:
    return replace(Expected(((file.truth,),), file.rate), **changes)


def _part(file: Whole, first_seconds: float, last_seconds: float | None = None) -> np.ndarray:
    last = None if last_seconds is None else round(last_seconds * file.rate)
    return file.truth[round(first_seconds * file.rate) : last]


def _by_the_bytes(file: Whole, form: Format, data: bytes) -> Expected:
    """PCM: what the bytes say after where its header was; of as many samples as it says, or of all."""
    if file.raw is not None:
        place, subtype, order, channels = file.raw
        frame = len(_raw_bytes(np.zeros((1, channels), np.float32), subtype, order, file.rate))
        sound = data[place : place + (len(data) - place) // frame * frame]
        samples, _ = soundfile.read(
            io.BytesIO(sound), dtype="float32", always_2d=True, format="RAW", subtype=subtype, endian=order,
            samplerate=file.rate, channels=channels,
        )  # fmt: skip
        heard = samples.mean(axis=1)
    else:
        with TemporaryDirectory() as folder:
            path = Path(folder, f"x.{form.suffix}")
            path.write_bytes(data)
            heard = (decode(path) or (file.truth, 0))[0]
    return Expected(((heard,), (heard[: len(file.truth)],)), file.rate)


def _undamaged(file: Whole, form: Format, random: np.random.Generator) -> Made:
    return file.data, _like(file, reasons=frozenset())


def _cut(file: Whole, form: Format, random: np.random.Generator) -> Made:
    size = int(random.uniform(0.01, 0.995) * len(file.data))
    gone = len(file.truth) / file.rate - file.seconds(size, after=False)
    return file.data[:size], _like(file, missing_seconds=gone + max(WRONG_SECONDS, file.piece_seconds()))


def _zeroed(where: str) -> Maker:
    def maker(file: Whole, form: Format, random: np.random.Generator) -> Made:
        sound = len(file.data) - file.header_bytes
        size = int(10 ** random.uniform(2.5, np.log10(sound / 6)))
        first = {
            "start": int(random.choice([0, file.header_bytes])),
            "middle": file.header_bytes + int(random.uniform(0.1, 0.8) * sound),
            "end": len(file.data) - size,
        }[where]
        data = file.data[:first] + bytes(size) + file.data[first + size :]
        expected = _like(file, headerless=where == "start")
        if form.says == "bytes":
            expected = _by_the_bytes(file, form, data)
        elif where == "end":  # as good as cut off there
            gone = len(file.truth) / file.rate - file.seconds(first, after=False)
            expected = replace(expected, missing_seconds=gone + max(WRONG_SECONDS, file.piece_seconds()))
        elif where == "start" and form.says == "frames":  # as good as zeros before what follows
            rest = _part(file, file.seconds(size + first, after=True))
            expected = replace(expected, sounds=((file.truth,), (rest,)))
        return data, expected

    return maker


def _flipped(in_header: bool) -> Maker:
    def maker(file: Whole, form: Format, random: np.random.Generator) -> Made:
        first, last = (0, file.header_bytes) if in_header else (file.header_bytes, len(file.data))
        if last - first < 4:
            first, last = 0, 64
        data = bytearray(file.data)
        count = int(random.choice([1, 3] if in_header else [1, 3, 10, 100]))
        for place in range(count):  # apart, so that no two hit frames that are neighbours
            share = (place + random.uniform(0.25, 0.75)) / count
            data[first + int(share * (last - first))] ^= 1 << int(random.integers(8))
        if form.says == "bytes" and not in_header:
            return bytes(data), _by_the_bytes(file, form, bytes(data))
        return bytes(data), _like(file, headerless=in_header)

    return maker


INDEXED = ("m4a", "mp4", "3gp", "mov", "avi")
"""An index says where packets lie and not which they are: swapped ones of one size cannot be seen."""


def _moved(how: str) -> Maker:
    def maker(file: Whole, form: Format, random: np.random.Generator) -> Made:
        """Whole pages or packets, or any bytes, up to a tenth of the file."""
        pieces = file.pieces
        if random.random() < 0.6 or (form.says == "bytes" and file.raw is None):  # ADPCM comes in blocks
            count = int(np.ceil((len(pieces) / 10 + 1) ** random.random()))
            at = int(random.uniform(0.1, 0.8) * len(pieces))
            first, last, end = (pieces[min(at + n * count, len(pieces) - 1)][0] for n in range(3))
        else:
            size = int(10 ** random.uniform(2.5, np.log10(len(file.data) / 10)))
            first = file.header_bytes + int(random.uniform(0.1, 0.75) * (len(file.data) - file.header_bytes))
            last, end = first + size, first + 2 * size
        before, part, other, rest = (
            file.data[a:b] for a, b in ((0, first), (first, last), (last, end), (end, None))
        )
        a, b, c = (file.seconds(byte, after=False) for byte in (first, last, end))
        stretches = {
            "removed": (before + other + rest, ((0.0, a), (b, None))),
            "twice": (before + part + part + other + rest, ((0.0, b), (a, None))),
            "swapped": (before + other + part + rest, ((0.0, a), (b, c), (a, b), (c, None))),
        }
        data, order = stretches[how]
        moved = tuple(_part(file, *stretch) for stretch in order)
        if form.says == "bytes":
            return data, _by_the_bytes(file, form, data)
        if form.says == "frames":
            # A WAV file says where it ends, and what was there twice reaches beyond.
            over = max(0, sum(map(len, moved)) - len(file.truth)) if form.suffix == "wav" else 0
            return data, Expected((moved,), file.rate, over / file.rate + WRONG_SECONDS)
        if how == "swapped" and form.suffix in INDEXED:
            return data, _like(file, sounds=((file.truth,), moved))
        return data, _like(file)

    return maker


def _chained(file: Whole, form: Format, random: np.random.Generator) -> Made:
    """Another recording after this one: of the same kind, of another rate, or in Ogg of another codec."""
    ogg = [name for name in ("ogg", "opus", "oga-flac") if name != form.name]
    if form.name in ("ogg", "opus", "oga-flac") and random.random() < 0.4:
        other = whole(str(random.choice(ogg)), 2)
    else:
        other = whole(form.name, int(random.choice([2, 2, 1])))
    sounds: tuple[tuple[np.ndarray, ...], ...] = (
        (file.truth, audio.resample(other.truth, other.rate, file.rate)),
    )
    if form.says in ("bytes", "sized") or form.name.startswith("wav-"):
        sounds = (*sounds, (file.truth,))
    return file.data + other.data, Expected(sounds, file.rate)


def _junk(before: bool) -> Maker:
    def maker(file: Whole, form: Format, random: np.random.Generator) -> Made:
        size = int(10 ** random.uniform(2, 5))
        junk = (
            bytes(size),
            random.integers(0, 256, size, np.uint8).tobytes(),
            (b"This is no music at all.\n" * size)[:size],
            b"ID3\x04\0\0" + bytes((size >> s) & 0x7F for s in (21, 14, 7, 0)) + bytes(size),
        )[int(random.integers(4))]
        data = junk + file.data if before else file.data + junk
        return data, _like(file, intact=True, headerless=before)

    return maker


BIG4, BIG8, BIG36 = 2**32 - 1, 2**64 - 1, 2**36 - 1
LIES: dict[bytes, list[tuple[str, bytes, int, str, tuple[float, ...]]]] = {
    b"RIFF": [
        ("rate", b"fmt ", 12, "<I", (0, 1)),
        ("channels", b"fmt ", 10, "<H", (0, 255)),
        ("bits", b"fmt ", 22, "<H", (0, 255)),
        ("length", b"data", 4, "<I", (0, 2**31 - 1, BIG4)),
    ],
    b"RF64": [("rate", b"fmt ", 12, "<I", (0, 1)), ("length", b"ds64", 16, "<Q", (0, 1 << 40, BIG8))],
    b"riff": [
        ("rate", b"fmt \xf3", 28, "<I", (0, 1)),
        ("channels", b"fmt \xf3", 26, "<H", (0, 255)),
        ("length", b"data\xf3", 16, "<Q", (0, 1 << 40, BIG8)),
    ],
    b"FORM": [
        ("rate", b"COMM", 16, ">H", (0, 0x3FFF)),
        ("channels", b"COMM", 8, ">H", (0, 255)),
        ("bits", b"COMM", 14, ">H", (0, 255)),
        ("length", b"COMM", 10, ">I", (0, BIG4)),
        ("length", b"SSND", 4, ">I", (0, BIG4)),
    ],
    b".snd": [
        ("rate", b".snd", 16, ">I", (0, 1)),
        ("channels", b".snd", 20, ">I", (0, 255)),
        ("length", b".snd", 8, ">I", (0, BIG4)),
    ],
    b"caff": [
        ("rate", b"desc", 12, ">d", (0.0, 1.0, float("nan"))),
        ("channels", b"desc", 36, ">I", (0, 255)),
        ("length", b"data", 4, ">Q", (0, 1 << 40, BIG8)),
    ],
    b"fLaC": [  # bits of the eight bytes from 18 on: the lowest, and how many
        ("rate", b"fLaC", 44, "20", (0, 1)),
        ("channels", b"fLaC", 41, "3", (0, 7)),
        ("bits", b"fLaC", 36, "5", (0, 31)),
        ("length", b"fLaC", 0, "36", (0, 1000, BIG36)),
    ],
    b"OggS": [
        ("channels", b"\x01vorbis", 11, "B", (0, 255)),
        ("rate", b"\x01vorbis", 12, "<I", (0, 1)),
        ("channels", b"OpusHead", 9, "B", (0, 255)),
        ("nothing", b"OpusHead", 12, "<I", (0, 44_100)),
    ],
    b"ftyp": [
        ("rate", b"mdhd", 16, ">I", (0, 1)),
        ("length", b"mdhd", 20, ">I", (0, BIG4)),
        ("length", b"mvhd", 20, ">I", (0, BIG4)),
        ("channels", b"stsd", 36, ">H", (0, 255)),
        ("rate", b"stsd", 44, ">I", (0, 1 << 16)),
    ],
    b"\x1aE\xdf\xa3": [
        ("rate", b"\xb5\x88", 2, ">d", (0.0, 1.0, float("nan"))),
        ("channels", b"\x9f\x81", 2, "B", (0, 255)),
        ("length", b"D\x89\x88", 3, ">d", (0.0, 1e18)),
    ],
    b"TTA1": [
        ("rate", b"TTA1", 10, "<I", (0, 1)),
        ("channels", b"TTA1", 6, "<H", (0, 255)),
        ("bits", b"TTA1", 8, "<H", (0, 255)),
        ("length", b"TTA1", 14, "<I", (0, BIG4)),
    ],
    b"wvpk": [("length", b"wvpk", 12, "<I", (0, 1000, BIG4))],
    b"0&\xb2u": [("rate", b"\x61\x01", 4, "<I", (0, 1)), ("channels", b"\x61\x01", 2, "<H", (0, 255))],
    b"mp3": [("length", b"Xing", 8, ">I", (0, 1, BIG4)), ("length", b"Info", 8, ">I", (0, 1, BIG4))],
}
"""By a file's first bytes: a field, a mark, the field's place from there, its form, and values that lie."""


def _lied(file: Whole, form: Format, random: np.random.Generator) -> Made | None:
    data = bytearray(file.data)
    first = b"ftyp" if data[4:8] == b"ftyp" else b"mp3" if form.suffix == "mp3" else file.data[:4]
    usable = [lie for lie in LIES.get(first, ()) if lie[1] in data]
    if not usable:
        return None
    name, mark, place, kind, values = usable[int(random.integers(len(usable)))]
    value = values[int(random.integers(len(values)))]
    if first == b"fLaC":
        old = int.from_bytes(data[18:26], "big") & ~(((1 << int(kind)) - 1) << place)
        data[18:26] = (old | int(value) << place).to_bytes(8, "big")
    else:
        struct.pack_into(kind, data, data.index(mark) + place, value if kind == ">d" else int(value))
    if first == b"OggS":  # the first page's checksum
        data[22:26] = bytes(4)
        page = bytes(data[: 27 + data[26] + sum(data[27 : 27 + data[26]])])
        data[22:26] = _ogg_sum(page).to_bytes(4, "little")
    if first == b"TTA1":
        data[18:22] = zlib.crc32(data[:18]).to_bytes(4, "little")
    return bytes(data), _like(file, intact=name in ("length", "nothing"), headerless=True)


def _ogg_sum(page: bytes) -> int:
    total = 0
    for byte in page:
        total ^= byte << 24
        for _ in range(8):
            total = (total << 1 ^ (0x04C11DB7 if total >> 31 else 0)) & BIG4
    return total


def _no_sound(file: Whole, form: Format, random: np.random.Generator) -> Made:
    contents = (
        b"",
        bytes(100_000),
        random.integers(0, 256, 90_000, np.uint8).tobytes(),
        b"This is no music at all.\n" * 400,
        b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>\n" * 20,
        file.data[: file.header_bytes],
    )
    data = contents[int(random.integers(len(contents)))]
    return data, Expected((), file.rate, reasons=frozenset({"empty"}) if not data else REASONS)


def _late(file: Whole, form: Format, random: np.random.Generator) -> Made | None:
    """The first packet's time is not 0: silence before it, or none, is right; anything else is not."""
    if form.says in ("bytes", "frames") or form.suffix in ("flac", "wv", "tta", "caf", "avi"):
        return None
    late = float(random.uniform(0.3, 8.0))
    with TemporaryDirectory() as folder:
        given, path = Path(folder, f"a.{form.suffix}"), Path(folder, f"b.{form.suffix}")
        given.write_bytes(file.data)
        container = form.writer.partition(":")[2] or None
        with av.open(str(given)) as source, av.open(str(path), "w", format=container) as target:
            stream = target.add_stream_from_template(source.streams.audio[0])
            for packet in source.demux(audio=0):
                if packet.pts is not None:
                    packet.pts += round(late / packet.time_base)
                    packet.dts, packet.stream = packet.pts, stream
                    target.mux(packet)
        data, heard = path.read_bytes(), decode(path)
    # FFmpeg loses the length of a TTA recording on the way, and with it the last packet.
    missing = 0.0 if heard is None else max(0.0, (len(file.truth) - len(heard[0])) / file.rate)
    sounds = ((file.truth,), (np.zeros(round(late * file.rate), np.float32), file.truth))
    expected = _like(file, sounds=sounds, missing_seconds=missing + WRONG_SECONDS)
    return data, replace(expected, headerless=True, intact=True)


KINDS: dict[str, Maker] = {
    "none": _undamaged, "cut": _cut,
    "zero-start": _zeroed("start"), "zero-middle": _zeroed("middle"), "zero-end": _zeroed("end"),
    "flip": _flipped(in_header=False), "flip-header": _flipped(in_header=True),
    "removed": _moved("removed"), "twice": _moved("twice"), "swapped": _moved("swapped"), "chain": _chained,
    "junk-before": _junk(before=True), "junk-after": _junk(before=False), "lie": _lied,
    "suffix": _undamaged, "no-sound": _no_sound, "late": _late,
}  # fmt: skip
