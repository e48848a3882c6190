"""Data sets that `llark prepare` reads as their publishers lay them out: one file each, found by listing
this folder. Every file has the same parts in the same order: ABOUT, CITATION, LICENCE, FILES, WHERE, SPLITS,
SPLITS_FROM, LABELS, `read_tracks`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from llark.errors import UserMustAct
from llark.prepare.options import ReadTracks, described
from llark.prepare.options import known as options_of


@dataclass(frozen=True)
class Dataset:
    """What is known about one data set, and its reader.

    `files`: path below the root → what it is; `*` stands for anything, and what may be absent begins with
    `optional: `. `splits_from`: who made the splits, or the rule that does. `labels`: what a `Track` carries.
    `read_tracks(root, split=None)`: the recordings of one split, or of all; `root` is a folder or an fsspec
    URL. It raises `UserMustAct` for a split that is not there and for a file that must be there and is not.
    """

    name: str
    about: str
    citation: str
    licence: str
    files: Mapping[str, str]
    where: str
    splits: tuple[str, ...]
    splits_from: str
    labels: tuple[str, ...]
    read_tracks: ReadTracks
    checked: str = ""


def names() -> tuple[str, ...]:
    """The names that `load` takes, sorted."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in modules if not name.startswith("_")))


def load(name: str) -> Dataset:
    """The data set of that name (`-` and `_` are the same). `UserMustAct`: none; the nearest name is said."""
    known = name.lower().replace("-", "_")
    if known not in names():
        near = difflib.get_close_matches(known, names(), n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserMustAct(f"There is no reader for a data set {name!r}.{hint} Known: {', '.join(names())}.")
    module: Any = importlib.import_module(f"{__name__}.{known}")
    return Dataset(
        name=known,
        about=module.ABOUT,
        citation=module.CITATION,
        licence=module.LICENCE,
        files=MappingProxyType(dict(module.FILES)),
        where=module.WHERE,
        splits=tuple(module.SPLITS),
        splits_from=module.SPLITS_FROM,
        labels=tuple(module.LABELS),
        read_tracks=module.read_tracks,
        checked=_checked(module.__doc__ or ""),
    )


def _checked(docstring: str) -> str:
    """The paragraph of a reader's docstring that says where its layout was learnt."""
    paragraphs = (" ".join(part.split()) for part in docstring.split("\n\n"))
    return next((part for part in paragraphs if part.startswith("Layout checked against ")), "")


def as_markdown() -> str:
    """The page `docs/datasets.md`: a table of all data sets, and for each what must lie where."""
    sets = [load(name) for name in names()]
    head = ["name", "licence", "splits", "labels", "where to get it"]
    table = [head, ["---"] * len(head)]
    table += [[s.name, s.licence, ", ".join(s.splits), ", ".join(s.labels), s.where] for s in sets]
    lines = ["# Data sets", "", *_INTRODUCTION, ""]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
    for one in sets:
        lines += ["", f"## {one.name}", "", one.about, "", f"Splits: {one.splits_from}", ""]
        lines += [f"- `{path}`: {what}" for path, what in one.files.items()]
        options = [f"`{name}={described(values)}`" for name, values in options_of(one.read_tracks).items()]
        lines += ["", f"`--options`, the usual value first: {', '.join(options)}"] if options else []
        lines += ["", one.checked] if one.checked else []
        if "@" in one.citation:
            lines += ["", "```bibtex", one.citation.strip(), "```"]
    return "\n".join(lines) + "\n"


_INTRODUCTION = (
    "Written by `llark.prepare.datasets.as_markdown()`. A reader takes the folder as the publisher lays it",
    "out: paths are below the folder that is given. A recording may have any audio suffix, so that converted",
    "copies are found. A row without its recording is dropped as `missing-audio`, one whose files may not be",
    "read as `unreadable`, and counted. [datasets-checked.md](datasets-checked.md) compares the readers with",
    "mirdata's.",
)
