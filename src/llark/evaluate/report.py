"""What an evaluation finds, as files for people and programs: `answers.jsonl`, `scores.json`, `report.md`.

Also the answers as lmms-eval logs them, and two reports compared question by question.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llark.errors import UserMustAct
from llark.evaluate import bootstrap
from llark.evaluate.cases import AUDIO, CONDITIONS, FACTS, WRONG_FACTS
from llark.evaluate.tasks import TASKS
from llark.report.terminal import printable
from llark.storage import folders
from llark.storage.folders import read_json

AGREEMENT = "agreement"
FOLLOWS, KEEPS = "follows wrong facts", "keeps to the sound"
"""The metrics of how a model takes facts that it is shown."""

STRICT, PUBLISHED = "strict ", "published "
"""Before the name of a headline that is computed from strict readings, or as it was published."""


@dataclass(frozen=True)
class ScoreRow:
    """One number with its 95 % interval over tracks. `headline`: the metric that the task is judged by."""

    task: str
    metric: str
    condition: str
    value: float
    low: float
    high: float
    n: int
    tracks: int
    headline: bool = False


@dataclass(frozen=True)
class Absent:
    """A number that belongs in the report and could not be computed, and why."""

    task: str
    metric: str
    why: str


@dataclass(frozen=True)
class Margin:
    """How far the sound lifts a task's headline: `audio` minus the best control, and its paired interval.

    `deaf`: over resampled tracks the score does not stay above that of the best control in which the model
    was asked without the sound of the clip.
    """

    task: str
    metric: str
    control: str
    value: float
    low: float
    high: float
    deaf: bool


@dataclass(frozen=True)
class Verdict:
    """One answer, what was read in it, and what it was worth: `right` is 0 to 1, `None` without a truth."""

    task: str
    condition: str
    case_id: str
    clip_id: str
    track_id: str
    question: str
    answer: str
    reading: Any
    truth: Any
    right: float | None
    verdict: str


@dataclass(frozen=True)
class Evaluation:
    """Everything that a report needs."""

    rows: tuple[ScoreRow, ...]
    margins: tuple[Margin, ...]
    answers: tuple[Verdict, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    absent: tuple[Absent, ...] = ()

    @property
    def deaf(self) -> tuple[str, ...]:
        """Tasks that are answered no better with the right audio than with a wrong one or none."""
        return tuple(margin.task for margin in self.margins if margin.deaf)


# --- files ------------------------------------------------------------------------------------------------

ANSWERS, SCORES, REPORT = "answers.jsonl", "scores.json", "report.md"

NAMES = {
    "acc1": "Acc1",
    "acc2": "Acc2",
    "mirex": "MIREX",
    "f1": "F1",
    "macro_f1": "macro F1",
    "clip_f1": "clip F1",
    "rouge_l": "ROUGE-L",
    "meteor": "METEOR",
    "bleu": "BLEU",
    "bertscore": "BERTScore",  # in reports by 0.1.0 alone
    "f": "F",
}
HEADINGS = {AUDIO: "audio", FACTS: "with facts"}
MINUS = "−"

DEAF = "as far as these recordings can tell, the model answers no better with the right audio than without."
"""What that word says: of few recordings also where the score is higher."""

EXPLANATION = """\
Values are over all scored questions, no answer counting as wrong; coverage is the share with an answer. A
strict value takes only answers that could not be read otherwise. In brackets: the 95 % interval over
resampled tracks. The lead is audio minus the best control, resampled in pairs: another track's audio,
silence, noise, no audio, the commonest answer, the best constant one (of options: the best letter), the
longest option, or the option that the model's language model expects most after the question.

Agreement: with facts shown, how often the answer says what they say. With another track's facts shown: how
often it says the wrong fact (a parrot), and how often it keeps to the sound.
"""


def write(folder: str | Path, evaluation: Evaluation, about: Mapping[str, Any] | None = None) -> Path:
    """Writes the three files and returns the path of `report.md`, which is written last.

    Args:
        about: What was evaluated (model, test set, …), shown at the head of the report.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(answer), default=_plain, ensure_ascii=False) for answer in evaluation.answers]
    replace_file(folder / ANSWERS, "".join(f"{line}\n" for line in lines))
    scores = {
        "about": dict(about or {}),
        "versions": dict(evaluation.versions),
        "deaf": list(evaluation.deaf),
        "margins": [asdict(margin) for margin in evaluation.margins],
        "rows": [asdict(row) for row in evaluation.rows],
        "absent": [asdict(absent) for absent in evaluation.absent],
    }
    replace_file(folder / SCORES, json.dumps(scores, indent=1, default=_plain, ensure_ascii=False) + "\n")
    replace_file(folder / REPORT, printable(page(evaluation, about)))
    return folder / REPORT


