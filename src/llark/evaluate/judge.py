"""`llark judge`: a model behind an API reads the answers of a report.

Win rate (the paper's captioning and reasoning comparisons): the judge is given what people wrote about the
music and two answers, in both orders; a model wins only where it is preferred in both, and where the orders
disagree it is a tie, which is counted as half. Matching (the paper's audio-to-text matching): the judge is
given one answer and several descriptions of which one is of the same music, and chance is one in so many.

Details: the paper has a judge weigh the musical detail of captions, because word overlap does not see it. A
count alone is won by inventing, so that the judge also states of each detail whether what is known about the
music supports it, contradicts it or is silent on it; and the answers that the model gave to another track's
sound are counted beside: a model that does not listen states as many of them, and fewer are so.

Embedding match (the published genre scores): the label whose text embedding is nearest to the answer's, and
accuracy among the k nearest. Numbers of different embedding models are not comparable.

A reply is bought once: it is kept in the report's folder, and a run that was stopped goes on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import yaml

from llark import llm
from llark.engine import Ticker
from llark.errors import UserMustAct
from llark.evaluate import bootstrap, report
from llark.evaluate.answers import StoredAnswer
from llark.evaluate.bootstrap import Estimate
from llark.evaluate.cases import AUDIO, SHUFFLED
from llark.evaluate.options import LETTERS, OptionList, read_option, shuffled
from llark.evaluate.report import Evaluation, Verdict, told_apart
from llark.llm.client import TEXTS_A_REQUEST, LlmServer, Reply, Sampling
from llark.llm.ledger import Ledger, Prices, key_of, likely_tokens
from llark.options import JudgeOptions
from llark.report import terminal
from llark.storage import stages

Judge = Callable[[str], str]
"""A prompt → the judge's reply."""

REPLY_TOKENS = 512
"""At most so many in a reply: a letter, or a list of details."""

AT_ONCE = 4
TIMEOUT_SECONDS = 600.0
REPLIES = "judged"
"""The folder of replies in that of a report: one ledger a server."""

FINDINGS = "judged.jsonl"
"""In a report's folder: the result of each judgement, one a line."""


@cache
def _prompt(name: str) -> str:
    """The prompt of a way to judge, with {names} to fill in."""
    prompts = yaml.safe_load((resources.files("llark.evaluate") / "judge.yaml").read_text("utf-8"))
    return str(prompts[name])


def judge(folder: Path, options: JudgeOptions, how: str = "prefer", against: Path | None = None) -> str:
    """Judges a report's answers, keeps the result in its folder, and returns it.

    `how`: `prefer`, `match`, `details` or `embed`. `against`: another report that `prefer` compares this one
    with; what people wrote, if `None`. Raises `UserMustAct` with the cost where `options` hold no yes.
    """
    evaluation = report.read(folder)
    if how == "prefer":
        result = _prefer(folder, evaluation, options, against)
    else:
        result = {"match": _match, "details": _details, "embed": _embed}[how](folder, evaluation, options)
    line = {"how": how, "task": options.task, "judge": options.model, "url": options.url, "found": result}
    note(folder, line)
    return result


def _agree(options: JudgeOptions, cost: str) -> None:
    """Shows what it takes. Raises `UserMustAct` without a yes."""
    if not options.yes:
        raise UserMustAct(f"Nothing was sent. It takes {cost}. Say --yes to go on.")
    terminal.note(f"{options.model}: {cost}")


