"""What a recording's bytes are made of: whether its pages or frames lie side by side, with none lost.

Decoders pass over what they cannot read and join the ends, so that all that follows comes too early.
"""

from __future__ import annotations

import functools
import itertools
import re
import struct
import zlib
from collections.abc import Iterator

from llark.audio.source import AudioSource

PAGE_BYTES = 1 << 16
"""More than the longest page of an Ogg file."""

_CUT_FRAME_BYTES = 3000
"""At the beginning so much may be what a cut left of a frame of mp3, AC-3 or AAC."""

_ENDLESS = 1 << 62

_FLAC_STEPS, _FLAC_BYTES = 8, 1 << 15
"""How often a FLAC file is looked into, and how far: a frame begins in so many bytes."""

# --- pages of Ogg -------------------------------------------------------------------------------------------


def is_chained_ogg(source: AudioSource) -> bool:
    """Whether an Ogg file ends with another stream than it begins with: libsndfile reads the first only."""
    with source.open() as file:
        first = file.read(18)
    last = _last_page(source) if first[:4] == b"OggS" else b""
    return bool(last) and last[14:18] != first[14:18]


def last_granule(source: AudioSource) -> int:
    """The count of samples, by the clock of its codec, at the end of an Ogg file."""
    return _granule(_last_page(source), 0)


def _last_page(source: AudioSource) -> bytes:
    """The last page that begins in an Ogg file, if its head is whole."""
    with source.open() as file:
        file.seek(max(0, source.size_bytes - 2 * PAGE_BYTES))
        rest = file.read(2 * PAGE_BYTES)
    page = rest[max(0, rest.rfind(b"OggS\0")) :]
    return page if page[:4] == b"OggS" and len(page) > 27 else b""


def is_flac_of_several(source: AudioSource) -> bool:
    """Whether a FLAC file is several, one after the other: the numbers of its frames do not always rise."""
    with source.open() as file:
        if file.read(4) != b"fLaC":
            return False
    step = max(0, source.size_bytes - _FLAC_BYTES) // _FLAC_STEPS
    pieces = source.pieces([step * index for index in range(_FLAC_STEPS + 1)], _FLAC_BYTES)
    numbers = [number for piece in pieces for number, _ in itertools.islice(_flac_heads(piece), 1)]
    return numbers != sorted(numbers)


def has_flac_hole(data: bytes) -> bool:
    """Whether frames of FLAC are missing in a piece of a file, or stand twice or elsewhere, by their numbers.

    What agrees with neither neighbour is no frame, but looks like one.
    """
    heads = [(-1, -1), *_flac_heads(data), (-2, -2)]
    neighbours = zip(heads, heads[1:], heads[2:], strict=False)
    sure = [this for before, this, after in neighbours if before[1] == this[0] or this[1] == after[0]]
    return any(before[1] != after[0] for before, after in itertools.pairwise(sure))


def _flac_heads(data: bytes) -> Iterator[tuple[int, int]]:
    """The number that each frame of FLAC in some bytes carries, and that of the frame after it."""
    for sync in re.finditer(rb"\xff[\xf8\xf9][\x10-\xff]", data):
        head = data[sync.start() : sync.start() + 16]
        ones = 8 - (head[4] ^ 0xFF).bit_length() if len(head) == 16 else 1
        if ones in (1, 8):
            continue
        size = 4 + max(ones, 1)
        number, code = head[4] & (0x7F >> ones), head[2] >> 4
        for byte in head[5:size]:
            number = number << 6 | byte & 0x3F
        last = size + {6: 1, 7: 2}.get(code, 0)
        block = 1 + int.from_bytes(head[size:last], "big")
        if code not in (6, 7):
            block = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
        last += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
        if last < 16 and _crc8(head[:last]) == head[last]:  # counted are frames, or samples if blocks vary
            yield number, number + (block if head[1] & 1 else 1)


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value << 1 & 0xFF ^ (7 if value & 0x80 else 0)
    return value


