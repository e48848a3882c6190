"""Data sets that `llark prepare` reads as their publishers lay them out: one file each, found by listing
this folder. Every file has the same parts in the same order: ABOUT, CITATION, LICENCE, FILES, WHERE, SPLITS,
SPLITS_FROM, LABELS, `read_tracks`. CITATION are keys of `citations.bib`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llark.errors import UserMustAct
from llark.records import Dropped, Track

ReadTracks = Callable[..., Iterator[Track | Dropped]]
"""A data set's reader: what it takes beside its folder and split is keyword-only."""


@dataclass(frozen=True)
class Dataset:
    """What is known about one data set, and its reader."""

    name: str
    about: str
    """What it is, in some sentences."""
    citation: str
    """BibTeX entries."""
    licence: str
    files: Mapping[str, str]
    """Path below the root → what it is; `*` stands for anything, and what may be absent begins with
    `optional: `."""
    where: str
    """Where it is available."""
    splits: tuple[str, ...]
    splits_from: str
    """Who made the splits, or the rule that does."""
    labels: tuple[str, ...]
    """What a `Track` of it carries."""
    read_tracks: ReadTracks
    """`read_tracks(root, split=None)` gives the recordings of one split, or of all; `root` is a folder or an
    fsspec URL. It raises `UserMustAct` for a split that is not there and for a file that must be there and is
    not."""
    checked: str = ""
    """Against what its layout was checked."""


_CONSTANTS = ("about", "citation", "licence", "files", "where", "splits", "splits_from", "labels")
"""Fields that a reader's file gives as constants in capitals."""


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
    constants = {field: getattr(module, field.upper()) for field in _CONSTANTS}
    constants["citation"] = _entries(module.CITATION)
    return Dataset(known, **constants, read_tracks=module.read_tracks, checked=_checked(module.__doc__ or ""))


def _entries(keys: Sequence[str]) -> str:
    """The BibTeX entries of these keys, from `citations.bib`."""
    text = resources.files(__name__).joinpath("citations.bib").read_text(encoding="utf-8")
    entries = {entry.partition("{")[2].partition(",")[0]: entry.strip() for entry in text.split("\n\n")}
    return "\n".join(entries[key] for key in keys) or "None: the recordings are yours."


def _checked(docstring: str) -> str:
    """The paragraph of a reader's docstring that names the source of its layout."""
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
        options = [
            f"`{name}={_described(values)}`" for name, values in known_options(one.read_tracks).items()
        ]
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


# --- options of a reader ------------------------------------------------------------------------------------


def pairs(words: Sequence[str], flag: str, example: str) -> dict[str, str]:
    """`path=file title=name` as {path: file, title: name}. Raises `UserMustAct` for a word without `=`."""
    values: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (equals and name and value) or name in values:
            raise UserMustAct(f"{flag} takes {example}, each once; not {word!r}.")
        values[name] = value
    return values


def known_options(read: ReadTracks) -> dict[str, tuple[Any, ...]]:
    """Option → the values it may have, the usual one first; `(25, int)` stands for any whole number."""
    kinds = get_type_hints(read)
    options: dict[str, tuple[Any, ...]] = {}
    for name, parameter in inspect.signature(read).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            usual, kind = parameter.default, kinds[name]
            choices = {bool: (True, False)}.get(
                kind, get_args(kind) if get_origin(kind) is Literal else (kind,)
            )
            options[name] = (usual, *(value for value in choices if value is not usual))
    return options


def typed_options(dataset: str, read: ReadTracks, given: Mapping[str, str]) -> dict[str, Any]:
    """The options as the reader takes them. Raises `UserMustAct` for another name or value."""
    allowed, options = known_options(read), dict[str, Any]()
    for name, text in given.items():
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            some = ", ".join(allowed) or "none"
            raise UserMustAct(f"{dataset} has no option {name!r}.{hint} It has {some}.")
        if allowed[name][1] is int and text.isdecimal():
            options[name] = int(text)
            continue
        matching = [value for value in allowed[name] if str(value).lower() == text.lower()]
        if not matching:
            raise UserMustAct(f"{dataset} takes {name}={_described(allowed[name])}; not {text!r}.")
        options[name] = matching[0]
    return options


def _described(values: tuple[Any, ...]) -> str:
    """`2 or 1`, `true or false`, or `a whole number (4)`."""
    if values[1] is int:
        return f"a whole number ({values[0]})"
    return " or ".join(str(value).lower() for value in values)


# --- what `llark datasets` prints ---------------------------------------------------------------------------

_OWN = ("folder", "csv", "jsonl")
"""People's own music, which stands first."""


def show(name: str | None = None, console: Console | None = None) -> None:
    """A table of all data sets, or all that is known of one. `UserMustAct`: there is no such data set."""
    console = console or Console(highlight=False)
    if name is None:
        ordered = sorted(names(), key=lambda known: (known not in _OWN, known))
        console.print(_table([load(known) for known in ordered]))
        console.print("llark datasets NAME says what must lie where, and how to cite it.", style="dim")
    else:
        console.print(_one(load(name)))


def _table(sets: list[Dataset]) -> Table:
    """Three lines a data set: they fit any terminal, as seven columns would not."""
    page = Table.grid(padding=(0, 2, 0, 0))
    page.add_column(style="bold cyan", no_wrap=True)
    page.add_column(overflow="fold")
    for one in sets:
        lines = [f"{', '.join(one.splits)}: {_some(one.labels)}", one.licence, one.where]
        first, licence, where = map(escape, lines)
        page.add_row(one.name, f"{first}\n[green]{licence}[/green]\n[dim]{where}[/dim]\n")
    return page


def _some(words: tuple[str, ...], most: int = 8) -> str:
    return ", ".join(words[:most]) + (" …" if len(words) > most else "")


def _one(one: Dataset) -> Table:
    options = known_options(one.read_tracks)
    page = Table.grid(padding=(0, 2, 0, 0))
    page.add_column(style="bold", no_wrap=True)
    page.add_column(overflow="fold")
    rows = [
        (one.name, one.about),
        ("licence", one.licence),
        ("where", one.where),
        ("splits", f"{', '.join(one.splits)}\n{one.splits_from}"),
        ("labels", ", ".join(one.labels)),
        ("files", "\n".join(f"{path}\n    {what}" for path, what in one.files.items())),
        ("options", "\n".join(f"{option}={_described(values)}" for option, values in options.items())),
        ("checked", one.checked.removeprefix("Layout checked ")),
        ("cite", one.citation.strip()),
    ]
    for title, text in rows:
        if text:
            page.add_row(title, escape(text))
            page.add_row("", "")
    return page
