"""`import llark` in a fresh process: it loads nothing heavy and does nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_PROBE = """
import json, os, sys, threading
import logging, warnings
before = set(sys.modules), dict(os.environ), len(logging.root.handlers), list(warnings.filters)
import {module}
after = set(sys.modules), dict(os.environ), len(logging.root.handlers), list(warnings.filters)
print(json.dumps({{
    "modules": sorted({{name.split(".")[0] for name in after[0] - before[0]}}),
    "unchanged": before[1:] == after[1:],
    "threads": threading.active_count(),
}}))
"""


def _import(module: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE.format(module=module)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _foreign(modules: list[str]) -> set[str]:
    return {name for name in modules if name not in sys.stdlib_module_names and not name.startswith("_")}


def test_importing_the_package_loads_nothing_but_itself_and_does_nothing(tmp_path: Path) -> None:
    for module in ("llark", "llark.errors"):
        result = _import(module, tmp_path)
        assert _foreign(result["modules"]) == {"llark"}
        assert result["unchanged"]
        assert result["threads"] == 1
    assert list(tmp_path.iterdir()) == []


_WITHOUT_POSIX = """
import builtins, importlib, os, pkgutil
real, posix = builtins.__import__, {"fcntl", "grp", "posix", "pwd", "resource", "termios", "tty"}
def guarded(name, globals=None, *further, **options):
    if name.split(".")[0] in posix and (globals or {}).get("__name__", "").startswith("llark"):
        raise AssertionError(f"{globals['__name__']} imports {name}")
    return real(name, globals, *further, **options)
builtins.__import__ = guarded
import llark
imported = 0
for module in pkgutil.walk_packages(llark.__path__, "llark."):
    if module.name != "llark.__main__":
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            assert error.name.split(".")[0] != "llark", error
        imported += 1
print(imported)
"""


def test_no_module_needs_what_only_posix_systems_have(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_POSIX], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_the_records_need_numpy_and_nothing_else(tmp_path: Path) -> None:
    assert _foreign(_import("llark.records", tmp_path)["modules"]) == {"llark", "numpy"}


def test_the_ground_loads_no_model_library(tmp_path: Path) -> None:
    for module in (
        "llark.audio",
        "llark.storage.folders",
        "llark.storage.stages",
        "llark.engine",
        "llark.recipe",
    ):
        loaded = _foreign(_import(module, tmp_path)["modules"])
        assert loaded & {"torch", "transformers", "scipy", "rich", "pandas", "fsspec"} == set()
