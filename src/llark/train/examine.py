"""How training goes: the loss on examples that it does not see, and a few answers, in words.

All processes compute the same number of times, whatever their share, since a model in parts needs them all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from llark.model.conversation import turn_end_id
from llark.model.styles import Said, answer_of, compose
from llark.train import team
from llark.train.talks import Batches, collate
from llark.train.team import Team

if TYPE_CHECKING:
    from llark.tuning import Tune

SAMPLES = "samples.jsonl"
MOST_WORDS = 32
"""Tokens of an answer that is written out."""


class Examiner:
    """Called with a step; the mean loss over the validation examples, in nats, or `None` without any."""

    def __init__(self, model: Any, batches: Batches, tune: Tune, crew: Team, folder: Path) -> None:
        self.model, self.batches, self.tune, self.crew, self.folder = model, batches, tune, crew, folder
        count = min(len(batches.survey.examples), tune.evaluate_examples)
        every = max(1, len(batches.survey.examples) // count) if count else 1
        self.chosen = list(range(0, len(batches.survey.examples), every))[:count]

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
            inputs = self.batches(mine or self.chosen[:1])
            there = {name: value.to(self.crew.device) for name, value in inputs.items()}
            with team.precision(self.crew, self.tune):
                loss = self.model(**there, loss_only=True, num_items_in_batch=1).loss
            if mine:
                total += float(loss)
                learnt += int(self.batches.survey.learnt[mine].sum())
        whole, count = self.crew.sum(total, learnt)
        return whole / max(1.0, count)

    def _sample(self, step: int, number: int) -> None:
        """Writes one example's first question, the model's likeliest answer, and the one it was to learn."""
        example, reading = self.batches.survey.examples[number], self.batches.reading
        frames = self.batches.frames[example.clip_id].frames
        question, wanted = example.turns[0]
        asked = Said(question, None, (reading.positions_of(len(frames)),), example.clips_last)
        inputs = collate([compose(reading.tokenizer, [asked], reading.style)], [frames], self.batches.pad_id)
        inputs.pop("labels")
        said = answer_of(
            reading.tokenizer.decode(self._go_on(inputs), skip_special_tokens=True), reading.style
        )
        if self.crew.leads:
            line = {
                "step": step,
                "clip_id": example.clip_id,
                "question": question,
                "answer": said,
                "wanted": wanted,
            }
            with (self.folder / SAMPLES).open("a") as samples:
                samples.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _go_on(self, inputs: dict[str, torch.Tensor]) -> Sequence[int]:
        """The likeliest next tokens, as many on every process, up to the end of the answer."""
        there = {name: value.to(self.crew.device) for name, value in inputs.items()}
        end = turn_end_id(self.batches.reading.tokenizer)
        said: list[int] = []
        for _ in range(MOST_WORDS):
            with team.precision(self.crew, self.tune):
                logits = self.model(**there, logits_to_keep=1, use_cache=False).logits
            token = logits[:, -1].argmax(-1, keepdim=True)
            said.append(int(token))
            for name, value in (("input_ids", token), ("attention_mask", torch.ones_like(token))):
                there[name] = torch.cat([there[name], value], dim=1)
        return said[: said.index(end)] if end in said else said
