"""The walk of `llark judge`: answers of reports, compared, read by somebody else's model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llark.errors import UserMustAct
from llark.pipeline.evaluate import told_apart

if TYPE_CHECKING:
    from llark.evaluate.details import Described
    from llark.evaluate.endpoint import Api
    from llark.evaluate.judge import Judge, Pair
    from llark.evaluate.outcome import Evaluation, Verdict

JUDGE_TOKENS = 512
"""At most so many in a reply: a letter, or a list of details."""


@dataclass(frozen=True)
class Wanted:
    """Who judges, and what: answers to `task` with sound."""

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    task: str = "captions"
    yes: bool = False
    dollars_per_million: float | None = None


def win_rate(first: Path, second: Path | None, wanted: Wanted) -> str:
    """How often the answers of one report are preferred to those of another, or to what people wrote."""
    from llark.evaluate import judge, report

    theirs = report.read(second) if second else None
    pairs = _pairs(report.read(first), theirs, wanted.task)
    prompts = [judge.asked_to_prefer(pair, swap) for pair in pairs for swap in (False, True)]
    found = judge.win_rate(pairs, _asked(first, "prefer", prompts, wanted))
    name, other = told_apart(first, second) if second else (first.name, "people")
    return _told(first, "prefer", wanted, f"{name} against {other}: {found}")


def matching(report_folder: Path, wanted: Wanted) -> str:
    """How often a judge finds the music that an answer is about among four descriptions."""
    import numpy as np

    from llark.evaluate import bootstrap, judge, report

    verdicts = _answers(report.read(report_folder), wanted.task)
    known = {clip: judge.without_lines(_known(verdict)) for clip, verdict in verdicts.items()}
    answers = {clip: judge.without_lines(verdict.answer) for clip, verdict in verdicts.items()}
    prompts = [prompt for prompt, _ in judge.asked_to_match(answers, known).values()]
    found = judge.matching(answers, known, _asked(report_folder, "match", prompts, wanted))
    tallied = bootstrap.tally(
        [verdicts[clip].track_id for clip in found], np.asarray([[1.0, hit] for hit in found.values()])
    )
    redrawn = bootstrap.redrawn(
        tallied, bootstrap.means("match"), bootstrap.draws(tallied.tracks, 1000, "match")
    )["match"]
    low, high = bootstrap.interval(redrawn, tallied.tracks, (0.0, 1.0))
    share = sum(found.values()) / len(found)
    said = f"matched {share:.3f} [{low:.3f}, {high:.3f}] of {len(found)}; chance {1 / judge.CANDIDATES:.2f}"
    return _told(report_folder, "match", wanted, said)


def detail(report_folder: Path, wanted: Wanted) -> str:
    """How many musical details the answers state, and how many are so: with the sound, and another's."""
    from llark.evaluate import details, report
    from llark.evaluate.cases import AUDIO, SHUFFLED

    evaluation = report.read(report_folder)
    told = {AUDIO: _described(_answers(evaluation, wanted.task))}
    if shuffled := _answers(evaluation, wanted.task, SHUFFLED, needed=False):
        told[SHUFFLED] = _described(shuffled)
    prompts = [one.prompt for answers in told.values() for one in answers if one.answer.strip()]
    replies = _asked(report_folder, "details", prompts, wanted)
    lines = [f"{condition}: {details.count(answers, replies)}" for condition, answers in told.items()]
    return _told(report_folder, "details", wanted, "\n".join(lines))


def _described(verdicts: Mapping[str, Verdict]) -> list[Described]:
    from llark.evaluate.details import Described
    from llark.evaluate.judge import without_lines

    return [
        Described(id_, v.track_id, without_lines(v.answer), without_lines(_known(v)))
        for id_, v in verdicts.items()
    ]


def embedding_match(report_folder: Path, wanted: Wanted) -> str:
    """Accuracy of the label whose text embedding is nearest to the answer's, for a genre benchmark."""
    from llark.evaluate import embedding, report
    from llark.evaluate.tasks import TASKS

    if wanted.task not in ("gtzan_genre", "medleydb_genre"):
        raise UserMustAct(f"Embedding match is for gtzan_genre and medleydb_genre, not for {wanted.task}.")
    verdicts = list(_answers(report.read(report_folder), wanted.task).values())
    _agree(wanted, f"about {len(verdicts) // 64 + 2} requests")
    api = _api(wanted)
    orders = embedding.ranked(
        [v.answer for v in verdicts], TASKS[wanted.task].constants(()), in_batches(api.embed)
    )
    found = embedding.accuracies(orders, [v.truth for v in verdicts], [v.track_id for v in verdicts])
    rows = [f"{name} {value:.3f} [{low:.3f}, {high:.3f}]" for name, (value, low, high) in found.items()]
    said = f"{wanted.task}, embedding match by {wanted.model}, n = {len(verdicts)}: {', '.join(rows)}"
    return _told(report_folder, "embed", wanted, said)


def in_batches(
    embed: Callable[[Sequence[str]], list[list[float]]], size: int = 64
) -> Callable[[Sequence[str]], list[list[float]]]:
    """The same, so many texts a request."""

    def embed_all(texts: Sequence[str]) -> list[list[float]]:
        return [row for start in range(0, len(texts), size) for row in embed(texts[start : start + size])]

    return embed_all


def _answers(
    evaluation: Evaluation, task: str, condition: str = "audio", *, needed: bool = True
) -> Mapping[str, Verdict]:
    """The answers under a condition, by case. `UserMustAct`: there are none, and they are needed."""
    kept = [
        v for v in evaluation.answers if (v.task, v.condition) == (task, condition) and v.truth is not None
    ]
    if not kept and needed:
        raise UserMustAct(f"The report has no answers to {task} with sound; evaluate that task first.")
    return {verdict.case_id: verdict for verdict in kept}


def _known(verdict: Verdict) -> str:
    return (
        "; ".join(map(str, verdict.truth)) if isinstance(verdict.truth, list | tuple) else str(verdict.truth)
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


def _asked(report_folder: Path, how: str, prompts: Sequence[str], wanted: Wanted) -> Judge:
    """The judge, after all was asked and kept. Raises `UserMustAct` with the cost where there is no yes."""
    from llark.evaluate.judged import Judged

    api = _api(wanted)
    about = {"url": wanted.url, "model": wanted.model, "most_tokens": str(api.most_tokens)}
    judged = Judged(report_folder, f"{how}-{wanted.task}", about, tuple(prompts))
    _agree(wanted, judged.cost(wanted.dollars_per_million))
    return judged.ask(api.chat).__getitem__


def _api(wanted: Wanted) -> Api:
    from llark.evaluate.endpoint import Api

    return Api(wanted.url, wanted.model, wanted.key_variable, JUDGE_TOKENS)


def _agree(wanted: Wanted, cost: str) -> None:
    """Says what it takes. Raises `UserMustAct` without a yes."""
    if not wanted.yes:
        raise UserMustAct(f"Nothing was sent. It takes {cost}. Say --yes to go on.")
    print(f"{wanted.model}: {cost}", file=sys.stderr)


def _told(report_folder: Path, how: str, wanted: Wanted, found: str) -> str:
    """What was found, which is also kept in the report's folder."""
    from llark.evaluate import judged

    line = {"how": how, "task": wanted.task, "judge": wanted.model, "url": wanted.url, "found": found}
    judged.note(report_folder, line)
    return found
