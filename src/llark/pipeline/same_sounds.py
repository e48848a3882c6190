"""Whether what is kept of clips was heard in the same audio: ids alone do not tell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from llark.errors import StoreMismatch
from llark.records import Clip
from llark.storage import folders, stages


def digest(clips: Iterable[Clip]) -> str:
    """SHA-256 of the clips' ids and seconds, and of the bytes of their files, wherever those lie; of a remote
    file its address stands for it."""
    known: dict[str, str] = {}
    rows = []
    for clip in sorted(clips, key=lambda clip: clip.id):
        if clip.path not in known:
            known[clip.path] = clip.path if folders.is_url(clip.path) else _of_file(Path(clip.path))
        rows.append([clip.id, clip.start_seconds, clip.end_seconds, known[clip.path]])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "cannot be read"


def refuse_others(folder: Path, plan: Mapping[str, object]) -> None:
    """Raises `StoreMismatch` where a folder holds what was heard in other audio under the same ids.

    `plan` is that of the stage, with `clips` and `sounds`. Of other differences the stage itself speaks.
    """
    there = (stages.plan_of(folder) or {}).get("config") or {}
    if there.get("clips") != plan["clips"] or there.get("sounds") == plan["sounds"]:
        return
    which = "other recordings of the same names" if "sounds" in there else "recordings that were not noted"
    raise StoreMismatch(
        f"{folder} holds what was heard in {which}. Name another --out, or delete the folders heard and said "
        "in this one: then the recordings are heard, and the questions asked, anew."
    )
