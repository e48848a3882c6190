"""Somebody else's model behind an OpenAI-compatible chat API: audio in, text out; also judges, text only.

The key comes from the environment and goes nowhere but into the request's header. What it would cost is said
before anything is sent.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from llark.errors import UserMustAct
from llark.evaluate.cases import NOISE, Put
from llark.evaluate.sounds import SENT_RATE, Sounds, stand_in, to_wav
from llark.music import facts_line

TRIES = 5
RETRIED = (408, 409, 429, 500, 502, 503, 504)
WAIT_SECONDS = 2.0
TOKENS_PER_CHARACTER = 0.25

DROPPED = "THE SERVER DROPS THE SOUND"
"""How the sentence of `takes_sound` begins where it does."""


@dataclass(frozen=True)
class Reply:
    """What was said, and how many tokens the server read for it, if it tells."""

    text: str
    prompt_tokens: int | None = None


@dataclass(frozen=True)
class Api:
    """Where chat completions are had: `url` is the base, as `https://…/v1`.

    `key_variable` names the environment variable that holds the key, if one is needed.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    most_tokens: int = 256
    timeout_seconds: float = 600.0

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise UserMustAct(
                f"{self.url} is no address of an API, that is http:// or https://, a host, perhaps a port."
            )
        if not self.model:
            raise UserMustAct("The endpoint needs the name of a model: --endpoint-model NAME.")

    def chat(self, content: str | list[dict[str, Any]]) -> str:
        """The reply to one message. Raises `UserMustAct` with the server's own words."""
        return self.reply(content).text

    def reply(self, content: str | list[dict[str, Any]]) -> Reply:
        """The same, with what the server counted."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": self.most_tokens,
        }
        page = self._post("chat/completions", body)
        try:
            text = page["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError) as error:
            raise UserMustAct(f"{self.url} sent no chat completion: {json.dumps(page)[:200]}") from error
        usage = page.get("usage")
        counted = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        return Reply(str(text or ""), counted if isinstance(counted, int) else None)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, from the same API's embeddings."""
        page = self._post("embeddings", {"model": self.model, "input": list(texts)})
        try:
            rows = sorted(page["data"], key=lambda row: row["index"])
            vectors = [list(map(float, row["embedding"])) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise UserMustAct(f"{self.url} sent no embeddings: {json.dumps(page)[:200]}") from error
        if len(vectors) != len(texts):
            raise UserMustAct(f"{self.url} sent {len(vectors)} embeddings for {len(texts)} texts.")
        return vectors

    def _post(self, what: str, body: Mapping[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.key_variable, "").strip():
            _refuse_open_road(self.url)
            _refuse_unfit(key, self.key_variable)
            headers["Authorization"] = f"Bearer {key}"
        address = f"{self.url.rstrip('/')}/{what}"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        for tried in range(1, TRIES + 1):
            try:
                with _OPENER.open(request, timeout=self.timeout_seconds) as reply:
                    return json.load(reply)
            except urllib.error.HTTPError as error:
                said = error.read(500).decode(errors="replace").strip()
                if error.code in (401, 403):
                    raise UserMustAct(self._refused(error.code, said)) from error
                if error.code not in RETRIED or tried == TRIES:
                    raise UserMustAct(f"{address} answered {error.code}: {said}") from error
                time.sleep(_wait(error.headers.get("Retry-After"), tried))
            except (OSError, http.client.HTTPException, ValueError) as error:
                if tried == TRIES:
                    raise UserMustAct(f"{address} cannot be reached or sends no JSON: {error}") from error
                time.sleep(_wait(None, tried))
        raise AssertionError("the last try returns or raises")

    def _refused(self, code: int, said: str) -> str:
        known = "is set" if os.environ.get(self.key_variable) else "is not set"
        return f"{self.url} refused the key ({code}); the variable {self.key_variable} {known}. {said[:200]}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: it would carry the key to another address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _refuse_open_road(url: str) -> None:
    """Raises `UserMustAct` where a key would go unencrypted to another machine."""
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise UserMustAct(f"{url} is not encrypted, so that the key is not sent there; use https://.")


def _refuse_unfit(key: str, variable: str) -> None:
    """Raises `UserMustAct`, without showing the key, where no header can hold it."""
    if not re.fullmatch(r"[!-~]+", key):
        raise UserMustAct(
            f"What {variable} holds is no key: there are spaces, line breaks or letters beyond ASCII."
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port or 1) > 0
            and (re.fullmatch(r"[!-~]+", url) is not None)
        )
    except ValueError:
        return False


def _wait(wanted: str | None, tried: int) -> float:
    """What the server asks for, at most a minute; else longer each time."""
    return min(60.0, float(wanted)) if wanted and wanted.isdigit() else WAIT_SECONDS * 2 ** (tried - 1)


@dataclass(frozen=True)
class Endpoint:
    """A `Model` of `answers` that is asked over the network, several questions at a time."""

    api: Api
    sounds: Sounds
    at_once: int = 4
    about: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, puts: Sequence[Put]) -> list[str]:
        with ThreadPoolExecutor(self.at_once) as beside:
            return list(beside.map(self._ask, puts))

    def _ask(self, put: Put) -> str:
        question = put.question
        if put.facts is not None:
            question = f"Measured facts: {facts_line.describe_facts(put.facts)}\n{question}"
        heard = self.sounds.wav(put)
        if heard is None:
            return self.api.chat(question)
        return self.api.chat(_with_sound(question, heard))


def _with_sound(question: str, wav: bytes) -> list[dict[str, Any]]:
    """The content of a message."""
    sound = {"data": base64.b64encode(wav).decode(), "format": "wav"}
    return [{"type": "text", "text": question}, {"type": "input_audio", "input_audio": sound}]


def takes_sound(api: Api) -> str:
    """What becomes of a second of noise, by the tokens that the server counts with it and without.

    Servers are known to leave out a part of a message that their model cannot read, and to answer all the
    same. Two requests.
    """
    question = "What do you hear?"
    noise = to_wav(stand_in(NOISE, SENT_RATE, 1.0), SENT_RATE)
    without = api.reply(question).prompt_tokens
    with_sound = api.reply(_with_sound(question, noise)).prompt_tokens
    if with_sound is None or without is None:
        return "the server does not say how many tokens it reads, so that a dropped sound would not show"
    if with_sound <= without:
        return f"{DROPPED}: it reads {with_sound} tokens with a second of sound and {without} without"
    return f"the server reads {with_sound} tokens with a second of sound and {without} without"


@dataclass(frozen=True)
class Cost:
    """What asking would take. `dollars` is `None` where no price was named."""

    requests: int
    audio_minutes: float
    text_tokens: int
    dollars: float | None = None

    def __str__(self) -> str:
        price = (
            "price unknown: name --dollars-per-minute"
            if self.dollars is None
            else f"about ${self.dollars:.2f}"
        )
        return (
            f"{self.requests:,} requests, {self.audio_minutes:,.1f} minutes of audio, "
            f"about {self.text_tokens:,} tokens of questions; {price}"
        )


def cost(puts: Iterable[Put], sounds: Sounds, dollars_per_minute: float | None = None) -> Cost:
    """What it takes to ask all of `puts`, those that are alike once."""
    alike = list({put.same: put for put in puts}.values())
    minutes = sum(sounds.seconds(put) for put in alike) / 60
    tokens = round(TOKENS_PER_CHARACTER * sum(len(put.question) for put in alike))
    dollars = None if dollars_per_minute is None else minutes * dollars_per_minute
    return Cost(len(alike), minutes, tokens, dollars)
