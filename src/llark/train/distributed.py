"""The processes that train together: one alone, or those that torchrun started, on CPUs or GPUs.

One model for all: with `ddp` every process has all weights, with `fsdp` (FSDP2) each has its part of every
layer. The code that trains is the same for both, and for one process.

A process that is killed leaves the others waiting, for ever in the worst case. Where its connections break,
the others learn that something is gone; by its heartbeat they learn who, and they end where nothing breaks.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]

from llark.errors import LlarkError, UserMustAct
from llark.report import terminal

if TYPE_CHECKING:
    from llark.recipe import Train

WAIT = timedelta(minutes=15)
"""For the others, where all of them live."""

SILENT_SECONDS = 60.0
"""A process without a heartbeat for so long is taken for dead."""

SURE_SECONDS = 3.0
"""The same, once something has failed already."""


class ProcessLost(LlarkError):
    """A process of those that train together has died."""


@dataclass(frozen=True)
class World:
    """This process among those that train together."""

    rank: int = 0
    """Its number, from 0 on."""
    size: int = 1
    """How many processes there are."""
    device: str = "cpu"
    """Where this process computes."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    def sum(self, *numbers: float) -> list[float]:
        """Each number's sum over all processes."""
        values = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return [float(value) for value in values]

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            torch.distributed.barrier()


@contextlib.contextmanager
def join(device: str | None = None) -> Iterator[World]:
    """The world that torchrun's environment describes; without it, this process alone.

    Raises `ProcessLost` where another process dies.
    """
    cuda = torch.cuda.is_available() if device is None else device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        raise UserMustAct(f"The device {device} is not available here; use cpu.")
    place = device or "cpu"
    if cuda:
        place = device if device and ":" in device else f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(place)
    if not _has_others():
        yield World(device=place)
        return
    torch.distributed.init_process_group("nccl" if cuda else "gloo", timeout=WAIT)
    world = World(torch.distributed.get_rank(), torch.distributed.get_world_size(), place)
    with Heartbeat(world.rank, world.size) as heartbeat:
        try:
            yield world
        except RuntimeError as error:  # what torch raises where a connection breaks, among much else
            if dead := heartbeat.dead():
                raise ProcessLost(_lost(dead)) from error
            raise
        finally:
            torch.distributed.destroy_process_group()


@contextlib.contextmanager
def main_first() -> Iterator[bool]:
    """Before `join`: whether this process is the one that does what is done once; the others wait for it.

    They wait for as long as it takes: torchrun itself ends them where the first one fails.
    """
    if not _has_others():
        yield True
        return
    store, done = _store(timedelta(days=30)), "llark/main-is-done"
    if os.environ["RANK"] == "0":
        yield True
        store.set(done, "")
    else:
        store.wait([done])
        yield False


def _has_others() -> bool:
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def _store(timeout: timedelta) -> TCPStore:
    """A connection to the store that brought the processes together."""
    return TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), None, False, timeout)


