"""Who of a team is still there: each process says so every second, in the store that brought them together.

A process that is killed leaves the others waiting, for ever in the worst case. Where its connections break,
the others learn that something is gone; here they learn who, and they end where nothing breaks.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]

from llark.errors import LlarkError

SILENT_SECONDS = 60.0
"""Who has not been heard of for so long is taken for dead."""

SURE_SECONDS = 3.0
"""The same, once something has failed already."""


class TeamBroken(LlarkError):
    """A process of the team has died."""


class Beats:
    """Of one process. Given to `with`; ends the process where another has been silent for too long."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world
        place, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self._store = TCPStore(place, port, None, False, timedelta(seconds=30))
        self._store.set(_key(rank, "name"), f"process {rank} (pid {os.getpid()} on {socket.gethostname()})")
        self._count = 0
        self._lock, self._over = threading.Lock(), threading.Event()
        self._lost_at: float | None = None
        self._names: dict[int, str] = {}
        self._heard: dict[int, tuple[bytes, float]] = {}

    def __enter__(self) -> Beats:
        self._beat()
        self._names = {r: self._store.get(_key(r, "name")).decode() for r in range(self.world)}
        threading.Thread(target=self._go_on, daemon=True).start()
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
            silent = self._silent(time.monotonic() - SILENT_SECONDS)
            if silent and not self._over.is_set():
                print(said([self._names[rank] for rank in silent]), file=sys.stderr, flush=True)
                os._exit(1)

    def _beat(self) -> None:
        self._count += 1
        self._ask(lambda: self._store.set(_key(self.rank, "beat"), str(self._count)))

    def _ask(self, what: Callable[[], Any]) -> Any:
        """What the store answers. Once it is gone it is left alone: torch writes a page for every try."""
        with self._lock:
            if self._lost_at is None:
                try:
                    return what()
                except DistError:
                    self._lost_at = time.monotonic()
        return None

    def _silent(self, since: float = 0.0) -> list[int]:
        """Those that have said nothing new since that moment; 0, if the store is gone, which it keeps."""
        others = [rank for rank in range(self.world) if rank != self.rank]
        for rank in others:
            beat = self._ask(lambda rank=rank: self._store.get(_key(rank, "beat")))  # type: ignore[misc]
            if beat is not None and self._heard.get(rank, (b"", 0.0))[0] != beat:
                self._heard[rank] = (beat, time.monotonic())
        if self._lost_at is not None:
            return [0] if self._lost_at <= since else []
        return [rank for rank in others if self._heard.get(rank, (b"", since))[1] <= since]


def said(dead: list[str]) -> str:
    """What a person reads."""
    return (
        f"The training has stopped: {', '.join(dead)} has died. Its own output says why; without a word it "
        "was killed, most often because memory ran out. Start again, and it goes on from the last checkpoint."
    )


def _key(rank: int, what: str) -> str:
    return f"llark/{what}/{rank}"
