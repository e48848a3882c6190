"""Tensors of a foreign `.pth.tar`, one at a time: nothing is unpickled but names, shapes and numbers.

PyTorch wrote two formats. The zip of 2020 and later is opened by `torch.load` with `weights_only=True`,
mapped from disk. The older one cannot be mapped by PyTorch: its index is read here by an unpickler that knows
tensors and plain containers only, and its numbers are mapped from disk.
"""

from __future__ import annotations

import codecs
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from llark.errors import UserMustAct

_MAGIC = 0x1950A86A20F9469CFC6C
"""The first number of a file in the old format."""

_TYPES = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "DoubleStorage": np.dtype("<f8"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ByteStorage": np.dtype("u1"),
}


class Checkpoint(Mapping[str, torch.Tensor]):
    """The tensors under one key of a checkpoint, by name; each is read from disk when asked for.

    Raises:
        UserMustAct: There is no such file, or it is no checkpoint that can be read safely.
    """

    def __init__(self, path: Path, under: str = "model") -> None:
        if not path.is_file():
            raise UserMustAct(f"There is no checkpoint {path}.")
        try:
            if zipfile.is_zipfile(path):
                with torch.serialization.safe_globals(_plain_numbers()):
                    loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
                self._tensors: dict[str, Any] = _tensors(loaded, under)
            else:
                self._tensors = _tensors(_read_index(path), under)
        except (pickle.UnpicklingError, EOFError, ValueError, KeyError, RuntimeError, TypeError) as error:
            why = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise UserMustAct(f"{path} is no checkpoint that can be read safely: {why}.") from error

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor = self._tensors[name]
        return tensor.read() if isinstance(tensor, _Stored) else tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _plain_numbers() -> list[Any]:
    """What a number of numpy's is made of, which training code stores beside its weights. It runs nothing.

    numpy 1 named the module otherwise, so the name in old files is given with it.
    """
    scalar = np.float64(0).__reduce__()[0]
    kinds = [np.dtypes.Float64DType, np.dtypes.Float32DType, np.dtypes.Int64DType, np.dtypes.Int32DType]
    return [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, codecs.encode, *kinds]


def _tensors(loaded: Any, under: str) -> dict[str, Any]:
    """The tensors under a key, without the prefix of a model that was trained on several machines."""
    if not isinstance(loaded, dict) or not isinstance(loaded.get(under), dict):
        raise ValueError(f"it holds no weights under `{under}`")
    tensors = {
        str(name).removeprefix("module."): value
        for name, value in loaded[under].items()
        if isinstance(value, (_Stored, torch.Tensor))
    }
    if not tensors:
        raise ValueError(f"it holds no weights under `{under}`")
    return tensors


# --- the old format ---------------------------------------------------------------------------------------


@dataclass
class _Storage:
    """A stretch of numbers in the file; where it lies is known after the index."""

    dtype: np.dtype[Any]
    size: int
    data: np.ndarray | None = None


@dataclass(frozen=True)
class _Stored:
    """A tensor that is still on disk."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def read(self) -> torch.Tensor:
        assert self.storage.data is not None
        count = 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        flat = np.array(self.storage.data[self.offset : self.offset + count])
        return torch.from_numpy(flat).as_strided(self.shape, self.stride)


class _Inert:
    """Stands for whatever else a checkpoint holds. It does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return object.__new__(cls)

    def __setstate__(self, _: Any) -> None:
        """Forgets it."""

    def __setitem__(self, _: Any, __: Any) -> None:
        """Forgets it."""

    def append(self, _: Any) -> None:
        """Forgets it."""

    extend = append


def _rebuild(storage: Any, offset: int, shape: Any, stride: Any, *_: Any) -> _Stored:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without numbers")
    return _Stored(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch._utils", "_rebuild_tensor"): _rebuild,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    **{("torch", name): dtype for name, dtype in _TYPES.items()},
}


class _Index(pickle.Unpickler):
    """Imports nothing: what is no tensor and no plain container becomes inert."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        return _KNOWN.get((module, name), _Inert)

    def persistent_load(self, saved: Any) -> Any:
        kind, *rest = saved
        if kind == "module":
            return _Inert
        dtype, key, _, size, view = rest
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise pickle.UnpicklingError(f"{kind} of an unknown kind of number")
        return self.storages.setdefault(str(key), _Storage(dtype, int(size)))


def _read_index(path: Path) -> Any:
    """What the file says, its tensors as `_Stored`."""
    with path.open("rb") as file:
        if _Index(file).load() != _MAGIC:
            raise ValueError("it was not written by PyTorch")
        for _ in ("protocol", "machine"):
            _Index(file).load()
        index = _Index(file)
        loaded = index.load()
        keys = _Index(file).load()
        at = file.tell()
    total = path.stat().st_size
    for key in keys:
        storage = index.storages[str(key)]
        end = at + 8 + storage.size * storage.dtype.itemsize
        if end > total:
            raise ValueError("it ends before its numbers do")
        storage.data = np.memmap(path, storage.dtype, "r", at + 8, (storage.size,)) if storage.size else None
        at = end
    return loaded