def is_ogg_without_beginning(source: AudioSource) -> bool:
    """Whether a page of an Ogg file up to the first that holds sound is damaged or missing.

    Decoders pass over it, and what comes next would be taken for the beginning.
    """
    with source.open() as file:
        data = file.read(4)
        if data != b"OggS":
            return False
        data += file.read(2 * PAGE_BYTES)
    place = 0
    while 0 < (end := _page_end(data, place)) <= len(data):
        if _granule(data, place) > 0:
            return bool(ogg_holes(data[:end]))
        place = end
    return end < 0


def ogg_holes(data: bytes) -> list[tuple[int, int]]:
    """Where pages are damaged or missing in a piece of an Ogg file: from which granule to which.

    The piece may begin and end within pages, and end with a label.
    """
    place = data.find(b"OggS\0")
    lost, junk, before, expected = not 0 <= place < PAGE_BYTES, 0, 0, dict[bytes, int]()
    holes: list[tuple[int, int]] = []
    while place >= 0 and (end := _page_end(data, place)) <= len(data):
        if end < 0:
            junk, place, lost = place, data.find(b"OggS\0", place + 1), True
            continue
        stream, number = (
            data[place + 14 : place + 18],
            int.from_bytes(data[place + 18 : place + 22], "little"),
        )
        granule = _granule(data, place)
        if lost or expected.get(stream, number) != number:
            holes.append((before, granule if granule >= 0 else _ENDLESS))
        before, lost, expected[stream], place = max(before, granule), False, number + 1, end
    return [*holes, (before, _ENDLESS)] if lost and len(data) - junk > PAGE_BYTES else holes


def _granule(data: bytes, place: int) -> int:
    """How many samples end in the page that begins at a place, or before; -1 where no packet ends in it."""
    return int.from_bytes(data[place + 6 : place + 14], "little", signed=True)


def _page_end(data: bytes, place: int) -> int:
    """Where the page that begins at a place ends, be it beyond the data; -1 where there is no whole page."""
    if not data.startswith(b"OggS", place):
        return -1 if place + 4 <= len(data) else len(data) + 1
    body = place + 27 + data[place + 26] if place + 27 <= len(data) else len(data) + 1
    end = body + sum(data[place + 27 : body])
    if end > len(data):
        return end
    page = data[place : place + 22] + bytes(4) + data[place + 26 : end]
    return end if _ogg_checksum(page) == int.from_bytes(data[place + 22 : place + 26], "little") else -1