def _ask(folder: Path, prompts: Iterable[str], options: JudgeOptions) -> Judge:
    """The judge, after each prompt was asked once, or taken from the ledger."""
    sampling = Sampling(options.model, 0.0, REPLY_TOKENS)
    chats = {prompt: [{"role": "user", "content": prompt}] for prompt in prompts}
    # The key of a reply holds the model's name, which may mean another model at another server.
    name = hashlib.sha256(options.url.encode()).hexdigest()[:12]
    with Ledger(folder / REPLIES / f"{name}.sqlite") as ledger:
        _take_over(folder / REPLIES, ledger, options, sampling)
        missing = [prompt for prompt in chats if not ledger.has(key_of(sampling.body(chats[prompt])))]
        _agree(options, _cost(missing, len(chats) - len(missing), options.dollars_per_million))
        server = LlmServer.from_environment(options.url, options.key_variable, TIMEOUT_SECONDS)
        prices = Prices(prompt_usd=options.dollars_per_million or 0.0)
        with Ticker("judge", len(chats)) as tick:
            replies = llm.ask_all(
                server, sampling, chats.values(), ledger, llm.Pace(AT_ONCE), prices=prices, replied=tick
            )
    return dict(zip(chats, (reply.text for reply in replies), strict=True)).__getitem__


def _take_over(folder: Path, ledger: Ledger, options: JudgeOptions, sampling: Sampling) -> None:
    """Puts the replies into the ledger that llark 0.1 kept in stage folders, one for each list of prompts."""
    config = {"url": options.url, "model": options.model, "most_tokens": str(REPLY_TOKENS)}
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        plan = stages.plan_of(place)
        if plan is None or (plan["stage"], plan["config"]) != ("judge", config):
            continue
        with stages.open_stage(place, "judge", config) as writer:
            writer.finish()
        for kept in stages.read(place, StoredAnswer):
            key = key_of(sampling.body([{"role": "user", "content": kept.question}]))
            if not ledger.has(key):
                ledger.put(key, Reply(kept.text, "stop", options.model, 0, 0), 0.0)


def _cost(missing: Sequence[str], answered: int, dollars_per_million: float | None) -> str:
    """What asking would still take, in words."""
    tokens = likely_tokens(missing)
    cost = f"about {len(missing)} requests, {tokens:,} tokens of questions"
    if answered:
        cost += f"; {answered} are answered already"
    if dollars_per_million is None:
        return f"{cost}; price unknown: name --dollars-per-million"
    return f"{cost}; about ${tokens * dollars_per_million / 1e6:.2f} for them"


def note(folder: Path, line: Mapping[str, str]) -> None:
    """Adds a result to the folder of a report, once, and to which answers it belongs."""
    page = {**line, "answers": _fingerprint(report.read(folder).answers, line["task"])}
    kept = _noted(folder)
    if page not in kept:
        lines = [json.dumps(one, ensure_ascii=False) for one in (*kept, page)]
        report.replace_file(folder / FINDINGS, "".join(f"{text}\n" for text in lines))


def findings(folder: Path, answers: Sequence[Verdict]) -> list[dict[str, str]]:
    """The results about these answers: `how`, `task`, `judge`, `url` and `found` each."""
    known = {task: _fingerprint(answers, task) for task in {verdict.task for verdict in answers}}
    return [one for one in _noted(folder) if one.get("answers") == known.get(one["task"], "")]


def _noted(folder: Path) -> list[dict[str, str]]:
    return report.json_lines(folder / FINDINGS) if (folder / FINDINGS).is_file() else []


def _fingerprint(answers: Iterable[Verdict], task: str) -> str:
    """Tells the answers with sound to a task from any others."""
    rows = sorted(
        [v.case_id, v.question, v.answer] for v in answers if (v.task, v.condition) == (task, AUDIO)
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]


# --- the answers of a report --------------------------------------------------------------------------------


def _answers(
    evaluation: Evaluation, task: str, condition: str = AUDIO, *, needed: bool = True
) -> dict[str, Verdict]:
    """The answers under a condition, by case. `UserMustAct`: there are none, and they are needed."""
    answers = {
        v.case_id: v
        for v in evaluation.answers
        if (v.task, v.condition) == (task, condition) and v.truth is not None
    }
    if not answers and needed:
        raise UserMustAct(f"The report has no answers to {task} with sound; evaluate that task first.")
    return answers


def without_lines(text: str) -> str:
    """A text on one line, so that it cannot look like another part of the prompt."""
    return re.sub(r"\s+", " ", text).strip()


def _known(verdict: Verdict) -> str:
    """What people wrote about the music, on one line."""
    truth = verdict.truth
    return without_lines("; ".join(map(str, truth)) if isinstance(truth, list | tuple) else str(truth))


