"""The walk of `llark judge`: what an evaluation has answered, read by somebody else's model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llark.errors import UserMustAct

if TYPE_CHECKING:
    from llark.evaluate.endpoint import Api
    from llark.evaluate.judge import Pair
    from llark.evaluate.outcome import Evaluation, Verdict


@dataclass(frozen=True)
class Wanted:
    """Who judges, and what: answers to `task` with sound."""

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    task: str = "captions"
    yes: bool = False


def win_rate(first: Path, second: Path | None, wanted: Wanted) -> str:
    """How often the answers of one report are preferred to those of another, or to what people wrote."""
    from llark.evaluate import judge, report

    theirs = report.read(second) if second else None
    pairs = _pairs(report.read(first), theirs, wanted.task)
    ask = _judge(wanted, 2 * len(pairs))
    return f"{first.name} against {second.name if second else 'people'}: {judge.win_rate(pairs, ask)}"


def matching(report_folder: Path, wanted: Wanted) -> str:
    """How often a judge finds the music that an answer is about among four descriptions."""
    import numpy as np

    from llark.evaluate import judge, pool, report

    verdicts = _answers(report.read(report_folder), wanted.task)
    known = {clip: judge.without_lines(_known(verdict)) for clip, verdict in verdicts.items()}
    answers = {clip: verdict.answer for clip, verdict in verdicts.items()}
    found = judge.matching(answers, known, _judge(wanted, len(answers)))
    tallied = pool.tally(
        [verdicts[clip].track_id for clip in found], np.asarray([[1.0, hit] for hit in found.values()])
    )
    redrawn = pool.redrawn(tallied, pool.means("match"), pool.draws(tallied.tracks, 1000, "match"))["match"]
    low, high = pool.interval(redrawn, tallied.tracks, (0.0, 1.0))
    share = sum(found.values()) / len(found)
    return f"matched {share:.3f} [{low:.3f}, {high:.3f}] of {len(found)}; chance {1 / judge.CANDIDATES:.2f}"


def embedding_match(report_folder: Path, wanted: Wanted) -> str:
    """Accuracy of the label whose text embedding is nearest to the answer's, for a genre benchmark."""
    from llark.evaluate import embedding, report
    from llark.evaluate.tasks import TASKS

    labels = getattr(TASKS.get(wanted.task), "GENRES", None)
    if labels is None or not hasattr(labels, "names"):
        raise UserMustAct(f"Embedding match is for gtzan_genre and medleydb_genre, not for {wanted.task}.")
    verdicts = list(_answers(report.read(report_folder), wanted.task).values())
    api = _api(wanted, len(verdicts) // 64 + 2)
    orders = embedding.ranked([v.answer for v in verdicts], labels.names, in_batches(api.embed))
    found = embedding.accuracies(orders, [v.truth for v in verdicts], [v.track_id for v in verdicts])
    rows = [f"{name} {value:.3f} [{low:.3f}, {high:.3f}]" for name, (value, low, high) in found.items()]
    return f"{wanted.task}, embedding match by {wanted.model}, n = {len(verdicts)}: {', '.join(rows)}"


def in_batches(
    embed: Callable[[Sequence[str]], list[list[float]]], size: int = 64
) -> Callable[[Sequence[str]], list[list[float]]]:
    """The same, so many texts a request."""

    def embed_all(texts: Sequence[str]) -> list[list[float]]:
        return [row for start in range(0, len(texts), size) for row in embed(texts[start : start + size])]

    return embed_all


def _answers(evaluation: Evaluation, task: str) -> Mapping[str, Verdict]:
    """The answers with sound, by clip. Raises `UserMustAct` where there are none."""
    from llark.evaluate.cases import AUDIO

    kept = [v for v in evaluation.answers if (v.task, v.condition) == (task, AUDIO) and v.truth is not None]
    if not kept:
        raise UserMustAct(f"The report has no answers to {task} with sound; evaluate that task first.")
    return {verdict.case_id: verdict for verdict in kept}


def _known(verdict: Verdict) -> str:
    return (
        " ".join(map(str, verdict.truth)) if isinstance(verdict.truth, list | tuple) else str(verdict.truth)
    )


def _pairs(first: Evaluation, second: Evaluation | None, task: str) -> list[Pair]:
    from llark.evaluate.judge import Pair, without_lines

    ours = _answers(first, task)
    theirs = _answers(second, task) if second is not None else None
    pairs = []
    for id_, verdict in ours.items():
        known = without_lines(_known(verdict))
        other = known if theirs is None else theirs[id_].answer if id_ in theirs else None
        if other is not None:
            told = "" if theirs is None else known
            said = without_lines(verdict.answer), without_lines(other)
            pairs.append(Pair(id_, verdict.track_id, verdict.question, told, *said))
    if not pairs:
        raise UserMustAct("The two reports share no question of this task.")
    return pairs


def _judge(wanted: Wanted, requests: int) -> Callable[[str], str]:
    from llark import engine

    api = _api(wanted, requests)
    tick = engine.Ticker("judge", requests)

    def ask(prompt: str) -> str:
        said = api.chat(prompt)
        tick()
        return said

    return ask


def _api(wanted: Wanted, requests: int) -> Api:
    """The API, after it was said how often it would be asked. Raises `UserMustAct` without a yes."""
    from llark.evaluate.endpoint import Api

    print(f"{wanted.model}: about {requests} requests", file=sys.stderr)
    if not wanted.yes:
        raise UserMustAct(f"Nothing was sent. It takes about {requests} requests. Say --yes to go on.")
    return Api(wanted.url, wanted.model, wanted.key_variable)