def _ogg_checksum(page: bytes) -> int:
    """Ogg's sum is that of zlib with the bits of all bytes the other way round, and without its masks."""
    turned = zlib.crc32(page.translate(_TURNED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{turned:032b}"[::-1], 2)


_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

# --- headers of WAV -----------------------------------------------------------------------------------------


def is_wav_of_false_header(source: AudioSource) -> bool:
    """Whether a WAV file's channels, sample width and bytes a second contradict each other.

    Only of plain samples; 20 or 24 bits may lie in 32, and a rate in bytes of 0 is one that was left out.
    """
    with source.open() as file:
        data, place = file.read(PAGE_BYTES), 12
    if data[:4] not in (b"RIFF", b"RF64", b"BW64") or data[8:12] != b"WAVE":
        return False
    while place + 32 <= len(data) and data[place : place + 4] != b"fmt ":
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + size + (size & 1)
    if place + 48 > len(data):
        return False
    tag, channels, rate, bytes_a_second, frame_bytes, bits = struct.unpack_from("<HHIIHH", data, place + 8)
    if tag == _EXTENSIBLE:
        tag = int.from_bytes(data[place + 32 : place + 34], "little")
    if tag not in _PLAIN_BITS:
        return False
    bits = _PLAIN_BITS[tag] or bits
    widths = [(bits + 7) // 8, *([4] if 16 < bits <= 24 else [])]
    return frame_bytes not in [channels * width for width in widths] or (
        bytes_a_second not in (0, rate * frame_bytes)
    )


_EXTENSIBLE = 0xFFFE

_PLAIN_BITS = {1: 0, 3: 0, 6: 8, 7: 8}
"""WAV's numbers of PCM, floats, A-law and µ-law, and how many bits a sample has; 0: the header says."""

# --- frames of MPEG audio, AAC and AC-3 ---------------------------------------------------------------------

_SYNC = re.compile(rb"\xff[\xe2-\xff]|\x0b\x77")

_MPEG_KBIT = {
    (1, 1): tuple(range(32, 449, 32)),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By version and layer; the third layer of version 2 has the rates of its second."""

_AC3_KBIT = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def frame_hole(data: bytes) -> int | None:
    """The first byte of a stream of frames that is neither in one nor in a label, where frames follow it."""
    labels = _after_labels(data, 0)
    place = _next_frames(data, labels)
    if place < 0:
        return None
    begins = data[place : place + 200]  # a frame that counts the others stands before all of them
    counts = b"Xing" in begins or b"Info" in begins
    if place > labels and not counts and (_frame_bytes(data, labels) or place - labels > _CUT_FRAME_BYTES):
        return labels
    while place + 7 <= len(data):
        mpeg = _mpeg_bytes(data[place + 1], data[place + 2]) if data[place] == 0xFF else 0
        end = place + (mpeg or _frame_bytes(data, place))
        if end == place:
            end = _after_labels(data, place)
        if end == place:
            return place if _next_frames(data, place + 1) >= 0 else None
        place = end
    return None


def _next_frames(data: bytes, place: int) -> int:
    """Where the first three frames in a row begin; -1 where there are none."""
    for sync in _SYNC.finditer(data, place):
        end = sync.start()
        for _ in range(3):
            size = _frame_bytes(data, end)
            end += size
            if not size or end > len(data):
                break
        else:
            return sync.start()
    return -1


def _frame_bytes(data: bytes, place: int) -> int:
    """How long the frame is that begins at a place, by its header; 0 where none begins."""
    if place + 7 > len(data):
        return 0
    first, second, third = data[place], data[place + 1], data[place + 2]
    if first == 0xFF and second >= 0xE0:
        if second & 0x06:
            return _mpeg_bytes(second, third)
        size = (data[place + 3] & 3) << 11 | data[place + 4] << 3 | data[place + 5] >> 5
        return size if second & 0xF6 == 0xF0 and size > 7 else 0
    if first != 0x0B or second != 0x77:
        return 0
    if data[place + 5] >> 3 > 10:
        return 2 * ((third & 7) << 8 | data[place + 3]) + 2
    rate, code = data[place + 4] >> 6, data[place + 4] & 63
    if rate == 3 or code >= 2 * len(_AC3_KBIT):
        return 0
    kbit = _AC3_KBIT[code >> 1]
    return (4 * kbit, 2 * (kbit * 96_000 // 44_100 + (code & 1)), 6 * kbit)[rate]


@functools.cache
def _mpeg_bytes(second: int, third: int) -> int:
    """The same for MPEG audio, by the second and third byte of the header; 0 for a free bit rate, too."""
    layer, version = 4 - (second >> 1 & 3), (second >> 3 & 3)
    rates, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if second < 0xE0 or layer == 4 or version == 1 or rates in (0, 15) or rate == 3:
        return 0
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    kbit = _MPEG_KBIT[1 if version == 3 else 2, layer if version == 3 else min(layer, 2)][rates - 1]
    if layer == 1:
        return (12_000 * kbit // hertz + padding) * 4
    return (72_000 if layer == 3 and version != 3 else 144_000) * kbit // hertz + padding


def _after_labels(data: bytes, place: int) -> int:
    """Where the labels end that begin at a place, such as an mp3 has before and after its frames."""
    while True:
        head = data[place : place + 32]
        if head[:3] == b"ID3" and len(head) >= 10:
            size = [byte & 0x7F for byte in head[6:10]]
            place += 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
            place += 10 if head[5] & 0x10 else 0
        elif head[:3] == b"TAG":
            place += 128
        elif head[:8] == b"APETAGEX":
            place += 32 + int.from_bytes(head[12:16], "little") * (head[23] >> 5 & 1 if len(head) > 23 else 1)
        elif head[:11] == b"LYRICSBEGIN" and (end := data.find(b"LYRICS200", place)) > 0:
            place = end + 9
        else:
            return place
