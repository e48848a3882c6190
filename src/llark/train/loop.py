"""The training loop: one clip and many questions a row, only what is small is trained.

A checkpoint is a folder of safetensors and JSON, written beside and renamed. What a step trains on follows
from the seed and the step's number, so a run that was killed goes on with the same batches and, on one
process, the same losses to the bit.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from llark.errors import LlarkError, StoreMismatch
from llark.train.examples import ClipData, RowsConfig, batch_of, rows_of_step


class TrainingFailed(LlarkError):
    """The loss was no number; the batch that did it is saved for inspection."""


@dataclass(frozen=True)
class TrainConfig:
    """The loop's figures. `steps` updates; learning rates are peaks of a cosine after a linear warm-up."""

    steps: int = 1000
    learning_rate: float = 5e-4
    projector_learning_rate: float = 1e-3
    warmup_share: float = 0.03
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    save_every: int = 100
    keep: int = 2
    evaluate_every: int = 200
    rows: RowsConfig = field(default_factory=RowsConfig)


@dataclass(frozen=True)
class Progress:
    """What the loop tells after a step: losses are means over the learnt tokens, in nats."""

    step: int
    loss: float
    tokens_per_second: float
    validation_loss: float | None = None


class MasterAdamW:
    """AdamW on float32 copies, for parameters that compute in bfloat16."""

    def __init__(self, groups: Sequence[dict[str, Any]]) -> None:
        self.working = [p for group in groups for p in group["params"]]
        self.master = [p.detach().float().clone().requires_grad_() for p in self.working]
        copies = iter(self.master)
        self.adam = torch.optim.AdamW([{**g, "params": [next(copies) for _ in g["params"]]} for g in groups])

    def step(self, clip_norm: float, scale: float) -> float:
        """One update with every learning rate times `scale`; the gradient's norm before clipping."""
        for master, working in zip(self.master, self.working, strict=True):
            master.grad = None if working.grad is None else working.grad.float()
            working.grad = None
        norm = torch.nn.utils.clip_grad_norm_(self.master, clip_norm)
        for group in self.adam.param_groups:
            group["lr"] = group["peak"] * scale
        self.adam.step()
        self.publish()
        return float(norm)

    @torch.no_grad()
    def publish(self) -> None:
        """Copies the float32 values into the model."""
        for master, working in zip(self.master, self.working, strict=True):
            working.copy_(master)

    def state(self) -> dict[str, Tensor]:
        tensors = {f"master.{i}": p.detach() for i, p in enumerate(self.master)}
        for i, p in enumerate(self.master):
            for name, value in self.adam.state.get(p, {}).items():
                tensors[f"{name}.{i}"] = torch.as_tensor(value)
        return tensors

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        for i, p in enumerate(self.master):
            p.copy_(tensors[f"master.{i}"])
            names = [key.rpartition(".")[0] for key in tensors if key.rpartition(".")[2] == str(i)]
            self.adam.state[p] = {name: tensors[f"{name}.{i}"].clone() for name in names if name != "master"}
        self.publish()


