"""What a judge said, on disk: asked once, kept with the question, and gone on with where it was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from llark import engine
from llark.evaluate import report
from llark.evaluate.answers import Said
from llark.evaluate.cases import AUDIO
from llark.evaluate.endpoint import TOKENS_PER_CHARACTER
from llark.evaluate.outcome import Verdict
from llark.storage import stages

FOLDER = "judged"
"""The folder of replies in that of a report."""

FOUND = "judged.jsonl"
"""In a report's folder: what each judge found, one a line."""


def note(folder: Path, line: Mapping[str, str]) -> None:
    """Adds what a judge found to the folder of a report, once, and to which answers it belongs."""
    page = {**line, "answers": fingerprint(report.read(folder).answers, line["task"])}
    kept = _noted(folder)
    if page not in kept:
        lines = [json.dumps(one, ensure_ascii=False) for one in (*kept, page)]
        report.replace_file(folder / FOUND, "".join(f"{text}\n" for text in lines))


def found(folder: Path, answers: Sequence[Verdict]) -> list[dict[str, str]]:
    """What judges have found about these answers: `how`, `task`, `judge`, `url` and `found` each."""
    known = {task: fingerprint(answers, task) for task in {verdict.task for verdict in answers}}
    return [one for one in _noted(folder) if one.get("answers") == known.get(one["task"], "")]


def _noted(folder: Path) -> list[dict[str, str]]:
    return report.json_lines(folder / FOUND) if (folder / FOUND).is_file() else []


def fingerprint(answers: Iterable[Verdict], task: str) -> str:
    """Tells the answers with sound to a task from any others."""
    heard = sorted(
        [v.case_id, v.question, v.answer] for v in answers if (v.task, v.condition) == (task, AUDIO)
    )
    return hashlib.sha256(json.dumps(heard).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Judged:
    """The replies of one judge to some prompts. `about` tells it from other judges.

    Each judge and list of prompts has a folder of its own below `folder`.
    """

    folder: Path
    name: str
    about: Mapping[str, str]
    prompts: tuple[str, ...]
    at_once: int = 4

    @property
    def _place(self) -> Path:
        plan = json.dumps([dict(self.about), self.prompts])
        return self.folder / FOLDER / f"{self.name}-{hashlib.sha256(plan.encode()).hexdigest()[:12]}"

    def _open(self) -> stages.StageWriter:
        return stages.open_stage(self._place, "judge", dict(self.about), flush_records=self.at_once)

    def cost(self, dollars_per_million: float | None = None) -> str:
        """What asking would still take, in words."""
        missing = self._missing()
        tokens = round(TOKENS_PER_CHARACTER * sum(map(len, missing)))
        said = f"about {len(missing)} requests, {tokens:,} tokens of questions"
        if len(missing) < len(self._all):
            said += f"; {len(self._all) - len(missing)} are answered already"
        if dollars_per_million is None:
            return f"{said}; price unknown: name --dollars-per-million"
        return f"{said}; about ${tokens * dollars_per_million / 1e6:.2f} for them"

    @property
    def _all(self) -> dict[str, str]:
        """The prompts by id, each once."""
        return {hashlib.sha256(prompt.encode()).hexdigest(): prompt for prompt in self.prompts}

    def _missing(self) -> list[str]:
        if not self._place.exists():
            return list(self._all.values())
        with self._open() as writer:
            done = set(self._all) if writer.finished else writer.done
        return [prompt for id_, prompt in self._all.items() if id_ not in done]

    def ask(self, chat: Callable[[str], str]) -> Mapping[str, str]:
        """The reply to each prompt, several asked at a time."""
        with self._open() as writer:
            if not writer.finished:
                self._go_on(chat, writer)
                writer.finish()
        return {said.question: said.text for said in stages.read(self._place, Said)}

    def _go_on(self, chat: Callable[[str], str], writer: stages.StageWriter) -> None:
        missing: Sequence[tuple[str, str]] = [
            (id_, prompt) for id_, prompt in self._all.items() if id_ not in writer.done
        ]
        whole = len(self._all)
        with engine.Ticker("judge", whole, whole - len(missing)) as tick:
            for start in range(0, len(missing), self.at_once):
                chunk = missing[start : start + self.at_once]
                with ThreadPoolExecutor(self.at_once) as beside:
                    replies = list(beside.map(chat, [prompt for _, prompt in chunk]))
                for (id_, prompt), reply in zip(chunk, replies, strict=True):
                    writer.write(id_, [Said(id_, prompt, reply)])
                    tick()
