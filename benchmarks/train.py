"""Training speed with the same updates on the same machine: this package's loop against HF's Trainer.

    python benchmarks/train.py [--steps 7] [--batch 8] [--micro-batch 8] [--threads 1] [--profile]

Examples are one random clip (8 to 64 positions) and a question with an answer of 5 to 150 words. Both
sides train all weights of the same model in float32 with AdamW, by the same rate, and both learn from the
same examples in each update; the losses of each update are printed side by side, and must agree. The Trainer
takes them in random order, each micro batch padded to its longest; this package lays them behind each
other (`train.packed`). A micro batch has 8 examples on both sides, the Trainer's default. They take turns,
update by update. A token is one of an example, never padding, so the ratio is that of the times. Printed is
the median over the updates but the first, in seconds of the processor, which others on the machine disturb
less than the clock; the clock's figures are beside them.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from llark.model.checkpoint import new_model
from llark.recipe import Recipe
from llark.records import Exchange
from llark.train import loop, packing
from llark.train.data import Batches, Reading, examples_of, fixed_examples, measure
from llark.train.distributed import World

WIDTH = 64
WORDS = ("the", "song", "has", "a", "slow", "beat", "in", "minor", "with", "strings", "piano", "and", "drums")
AGREE = 2e-3
"""Nats by which the losses of an update may differ."""


def material(count: int) -> tuple[list[Exchange], dict[str, Any]]:
    chance = random.Random(0)
    exchanges, frames = [], {}
    for number in range(count):
        clip = f"clip-{number}"
        frames[clip] = SimpleNamespace(
            frames=np.random.default_rng(number)
            .normal(size=(chance.randint(8, 64), WIDTH))
            .astype(np.float16)
        )
        answer = " ".join(chance.choices(WORDS, k=chance.randint(5, 150)))
        exchanges.append(Exchange(clip, "What do you hear?", answer, "captioning", "x", "x"))
    return exchanges, frames


@dataclass
class Side:
    """One of the two, and what its updates took: processor seconds, seconds by the clock, loss."""

    name: str
    processor: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


class Baton:
    """Whose turn it is: each side holds it for one update."""

    def __init__(self, first: str) -> None:
        self._turn, self._changed = first, threading.Condition()
        self._began = (0.0, 0.0)

    def take(self, side: Side) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._turn == side.name)
        self._began = (time.process_time(), time.perf_counter())

    def give(self, side: Side, other: str) -> None:
        side.processor.append(time.process_time() - self._began[0])
        side.clock.append(time.perf_counter() - self._began[1])
        with self._changed:
            self._turn = other
            self._changed.notify_all()


class Enough(Exception):
    """All updates are made."""


def ours(side: Side, baton: Baton, parts: Parts, settings: Any, steps: int) -> None:
    packing.make_ready(parts.model)

    def report(metrics: loop.StepMetrics) -> None:
        side.losses.append(metrics.loss)
        baton.give(side, "Trainer")
        if metrics.step == steps:
            raise Enough
        baton.take(side)

    baton.take(side)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Enough):
        loop.run(parts.model, parts.of_step, settings, World(), Path(folder), {}, report=report)


def theirs(side: Side, baton: Baton, parts: Parts, settings: Any, steps: int) -> None:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Turns(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _: Any, state: Any, *__: Any, **more: Any) -> None:
            baton.give(side, "ours")
            if state.global_step < steps:
                baton.take(side)

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            if "loss" in logs:
                side.losses.append(logs["loss"])

    rows = [{"number": number} for step in range(steps) for number in parts.shuffled(step)]
    batches = parts.batches(packed=False)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=parts.model,
            args=TrainingArguments(
                output_dir=folder, max_steps=steps, per_device_train_batch_size=settings.micro_batch,
                gradient_accumulation_steps=settings.batch // settings.micro_batch, weight_decay=0.0,
                learning_rate=settings.learning_rate, lr_scheduler_type="constant", report_to=[],
                save_strategy="no", logging_steps=1, remove_unused_columns=False, use_cpu=True,
                disable_tqdm=True, dataloader_pin_memory=False, max_grad_norm=settings.clip_norm,
            ),
            train_dataset=rows,
            data_collator=lambda some: batches.batch([one["number"] for one in some]),
            callbacks=[Turns()],
        )  # fmt: skip
        trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(rows)
        baton.take(side)
        trainer.train()


class Parts:
    """The model, the examples and their order, drawn the same for each side."""

    def __init__(self, base: str, count: int, settings: Any) -> None:
        exchanges, self.frames = material(count)
        self.settings = settings
        self.model, self.processor = new_model(base, audio_width=WIDTH, frames_per_second=10.0)
        self.reading = Reading(
            self.processor.tokenizer, self.processor.positions_of, "chatml", settings.most_tokens
        )
        examples = examples_of(exchanges, settings)
        measures = measure(examples, lambda clip: len(self.frames[clip].frames), self.reading)
        self.examples = fixed_examples(examples, measures, settings.most_tokens)
        self.order = self.examples.order(settings)

    def batches(self, packed: bool) -> Batches:
        return Batches(self.examples, self.reading, self.frames, self.processor.pad_id, packed)

    def of_step(self, step: int) -> Any:
        return self.batches(packed=True).micro_batches(self.order(step), self.settings.micro_batch)

    def numbers(self, step: int) -> list[int]:
        return [number for number, _ in self.order(step)]

    def shuffled(self, step: int) -> list[int]:
        chosen = self.numbers(step)
        return [chosen[i] for i in np.random.default_rng(step).permutation(len(chosen))]


def settings_of(asked: argparse.Namespace) -> Any:
    return Recipe(
        name="benchmark",
        model={"lora_rank": 0, "lora_targets": ()},  # type: ignore[arg-type]
        train={
            "weights": "full", "steps": asked.steps + 1, "batch": asked.batch,
            "micro_batch": asked.micro_batch, "bucket": 1,
            "precision": "float32", "save_every": 10**6, "evaluate_every": 10**6, "schedule": "constant",
            "warmup_share": 0.0, "learning_rate": 2e-5, "packed": True,
        },  # type: ignore[arg-type]
    ).train  # fmt: skip


def report(mine: Side, other: Side, parts: Parts, steps: int) -> None:
    tokens = [int(parts.examples.lengths[parts.numbers(step)].sum()) for step in range(steps)]
    for step, (a, b) in enumerate(zip(mine.losses, other.losses, strict=True)):
        times = f"{mine.processor[step]:.1f} and {other.processor[step]:.1f} s of the processor"
        print(f"  update {step + 1}, {tokens[step]} tokens: losses {a:.4f} and {b:.4f}; {times}")
        if abs(a - b) > AGREE:
            raise SystemExit("The losses do not agree: the two do not do the same.")
    for side in (mine, other):
        speeds = [
            statistics.median(t / s for t, s in zip(tokens[1:], times[1:], strict=True))
            for times in (side.processor, side.clock)
        ]
        print(f"{side.name}: {speeds[0]:.1f} tokens a processor second, {speeds[1]:.1f} by the clock")
    for name in ("processor", "clock"):
        pairs = zip(getattr(other, name)[1:], getattr(mine, name)[1:], strict=True)
        print(f"ratio by the {name}: {statistics.median(b / a for b, a in pairs):.2f}")


def profile(parts: Parts, settings: Any) -> None:
    packing.make_ready(parts.model)
    updates = iter(range(2))

    def report(metrics: loop.StepMetrics) -> None:
        if next(updates) == 1:
            raise Enough

    with (
        torch.profiler.profile() as seen,
        contextlib.suppress(Enough),
        tempfile.TemporaryDirectory() as folder,
    ):
        loop.run(parts.model, parts.of_step, settings, World(), Path(folder), {}, report=report)
    print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=16, max_name_column_width=40))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--profile", action="store_true", help="only where the time of two updates goes")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    settings = settings_of(asked)
    parts = Parts(asked.base, asked.examples, settings)
    if asked.profile:
        profile(parts, settings)
        return
    mine, other, baton = Side("ours"), Side("Trainer"), Baton("ours")
    second = Parts(asked.base, asked.examples, settings)
    given = (other, baton, second, settings, asked.steps)
    beside = threading.Thread(target=theirs, args=given, daemon=True)
    beside.start()
    ours(mine, baton, parts, settings, asked.steps)
    beside.join()
    report(mine, other, parts, asked.steps)


if __name__ == "__main__":
    main()
