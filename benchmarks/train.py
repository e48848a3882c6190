"""Training speed on the same examples, SmolLM2-135M and machine: this package's loop against HF's Trainer.

    python benchmarks/train.py [--steps 4] [--batch 8] [--examples 64] [--threads 1]

Examples are one clip of chance (8 to 64 positions) and a question with an answer of 5 to 150 words. Both
train the whole model, in float32, with AdamW. The Trainer takes the same
ids, padded to the longest of its batch. Prints tokens a second (padding not counted, the first step left out)
of each, their ratio, and the first losses; with --profile also where the loop's time goes.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from llark.model.checkpoint import new_model
from llark.recipe import Recipe
from llark.records import Exchange
from llark.train import talks, tune
from llark.train.order import Order
from llark.train.team import Team

WIDTH = 64
WORDS = ("the", "song", "has", "a", "slow", "beat", "in", "minor", "with", "strings", "piano", "and", "drums")


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


def ours(model: Any, batches: talks.Batches, settings: Any, bucket: int) -> tuple[float, float]:
    """Tokens a second, and the first loss."""
    found = batches.survey
    order = Order(found.lengths, ["captioning"] * len(found.lengths), batch=settings.batch, bucket=bucket)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        told: list[tune.Told] = []
        work = tune.Work(batches, order, {})
        tune.run(model, work, settings, Team(), Path(folder), tell=told.append)
        print(f"  with checkpoint: {time.perf_counter() - began:.1f} s", flush=True)
    steady = told[1:] or told
    tokens = sum(one.tokens_per_second * found_seconds(one, settings) for one in steady)
    return tokens / sum(found_seconds(one, settings) for one in steady), told[0].loss


def found_seconds(one: tune.Told, settings: Any) -> float:
    return float(settings.batch) / one.clips_per_second


def theirs(model: Any, batches: talks.Batches, settings: Any) -> tuple[float, float]:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    found = batches.survey
    marks: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

    order = np.random.default_rng(0).permutation(len(found.lengths))
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder, max_steps=settings.steps, per_device_train_batch_size=settings.micro_batch,
                gradient_accumulation_steps=settings.batch // settings.micro_batch, learning_rate=5e-5,
                report_to=[], save_strategy="no", logging_steps=1, remove_unused_columns=False, use_cpu=True,
                disable_tqdm=True, dataloader_pin_memory=False,
            ),
            train_dataset=[{"number": int(number)} for number in order],
            data_collator=lambda rows: batches([row["number"] for row in rows]),
            callbacks=[Clock()],
        )  # fmt: skip
        trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(trainer.train_dataset)
        trainer.train()
    first = next(row["loss"] for row in trainer.state.log_history if "loss" in row)
    taken = order[settings.batch : settings.steps * settings.batch]
    return float(found.lengths[taken].sum()) / (marks[-1] - marks[0]), first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    recipe = Recipe(
        name="benchmark",
        model={"lora_rank": 0, "lora_targets": ()},  # type: ignore[arg-type]
        tune={
            "steps": asked.steps, "batch": asked.batch, "micro_batch": asked.micro_batch,
            "precision": "float32", "save_every": 10**6, "evaluate_every": 10**6,
        },  # type: ignore[arg-type]
    )  # fmt: skip
    settings = recipe.tune
    exchanges, frames = material(asked.examples)
    results = {}
    for name in ("ours", "Trainer"):
        model, processor = new_model(asked.base, audio_width=WIDTH, frames_per_second=10.0)
        reading = talks.Reading(processor.tokenizer, processor.positions_of, "chatml", 2048)
        found = talks.survey(
            talks.examples_of(exchanges, settings),  # type: ignore[arg-type]
            lambda clip: len(frames[clip].frames),
            reading,
        )
        batches = talks.Batches(found, reading, frames, processor.pad_id)
        if name == "ours":
            seen = torch.profiler.profile() if asked.profile else None
            with seen or contextlib.nullcontext():
                results[name] = ours(model, batches, settings, bucket=min(16, asked.steps))
            if seen is not None:
                print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=12))
        else:
            results[name] = theirs(model, batches, settings)
        print(f"{name}: {results[name][0]:.1f} tokens/s, first loss {results[name][1]:.3f}", flush=True)
    print(f"ratio: {results['ours'][0] / results['Trainer'][0]:.2f}")


if __name__ == "__main__":
    main()
