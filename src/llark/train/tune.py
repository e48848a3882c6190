"""Training on talks: the same loop on one CPU and on many nodes.

The loss of a step is the sum over its learnt tokens, in all parts and on all processes, through their number:
neither the micro batch nor the number of processes changes it. Dropout is seeded by seed, step, part and
process, so that a run that was killed goes on with the same losses.
"""

from __future__ import annotations

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

from llark.errors import UserMustAct
from llark.train import keeping, team
from llark.train.loop import TrainingFailed
from llark.train.order import Order
from llark.train.talks import Batches
from llark.train.team import Team

if TYPE_CHECKING:
    from llark.tuning import Tune

LOG = "log.jsonl"
AHEAD = 2
"""Steps whose batches are made while the model computes."""


@dataclass(frozen=True)
class Told:
    """What a step was like: `loss` is the mean over its learnt tokens, in nats; `norm` the gradient's length
    before clipping; speeds count what is not padding, on all processes; `memory_gb` the most of a GPU."""

    step: int
    loss: float
    rate: float
    norm: float
    tokens_per_second: float
    clips_per_second: float
    memory_gb: float | None = None
    validation_loss: float | None = None


@dataclass(frozen=True, eq=False)
class Work:
    """What is trained on: batches by example number, their order, and the plan that a checkpoint is for."""

    batches: Batches
    order: Order
    plan: Mapping[str, Any]


def learning_scale(step: int, tune: Tune) -> float:
    """Linear warm-up, then a half cosine down to nothing, or no change."""
    warmup = max(1, round(tune.warmup_share * tune.steps))
    if step < warmup:
        return (step + 1) / warmup
    if tune.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, tune.steps - warmup)))


def make_optimizer(model: Any, tune: Tune) -> tuple[torch.optim.AdamW, list[float]]:
    """AdamW and each of its groups' highest rate: the language model and the audio side, matrices and
    the rest (which does not decay)."""
    groups: list[dict[str, Any]] = []
    peaks: list[float] = []
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    for language, peak in (
        (True, tune.learning_rate),
        (False, tune.projector_learning_rate or tune.learning_rate),
    ):
        for matrices, decay in ((True, tune.weight_decay), (False, 0.0)):
            mine = [
                p for name, p in named if ("language_model." in name) is language and (p.ndim > 1) is matrices
            ]
            if mine:
                groups.append({"params": mine, "lr": peak, "weight_decay": decay})
                peaks.append(peak)
    return torch.optim.AdamW(groups), peaks


def check_team(tune: Tune, crew: Team) -> None:
    """Raises `UserMustAct` where the processes cannot share a step evenly."""
    if tune.batch % (crew.world * tune.micro_batch):
        raise UserMustAct(
            f"tune.batch {tune.batch} cannot be shared by {crew.world} processes with a micro_batch of "
            f"{tune.micro_batch}; give a multiple of {crew.world * tune.micro_batch}."
        )


