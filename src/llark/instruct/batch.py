"""The batch teacher: requests go to the server as files, and their replies come back hours later, cheaper.

All state is on disk: the requests of each batch in a file, and in the ledger which batch is submitting,
waiting or merged. A process that is killed at any moment goes on; before a batch is submitted again, the
server is asked whether it has it. Replies end in the ledger, from where the stage takes them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from llark.engine import Ticker
from llark.errors import UserMustAct
from llark.instruct.budget import Budget, OutOfBudget, most_prompt_tokens
from llark.instruct.endpoint import MOST_FILE_BYTES, Endpoint, Failed, reply_of
from llark.instruct.ledger import Batch, Ledger, Reply
from llark.instruct.openai import Sampling, response_format
from llark.instruct.pace import Patience
from llark.instruct.prompt import Message, Prompt, key_of
from llark.instruct.reply import parse
from llark.records import Dropped

TEACHER = "batch-1"
ROUNDS = 3
"""How often what failed is asked again."""

ENDED = ("completed", "expired", "cancelled", "failed")
MARK = "llark"
"""The name under which a batch says, at the server, which of ours it is."""


@dataclass(frozen=True)
class Filing:
    """How batches are made up: their size, the seconds between two looks, and the server's time for one."""

    most_requests: int = 2000
    every_seconds: float = 60.0
    window: str = "24h"
    structured: str = "schema"
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Request:
    key: str
    body: Mapping[str, Any]
    family: str

    @property
    def most_tokens(self) -> tuple[int, int]:
        """Of prompt and reply, at the worst."""
        return most_prompt_tokens([turn["content"] for turn in self.body["messages"]]), self.body[
            "max_tokens"
        ]


class Remembered:
    """A teacher that knows what the ledger holds, and nothing else."""

    def __init__(self, ledger: Ledger, sampling: Sampling) -> None:
        self._ledger, self._sampling = ledger, sampling

    async def ask(self, messages: tuple[Message, ...], family: str) -> tuple[str, Reply]:
        key = key_of(self._sampling.body(messages))
        reply = self._ledger.get(key)
        if reply is None:
            raise Failed("no-reply", f"No batch brought a reply in {ROUNDS} rounds.", again=False)
        return key, reply


