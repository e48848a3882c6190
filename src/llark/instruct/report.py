"""The report page of a folder of exchanges.

Everything that comes from a data set or a model is escaped; the page runs no script and asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from llark.instruct.ledger import Spent
from llark.instruct.summary import Family, Summary
from llark.instruct.traced import Traced

MOST_ROWS = 20
_STYLE = """
body{margin:0;background:#f6f6f3;color:#1d2126;font:15px/1.5 system-ui,"DejaVu Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 56px}
h1{margin:0 0 4px}h2{font-size:16px;margin:0 0 10px}p{color:#5d666f;margin:0 0 16px}
section{background:#fff;border:1px solid #e2e2dc;border-radius:10px;padding:16px 18px;margin:0 0 16px}
.two{columns:2;column-gap:16px}.two+section{margin-top:16px}.two section{break-inside:avoid}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:4px 8px 4px 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}td.n{text-align:right}
i.bar{display:block;height:9px;min-width:2px;background:#2f6f8f;border-radius:4px}
td.w{width:32%}dt{font-weight:600;margin-top:12px}dd{margin:2px 0 0}small{color:#5d666f}
@media(max-width:720px){.two{columns:1}}
"""


@dataclass(frozen=True)
class About:
    """What the page says beside the counts: how the folder was made, and what it cost."""

    title: str
    settings: Mapping[str, Any]
    spent: Spent | None = None
    lost: Mapping[str, int] | None = None


def page(found: Summary, about: About) -> str:
    """The whole page, as text."""
    parts = [
        _table(
            "Families",
            _families(found),
            ("family", "exchanges", "words an answer", "distinct-1", "distinct-2", "self-BLEU"),
        ),
        '<div class="two">',
        *(_bars(name.capitalize(), counts, found.exchanges) for name, counts in found.by.items() if counts),
        _bars("Dropped, by reason", found.dropped, found.dropped.total() + found.exchanges),
        *(
            _bars(f"Words an answer: {name}", _in_order(family), family.exchanges)
            for name, family in found.families.items()
        ),
        "</div>",
        _drops(found),
        *(_samples(name, family.shown) for name, family in found.families.items()),
        _settings(about),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = f"{found.exchanges:,} exchanges about {found.clips:,} clips; {found.dropped.total():,} dropped"
    head += f" ({found.share_dropped:.1%}); {len(found.vocabulary):,} different words"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width"><title>{_text(about.title)}</title>'
        f"<style>{_STYLE}</style></head><body><main>\n<h1>{_text(about.title)}</h1><p>{head}</p>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _text(value: object) -> str:
    return escape(" ".join(str(value).split()), quote=True)


def _table(title: str, rows: Sequence[tuple[str, ...]], head: tuple[str, ...]) -> str:
    heads = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<section><h2>{_text(title)}</h2><table><tr>{heads}</tr>{lines}</table></section>"


def _families(found: Summary) -> list[tuple[str, ...]]:
    rows = []
    for name, family in found.families.items():
        said = family.diversity()
        numbers = [
            f"{said[key]:.3f}" if key in said else "" for key in ("distinct-1", "distinct-2", "self-BLEU")
        ]
        rows.append(
            (name, f"{family.exchanges:,}", f"{family.words / max(1, family.exchanges):.1f}", *numbers)
        )
    return rows


def _in_order(family: Family) -> dict[str, int]:
    return dict(sorted(family.lengths.items(), key=lambda item: (item[0][0] == ">", int(item[0][2:]))))


def _bars(title: str, counts: Mapping[str, int], whole: int) -> str:
    if not counts:
        return ""
    ranked = (
        list(counts.items())
        if title.startswith("Words")
        else sorted(counts.items(), key=lambda item: -item[1])
    )
    longest = max(counts.values())
    rows = "".join(
        f"<tr><td>{_text(name)}</td>"
        f'<td class="w"><i class="bar" style="width:{100 * count / longest:.1f}%"></i></td>'
        f'<td class="n">{count:,}</td><td class="n"><small>{count / max(1, whole):.1%}</small></td></tr>'
        for name, count in ranked[:MOST_ROWS]
    )
    rest = f"<small>and {len(ranked) - MOST_ROWS} more</small>" if len(ranked) > MOST_ROWS else ""
    return f"<section><h2>{_text(title)}</h2><table>{rows}</table>{rest}</section>"


def _drops(found: Summary) -> str:
    rows = [
        (reason, found.examples[reason].id, found.examples[reason].detail[:300])
        for reason, _ in found.dropped.most_common()
    ]
    return _table("One drop of each reason", rows, ("reason", "id", "what it said")) if rows else ""


def _samples(name: str, shown: list[Traced]) -> str:
    said = "".join(
        f"<dt>{_text(one.question)}</dt><dd>{_text(one.answer)} <br><small>{_text(one.kind)} · "
        f"{_text(one.clip_id)} · rests on {_text(', '.join(one.facts))}</small></dd>"
        for one in shown
    )
    return f"<section><h2>To read: {_text(name)}</h2><dl>{said}</dl></section>"


def _settings(about: About) -> str:
    rows = [(str(name), str(value)) for name, value in about.settings.items()]
    if about.spent is not None and about.spent.replies:
        spent = about.spent
        rows.append(("replies bought", f"{spent.replies:,}"))
        rows.append(("tokens", f"{spent.prompt_tokens:,} in prompts, {spent.reply_tokens:,} in replies"))
        rows.append(("US dollars, by the prices given", f"{spent.usd:.4f}"))
        rows += [(f"lost: {reason}", str(count)) for reason, count in (about.lost or {}).items()]
    return _table("How it was made", rows, ("setting", "value"))
