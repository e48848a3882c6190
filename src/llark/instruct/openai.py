"""The teacher behind an OpenAI-compatible endpoint: many requests at once, paced, retried, paid for once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

from llark.errors import UserMustAct
from llark.instruct.budget import Budget, most_prompt_tokens
from llark.instruct.endpoint import Endpoint, Failed
from llark.instruct.ledger import Ledger, Reply
from llark.instruct.pace import Bucket, Gate, Patience
from llark.instruct.prompt import Message, key_of, schema

TEACHER = "openai-1"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
STRUCTURED = ("schema", "json", "off")
"""Ways to hold a model to JSON, the strongest first."""

NOT_UNDERSTOOD = ("status-400", "status-422", "status-501")
"""How servers refuse a way that they do not know."""


@dataclass(frozen=True)
class Sampling:
    """What is asked for with every prompt; part of the key of its reply."""

    model: str
    temperature: float | None = 0.7
    most_tokens: int = 2048
    seed: int | None = None

    def body(self, messages: Sequence[Message]) -> dict[str, Any]:
        page: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": self.most_tokens,
        }
        if self.temperature is not None:
            page["temperature"] = self.temperature
        if self.seed is not None:
            page["seed"] = self.seed
        return page


@dataclass(frozen=True)
class Speed:
    """How many requests run at once, what goes in a minute at the most, and how failures are borne."""

    at_once: int = 16
    requests_a_minute: float | None = None
    tokens_a_minute: float | None = None
    patience: Patience = field(default_factory=Patience)


class Asker:
    """Asks an endpoint; a reply that the ledger has is not bought again.

    How a reply is asked to be JSON (by schema, as JSON, or by words alone) is found out with the first
    request that the server refuses, and is no part of the key.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: Ledger,
        budget: Budget,
        sampling: Sampling,
        speed: Speed | None = None,
        structured: str = "schema",
    ) -> None:
        speed = Speed() if speed is None else speed
        self.endpoint, self.ledger, self.budget, self.sampling = endpoint, ledger, budget, sampling
        self.patience = speed.patience
        self.structured = structured
        self.failures: Counter[str] = Counter()
        self.bought = 0
        self._gate = Gate()
        self._slots = asyncio.Semaphore(speed.at_once)
        self._requests = _bucket(speed.requests_a_minute, speed.at_once)
        self._tokens = _bucket(speed.tokens_a_minute, 0)
        self._asking: dict[str, asyncio.Future[Reply]] = {}

    async def ask(self, messages: Sequence[Message], family: str) -> tuple[str, Reply]:
        """(key, reply). Raises `Failed` when every try failed, `OutOfBudget`, or `UserMustAct`."""
        body = self.sampling.body(messages)
        key = key_of(body)
        known = self.ledger.get(key)
        if known is not None:
            return key, known
        if key in self._asking:  # the same words, asked for by another clip
            return key, await asyncio.shield(self._asking[key])
        task = asyncio.ensure_future(self._buy(key, body, family))
        self._asking[key] = task
        try:
            return key, await task
        finally:
            del self._asking[key]

    async def _buy(self, key: str, body: Mapping[str, Any], family: str) -> Reply:
        rng = Random(key)
        prompt = most_prompt_tokens([message["content"] for message in body["messages"]])
        reserved = (prompt, self.sampling.most_tokens)
        async with self._slots:
            failures: Counter[bool] = Counter()
            while True:
                await self._gate.passed()
                await self._requests.take() if self._requests else None
                await self._tokens.take(prompt / 4 + 200) if self._tokens else None
                self.budget.reserve(*reserved)
                try:
                    reply = await self._once(body, family)
                except Failed as failure:
                    self._count(key, failure, reserved)
                    limited = failure.reason == "rate-limited"
                    failures[limited] += 1
                    if not failure.again or failures[limited] > self.patience.tries(limited):
                        raise
                    await self._wait(failure, failures[limited], rng)
                except asyncio.CancelledError:
                    self._count(key, Failed("stopped", "", again=True, charged=True), reserved)
                    raise
                except BaseException:
                    self.budget.settle(reserved, (0, 0))
                    raise
                else:
                    return self._store(key, reply, reserved)

    def _store(self, key: str, reply: Reply, reserved: tuple[int, int]) -> Reply:
        taken = (
            reply.prompt_tokens if reply.prompt_tokens >= 0 else reserved[0],
            reply.reply_tokens if reply.reply_tokens >= 0 else reserved[1],
        )
        usd = self.budget.settle(reserved, taken)
        counted = Reply(reply.text, reply.finish, reply.model or self.sampling.model, *taken)
        self.ledger.put(key, counted, usd)
        self.bought += 1
        return counted

    def _count(self, key: str, failure: Failed, reserved: tuple[int, int]) -> None:
        """A failed try: what it may have cost stays counted."""
        self.failures[failure.reason] += 1
        if not failure.charged:
            self.budget.settle(reserved, (0, 0))
            return
        self.ledger.lose(key, failure.reason, *reserved, self.budget.prices.usd(*reserved))

    async def _wait(self, failure: Failed, tries: int, rng: Random) -> None:
        seconds = self.patience.wait(tries, failure.wait, rng)
        if failure.reason == "rate-limited":
            self._gate.close_for(seconds)
        await asyncio.sleep(seconds)

    async def _once(self, body: Mapping[str, Any], family: str) -> Reply:
        """One request; where the server does not know how to hold a model to JSON, the next weaker way."""
        for way in STRUCTURED[STRUCTURED.index(self.structured) :]:
            try:
                reply = await self.endpoint.chat({**body, **response_format(way, family)})
            except Failed as failure:
                if failure.reason not in NOT_UNDERSTOOD or way == STRUCTURED[-1]:
                    raise
            else:
                self.structured = way
                return reply
        raise AssertionError("unreachable")


def response_format(structured: str, family: str) -> dict[str, Any]:
    """The part of a request that holds a model to JSON."""
    if structured == "schema":
        named = {"name": family, "strict": True, "schema": schema(family)}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    return {"response_format": {"type": "json_object"}} if structured == "json" else {}


def key_from(environment: Mapping[str, str], name: str, base_url: str) -> str:
    """The API key; none where no variable is named.

    Raises `UserMustAct` where a hosted endpoint needs a key and the variable is not set, or where a key would
    cross a network without encryption.
    """
    key = environment.get(name, "").strip() if name else ""
    address = urlsplit(base_url)
    if not key and base_url.startswith("https://api."):
        raise UserMustAct(f"{base_url} needs a key: set the environment variable {name or 'OPENAI_API_KEY'}.")
    if any(not 32 < ord(letter) < 127 for letter in key):
        raise UserMustAct(f"The variable {name} holds characters that no key has.")
    if key and address.scheme == "http" and address.hostname not in LOOPBACK:
        raise UserMustAct(
            f"{base_url} would get the key of {name} unencrypted: use https, or --key-variable '' for no key."
        )
    return key


def _bucket(per_minute: float | None, burst: float) -> Bucket | None:
    if per_minute is None:
        return None
    if per_minute <= 0:
        raise UserMustAct(f"A limit of {per_minute:g} a minute lets nothing through.")
    return Bucket(per_minute / 60, max(1.0, min(burst, per_minute / 60) if burst else per_minute / 6))
