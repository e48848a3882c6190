"""Rewrites `src/llark/weights/note.safetensors` from the wheel that carries the original.

    python scripts/convert_weights_notes.py WHEELS_FOLDER [OUTPUT_FOLDER]

WHEELS_FOLDER holds the wheel named in `WHEEL`, as `pip download --no-deps basic-pitch==0.4.0` leaves it; it
is opened as an archive and never installed. It is checked against its sha256, so the same file comes out, bit
for bit. Everything stays float32: it is 17,000 numbers of network and a table of wavelets.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import save

WHEEL = "basic_pitch-0.4.0-py2.py3-none-any.whl"
SHA256 = "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0"
MODEL = "basic_pitch/saved_models/icassp_2022/nmp.onnx"

Arrays = dict[str, np.ndarray]

BATCH_NORM = "model_1/batch_normalization/FusedBatchNormV3;"

CONSTANTS = {
    "cqt.lowpass": ("const_fold_opt__734", ""),
    "cqt.real": ("const_fold_opt__655", ""),
    "cqt.imaginary": ("const_fold_opt__664", ""),
    "cqt.loudness": ("model_1/cq_t2010v2_1/Sqrt;", ""),
    "scale": (BATCH_NORM, "V3"),
    "shift": (BATCH_NORM, "V31"),
    "contour_in.weight": ("const_fold_opt__727", ""),
    "contour_in.bias": ("model_1/re_lu_1/Relu;", ""),
    "contour_out.weight": ("const_fold_opt__710", ""),
    "contour_out.bias": ("model_1/contours-reduced/BiasAdd/ReadVariableOp;", ""),
    "note_in.weight": ("const_fold_opt__738", ""),
    "note_in.bias": ("model_1/conv2d_2/BiasAdd/ReadVariableOp;", ""),
    "note_out.weight": ("const_fold_opt__702", ""),
    "note_out.bias": ("model_1/conv2d_3/BiasAdd/ReadVariableOp;", ""),
    "onset_in.weight": ("const_fold_opt__707", ""),
    "onset_in.bias": ("model_1/re_lu_3/Relu;", ""),
    "onset_out.weight": ("const_fold_opt__680", ""),
    "onset_out.bias": ("model_1/conv2d_5/BiasAdd/ReadVariableOp;", ""),
}
"""What we call the model's constants, and how the name of each begins and ends there."""


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


def read_constants(model: bytes) -> Arrays:
    """Every float32 constant of an ONNX model, by name."""
    graph = next(value for field, value in read_fields(model) if field == 7)
    assert isinstance(graph, bytes)
    arrays: Arrays = {}
    for field, tensor in read_fields(graph):
        if field != 5 or not isinstance(tensor, bytes):
            continue
        entries = list(read_fields(tensor))
        if (2, 1) not in entries:  # its type is not float32
            continue
        shape = [value for number, value in entries if number == 1 and isinstance(value, int)]
        name = next(value for number, value in entries if number == 8)
        raw = next((value for number, value in entries if number == 9), None)
        single = b"".join(value for number, value in entries if number == 4 and isinstance(value, bytes))
        assert isinstance(name, bytes)
        data = raw if isinstance(raw, bytes) else single
        arrays[name.decode()] = np.frombuffer(data, "<f4").reshape(shape)
    return arrays


def convert(folder: Path) -> Arrays:
    """The arrays under our names. Exits with a sentence where the wheel is missing or not the one we know."""
    path = folder / WHEEL
    if not path.is_file():
        sys.exit(f"{path} is missing: download it with pip download --no-deps.")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{path} has sha256 {found}, expected {SHA256}.")
    with zipfile.ZipFile(path) as wheel:
        constants = read_constants(wheel.read(MODEL))
    arrays: Arrays = {}
    for ours, (start, end) in CONSTANTS.items():
        named = [name for name in constants if name.startswith(start) and name.endswith(end)]
        if len(named) != 1:
            sys.exit(f"{MODEL} has {len(named)} constants for {ours}, expected one.")
        arrays[ours] = constants[named[0]]
    for name in ("cqt.lowpass", "cqt.real", "cqt.imaginary"):
        arrays[name] = arrays[name][:, :, 0]  # [out, in, taps]
    arrays["cqt.loudness"] = arrays["cqt.loudness"].reshape(-1)
    return arrays


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    arrays = convert(Path(sys.argv[1]))
    target = Path(sys.argv[2] if len(sys.argv) == 3 else "src/llark/weights")
    data = save({name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())})
    (target / "note.safetensors").write_bytes(data)
    print(hashlib.sha256(data).hexdigest(), len(data), "note.safetensors")


if __name__ == "__main__":
    main()
