"""The tables and the picture that `benchmarks/annotate.py` makes of its marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate_clips import HELD_OUT, LEAST_MEMBERS, Case
from annotate_heard import Facts
from annotate_rendered import SONGS
from annotate_scores import (
    MEASURES,
    Mark,
    Result,
    local_key_score,
    marks_of,
    reliability,
    result,
    surer_half,
)

ALL = "all conditions"
SOLO = "solo melodies"
TONELESS = "drums only"


@dataclass(frozen=True)
class Bar:
    """What a column must reach over a condition, or over the surer half of its clips."""

    column: str
    least: float
    condition: str = ALL
    selective: bool = False

    @property
    def title(self) -> str:
        return f"{self.column}, {'surer half' if self.selective else self.condition}"


BARS = (
    Bar("key", 0.85),
    Bar("key", 0.80, SOLO),
    Bar("tempo Acc1", 0.85),
    Bar("tempo Acc2", 0.95),
    Bar("beat F", 0.90),
    Bar("meter", 0.85),
    Bar("chords", 0.85),
    Bar("key", 0.97, selective=True),
    Bar("tempo Acc2", 0.97, selective=True),
    Bar("meter", 0.97, selective=True),
)
ORDER = (
    HELD_OUT, SOLO, TONELESS, "2/4", "3/4", "4/4", "6/8", "swing", "rubato", "tempo 45", "tempo 70",
    "tempo 100", "tempo 140", "tempo 180", "minor", "chords off", "modulations", "clips of", "damaged",
)  # fmt: skip
"""How the names of conditions begin, in the order of their rows."""
CALIBRATED = ("key", "tempo Acc1", "tempo Acc2", "beat F", "meter", "chords")


def clips_only(cases: Iterable[Case]) -> list[Case]:
    """All but the songs, which have a table of their own."""
    return [case for case in cases if SONGS.condition not in case.conditions]


def members(cases: Iterable[Case], condition: str) -> list[Case]:
    return [case for case in clips_only(cases) if condition in (ALL, *case.conditions)]


def bar_marks(bar: Bar, cases: Sequence[Case], facts: Mapping[str, Facts]) -> list[Mark]:
    marks = marks_of(bar.column, members(cases, bar.condition), facts)
    return surer_half(marks) if bar.selective else marks


def tables(cases: Sequence[Case], facts: Mapping[str, Facts]) -> list[str]:
    """Markdown: the bars, the conditions, calibration, what is claimed of drums, songs that modulate."""
    return [
        *bars_table(cases, facts),
        "",
        *conditions_table(cases, facts),
        "",
        *calibration_table(cases, facts),
        "",
        *claims_line(cases, facts),
        *songs_line(cases, facts),
    ]


def bars_table(cases: Sequence[Case], facts: Mapping[str, Facts]) -> list[str]:
    lines = [
        "| fact | bar | value | 95 % | n | met | held-out clips as they are |",
        "|---|---|---|---|---|---|---|",
    ]
    plain = members(cases, HELD_OUT)
    for bar in BARS:
        found = result(bar_marks(bar, cases, facts), bar.title)
        same = result(bar_marks(bar, plain, facts), bar.title)
        met = "–" if not found.n else "yes" if found.value >= bar.least else "no"
        lines.append(
            f"| {bar.title} | {bar.least:.2f} | {_number(found)} | {_interval(found)} | {found.n} | {met} "
            f"| {_number(same)} ({same.n}) |"
        )
    return lines


def conditions_table(cases: Sequence[Case], facts: Mapping[str, Facts]) -> list[str]:
    """A row a condition; a cell is the mean and how many clips it is of."""
    names: list[str] = []
    for case in clips_only(cases):
        names += [name for name in case.conditions if name not in names]
    lines = [f"| condition | {' | '.join(MEASURES)} |", "|---" * (len(MEASURES) + 1) + "|"]
    for name in (ALL, *sorted(names, key=_order)):
        inside = members(cases, name)
        if len(inside) < LEAST_MEMBERS:
            continue
        cells = [result(marks_of(column, inside, facts), f"{name} {column}") for column in MEASURES]
        lines.append(f"| {name} | {' | '.join(_cell(found) for found in cells)} |")
    return lines


def _order(name: str) -> tuple[int, str]:
    return next((i for i, start in enumerate(ORDER) if name.startswith(start)), len(ORDER)), name


def calibration_table(cases: Sequence[Case], facts: Mapping[str, Facts]) -> list[str]:
    lines = [
        "| fact | said | mean confidence | right where said | expected calibration error | surer half |",
        "|---|---|---|---|---|---|",
    ]
    for column in CALIBRATED:
        marks = marks_of(column, clips_only(cases), facts)
        said = [mark for mark in marks if mark.said]
        if not said:
            continue
        sure = sum(mark.confidence for mark in said) / len(said)
        right = sum(mark.value for mark in said) / len(said)
        half = result(surer_half(marks), column)
        lines.append(
            f"| {column} | {len(said)} of {len(marks)} | {sure:.2f} | {right:.2f} "
            f"| {reliability(marks).error:.3f} | {_number(half)} ({half.n}) |"
        )
    return lines


def claims_line(cases: Sequence[Case], facts: Mapping[str, Facts]) -> list[str]:
    drums = members(cases, TONELESS)
    claimed = [case.id for case in drums if facts[case.id].annotation.key.confidence > 0.5]
    chords = [case.id for case in drums if facts[case.id].annotation.chords.confidence > 0.5]
    if not drums:
        return []
    return [
        f"Of {len(drums)} clips with drums alone, a key is claimed with more than 0.5 on {len(claimed)}, "
        f"chords on {len(chords)}."
    ]


def songs_line(cases: Sequence[Case], facts: Mapping[str, Facts]) -> list[str]:
    songs = [case for case in cases if SONGS.condition in case.conditions]
    if not songs:
        return []
    values = [local_key_score(facts[c.id].annotation.local_keys, c.truth.local_keys) or 0.0 for c in songs]
    return [
        f"Local keys of {len(songs)} songs of 100 s that change key on the way, MIREX by the second: "
        f"{sum(values) / len(values):.2f}."
    ]


def as_json(cases: Sequence[Case], facts: Mapping[str, Facts]) -> dict[str, Any]:
    """Value, interval and count of every bar."""
    page = {}
    for bar in BARS:
        found = result(bar_marks(bar, cases, facts), bar.title)
        page[bar.title] = {**vars(found), "bar": bar.least, "met": found.value >= bar.least}
    return page


def plot(cases: Sequence[Case], facts: Mapping[str, Facts], path: Path) -> None:
    """A reliability diagram for each fact: rightness against confidence, with how many clips are where.

    Raises `UserMustAct` without the extra `plot`.
    """
    from llark.errors import UserMustAct

    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserMustAct("The reliability diagrams need matplotlib: pip install 'llark[plot]'") from error
    figure = Figure(figsize=(10.5, 7.2), layout="constrained", dpi=110)
    for place, column in enumerate(CALIBRATED):
        marks = marks_of(column, clips_only(cases), facts)
        axes = figure.add_subplot(2, 3, place + 1, aspect="equal", xlim=(0, 1), ylim=(0, 1.02))
        said = sum(mark.said for mark in marks)
        axes.set_title(f"{column}: {said} of {len(marks)} said")
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        if not said:
            continue
        found = reliability(marks)
        counts = found.counts / found.counts.max()
        axes.bar(found.confidence, 0.25 * counts, 0.06, color="0.88")
        axes.plot(found.confidence, found.value, "o-", color="#1f5f8b", markersize=5)
        axes.text(0.98, 0.30, f"calibration error {found.error:.3f}", ha="right", va="bottom")
        if place >= 3:
            axes.set_xlabel("confidence")
        if place % 3 == 0:
            axes.set_ylabel("right")
    figure.savefig(path)


def _number(found: Result) -> str:
    return f"{found.value:.3f}" if found.n else "–"


def _interval(found: Result) -> str:
    return f"{found.low:.2f}–{found.high:.2f}" if found.n else "–"


def _cell(found: Result) -> str:
    return f"{found.value:.2f} ({found.n})" if found.n else "–"
