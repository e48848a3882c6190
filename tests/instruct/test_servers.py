"""What popular servers do beside the protocol, and what becomes of a clip that they are asked about.

Where each of them was reported is in docs/tried.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from llark.errors import UserMustAct
from llark.llm import Retry
from llark.llm.ledger import Ledger
from llark.records import Dropped, Exchange
from tests.instruct.teaching_server import Behaviour, Body, Server, completion, lesson, scholar
from tests.instruct.test_openai_teacher import clip, teach

Answer = Callable[[Body], tuple[int, Any] | None]
"""Status and page for a request; `None` for a good lesson."""


def answers(answer: Answer) -> Behaviour:
    async def behave(server: Server, request: web.Request, body: Body) -> web.StreamResponse:
        got = answer(body)
        if got is None:
            return await scholar(server, request, body)
        status, page = got
        text = page if isinstance(page, str) else json.dumps(page)
        return web.Response(status=status, text=text, content_type="application/json")

    return behave


def good(body: Body) -> str:
    return json.dumps({"exchanges": lesson(body)})


def message(body: Body, finish: str = "stop", **parts: Any) -> tuple[int, Body]:
    """A completion whose message has these parts."""
    page = completion("", finish)
    page["choices"][0]["message"] = {"role": "assistant", **parts}
    return 200, page


def error(text: Any, code: Any = None, **more: Any) -> Body:
    return {"error": {"message": text, "code": code, **more}}


def refuses(name: str, status: int, page: Any) -> Answer:
    """Refuses a request that has a part of this name."""
    return lambda body: (status, page) if _has(body, name) else None


def _has(body: Body, name: str) -> bool:
    of_format = name in ("json_schema", "json_object")
    if of_format:
        return bool(body.get("response_format", {}).get("type") == name)
    return body["messages"][0]["role"] == "system" if name == "system" else name in body


def draft(body: Body) -> str:
    return json.dumps({"exchanges": [{"question": "How fast?", "answer": "DRAFT: wait, let me see."}]})


EXTRA = [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]
SAID = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
ONLY_ONE = "Unsupported value: 'temperature' does not support 0.7 with this model."
ALTERNATE = "Conversation roles must alternate user/assistant/user/assistant/..."
QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on "
    "this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. To monitor your current usage, "
    "head to: https://ai.dev/rate-limit. \n* Quota exceeded for metric: generate_content_free_tier_requests, "
    "limit: {}, model: gemini\nPlease retry in {}s."
)
RAW = {"provider_name": "P", "raw": "temporarily rate-limited upstream"}


@dataclass(frozen=True)
class Case:
    """A way to answer, and how many requests two clips take, asked one after the other."""

    name: str
    answer: Answer
    requests: int = 2


READ = [
    Case(
        "max_tokens", refuses("max_tokens", 400, error(SAID, "unsupported_parameter", param="max_tokens")), 3
    ),
    Case("temperature", refuses("temperature", 400, error(ONLY_ONE, "unsupported_value")), 3),
    Case(
        "system, as flat JSON",
        refuses("system", 400, {"object": "error", "message": "System role not supported"}),
        3,
    ),
    Case(
        "system, as an internal error", refuses("system", 500, error(f"Jinja Exception: {ALTERNATE}", 500)), 3
    ),
    Case("seed", refuses("seed", 422, {"object": "error", "message": {"detail": EXTRA}}), 3),
    Case(
        "JSON without a schema",
        refuses("json_schema", 400, {"error": "'response_format.type' must be 'json_object'"}),
        3,
    ),
    Case(
        "an error in a list", refuses("seed", 400, [error('Unknown name "seed": Cannot find field.', 400)]), 3
    ),
    Case(
        "text in parts",
        lambda body: message(
            body,
            content=[
                {"type": "thinking", "thinking": [{"type": "text", "text": draft(body)}]},
                {"type": "text", "text": good(body)},
            ],
        ),
    ),
    Case(
        "thoughts without a beginning",
        lambda body: message(body, content=f"A draft: {draft(body)}\n</think>\n{good(body)}"),
    ),
    Case("thoughts in tags", lambda body: message(body, content=f"<think>{draft(body)}</think>{good(body)}")),
    Case(
        "channels",
        lambda body: message(
            body,
            content=f"<|channel|>analysis<|message|>{draft(body)}<|end|><|channel|>final<|message|>{good(body)}",
        ),
    ),
    Case("reasoning beside", lambda body: message(body, content=good(body), reasoning_content=draft(body))),
    Case("another end", lambda body: message(body, "eos", content=good(body))),
    Case(
        "an end of the stream behind",
        lambda body: (200, json.dumps(completion(good(body))) + "\n\ndata: [DONE]\n\n"),
    ),
    Case(
        "a stream",
        lambda body: (
            200,
            "".join(
                f"data: {json.dumps({'model': 'm', 'choices': [{'delta': {'content': part}}]})}\n\n"
                for part in (good(body)[:30], good(body)[30:])
            )
            + "data: [DONE]\n\n",
        ),
    ),
    Case("fences", lambda body: message(body, content=f"```json\n{good(body)}\n```")),
    Case(
        "lone surrogates",
        lambda body: (200, json.dumps(completion(good(body))).replace("fake-1", "fake\\ud800")),
    ),
]


@pytest.mark.parametrize("case", READ, ids=lambda case: case.name)
def test_what_servers_do_costs_no_clip_and_is_learned_once(tmp_path: Path, case: Case) -> None:
    exchanges, drops, server = asked(tmp_path, answers(case.answer), clips=2)
    assert [one.answer for one in exchanges] == [
        "60 BPM.",
        "D major.",
        "4/4.",
        "piano.",
        "61 BPM.",
        "D major.",
        "3/4.",
        "piano.",
    ]
    assert (drops, len(server.bodies)) == ([], case.requests)


def asked(
    out: Path, behave: Behaviour, clips: int = 1, retries: int = 3
) -> tuple[list[Exchange], list[Dropped], Server]:
    from llark.llm import Pace

    with Server(behave) as server:
        retry = Retry(retries, 0.01, 0.05)
        pace, sources = Pace(at_once=1), [clip(number) for number in range(clips)]
        exchanges, drops, _ = teach(server, out, sources, pace=pace, retry=retry, seed=3)
    return exchanges, drops, server


FULL = "'max_tokens' is too large: 2048. This model's maximum context length is 1024 tokens."
POLICY = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."

NONE = [
    ("refusal", lambda body: message(body, content=None, refusal="I'm sorry."), "refused", 1, "I'm sorry."),
    ("filtered reply", lambda body: message(body, "content_filter"), "refused", 1, "refused to answer"),
    ("filtered prompt", lambda _: (400, error(POLICY, "content_filter")), "refused", 1, "content management"),
    (
        "tool call",
        lambda body: message(body, "tool_calls", content=None, tool_calls=[{"id": "1"}]),
        "tool-call",
        1,
        "a tool",
    ),
    (
        "reasoning alone",
        lambda body: message(body, "length", content=None, reasoning=draft(body)),
        "out-of-tokens",
        1,
        "spent its tokens",
    ),
    (
        "open thoughts",
        lambda body: message(body, "length", content=f"<think>{draft(body)}"),
        "out-of-tokens",
        1,
        "spent its tokens",
    ),
    (
        "nothing at all",
        lambda body: message(body, "length", content=""),
        "out-of-tokens",
        1,
        "spent its tokens",
    ),
    (
        "no choices",
        lambda body: (200, {**completion(""), "choices": []}),
        "no-completion",
        1,
        "no chat completion",
    ),
    ("too long", lambda _: (400, error(FULL, 400)), "error:status-400", 1, "maximum context length"),
    (
        "a failed provider",
        lambda _: (200, error("Provider returned error", 502, metadata=RAW)),
        "error:status-502",
        4,
        RAW["raw"],
    ),
    (
        "a failed choice",
        lambda body: (200, {"choices": [{**error("Lost", 503), "message": {"content": ""}}]}),
        "error:status-503",
        4,
        "Lost",
    ),
    (
        "an error without a code",
        lambda _: (200, error("Out of memory")),
        "error:status-200",
        1,
        "Out of memory",
    ),
    (
        "a web page",
        lambda _: (502, "<html><title>502 Bad Gateway</title><hr>nginx"),
        "error:status-502",
        4,
        "502: a web page, '502 Bad Gateway'",
    ),
]


@pytest.mark.parametrize(
    ("answer", "reason", "requests", "detail"), [n[1:] for n in NONE], ids=[n[0] for n in NONE]
)
def test_what_brings_no_answer_is_named_with_the_address_and_not_bought_twice(
    tmp_path: Path, answer: Answer, reason: str, requests: int, detail: str
) -> None:
    exchanges, (drop,), server = asked(tmp_path, answers(answer))
    assert (exchanges, drop.reason, len(server.bodies)) == ([], reason, requests)
    assert drop.detail.startswith(f"{server.url}: ")
    assert detail in drop.detail
    assert "<html>" not in drop.detail


@pytest.mark.parametrize("finish", ["content_filter", "length", "tool_calls"])
def test_a_refusal_that_was_paid_for_is_kept(tmp_path: Path, finish: str) -> None:
    behave = answers(lambda body: message(body, finish, content=None, tool_calls=[{"id": "1"}]))
    asked(tmp_path, behave)
    (tmp_path / "exchanges").rename(tmp_path / "old")
    _, _, server = asked(tmp_path, behave)
    assert server.bodies == []


@pytest.mark.parametrize(
    ("status", "page"),
    [
        (429, error("No deployments available for selected model, Try again in 0.05 seconds.")),
        (429, [error(QUOTA.format(20, "0.0512345"), 429)]),
        (429, error("Rate limit reached. Please try again in 50ms.", "rate_limit_exceeded")),
        (
            200,
            {**completion(""), **error("Provider returned error", 429, metadata={"raw": "again in 50 ms"})},
        ),
        (503, error("Loading model", 503, type="unavailable_error")),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ],
)
def test_a_busy_server_is_waited_for_as_long_as_it_says(tmp_path: Path, status: int, page: Any) -> None:
    tries: list[Body] = []

    def answer(body: Body) -> tuple[int, Any] | None:
        tries.append(body)
        return (status, page) if len(tries) == 1 else None

    exchanges, drops, _ = asked(tmp_path, answers(answer))
    assert (len(exchanges), drops, len(tries)) == (4, [], 2)
    with Ledger(tmp_path / "replies.sqlite") as ledger:
        assert ledger.lost() == {}


@pytest.mark.parametrize(
    ("status", "page", "said"),
    [
        (
            200,
            {"error": "Unexpected endpoint or method. (POST /chat/completions)"},
            "most addresses end in /v1",
        ),
        (404, {"detail": "Not Found"}, "most addresses end in /v1"),
        (402, error("Insufficient Balance"), "no credit left"),
        (429, [error(QUOTA.format(0, "45.578569677"), 429)], "no credit left"),
        (
            429,
            error("You exceeded your current quota, please check your plan.", "insufficient_quota"),
            "no credit left",
        ),
        (403, "<!DOCTYPE html><html><title>Just a moment...</title>", "a web page, 'Just a moment...'"),
    ],
)
def test_what_a_person_has_to_mend_stops_the_run(tmp_path: Path, status: int, page: Any, said: str) -> None:
    with pytest.raises(UserMustAct, match=r"^http://127") as caught:
        asked(tmp_path, answers(lambda _: (status, page)))
    assert said in str(caught.value)


def test_one_reply_that_failed_to_be_json_does_not_free_the_others_from_the_schema(tmp_path: Path) -> None:
    text = "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details."
    page = error(text, "json_validate_failed")
    tries: list[str | None] = []

    def answer(body: Body) -> tuple[int, Any] | None:
        tries.append(body.get("response_format", {}).get("type"))
        return (400, page) if len(tries) == 1 else None

    exchanges, drops, _ = asked(tmp_path, answers(answer), clips=2)
    assert (len(exchanges), drops) == (8, [])
    assert tries == ["json_schema", "json_object", "json_schema"]


def test_what_a_server_does_not_take_is_left_out_and_the_system_turn_is_not_lost(tmp_path: Path) -> None:
    def answer(body: Body) -> tuple[int, Any] | None:
        for name in ("json_schema", "json_object", "max_tokens", "temperature", "seed", "system"):
            if _has(body, name):
                return 400, error(f"Unsupported parameter: {name}")
        return None

    exchanges, drops, server = asked(tmp_path, answers(answer), clips=3)
    assert (len(exchanges), drops, len(server.bodies)) == (12, [], 3 + 6)
    assert set(server.bodies[-1]) == {"model", "messages", "max_completion_tokens"}
    assert server.bodies[-1]["max_completion_tokens"] == server.bodies[0]["max_tokens"] == 2048
    system, first = server.bodies[0]["messages"][:2]
    assert server.bodies[-1]["messages"][0] == {
        "role": "user",
        "content": f"{system['content']}\n\n{first['content']}",
    }
    with Server() as plain:  # the same prompts of a server that takes all: their keys are the same
        kept = tmp_path / "replies.sqlite"
        (tmp_path / "other").mkdir()
        kept.rename(tmp_path / "other" / kept.name)
        teach(plain, tmp_path / "other", [clip(number) for number in range(3)], seed=3)
        assert plain.bodies == []


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
        ({"prompt_tokens": None}, None),
        (None, None),
        ({"prompt_tokens": 300.0, "completion_tokens": 100.0}, (300, 100)),
    ],
)
def test_a_count_of_nothing_is_no_count(tmp_path: Path, usage: Any, tokens: tuple[int, int] | None) -> None:
    _, _, server = asked(tmp_path, answers(lambda body: (200, {**completion(good(body)), "usage": usage})))
    with Ledger(tmp_path / "replies.sqlite") as ledger:
        spent = ledger.spent()
    turns = sum(len(turn["content"].encode()) for turn in server.bodies[0]["messages"])
    assert (spent.prompt_tokens > turns, spent.reply_tokens) == (tokens is None, 100 if tokens else 2048)


def test_a_key_that_a_server_escapes_is_neither_stored_nor_printed(tmp_path: Path) -> None:
    from tests.instruct.test_openai_teacher import SECRET

    escaped = "".join(f"\\u{ord(letter):04x}" for letter in SECRET)
    page = json.dumps(completion("KEY")).replace("KEY", escaped).replace("fake-1", escaped)
    _, (drop,), _ = asked(tmp_path, answers(lambda _: (200, page)))
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.encode() not in stored
    assert "'***'" in drop.detail
