"""Our facts beside those of other annotators, on the same clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from annotate_clips import Case
from annotate_heard import OURS, Facts
from annotate_scores import DRAWS, MEASURES, Mark, marks_of
from others import OTHERS

from llark.evaluate import bootstrap

COLUMNS = ("tempo Acc1", "tempo Acc2", "beat F", "downbeat F", "meter", "key", "chords")
TIE = 0.005


def table(
    cases: Sequence[Case], facts: Mapping[str, Mapping[str, Facts]], seconds: Mapping[str, float]
) -> list[str]:
    """A row a fact, a column an annotator; the last says whether ours leads, ties or trails, and why."""
    names = list(facts)
    lines = [
        f"| {len(cases)} held-out clips | n | {' | '.join(names)} | |",
        "|---" * (len(names) + 3) + "|",
    ]
    for column in COLUMNS:
        marks = {name: marks_of(column, cases, facts[name]) for name in names if has(name, column)}
        if not marks[OURS]:
            continue
        cells = [f"{_mean(marks[name]):.3f}" if name in marks else "–" for name in names]
        lines.append(f"| {column} | {len(marks[OURS])} | {' | '.join(cells)} | {verdict(column, marks)} |")
    ours = seconds[OURS]
    cells = [f"{seconds[name]:.2f} ({seconds[name] / ours:.1f}×)" for name in names]
    lines.append(f"| seconds of one core a clip | | {' | '.join(cells)} | {_speed(seconds)} |")
    licences = "; ".join(f"{name}: {OTHERS[name].licence}" for name in names if name in OTHERS)
    return [*lines, "", f"Licences. {licences}."]


def has(name: str, column: str) -> bool:
    """Whether an annotator has a word for the fact; only those with bars have downbeats."""
    if name == OURS:
        return True
    known = OTHERS[name].facts
    return "meter" in known if column == "downbeat F" else MEASURES[column][0] in known


def verdict(column: str, marks: Mapping[str, Sequence[Mark]]) -> str:
    """`leads`, `ties` or `trails`, against the best of the others; why, where it trails."""
    rivals = {name: _mean(found) for name, found in marks.items() if name != OURS}
    if not rivals:
        return "ours alone"
    best = max(rivals, key=lambda name: rivals[name])
    lead = _mean(marks[OURS]) - rivals[best]
    low, high = difference(marks[OURS], marks[best])
    if abs(lead) <= TIE:
        return f"ties {best}"
    if lead > 0:
        return f"leads {best} by {lead:.3f} (95 %: {low:+.2f} to {high:+.2f})"
    return (
        f"trails {best} by {-lead:.3f} (95 %: {low:+.2f} to {high:+.2f}): {_reason(marks[OURS], marks[best])}"
    )


def difference(ours: Sequence[Mark], theirs: Sequence[Mark]) -> tuple[float, float]:
    """95 % of how far ours is ahead, with pieces and styles drawn anew, clip against clip."""
    other = {mark.case_id: mark.value for mark in theirs}
    points = np.array([[1.0, mark.value - other[mark.case_id]] for mark in ours if mark.case_id in other])
    groups = [mark.group for mark in ours if mark.case_id in other]
    tallied, rates = bootstrap.tally(groups, points), bootstrap.means("lead")
    lead = bootstrap.estimates(tallied, rates, "against", count=DRAWS, widest=(-1.0, 1.0))["lead"]
    return lead.low, lead.high


def _reason(ours: Sequence[Mark], theirs: Sequence[Mark]) -> str:
    """Where the points are lost: unknown with us, or wrong."""
    other = {mark.case_id: mark.value for mark in theirs}
    lost = [(mark, other.get(mark.case_id, 0.0) - mark.value) for mark in ours]
    silent = sum(gap for mark, gap in lost if not mark.said) / len(ours)
    spoken = sum(gap for mark, gap in lost if mark.said) / len(ours)
    quiet = sum(not mark.said for mark in ours)
    return f"{silent:.3f} of it where ours says unknown ({quiet} clips), {spoken:.3f} where it answers"


def _speed(seconds: Mapping[str, float]) -> str:
    slower = [name for name in seconds if name != OURS and seconds[name] < seconds[OURS]]
    return f"{', '.join(slower)}: fewer facts, no network" if slower else "ours is the quickest"


def _mean(marks: Sequence[Mark]) -> float:
    return sum(mark.value for mark in marks) / len(marks) if marks else float("nan")
