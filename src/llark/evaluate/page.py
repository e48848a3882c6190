"""`report.html`: the evaluation as one page that opens offline, with pictures, players and waveforms.

All that comes from a model or a data set is escaped, and the page forbids scripts and requests.
"""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from pathlib import Path
from textwrap import shorten
from typing import Any

from llark import audio
from llark.errors import BadAudio
from llark.evaluate import judged, lmms, plots, published, report
from llark.evaluate.cases import AUDIO, CONDITIONS, CONTROLS
from llark.evaluate.faithful import FOLLOWS, KEEPS
from llark.evaluate.outcome import AGREEMENT, STRICT, Evaluation, Margin, ScoreRow, Verdict
from llark.evaluate.score import HEARD_CONTROLS
from llark.evaluate.tasks import TASKS, Remarks
from llark.records import Annotation, Clip

PAGE = "report.html"
WORST, BEST = 3, 2
"""Examples a task."""

HEARD_SECONDS = 12.0
HEARD_RATE = 16_000
"""What of an example can be played."""


@dataclass(frozen=True)
class Media:
    """Where the sounds of the clips are, and what was measured in them."""

    clips: Mapping[str, Clip] = field(default_factory=dict)
    facts: Mapping[str, Annotation] = field(default_factory=dict)


def write(
    folder: Path, evaluation: Evaluation, about: Mapping[str, Any] | None = None, media: Media | None = None
) -> Path:
    """Writes the page into the folder, and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    text = page(evaluation, about or {}, media or Media(), judged.found(folder, evaluation.answers))
    report.replace_file(folder / PAGE, text)
    return folder / PAGE


def page(
    evaluation: Evaluation,
    about: Mapping[str, Any],
    media: Media,
    verdicts: Sequence[Mapping[str, str]] = (),
) -> str:
    """The whole page, as text. `verdicts`: what judges found."""
    tasks = list(dict.fromkeys(row.task for row in evaluation.rows))
    without = [task for task in dict.fromkeys(one.task for one in evaluation.absent) if task not in tasks]
    parts = [
        _head(about),
        _deaf(evaluation.margins),
        _section("Headlines", _headlines(evaluation, [*tasks, *without])),
        _section("Faithfulness to facts", _faithfulness(evaluation.rows, tasks)),
        _section("What judges say", _judged(verdicts)),
        *(_task(evaluation, task, media) for task in tasks),
        _section("Calibration of the measured facts", _calibration(evaluation, media)),
        _section("Published numbers", _published(evaluation, tasks)),
        f"<footer><p>{_code(report.EXPLANATION)}</p><p>{_versions(evaluation)}</p></footer>",
    ]
    style = (resources.files("llark.evaluate") / "page.css").read_text("utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'; media-src data:"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation of {_text(about.get('model', 'a model'))}</title>\n"
        f"<style>\n{style}</style></head>\n"
        "<body><main>\n" + "\n".join(part for part in parts if part) + "\n</main></body></html>\n"
    )


def _text(value: object) -> str:
    """Safe between tags and in quotes."""
    return escape(str(value), quote=True)


def _code(docstring: str) -> str:
    """A docstring as HTML, what stands between backticks as code; paragraphs by empty lines."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(docstring))
    return "</p><p>".join(marked.split("\n\n"))


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{inside}</section>" if inside else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Cells are HTML. The `kind` "words" breaks lines in cells."""
    head = "".join(f"<th>{_text(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    inside = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll"><table class="{kind}">{inside}</table></div>'


def _head(about: Mapping[str, Any]) -> str:
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in about.items())
    return f"<header><h1>Evaluation</h1><dl>{rows}</dl></header>"


def _deaf(margins: Sequence[Margin]) -> str:
    deaf = [margin.task for margin in margins if margin.deaf]
    if not deaf:
        return ""
    why = report.DEAF[0].upper() + report.DEAF[1:]
    return f'<section class="deaf"><b>Deaf for {_text(", ".join(deaf))}.</b> {why}</section>'


