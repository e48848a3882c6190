"""One request to an OpenAI-compatible server, and what can go wrong with it.

A reply is read in pieces, up to a size and within a time, whatever the server sends. No redirect is followed,
no proxy is taken from the environment, and neither a message nor a reply holds the key. What a server does
not take of a request (`max_tokens`, a system turn …) it says once: the next requests go without.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from llark.errors import UserMustAct

Message = Mapping[str, Any]
"""A turn: `role` is `system`, `user` or `assistant`, `content` its text, or a list of parts with sound."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MOST_BYTES = 4_000_000
"""Of one reply. Files of batch results have their own limit."""

MOST_FILE_BYTES = 1_000_000_000
EMBED_BYTES = 64_000_000
"""Of the embeddings of `TEXTS_A_REQUEST` texts."""

TEXTS_A_REQUEST = 64
SHORTEST_SECRET = 8

RATE_LIMITED = "rate-limited"
TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Status codes after which the same request may succeed."""

OUT_OF_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "exceeded your current quota")
REFUSED, TOOL_CALL = "refused", "tool-call"
FILTERED = re.compile(r"content_filter|content management policy|content_policy|\bflagged\b", re.IGNORECASE)
"""How servers say that their filter stopped a prompt."""

_WAIT = re.compile(
    r"(?:again|retry) in (?:(\d{1,4}) ?m(?:in\w*)? ?)?(\d{1,6}(?:\.\d*)?) ?(ms|s)", re.IGNORECASE
)


class RequestFailed(Exception):
    """A request without a reply: `reason` is a slug; `again`: a retry may help; `charged`: it may cost.

    `wait`: the seconds that the server asks to wait, if it does.
    """

    def __init__(
        self, reason: str, detail: str, *, again: bool, charged: bool = False, wait: float | None = None
    ) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.again, self.charged, self.wait = reason, detail, again, charged, wait


@dataclass(frozen=True)
class Reply:
    """A model's reply, and what it cost."""

    text: str
    finish: str
    """`stop`, `length` (cut off), or what the server calls it."""

    model: str
    """The model's name in the server's words."""

    prompt_tokens: int
    reply_tokens: int
    """As the server counts them; −1 where it does not."""

    def counted(self, most: tuple[int, int], model: str) -> Reply:
        """What is kept: `most` tokens where the server counts none, `model` where it names none."""
        prompt = self.prompt_tokens if self.prompt_tokens >= 0 else most[0]
        reply = self.reply_tokens if self.reply_tokens >= 0 else most[1]
        return replace(self, model=self.model or model, prompt_tokens=prompt, reply_tokens=reply)

    @property
    def no_answer(self) -> tuple[str, str] | None:
        """Why there is no answer, as a slug and a sentence, where asking again would buy the same."""
        if self.finish in ("refusal", "content_filter", "safety", "sensitive"):
            return REFUSED, f"The model or its filter refused to answer: {self.text[:120]!r}."
        if self.finish in ("tool_calls", "function_call", "tool_use"):
            return TOOL_CALL, "The model called a tool and gave no answer."
        if self.finish in ("length", "max_tokens") and not spoken(self.text):
            detail = "The model spent its tokens before it answered, as reasoning models do: allow it more."
            return "out-of-tokens", detail
        return None


@dataclass(frozen=True)
class Sampling:
    """How a model is to reply; part of the key of each reply."""

    model: str
    temperature: float | None = 0.7
    """`None` leaves it to the server."""

    most_tokens: int = 2048
    """Of one reply."""

    seed: int | None = None

    def body(self, messages: Sequence[Message]) -> dict[str, Any]:
        """The request of a chat completion."""
        optional = {"temperature": self.temperature, "seed": self.seed}
        body = {"model": self.model, "messages": list(messages), "max_tokens": self.most_tokens}
        return body | {name: value for name, value in optional.items() if value is not None}


