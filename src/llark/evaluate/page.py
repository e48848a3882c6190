"""`report.html`: the evaluation as one page that opens offline, with pictures, players and waveforms."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from markupsafe import Markup

from llark import audio
from llark.errors import BadAudio
from llark.evaluate import judge, report
from llark.evaluate.cases import AUDIO, CONDITIONS, CONTROLS
from llark.evaluate.options import LETTERS
from llark.evaluate.report import AGREEMENT, FOLLOWS, KEEPS, STRICT, Evaluation, Margin, ScoreRow, Verdict
from llark.evaluate.score import ASKED_CONTROLS
from llark.evaluate.task import PUBLISHED
from llark.evaluate.tasks import TASKS
from llark.records import Annotation, Clip
from llark.report import plots
from llark.report.page import render

PAGE = "report.html"
WORST, BEST = 3, 2
"""Examples a task."""

PLAYED_SECONDS = 12.0
PLAYED_RATE = 16_000
"""What of an example can be played."""

NO_ANSWER = "no answer"


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
    text = page(evaluation, about or {}, media or Media(), judge.findings(folder, evaluation.answers))
    report.replace_file(folder / PAGE, text)
    return folder / PAGE


def page(
    evaluation: Evaluation,
    about: Mapping[str, Any],
    media: Media,
    verdicts: Sequence[Mapping[str, str]] = (),
) -> str:
    """The whole page, as text. `verdicts`: those of judges."""
    tasks = list(dict.fromkeys(row.task for row in evaluation.rows))
    without = [task for task in dict.fromkeys(one.task for one in evaluation.absent) if task not in tasks]
    return render(
        "evaluate",
        about=about,
        deaf=[margin.task for margin in evaluation.margins if margin.deaf],
        deaf_means=report.DEAF[0].upper() + report.DEAF[1:],
        headlines=[_headline(evaluation, task) for task in (*tasks, *without)],
        faithfulness=_faithfulness(evaluation.rows, tasks),
        judged=verdicts,
        tasks=[_task(evaluation, task, media) for task in tasks],
        calibration=_calibration(evaluation, media),
        beside=[_beside(evaluation, task) for task in tasks if task in PUBLISHED],
        explanation=report.EXPLANATION,
        versions=", ".join(f"{name} {version}" for name, version in evaluation.versions.items()),
        controls=", ".join(CONTROLS),
    )


def _headline(evaluation: Evaluation, task: str) -> dict[str, Any]:
    """The headline metric beside what it is compared with; each is `None` where it was not computed.

    `own` is with sound, or under the first other condition that has a value; `lead` is what the lead says.
    """
    metric = TASKS[task].headline
    rows = {(row.metric, row.condition): row for row in evaluation.rows if row.task == task}
    own = rows.get((metric, AUDIO)) or next((row for row in rows.values() if row.metric == metric), None)
    margin = next((margin for margin in evaluation.margins if margin.task == task), None)
    return {
        "task": task,
        "metric": report.name_of(metric),
        "own": own,
        "margin": margin,
        "control": rows.get((metric, margin.control)) if margin else None,
        "strict": rows.get((STRICT + metric, own.condition)) if own else None,
        "coverage": rows.get(("coverage", own.condition)) if own else None,
        "lead": _lead(margin, any((metric, name) in rows for name in ASKED_CONTROLS)) if margin else "",
    }


def _lead(margin: Margin, tested: bool) -> str:
    """In a word, what the lead says. `tested`: the model was also asked without the sound of the clip."""
    if margin.deaf:
        return "deaf"
    if margin.low <= 0:
        return "no lead"
    return "hears" if tested else "untested"


def _faithfulness(
    rows: Sequence[ScoreRow], tasks: Sequence[str]
) -> list[tuple[str, ScoreRow | None, ScoreRow | None, ScoreRow | None, str]]:
    """How often the answer says the facts that are shown, and the wrong ones; and what that makes it."""
    by_metric = {(row.task, row.metric): row for row in rows}
    listed = []
    for task in tasks:
        agrees, follows, keeps = (by_metric.get((task, metric)) for metric in (AGREEMENT, FOLLOWS, KEEPS))
        parrots, sceptical = (row is not None and row.value > 0.5 for row in (follows, keeps))
        if agrees or follows or keeps:
            kind = "parrots" if parrots else "sceptical" if sceptical else ""
            listed.append((task, agrees, follows, keeps, kind))
    return listed


def _task(evaluation: Evaluation, name: str, media: Media) -> dict[str, Any]:
    """What the page shows of one task; metrics stand beside their names as people write them."""
    task = TASKS[name]
    rows = [row for row in evaluation.rows if row.task == name]
    scored = [one for one in _with_sound(evaluation, name) if one.truth is not None]
    pairs = [(one.reading, one.truth) for one in scored]
    in_sets = bool(pairs) and all(isinstance(truth, frozenset) for _, truth in pairs)
    return {
        "name": name,
        "metric": report.name_of(task.headline),
        "about": task.about or "",
        "question": task.question,
        "variant": task.variant,
        "headline": sorted(
            (row for row in rows if row.metric == task.headline),
            key=lambda row: CONDITIONS.index(row.condition),
        ),
        "labels": plots.count_labels(pairs) if in_sets else [],
        "pictures": pictures(name, pairs),
        "examples": _examples(scored, media),
        "rows": [(report.name_of(row.metric), row) for row in rows],
        "absent": [(report.name_of(one.metric), one) for one in evaluation.absent if one.task == name],
    }


def _with_sound(evaluation: Evaluation, task: str) -> list[Verdict]:
    return [one for one in evaluation.answers if (one.task, one.condition) == (task, AUDIO)]


def pictures(task: str, answers: Sequence[tuple[Any, Any]]) -> list[Markup]:
    """The pictures for a task's (reading, truth) pairs, by the kind of its truths; none for sets."""
    if not answers:
        return []
    truths = [truth for _, truth in answers]
    if task == "key":
        named = [(answer or NO_ANSWER, truth) for answer, truth in answers]
        return [plots.fifths(answers), plots.matrix(named, plots.KEY_ORDER, "key")]
    if task == "tempo":
        return [plots.tempo(answers)]
    if hasattr(truths[0], "texts"):
        letters = [(NO_ANSWER if a is None else LETTERS[a], LETTERS[t.right]) for a, t in answers]
        return [plots.matrix(letters, sorted({t for _, t in letters}), "letter of the right option")]
    if all(isinstance(truth, str | int) for truth in truths) or task == "genre":
        pairs = [(NO_ANSWER if a is None else str(a), _right_label(a, t)) for a, t in answers]
        return [plots.matrix(pairs, sorted({t for _, t in pairs}, key=lambda t: (len(t) < 3, t)), task)]
    return []