def _shares(
    tracks: Sequence[str],
    rows: Sequence[Sequence[float]],
    names: Sequence[str],
    purpose: str,
    most: float = 1.0,
) -> dict[str, Estimate]:
    """The mean of each column of `rows` [answers, names]. `purpose` seeds the tracks that are drawn."""
    tallied = bootstrap.tally(tracks, np.asarray([[1.0, *row] for row in rows], dtype=float))
    return bootstrap.estimates(tallied, bootstrap.means(*names), purpose, widest=(0.0, most))


# --- win rate -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AnswerPair:
    """Two answers to one question about one recording. `known` is what people wrote about it."""

    track_id: str
    question: str
    known: str
    first: str
    second: str

    def prompt(self, swap: bool) -> str:
        """The judge's prompt, with the answers in the order in which they stand or in the other one."""
        first, second = (self.second, self.first) if swap else (self.first, self.second)
        known = self.known or "nothing"
        return _prompt("prefer").format(known=known, question=self.question, first=first, second=second)


@dataclass(frozen=True)
class WinRate:
    """How often the first is preferred, ties as half, with the 95 % interval over tracks.

    `swayed`: how often the preference changed with the order, which shows how far to trust the judge.
    """

    wins: int
    losses: int
    ties: int
    rate: Estimate
    swayed: float
    unread: int = 0

    def __str__(self) -> str:
        n = self.wins + self.losses + self.ties
        return (
            f"win rate {self.rate.fine}: {self.wins} won, {self.losses} lost, {self.ties} tied of {n}; "
            f"the order swayed {100 * self.swayed:.0f} %, {self.unread} not judged"
        )


def win_rate(pairs: Sequence[AnswerPair], ask: Judge) -> WinRate:
    """Each pair judged in both orders. Raises `UserMustAct` where no pair got a verdict."""
    both = OptionList(("Answer A", "Answer B"), 0)
    tracks, scores, swayed = [], [], 0
    for pair in pairs:
        forth, back = (read_option(ask(pair.prompt(swap)), both) for swap in (False, True))
        if forth is None or back is None:
            continue
        # 0 is the answer that stands first: the pair's own first, and in the other order its second.
        tracks.append(pair.track_id)
        scores.append(((forth == 0) + (back == 1)) / 2)
        swayed += forth == back
    if not scores:
        raise UserMustAct(f"The judge gave no verdict on any of {len(pairs)} pairs.")
    return WinRate(
        wins=scores.count(1.0),
        losses=scores.count(0.0),
        ties=scores.count(0.5),
        rate=_shares(tracks, [[score] for score in scores], ["rate"], "win rate")["rate"],
        swayed=swayed / len(scores),
        unread=len(pairs) - len(scores),
    )


def _prefer(folder: Path, evaluation: Evaluation, options: JudgeOptions, against: Path | None) -> str:
    """How often the answers are preferred to those of another report, or to what people wrote."""
    theirs = _answers(report.read(against), options.task) if against is not None else None
    pairs = []
    for id_, ours in _answers(evaluation, options.task).items():
        if theirs is None:
            known, other = "", _known(ours)
        elif id_ in theirs:
            known, other = _known(ours), without_lines(theirs[id_].answer)
        else:
            continue
        pairs.append(AnswerPair(ours.track_id, ours.question, known, without_lines(ours.answer), other))
    if not pairs:
        raise UserMustAct("The two reports share no question of this task.")
    prompts = [pair.prompt(swap) for pair in pairs for swap in (False, True)]
    result = win_rate(pairs, _ask(folder, prompts, options))
    name, other = told_apart(folder, against) if against else (folder.name, "people")
    return f"{name} against {other}: {result}"


# --- matching -----------------------------------------------------------------------------------------------

CANDIDATES = 4
"""Descriptions among which the judge finds the right one."""