@dataclass(frozen=True)
class LlmServer:
    """Where a server is, and how long one request may take. Raises `UserMustAct` for what is no address."""

    base_url: str
    """The part before `/chat/completions`, such as http://localhost:8000/v1."""

    key: str = field(default="", repr=False)
    """The API key, which is shown nowhere; empty for none."""

    key_variable: str = ""
    """The environment variable that the key is from, for messages."""

    timeout_seconds: float = 120.0
    """From the beginning of a request to the last byte of its reply."""

    connections: int = 32
    """Open at once."""

    learned: dict[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)
    """By model the changes to a request (of `CHANGES`) without which the server refused it."""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
            fits = fits and re.fullmatch(r"[!-~]+", self.base_url) is not None
        except ValueError:  # from `port`, or for brackets that are no IPv6 address
            fits = False
        if not fits:
            raise UserMustAct(f"{self.base_url} is no address; it looks like http://localhost:8000/v1.")
        if parts.username or parts.password:
            raise UserMustAct("The address must not hold a password: the key comes from the environment.")

    @classmethod
    def from_environment(
        cls,
        base_url: str,
        key_variable: str,
        timeout_seconds: float = 120.0,
        connections: int = 32,
        environment: Mapping[str, str] = os.environ,
    ) -> LlmServer:
        """The server with the key that a variable holds; without one where no variable is named or set.

        Raises `UserMustAct` where a hosted server needs a key and there is none, where no header can hold the
        key, or where it would cross a network without encryption.
        """
        key = environment.get(key_variable, "").strip() if key_variable else ""
        server = cls(base_url, key, key_variable, timeout_seconds, connections)
        if not key and base_url.startswith("https://api."):
            name = key_variable or "OPENAI_API_KEY"
            raise UserMustAct(f"{base_url} needs a key: set the environment variable {name}.")
        if key and not re.fullmatch(r"[!-~]+", key):
            raise UserMustAct(
                f"What {key_variable} holds is no key: it has spaces, line breaks or characters beyond ASCII."
            )
        address = urlsplit(base_url)
        if key and address.scheme == "http" and address.hostname not in LOOPBACK:
            raise UserMustAct(
                f"{base_url} would get the key of {key_variable} unencrypted: use https, or "
                "--key-variable '' for no key."
            )
        return server

    def learn(self, model: str, changes: Set[str]) -> None:
        """Remembers what this model's requests must do without."""
        self.learned[model] = self.learned.get(model, frozenset()) | changes

    def hide(self, text: str) -> str:
        """The text without the key. A short one is a dummy such as `EMPTY` or `ollama`: in replies it is a
        word, and is left there."""
        return text.replace(self.key, "***") if len(self.key) >= SHORTEST_SECRET else text


# --- what a server takes of a request -----------------------------------------------------------------------

Body = Mapping[str, Any]


def _without(name: str) -> Callable[[Body], Body]:
    return lambda body: {key: value for key, value in body.items() if key != name}


def _renamed(body: Body) -> Body:
    return {**_without("max_tokens")(body), "max_completion_tokens": body["max_tokens"]}


def _joined(body: Body) -> Body:
    """The system turn at the head of the first question."""
    system, first, *others = body["messages"]
    first = {**first, "content": f"{system['content']}\n\n{first['content']}"}
    return {**body, "messages": [first, *others]}


CHANGES: Mapping[str, tuple[re.Pattern[str], Callable[[Body], Body]]] = {
    name: (re.compile(pattern, re.IGNORECASE), change)
    for name, pattern, change in (
        (
            "json_schema",
            r"response_format|json_schema|structured",
            lambda body: {**body, "response_format": {"type": "json_object"}},
        ),
        ("json_object", r"response_format|json_(?:object|validate)", _without("response_format")),
        ("max_tokens", r"max_(?:completion_)?tokens", _renamed),
        ("temperature", r"temperature", _without("temperature")),
        ("seed", r"\bseed\b", _without("seed")),
        ("system", r"\bsystem\b|roles must alternate", _joined),
    )
}
"""By what a server may refuse: the words that tell it, and the request without. Made in this order."""

NOT_UNDERSTOOD = ("status-400", "status-422", "status-501")
"""How servers refuse what they do not know."""

