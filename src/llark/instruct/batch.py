"""The batch teacher: requests go to the server as files, and their replies come back hours later, cheaper.

All state is on disk: the requests of each batch in a file, and in the ledger which batch is submitting,
waiting or merged. A process that is killed at any moment goes on; before a batch is submitted again, the
server is asked whether it has it. Replies end in the ledger, from where the stage takes them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from llark.engine import Ticker
from llark.errors import UserMustAct
from llark.instruct.prompt import Prompt, schema
from llark.instruct.reply import parse
from llark.llm import Retry, response_format
from llark.llm.client import (
    MOST_FILE_BYTES,
    Body,
    Client,
    Message,
    Reply,
    RequestFailed,
    Sampling,
    change_for,
    changed,
    reply_of,
)
from llark.llm.ledger import Budget, Ledger, OutOfBudget, SentBatch, key_of, most_prompt_tokens
from llark.records import Dropped

TEACHER = "batch-1"
ROUNDS = 3
"""How often what failed is asked again."""

ENDED = ("completed", "expired", "cancelled", "failed")
"""States at the server in which a batch brings no more replies."""

MARK = "llark"
"""The name under which a batch states, at the server, which of ours it is."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class BatchConfig:
    """How batches are made up, and how their server is asked."""

    most_requests: int = 2000
    """In one batch."""

    every_seconds: float = 60.0
    """Between two looks at the batches that wait."""

    window: str = "24h"
    """The server's time for one batch."""

    structured: str = "schema"
    """How a reply is held to JSON: schema, json or off."""

    retry: Retry = field(default_factory=Retry)


@dataclass(frozen=True)
class BatchRequest:
    """One line of a batch."""

    key: str
    body: Body
    family: str = ""

    @property
    def most_tokens(self) -> tuple[int, int]:
        """Of prompt and reply, at the worst."""
        reply = self.body.get("max_tokens") or self.body.get("max_completion_tokens")
        return most_prompt_tokens(turn["content"] for turn in self.body["messages"]), int(reply or 0)