def _headlines(evaluation: Evaluation, tasks: Sequence[str]) -> str:
    heads = (
        "task",
        "lead over best control",
        "score",
        "95 %",
        "best control",
        "strict",
        "answered",
        "n",
        "tracks",
        "",
    )
    return _table(heads, [_headline(evaluation, task) for task in tasks])


def _headline(evaluation: Evaluation, task: str) -> list[str]:
    metric = TASKS[task].HEADLINE
    found = {(row.metric, row.condition): row for row in evaluation.rows if row.task == task}
    own = found.get((metric, AUDIO)) or next((row for row in found.values() if row.metric == metric), None)
    if own is None:
        return [f"{_text(task)} <small>no truth is known</small>", *[""] * 9]
    margin = next((margin for margin in evaluation.margins if margin.task == task), None)
    strict, coverage = found.get((STRICT + metric, own.condition)), found.get(("coverage", own.condition))
    control = found.get((metric, margin.control)) if margin else None
    lead = (
        f"<b>{margin.value:+.2f}</b> <small>[{margin.low:+.2f}, {margin.high:+.2f}]</small>" if margin else ""
    )
    aside = "" if own.condition == AUDIO else f" ({_text(own.condition)})"
    return [
        f"{_text(task)} <small>{_text(report.name_of(metric))}{aside}</small>",
        lead,
        f"<b>{own.value:.3f}</b>",
        f"[{own.low:.2f}, {own.high:.2f}]",
        f"{control.value:.2f} <small>{_text(control.condition)}</small>" if control else "",
        f"{strict.value:.3f}" if strict else "",
        f"{100 * coverage.value:.0f} %" if coverage else "",
        str(own.n),
        str(own.tracks),
        _tag(margin, any((metric, name) in found for name in HEARD_CONTROLS)) if margin else "",
    ]


def _tag(margin: Margin, tested: bool) -> str:
    """In a word, what the lead says. `tested`: the model was also asked without hearing the clip."""
    if margin.deaf:
        return '<span class="tag bad">deaf</span>'
    if margin.low <= 0:
        return '<span class="tag bad">no lead</span>'
    if not tested:
        why = "Nobody asked the model without the sound, so that the lead may come from the text."
        return f'<span class="tag open" title="{why}">untested</span>'
    return '<span class="tag">hears</span>'


def _faithfulness(rows: Sequence[ScoreRow], tasks: Sequence[str]) -> str:
    """How often the answer says the facts that are shown, and the wrong ones."""
    found = {(row.task, row.metric): row for row in rows if row.metric in (AGREEMENT, FOLLOWS, KEEPS)}
    body = []
    for task in tasks:
        cells = [found.get((task, metric)) for metric in (AGREEMENT, FOLLOWS, KEEPS)]
        if not any(cells):
            continue
        does = [cell is not None and cell.value > 0.5 for cell in cells[1:]]
        kind = "parrots" if does[0] else "sceptical" if does[1] else ""
        body.append([_text(task), *(_share(cell) for cell in cells), kind])
    heads = ("task", "says the measured fact", "says a wrong fact that is shown", "keeps to the sound", "")
    return _table(heads, body) if body else ""


def _judged(verdicts: Sequence[Mapping[str, str]]) -> str:
    body = [[_text(one[name]) for name in ("task", "how", "judge", "found")] for one in verdicts]
    return _table(("task", "how", "judge", "found"), body, "words") if body else ""


def _share(row: ScoreRow | None) -> str:
    if row is None:
        return ""
    return f"{100 * row.value:.0f} % <small>[{100 * row.low:.0f}, {100 * row.high:.0f}], n = {row.n}</small>"