_TOO_LONG = re.compile(r"context[ _](?:length|window|size)|too (?:large|long)", re.IGNORECASE)


def changed(body: Body, changes: Set[str]) -> Body:
    """A request after these of `CHANGES`, as far as it has what they are about."""
    for name, (_, change) in CHANGES.items():
        body = change(body) if name in changes and _has(body, name) else body
    return body


def change_for(body: Body, failure: RequestFailed) -> str | None:
    """The change after which a request that failed may be understood; `None` where none is known."""
    there = [name for name in CHANGES if _has(body, name)]
    named = next((name for name in there if CHANGES[name][0].search(failure.detail)), None)
    if failure.reason == "status-500":  # how some servers report a chat template without a system turn
        return named if named == "system" else None
    if failure.reason not in NOT_UNDERSTOOD or _TOO_LONG.search(failure.detail):
        return None
    return named or next((name for name in there if name.startswith("json")), None)


def _has(body: Body, name: str) -> bool:
    if name == "system":
        return len(body["messages"]) > 1 and body["messages"][0]["role"] == name
    return name in body or body.get("response_format", {}).get("type") == name


class Client:
    """Open connections to one server: an asynchronous context manager."""

    def __init__(self, server: LlmServer) -> None:
        self.server = server
        self._http: Any = None

    async def __aenter__(self) -> Client:
        import httpx2

        headers = {"Accept-Encoding": "identity"}
        if self.server.key:
            headers["Authorization"] = f"Bearer {self.server.key}"
        self._http = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(None, connect=30),  # `_read` has a deadline for the whole request
            limits=httpx2.Limits(max_connections=self.server.connections),
            trust_env=False,
            follow_redirects=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def chat(self, body: Mapping[str, Any]) -> Reply:
        """One completion, asked for as the server takes it.

        Raises `RequestFailed`, or `UserMustAct` where no request can succeed.
        """
        model, lasts = str(body.get("model")), True
        changes = self.server.learned.get(model, frozenset())
        while True:
            sent = changed(body, changes)
            try:
                reply = reply_of(await self.json("POST", "/chat/completions", json=sent), self.server.hide)
            except RequestFailed as failure:
                change = change_for(sent, failure)
                if change is None:
                    raise
                changes |= {change}
                lasts = lasts and "json_validate_failed" not in failure.detail  # once, by the model, not ever
            else:
                if lasts:
                    self.server.learn(model, changes)
                return reply

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text."""
        body = {"model": model, "input": list(texts)}
        page = await self.json("POST", "/embeddings", EMBED_BYTES, json=body)
        try:
            rows = sorted(page["data"], key=lambda row: row["index"])
            vectors = [list(map(float, row["embedding"])) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            detail = "The server's JSON holds no embeddings."
            raise RequestFailed("no-embeddings", detail, again=False) from error
        if len(vectors) != len(texts):
            detail = f"The server sent {len(vectors)} embeddings for {len(texts)} texts."
            raise RequestFailed("no-embeddings", detail, again=False)
        return vectors

    async def upload(self, name: str, data: bytes) -> str:
        """Puts a file of batch requests at the server; returns its id."""
        files = {"file": (name, data, "application/jsonl")}
        page = await self.json("POST", "/files", data={"purpose": "batch"}, files=files)
        return str(page.get("id") or "")

    async def json(self, method: str, path: str, most: int = MOST_BYTES, **arguments: Any) -> dict[str, Any]:
        """A page of JSON: an object."""
        data = await self.read(method, path, most, **arguments)
        try:
            page = _page(data)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            detail = f"The server answered with no JSON: {self._plain(_start(data))}"
            raise RequestFailed("not-json", detail, again=True, charged=True) from error
        if not isinstance(page, dict):
            detail = "The server answered with no JSON object."
            raise RequestFailed("not-json", detail, again=True, charged=True)
        if inside := _error_in(page):
            raise self.refused(_status(inside), inside, answered=True)
        return page

    async def read(self, method: str, path: str, most: int, **arguments: Any) -> bytes:
        """The body of an answer with status 200. Raises `RequestFailed` for every other."""
        import httpx2

        answered, data = False, bytearray()
        try:
            async with asyncio.timeout(self.server.timeout_seconds):
                url = f"{self.server.base_url.rstrip('/')}{path}"
                async with self._http.stream(method, url, **arguments) as answer:
                    answered = True
                    # Raw pieces: what a server compresses unasked is never unpacked, so that a small body
                    # cannot grow past the limit.
                    async for piece in answer.aiter_raw():
                        data += piece
                        if len(data) > most:
                            detail = f"The reply is larger than {most} bytes."
                            raise RequestFailed("too-large", detail, again=False, charged=True)
        except TimeoutError as error:
            detail = f"No whole reply within {self.server.timeout_seconds:g} s."
            raise RequestFailed("timeout", detail, again=True, charged=True) from error
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise RequestFailed("no-connection", self._plain(error), again=True) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            detail = self._plain(error)
            raise RequestFailed("broken-connection", detail, again=True, charged=answered) from error
        if answer.status_code != 200:
            wait = retry_after(answer.headers.get("Retry-After"))
            raise self.refused(answer.status_code, _message(bytes(data)), wait)
        key = self.server.key.encode()
        return bytes(data).replace(key, b"***") if len(key) >= SHORTEST_SECRET else bytes(data)

    def refused(
        self, status: int, error: object, wait: float | None = None, *, answered: bool = False
    ) -> UserMustAct | RequestFailed:
        """What an answer with another status than 200 means, or (`answered`) an error inside one with 200."""
        whole = " ".join(said(error)[:4000].split())
        message, url = self._plain(whole).removeprefix(f"{status} "), self.server.base_url
        if wait is None and (asked := _WAIT.search(whole)):
            minutes, seconds, unit = asked.groups()
            wait = 60 * int(minutes or 0) + float(seconds) / (1000 if unit.lower() == "ms" else 1)
        if FILTERED.search(whole):
            return RequestFailed(REFUSED, f"{status}: {message}", again=False, charged=answered)
        if status in (401, 403):
            variable = self.server.key_variable
            known = "is set" if self.server.key else "is not set"
            hint = f"; {variable} {known}." if variable else "; no variable is named for it."
            return UserMustAct(f"{url} refuses the key ({status}: {message}){hint}")
        if status == 404 or "Unexpected endpoint" in message:
            return UserMustAct(
                f"{url} knows no such address or model ({status}: {message}); most addresses end in /v1."
            )
        spent = wait is None or "limit: 0," in whole  # a limit of none is none to wait for
        if status == 402 or (spent and any(word in whole for word in OUT_OF_CREDIT)):
            return UserMustAct(f"{url} states that there is no credit left ({status}: {message}).")
        reason = RATE_LIMITED if status == 429 else f"status-{status}"
        charged = answered and status != 429
        return RequestFailed(
            reason, f"{status}: {message}", again=status in TRY_AGAIN, charged=charged, wait=wait
        )

    def _plain(self, message: object) -> str:
        """One short line without the key, for servers that repeat it."""
        text = " ".join(str(message).split()) or type(message).__name__
        if self.server.key:
            text = text.replace(self.server.key, "***").replace(self.server.key[:12], "***")
        return text[:300]


# --- what a server sends ------------------------------------------------------------------------------------


def reply_of(page: Mapping[str, Any], hide: Callable[[str], str] = str) -> Reply:
    """The reply in a chat completion. Raises `RequestFailed` for what is none."""
    try:
        choice = page["choices"][0]
        message = choice["message"]
        text, refusal = spoken(_text(message.get("content"))), message.get("refusal")
        finish = "refusal" if refusal else str(choice.get("finish_reason") or "stop").lower()
        if message.get("tool_calls") and not text:
            finish = "tool_calls"
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        detail = "The server's JSON is no chat completion."
        raise RequestFailed("no-completion", detail, again=False, charged=True) from error
    usage = page.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    prompt = _count(counts.get("prompt_tokens"), 1)
    reply = _count(counts.get("completion_tokens"), 1 if text else 0)
    model = str(page.get("model") or "")
    text, finish, model = (_storable(hide(one)) for one in (text or _text(refusal), finish[:40], model[:200]))
    return Reply(text, finish, model, prompt, reply)


def _text(content: object) -> str:
    """What is said in a content: a text, or a list of parts, of which thoughts and others are left out."""
    if isinstance(content, list):
        return "".join(map(_text, content))
    if isinstance(content, dict):
        return _text(content.get("text")) if content.get("type") in ("text", "output_text") else ""
    return content if isinstance(content, str) else ""


_THOUGHT = re.compile(r"<(think(?:ing)?)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_END_OF_THOUGHT = re.compile(
    r"\A.*(?:</think(?:ing)?>|<\|channel\|>final<\|message\|>)", re.DOTALL | re.IGNORECASE
)


def spoken(text: str) -> str:
    """The text without what the model thought before it, also where the thought's beginning is missing."""
    return _END_OF_THOUGHT.sub("", _THOUGHT.sub("", text)).strip()


