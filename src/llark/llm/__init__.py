"""One client for any OpenAI-compatible server: teachers, judges and evaluated endpoints ask through it.

`client` sends one request, `ledger` keeps what was bought and counts its cost, and `ChatModel` here joins
them, at a pace and with retries. Retries are ours alone: a library that retries by itself buys twice.
`ask_all`, `request` and `embed` are for callers without an event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, TypeVar

from llark.errors import UserMustAct
from llark.llm.client import (
    RATE_LIMITED,
    TEXTS_A_REQUEST,
    Client,
    LlmServer,
    Message,
    Reply,
    RequestFailed,
    Sampling,
)
from llark.llm.ledger import BYTES_A_TOKEN, Budget, Ledger, Prices, key_of, most_prompt_tokens

Result = TypeVar("Result")

UNLIMITED = 1e9
"""A second: more than anybody asks for."""

LONGEST_PAUSE_SECONDS = 600.0
"""A server that asks for more is asked again after this."""


@dataclass
class TokenBucket:
    """Lets `per_second` through on average, and `burst` at once."""

    per_second: float
    burst: float
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    def __post_init__(self) -> None:
        self._level, self._at = self.burst, self.now()

    @classmethod
    def of_minute(cls, per_minute: float | None, burst: float) -> TokenBucket:
        """For a limit a minute, `None` for none; `burst` 0 lets ten seconds' worth through at once."""
        if per_minute is None:
            return cls(UNLIMITED, UNLIMITED)
        if per_minute <= 0:
            raise UserMustAct(f"A limit of {per_minute:g} a minute lets nothing through.")
        return cls(per_minute / 60, max(1.0, min(burst, per_minute / 60) if burst else per_minute / 6))

    async def take(self, amount: float = 1.0) -> None:
        """Waits until the amount is there; what is larger than the bucket takes a full one."""
        self._fill()
        self._level -= min(amount, self.burst)
        if self._level < 0:
            await self.sleep(-self._level / self.per_second)

    def hold(self, seconds: float) -> None:
        """Lets nothing through for so long: the pause that one request's 429 gives to all."""
        self._fill()
        self._level = min(self._level, -seconds * self.per_second)

    def _fill(self) -> None:
        now = self.now()
        self._level = min(self.burst, self._level + (now - self._at) * self.per_second)
        self._at = now


@dataclass(frozen=True)
class Retry:
    """How often a request is sent again."""

    retries: int = 6
    """Failures that are borne; four times as many of an overrun rate limit, which costs nothing."""

    first_seconds: float = 1.0
    """The wait after the first failure, which doubles …"""

    longest_seconds: float = 60.0
    """… up to this."""

    async def run(
        self, request: Callable[[], Awaitable[Result]], rng: Random, all_of: TokenBucket | None = None
    ) -> Result:
        """What the request returns. Raises its last `RequestFailed` where a retry is of no use.

        `all_of`: what lets all requests through; it is held where one met a rate limit.
        """
        failures: Counter[bool] = Counter()
        while True:
            try:
                return await request()
            except RequestFailed as failure:
                limited = failure.reason == RATE_LIMITED
                failures[limited] += 1
                if not failure.again or failures[limited] > self.retries * (4 if limited else 1):
                    raise
                seconds = self.wait(failures[limited], failure.wait, rng)
            if limited and all_of is not None:
                all_of.hold(seconds)
            await asyncio.sleep(seconds)

    def wait(self, failures: int, asked_for: float | None, rng: Random) -> float:
        """Seconds after so many failures: what the server asked for and a little more, else a random time."""
        if asked_for is not None:
            return min(asked_for, LONGEST_PAUSE_SECONDS) + rng.uniform(0, min(1.0, self.first_seconds))
        most: float = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failures - 1, 30))
        return rng.uniform(most / 2, most)


@dataclass(frozen=True)
class Pace:
    """How many requests run at once, how many go in a minute at the most, and how failures are borne."""

    at_once: int = 16
    requests_a_minute: float | None = None
    tokens_a_minute: float | None = None
    retry: Retry = field(default_factory=Retry)


# --- a model that is paid for once -------------------------------------------------------------------------