def _task(evaluation: Evaluation, task: str, media: Media) -> str:
    metric = TASKS[task].HEADLINE
    rows = [row for row in evaluation.rows if (row.task, row.metric) == (task, metric)]
    rows.sort(key=lambda row: CONDITIONS.index(row.condition))
    answers = [verdict for verdict in evaluation.answers if verdict.task == task]
    heard = [verdict for verdict in answers if verdict.condition == AUDIO and verdict.truth is not None]
    pictures = [plots.conditions(rows), *plots.of(task, [(v.reading, v.truth) for v in heard])]
    figures = "".join(f"<figure>{picture}</figure>" for picture in pictures)
    about = (TASKS[task].__doc__ or "").strip()
    question = f"<p>Asked: <i>{_text(TASKS[task].QUESTION)}</i></p>" if TASKS[task].QUESTION else ""
    named = getattr(TASKS[task], "VARIANT", "")
    variant = f"<p>Variant: <b>{_text(named)}</b></p>" if named else ""
    return _section(
        f"{task}: {report.name_of(metric)}",
        f"{variant}<p>{_code(about)}</p>{question}"
        f'<div class="plots">{figures}</div>{_examples(heard, media)}{_every(evaluation, task)}',
    )


def _every(evaluation: Evaluation, task: str) -> str:
    """All numbers of a task, and those that could not be computed, folded away."""
    body = [
        [
            _text(report.name_of(row.metric)),
            _text(row.condition),
            f"{row.value:.3f}",
            f"[{row.low:.3f}, {row.high:.3f}]",
            str(row.n),
            str(row.tracks),
        ]
        for row in evaluation.rows
        if row.task == task
    ]
    body += [
        [_text(report.name_of(absent.metric)), f"not computed: {_text(absent.why)}", "", "", "", ""]
        for absent in evaluation.absent
        if absent.task == task
    ]
    table = _table(("metric", "condition", "value", "95 %", "n", "tracks"), body)
    return f"<details><summary>All numbers</summary>{table}</details>"


def _examples(heard: Sequence[Verdict], media: Media) -> str:
    """The worst answers, and some of the best."""
    ranked = sorted(
        heard, key=lambda verdict: (verdict.right or 0.0, verdict.reading is None, verdict.case_id)
    )
    worst = [verdict for verdict in ranked if (verdict.right or 0.0) < 1]
    worst = sorted(worst, key=lambda verdict: bool(_remark(verdict)))[:WORST]
    rest = [verdict for verdict in reversed(ranked) if verdict not in worst]
    best = [verdict for verdict in rest if (verdict.right or 0.0) > 0.5][:BEST]
    cards = "".join(_example(verdict, media) for verdict in (*worst, *best))
    return f'<h3>Worst and best answers</h3><div class="examples">{cards}</div>' if cards else ""


def _example(verdict: Verdict, media: Media) -> str:
    good = " good" if (verdict.right or 0.0) > 0.5 else ""
    right = f" ({verdict.right:.2f})" if verdict.right not in (None, 0.0, 1.0) else ""
    right += f" ({remark})" if (remark := _remark(verdict)) else ""
    asked = "" if TASKS[verdict.task].QUESTION else f"<p>{_text(verdict.question.splitlines()[0])}</p>"
    return (
        f'<div class="example{good}"><p class="id">{_text(verdict.case_id)}: {verdict.verdict}{right}</p>'
        f'{_player(media.clips.get(verdict.clip_id))}{asked}<p class="said">{_text(verdict.answer[:600])}</p>'
        f"<p>read as <b>{_text(_said(verdict))}</b>; "
        f"right: <b>{_text(lmms.target(verdict.truth)[:300])}</b></p></div>"
    )


def _remark(verdict: Verdict) -> str:
    """What the task adds to a verdict, if it adds anything."""
    task = TASKS[verdict.task]
    return str(task.remark(verdict.reading, verdict.truth)) if isinstance(task, Remarks) else ""


def _said(verdict: Verdict) -> str:
    if verdict.reading is None:
        return "no answer"
    if hasattr(verdict.truth, "texts"):
        return str(verdict.truth.texts[verdict.reading])
    return lmms.target(verdict.reading)[:200]