def _storable(text: str) -> str:
    """Without lone surrogates, which no file takes."""
    return text.encode("utf-8", "replace").decode()


def _count(value: object, least: int) -> int:
    """Tokens as a server counts them; −1 where it does not, or counts none of what is there."""
    return int(value) if isinstance(value, int | float) and least <= value < 1 << 40 else -1


def _page(data: bytes) -> Any:
    """The JSON of an answer. One that is streamed, though nobody asked for that, is put together.

    Raises `ValueError`, `TypeError`, `AttributeError` or `RecursionError`.
    """
    if data.rstrip().endswith(b"[DONE]"):
        data = data.rpartition(b"data:")[0]
    if not data.lstrip().startswith((b"data:", b"event:", b":")):
        return json.loads(data)
    page: dict[str, Any] = {}
    text, finish = "", ""
    for line in data.splitlines():
        if line.startswith(b"data:"):
            page |= json.loads(line[5:])
            for choice in (page.get("choices") or ())[:1]:
                text += _text((choice.get("delta") or choice.get("message") or {}).get("content"))
                finish = choice.get("finish_reason") or finish
    return {**page, "choices": [{"message": {"content": text}, "finish_reason": finish}]}


def _error_in(page: Mapping[str, Any]) -> object:
    """The error that a page with status 200 holds in place of an answer, or in its first choice."""
    choices = page.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    in_choice = first.get("error") if isinstance(first, dict) else None
    return page.get("error") or in_choice or (page if page.get("object") == "error" else None)