def match_prompts(answers: Mapping[str, str], known: Mapping[str, str]) -> dict[str, tuple[str, OptionList]]:
    """By clip the judge's prompt, and the descriptions that it chooses among.

    The wrong ones are of other clips of `known`, chosen by the clip's id alone. Raises `UserMustAct` where
    there are too few.
    """
    if len(set(known.values())) < CANDIDATES:
        raise UserMustAct(f"Matching needs descriptions of at least {CANDIDATES} recordings.")
    prompts = {}
    for clip in [clip for clip in answers if clip in known]:
        others = {text for other, text in known.items() if other != clip} - {known[clip]}
        ranks = {hashlib.sha256(f"other:{clip}:{text}".encode()).hexdigest(): text for text in others}
        drawn = [ranks[rank] for rank in sorted(ranks)[: CANDIDATES - 1]]
        options = shuffled(clip, known[clip], drawn)
        listed = "\n".join(f"({LETTERS[i]}) {text}" for i, text in enumerate(options.texts))
        prompts[clip] = _prompt("match").format(answer=answers[clip], options=listed), options
    return prompts


def matching(prompts: Mapping[str, tuple[str, OptionList]], ask: Judge) -> dict[str, float]:
    """1 or 0 for each answer by clip: whether the judge finds its music among `CANDIDATES` descriptions."""
    return {
        clip: float(read_option(ask(prompt), options) == options.right)
        for clip, (prompt, options) in prompts.items()
    }


def _match(folder: Path, evaluation: Evaluation, options: JudgeOptions) -> str:
    """How often the judge finds the music that an answer is about."""
    verdicts = _answers(evaluation, options.task)
    known = {clip: _known(verdict) for clip, verdict in verdicts.items()}
    prompts = match_prompts({clip: without_lines(v.answer) for clip, v in verdicts.items()}, known)
    hits = matching(prompts, _ask(folder, [prompt for prompt, _ in prompts.values()], options))
    tracks = [verdicts[clip].track_id for clip in hits]
    share = _shares(tracks, [[hit] for hit in hits.values()], ["match"], "match")["match"]
    return f"matched {share.fine} of {len(hits)}; chance {1 / CANDIDATES:.2f}"


# --- details ------------------------------------------------------------------------------------------------

SUPPORTED, CONTRADICTED, UNKNOWN = "supported", "contradicted", "unknown"
VERDICTS = (SUPPORTED, CONTRADICTED, UNKNOWN)

_LINE = re.compile(
    r"(?m)^\W*(?:\d+[.)]\s*)?(?P<detail>[^|\n]*\w[^|\n]*)\|\W*(?P<verdict>(?:not\s+)?[A-Za-z]+)"
)
_NOT_SUPPORTED = re.compile(r"(?:un|not\s+)support")
_RULE = re.compile(r"\W*detail\W*")


@dataclass(frozen=True)
class Described:
    """An answer, and what people wrote about its music."""

    track_id: str
    answer: str
    known: str

    @property
    def prompt(self) -> str:
        return _prompt("details").format(answer=self.answer, known=self.known or "nothing")


@dataclass(frozen=True)
class Details:
    """Details an answer, and how many of them are supported, contradicted or unknown; `unread` replies."""

    stated: Estimate
    supported: Estimate
    contradicted: Estimate
    unknown: Estimate
    n: int
    tracks: int
    unread: int

    def __str__(self) -> str:
        return (
            f"{self.stated} details an answer, of which {self.supported} supported, "
            f"{self.contradicted} contradicted, {self.unknown} unknown; "
            f"n = {self.n}, {self.tracks} tracks, {self.unread} not judged"
        )


def read_details(reply: str) -> dict[str, str] | None:
    """Each detail of a judge's reply with its verdict; `None` where the reply is no such list."""
    details: dict[str, str] = {}
    for line in _LINE.finditer(reply):
        detail = " ".join(re.findall(r"[\w#♭♯/.-]+", line["detail"].lower()))
        word = line["verdict"].lower()
        verdict = next((one for one in VERDICTS if one[:4] == word[:4]), None)
        verdict = UNKNOWN if _NOT_SUPPORTED.match(word) else verdict
        if verdict is not None and not _RULE.fullmatch(detail):
            details.setdefault(detail, verdict)
    if not details and not re.fullmatch(r"\W*none\W*", reply, re.IGNORECASE):
        return None
    return details