def _player(clip: Clip | None) -> str:
    """The first seconds of a clip, inside the page, with their waveform."""
    if clip is None:
        return ""
    end = min(clip.end_seconds, clip.start_seconds + HEARD_SECONDS)
    try:
        samples, rate = audio.load(
            clip.path, start_seconds=clip.start_seconds, end_seconds=end, sample_rate=HEARD_RATE
        )
    except (BadAudio, OSError) as error:
        return f'<p class="id">{_text(error)}</p>'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.ogg"
        audio.save(path, samples, rate)
        data = base64.b64encode(path.read_bytes()).decode()
    return f'{plots.wave(samples)}<audio controls preload="none" src="data:audio/ogg;base64,{data}"></audio>'


def _calibration(evaluation: Evaluation, media: Media) -> str:
    """How sure the measured facts are against how right, where both are known."""
    found = {}
    for task in dict.fromkeys(row.task for row in evaluation.rows):
        heard = [v for v in evaluation.answers if (v.task, v.condition) == (task, AUDIO)]
        sure = [pair for verdict in heard if (pair := _sure(verdict, media.facts.get(verdict.clip_id)))]
        if len(sure) >= 10:
            found[task] = plots.bins(sure)
    if not found:
        return ""
    note = "Each dot is some of the clips; on the line the annotators are as sure as they are right."
    return (
        f'<div class="plots"><figure>{plots.calibration(found)}<figcaption>{note}</figcaption></figure></div>'
    )


def _sure(verdict: Verdict, facts: Annotation | None) -> tuple[float, float] | None:
    """(confidence, right) of the measured fact that the question is about."""
    if facts is None or verdict.truth is None or not hasattr(facts, verdict.task):
        return None
    task, fact = TASKS[verdict.task], getattr(facts, verdict.task)
    value = task.truth(facts)
    if value is None:
        return None
    several = isinstance(value, tuple) and isinstance(value[0], str)
    said = value[0] if several else value
    return float(fact.confidence), task.credit(said, verdict.truth)


def _published(evaluation: Evaluation, tasks: Sequence[str]) -> str:
    """What others have printed, each with its variant and source.

    Ours is drawn beside it for tasks that have one data set; a key of other music is another number.
    """
    own = {(row.task, row.metric): row.value for row in evaluation.rows if row.condition == AUDIO}
    body, pictures = [], []
    for task in tasks:
        printed = published.of(task)
        alike = [one for one in printed if one.metric == TASKS[task].HEADLINE]
        body += [_printed(one) for one in printed]
        if alike:
            named = [
                (shorten(f"{one.model}: {one.variant}", 52, placeholder=" …"), one.value) for one in alike
            ]
            same_set = any(hasattr(TASKS[task], name) for name in ("SOURCE", "SOURCES", "VARIANT"))
            ours = own.get((task, TASKS[task].HEADLINE)) if same_set else None
            picture = plots.beside(ours, named)
            pictures.append(f"<figure><figcaption>{_text(task)}</figcaption>{picture}</figure>")
    note = (
        "<p>By others, on the variant that is named, with other sets, prompts and readers: for orientation. "
        "V: seen in a repository or recomputed; R: quoted elsewhere.</p>"
    )
    table = _table(("task", "model", "value", "variant", "source"), body, "words")
    return f'{note}<div class="plots">{"".join(pictures)}</div>{table}' if body else ""


def _printed(one: published.Published) -> list[str]:
    return [
        f"{_text(one.task)} <small>{_text(report.name_of(one.metric))}</small>",
        _text(one.model),
        f"<b>{one.value:.3f}</b>",
        _text(one.variant),
        f"<small>{_text(one.source)} ({one.mark})</small>",
    ]


def _versions(evaluation: Evaluation) -> str:
    said = ", ".join(f"{name} {version}" for name, version in evaluation.versions.items())
    return f"Versions of the tasks: {_text(said)}. Controls: {_text(', '.join(CONTROLS))}."
