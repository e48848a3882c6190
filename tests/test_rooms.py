"""The house: who may import whom. Every import counts, those inside functions included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "llark"

GROUND = {
    "records",
    "errors",
    "engine",
    "recipe",
    "options",
    "llm",
    "music",
    "questions",
    "audio",
    "storage",
    "report",
}
ABOVE = {"__init__", "__main__", "cli", "pipeline", "serve"}
ROOMS = {
    "corpus", "prepare", "networks", "annotate", "instruct", "embed", "model", "train", "generate",
    "evaluate",
}  # fmt: skip
LENT = {"model": {"train", "generate"}, "networks": {"annotate", "embed"}}
"""Rooms that others may import, and who."""

SOUND_LIBRARIES = {"soundfile": "audio/loading.py", "soxr": "audio/loading.py", "av": "audio/decoders.py"}
"""Each has one file that may import it."""


def _imports(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """Dotted names of all that a module imports; for `from x import y` both x and x.y."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value


def _place(name: str, known: set[str]) -> str | None:
    """Of `llark.room.file` the room or ground file, if it is one."""
    parts = name.split(".")
    return parts[1] if parts[0] == "llark" and len(parts) > 1 and parts[1] in known else None


def _may(here: str, there: str) -> bool:
    if here == there or here in ABOVE:
        return True
    if here in GROUND:
        return there in GROUND and here not in ("errors", "records")
    return there in GROUND or here in LENT.get(there, set())


def strangers(package: Path) -> list[str]:
    """Imports that break the rules, each as `file imports name`."""
    known = GROUND | ABOVE | ROOMS
    found = []
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package)
        here = inside.parts[0].removesuffix(".py")
        if here not in known:
            found.append(f"{inside} is in no room")
        for name in _imports(ast.parse(path.read_text()), ["llark", *inside.parts[:-1]]):
            there = _place(name, known)
            library = name.split(".")[0]
            alone = library in SOUND_LIBRARIES and inside != Path(SOUND_LIBRARIES[library])
            if alone or (there is not None and not _may(here, there)):
                found.append(f"{inside} imports {name}")
    return found


def _modules(package: Path) -> dict[str, set[str]]:
    """Dotted names of a package's modules, each with those of them that it imports.

    `from x import y` is of the module y where there is one, not also of the folder x that it lies in.
    """
    paths = {}
    for path in package.rglob("*.py"):
        inside = path.relative_to(package).with_suffix("").parts
        paths[".".join(["llark", *inside]).removesuffix(".__init__")] = path
    found: dict[str, set[str]] = {}
    for name, path in paths.items():
        folder = ["llark", *path.relative_to(package).parts[:-1]]
        imported = {one for one in _imports(ast.parse(path.read_text()), folder) if one in paths}
        inner = {one.rpartition(".")[0] for one in imported}
        found[name] = {one for one in imported if one != name and one not in inner}
    return found


def cycle(package: Path) -> list[str]:
    """Modules that import each other, in a ring, or nothing."""
    try:
        TopologicalSorter(_modules(package)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_ring_of_any_length() -> None:
    assert len(_modules(PACKAGE)) > 200
    assert cycle(PACKAGE) == []


def test_a_ring_is_found_through_functions_and_relative_imports_and_a_folder_is_no_ring(
    tmp_path: Path,
) -> None:
    for name, text in {
        "room/__init__": "def load():\n    from llark.room import a",
        "room/a": "import llark.room.b",
        "room/b": "def f():\n    from . import c",
        "room/c": "from llark.room import d",
        "room/d": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)
    assert cycle(tmp_path) == []
    (tmp_path / "room" / "d.py").write_text("def f():\n    from llark.room.a import g")
    assert sorted(set(cycle(tmp_path))) == [f"llark.room.{name}" for name in "abcd"]


def test_rooms_import_the_ground_and_never_each_other() -> None:
    assert len(list(PACKAGE.rglob("*.py"))) > 15
    assert strangers(PACKAGE) == []


def test_no_file_is_a_drawer_for_everything() -> None:
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert names & {"utils", "util", "common", "helpers", "misc"} == set()


@pytest.mark.parametrize(
    ("file", "line", "caught"),
    [
        ("prepare/a.py", "def f():\n    from llark.embed.mini import x", True),
        ("prepare/a.py", "import llark.annotate", True),
        ("prepare/a.py", "from llark import annotate", True),
        ("prepare/a.py", "from ..annotate import song", True),
        ("prepare/a.py", "import importlib\nimportlib.import_module('llark.model')", True),
        ("prepare/a.py", "from llark.cli import main", True),
        ("prepare/a.py", "import soundfile", True),
        ("prepare/a.py", "from av.audio import frame", True),
        ("audio/a.py", "import llark.prepare", True),
        ("errors.py", "from llark import records", True),
        ("evaluate/a.py", "from llark.model import config", True),
        ("attic.py", "import os", True),
        (
            "prepare/a.py",
            "from llark import audio, storage\nfrom . import b\nfrom llark.prepare import c",
            False,
        ),
        ("train/a.py", "from llark.model import config", False),
        ("embed/a.py", "from llark.networks import beat", False),
        ("audio/loading.py", "import soxr, soundfile", False),
        ("audio/loading.py", "import av", True),
        ("audio/decoders.py", "import av", False),
        ("pipeline/build.py", "from llark.prepare import crop\nfrom llark.model import config", False),
    ],
)
def test_the_walk_finds_strangers_and_only_strangers(
    tmp_path: Path, file: str, line: str, caught: bool
) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(line)
    assert bool(strangers(tmp_path)) == caught
