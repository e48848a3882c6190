"""Two reports on the same questions, paired: which model is better, and could that be chance?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llark.errors import UserMustAct
from llark.evaluate import bootstrap
from llark.evaluate.cases import AUDIO
from llark.evaluate.outcome import Evaluation, Verdict


@dataclass(frozen=True)
class Difference:
    """How much more credit (0 to 1, mean over the shared questions) the first model has than the second.

    `low` to `high` is the 95 % interval over resampled tracks; `p` that of a two-sided permutation test in
    which the models are swapped within tracks.
    """

    task: str
    first: float
    second: float
    value: float
    low: float
    high: float
    p: float
    n: int
    tracks: int


def differences(first: Evaluation, second: Evaluation, condition: str = AUDIO) -> list[Difference]:
    """One a task that both have, over the questions that both were asked.

    Raises `UserMustAct` where they share none.
    """
    pairs = {name: _shared(first, second, name, condition) for name in _tasks(first.answers, condition)}
    found = [_difference(name, one, other) for name, (one, other) in pairs.items() if one]
    if not found:
        raise UserMustAct("The two reports share no question: they are of other tasks or other clips.")
    return found


def _tasks(verdicts: Iterable[Verdict], condition: str) -> list[str]:
    return list(dict.fromkeys(verdict.task for verdict in verdicts if verdict.condition == condition))


def _shared(
    first: Evaluation, second: Evaluation, task: str, condition: str
) -> tuple[list[Verdict], list[Verdict]]:
    """The verdicts on the questions that both have, in the same order."""

    def by_case(evaluation: Evaluation) -> dict[str, Verdict]:
        kept = (v for v in evaluation.answers if (v.task, v.condition) == (task, condition))
        return {verdict.case_id: verdict for verdict in kept if verdict.right is not None}

    one, other = by_case(first), by_case(second)
    same = sorted(id_ for id_ in one.keys() & other.keys() if one[id_].question == other[id_].question)
    return [one[id_] for id_ in same], [other[id_] for id_ in same]


def _difference(task: str, first: list[Verdict], second: list[Verdict]) -> Difference:
    tracks = [verdict.track_id for verdict in first]
    one, other = _tally(tracks, first), _tally(tracks, second)
    low, high, p = bootstrap.paired(one, other, purpose=task)
    return Difference(
        task=task,
        first=_mean(one),
        second=_mean(other),
        value=_mean(one) - _mean(other),
        low=low,
        high=high,
        p=p,
        n=len(first),
        tracks=one.tracks,
    )


def _tally(tracks: list[str], verdicts: list[Verdict]) -> bootstrap.TrackTally:
    return bootstrap.tally(tracks, np.asarray([[1.0, verdict.right or 0.0] for verdict in verdicts]))


def _mean(tallied: bootstrap.TrackTally) -> float:
    return float(tallied.by_track[:, 1].sum() / tallied.by_track[:, 0].sum())


def table(first: Evaluation, second: Evaluation, one: str = "first", other: str = "second") -> str:
    """A Markdown table, one line a task."""
    lines = [
        f"| task | {one} | {other} | difference | 95 % interval | p | questions | tracks |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for found in differences(first, second):
        lines.append(
            f"| {found.task} | {found.first:.3f} | {found.second:.3f} | {found.value:+.3f} | "
            f"[{found.low:+.3f}, {found.high:+.3f}] | {found.p:.4f} | {found.n} | {found.tracks} |"
        )
    note = "Mean credit of an answer, 0 to 1; for lists that is the clip's F1, for a tempo Acc1."
    return "\n".join([*lines, "", note, ""])


def told_apart(first: Path, second: Path) -> tuple[str, str]:
    """The names of two folders, with as many of the folders above as it takes to tell them apart."""
    one, other = Path(os.path.abspath(first)).parts, Path(os.path.abspath(second)).parts
    for count in range(1, max(len(one), len(other)) + 1):
        names = "/".join(one[-count:]), "/".join(other[-count:])
        if names[0] != names[1]:
            return names
    return "first", "second"
