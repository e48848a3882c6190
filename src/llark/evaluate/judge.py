"""A judge model that reads answers: which of two descriptions is better, and which music an answer is about.

Win rate (the paper's captioning and reasoning comparisons): the judge is given what people wrote about the
music and two answers, in both orders; a model wins only where it is preferred in both, and where the orders
disagree it is a tie, which is counted as half. Matching (the paper's audio-to-text matching): the judge is
given one answer and several descriptions of which one is of the same music, and chance is one in so many.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llark.errors import UserMustAct
from llark.evaluate import bootstrap
from llark.evaluate.options import LETTERS, OptionList, read_option, shuffled

Judge = Callable[[str], str]
"""A prompt → what the judge says."""

CANDIDATES = 4
"""Descriptions among which the judge finds the right one."""

ASKED_TO_PREFER = """\
Two systems answered a question about a piece of music. What is known about the music: {known}

Question: {question}

Answer A: {first}

Answer B: {second}

Which answer is more correct and more informative about this music? Statements that contradict what is known
count against an answer; length does not count for it. Reply with one letter, A or B."""

ASKED_TO_MATCH = """\
Somebody described a piece of music: {answer}

Which of these is about the same piece?
{options}
Reply with one letter."""


@dataclass(frozen=True)
class Pair:
    """Two answers to one question about one recording. `known` is what people wrote about it."""

    id: str
    track_id: str
    question: str
    known: str
    first: str
    second: str


@dataclass(frozen=True)
class WinRate:
    """How often the first is preferred, ties as half, with the 95 % interval over tracks.

    `swayed`: how often the preference changed with the order, which says how far to trust the judge.
    """

    wins: int
    losses: int
    ties: int
    rate: float
    low: float
    high: float
    swayed: float
    unread: int = 0

    def __str__(self) -> str:
        n = self.wins + self.losses + self.ties
        return (
            f"win rate {self.rate:.3f} [{self.low:.3f}, {self.high:.3f}]: "
            f"{self.wins} won, {self.losses} lost, {self.ties} tied of {n}; "
            f"the order swayed {100 * self.swayed:.0f} %, {self.unread} not judged"
        )


def win_rate(pairs: Sequence[Pair], judge: Judge) -> WinRate:
    """Each pair judged in both orders. Raises `UserMustAct` where no pair got a verdict."""
    outcomes: list[tuple[Pair, float, bool]] = []
    for pair in pairs:
        forth, back = _prefers(pair, judge), _prefers(pair, judge, swap=True)
        if forth is not None and back is not None:
            outcomes.append((pair, (forth + back) / 2, forth != back))
    if not outcomes:
        raise UserMustAct(f"The judge gave no verdict on any of {len(pairs)} pairs.")
    tally = bootstrap.tally(
        [pair.track_id for pair, _, _ in outcomes], np.asarray([[1.0, won] for _, won, _ in outcomes])
    )
    rates = bootstrap.means("rate")
    redrawn = bootstrap.redrawn(tally, rates, bootstrap.draws(tally.tracks, 1000, "win rate"))["rate"]
    low, high = bootstrap.interval(redrawn, tally.tracks, (0.0, 1.0))
    won = [score for _, score, _ in outcomes]
    return WinRate(
        wins=won.count(1.0),
        losses=won.count(0.0),
        ties=won.count(0.5),
        rate=bootstrap.rates_of(tally, rates)["rate"],
        low=low,
        high=high,
        swayed=sum(swayed for _, _, swayed in outcomes) / len(outcomes),
        unread=len(pairs) - len(outcomes),
    )


def asked_to_prefer(pair: Pair, swap: bool = False) -> str:
    """What the judge is asked about a pair, in the order in which it stands or in the other one."""
    first, second = (pair.second, pair.first) if swap else (pair.first, pair.second)
    return ASKED_TO_PREFER.format(
        known=pair.known or "nothing", question=pair.question, first=first, second=second
    )


def _prefers(pair: Pair, judge: Judge, swap: bool = False) -> float | None:
    """1 where the first answer is preferred, 0 where the second is, `None` where the judge says neither."""
    said = read_option(judge(asked_to_prefer(pair, swap)), OptionList(("Answer A", "Answer B"), 0))
    return None if said is None else float((said == 0) != swap)


def asked_to_match(answers: Mapping[str, str], known: Mapping[str, str]) -> dict[str, tuple[str, OptionList]]:
    """By clip what the judge is asked, and the descriptions that it chooses among.

    The wrong ones are of other clips of `known`, chosen by the clip's id alone. Raises `UserMustAct` where
    there are too few.
    """
    if len(set(known.values())) < CANDIDATES:
        raise UserMustAct(f"Matching needs descriptions of at least {CANDIDATES} recordings.")
    asked = {}
    for clip, answer in answers.items():
        if clip in known:
            options = _candidates(clip, known)
            listed = "\n".join(f"({LETTERS[i]}) {text}" for i, text in enumerate(options.texts))
            asked[clip] = ASKED_TO_MATCH.format(answer=answer, options=listed), options
    return asked


def matching(answers: Mapping[str, str], known: Mapping[str, str], judge: Judge) -> dict[str, float]:
    """1 or 0 for each answer by clip: whether the judge finds its music among `CANDIDATES` descriptions."""
    return {
        clip: float(read_option(judge(prompt), options) == options.right)
        for clip, (prompt, options) in asked_to_match(answers, known).items()
    }


def _candidates(clip: str, known: Mapping[str, str]) -> OptionList:
    others = {known[other] for other in known if other != clip} - {known[clip]}
    ranked = sorted(others, key=lambda text: hashlib.sha256(f"other:{clip}:{text}".encode()).hexdigest())
    return shuffled(clip, known[clip], ranked[: CANDIDATES - 1])


def without_lines(text: str) -> str:
    """A text on one line, so that it cannot look like another part of the prompt."""
    return re.sub(r"\s+", " ", text).strip()
