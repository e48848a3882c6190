"""Musical details in answers, listed by a judge: how many an answer states, and how many of them are so.

The paper has a judge model weigh the musical detail of captions, because word overlap does not see it. A
count alone is won by inventing, so that the judge also says of each detail whether what is known about the
music supports it, contradicts it or is silent on it; and the answers that the model gave to another track's
sound are counted beside: a model that does not hear states as many of them, and fewer are so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llark.errors import UserMustAct
from llark.evaluate import bootstrap
from llark.evaluate.judge import Judge

SUPPORTED, CONTRADICTED, UNKNOWN = "supported", "contradicted", "unknown"
VERDICTS = (SUPPORTED, CONTRADICTED, UNKNOWN)

ASKED = """\
Somebody described a piece of music: {answer}

What is known about the music: {known}

List every musical detail that the description states: instruments and voices, tempo, key, meter, harmony, \
melody, rhythm, form, dynamics, playing and production, style. Moods, opinions and what fits any music are \
no details; the same detail counts once. Write one a line, and after a bar whether what is known supports it:
detail | supported
detail | contradicted
detail | unknown
Reply with such lines alone, or with NONE where there is no detail."""

_LINE = re.compile(
    r"(?m)^\W*(?:\d+[.)]\s*)?(?P<detail>[^|\n]*\w[^|\n]*)\|\W*(?P<verdict>(?:not\s+)?[A-Za-z]+)"
)
_NOT_SUPPORTED = re.compile(r"(?:un|not\s+)support")
_RULE = re.compile(r"\W*detail\W*")


@dataclass(frozen=True)
class Described:
    """An answer, and what people wrote about its music."""

    id: str
    track_id: str
    answer: str
    known: str

    @property
    def prompt(self) -> str:
        return ASKED.format(answer=self.answer, known=self.known or "nothing")


@dataclass(frozen=True)
class Share:
    """A mean over answers with its 95 % interval over tracks."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Details:
    """Details an answer, and how many of them are supported, contradicted or unknown; `unread` replies."""

    stated: Share
    supported: Share
    contradicted: Share
    unknown: Share
    n: int
    tracks: int
    unread: int

    def __str__(self) -> str:
        return (
            f"{self.stated} details an answer, of which {self.supported} supported, "
            f"{self.contradicted} contradicted, {self.unknown} unknown; "
            f"n = {self.n}, {self.tracks} tracks, {self.unread} not judged"
        )


def read(reply: str) -> dict[str, str] | None:
    """Each detail of a judge's reply with its verdict; `None` where the reply is no such list."""
    found: dict[str, str] = {}
    for line in _LINE.finditer(reply):
        detail = " ".join(re.findall(r"[\w#♭♯/.-]+", line["detail"].lower()))
        word = line["verdict"].lower()
        verdict = next((one for one in VERDICTS if one[:4] == word[:4]), None)
        verdict = UNKNOWN if _NOT_SUPPORTED.match(word) else verdict
        if verdict is not None and not _RULE.fullmatch(detail):
            found.setdefault(detail, verdict)
    if not found and not re.fullmatch(r"\W*none\W*", reply, re.IGNORECASE):
        return None
    return found


def count(answers: Sequence[Described], judge: Judge) -> Details:
    """The details of all answers; an answer without words has none. `UserMustAct`: no reply can be read."""
    rows, tracks = [], []
    for one in answers:
        found = read(judge(one.prompt)) if one.answer.strip() else {}
        if found is not None:
            said = list(found.values())
            rows.append([1.0, len(said), *(said.count(verdict) for verdict in VERDICTS)])
            tracks.append(one.track_id)
    if not rows:
        raise UserMustAct(f"The judge listed the details of none of {len(answers)} answers.")
    tallied = bootstrap.tally(tracks, np.asarray(rows, dtype=float))
    rates = bootstrap.means("stated", *VERDICTS)
    redrawn = bootstrap.redrawn(tallied, rates, bootstrap.draws(tallied.tracks, 1000, "details"))
    values = bootstrap.rates_of(tallied, rates)
    shares = {
        name: Share(value, *bootstrap.interval(redrawn[name], tallied.tracks, (0.0, float("inf"))))
        for name, value in values.items()
    }
    return Details(**shares, n=len(rows), tracks=tallied.tracks, unread=len(answers) - len(rows))
