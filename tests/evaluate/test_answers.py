"""Answers on disk: asked once, gone on with, and never mixed with another model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llark.errors import StoreMismatch, UserMustAct
from llark.evaluate.answers import CachedAnswers
from llark.evaluate.cases import TaskPrompt


@dataclass
class Recorder:
    """Says its number of calls; breaks at the call `breaks_at`."""

    name: str = "one"
    breaks_at: int | None = None
    asked: list[list[str]] = field(default_factory=list)

    @property
    def about(self) -> dict[str, str]:
        return {"model": self.name}

    def __call__(self, prompts: Sequence[TaskPrompt], /) -> list[str]:
        self.asked.append([prompt.id for prompt in prompts])
        if len(self.asked) == self.breaks_at:
            raise UserMustAct("The server is gone.")
        return [f"{prompt.clip_id} {prompt.question}" for prompt in prompts]


PUTS = [TaskPrompt(f"case-{i}", "What?", f"clip-{i}") for i in range(10)]


def test_a_second_run_asks_nobody(tmp_path: Path) -> None:
    model = Recorder()
    first = CachedAnswers(tmp_path, model, chunk=4)("key", "audio", PUTS)
    assert [len(ids) for ids in model.asked] == [4, 4, 2]
    assert CachedAnswers(tmp_path, model, chunk=4)("key", "audio", PUTS) == first
    assert len(model.asked) == 3
    assert first["case-3"] == "clip-3 What?"


def test_a_run_that_broke_goes_on_after_the_answers_that_it_had(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="server is gone"):
        CachedAnswers(tmp_path, Recorder(breaks_at=3), chunk=4)("key", "audio", PUTS)
    model = Recorder()
    said = CachedAnswers(tmp_path, model, chunk=4)("key", "audio", PUTS)
    assert model.asked == [["case-8", "case-9"]]
    assert len(said) == 10


def test_puts_that_are_alike_are_asked_once(tmp_path: Path) -> None:
    model = Recorder()
    prompts = [TaskPrompt(f"case-{i}", "What?", stand_in="silence") for i in range(6)]
    said = CachedAnswers(tmp_path, model)("key", "silence", prompts)
    assert model.asked == [["case-0"]]
    assert set(said.values()) == {"None What?"}
    assert len(said) == 6


def test_what_was_said_to_a_clip_under_one_condition_is_not_asked_again_under_another(tmp_path: Path) -> None:
    model = Recorder()
    kept = CachedAnswers(tmp_path, model)
    heard = kept("key", "audio", PUTS)
    turned = [
        TaskPrompt(prompt.id, prompt.question, PUTS[(i + 1) % len(PUTS)].clip_id)
        for i, prompt in enumerate(PUTS)
    ]
    shuffled = kept("key", "shuffled", turned)
    assert len(model.asked) == 1
    assert [shuffled[prompt.id] for prompt in turned] == [heard[prompt.id] for prompt in PUTS[1:] + PUTS[:1]]
    kept("tempo", "audio", PUTS)
    kept("key", "likeliest option", [TaskPrompt("case-0", "What?", options=("a", "b"))])
    kept("key", "no audio", [TaskPrompt("case-0", "What?")])
    assert len(model.asked) == 4


@pytest.mark.parametrize("other", ["model", "questions"])
def test_answers_of_another_model_or_to_other_questions_are_refused(tmp_path: Path, other: str) -> None:
    CachedAnswers(tmp_path, Recorder())("key", "audio", PUTS)
    model = Recorder("two" if other == "model" else "one")
    prompts = PUTS if other == "model" else PUTS[:5]
    with pytest.raises(StoreMismatch, match="another configuration"):
        CachedAnswers(tmp_path, model)("key", "audio", prompts)


def test_the_progress_hears_every_answer_so_far(tmp_path: Path) -> None:
    seen: list[int] = []

    def grade(task: str, said: object) -> str:
        seen.append(len(said))  # type: ignore[arg-type]
        return "fine"

    CachedAnswers(tmp_path, Recorder(), grade, chunk=4)("key", "audio", PUTS)
    assert seen == [4, 8, 10]