class Heartbeat:
    """Of one process: it tells the others every second that it is there, and ends where another has been
    silent for too long. Given to `with`."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self._store = _store(timedelta(seconds=30))
        self._store.set(_key(rank, "name"), f"process {rank} (pid {os.getpid()} on {socket.gethostname()})")
        self._count = 0
        self._lock, self._over = threading.Lock(), threading.Event()
        self._lost_at: float | None = None
        self._names: dict[int, str] = {}
        self._last: dict[int, tuple[bytes, float]] = {}  # of each other its last beat, and when it was new
        self._asked_at = math.inf  # when a request to the store began that has no reply yet

    def __enter__(self) -> Heartbeat:
        self._beat()
        self._names = {r: self._store.get(_key(r, "name")).decode() for r in range(self.size)}
        for work in (self._go_on, self._watch_store):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def dead(self) -> list[str]:
        """The names of those that have stopped; takes some seconds to be sure."""
        self._silent()
        began = time.monotonic()
        while (silent := self._silent(began)) and time.monotonic() < began + SURE_SECONDS:
            time.sleep(0.2)
        return [self._names[rank] for rank in silent]

    def _go_on(self) -> None:
        while not self._over.wait(1.0):
            self._beat()
            self._end(self._silent(time.monotonic() - SILENT_SECONDS))

    def _watch_store(self) -> None:
        """Where process 0 keeps the store and is stopped, not killed, a request to it never has a reply."""
        while not self._over.wait(1.0):
            self._end([0] if time.monotonic() > self._asked_at + SILENT_SECONDS else [])

    def _end(self, silent: list[int]) -> None:
        if silent and not self._over.is_set():
            terminal.note(_lost([self._names[rank] for rank in silent]))
            os._exit(1)  # the main thread waits inside torch, where no exception reaches it

    def _beat(self) -> None:
        self._count += 1
        self._ask(lambda: self._store.set(_key(self.rank, "beat"), str(self._count)))

    def _ask(self, request: Callable[[], Any]) -> Any:
        """The store's reply. Once it is gone it is left alone: torch writes a page for every try."""
        with self._lock:
            if self._lost_at is None:
                self._asked_at = time.monotonic()
                try:
                    return request()
                except DistError:
                    self._lost_at = time.monotonic()
                finally:
                    self._asked_at = math.inf
        return None

    def _silent(self, since: float = 0.0) -> list[int]:
        """Those with no new beat since that moment; 0, if the store is gone, which process 0 keeps."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        for rank in others:
            beat = self._ask(lambda rank=rank: self._store.get(_key(rank, "beat")))  # type: ignore[misc]
            if beat is not None and self._last.get(rank, (b"", 0.0))[0] != beat:
                self._last[rank] = (beat, time.monotonic())
        if self._lost_at is not None:
            return [0] if self._lost_at <= since else []
        return [rank for rank in others if self._last.get(rank, (b"", since))[1] <= since]


def _lost(dead: list[str]) -> str:
    return (
        f"The training has stopped: {', '.join(dead)} has died. Its own output says why; without a word it "
        "was killed, most often because memory ran out. Start again, and it goes on from the last checkpoint."
    )


def _key(rank: int, name: str) -> str:
    return f"llark/{name}/{rank}"


# --- the model --------------------------------------------------------------------------------------------


def spread(model: Any, world: World, config: Train) -> Any:
    """The model, ready to be trained by all processes: itself where there is one.

    Where bfloat16 computes on whole weights, those of the language model that do not learn are kept in it.
    """
    if config.precision == "bfloat16" and (world.size == 1 or config.sharding == "ddp"):
        for parameter in model.language_model.parameters():
            if not parameter.requires_grad and parameter.is_floating_point():
                parameter.data = parameter.data.bfloat16()
    model.to(world.device)
    if world.size == 1:
        return model
    if config.sharding == "ddp":
        ids = [torch.device(world.device).index] if world.device != "cpu" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=ids)
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    low = torch.bfloat16 if config.precision == "bfloat16" else None
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


@contextlib.contextmanager
def precision(world: World, config: Train) -> Iterator[None]:
    """bfloat16 where the recipe asks for it; parts of a sharded model are in it already."""
    torch.backends.cuda.matmul.allow_tf32 = config.tf32
    sharded = world.size > 1 and config.sharding == "fsdp"
    low = config.precision == "bfloat16" and not sharded
    with torch.autocast(torch.device(world.device).type, torch.bfloat16, enabled=low):
        yield


def accumulating(model: Any, last: bool) -> contextlib.AbstractContextManager[Any]:
    """Gradients are exchanged after a step's last part only, where each process has them all."""
    return model.no_sync() if not last and hasattr(model, "no_sync") else contextlib.nullcontext()


def clip(learning: list[Tensor], most: float) -> float:
    """Shortens the gradient of `learning` to `most`; its length before."""
    norm = torch.nn.utils.clip_grad_norm_(learning, most)
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