def response_format(way: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The part of a request that holds a model to JSON, by a `way`: schema, json or off (words alone).

    `schema`: the protocol's `json_schema`.
    """
    if schema is None or way == "off":
        return {}
    if way == "json":
        return {"response_format": {"type": "json_object"}}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


class ChatModel:
    """A model behind a server; a reply that the ledger has is not bought again.

    How a request is put to the server (`client.CHANGES`), and how a reply is held to JSON, is no part of the
    reply's key.
    """

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        budget: Budget,
        sampling: Sampling,
        pace: Pace | None = None,
        structured: str = "schema",
    ) -> None:
        self.client, self.ledger, self.budget, self.sampling = client, ledger, budget, sampling
        self.pace = pace = pace or Pace()
        self.structured = structured
        self.failures: Counter[str] = Counter()
        self.bought = 0
        self._slots = asyncio.Semaphore(pace.at_once)
        self._requests = TokenBucket.of_minute(pace.requests_a_minute, pace.at_once)
        self._tokens = TokenBucket.of_minute(pace.tokens_a_minute, 0)
        self._asking: dict[str, asyncio.Future[Reply]] = {}

    async def ask(
        self, messages: Sequence[Message], schema: Mapping[str, Any] | None = None
    ) -> tuple[str, Reply]:
        """(key, reply). Raises `RequestFailed` when every try failed, `OutOfBudget`, or `UserMustAct`."""
        body = self.sampling.body(messages)
        key = key_of(body)
        known = self.ledger.get(key)
        if known is not None:
            return key, known
        if key in self._asking:  # the same words, asked for by another clip
            return key, await asyncio.shield(self._asking[key])
        task = asyncio.ensure_future(self._buy(key, body, schema))
        self._asking[key] = task
        try:
            return key, await task
        finally:
            del self._asking[key]

    async def _buy(self, key: str, body: Mapping[str, Any], schema: Mapping[str, Any] | None) -> Reply:
        prompt = most_prompt_tokens(str(message["content"]) for message in body["messages"])
        reserved = (prompt, self.sampling.most_tokens)

        async def once() -> Reply:
            await self._requests.take()
            await self._tokens.take(prompt / BYTES_A_TOKEN + 200)
            self.budget.reserve(*reserved)
            try:
                reply = await self.client.chat({**body, **response_format(self.structured, schema)})
            except RequestFailed as failure:
                self._count(key, failure, reserved)
                raise
            except asyncio.CancelledError:
                self._count(key, RequestFailed("stopped", "", again=True, charged=True), reserved)
                raise
            except BaseException:
                self.budget.settle(reserved, (0, 0))
                raise
            return self._store(key, reply, reserved)

        async with self._slots:
            return await self.pace.retry.run(once, Random(key), self._requests)

    def _store(self, key: str, reply: Reply, reserved: tuple[int, int]) -> Reply:
        """Keeps a reply; where the server does not count tokens, the most that they can be are counted."""
        counted = reply.counted(reserved, self.sampling.model)
        usd = self.budget.settle(reserved, (counted.prompt_tokens, counted.reply_tokens))
        self.ledger.put(key, counted, usd)
        self.bought += 1
        return counted

    def _count(self, key: str, failure: RequestFailed, reserved: tuple[int, int]) -> None:
        """Counts a failed try; what it may have cost stays counted."""
        self.failures[failure.reason] += 1
        if failure.charged:
            self.ledger.lose(key, failure.reason, *reserved, self.budget.prices.usd(*reserved))
        else:
            self.budget.settle(reserved, (0, 0))


# --- for callers without an event loop ---------------------------------------------------------------------


def ask_all(
    server: LlmServer,
    sampling: Sampling,
    prompts: Iterable[Sequence[Message]],
    ledger: Ledger,
    pace: Pace,
    *,
    prices: Prices | None = None,
    replied: Callable[[], object] = lambda: None,
) -> list[Reply]:
    """The replies to all prompts, in their order; `replied` is called after each.

    Raises `UserMustAct` where one stays without a reply. The requests that are on their way then are ended
    first, as their replies are paid for and are kept; no other is begun.
    """
    replies: dict[int, Reply] = {}
    failures: list[Exception] = []

    async def work(model: ChatModel, missing: Iterator[tuple[int, Sequence[Message]]]) -> None:
        try:
            for place, messages in missing:
                replies[place] = (await model.ask(messages))[1]
                replied()
                if failures:
                    return
        except Exception as failure:  # raised when the others have ended, whether a server's or of a prompt
            failures.append(failure)

    async def run() -> None:
        async with Client(server) as client:
            model = ChatModel(client, ledger, Budget(prices=prices, spent=ledger.spent()), sampling, pace)
            missing = enumerate(prompts)
            await asyncio.gather(*(work(model, missing) for _ in range(pace.at_once)))

    asyncio.run(run())
    if failures:
        raise _must_act(server, failures[0])
    return [replies[place] for place in range(len(replies))]


def request(
    server: LlmServer, send: Callable[[Client], Awaitable[Result]], retry: Retry | None = None
) -> Result:
    """What one request returns, which is sent again like any other. Raises `UserMustAct` where it fails."""

    async def run() -> Result:
        async with Client(server) as client:
            return await (retry or Retry()).run(lambda: send(client), Random(0))

    try:
        return asyncio.run(run())
    except RequestFailed as failure:
        raise _must_act(server, failure) from failure


def embed(server: LlmServer, model: str, texts: Sequence[str]) -> list[list[float]]:
    """One vector a text, `TEXTS_A_REQUEST` of them a request. Raises `UserMustAct` where one fails."""
    starts = range(0, len(texts), TEXTS_A_REQUEST)
    parts = [texts[start : start + TEXTS_A_REQUEST] for start in starts]
    return [row for part in parts for row in request(server, partial(Client.embed, model=model, texts=part))]


def _must_act(server: LlmServer, failure: Exception) -> Exception:
    if not isinstance(failure, RequestFailed):
        return failure
    return UserMustAct(f"{server.base_url} gives no reply ({failure.reason}): {failure.detail}")
