"""What a model's answers depend on beside what it is asked: its files, its base's, and the precision."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from llark.embed import record
from llark.pipeline.ask import Choice

MODEL_FILES = (".json", ".safetensors")
BASE_FILES = (*MODEL_FILES, ".bin", ".model", ".txt", ".jinja")
"""Of a foreign language model also its tokenizer's files and older kinds of weights."""


def of_model(choice: Choice) -> dict[str, str]:
    """The part of a stage's plan that tells this model from any other.

    `model` is of the files in its folder, which hold the name of its base. `base` stands there where they do
    not settle it: where the base is a folder (then it is of that folder's files, wherever it lies), and where
    another one is named. `precision` stands there where it is not float32.
    """
    from llark.embed import encoder as encoders

    found = {"model": of_files(choice.folder, MODEL_FILES)}
    if base := _base(choice):
        found["base"] = base
    precision = encoders.device(choice.device).dtype
    return found if precision == "float32" else {**found, "precision": precision}


def _base(choice: Choice) -> str:
    from llark.model.checkpoint import is_whole

    recorded = record.config_of(choice.folder).get("base_name")
    named = choice.base or recorded
    if not named or is_whole(choice.folder):
        return ""
    folder = Path(named).expanduser()
    if folder.is_dir():
        return of_files(folder, BASE_FILES)
    return "" if str(named) == recorded else str(named)


def of_files(folder: Path, endings: Iterable[str]) -> str:
    """SHA-256 of the names and bytes of a folder's files of these kinds."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.glob("*") if path.suffix in endings):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