def run(
    model: Any,
    work: Work,
    tune: Tune,
    crew: Team,
    folder: Path,
    *,
    examine: Callable[[int], float | None] = lambda step: None,
    tell: Callable[[Told], None] = lambda told: None,
    stop_after: int | None = None,
) -> int:
    """Trains `model` (as `team.spread` gave it) and returns the steps done. Goes on from `folder`'s newest
    checkpoint. `examine`: the validation loss, where it is due. `stop_after` ends this call early.

    Raises `StoreMismatch` where the folder holds another run, `TrainingFailed` where a loss is no number.
    """
    check_team(tune, crew)
    folder.mkdir(parents=True, exist_ok=True)
    optimizer, peaks = make_optimizer(model, tune)
    first = keeping.resume(folder, model, optimizer, dict(work.plan), crew)
    last = tune.steps if stop_after is None else min(tune.steps, stop_after)
    learning = [p for group in optimizer.param_groups for p in group["params"]]
    _forget(folder, first, crew)
    for step, parts in _prefetched(work, tune, crew, range(first, last)):
        began = time.perf_counter()
        model.train()
        scale = learning_scale(step, tune)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * scale
        chosen = work.order(step)
        loss = _gradients(
            model, parts, tune, crew, folder, step, int(work.batches.survey.learnt[chosen].sum())
        )
        norm = team.clip(learning, tune.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        done, seconds = step + 1, time.perf_counter() - began
        heard = examine(done) if done % tune.evaluate_every == 0 or done == tune.steps else None
        tokens = int(work.batches.survey.lengths[chosen].sum())
        told = Told(done, loss, scale, norm, tokens / seconds, len(chosen) / seconds, _memory(crew), heard)
        if done % tune.save_every == 0 or done == last:
            keeping.save(folder, done, model, optimizer, dict(work.plan), tune.keep, crew)
        if crew.leads:
            with (folder / LOG).open("a") as log:
                log.write(json.dumps(asdict(told)) + "\n")
            tell(told)
    return last


def _gradients(
    model: Any,
    parts: Sequence[dict[str, Tensor]],
    tune: Tune,
    crew: Team,
    folder: Path,
    step: int,
    learnt: int,
) -> float:
    """Adds up the gradients of a step's parts; the loss of all processes."""
    total = 0.0
    for number, part in enumerate(parts):
        torch.manual_seed(hash((tune.seed, step, number, crew.rank)) % (1 << 62))
        inputs = {name: value.to(crew.device, non_blocking=True) for name, value in part.items()}
        with team.accumulating(model, number == len(parts) - 1):
            with team.precision(crew, tune):
                loss = model(**inputs, loss_only=True, num_items_in_batch=learnt).loss
            (loss * crew.world).backward()
        total += float(loss.detach())
        if not math.isfinite(total):
            break
    (whole,) = crew.sum(total)
    if not math.isfinite(whole):
        names = _save_bad(folder, step, parts, crew, math.isfinite(total))
        raise TrainingFailed(f"The loss of step {step} is {whole}; see {names}.")
    return whole


def _save_bad(folder: Path, step: int, parts: Sequence[dict[str, Tensor]], crew: Team, fine: bool) -> str:
    """Writes this process's part of the step, where it is to blame."""
    from safetensors.torch import save_file

    if not fine:
        tensors = {
            f"{n}.{name}": value.contiguous() for n, part in enumerate(parts) for name, value in part.items()
        }
        save_file(tensors, folder / f"bad-batch-{step}-{crew.rank}.safetensors")
    return f"{folder}/bad-batch-{step}-*.safetensors"


def _prefetched(
    work: Work, tune: Tune, crew: Team, steps: range
) -> Iterator[tuple[int, Sequence[dict[str, Tensor]]]]:
    """Each step with this process's parts of it, made ahead by a thread."""

    def make(step: int) -> list[dict[str, Tensor]]:
        mine = work.order(step)[crew.rank :: crew.world]
        size = tune.micro_batch
        return [work.batches(mine[start : start + size]) for start in range(0, len(mine), size)]

    with ThreadPoolExecutor(1) as beside:
        waiting: list[tuple[int, Future[list[dict[str, Tensor]]]]] = []
        for step in steps:
            waiting.append((step, beside.submit(make, step)))
            if len(waiting) > AHEAD:
                number, made = waiting.pop(0)
                yield number, made.result()
        for number, made in waiting:
            yield number, made.result()


def _memory(crew: Team) -> float | None:
    return torch.cuda.max_memory_allocated() / 1e9 if crew.device.startswith("cuda") else None


def _forget(folder: Path, first: int, crew: Team) -> None:
    """Takes from the log what came after the checkpoint that training goes on from."""
    log = folder / LOG
    if crew.leads and log.is_file():
        lines = [line for line in log.read_text().splitlines() if line.endswith("}")]
        kept = [line for line in lines if json.loads(line)["step"] <= first]
        log.write_text("".join(line + "\n" for line in kept))


def read_log(folder: Path) -> list[Told]:
    """What the loop told, step by step."""
    return [Told(**json.loads(line)) for line in (folder / LOG).read_text().splitlines()]
