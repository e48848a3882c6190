"""How training goes: the loss on examples that it does not see, and a few answers, in words.

All processes compute the same number of times, whatever their share, since a model in parts needs them all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from llark.model.conversation import turn_end_id
from llark.model.model import IGNORE_INDEX
from llark.model.styles import Style, answer_of
from llark.train import team
from llark.train.loop import SAMPLES
from llark.train.team import Team

if TYPE_CHECKING:
    from llark.tuning import Tune

MOST_WORDS = 32
"""Tokens of an answer that is written out."""


@dataclass(frozen=True, eq=False)
class Ask:
    """A question that the model is to answer, as `inputs` of one row, and the answer it was to learn."""

    clip_id: str
    question: str
    wanted: str
    inputs: dict[str, Tensor]


class Watched(Protocol):
    """Examples that are not trained on."""

    tokenizer: Any
    style: Style

    def __len__(self) -> int: ...

    def batch(self, chosen: Sequence[int]) -> dict[str, Any]:
        """The tensors of the examples with these numbers, their labels among them."""

    def ask(self, number: int) -> Ask:
        """An example's first question."""


class Examiner:
    """Called with a step; the mean loss over the validation examples, in nats, or `None` without any."""

    def __init__(self, model: Any, watched: Watched, tune: Tune, crew: Team, folder: Path) -> None:
        self.model, self.watched, self.tune, self.crew, self.folder = model, watched, tune, crew, folder
        count = min(len(watched), tune.evaluate_examples)
        every = max(1, len(watched) // count) if count else 1
        self.chosen = list(range(0, len(watched), every))[:count]

    @torch.no_grad()
    def __call__(self, step: int) -> float | None:
        if not self.chosen:
            return None
        self.model.eval()
        loss = self._loss()
        for number in self.chosen[: self.tune.sample_answers]:
            self._sample(step, number)
        self.model.train()
        return loss

    def _loss(self) -> float:
        """Each process takes every world-th example; where they do not come out even, some compute twice what
        is counted once."""
        total, learnt = 0.0, 0
        size, world = self.tune.micro_batch, self.crew.world
        rounds = -(-len(self.chosen) // (size * world))
        for turn in range(rounds):
            begin = (turn * world + self.crew.rank) * size
            mine = self.chosen[begin : begin + size]
            inputs = self.watched.batch(mine or self.chosen[:1])
            there = team.bring(self.model, inputs, self.crew)
            with team.precision(self.crew, self.tune):
                loss = self.model(**there, loss_only=True, num_items_in_batch=1).loss
            if mine:
                total += float(loss)
                learnt += int((inputs["labels"] != IGNORE_INDEX).sum())
        whole, count = self.crew.sum(total, learnt)
        return whole / max(1.0, count)

    def _sample(self, step: int, number: int) -> None:
        """Writes a question, the model's likeliest answer, and the one it was to learn."""
        asked, tokenizer = self.watched.ask(number), self.watched.tokenizer
        said = tokenizer.decode(self._go_on(asked.inputs), skip_special_tokens=True)
        if self.crew.leads:
            line = {
                "step": step,
                "clip_id": asked.clip_id,
                "question": asked.question,
                "answer": answer_of(said, self.watched.style),
                "wanted": asked.wanted,
            }
            with (self.folder / SAMPLES).open("a") as samples:
                samples.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _go_on(self, inputs: dict[str, Tensor]) -> Sequence[int]:
        """The likeliest next tokens, as many on every process, up to the end of the answer."""
        there = {name: value.to(self.crew.device) for name, value in inputs.items()}
        mask, past, said = there["attention_mask"], None, []
        for _ in range(MOST_WORDS):
            with team.precision(self.crew, self.tune):
                out = self.model(**there, past_key_values=past, logits_to_keep=1, use_cache=True)
            token, past = out.logits[:, -1].argmax(-1, keepdim=True), out.past_key_values
            said.append(int(token))
            mask = torch.cat([mask, torch.ones_like(token)], dim=1)
            there = {"input_ids": token, "attention_mask": mask}
        end = turn_end_id(self.watched.tokenizer)
        return said[: said.index(end)] if end in said else said