def count_details(answers: Sequence[Described], ask: Judge) -> Details:
    """The details of all answers; an answer without words has none. `UserMustAct`: no reply can be read."""
    rows, tracks = [], []
    for one in answers:
        details = read_details(ask(one.prompt)) if one.answer.strip() else {}
        if details is not None:
            verdicts = list(details.values())
            rows.append([len(verdicts), *map(verdicts.count, VERDICTS)])
            tracks.append(one.track_id)
    if not rows:
        raise UserMustAct(f"The judge listed the details of none of {len(answers)} answers.")
    shares = _shares(tracks, rows, ("stated", *VERDICTS), "details", float("inf"))
    return Details(**shares, n=len(rows), tracks=len(set(tracks)), unread=len(answers) - len(rows))


def _details(folder: Path, evaluation: Evaluation, options: JudgeOptions) -> str:
    """How many musical details the answers state, and how many are so: with the sound, and another's."""
    described = {
        condition: [
            Described(v.track_id, without_lines(v.answer), _known(v))
            for v in _answers(evaluation, options.task, condition, needed=condition == AUDIO).values()
        ]
        for condition in (AUDIO, SHUFFLED)
    }
    prompts = [one.prompt for answers in described.values() for one in answers if one.answer.strip()]
    ask = _ask(folder, prompts, options)
    counted = {name: count_details(answers, ask) for name, answers in described.items() if answers}
    return "\n".join(f"{condition}: {details}" for condition, details in counted.items())


# --- embedding match ----------------------------------------------------------------------------------------

DEPTHS = (1, 2, 3, 5)


def ranked(
    answers: Sequence[str], labels: Sequence[str], embed: Callable[[Sequence[str]], Sequence[Sequence[float]]]
) -> list[list[str]]:
    """For each answer all labels, the nearest by cosine first. An empty answer has none."""
    vectors = np.asarray(embed([*(answer or " " for answer in answers), *labels]), dtype=float)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)  # [texts, width] of length 1
    order = np.argsort(-(vectors[: len(answers)] @ vectors[len(answers) :].T), axis=1, kind="stable")
    return [
        [labels[i] for i in row] if answer.strip() else [] for row, answer in zip(order, answers, strict=True)
    ]


def accuracies(
    orders: Sequence[Sequence[str]], truths: Sequence[str], tracks: Sequence[str]
) -> dict[str, Estimate]:
    """`acc@1`, `acc@2` …, n being what it is (not a thousand)."""
    hits = [[float(truth in row[:k]) for k in DEPTHS] for row, truth in zip(orders, truths, strict=True)]
    return _shares(tracks, hits, [f"acc@{k}" for k in DEPTHS], "embedding")


def _embed(_folder: Path, evaluation: Evaluation, options: JudgeOptions) -> str:
    """Accuracy of the label whose text embedding is nearest to the answer's, for a genre benchmark."""
    from llark.evaluate.tasks import TASKS

    if options.task not in ("gtzan_genre", "medleydb_genre"):
        raise UserMustAct(f"Embedding match is for gtzan_genre and medleydb_genre, not for {options.task}.")
    verdicts = list(_answers(evaluation, options.task).values())
    _agree(options, f"about {len(verdicts) // TEXTS_A_REQUEST + 2} requests")
    server = LlmServer.from_environment(options.url, options.key_variable, TIMEOUT_SECONDS)
    labels = TASKS[options.task].constants(())
    orders = ranked(
        [v.answer for v in verdicts], labels, lambda texts: llm.embed(server, options.model, texts)
    )
    rates = accuracies(orders, [v.truth for v in verdicts], [v.track_id for v in verdicts])
    rows = ", ".join(f"{name} {share.fine}" for name, share in rates.items())
    return f"{options.task}, embedding match by {options.model}, n = {len(verdicts)}: {rows}"