def read(folder: str | Path) -> Evaluation:
    """The scores and answers of a written report. Raises `UserMustAct` where the folder holds none, or one
    that is damaged.

    Readings and truths come back as plain JSON: sets and tuples as lists.
    """
    folder = Path(folder)
    if not (folder / SCORES).is_file():
        raise UserMustAct(f"There is no {SCORES} in {folder}; run `llark evaluate` first.")
    try:
        scores = read_json(dict[str, Any], (folder / SCORES).read_bytes(), folder / SCORES)
        return Evaluation(
            rows=tuple(ScoreRow(**row) for row in scores["rows"]),
            margins=tuple(Margin(**margin) for margin in scores["margins"]),
            answers=tuple(Verdict(**row) for row in json_lines(folder / ANSWERS)),
            versions=scores["versions"],
            absent=tuple(Absent(**absent) for absent in scores.get("absent", ())),
        )
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise UserMustAct(
            f"The report in {folder} is damaged, or of another release ({error}); run `llark evaluate` again."
        ) from error


def json_lines(path: Path) -> list[Any]:
    """What stands in a file of JSON lines. A line ends where JSON ends it, not at U+2028 inside a string."""
    return [read_json(dict[str, Any], line, path) for line in path.read_bytes().split(b"\n") if line]


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def replace_file(path: Path, text: str) -> None:
    """All of the new file or all of the old one, whenever it is interrupted."""
    folders.folder(path.parent).write(path.name, text.encode())


# --- the table --------------------------------------------------------------------------------------------


