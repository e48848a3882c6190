"""The training loop: one for all recipes, on one CPU and on many nodes.

The loss of a step is the sum over its supervised tokens, in all parts and on all processes, through their
number: neither the micro batch nor the number of processes changes it. Dropout is seeded by seed, step, part
and process, so that a run that was killed goes on with the same losses.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from typing_extensions import TypedDict

from llark.errors import LlarkError, UserMustAct
from llark.storage import folders
from llark.train import checkpoints, distributed
from llark.train.data import MicroBatches
from llark.train.distributed import World
from llark.train.packing import for_model

if TYPE_CHECKING:
    from llark.recipe import Train

LOG = "log.jsonl"
SAMPLES = "samples.jsonl"
SAVE_SECONDS, SAVE_SHARE = 15.0, 0.05
"""There is a checkpoint after so many seconds, too, as long as writing them takes no more than this share of
the time: a run that is killed again and again gets on."""

AHEAD = 2
"""Steps whose batches are made while the model computes."""


class TrainingFailed(LlarkError):
    """The loss was no number; the batch that did it is saved for inspection."""


@dataclass(frozen=True)
class StepMetrics:
    """How a step went. Speeds count what is not padding, on all processes."""

    step: int
    """From 1 on."""
    loss: float
    """The mean over the step's supervised tokens, in nats."""
    rate: float
    """Share of the highest learning rates that the step was made with."""
    norm: float
    """The gradient's length before clipping."""
    tokens_per_second: float
    clips_per_second: float
    memory_gb: float | None = None
    """The most that was taken of a GPU."""
    validation_loss: float | None = None
    """In nats, where it was due."""


def check_world(config: Train, world: World) -> None:
    """Raises `UserMustAct` where the processes cannot share a step evenly."""
    if config.batch % (world.size * config.micro_batch):
        raise UserMustAct(
            f"{config.batch} examples a step cannot be shared by {world.size} processes that each compute "
            f"{config.micro_batch} at once; give a multiple of {world.size * config.micro_batch}."
        )


