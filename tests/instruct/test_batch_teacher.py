"""The batch teacher against a server with files and batches: submit, poll, merge, ask again; killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from aiohttp import web

from llark.errors import UserMustAct
from llark.instruct.batch import BatchConfig, BatchTeacher
from llark.instruct.stage import ModelTeacher, ModelTeacherConfig, Prompts, prompts
from llark.llm import Retry
from llark.llm.client import Client, LlmServer, Sampling
from llark.llm.ledger import Budget, Ledger, OutOfBudget, Prices, SpendingLimits
from llark.records import Dropped, Exchange
from llark.storage import stages
from tests.instruct.teaching_server import Body, Server, completion, lesson
from tests.instruct.test_openai_teacher import SECRET, clip


def teach(
    server: Server, out: Path, clips: int = 7, limits: SpendingLimits | None = None, most: int = 3
) -> tuple[list[Exchange], list[Dropped]]:
    settings = ModelTeacherConfig("batch-1", "fake", ("understanding",))
    sources = [clip(number) for number in range(clips)]
    config = BatchConfig(most, 0.01, retry=Retry(2, 0.01, 0.02))

    @contextlib.asynccontextmanager
    async def connect(asked: Prompts) -> AsyncGenerator[BatchTeacher]:
        async with Client(LlmServer(server.url, SECRET, timeout_seconds=60.0)) as client:
            budget = Budget(limits, Prices(1.0, 2.0), ledger.spent())
            teacher = BatchTeacher(client, ledger, budget, Sampling("fake"), out / "batches", config)
            await teacher.fill(asked, progress=False)
            yield teacher

    with Ledger(out / "replies.sqlite") as ledger:
        writer = stages.open_stage(out / "exchanges", "instruct", settings)
        model = ModelTeacher(settings, ledger, connect, drop_share=1.0)
        model.teach(sources, writer, progress=False)
    return list(stages.read(out / "exchanges", Exchange)), list(stages.read_dropped(out / "exchanges"))


def clips_asked(server: Server) -> list[str]:
    return [body["messages"][-1]["content"] for body in server.bodies]


def test_every_prompt_goes_out_in_batches_and_comes_back_as_exchanges(tmp_path: Path) -> None:
    with Server() as server:
        exchanges, drops = teach(server, tmp_path)
    assert (len(exchanges), drops) == (28, [])
    assert [one.clip_id for one in exchanges[::4]] == [f"clip-{n}" for n in range(7)]
    assert [len(server.files[page["input_file_id"]].splitlines()) for page in server.batches.values()] == [
        3,
        3,
        1,
    ]
    line = json.loads(next(iter(server.files.values())).splitlines()[0])
    assert (line["method"], line["url"], len(line["custom_id"])) == ("POST", "/v1/chat/completions", 64)
    assert line["body"]["response_format"]["type"] == "json_schema"
    assert exchanges[0].teacher == "batch-1"


def test_requests_that_failed_are_asked_again_and_no_others(tmp_path: Path) -> None:
    failed: set[str] = set()

    def answer(body: Body) -> Body | None:
        key = body["messages"][-1]["content"]
        if "63 BPM" in key and key not in failed:
            failed.add(key)
            return None
        return completion(json.dumps({"exchanges": lesson(body)}))

    with Server() as server:
        server.batch_answer = answer
        exchanges, drops = teach(server, tmp_path)
    assert (len(exchanges), drops) == (28, [])
    asked = clips_asked(server)
    assert len(asked) == 8
    assert sum("63 BPM" in one for one in asked) == 2


def test_a_reply_that_cannot_be_read_is_asked_for_once_more_and_then_dropped(tmp_path: Path) -> None:
    def answer(body: Body) -> Body | None:
        retold = len(body["messages"]) > 6
        bad = "61 BPM" in json.dumps(body) or ("63 BPM" in json.dumps(body) and not retold)
        return completion("Well." if bad else json.dumps({"exchanges": lesson(body)}))

    with Server() as server:
        server.batch_answer = answer
        exchanges, drops = teach(server, tmp_path)
    assert len(exchanges) == 24
    assert [(drop.id, drop.reason) for drop in drops] == [("clip-1#understanding", "unreadable-reply")]
    assert len(server.bodies) == 9


def test_what_never_comes_back_is_dropped_after_three_rounds(tmp_path: Path) -> None:
    with Server() as server:
        server.batch_answer = lambda body: None
        exchanges, drops = teach(server, tmp_path, clips=2)
    assert exchanges == []
    assert [drop.reason for drop in drops] == ["no-reply", "no-reply"]
    assert len(server.bodies) == 6


def test_a_process_that_ended_while_batches_wait_goes_on_and_submits_nothing_twice(tmp_path: Path) -> None:
    with Server() as server:
        server.looks_until_done = 10**9
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(_fill(server, tmp_path), 1.5))
        assert len(server.batches) == 3
        server.looks_until_done = 1
        exchanges, drops = teach(server, tmp_path)
    assert (len(exchanges), drops) == (28, [])
    assert (len(server.batches), len(server.bodies)) == (3, 7)


async def _fill(server: Server, out: Path) -> None:
    settings = ModelTeacherConfig("batch-1", "fake", ("understanding",))
    with Ledger(out / "replies.sqlite") as ledger:
        async with Client(LlmServer(server.url, SECRET, timeout_seconds=60.0)) as client:
            config = BatchConfig(3, 0.01)
            teacher = BatchTeacher(client, ledger, Budget(), Sampling("fake"), out / "batches", config)
            await teacher.fill(lambda: prompts([clip(n) for n in range(7)], settings), progress=False)


def test_a_start_whose_answer_was_lost_is_found_at_the_server(tmp_path: Path) -> None:
    with Server() as server:
        lost = iter([web.Response(text="<html>gateway</html>", status=599)])
        server.on_batch = lambda page: next(lost, None)
        # 599 is no answer that may be tried again, so the run stops; the next one looks before it sends.
        with pytest.raises(UserMustAct, match="status-599"):
            teach(server, tmp_path)
        exchanges, _ = teach(server, tmp_path)
    assert len(exchanges) == 28
    assert len(server.batches) == 3


def test_a_batch_that_the_server_refuses_says_why(tmp_path: Path) -> None:
    with Server() as server:

        def refuse(page: Body) -> None:
            server.looks_until_done = 10**9

        server.on_batch = refuse  # type: ignore[assignment]
        work = server._work
        server._work = lambda batch: batch.update(
            status="failed", errors={"data": [{"message": "bad model"}]}
        )  # type: ignore[method-assign]
        server.on_batch = lambda page: None
        with pytest.raises(UserMustAct, match="bad model"):
            teach(server, tmp_path)
        server._work = work  # type: ignore[method-assign]
        exchanges, _ = teach(server, tmp_path)
    assert len(exchanges) == 28


def test_lines_that_nobody_asked_for_are_not_taken(tmp_path: Path) -> None:
    with Server() as server:
        work = server._work

        def and_more(batch: Body) -> None:
            work(batch)
            strange = {"custom_id": "f" * 64, "response": {"status_code": 200, "body": completion("x")}}
            server.files[batch["output_file_id"]] += f"\n{json.dumps(strange)}\nno json\n[]\n".encode()

        server._work = and_more  # type: ignore[method-assign]
        exchanges, _ = teach(server, tmp_path)
    with Ledger(tmp_path / "replies.sqlite") as ledger:
        assert not ledger.has("f" * 64)
        assert ledger.spent().replies == 7
    assert len(exchanges) == 28


def test_a_batch_is_cut_to_what_the_budget_holds_and_the_rest_follows_when_it_turns_out_cheaper(
    tmp_path: Path,
) -> None:
    with Server() as server:
        exchanges, _ = teach(server, tmp_path, limits=SpendingLimits(tokens=30_000), most=100)
    sizes = [len(server.files[page["input_file_id"]].splitlines()) for page in server.batches.values()]
    assert len(exchanges) == 28
    assert sum(sizes) == 7
    assert len(sizes) > 1


def test_a_batch_that_no_budget_holds_is_not_sent(tmp_path: Path) -> None:
    with Server() as server, pytest.raises(OutOfBudget, match="900 tokens"):
        teach(server, tmp_path, limits=SpendingLimits(tokens=900))
    assert server.batches == {}


def test_what_the_server_does_not_take_is_left_out_of_the_next_round(tmp_path: Path) -> None:
    def answer(body: Body) -> Body | None:
        if "max_tokens" in body:
            return {"error": {"message": "Use 'max_completion_tokens' instead of 'max_tokens'."}}
        return completion(json.dumps({"exchanges": lesson(body)}))

    with Server() as server:
        server.batch_answer = answer
        exchanges, drops = teach(server, tmp_path, clips=4)
    assert (len(exchanges), drops) == (16, [])
    assert ["max_tokens" in body for body in server.bodies] == [True] * 4 + [False] * 4


def test_a_refused_line_is_named_and_one_that_is_refused_by_the_model_is_bought_once(tmp_path: Path) -> None:
    def answer(body: Body) -> Body | None:
        if "60 BPM" in body["messages"][-1]["content"]:
            return {"error": {"message": "no such thing"}}
        return completion("", "content_filter", usage=None)

    with Server() as server:
        server.batch_answer = answer
        exchanges, drops = teach(server, tmp_path, clips=2)
    assert exchanges == []
    assert [drop.reason for drop in drops] == ["no-reply", "refused"]
    assert "no such thing" in drops[0].detail
    assert sum("61 BPM" in body["messages"][-1]["content"] for body in server.bodies) == 1
    with Ledger(tmp_path / "replies.sqlite") as ledger:
        assert ledger.spent().reply_tokens == 2048, "what is not counted counts as the most that it can be"
