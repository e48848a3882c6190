"""The report page of a folder of exchanges."""

from __future__ import annotations

from llark.instruct.summary import About, Family, Summary
from llark.report.page import render


def page(summary: Summary, about: About) -> str:
    """The whole page, as text."""
    counted = (
        f"{summary.exchanges:,} exchanges about {summary.clips:,} clips; {summary.dropped.total():,} dropped"
        f" ({summary.share_dropped:.1%}); {len(summary.vocabulary):,} different words"
    )
    return render(
        "instruct",
        title=about.title,
        counted=counted,
        exchanges=summary.exchanges,
        families=[_family(name, family) for name, family in summary.families.items()],
        columns=summary.by,
        lengths={name: _lengths(family) for name, family in summary.families.items()},
        dropped=summary.dropped,
        drops=[summary.examples[reason] for reason, _ in summary.dropped.most_common()],
        samples={name: family.shown for name, family in summary.families.items()},
        settings=_settings(about),
    )


def _family(name: str, family: Family) -> tuple[str, ...]:
    """A row of the table of families."""
    diversity = family.diversity()
    words = f"{family.words / max(1, family.exchanges):.1f}"
    shown = ("distinct-1", "distinct-2", "self-BLEU")
    values = [f"{diversity[key]:.3f}" if key in diversity else "" for key in shown]
    return name, f"{family.exchanges:,}", words, *values


def _lengths(family: Family) -> list[tuple[str, int]]:
    """(`≤ 5`, answers of so many words) and so on, the shortest first."""
    return sorted(family.lengths.items(), key=lambda item: (item[0][0] == ">", int(item[0][2:])))


def _settings(about: About) -> list[tuple[str, str]]:
    rows = [(str(name), str(value)) for name, value in about.settings.items()]
    if about.spent is not None and about.spent.replies:
        spent = about.spent
        rows.append(("replies bought", f"{spent.replies:,}"))
        rows.append(("tokens", f"{spent.prompt_tokens:,} in prompts, {spent.reply_tokens:,} in replies"))
        rows.append(("US dollars, by the prices given", f"{spent.usd:.4f}"))
        rows += [(f"lost: {reason}", str(count)) for reason, count in (about.lost or {}).items()]
    return rows
