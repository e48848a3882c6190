"""One request to an OpenAI-compatible server, and what can go wrong with it.

A reply is read in pieces, up to a size and within a time, whatever the server sends. No redirect is followed,
no proxy is taken from the environment, and neither a message nor a reply holds the key.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
"""A shorter key is a dummy such as `EMPTY` or `ollama`; in replies it is a word, and is left there."""

RATE_LIMITED = "rate-limited"
TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Status codes after which the same request may succeed."""

OUT_OF_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "exceeded your current quota")


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
        """One completion. Raises `RequestFailed`, or `UserMustAct` where no request can succeed."""
        return reply_of(await self.json("POST", "/chat/completions", json=body))

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
            page = json.loads(data)
        except (ValueError, RecursionError) as error:
            detail = f"The server answered with no JSON: {self._plain(_start(data))}"
            raise RequestFailed("not-json", detail, again=True, charged=True) from error
        if not isinstance(page, dict):
            detail = "The server answered with no JSON object."
            raise RequestFailed("not-json", detail, again=True, charged=True)
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
            raise self._refused(answer.status_code, answer.headers.get("Retry-After"), bytes(data))
        key = self.server.key.encode()
        return bytes(data).replace(key, b"***") if len(key) >= SHORTEST_SECRET else bytes(data)

    def _refused(self, status: int, wait: str | None, data: bytes) -> Exception:
        """The error for an answer with another status than 200."""
        message, url = self._plain(_message(data)), self.server.base_url
        if status in (401, 403):
            variable = self.server.key_variable
            known = "is set" if self.server.key else "is not set"
            hint = f"; {variable} {known}." if variable else "; no variable is named for it."
            return UserMustAct(f"{url} refuses the key ({status}: {message}){hint}")
        if status == 404:
            return UserMustAct(f"{url} knows no such address or model (404: {message}).")
        if any(word in message for word in OUT_OF_CREDIT):
            return UserMustAct(f"{url} states that there is no credit left ({status}: {message}).")
        reason = RATE_LIMITED if status == 429 else f"status-{status}"
        return RequestFailed(
            reason, f"{status}: {message}", again=status in TRY_AGAIN, wait=retry_after(wait)
        )

    def _plain(self, message: object) -> str:
        """One short line without the key, for servers that repeat it."""
        text = " ".join(str(message).split()) or type(message).__name__
        if self.server.key:
            text = text.replace(self.server.key, "***").replace(self.server.key[:12], "***")
        return text[:300]


def reply_of(page: Mapping[str, Any]) -> Reply:
    """The reply in a chat completion. Raises `RequestFailed` for what is none."""
    try:
        choice = page["choices"][0]
        text = choice["message"].get("content")
        finish = str(choice.get("finish_reason") or "stop")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        detail = "The server's JSON is no chat completion."
        raise RequestFailed("no-completion", detail, again=False, charged=True) from error
    usage = page.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    prompt, reply = (_count(counts.get(name)) for name in ("prompt_tokens", "completion_tokens"))
    return Reply(
        text if isinstance(text, str) else "", finish[:40], str(page.get("model") or "")[:200], prompt, reply
    )


def _count(value: object) -> int:
    """Tokens as a server counts them; −1 where it does not."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else -1


def _message(data: bytes) -> str:
    """The message in the JSON of an error page, or the beginning of the page."""
    try:
        error = json.loads(data)["error"]
        return (
            f"{error.get('code') or ''} {error['message']}".strip() if isinstance(error, dict) else str(error)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return _start(data)


def _start(data: bytes) -> str:
    return " ".join(data[:200].decode("utf-8", "replace").split())


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