def table(evaluation: Evaluation) -> str:
    """A Markdown table, one line a metric; a task's headline first, with its lead over the best control."""
    present = {row.condition for row in evaluation.rows}
    columns = [name for name in CONDITIONS if name in present]
    columns += sorted(present - set(columns))
    headings = [HEADINGS.get(name, name) for name in columns]
    heads = ["task", "metric", "lead over best control", *headings, "n"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for task, metric in _ordered(evaluation.rows):
        cells = {row.condition: row for row in evaluation.rows if (row.task, row.metric) == (task, metric)}
        lead = _lead(evaluation.margins, task, metric)
        values = [_cell(cells.get(name)) for name in columns]
        n = max(row.n for row in cells.values())
        lines.append(_line([task, name_of(metric), lead, *values, str(n)]))
    for absent in evaluation.absent:
        blank = [""] * (len(columns) + 1)
        lines.append(_line([absent.task, name_of(absent.metric), f"not computed: {absent.why}", *blank]))
    return "\n".join(lines) + "\n"


def page(evaluation: Evaluation, about: Mapping[str, Any] | None = None) -> str:
    """The report as Markdown."""
    head = "".join(f"- {name}: {value}\n" for name, value in (about or {}).items())
    deaf = [f"**Deaf for {task}:** {DEAF}\n" for task in evaluation.deaf]
    parts = ["# Evaluation\n", head, *deaf, table(evaluation), EXPLANATION, _tracks(evaluation.rows)]
    return "\n".join(part for part in parts if part)


def name_of(metric: str) -> str:
    """A metric as people write it."""
    before = next((word for word in (STRICT, PUBLISHED) if metric.startswith(word)), "")
    plain = metric.removeprefix(before)
    return before + NAMES.get(plain, plain.replace("_", " "))


def _ordered(rows: Sequence[ScoreRow]) -> list[tuple[str, str]]:
    """(task, metric) in the order of the rows, a headline before the other metrics of its task."""
    tasks = list(dict.fromkeys(row.task for row in rows))
    pairs = dict.fromkeys((row.task, row.metric, not row.headline, _is_aside(row.metric)) for row in rows)
    return [pair[:2] for pair in sorted(pairs, key=lambda pair: (tasks.index(pair[0]), *pair[2:]))]


def _is_aside(metric: str) -> bool:
    """Whether the metric is not the task's own."""
    return metric in (AGREEMENT, FOLLOWS, KEEPS)


def _lead(margins: Sequence[Margin], task: str, metric: str) -> str:
    for margin in margins:
        if (margin.task, margin.metric) == (task, metric):
            between = f"[{_signed(margin.low)}, {_signed(margin.high)}]"
            deaf = ", deaf" if margin.deaf else ""
            return f"{_signed(margin.value)} {between} over {margin.control}{deaf}"
    return ""


def _cell(row: ScoreRow | None) -> str:
    if row is None:
        return ""
    value = _number(row.value)
    if row.condition not in (AUDIO, FACTS, WRONG_FACTS):
        return value
    value = f"**{value}**" if row.headline and row.condition == AUDIO else value
    return f"{value} [{_number(row.low)}, {_number(row.high)}]"


def _tracks(rows: Sequence[ScoreRow]) -> str:
    counts = {row.task: row.tracks for row in rows if not _is_aside(row.metric)}
    listed = ", ".join(f"{task} {tracks}" for task, tracks in counts.items())
    return f"Tracks: {listed}.\n" if counts else ""


def _number(value: float) -> str:
    """Two digits after the point, without the zero before it: `.83`, `1.00`."""
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0.") else text


def _signed(value: float) -> str:
    text = _number(abs(value))
    return f"+{text}" if value >= 0 or text == ".00" else f"{MINUS}{text}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


# --- answers in the sample format of lmms-eval 0.7, for tools that read its logs --------------------------
#
# One file a task, `STAMP_samples_TASK.jsonl`, with `doc_id`, `target`, `input`, `filtered_resps`, `doc_hash`
# and the task's score for each answer with sound, as lmms-eval's evaluation tracker writes them.


def write_samples(folder: Path, evaluation: Evaluation, model: str, stamp: str | None = None) -> list[Path]:
    """Writes a file for each task into a folder named after the model; returns them."""
    folder = folder / "__".join(part for part in model.replace("\\", "/").split("/") if part)
    folder.mkdir(parents=True, exist_ok=True)
    stamp = stamp or time.strftime("%Y%m%d_%H%M%S")
    written = []
    for task in dict.fromkeys(verdict.task for verdict in evaluation.answers):
        with_sound = [v for v in evaluation.answers if (v.task, v.condition) == (task, AUDIO)]
        if with_sound:
            path = folder / f"{stamp}_samples_llark_{task}.jsonl"
            lines = [json.dumps(row, ensure_ascii=False) for row in samples(with_sound)]
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            written.append(path)
    return written


def samples(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The rows of one task, `doc_id` being the place of the case in the order of ids."""
    ordered = sorted(verdicts, key=lambda verdict: verdict.case_id)
    return [_sample(place, verdict) for place, verdict in enumerate(ordered)]


def _sample(place: int, verdict: Verdict) -> dict[str, Any]:
    doc = {"id": verdict.case_id, "audio": verdict.clip_id, "question": verdict.question}
    return {
        "doc_id": place,
        "target": target(verdict.truth),
        "filtered_resps": [verdict.answer],
        "doc_hash": hashlib.sha256(json.dumps(doc, indent=2, ensure_ascii=False).encode()).hexdigest(),
        "input": verdict.question,
        "id": verdict.case_id,
        f"llark_{verdict.task}_{TASKS[verdict.task].headline}": verdict.right,
    }


def target(truth: Any) -> str:
    """The right answer as text."""
    if hasattr(truth, "texts"):
        return str(truth.texts[truth.right])
    if isinstance(truth, frozenset | tuple):
        return ", ".join(map(target, sorted(truth)))
    return f"{truth:g}" if isinstance(truth, float) else str(truth)


# --- two reports on the same questions, paired: which model is better, and could that be chance? -----------


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


def differences(first: Evaluation, second: Evaluation) -> list[Difference]:
    """One a task that both have, over the questions that both were asked with sound.

    Raises `UserMustAct` where they share none.
    """
    shared = []
    for task in dict.fromkeys(verdict.task for verdict in first.answers):
        one, other = _scored(first, task), _scored(second, task)
        same = sorted(id_ for id_ in one.keys() & other.keys() if one[id_].question == other[id_].question)
        if same:
            shared.append(_difference(task, [one[id_] for id_ in same], [other[id_] for id_ in same]))
    if not shared:
        raise UserMustAct("The two reports share no question: they are of other tasks or other clips.")
    return shared


def _scored(evaluation: Evaluation, task: str) -> dict[str, Verdict]:
    """The verdicts on answers with sound whose truth is known, by case."""
    kept = (v for v in evaluation.answers if (v.task, v.condition) == (task, AUDIO))
    return {verdict.case_id: verdict for verdict in kept if verdict.right is not None}


def _difference(task: str, first: Sequence[Verdict], second: Sequence[Verdict]) -> Difference:
    """Of verdicts on the same questions in the same order."""
    tracks = [verdict.track_id for verdict in first]
    one, other = (
        bootstrap.tally(tracks, np.asarray([[1.0, verdict.right or 0.0] for verdict in verdicts]))
        for verdicts in (first, second)
    )
    low, high, p = bootstrap.paired(one, other, purpose=task)
    mine, theirs = (float(t.by_track[:, 1].sum() / t.by_track[:, 0].sum()) for t in (one, other))
    return Difference(task, mine, theirs, mine - theirs, low, high, p, len(first), one.tracks)


def comparison(first: Evaluation, second: Evaluation, one: str = "first", other: str = "second") -> str:
    """A Markdown table, one line a task."""
    lines = [
        f"| task | {one} | {other} | difference | 95 % interval | p | questions | tracks |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.task} | {row.first:.3f} | {row.second:.3f} | {row.value:+.3f} | "
        f"[{row.low:+.3f}, {row.high:+.3f}] | {row.p:.4f} | {row.n} | {row.tracks} |"
        for row in differences(first, second)
    ]
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