def _status(error: object) -> int:
    """The status code that an error names; 200 where it names none."""
    code = str(error.get("code") or error.get("status")) if isinstance(error, dict) else ""
    return int(code) if re.fullmatch(r"[45]\d\d", code) else 200


def _message(data: bytes) -> str:
    """What an error page says, as JSON or as text."""
    try:
        return said(json.loads(data)) or _start(data)
    except (ValueError, RecursionError):
        return _start(data)


def said(error: object) -> str:
    """The message of an error in any of its usual forms; an upstream server's goes behind the first."""
    if isinstance(error, list):
        return said(error[0]) if error else ""
    if not isinstance(error, dict):
        return str(error)
    if error.get("error"):
        return said(error["error"])
    message, about = error.get("message") or error.get("detail") or "", error.get("metadata")
    words = [error.get("code"), message if isinstance(message, str) else json.dumps(message)]
    words += [about.get("raw")] if isinstance(about, dict) else []
    return " ".join(str(word) for word in words if word)


def _start(data: bytes) -> str:
    """The beginning of a text; of a web page its title."""
    text = " ".join(data[:4000].decode("utf-8", "replace").split())
    if not text.startswith("<"):
        return text[:200]
    title = re.search(r"<title>([^<]{1,200})", text, re.IGNORECASE)
    return f"a web page, {title[1].strip()!r}" if title else "a web page"


def retry_after(header: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number, or a date. `None` where it states neither."""
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
