"""What a stage's folder is made for: its plan, the versions that made it, and how two plans differ."""

from __future__ import annotations

import contextlib
import json
import platform
from dataclasses import asdict, is_dataclass
from importlib import metadata
from typing import Any

from llark.errors import StoreMismatch
from llark.storage.folders import Place


def refuse_other(folder: Place, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raises `StoreMismatch` that says what differs. Versions and counts may."""
    if found.get("stage") != wanted["stage"]:
        what = f"holds the output of {found.get('stage')}, not of {wanted['stage']}"
    elif found.get("config") != wanted["config"]:
        what = f"was made with another configuration ({_difference(found.get('config'), wanted['config'])})"
    elif found.get("inputs") != wanted["inputs"]:
        what = "was made from other input"
    elif found.get("format") != wanted["format"]:
        what = "has the layout of another version of llark"
    else:
        return
    raise StoreMismatch(f"{folder} {what}; name a new folder, or delete this one.")


def _difference(found: object, wanted: object, key: str = "") -> str:
    """The first key that differs, with both values."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                return _difference(found.get(name), wanted.get(name), f"{key}.{name}".lstrip("."))
    return f"{key or 'all of it'}: {json.dumps(found)} there, {json.dumps(wanted)} here"[:300]


def plain(config: object) -> Any:
    """Plain JSON values, so that they compare equal to what is read back."""
    if hasattr(config, "model_dump"):
        config = config.model_dump(mode="json")
    elif is_dataclass(config) and not isinstance(config, type):
        config = asdict(config)
    return json.loads(json.dumps(config, default=str))


def versions() -> dict[str, str]:
    """Of Python and of the packages that an outcome depends on, as far as they are installed."""
    found = {"python": platform.python_version()}
    for package in ("llark", "numpy", "soundfile", "av", "soxr", "torch", "transformers", "safetensors"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
