"""When the next request may go: a token bucket, a pause that all share, and the wait after a failure."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

LONGEST_PAUSE_SECONDS = 600.0
"""A server that asks for more is asked again after this."""


@dataclass
class Bucket:
    """Lets `per_second` through on average, and `burst` at once."""

    per_second: float
    burst: float
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    def __post_init__(self) -> None:
        self._level, self._at = self.burst, self.now()

    async def take(self, amount: float = 1.0) -> None:
        """Waits until the amount is there; what is larger than the bucket takes a full one."""
        self._refill()
        self._level -= min(amount, self.burst)
        if self._level < 0:
            await self.sleep(-self._level / self.per_second)

    def _refill(self) -> None:
        now = self.now()
        self._level = min(self.burst, self._level + (now - self._at) * self.per_second)
        self._at = now


@dataclass(frozen=True)
class Patience:
    """How often a request is sent again; the wait doubles from `first_seconds` up to `longest_seconds`."""

    retries: int = 6
    first_seconds: float = 1.0
    longest_seconds: float = 60.0

    def tries(self, limited: bool) -> int:
        """How many failures are borne: of an overrun rate limit, which costs nothing, four times as many."""
        return self.retries * 4 if limited else self.retries

    def wait(self, failures: int, asked_for: float | None, rng: Random) -> float:
        """Seconds after so many failures: what the server asked for and a little more, else a random time."""
        if asked_for is not None:
            return min(asked_for, LONGEST_PAUSE_SECONDS) + rng.uniform(0, min(1.0, self.first_seconds))
        most: float = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failures - 1, 30))
        return rng.uniform(most / 2, most)


class Gate:
    """A pause that one request's 429 gives to all."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._until = now, 0.0

    def close_for(self, seconds: float) -> None:
        self._until = max(self._until, self._now() + seconds)

    async def passed(self) -> None:
        while (left := self._until - self._now()) > 0:
            await asyncio.sleep(left)


def retry_after(header: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number, or a date. `None` where it says neither."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - now()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if seconds == seconds and seconds != float("inf") else None