class Batches:
    """Fills the ledger with the replies to every prompt."""

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: Ledger,
        budget: Budget,
        sampling: Sampling,
        folder: Path,
        filing: Filing | None = None,
    ) -> None:
        self.endpoint, self.ledger, self.budget, self.sampling, self.folder = (
            endpoint,
            ledger,
            budget,
            sampling,
            folder,
        )
        self.filing = Filing() if filing is None else filing
        self.patience = self.filing.patience
        self._rng = Random(0)

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
        missing, any_sent = self._missing(prompts()), False
        held: Request | None = None
        while True:
            chunk, held = self._chunk(missing, held)
            if chunk:
                any_sent = True
                await self._submit(self._write(chunk))
            if held is None and len(chunk) < self.filing.most_requests:
                break
            if held is not None:  # the budget is full until replies show what they really cost
                await self._finish_begun(tick)
                if not chunk:
                    self.budget.reserve(*held.most_tokens)  # says how much is missing
                    raise AssertionError("unreachable")
        await self._finish_begun(tick)
        return any_sent

    def _missing(self, prompts: Iterable[Prompt | Dropped]) -> Iterator[Request]:
        """Requests without a reply, each once; a reply that cannot be read makes one more."""
        seen: set[str] = set()
        for prompt in prompts:
            if isinstance(prompt, Dropped):
                continue
            request = self._request(prompt.messages, prompt.family)
            reply = self.ledger.get(request.key)
            if reply is not None and not parse(reply.text).items:
                request = self._request(prompt.again(reply.text), prompt.family)
                reply = self.ledger.get(request.key)
            if reply is None and request.key not in seen:
                seen.add(request.key)
                yield request

    def _request(self, messages: tuple[Message, ...], family: str) -> Request:
        body = self.sampling.body(messages)
        return Request(key_of(body), body, family)

    def _chunk(
        self, missing: Iterator[Request], held: Request | None
    ) -> tuple[list[Request], Request | None]:
        """The next requests that a batch and the budget hold, and the one that the budget does not."""
        chunk: list[Request] = []
        while len(chunk) < self.filing.most_requests:
            request = held or next(missing, None)
            held = None
            if request is None:
                return chunk, None
            try:
                self.budget.reserve(*request.most_tokens)
            except OutOfBudget:
                return chunk, request
            chunk.append(request)
        return chunk, None

    def _write(self, chunk: list[Request]) -> Batch:
        """The file of a batch, then its entry in the ledger."""
        lines = [
            {
                "custom_id": request.key,
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {**request.body, **response_format(self.filing.structured, request.family)},
            }
            for request in chunk
        ]
        data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        number = len(self.ledger.batches())
        digest = hashlib.sha256(f"{number}\n".encode() + data).hexdigest()[:32]
        path = self.folder / f"{digest}.jsonl"
        path.with_suffix(".tmp").write_bytes(data)
        path.with_suffix(".tmp").replace(path)
        prompt, reply = (
            sum(column) for column in zip(*(request.most_tokens for request in chunk), strict=True)
        )
        usd = self.budget.prices.usd(prompt, reply)
        batch = Batch(digest, "submitting", "", len(chunk), prompt, reply, usd)
        self.ledger.keep_batch(batch)
        return batch

    async def _submit(self, batch: Batch) -> Batch:
        """Uploads and starts a batch, unless the server has it already."""
        found = await self._known(batch.digest)
        if not found:
            data = (self.folder / f"{batch.digest}.jsonl").read_bytes()
            file_id = await self._patiently(lambda: self.endpoint.upload(f"{batch.digest}.jsonl", data))
            page = {
                "input_file_id": file_id,
                "endpoint": "/v1/chat/completions",
                "completion_window": self.filing.window,
                "metadata": {MARK: batch.digest},
            }
            found = await self._start(batch.digest, page)
        batch = replace(batch, state="waiting", batch_id=found)
        self.ledger.keep_batch(batch)
        return batch

    async def _start(self, digest: str, page: Mapping[str, Any]) -> str:
        """A start whose answer was lost may have worked: the server is asked before it is sent again."""
        failures = 0
        while True:
            try:
                return str((await self.endpoint.json("POST", "/batches", json=page)).get("id") or "")
            except Failed as failure:
                failures += 1
                await self._bear(failure, failures)
                found = await self._known(digest) if failure.charged else ""
                if found:
                    return found

    async def _known(self, digest: str) -> str:
        """The server's id of one of our batches; empty where it has none."""
        after = ""
        while True:
            path = "/batches?limit=100" + (f"&after={after}" if after else "")
            page = await self._patiently(lambda path=path: self.endpoint.json("GET", path))  # type: ignore[misc]
            listed = [one for one in page.get("data") or () if isinstance(one, dict)]
            for one in listed:
                if (one.get("metadata") or {}).get(MARK) == digest:
                    return str(one["id"])
            if not page.get("has_more") or not listed:
                return ""
            after = str(listed[-1].get("id"))

    async def _finish_begun(self, tick: Ticker) -> None:
        """Waits for every batch that is not merged, and merges it."""
        while True:
            begun = [batch for batch in self.ledger.batches() if batch.state in ("submitting", "waiting")]
            if not begun:
                return
            ended = 0
            for batch in begun:
                if batch.state == "submitting":
                    batch = await self._submit(batch)
                id_ = batch.batch_id
                page = await self._patiently(lambda id_=id_: self.endpoint.json("GET", f"/batches/{id_}"))  # type: ignore[misc]
                if page.get("status") in ENDED:
                    ended += 1
                    await self._merge(batch, page)
                    tick(tick.done + batch.count, note=f"{len(begun) - ended} batches wait")
            if not ended:
                await asyncio.sleep(self.filing.every_seconds)

    async def _merge(self, batch: Batch, page: Mapping[str, Any]) -> None:
        """Stores the replies of an ended batch; those that are there already are left."""
        asked = {json.loads(line)["custom_id"] for line in (self.folder / f"{batch.digest}.jsonl").open("rb")}
        self.budget.settle((batch.prompt_tokens, batch.reply_tokens), (0, 0))
        file_id = page.get("output_file_id")
        if file_id:
            path = f"/files/{file_id}/content"
            data = await self._patiently(lambda: self.endpoint.read("GET", path, MOST_FILE_BYTES))
            self.ledger.begin()
            for line in data.splitlines():
                self._store(line, asked)
            self.ledger.commit()
        failed = page.get("status") == "failed"
        self.ledger.keep_batch(replace(batch, state="failed" if failed else "merged"))
        if failed:
            errors = (page.get("errors") or {}).get("data") or [{}]
            said = errors[0].get("message") if isinstance(errors[0], dict) else ""
            raise UserMustAct(
                f"The server refused batch {batch.batch_id}: {str(said)[:300] or 'it does not say why'}."
            )

    def _store(self, line: bytes, asked: set[str]) -> None:
        """One line of results; what is none, or was not asked, is left out: the next round asks again."""
        try:
            page = json.loads(line)
            key, answer = page["custom_id"], page["response"]
            if key not in asked or answer["status_code"] != 200:
                return
            reply = reply_of(answer["body"])
        except (ValueError, KeyError, TypeError, RecursionError, Failed):
            return
        if not self.ledger.has(key):
            counted = replace(
                reply, prompt_tokens=max(0, reply.prompt_tokens), reply_tokens=max(0, reply.reply_tokens)
            )
            usd = self.budget.settle((0, 0), (counted.prompt_tokens, counted.reply_tokens))
            self.ledger.put(key, replace(counted, model=counted.model or self.sampling.model), usd)

    async def _patiently(self, request: Callable[[], Any]) -> Any:
        failures = 0
        while True:
            try:
                return await request()
            except Failed as failure:
                failures += 1
                await self._bear(failure, failures)

    async def _bear(self, failure: Failed, failures: int) -> None:
        if not failure.again or failures > self.patience.retries:
            raise UserMustAct(
                f"The batch server fails ({failure.reason}): {failure.detail} "
                "Run again to go on; nothing is bought twice."
            ) from failure
        await asyncio.sleep(self.patience.wait(failures, failure.wait, self._rng))
