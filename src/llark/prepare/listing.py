"""What `llark datasets` prints."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llark.prepare import datasets
from llark.prepare.datasets import Dataset
from llark.prepare.options import described, known

_OWN = ("folder", "csv", "jsonl")
"""People's own music, which stands first."""


def show(name: str | None = None, console: Console | None = None) -> None:
    """A table of all data sets, or all that is known of one. `UserMustAct`: there is no such data set."""
    console = console or Console(highlight=False)
    if name is None:
        names = sorted(datasets.names(), key=lambda known: (known not in _OWN, known))
        console.print(_table([datasets.load(known) for known in names]))
        console.print("llark datasets NAME says what must lie where, and how to cite it.", style="dim")
    else:
        console.print(_one(datasets.load(name)))


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
    options = known(one.read_tracks)
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
        ("options", "\n".join(f"{option}={described(values)}" for option, values in options.items())),
        ("checked", one.checked.removeprefix("Layout checked ")),
        ("cite", one.citation.strip()),
    ]
    for title, text in rows:
        if text:
            page.add_row(title, escape(text))
            page.add_row("", "")
    return page