class BatchTeacher:
    """Fills the ledger with the replies to every prompt; after that, asking it is looking into the ledger."""

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        budget: Budget,
        sampling: Sampling,
        folder: Path,
        config: BatchConfig | None = None,
    ) -> None:
        self.client, self.ledger, self.budget, self.sampling = client, ledger, budget, sampling
        self.folder = folder
        self.config = config or BatchConfig()
        self._rng = Random(0)
        self._failed: dict[str, str] = {}
        """Why the last try of a key brought no reply."""

    async def ask(self, messages: Sequence[Message], _schema: Mapping[str, Any]) -> tuple[str, Reply]:
        """(key, reply) of a prompt that a batch brought. Raises `RequestFailed` where none did."""
        key = key_of(self.sampling.body(messages))
        reply = self.ledger.get(key)
        if reply is None:
            why = self._failed.get(key, "")
            detail = f"No batch brought a reply in {ROUNDS} rounds. {why}".strip()
            raise RequestFailed("no-reply", detail, again=False)
        return key, reply

    async def fill(self, prompts: Callable[[], Iterable[Prompt | Dropped]], *, progress: bool = True) -> None:
        """Buys what is missing: first replies, then again what failed, then once more what cannot be read.

        Raises `OutOfBudget` or `UserMustAct`; replies that were merged stay.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with Ticker(TEACHER, show=progress) as tick:
            await self._finish_begun(tick)
            for _ in range(ROUNDS):
                if not await self._round(prompts, tick):
                    return

    async def _round(self, prompts: Callable[[], Iterable[Prompt | Dropped]], tick: Ticker) -> bool:
        """Submits every request that has no reply; whether there was one."""
        chunk: list[BatchRequest] = []
        any_missing = False
        for request in self._missing(prompts()):
            any_missing = True
            try:
                self.budget.reserve(*request.most_tokens)
            except OutOfBudget:
                # The budget is full until replies show what they really cost. Where they leave no room for
                # this request either, the second reservation ends the run.
                await self._send(chunk)
                chunk = []
                await self._finish_begun(tick)
                self.budget.reserve(*request.most_tokens)
            chunk.append(request)
            if len(chunk) == self.config.most_requests:
                await self._send(chunk)
                chunk = []
        await self._send(chunk)
        await self._finish_begun(tick)
        return any_missing

    async def _send(self, chunk: list[BatchRequest]) -> None:
        if chunk:
            await self._submit(self._write(chunk))

    def _missing(self, prompts: Iterable[Prompt | Dropped]) -> Iterator[BatchRequest]:
        """Requests without a reply, each once; a reply that cannot be read makes one more."""
        seen: set[str] = set()
        for prompt in prompts:
            if isinstance(prompt, Dropped):
                continue
            request = self._request(prompt.messages, prompt.family)
            reply = self.ledger.get(request.key)
            if reply is not None and not reply.no_answer and not parse(reply.text):
                request = self._request(prompt.again(reply.text), prompt.family)
                reply = self.ledger.get(request.key)
            if reply is None and request.key not in seen:
                seen.add(request.key)
                yield request

    def _request(self, messages: tuple[Message, ...], family: str) -> BatchRequest:
        body = self.sampling.body(messages)
        return BatchRequest(key_of(body), body, family)

    def _write(self, chunk: list[BatchRequest]) -> SentBatch:
        """The file of a batch, then its entry in the ledger."""
        lines = [
            {
                "custom_id": request.key,
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": changed(
                    {**request.body, **response_format(self.config.structured, schema(request.family))},
                    self.client.server.learned.get(self.sampling.model, frozenset()),
                ),
            }
            for request in chunk
        ]
        data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        number = len(self.ledger.batches())
        digest = hashlib.sha256(f"{number}\n".encode() + data).hexdigest()[:32]
        path = self.folder / f"{digest}.jsonl"
        path.with_suffix(".tmp").write_bytes(data)
        path.with_suffix(".tmp").replace(path)
        prompt, reply = map(sum, zip(*(request.most_tokens for request in chunk), strict=True))
        usd = self.budget.prices.usd(prompt, reply)
        batch = SentBatch(digest, "submitting", "", len(chunk), prompt, reply, usd)
        self.ledger.keep_batch(batch)
        return batch

    async def _submit(self, batch: SentBatch) -> SentBatch:
        """Uploads and starts a batch, unless the server has it already."""
        batch_id = await self._known(batch.digest)
        if not batch_id:
            data = (self.folder / f"{batch.digest}.jsonl").read_bytes()
            file_id = await self._retried(lambda: self.client.upload(f"{batch.digest}.jsonl", data))
            batch_id = await self._start(batch.digest, file_id)
        batch = replace(batch, state="waiting", batch_id=batch_id)
        self.ledger.keep_batch(batch)
        return batch

    async def _start(self, digest: str, file_id: str) -> str:
        """The server's id of a new batch. A start whose answer was lost may have worked: the server is asked
        before it is sent again."""
        page = {
            "input_file_id": file_id,
            "endpoint": "/v1/chat/completions",
            "completion_window": self.config.window,
            "metadata": {MARK: digest},
        }
        maybe_begun = False

        async def start() -> str:
            nonlocal maybe_begun
            if maybe_begun and (batch_id := await self._known(digest)):
                return batch_id
            try:
                return str((await self.client.json("POST", "/batches", json=page)).get("id") or "")
            except RequestFailed as failure:
                maybe_begun = failure.charged
                raise

        return await self._retried(start)

    async def _known(self, digest: str) -> str:
        """The server's id of one of our batches; empty where it has none."""
        path = "/batches?limit=100"
        while True:
            page = await self._page(path)
            listed = [one for one in page.get("data") or () if isinstance(one, dict)]
            for one in listed:
                if (one.get("metadata") or {}).get(MARK) == digest:
                    return str(one["id"])
            if not page.get("has_more") or not listed:
                return ""
            path = f"/batches?limit=100&after={listed[-1].get('id')}"

    async def _finish_begun(self, tick: Ticker) -> None:
        """Waits for every batch that is not merged, and merges it."""
        while begun := [one for one in self.ledger.batches() if one.state in ("submitting", "waiting")]:
            ended = 0
            for batch in begun:
                if batch.state == "submitting":
                    batch = await self._submit(batch)
                page = await self._page(f"/batches/{batch.batch_id}")
                if page.get("status") in ENDED:
                    ended += 1
                    await self._merge(batch, page)
                    tick(tick.done + batch.count, note=f"{len(begun) - ended} batches wait")
            if not ended:
                await asyncio.sleep(self.config.every_seconds)

    async def _merge(self, batch: SentBatch, page: Mapping[str, Any]) -> None:
        """Stores the replies of an ended batch; those that are there already are left."""
        with (self.folder / f"{batch.digest}.jsonl").open("rb") as lines:
            sent = {one["custom_id"]: one["body"] for one in map(json.loads, lines)}
        self.budget.settle((batch.prompt_tokens, batch.reply_tokens), (0, 0))
        for file_id in filter(None, (page.get("output_file_id"), page.get("error_file_id"))):
            read = partial(self.client.read, "GET", f"/files/{file_id}/content", MOST_FILE_BYTES)
            data = await self._retried(read)
            with self.ledger.together():
                for line in data.splitlines():
                    self._store(line, sent)
        failed = page.get("status") == "failed"
        self.ledger.keep_batch(replace(batch, state="failed" if failed else "merged"))
        if failed:
            errors = (page.get("errors") or {}).get("data") or [{}]
            why = errors[0].get("message") if isinstance(errors[0], dict) else ""
            raise UserMustAct(
                f"The server refused batch {batch.batch_id}: {str(why)[:300] or 'it does not say why'}."
            )

    def _store(self, line: bytes, sent: Mapping[str, Body]) -> None:
        """One line of results; what is none, or was not sent, is left out: the next round asks again, in the
        way that the server takes."""
        try:
            page = json.loads(line)
            key, answer = page["custom_id"], page["response"]
            body = sent[key]
            if answer["status_code"] != 200:
                raise self.client.refused(answer["status_code"], answer["body"])
            reply = reply_of(answer["body"], self.client.server.hide)
        except RequestFailed as failure:
            self._failed[key] = failure.detail
            if change := change_for(body, failure):
                self.client.server.learn(self.sampling.model, {change})
            return
        except UserMustAct as failure:
            self._failed[key] = str(failure)
            return
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        if not self.ledger.has(key):
            counted = reply.counted(BatchRequest(key, body).most_tokens, self.sampling.model)
            usd = self.budget.settle((0, 0), (counted.prompt_tokens, counted.reply_tokens))
            self.ledger.put(key, counted, usd)

    async def _page(self, path: str) -> dict[str, Any]:
        return await self._retried(lambda: self.client.json("GET", path))

    async def _retried(self, request: Callable[[], Awaitable[Result]]) -> Result:
        """Raises `UserMustAct` where the server does not do what it is asked."""
        try:
            return await self.config.retry.run(request, self._rng)
        except RequestFailed as failure:
            raise UserMustAct(
                f"The batch server fails ({failure.reason}): {failure.detail} "
                "Run again to go on; nothing is bought twice."
            ) from failure
