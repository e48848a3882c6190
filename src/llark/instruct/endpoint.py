"""The only file that speaks HTTP: an OpenAI-compatible endpoint, and what can go wrong with it.

A reply is read in pieces, up to a size and within a time, whatever the server sends. No redirect is followed,
no environment is read, and no message holds the key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from llark.errors import UserMustAct
from llark.instruct.ledger import Reply
from llark.instruct.pace import retry_after

MOST_BYTES = 4_000_000
"""Of one reply. Files of batch results have their own limit."""

MOST_FILE_BYTES = 1_000_000_000
TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Answers after which the same request may succeed."""

OUT_OF_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "exceeded your current quota")


class Failed(Exception):
    """A request without a reply: `reason` is a slug; `again`: a retry may help; `charged`: it may cost."""

    def __init__(
        self, reason: str, detail: str, *, again: bool, charged: bool = False, wait: float | None = None
    ) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.again, self.charged, self.wait = reason, detail, again, charged, wait


@dataclass(frozen=True)
class Address:
    """Where an endpoint is, and how long one request may take. `key` is shown nowhere."""

    base_url: str
    key: str = ""
    timeout_seconds: float = 120.0
    connections: int = 32

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserMustAct(
                f"--base-url {self.base_url} is no address; it looks like http://localhost:8000/v1."
            )
        if parts.username or parts.password:
            raise UserMustAct("--base-url must not hold a password: the key comes from the environment.")

    def __repr__(self) -> str:
        return f"Address({self.base_url!r})"


class Endpoint:
    """An open connection to one server: an asynchronous context manager."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._session: Any = None

    async def __aenter__(self) -> Endpoint:
        try:
            import aiohttp
        except ImportError as error:
            raise UserMustAct(
                "The teachers openai and batch need aiohttp: pip install 'llark[teacher]'. "
                "The teacher offline needs nothing."
            ) from error
        headers = {"Authorization": f"Bearer {self.address.key}"} if self.address.key else {}
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(limit=self.address.connections),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
            trust_env=False,
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def chat(self, body: Mapping[str, Any]) -> Reply:
        """One completion. Raises `Failed`, or `UserMustAct` where no request can succeed."""
        return reply_of(await self.json("POST", "/chat/completions", json=body))

    async def upload(self, name: str, data: bytes) -> str:
        """Puts a file of requests at the server; returns its id."""
        import aiohttp

        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        form.add_field("file", data, filename=name, content_type="application/jsonl")
        page = await self.json("POST", "/files", data=form)
        return str(page.get("id") or "")

    async def json(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """A page of JSON: an object."""
        data = await self.read(method, path, MOST_BYTES, **arguments)
        try:
            page = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Failed(
                "not-json", f"The server answered with no JSON: {_start(data)}", again=True, charged=True
            ) from error
        if not isinstance(page, dict):
            raise Failed("not-json", "The server answered with no JSON object.", again=True, charged=True)
        return page

    async def read(self, method: str, path: str, most: int, **arguments: Any) -> bytes:
        """The body of an answer with status 200. Raises `Failed` for every other."""
        import aiohttp

        sent = False
        try:
            async with asyncio.timeout(self.address.timeout_seconds):
                url = f"{self.address.base_url.rstrip('/')}{path}"
                async with self._session.request(
                    method, url, allow_redirects=False, headers={"Accept-Encoding": "identity"}, **arguments
                ) as answer:
                    sent = True
                    data = await _read(answer, most)
                    if answer.status != 200:
                        raise self._refused(answer.status, answer.headers.get("Retry-After"), data)
                    return data
        except TimeoutError as error:
            detail = f"No whole reply within {self.address.timeout_seconds:g} s."
            raise Failed("timeout", detail, again=True, charged=True) from error
        except aiohttp.ClientConnectorError as error:
            raise Failed("no-connection", self._plain(error), again=True) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Failed("broken-connection", self._plain(error), again=True, charged=sent) from error

    def _refused(self, status: int, wait: str | None, data: bytes) -> Exception:
        said = self._plain(_message(data))
        if status in (401, 403):
            return UserMustAct(
                f"{self.address.base_url} refuses the key ({status}: {said}). Is the right variable set?"
            )
        if status == 404:
            return UserMustAct(f"{self.address.base_url} knows no such address or model (404: {said}).")
        if any(word in said for word in OUT_OF_CREDIT):
            return UserMustAct(
                f"{self.address.base_url} says that there is no credit left ({status}: {said})."
            )
        reason = "rate-limited" if status == 429 else f"status-{status}"
        return Failed(reason, f"{status}: {said}", again=status in TRY_AGAIN, wait=retry_after(wait))

    def _plain(self, message: object) -> str:
        """One short line without the key, for servers that repeat it."""
        text = " ".join(str(message).split()) or type(message).__name__
        if self.address.key:
            text = text.replace(self.address.key, "***").replace(self.address.key[:12], "***")
        return text[:300]


def reply_of(page: Mapping[str, Any]) -> Reply:
    """The reply in a chat completion. Raises `Failed` for what is none."""
    try:
        choice = page["choices"][0]
        text = choice["message"].get("content")
        finish = str(choice.get("finish_reason") or "stop")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise Failed(
            "no-completion", "The server's JSON is no chat completion.", again=False, charged=True
        ) from error
    usage = page.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    prompt, reply = (_count(counts.get(name)) for name in ("prompt_tokens", "completion_tokens"))
    return Reply(
        text if isinstance(text, str) else "", finish[:40], str(page.get("model") or "")[:200], prompt, reply
    )


async def _read(answer: Any, most: int) -> bytes:
    found = bytearray()
    async for piece in answer.content.iter_any():
        found += piece
        if len(found) > most:
            answer.close()
            raise Failed("too-large", f"The reply is larger than {most} bytes.", again=False, charged=True)
    return bytes(found)


def _count(value: object) -> int:
    """Tokens as a server counts them; -1 where it does not."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else -1


def _message(data: bytes) -> str:
    """What an error page says: the message of its JSON, or its beginning."""
    try:
        error = json.loads(data)["error"]
        return (
            f"{error.get('code') or ''} {error['message']}".strip() if isinstance(error, dict) else str(error)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return _start(data)


def _start(data: bytes) -> str:
    return " ".join(data[:200].decode("utf-8", "replace").split())
