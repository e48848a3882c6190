"""How training goes: the loss on examples that it does not see, a few answers in words, and what a person
sees: a bar or lines on the terminal, and the boards that are asked for.

TensorBoard's files lie beside the log. Weights & Biases sends nothing anywhere unless WANDB_API_KEY is in the
environment: without it the run is kept in the folder, for `wandb sync`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from llark import engine
from llark.errors import UserMustAct
from llark.model.conversation import answer_of, turn_end_id
from llark.model.model import IGNORE_INDEX
from llark.train import distributed
from llark.train.data import Batches
from llark.train.distributed import World
from llark.train.loop import SAMPLES, StepMetrics, batch_loss

if TYPE_CHECKING:
    from llark.recipe import Train

MOST_TOKENS = 32
"""Of an answer that is written out."""


class Examiner:
    """Called with a step; the mean loss over validation examples, in nats, or `None` without any.

    All processes compute the same number of times, whatever their share: a model in parts needs them all.
    """

    def __init__(self, model: Any, watched: Batches, config: Train, world: World, folder: Path) -> None:
        self.model, self.watched, self.config, self.world = model, watched, config, world
        self.folder = folder
        count = min(len(watched), config.evaluate_examples)
        every = max(1, len(watched) // count) if count else 1
        self.chosen = list(range(0, len(watched), every))[:count]

    @torch.no_grad()
    def __call__(self, step: int) -> float | None:
        if not self.chosen:
            return None
        self.model.eval()
        loss = self._loss()
        for number in self.chosen[: self.config.sample_answers]:
            self._sample(step, number)
        self.model.train()
        return loss

    def _loss(self) -> float:
        """Each process takes every world-th micro batch; where they do not come out even, some compute twice
        what is counted once."""
        total, supervised = 0.0, 0
        size, world = self.config.micro_batch, self.world
        for turn in range(-(-len(self.chosen) // (size * world.size))):
            begin = (turn * world.size + world.rank) * size
            mine = self.chosen[begin : begin + size]
            inputs = self.watched.batch(mine or self.chosen[:1])
            loss = batch_loss(self.model, inputs, 1, self.config, world)
            if mine:
                total += float(loss)
                supervised += int((inputs["labels"] != IGNORE_INDEX).sum())
        whole, count = world.sum(total, supervised)
        return whole / max(1.0, count)

    def _sample(self, step: int, number: int) -> None:
        """Writes a question, the model's likeliest answer, and the one it was to learn."""
        reading, asked = self.watched.reading, self.watched.sample(number)
        text = reading.tokenizer.decode(self._go_on(asked.inputs), skip_special_tokens=True)
        if self.world.is_main:
            line = {
                "step": step,
                "clip_id": asked.clip_id,
                "question": asked.question,
                "answer": answer_of(text, reading.style),
                "wanted": asked.answer,
            }
            with (self.folder / SAMPLES).open("a") as samples:
                samples.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _go_on(self, inputs: dict[str, Tensor]) -> Sequence[int]:
        """The likeliest next tokens, as many on every process, up to the end of the answer."""
        there = {name: value.to(self.world.device) for name, value in inputs.items()}
        mask, past, ids = there["attention_mask"], None, []
        for _ in range(MOST_TOKENS):
            with distributed.precision(self.world, self.config):
                out = self.model(**there, past_key_values=past, logits_to_keep=1, use_cache=True)
            token, past = out.logits[:, -1].argmax(-1, keepdim=True), out.past_key_values
            ids.append(int(token))
            mask = torch.cat([mask, torch.ones_like(token)], dim=1)
            there = {"input_ids": token, "attention_mask": mask}
        end = turn_end_id(self.watched.reading.tokenizer)
        return ids[: ids.index(end)] if end in ids else ids


# --- boards -----------------------------------------------------------------------------------------------


class Board:
    """Called with the metrics of each step. `first`: the steps that were done before."""

    def __init__(self, folder: Path, config: Train, world: World, first: int = 0) -> None:
        self._tick = engine.Ticker("train", config.steps, first, show=world.is_main)
        self._boards: list[tuple[Callable[[dict[str, float], int], None], Callable[[], None]]] = []
        if config.tensorboard and world.is_main:
            self._boards.append(_on_tensorboard(folder / "tensorboard", first))
        if config.wandb and world.is_main:
            self._boards.append(_on_wandb(folder, config))

    def __call__(self, metrics: StepMetrics) -> None:
        validation = metrics.validation_loss
        after = "" if validation is None else f", validation {validation:.3f}"
        memory = "" if metrics.memory_gb is None else f", {metrics.memory_gb:.1f} GB"
        speed = f"{metrics.tokens_per_second:.0f} tokens/s, {metrics.clips_per_second:.1f} clips/s"
        self._tick(metrics.step, f"loss {metrics.loss:.3f}{after}, {speed}{memory}")
        numbers = {name: v for name, v in asdict(metrics).items() if name != "step" and v is not None}
        for write, _ in self._boards:
            write(numbers, metrics.step)

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *error: object) -> None:
        self._tick.__exit__(*error)
        for _, close in self._boards:
            close()


def check_boards(config: Train) -> None:
    """Raises `UserMustAct` where a board is asked for and not installed."""
    if config.tensorboard:
        _summary_writer()
    if config.wandb:
        _wandb()


def _on_tensorboard(folder: Path, first: int) -> Any:
    writer = _summary_writer()(str(folder), purge_step=first + 1)

    def write(numbers: dict[str, float], step: int) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)

    return write, writer.close


def _on_wandb(folder: Path, config: Train) -> Any:
    """A run of its own for each folder; it goes on where the folder does."""
    run = _wandb().init(
        project=config.wandb,
        id=hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16],
        name=folder.name,
        dir=str(folder),
        config=config.model_dump(mode="json"),
        mode="online" if os.environ.get("WANDB_API_KEY") else "offline",
        resume="allow",
        save_code=False,
    )
    return (lambda numbers, step: run.log(numbers, step=step)), run.finish


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserMustAct(
            'train.tensorboard needs the extra: pip install "llark[tensorboard]"; or set it to false.'
        ) from error
    return SummaryWriter


def _wandb() -> Any:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        return import_module("wandb")
    except ImportError as error:
        raise UserMustAct(
            'train.wandb needs the extra: pip install "llark[wandb]"; or set it to null.'
        ) from error
