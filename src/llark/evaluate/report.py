"""Writes an evaluation as files for people and programs: `answers.jsonl`, `scores.json`, `report.md`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from llark.errors import UserMustAct
from llark.evaluate.cases import AUDIO, CONDITIONS, FACTS, WRONG_FACTS
from llark.evaluate.faithful import FOLLOWS, KEEPS
from llark.evaluate.outcome import (
    AGREEMENT,
    PUBLISHED,
    STRICT,
    Absent,
    Evaluation,
    Margin,
    ScoreRow,
    Verdict,
)

ANSWERS, SCORES, REPORT = "answers.jsonl", "scores.json", "report.md"

NAMES = {
    "acc1": "Acc1",
    "acc2": "Acc2",
    "mirex": "MIREX",
    "exact": "exact",
    "f1": "F1",
    "macro_f1": "macro F1",
    "clip_f1": "clip F1",
    "rouge_l": "ROUGE-L",
    "meteor": "METEOR",
    "bleu": "BLEU",
    "bertscore": "BERTScore",  # in reports by 0.1.0 alone
    "f": "F",
}
HEADINGS = {AUDIO: "hears", FACTS: "with facts"}
MINUS = "−"

DEAF = "as far as these recordings can tell, the model answers no better with the right audio than without."
"""What that word says: of few recordings also where the score is higher."""

EXPLANATION = """\
Values are over all scored questions, no answer counting as wrong; coverage is the share with an answer. A
strict value takes only answers that could not be read otherwise. In brackets: the 95 % interval over
resampled tracks. The lead is hearing minus the best control, resampled in pairs: another track's audio,
silence, noise, no audio, the commonest answer, the best constant one (of options: the best letter), the
longest option, or the option that the model's language model expects most after the question.

Agreement: with facts shown, how often the answer says what they say. With another track's facts shown: how
often it says the wrong fact (a parrot), and how often it keeps to the sound.
"""


def write(folder: str | Path, evaluation: Evaluation, about: Mapping[str, Any] | None = None) -> Path:
    """Writes the three files and returns the path of `report.md`, which is written last.

    Args:
        about: What was evaluated (model, test set, …), told at the head of the report.
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
    replace_file(folder / REPORT, page(evaluation, about))
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
        scores = json.loads((folder / SCORES).read_text(encoding="utf-8"))
        return Evaluation(
            rows=tuple(ScoreRow(**row) for row in scores["rows"]),
            margins=tuple(Margin(**margin) for margin in scores["margins"]),
            answers=tuple(Verdict(**row) for row in json_lines(folder / ANSWERS)),
            versions=scores["versions"],
            absent=tuple(Absent(**absent) for absent in scores.get("absent", ())),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserMustAct(
            f"The report in {folder} is damaged, or of another release ({error}); run `llark evaluate` again."
        ) from error


def json_lines(path: Path) -> list[Any]:
    """What stands in a file of JSON lines. A line ends where JSON ends it, not at U+2028 inside a string."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def table(evaluation: Evaluation, *, headlines_only: bool = False) -> str:
    """A Markdown table, one line a metric; a task's headline first, with its lead over the best control."""
    present = {row.condition for row in evaluation.rows}
    columns = [name for name in CONDITIONS if name in present]
    columns += sorted(present - set(columns))
    headings = [HEADINGS.get(name, name) for name in columns]
    heads = ["task", "metric", "lead over best control", *headings, "n"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    rows = [row for row in evaluation.rows if row.headline or not headlines_only]
    for task, metric in _ordered(rows):
        cells = {row.condition: row for row in evaluation.rows if (row.task, row.metric) == (task, metric)}
        lead = _lead(evaluation.margins, task, metric)
        values = [_cell(cells.get(name)) for name in columns]
        n = max(row.n for row in cells.values())
        lines.append(_line([task, name_of(metric), lead, *values, str(n)]))
    for absent in () if headlines_only else evaluation.absent:
        blank = [""] * (len(columns) + 1)
        lines.append(_line([absent.task, name_of(absent.metric), f"not computed: {absent.why}", *blank]))
    return "\n".join(lines) + "\n"


def page(evaluation: Evaluation, about: Mapping[str, Any] | None = None) -> str:
    """The report as Markdown."""
    parts = ["# Evaluation\n"]
    if about:
        parts.append("".join(f"- {name}: {value}\n" for name, value in about.items()))
    for margin in evaluation.margins:
        if margin.deaf:
            parts.append(f"**Deaf for {margin.task}:** {DEAF}\n")
    parts.append(table(evaluation))
    parts.append(EXPLANATION)
    parts.append(_tracks(evaluation.rows))
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
    return [
        (task, metric) for task, metric, *_ in sorted(pairs, key=lambda p: (tasks.index(p[0]), p[2], p[3]))
    ]


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
    return (
        "Tracks: " + ", ".join(f"{task} {tracks}" for task, tracks in counts.items()) + ".\n"
        if counts
        else ""
    )


def _number(value: float) -> str:
    """Two digits after the point, without the zero before it: `.83`, `1.00`."""
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0.") else text


def _signed(value: float) -> str:
    text = _number(abs(value))
    return f"+{text}" if value >= 0 or text == ".00" else f"{MINUS}{text}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
