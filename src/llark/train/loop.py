"""The training loop: one for all recipes, on one CPU and on many nodes.

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
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from llark.errors import LlarkError, UserMustAct
from llark.train import keeping, team
from llark.train.optimizer import learning_scale, make_optimizer
from llark.train.team import Team

if TYPE_CHECKING:
    from llark.tuning import Tune

LOG = "log.jsonl"
SAMPLES = "samples.jsonl"
AHEAD = 2
"""Steps whose batches are made while the model computes."""


class TrainingFailed(LlarkError):
    """The loss was no number; the batch that did it is saved for inspection."""


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
class Share:
    """A process's parts of a step, ready for the model. `learnt`, `tokens` (without padding) and `clips`
    count the whole step, on all processes."""

    parts: Sequence[dict[str, Any]]
    learnt: int
    tokens: int
    clips: int


class Work(Protocol):
    """What is trained on. Calls from a thread beside the model's; the answer follows from the numbers."""

    @property
    def plan(self) -> Mapping[str, Any]:
        """What a checkpoint is for."""

    def __call__(self, step: int, crew: Team) -> Share:
        """What this process does of a step."""


def check_team(tune: Tune, crew: Team) -> None:
    """Raises `UserMustAct` where the processes cannot share a step evenly."""
    if tune.batch % (crew.world * tune.micro_batch):
        raise UserMustAct(
            f"{tune.batch} examples a step cannot be shared by {crew.world} processes that each compute "
            f"{tune.micro_batch} at once; give a multiple of {crew.world * tune.micro_batch}."
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
    plan = dict(work.plan)
    first = keeping.resume(folder, model, optimizer, plan, crew)
    last = tune.steps if stop_after is None else min(tune.steps, stop_after)
    if crew.leads:
        _forget(folder, first)
    for step, share in _prefetched(work, crew, range(first, last)):
        began = time.perf_counter()
        model.train()
        scale = learning_scale(step, tune)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * scale
        loss = _gradients(model, share, tune, crew, folder, step)
        norm = team.clip(optimizer.lift(), tune.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        done, seconds = step + 1, time.perf_counter() - began
        heard = examine(done) if done % tune.evaluate_every == 0 or done == tune.steps else None
        speeds = share.tokens / seconds, share.clips / seconds
        told = Told(done, loss, scale, norm, *speeds, _memory(crew), heard)
        if done % tune.save_every == 0 or done == last:
            keeping.save(folder, done, model, optimizer, plan, tune.keep, crew)
        if crew.leads:
            with (folder / LOG).open("a") as log:
                log.write(json.dumps(asdict(told)) + "\n")
            tell(told)
    return last


def _gradients(model: Any, share: Share, tune: Tune, crew: Team, folder: Path, step: int) -> float:
    """Adds up the gradients of a step's parts; the loss of all processes."""
    total = torch.zeros((), device=crew.device)
    for number, part in enumerate(share.parts):
        torch.manual_seed(hash((tune.seed, step, number, crew.rank)) % (1 << 62))
        inputs = team.bring(model, part, crew)
        with team.accumulating(model, number == len(share.parts) - 1):
            with team.precision(crew, tune):
                loss = model(**inputs, loss_only=True, num_items_in_batch=share.learnt).loss
            (loss * crew.world).backward()
        total += loss.detach()
    mine = float(total)
    (whole,) = crew.sum(mine)
    if not math.isfinite(whole):
        names = _save_bad(folder, step, share.parts, crew, math.isfinite(mine))
        raise TrainingFailed(f"The loss of step {step} is {whole}; see {names}.")
    return whole


def _save_bad(folder: Path, step: int, parts: Sequence[dict[str, Any]], crew: Team, fine: bool) -> str:
    """Writes this process's part of the step, where it is to blame."""
    from safetensors.torch import save_file

    if not fine:
        named = ((f"{n}.{name}", value) for n, part in enumerate(parts) for name, value in part.items())
        tensors = {name: value.contiguous() for name, value in named if isinstance(value, Tensor)}
        save_file(tensors, folder / f"bad-batch-{step}-{crew.rank}.safetensors")
    return f"{folder}/bad-batch-{step}-*.safetensors"


def _prefetched(work: Work, crew: Team, steps: range) -> Iterator[tuple[int, Share]]:
    """Each step with this process's share of it, made ahead by a thread."""
    with ThreadPoolExecutor(1) as beside:
        waiting: list[tuple[int, Future[Share]]] = []
        for step in steps:
            waiting.append((step, beside.submit(work, step, crew)))
            if len(waiting) > AHEAD:
                number, made = waiting.pop(0)
                yield number, made.result()
        for number, made in waiting:
            yield number, made.result()


def _memory(crew: Team) -> float | None:
    return torch.cuda.max_memory_allocated() / 1e9 if crew.device.startswith("cuda") else None


def _forget(folder: Path, first: int) -> None:
    """Takes from log and samples what came after the checkpoint that training goes on from."""
    for path in (folder / LOG, folder / SAMPLES):
        if path.is_file():
            lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
            kept = [line for line in lines if json.loads(line)["step"] <= first]
            path.write_text("".join(line + "\n" for line in kept))


def read_log(folder: Path) -> list[Told]:
    """What the loop told, step by step."""
    return [Told(**json.loads(line)) for line in (folder / LOG).read_text().splitlines()]
