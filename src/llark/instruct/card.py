"""The data card of a folder of exchanges: a page of Markdown for whoever gets the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources

import yaml

from llark.instruct.report import About
from llark.instruct.summary import Summary


def card(found: Summary, about: About) -> str:
    """What is in the folder, where it comes from, and what it cannot be used for."""
    text = (resources.files("llark.instruct") / "prompts" / "card.yaml").read_text("utf-8")
    page = yaml.safe_load(text)
    asked = bool(found.by.get("prompt"))
    drops = {"count": f"{found.dropped.total():,}", "share": f"{found.share_dropped:.1%}"}
    families = (
        (name, f"{family.exchanges:,}", f"{family.words / max(1, family.exchanges):.1f}")
        for name, family in found.families.items()
    )
    filled: str = page["card"].format(
        title=cell(about.title),
        exchanges=f"{found.exchanges:,}",
        clips=f"{found.clips:,}",
        families=_table(("family", "exchanges", "words an answer"), families),
        teachers=_listed(found, "teacher"),
        measured_by=_listed(found, "measured by"),
        datasets=_counts(found.by.get("data set", {}), "data set"),
        licences=_counts(found.by.get("licence", {}), "licence of the recording"),
        checked=page["by_model" if asked else "by_grammar"].format(**drops),
        drops=_counts(found.dropped, "reason") if found.dropped else "",
        settings="\n".join(f"- {name}: {cell(value)}" for name, value in about.settings.items()),
    )
    return filled


def cell(value: object) -> str:
    """Text that cannot break out of a Markdown table or become a link."""
    text = " ".join(str(value).split())
    return "".join(f"\\{letter}" if letter in "|`*[]<>#\\" else letter for letter in text)


def _listed(found: Summary, column: str) -> str:
    return cell(", ".join(found.by.get(column, {}))) or "nobody"


def _counts(counts: Mapping[str, int], name: str) -> str:
    return _table((name, "exchanges"), ((cell(value), f"{count:,}") for value, count in counts.items()))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])
