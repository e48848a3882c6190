"""Answers in the sample format of lmms-eval 0.7, for tools that read its logs.

One file a task, `STAMP_samples_TASK.jsonl`, with `doc_id`, `target`, `input`, `filtered_resps`, `doc_hash`
and the task's score for each answer with sound, as lmms-eval's evaluation tracker writes them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llark.evaluate.cases import AUDIO
from llark.evaluate.outcome import Evaluation, Verdict
from llark.evaluate.tasks import TASKS


def write(folder: Path, evaluation: Evaluation, model: str, stamp: str | None = None) -> list[Path]:
    """Writes a file for each task into a folder named after the model; returns them."""
    folder = folder / "__".join(part for part in model.replace("\\", "/").split("/") if part)
    folder.mkdir(parents=True, exist_ok=True)
    stamp = stamp or time.strftime("%Y%m%d_%H%M%S")
    written = []
    for task in dict.fromkeys(verdict.task for verdict in evaluation.answers):
        heard = [v for v in evaluation.answers if (v.task, v.condition) == (task, AUDIO)]
        if heard:
            path = folder / f"{stamp}_samples_llark_{task}.jsonl"
            lines = [json.dumps(row, ensure_ascii=False) for row in samples(heard)]
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
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
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


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