def learning_scale(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a half cosine down to zero."""
    warmup = max(1, round(config.warmup_share * config.steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, config.steps - warmup)))


def parameter_groups(model: torch.nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Two groups of what is trainable: the adapter of the language model, and the audio side."""
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    adapter = [p for name, p in trainable if "lora_" in name]
    audio = [p for name, p in trainable if "lora_" not in name]
    groups = []
    for params, peak in ((adapter, config.learning_rate), (audio, config.projector_learning_rate)):
        if params:
            groups.append({"params": params, "lr": peak, "peak": peak, "weight_decay": config.weight_decay})
    return groups


def train(
    model: Any,
    tokenizer: Any,
    data: Sequence[ClipData],
    config: TrainConfig,
    folder: Path,
    *,
    validation: Sequence[ClipData] = (),
    tell: Callable[[Progress], None] | None = None,
    stop_after: int | None = None,
) -> int:
    """Trains what of `model` requires gradients; returns the steps done. Goes on from `folder`'s newest
    checkpoint. `stop_after` ends this call early, at a checkpoint.

    Raises `StoreMismatch` where the folder holds a run of another configuration, and `TrainingFailed`
    where the loss is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = MasterAdamW(parameter_groups(model, config))
    first = _resume(folder, optimizer, config, [clip.id for clip in data])
    last = config.steps if stop_after is None else min(config.steps, stop_after)
    model.train()
    for step in range(first, last):
        began = time.perf_counter()
        rows = rows_of_step(step, len(data), config.rows)
        batch = batch_of(data, rows, tokenizer, model.positions_of, config.rows)
        loss = model(**batch.inputs, loss_only=True).loss
        if not torch.isfinite(loss):
            _save_batch(folder, step, batch.inputs)
            raise TrainingFailed(
                f"The loss of step {step} is {loss.item()}; see bad-batch-{step}.safetensors."
            )
        loss.backward()
        optimizer.step(config.clip_norm, learning_scale(step, config))
        rate = batch.tokens / (time.perf_counter() - began)
        done = step + 1
        heard = None
        if validation and (done % config.evaluate_every == 0 or done == config.steps):
            heard = evaluate(model, tokenizer, validation, config)
        if done % config.save_every == 0 or done == last:
            save(folder, done, optimizer, config, [clip.id for clip in data])
        _log(folder, Progress(done, loss.item(), rate, heard), tell)
    return last


@torch.no_grad()
def evaluate(model: Any, tokenizer: Any, data: Sequence[ClipData], config: TrainConfig) -> float:
    """Mean loss over the clips' rows of epoch 0."""
    model.eval()
    losses = []
    for start in range(0, len(data), config.rows.rows_per_step):
        rows = [(clip, 0) for clip in range(start, min(start + config.rows.rows_per_step, len(data)))]
        batch = batch_of(data, rows, tokenizer, model.positions_of, config.rows)
        losses.append(float(model(**batch.inputs, loss_only=True).loss))
    model.train()
    return sum(losses) / len(losses)


def checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    found = [p for p in folder.glob("checkpoint-*") if (p / "state.json").is_file()]
    return sorted(found, key=lambda p: int(p.name.rpartition("-")[2]))


def save(folder: Path, step: int, optimizer: MasterAdamW, config: TrainConfig, clips: list[str]) -> None:
    """Writes checkpoint-`step` (beside, then renamed) and removes all but the newest `config.keep`."""
    final = folder / f"checkpoint-{step}"
    scratch = folder / f".checkpoint-{step}.{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in optimizer.state().items()}
    save_file(state, scratch / "optimizer.safetensors")
    about = {"step": step, "config": asdict(config), "clips": _digest(clips)}
    (scratch / "state.json").write_text(json.dumps(about, indent=1))
    shutil.rmtree(final, ignore_errors=True)
    scratch.rename(final)
    for old in checkpoints(folder)[: -config.keep]:
        shutil.rmtree(old)


def _digest(clips: list[str]) -> str:
    import hashlib

    return hashlib.sha256("\n".join(clips).encode()).hexdigest()


def _resume(folder: Path, optimizer: MasterAdamW, config: TrainConfig, clips: list[str]) -> int:
    found = checkpoints(folder)
    if not found:
        return 0
    about = json.loads((found[-1] / "state.json").read_text())
    if about["config"] != json.loads(json.dumps(asdict(config))) or about["clips"] != _digest(clips):
        raise StoreMismatch(
            f"{folder} holds a run with another configuration or other clips (step {about['step']}). "
            "Give another folder, or remove this one."
        )
    optimizer.load(load_file(found[-1] / "optimizer.safetensors"))
    return int(about["step"])


def _log(folder: Path, progress: Progress, tell: Callable[[Progress], None] | None) -> None:
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps(asdict(progress)) + "\n")
    if tell is not None:
        tell(progress)


def _save_batch(folder: Path, step: int, inputs: dict[str, Tensor]) -> None:
    save_file({k: v.contiguous() for k, v in inputs.items()}, folder / f"bad-batch-{step}.safetensors")


def read_log(folder: Path) -> Iterator[Progress]:
    """What the loop told, step by step (a resumed run repeats the steps after its checkpoint)."""
    for line in (folder / "log.jsonl").read_text().splitlines():
        yield Progress(**json.loads(line))
