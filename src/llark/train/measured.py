"""The lengths of all examples, measured once: a run that goes on reads them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from llark import engine
from llark.errors import UserMustAct
from llark.train.talks import Example, Measures, Reading, measure
from llark.train.team import Team

FILE = "measured.safetensors"
LONG = 1000
"""From so many examples on there is a bar."""


def measured(
    folder: Path,
    examples: Sequence[Example],
    shapes: Mapping[str, tuple[int, int]],
    reading: Reading,
    crew: Team,
) -> Measures:
    """The measures of the examples: those that `folder` has, or else found by the process that leads.

    Raises `UserMustAct` where the processes do not share the folder.
    """
    path, key = folder / FILE, _key(examples, shapes, reading)
    if crew.leads and _read(path, key) is None:

        def frames_of(clip: str) -> int | None:
            return shapes[clip][0] if clip in shapes else None

        with engine.Ticker("measure", len(examples), show=len(examples) > LONG) as tick:
            _write(path, key, measure(examples, frames_of, reading, tick))
    crew.wait()
    found = _read(path, key)
    if found is None:
        raise UserMustAct(
            f"{path} is not what the leading process has just written: --out must be one folder for all "
            "processes, on storage that all nodes share."
        )
    return found


def _key(examples: Sequence[Example], shapes: Mapping[str, tuple[int, int]], reading: Reading) -> str:
    """Of all that the lengths follow from."""
    digest = hashlib.sha256()
    inner = getattr(reading.tokenizer, "backend_tokenizer", None)
    digest.update((inner.to_str() if inner is not None else str(reading.tokenizer)).encode())
    digest.update(f"{reading.style} {reading.most_tokens}".encode())
    positions = {n: reading.positions_of(n) for n in sorted({frames for frames, _ in shapes.values()})}
    digest.update(json.dumps([sorted(positions.items()), sorted(shapes.items())]).encode())
    for example in examples:
        digest.update(json.dumps(asdict(example)).encode())
    return digest.hexdigest()


def _read(path: Path, key: str) -> Measures | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as page:
            if (page.metadata() or {}).get("key") != key:
                return None
            return Measures(*(page.get_tensor(name) for name in ("lengths", "learnt", "dropped")))
    except (FileNotFoundError, SafetensorError):
        return None


def _write(path: Path, key: str, found: Measures) -> None:
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".writing")
    arrays = {name: np.ascontiguousarray(value) for name, value in vars(found).items()}
    save_file(arrays, scratch, metadata={"key": key})
    os.replace(scratch, path)