def run(
    model: Any,
    batches: Callable[[int], MicroBatches],
    config: Train,
    world: World,
    folder: Path,
    plan: Mapping[str, Any],
    *,
    examine: Callable[[int], float | None] = lambda step: None,
    report: Callable[[StepMetrics], None] = lambda metrics: None,
    stop_after: int | None = None,
) -> int:
    """Trains `model` (as `distributed.spread` gave it) and returns the steps done. Goes on from `folder`'s
    newest checkpoint, if that is for the same `plan`.

    `batches`: a process's part of a step; called from a thread beside the model's, so it must follow from the
    numbers alone. `examine`: the validation loss, where it is due. `stop_after` ends this call early.

    Raises `StoreMismatch` where the folder holds another run, `TrainingFailed` where a loss is no number.
    """
    check_world(config, world)
    folder.mkdir(parents=True, exist_ok=True)
    optimizer, peaks = make_optimizer(model, config)
    first = checkpoints.resume(folder, model, optimizer, dict(plan), world)
    last = config.steps if stop_after is None else min(config.steps, stop_after)
    if world.is_main:
        _forget(folder, first)
    saved, save_seconds = time.perf_counter(), 0.0
    for step, batch in _prefetched(batches, range(first, last)):
        began = time.perf_counter()
        model.train()
        scale = learning_scale(step, config)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * scale
        is_due = world.is_main and began - saved >= max(SAVE_SECONDS, save_seconds / SAVE_SHARE)
        supervised, tokens, clips, due = world.sum(batch.supervised, batch.tokens, batch.clips, is_due)
        loss = _gradients(model, batch, int(supervised), config, world, folder, step)
        norm = distributed.clip(optimizer.lift(), config.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        done, seconds = step + 1, time.perf_counter() - began
        validation = examine(done) if done % config.evaluate_every == 0 or done == config.steps else None
        memory = torch.cuda.max_memory_allocated() / 1e9 if world.device.startswith("cuda") else None
        speeds = tokens / seconds, clips / seconds
        metrics = StepMetrics(done, loss, scale, norm, *speeds, memory, validation)
        if due or done % config.save_every == 0 or done == last:
            began = time.perf_counter()
            checkpoints.save(folder, done, model, optimizer, dict(plan), config.keep, world)
            saved = time.perf_counter()
            save_seconds = saved - began
        if world.is_main:
            with (folder / LOG).open("a") as log:
                log.write(json.dumps(asdict(metrics)) + "\n")
            report(metrics)
    return last


def batch_loss(model: Any, inputs: Mapping[str, Any], items: int, config: Train, world: World) -> Tensor:
    """The summed loss of a micro batch's supervised tokens through `items`."""
    there = {
        name: value.to(world.device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in inputs.items()
    }
    with distributed.precision(world, config):
        return model(**for_model(model, there), loss_only=True, num_items_in_batch=items).loss


def _gradients(
    model: Any, batch: MicroBatches, supervised: int, config: Train, world: World, folder: Path, step: int
) -> float:
    """Adds up the gradients of a step's parts; the loss of all processes."""
    total = torch.zeros((), device=world.device)
    for number, part in enumerate(batch.parts):
        torch.manual_seed(_dropout_seed(config.seed, step, number, world.rank))
        with distributed.accumulating(model, number == len(batch.parts) - 1):
            loss = batch_loss(model, part, supervised, config, world)
            (loss * world.size).backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    mine = float(total)
    (whole,) = world.sum(mine)
    if not math.isfinite(whole):
        if not math.isfinite(mine):
            _save_bad(folder / f"bad-batch-{step}-{world.rank}.safetensors", batch.parts)
        raise TrainingFailed(
            f"The loss of step {step} is {whole}; see {folder}/bad-batch-{step}-*.safetensors."
        )
    return whole


def _dropout_seed(*numbers: int) -> int:
    """63 bits that follow from the numbers, on every machine and in every Python."""
    digest = hashlib.sha256(" ".join(map(str, numbers)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _save_bad(path: Path, parts: Sequence[dict[str, Any]]) -> None:
    """Writes this process's part of a step."""
    from safetensors.torch import save_file

    named = ((f"{n}.{name}", value) for n, part in enumerate(parts) for name, value in part.items())
    save_file({name: value.contiguous() for name, value in named if isinstance(value, Tensor)}, path)


def _prefetched(batches: Callable[[int], MicroBatches], steps: range) -> Iterator[tuple[int, MicroBatches]]:
    """Each step with this process's part of it, made ahead by a thread."""
    with ThreadPoolExecutor(1) as beside:
        waiting: list[tuple[int, Future[MicroBatches]]] = []
        for step in steps:
            waiting.append((step, beside.submit(batches, step)))
            if len(waiting) > AHEAD:
                number, made = waiting.pop(0)
                yield number, made.result()
        for number, made in waiting:
            yield number, made.result()


def _forget(folder: Path, first: int) -> None:
    """Takes from log and samples what came after the checkpoint that training goes on from."""
    for path in (folder / LOG, folder / SAMPLES):
        if path.is_file():
            lines = [line for line in path.read_bytes().split(b"\n") if line.endswith(b"}")]
            before = [line for line in lines if folders.read_json(Logged, line, path)["step"] <= first]
            folders.folder(folder).write(path.name, b"".join(line + b"\n" for line in before))


class Logged(TypedDict):
    """A line of the log, or of the samples."""

    step: int


# --- the optimizer ----------------------------------------------------------------------------------------

MASTER = "master"


class MasterAdamW(torch.optim.Optimizer):
    """AdamW in float32, whatever the parameters compute in: bfloat16 loses updates smaller than its steps.

    It works on float32 copies of the parameters that compute in less, and on the others themselves.

    The copies are part of its state, so that a checkpoint holds them.
    """

    def __init__(self, groups: list[dict[str, Any]], fused: bool = False) -> None:
        super().__init__(groups, {"lr": 1e-3, "weight_decay": 0.0})
        self.masters = {
            p: p if p.dtype == torch.float32 else p.detach().float().requires_grad_() for p in self.learning
        }
        self.adam = torch.optim.AdamW(
            [{**group, "params": [self.masters[p] for p in group["params"]]} for group in self.param_groups],
            fused=fused,
        )

    @property
    def learning(self) -> list[Tensor]:
        """The parameters, as the model has them."""
        return [p for group in self.param_groups for p in group["params"]]

    def lift(self) -> list[Tensor]:
        """Hands the gradients to the copies; what has them now."""
        for p, master in self.masters.items():
            if master is not p and p.grad is not None:
                master.grad, p.grad = p.grad.float(), None
        return list(self.masters.values())

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update with each group's rate. `closure` is not called."""
        self.lift()
        for mine, inner in zip(self.param_groups, self.adam.param_groups, strict=True):
            inner["lr"] = mine["lr"]
        self.adam.step()
        for p, master in self.masters.items():
            if master is not p:
                p.copy_(master)
        self._show()

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none)
        self.adam.zero_grad(set_to_none)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a state as it is: the base class would round it to what the parameters compute in."""
        for group, given in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({name: value for name, value in given.items() if name != "params"})
        numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
        for p, number in zip(self.learning, numbers, strict=True):
            state = {name: value.clone() for name, value in state_dict["state"].get(number, {}).items()}
            master = state.pop(MASTER, None)
            with torch.no_grad():
                if master is not None:
                    self.masters[p].copy_(master)
                    p.copy_(master)
            self.adam.state[self.masters[p]] = state
        self._show()

    def _show(self) -> None:
        """Puts the inner state, the copies beside it, where a checkpoint looks for it."""
        for p, master in self.masters.items():
            own = {} if master is p else {MASTER: master.detach()}
            self.state[p] = {**self.adam.state[master], **own}


def make_optimizer(model: Any, config: Train) -> tuple[MasterAdamW, list[float]]:
    """The optimizer and each of its groups' highest rate: the language model and the audio side, matrices and
    the rest (which does not decay)."""
    groups: list[dict[str, Any]] = []
    peaks: list[float] = []
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    audio_peak = config.projector_learning_rate or config.learning_rate
    for language, peak in ((True, config.learning_rate), (False, audio_peak)):
        for matrices, decay in ((True, config.weight_decay), (False, 0.0)):
            mine = [
                p for name, p in named if ("language_model." in name) is language and (p.ndim > 1) is matrices
            ]
            if mine:
                groups.append({"params": mine, "lr": peak, "weight_decay": decay})
                peaks.append(peak)
    return MasterAdamW(groups, fused=config.weights == "full"), peaks


def learning_scale(step: int, config: Train) -> float:
    """Linear warm-up, then a half cosine down to nothing, or no change."""
    warmup = max(1, round(config.warmup_share * config.steps))
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, config.steps - warmup)))
