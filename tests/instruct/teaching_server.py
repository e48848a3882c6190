"""An OpenAI-compatible server on loopback for the tests: chat, files and batches, in a thread of its own.

What it answers to a chat is a `Behaviour`; `scholar` reads the record in the prompt and answers well.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Body = dict[str, Any]
Behaviour = Callable[["Server", web.Request, Body], Awaitable[web.StreamResponse]]


def record_of(body: Body) -> dict[str, str]:
    """The record that the last question of a prompt shows."""
    turns = [turn["content"] for turn in body["messages"] if turn["role"] == "user"]
    shown = next(turn for turn in reversed(turns) if '"length"' in turn)
    lines = [line for line in shown.splitlines() if line.startswith("{")]
    record: dict[str, str] = json.loads(lines[-1])
    return record


def family_of(body: Body) -> str:
    """The family by the task in the system turn."""
    system = body["messages"][0]["content"]
    if "Describe the clip" in system:
        return "captioning"
    return "reasoning" if "knowledge of music" in system else "understanding"


def lesson(body: Body) -> list[dict[str, Any]]:
    """True exchanges about the record of a prompt, different for different records."""
    record = record_of(body)
    family = family_of(body)
    facts = [name for name in ("tempo", "key", "meter", "instruments") if name in record]
    said = " and ".join(f"{name} {record[name].split(' (')[0]}" for name in facts)
    if family == "captioning":
        return [{"kind": "caption", "answer": f"Music with {said}, {record['length']} long.", "facts": facts}]
    if family == "reasoning":
        question = "How should I practise this, and why?"
        return [
            {"kind": "learn", "question": question, "answer": f"Note {said}; start slowly.", "facts": facts}
        ]
    return [
        {
            "kind": name,
            "question": f"What is the {name} of it?",
            "answer": f"{record[name].split(' (')[0]}.",
            "facts": [name],
        }
        for name in facts
    ]


def completion(text: str, finish: str = "stop", usage: tuple[int, int] | None = (300, 100)) -> Body:
    page: Body = {
        "id": uuid.uuid4().hex,
        "object": "chat.completion",
        "model": "fake-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
    }
    if usage is not None:
        page["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return page


async def scholar(server: Server, request: web.Request, body: Body) -> web.StreamResponse:
    return web.json_response(completion(json.dumps({"exchanges": lesson(body)})))


class Server:
    """`with Server(behaviour) as server:`; `server.url` is its base URL, `server.bodies` what was asked."""

    def __init__(self, behaviour: Behaviour = scholar) -> None:
        self.behaviour = behaviour
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Body] = {}
        self.looks_until_done = 1
        self.batch_answer: Callable[[Body], Body | None] = lambda body: completion(
            json.dumps({"exchanges": lesson(body)})
        )
        self.on_batch: Callable[[Body], web.Response | None] = lambda page: None
        self.at_once = self.most_at_once = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ready = threading.Event()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/files", self._file)
        app.router.add_get("/v1/files/{id}/content", self._content)
        app.router.add_post("/v1/batches", self._batch)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{id}", self._look)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self.behaviour(self, request, body)
        finally:
            self.at_once -= 1

    async def _file(self, request: web.Request) -> web.Response:
        form = await request.post()
        id_ = f"file-{uuid.uuid4().hex[:12]}"
        self.files[id_] = form["file"].file.read()  # type: ignore[union-attr]
        return web.json_response({"id": id_})

    async def _content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    async def _batch(self, request: web.Request) -> web.Response:
        page = await request.json()
        refused = self.on_batch(page)
        id_ = f"batch-{len(self.batches)}"
        if refused is None or refused.status == 599:  # 599: it works, and the answer is lost
            self.batches[id_] = {**page, "id": id_, "status": "in_progress", "looks": 0}
        return refused or web.json_response(self.batches[id_])

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"data": list(self.batches.values()), "has_more": False})

    async def _look(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        batch["looks"] += 1
        if batch["looks"] >= self.looks_until_done and batch["status"] == "in_progress":
            self._work(batch)
        return web.json_response(batch)

    def _work(self, batch: Body) -> None:
        lines: dict[str, list[str]] = {"output": [], "error": []}
        for line in self.files[batch["input_file_id"]].splitlines():
            asked = json.loads(line)
            self.bodies.append(asked["body"])
            page = self.batch_answer(asked["body"])
            if page is not None:
                response = {"status_code": 400 if "error" in page else 200, "body": page}
                line = json.dumps({"custom_id": asked["custom_id"], "response": response, "error": None})
                lines["error" if "error" in page else "output"].append(line)
        for name, written in lines.items():
            batch[f"{name}_file_id"] = f"file-{name}-{batch['id']}" if written else None
            self.files[f"file-{name}-{batch['id']}"] = "\n".join(written).encode()
        batch["status"] = "completed"

    def __enter__(self) -> Server:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
