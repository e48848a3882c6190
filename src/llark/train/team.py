"""The processes that train together: one alone, or those that torchrun started, on CPUs or GPUs.

One model for all: with `ddp` every process has all weights, with `fsdp` (FSDP2) each has its part of every
layer. The code that trains is the same for both, and for one process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from llark.errors import UserMustAct
from llark.train import packing
from llark.train.beats import Beats, TeamBroken, said

if TYPE_CHECKING:
    from llark.tuning import Tune

WAIT = timedelta(minutes=15)
"""For the others, where all of them live."""


@dataclass(frozen=True)
class Team:
    """This process's number among `world`, and where it computes."""

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    def sum(self, *numbers: float) -> list[float]:
        """Each number's sum over all processes."""
        values = torch.tensor(
            numbers, dtype=torch.float64, device="cpu" if self.device == "cpu" else self.device
        )
        if self.world > 1:
            torch.distributed.all_reduce(values)
        return [float(value) for value in values]

    def wait(self) -> None:
        """Until all are here."""
        if self.world > 1:
            torch.distributed.barrier()


@contextlib.contextmanager
def gather(device: str | None = None) -> Iterator[Team]:
    """The team that torchrun's environment describes; without it, this process alone.

    Raises `TeamBroken` where another process dies.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available() if device is None else device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        raise UserMustAct(f"The device {device} is not there; cpu always is.")
    place = device or "cpu"
    if cuda:
        place = device if device and ":" in device else f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(place)
    if "RANK" not in os.environ or world == 1:
        yield Team(device=place)
        return
    torch.distributed.init_process_group("nccl" if cuda else "gloo", timeout=WAIT)
    rank = torch.distributed.get_rank()
    with Beats(rank, world) as beats:
        try:
            yield Team(rank, world, place)
        except RuntimeError as error:  # what torch raises where a connection breaks, among much else
            if dead := beats.dead():
                raise TeamBroken(said(dead)) from error
            raise
        finally:
            torch.distributed.destroy_process_group()


def spread(model: Any, team: Team, tune: Tune) -> Any:
    """The model, ready to be trained by the team: itself where it works alone.

    Where bfloat16 computes on whole weights, those of the language model that do not learn are kept in it.
    """
    if tune.precision == "bfloat16" and (team.world == 1 or tune.sharding == "ddp"):
        for parameter in model.language_model.parameters():
            if not parameter.requires_grad and parameter.is_floating_point():
                parameter.data = parameter.data.bfloat16()
    model.to(team.device)
    if team.world == 1:
        return model
    if tune.sharding == "ddp":
        ids = [torch.device(team.device).index] if team.device != "cpu" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=ids)
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    low = torch.bfloat16 if tune.precision == "bfloat16" else None
    policy = MixedPrecisionPolicy(
        param_dtype=low, reduce_dtype=None if low is None else torch.float32, cast_forward_inputs=False
    )
    for layer in layers(model):
        fully_shard(layer, mp_policy=policy)
    fully_shard(model, mp_policy=policy)
    return model


def layers(model: Any) -> list[nn.Module]:
    """The layers of the language model: its longest list of modules of one kind."""
    lists = [list(part) for part in model.language_model.modules() if isinstance(part, nn.ModuleList)]
    longest = max(lists, key=len, default=[])
    if not longest:
        raise UserMustAct("The base language model has no list of layers, so it cannot be trained in parts.")
    return longest


def bring(model: Any, inputs: dict[str, Any], crew: Team) -> dict[str, Any]:
    """A batch's tensors where the model computes, and what else of it the model takes."""
    there = {
        name: value.to(crew.device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in inputs.items()
    }
    return packing.for_model(model, there)


@contextlib.contextmanager
def precision(team: Team, tune: Tune) -> Iterator[None]:
    """bfloat16 where the recipe asks for it; parts of a sharded model are in it already."""
    torch.backends.cuda.matmul.allow_tf32 = tune.tf32
    sharded = team.world > 1 and tune.sharding == "fsdp"
    low = tune.precision == "bfloat16" and not sharded
    with torch.autocast(torch.device(team.device).type, torch.bfloat16, enabled=low):
        yield


@contextlib.contextmanager
def accumulating(model: Any, last: bool) -> Iterator[None]:
    """Gradients are exchanged after a step's last part only, where each process has them all."""
    waits = contextlib.nullcontext() if last or not hasattr(model, "no_sync") else model.no_sync()
    with waits:
        yield


def clip(learning: list[Tensor], most: float) -> float:
    """Shortens the gradient of `learning` to `most`; its length before."""
    norm = torch.nn.utils.clip_grad_norm_(learning, most)
    whole: Tensor = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    return float(whole)
