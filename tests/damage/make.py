"""A corpus of damaged and odd files, each with what a reader may make of it.

Run as a script, it writes the corpus to a folder, for a look at it:
python -m tests.damage.make FOLDER
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llark import audio
from tests.damage import encode
from tests.damage.encode import RATE, SECONDS

NO_AUDIO = frozenset({"not-audio", "damaged", "empty"})
GONE = frozenset({"missing"})


@dataclass(frozen=True)
class Case:
    """A file, and what may come of it.

    `samples` is what must be heard, at `rate`: the whole of it, or as much as `seconds` says, `delay` samples
    late. `likeness` is the share of tenths of seconds that must be right. `reasons` are the drops that are
    right too; where there are no `samples`, one of them must come.
    """

    name: str
    samples: np.ndarray | None = None
    rate: int = RATE
    seconds: float | None = None
    within: float = 0.06
    likeness: float = 1.0
    reasons: frozenset[str] = frozenset()
    delay: int = 0


Make = Callable[[Path], None]
"""Writes a file at the path."""


@dataclass(frozen=True)
class Clean:
    """An undamaged file in memory, and what is heard in it."""

    name: str
    suffix: str
    data: bytes
    heard: np.ndarray
    rate: int
    ends: tuple[tuple[int, float], ...]
    page_seconds: float
    """How much a cut may cost beside what it cuts: the longest frame or page of the format."""


def clean_files(folder: Path) -> dict[str, Clean]:
    """One undamaged file of each format."""
    e = encode.encode
    made = {
        "wav": (encode.write(folder / "c.wav", encode.sound()), 0.001),
        "flac": (encode.write(folder / "c.flac", encode.sound()), 0.12),
        "mp3": (e(folder / "c.mp3", "libmp3lame"), 0.08),
        "vbr": (e(folder / "vbr.mp3", "libmp3lame", quality="4"), 0.08),
        "bare": (e(folder / "bare.mp3", "libmp3lame", quality="4", write_xing="0"), 0.08),
        "ogg": (encode.write(folder / "c.ogg", encode.sound()[: int(RATE * SECONDS)]), 0.7),
        "opus": (e(folder / "c.opus", "libopus", rate=48000), 1.1),
        "m4a": (e(folder / "c.m4a", "aac"), 0.05),
        "fast": (e(folder / "fast.m4a", "aac", movflags="faststart"), 0.05),
        "webm": (e(folder / "c.webm", "libopus", rate=48000), 0.1),
        "aac": (e(folder / "c.aac", "aac"), 0.05),
    }
    found = {}
    for name, (path, page_seconds) in made.items():
        heard, rate = audio.load(path)
        ends = tuple(encode.packet_ends(path))
        found[name] = Clean(name, path.suffix, path.read_bytes(), heard, rate, ends, page_seconds)
    return found


def corpus(folder: Path) -> list[Case]:
    """Writes all files to a folder."""
    clean_folder = folder / ".clean"
    clean_folder.mkdir(parents=True)
    clean = clean_files(clean_folder)
    makers = (
        *(_cut, _flipped, _holes, _no_audio, _suffixes, _rates, _formats, _codecs),
        *(_tags, _headers, _joined, _names, _nodes),
    )
    return [case for maker in makers for case in maker(folder, clean)]


# --- damage -----------------------------------------------------------------------------------------------

CUTS = (0.0005, 0.005, 0.02, 0.1, 0.25, 0.333, 0.5, 0.62, 0.75, 0.87, 0.95, 0.999)


def _cut(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    """Downloads that broke off."""
    for name, file in clean.items():
        for share in CUTS:
            path = folder / f"cut {name} {share:g}{file.suffix}"
            kept = int(share * len(file.data))
            path.write_bytes(file.data[:kept])
            left = max((seconds for end, seconds in file.ends if end <= kept), default=0.0)
            if name == "wav":
                left = max(0.0, (kept - 44) / 4 / RATE)
            reasons: frozenset[str] = frozenset()
            if name == "m4a" or left < 1.0 + file.page_seconds:  # the index of an m4a stands at its end
                reasons = NO_AUDIO | {"too-short", "no-audio"}
            if (name == "m4a" and share < 0.9) or left < 0.02:
                yield Case(path.name, reasons=reasons)
            else:
                yield Case(path.name, file.heard, file.rate, left, file.page_seconds, 0.95, reasons)


def _flipped(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    """Seven files of each format with 1, 3 … 100 flipped bits, at places that a seed names."""
    for name, file in clean.items():
        for seed, flips in enumerate((1, 1, 3, 3, 10, 30, 100)):
            random = np.random.default_rng([seed, flips])
            data = bytearray(file.data)
            for place in random.integers(0, len(data), flips):
                data[place] ^= 1 << int(random.integers(8))
            path = folder / f"flip {name} {flips} {seed}{file.suffix}"
            path.write_bytes(data)
            yield Case(
                path.name,
                file.heard,
                file.rate,
                SECONDS,
                SECONDS,
                likeness=0.5,
                reasons=NO_AUDIO | {"too-short"},
            )


def _holes(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    """Four kilobytes in the middle are zeros, as an unfinished copy leaves them."""
    for name, file in clean.items():
        middle = len(file.data) // 2
        data = file.data[:middle] + bytes(4096) + file.data[middle + 4096 :]
        path = folder / f"hole {name}{file.suffix}"
        path.write_bytes(data)
        yield Case(path.name, file.heard, file.rate, SECONDS, SECONDS, likeness=0.4, reasons=NO_AUDIO)


# --- what is no audio -------------------------------------------------------------------------------------


def _no_audio(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    noise = np.random.default_rng(0).integers(0, 256, 50_000, np.uint8).tobytes()
    other = folder / ".clean" / "c.wav"
    contents = {
        "text.mp3": b"This is no music at all.\n" * 400,
        "page.mp3": b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>\n" * 20,
        "json.mp3": json.dumps({"error": "quota exceeded", "code": 403}).encode() * 30,
        "picture.mp3": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x02\0\0\0" + noise[:4000],
        "photo.ogg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01" + noise[:4000],
        "document.flac": b"%PDF-1.7\n" + noise[:4000],
        "noise.wav": noise,
        "zeros.mp3": bytes(100_000),
        "zeros.wav": bytes(100_000),
        "ones.mp3": b"\xff" * 100_000,
        "riff.wav": b"RIFF\x24\0\0\0WAVE",
        "flac.flac": b"fLaC",
        "ogg.ogg": b"OggS\0\x02" + bytes(40),
        "ftyp.m4a": b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0",
        "id3.mp3": b"ID3\x04\0\0\0\0\x01\0" + bytes(128),
        "byte.mp3": b"\xff",
        "list.m3u8.mp3": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n" + str(other).encode() + b"\n",
        "concat.mp3": b"ffconcat version 1.0\nfile '" + str(other).encode() + b"'\n",
        "sheet.wav": b'FILE "c.wav" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
        "session.mp3": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=audio 5004 RTP/AVP 96\r\n",
        "program.mp3": b"\x7fELF\x02\x01\x01" + noise[:4000],
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        yield Case(name, reasons=NO_AUDIO)
    for suffix in ("mp3", "wav", "flac", "ogg", "m4a"):
        (folder / f"nothing.{suffix}").touch()
        yield Case(f"nothing.{suffix}", reasons=frozenset({"empty"}))
    with zipfile.ZipFile(folder / "archive.mp3", "w") as archive:
        archive.writestr("c.wav", clean["wav"].data)
    yield Case("archive.mp3", reasons=NO_AUDIO)
    encode.silent_film(folder / "film.mp4")
    yield Case("film.mp4", reasons=frozenset({"no-audio"}))


def _suffixes(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    """The content decides, whatever the name says."""
    for name, suffix in (("flac", "mp3"), ("m4a", "wav"), ("ogg", "flac"), ("mp3", "ogg"), ("opus", "mp3"),
                         ("wav", "m4a"), ("webm", "mp3"), ("mp3", "txt"), ("vbr", "WAV")):  # fmt: skip
        path = folder / f"{name} as.{suffix}"
        path.write_bytes(clean[name].data)
        yield Case(path.name, clean[name].heard, clean[name].rate)


# --- odd sound --------------------------------------------------------------------------------------------


def _tone(rate: int, seconds: float = 3.0) -> np.ndarray:
    return (0.5 * np.sin(np.arange(int(rate * seconds)) * 0.3)).astype(np.float32)


def _rates(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    """Sample rates, channels, lengths and levels at the edges."""
    del clean
    odd: dict[str, tuple[np.ndarray, int, frozenset[str]]] = {}
    for rate in (1, 10, 999):
        odd[f"{rate} Hz"] = (_tone(rate), rate, frozenset({"damaged"}))
    for rate in (1000, 8000, 11025, 22050, 32000, 48000, 96000, 192000, 384000, 768000):
        odd[f"{rate} Hz"] = (_tone(rate), rate, frozenset())
    for channels in (1, 2, 3, 5, 6, 8, 16, 32):
        levels = np.arange(1, channels + 1) / (channels + 1)
        odd[f"{channels} channels"] = (_tone(8000)[:, None] * levels.astype(np.float32), 8000, frozenset())
    for count in (1, 2, 100, RATE - 1):
        odd[f"{count} samples"] = (np.full(count, 0.25, np.float32), RATE, frozenset({"too-short"}))
    odd["0 samples"] = (np.zeros((0, 2), np.float32), RATE, frozenset({"empty"}))
    odd[f"{RATE} samples"] = (np.full(RATE, 0.25, np.float32), RATE, frozenset())
    square = np.where(np.arange(2 * RATE) // 100 % 2 == 0, 1.0, -1.0).astype(np.float32)
    levels = {"constant": np.full(2 * RATE, 0.5), "silence": np.zeros(2 * RATE), "clipped": square,
              "faint": 1e-4 * square, "lowest": np.full(2 * RATE, -1.0), "hot": 3.0 * square}  # fmt: skip
    odd |= {name: (samples.astype(np.float32), RATE, frozenset()) for name, samples in levels.items()}
    for name, value in (("nan", np.nan), ("inf", np.inf), ("huge", 1e6), ("beyond float", 1e300)):
        samples = np.full(2 * RATE, 0.25)
        samples[RATE] = value
        odd[name] = (samples, RATE, frozenset({"damaged"}))
    for name, (samples, rate, reasons) in odd.items():
        path = encode.write(folder / f"{name}.wav", samples, rate, subtype="DOUBLE")
        heard = samples if samples.ndim == 1 else samples.mean(axis=1)
        yield Case(path.name, None if reasons else heard, rate, within=1e-6, reasons=reasons)


def _formats(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    """Sample formats and containers of libsndfile."""
    del clean
    kinds = {
        "WAV": "PCM_U8 PCM_24 PCM_32 FLOAT ULAW ALAW IMA_ADPCM MS_ADPCM",
        "WAVEX": "PCM_16",
        "RF64": "PCM_16",
        "W64": "PCM_24",
        "AIFF": "PCM_S8 PCM_24",
        "AU": "PCM_16",
        "CAF": "PCM_16 ALAC_16",
        "FLAC": "PCM_S8 PCM_24",
    }
    for kind, subtype in ((kind, one) for kind, all_ in kinds.items() for one in all_.split()):
        path = folder / f"{subtype}.{kind.lower()}"
        encode.write(path, encode.sound(), format=kind, subtype=subtype)
        yield Case(path.name, encode.mono(), likeness=0.95)


def _codecs(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    """Codecs and containers of FFmpeg."""
    del clean
    kinds: list[tuple[str, str, dict[str, object]]] = [
        ("alac.m4a", "alac", {}),
        ("mp3 in.mp4", "libmp3lame", {}),
        ("mp3 in.wav", "libmp3lame", {}),
        ("aac in.mkv", "aac", {}),
        ("flac in.mka", "flac", {}),
        ("flac in.oga", "flac", {"container": "ogg"}),
        ("pcm in.mov", "pcm_s16le", {}),
        ("ac3.ac3", "ac3", {}),
        ("mp2.mp2", "mp2", {}),
        ("wavpack.wv", "wavpack", {}),
        ("tta.tta", "tta", {}),
        ("wma.wma", "wmav2", {}),
        ("sound in film.mp4", "aac", {"film": True}),
        ("sound in film.mkv", "libopus", {"film": True, "rate": 48000}),
        ("32 kbit.mp3", "libmp3lame", {"bit_rate": "32000"}),
    ]
    delays = {"mp3 in.wav": 1105, "ac3.ac3": 256, "mp2.mp2": 481}
    for name, codec, options in kinds:
        encode.encode(folder / name, codec, **options)  # type: ignore[arg-type]
        rate = int(options.get("rate", RATE))  # type: ignore[call-overload]
        heard = audio.resample(encode.mono(), RATE, rate)
        yield Case(name, heard, rate, within=0.12, likeness=0.8, delay=delays.get(name, 0))


# --- tags and headers -------------------------------------------------------------------------------------


def _id3(content: bytes, flags: int = 0) -> bytes:
    size = bytes((len(content) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00" + bytes([flags]) + size + content


def _tags(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    """Labels around the sound, larger than it or wrong."""
    cover = _id3(b"APIC\0\x0f\0\0\0\0\0image/jpeg\0\x03\0" + b"\xff\xd8\xff\xe0" + bytes(range(256)) * 1000)
    ape = b"APETAGEX\xd0\x07\0\0\x20\0\0\0\0\0\0\0\0\0\0\0" + bytes(8)
    v1 = b"TAG" + bytes(125)
    for name in ("mp3", "vbr", "bare"):
        file = clean[name]
        tagged = {
            "cover": cover + file.data,
            "two tags": _id3(bytes(3000)) + cover + file.data,
            "footer": _id3(bytes(3000), 0x10) + b"3DI\x04\0\x10\0\0\x17\x38" + file.data,
            "ape": file.data + ape + v1,
            "lyrics": file.data + b"LYRICSBEGIN" + b"la " * 3000 + b"LYRICS200" + v1,
            "zeros after": file.data + bytes(10_000),
            "text after": file.data + b"The end.\n" * 1000,
        }
        for label, data in tagged.items():
            path = folder / f"{label} {name}.mp3"
            path.write_bytes(data)
            yield Case(path.name, file.heard, file.rate, within=0.12)
    file = clean["flac"]
    picture = b"\x06" + len(bytes(400_000)).to_bytes(3, "big") + bytes(400_000)
    for label, data in {
        "tag before": _id3(bytes(3000)) + file.data,
        "picture": file.data[:42] + picture + file.data[42:],
        "tag after": file.data + v1,
    }.items():
        path = folder / f"{label}.flac"
        path.write_bytes(data)
        yield Case(path.name, file.heard)


def _at(data: bytes, place: int, form: str, *values: int) -> bytes:
    new = struct.pack(form, *values)
    return data[:place] + new + data[place + len(new) :]


def _headers(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    """Headers that lie."""
    wav, flac, mp3 = clean["wav"].data, clean["flac"].data, clean["mp3"].data
    size = wav.index(b"data") + 4
    total = int.from_bytes(flac[18:26], "big")
    frames = next(mp3.index(mark) for mark in (b"Xing", b"Info") if mark in mp3) + 8
    count = int.from_bytes(mp3[frames : frames + 4], "big")

    def flac_total(samples: int) -> bytes:
        return _at(flac, 18, ">Q", total & ~(2**36 - 1) | samples)

    whole: dict[str, bytes] = {
        "2 GB.wav": _at(wav, size, "<I", 0x7FFFFFFF),
        "endless.wav": _at(wav, size, "<I", 0xFFFFFFFF),
        "streamed.wav": _at(_at(wav, size, "<I", 0xFFFFFFFF), 4, "<I", 0xFFFFFFFF),
        "no length.flac": flac_total(0),
        "ten times as long.flac": flac_total(10 * int(RATE * SECONDS)),
        "wrong sum.flac": _at(flac, 26, ">QQ", 1, 2),
        "byte rate of nothing.wav": _at(wav, 28, "<I", 0),
        "junk before.wav": wav[:12] + b"JUNK" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + wav[12:],
        "list before.wav": wav[: size - 4] + b"LIST\x08\0\0\0INFOISFT" + wav[size - 4 :],
        "ten times as many frames.mp3": _at(mp3, frames, ">I", 10 * count),
    }
    for name, data in whole.items():
        (folder / name).write_bytes(data)
        yield Case(name, clean[name.rpartition(".")[2]].heard, within=0.1)
    less: dict[str, bytes] = {
        "half as long.flac": flac_total(int(RATE * SECONDS) // 2),
        "half as many frames.mp3": _at(mp3, frames, ">I", count // 2),
        "one frame.mp3": _at(mp3, frames, ">I", 1),
    }
    for name, data in less.items():
        (folder / name).write_bytes(data)
        yield Case(name, clean[name.rpartition(".")[2]].heard, within=0.12, likeness=0.95)
    (folder / "half said.wav").write_bytes(_at(wav, size, "<I", (len(wav) - 44) // 2))
    yield Case("half said.wav", clean["wav"].heard, seconds=SECONDS / 2, within=SECONDS / 2 + 0.01)
    (folder / "no size.wav").write_bytes(_at(wav, size, "<I", 0))
    yield Case("no size.wav", clean["wav"].heard, reasons=NO_AUDIO)
    for name, place, form in (("no channels", 22, "<H"), ("no rate", 24, "<I"), ("no bits", 34, "<H"),
                              ("no block", 32, "<H")):  # fmt: skip
        (folder / f"{name}.wav").write_bytes(_at(wav, place, form, 0))
        yield Case(f"{name}.wav", clean["wav"].heard, reasons=NO_AUDIO)
    (folder / "65535 channels.wav").write_bytes(_at(wav, 22, "<H", 65535))
    yield Case("65535 channels.wav", reasons=NO_AUDIO | {"too-short"})
    with (folder / "sparse.wav").open("wb") as file:
        file.write(_at(wav, size, "<I", 0x7FFFFFFF)[:44])
        file.truncate(44 + 4 * RATE * 120)
    yield Case("sparse.wav", np.zeros(RATE * 120, np.float32), within=0.01)


def _joined(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    """Two recordings one after the other in one file, and streams that change on the way."""
    again = {
        "mp3": clean["mp3"].data,
        "bare": clean["bare"].data,
        "ogg": encode.write(folder / ".clean" / "again.ogg", encode.sound()).read_bytes(),
        "opus": encode.encode(folder / ".clean" / "again.opus", "libopus", rate=48000).read_bytes(),
    }
    for name, data in again.items():
        file = clean[name]
        path = folder / f"twice {name}{file.suffix}"
        path.write_bytes(file.data + data)
        yield Case(path.name, np.tile(file.heard, 2), file.rate, within=0.12, likeness=0.5)
    (folder / "twice wav.wav").write_bytes(clean["wav"].data * 2)  # its header says where it ends
    yield Case("twice wav.wav", clean["wav"].heard)
    for name, data in (("flac", clean["flac"].data), ("ogg", again["opus"]), ("opus", again["ogg"])):
        (folder / f"another follows.{name}").write_bytes(clean[name].data + data)
        yield Case(f"another follows.{name}", reasons=frozenset({"damaged"}))
    slow = encode.encode(folder / ".clean" / "slow.mp3", "libmp3lame", rate=22050).read_bytes()
    (folder / "another rate.mp3").write_bytes(clean["bare"].data + slow)
    yield Case("another rate.mp3", reasons=frozenset({"damaged"}))


# --- names and nodes --------------------------------------------------------------------------------------


def _names(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    names = ["ünï 日本 🎵.wav", "x" * 246 + ".wav", "-i.wav", "%03d.wav", "a:b.wav", "concat:a|b.wav",
             "'quoted' \"twice\".wav", "line\nbreak.wav", "http:x.wav", "no suffix", "a.tar.gz.wav", "?.wav",
             "#1.wav"]  # fmt: skip
    for name in names:
        (folder / name).write_bytes(clean["wav"].data)
        yield Case(name, clean["wav"].heard)
        if name != "no suffix":
            other = name.removesuffix(".wav") + ".m4a"
            (folder / other).write_bytes(clean["m4a"].data)
            yield Case(other, clean["m4a"].heard, likeness=0.95)


def _nodes(folder: Path, clean: dict[str, Clean]) -> Iterator[Case]:
    """What a folder may hold beside files."""
    (folder / "link.wav").symlink_to(folder / ".clean" / "c.wav")
    yield Case("link.wav", clean["wav"].heard)
    (folder / "dangling.wav").symlink_to(folder / "nowhere.wav")
    yield Case("dangling.wav", reasons=GONE)
    (folder / "loop a.wav").symlink_to("loop b.wav")
    (folder / "loop b.wav").symlink_to("loop a.wav")
    (folder / "itself.wav").symlink_to("itself.wav")
    for name in ("loop a.wav", "loop b.wav", "itself.wav"):
        yield Case(name, reasons=frozenset({"missing"}))
    (folder / "folder.mp3").mkdir()
    (folder / "to a folder.mp3").symlink_to("folder.mp3")
    for name in ("folder.mp3", "to a folder.mp3"):
        yield Case(name, reasons=frozenset({"folder"}))
    os.mkfifo(folder / "pipe.wav")
    (folder / "zero.wav").symlink_to("/dev/zero")
    (folder / "null.wav").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(folder)  # the name of a socket is at most 108 bytes long
        server.bind("socket.wav")
        os.chdir(here)
    for name in ("pipe.wav", "zero.wav", "null.wav", "socket.wav"):
        yield Case(name, reasons=frozenset({"not-audio"}))
    for name in ("never there.wav", "nul\0.wav"):
        yield Case(name, reasons=GONE)
    yield Case("x" * 300 + ".wav", reasons=GONE)
    (folder / "forbidden.wav").write_bytes(clean["wav"].data)
    (folder / "forbidden.wav").chmod(0)
    if os.access(folder / "forbidden.wav", os.R_OK):  # root may read everything
        yield Case("forbidden.wav", clean["wav"].heard)
    else:
        yield Case("forbidden.wav", reasons=frozenset({"missing"}))


if __name__ == "__main__":
    print(f"{len(corpus(Path(sys.argv[1])))} files")