def _right_label(answer: Any, truth: Any) -> str:
    """Of several right styles the one that was answered, else the first."""
    return str((answer if answer in truth else truth[0]) if isinstance(truth, tuple) else truth)


def _examples(scored: Sequence[Verdict], media: Media) -> list[dict[str, Any]]:
    """The worst answers, and some of the best."""
    ranked = sorted(scored, key=lambda one: (one.right or 0.0, one.reading is None, one.case_id))
    worst = [one for one in ranked if (one.right or 0.0) < 1]
    worst = sorted(worst, key=lambda one: bool(_remark(one)))[:WORST]
    best = [one for one in reversed(ranked) if one not in worst and (one.right or 0.0) > 0.5][:BEST]
    return [_example(one, media.clips.get(one.clip_id)) for one in (*worst, *best)]


def _remark(verdict: Verdict) -> str:
    """What the task adds to a verdict, if it adds anything."""
    return TASKS[verdict.task].remark(verdict.reading, verdict.truth)


def _example(one: Verdict, clip: Clip | None) -> dict[str, Any]:
    """An answer beside what is right, with its sound. The question is empty where every clip is asked the
    same."""
    if one.reading is None:
        reading = NO_ANSWER
    elif hasattr(one.truth, "texts"):
        reading = str(one.truth.texts[one.reading])
    else:
        reading = report.target(one.reading)[:200]
    return {
        "verdict": one,
        "remark": _remark(one),
        "question": "" if TASKS[one.task].question else one.question.splitlines()[0],
        "reading": reading,
        "truth": report.target(one.truth)[:300],
        "sound": _sound(clip) if clip else None,
    }


def _sound(clip: Clip) -> dict[str, Any]:
    """The first seconds of a clip: their waveform and an Ogg file in base 64, or why there are none."""
    end = min(clip.end_seconds, clip.start_seconds + PLAYED_SECONDS)
    try:
        audio.refuse_changed(clip)
        samples, rate = audio.load(
            clip.path, start_seconds=clip.start_seconds, end_seconds=end, sample_rate=PLAYED_RATE
        )
    except (BadAudio, OSError) as error:
        return {"problem": str(error)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.ogg"
        audio.save(path, samples, rate)
        ogg = base64.b64encode(path.read_bytes()).decode()
    return {"problem": "", "waveform": plots.waveform(samples, to_loudest=True), "ogg": ogg}


def _calibration(evaluation: Evaluation, media: Media) -> Markup | None:
    """How sure the measured facts are against how right, where both are known."""
    curves = {}
    for task in dict.fromkeys(row.task for row in evaluation.rows):
        pairs = [
            _sure(verdict, media.facts.get(verdict.clip_id)) for verdict in _with_sound(evaluation, task)
        ]
        known = [pair for pair in pairs if pair]
        if len(known) >= 10:
            curves[task] = plots.bins(known)
    return plots.calibration(curves) if curves else None


def _sure(verdict: Verdict, facts: Annotation | None) -> tuple[float, float] | None:
    """(confidence, right) of the measured fact that the question is about."""
    if facts is None or verdict.truth is None or not hasattr(facts, verdict.task):
        return None
    task, fact = TASKS[verdict.task], getattr(facts, verdict.task)
    value = task.truth(facts)
    if value is None:
        return None
    several = isinstance(value, tuple) and isinstance(value[0], str)
    return float(fact.confidence), task.credit(value[0] if several else value, verdict.truth)


def _beside(evaluation: Evaluation, task: str) -> dict[str, Any]:
    """What others have printed of a task, as it is named in a picture and in a table.

    Ours is drawn beside it for tasks that have one data set; a key of other music is another number.
    """
    metric, printed = TASKS[task].headline, PUBLISHED[task]
    same_set = bool(TASKS[task].sources or TASKS[task].variant)
    own = {(row.task, row.metric): row.value for row in evaluation.rows if row.condition == AUDIO}
    return {
        "task": task,
        "ours": own.get((task, metric)) if same_set else None,
        "others": [
            (shorten(f"{one.model}: {one.variant}", 52, placeholder=" …"), one.value)
            for one in printed
            if one.metric == metric
        ],
        "printed": [(report.name_of(one.metric), one) for one in printed],
    }
