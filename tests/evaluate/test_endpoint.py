"""Somebody else's model, as a real server on loopback that speaks the OpenAI chat API."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llark import audio
from llark.errors import UserMustAct
from llark.evaluate.cases import TaskPrompt
from llark.evaluate.endpoint import EndpointModel, cost, takes_sound
from llark.evaluate.sounds import Sounds
from llark.llm import Pace, Retry, embed
from llark.llm.client import LlmServer
from llark.records import Annotation, Clip, Key

QUICK = Pace(1, retry=Retry(4, 0.001, 0.001))


@dataclass
class Server:
    """Answers with `reply(body)`; `codes` are sent first, one a request."""

    reply: Callable[[dict[str, Any]], str] = lambda body: "C major"
    tokens: Callable[[dict[str, Any]], int | None] = lambda body: None
    codes: list[int] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    embedded: int | None = None
    """So many embeddings come back, whatever was sent."""


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.bodies.append(body)
            found.headers.append(dict(self.headers))
            code = found.codes.pop(0) if found.codes else 200
            page: dict[str, Any] = {"choices": [{"message": {"content": found.reply(body)}}]}
            if (count := found.tokens(body)) is not None:
                page["usage"] = {"prompt_tokens": count}
            if self.path.endswith("/embeddings"):
                rows = [{"index": i, "embedding": [len(t), 1.0]} for i, t in enumerate(body["input"])]
                page = {"data": rows[: found.embedded]}
            self.send_response(code)
            if code == 307:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            self.wfile.write(json.dumps(page if code == 200 else {"error": "busy"}).encode())

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{running.server_port}/v1"
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield found
    running.shutdown()
    running.server_close()


def clip(folder: Path) -> Clip:
    time = np.arange(3 * 22050) / 22050
    audio.save(folder / "song.wav", (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), 22050)
    return Clip("song", "song", str(folder / "song.wav"), 1.0, 3.0)


def model_at(url: str, key_variable: str = "NO_KEY_IS_SET") -> EndpointModel:
    return EndpointModel(url, "x", Sounds({}), key_variable, QUICK)


def ask(url: str, key_variable: str = "NO_KEY_IS_SET") -> str:
    """The answer to one question without sound."""
    return model_at(url, key_variable)([TaskPrompt("1", "?")])[0]


def test_the_clip_reaches_the_server_as_a_wav_of_its_own_seconds(server: Server, tmp_path: Path) -> None:
    model = EndpointModel(server.url, "somebody", Sounds({"song": clip(tmp_path)}))
    assert model([TaskPrompt("1", "Which key?", "song")]) == ["C major"]
    text, sound = server.bodies[0]["messages"][0]["content"]
    assert text == {"type": "text", "text": "Which key?"}
    assert sound["input_audio"]["format"] == "wav"
    with wave.open(io.BytesIO(base64.b64decode(sound["input_audio"]["data"]))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (16000, 1, 32000)
        samples = np.frombuffer(file.readframes(32000), "<i2")
    assert 0.3 < samples.astype(float).std() / 32768 < 0.4
    assert server.bodies[0]["model"] == "somebody"


def test_each_condition_sends_what_it_says(server: Server, tmp_path: Path) -> None:
    model = EndpointModel(server.url, "somebody", Sounds({"song": clip(tmp_path)}), pace=QUICK)
    facts = Annotation("song", 0.0, 2.0, key=Key("A minor", 1.0))
    model(
        [
            TaskPrompt("1", "Key?"),
            TaskPrompt("2", "Key?", stand_in="silence"),
            TaskPrompt("3", "Key?", stand_in="noise"),
            TaskPrompt("4", "Key?", "song", facts=facts),
        ]
    )
    contents = [body["messages"][0]["content"] for body in server.bodies]
    assert contents[0] == "Key?"
    heard = [np.frombuffer(base64.b64decode(c[1]["input_audio"]["data"])[44:], "<i2") for c in contents[1:3]]
    assert not heard[0].any()
    assert heard[1].astype(float).std() / 32768 == pytest.approx(0.1, rel=0.02)
    assert "key: A minor" in contents[3][0]["text"]


def test_a_busy_server_is_asked_again_and_one_that_stays_so_is_an_error(
    server: Server,
) -> None:
    server.codes = [429, 503]
    assert ask(server.url) == "C major"
    assert len(server.bodies) == 3
    server.codes = [500] * 5
    with pytest.raises(UserMustAct, match=r"gives no reply \(status-500\): 500: busy"):
        ask(server.url)
    assert len(server.bodies) == 3 + 5


def test_a_refused_key_is_named_and_never_shown(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret-1")
    server.codes = [401]
    with pytest.raises(UserMustAct) as error:
        ask(server.url, "MY_KEY")
    assert server.headers[0]["Authorization"] == "Bearer secret-1"
    assert "MY_KEY is set" in str(error.value)
    assert "secret-1" not in str(error.value)


def test_a_key_is_not_sent_unencrypted_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret-1")
    with pytest.raises(UserMustAct, match="unencrypted"):
        ask("http://example.invalid/v1", "MY_KEY")


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.codes = [307]
    with pytest.raises(UserMustAct, match="status-307"):
        ask(server.url)


@pytest.mark.parametrize("key", ["secret-1\nx", "secret-1 x", "secret-…1"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(
    server: Server, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(UserMustAct, match="What MY_KEY holds is no key") as error:
        ask(server.url, "MY_KEY")
    assert "secret" not in str(error.value)
    assert server.bodies == []


def test_the_line_break_at_the_end_of_a_key_is_not_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "secret-1\n")
    ask(server.url, "MY_KEY")
    assert server.headers[0]["Authorization"] == "Bearer secret-1"


@pytest.mark.parametrize(
    "reply",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"choices',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc",
        b"hello\r\n\r\n",
    ],
)
def test_a_server_that_hangs_up_in_the_middle_of_a_reply_is_asked_again(reply: bytes) -> None:
    asked, tries = 0, 1 + QUICK.retry.retries
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            nonlocal asked
            for _ in range(tries):
                connection, _address = listening.accept()
                with connection:
                    connection.recv(65536)
                    asked += 1
                    connection.sendall(reply)

        running = threading.Thread(target=hang_up, daemon=True)
        running.start()
        with pytest.raises(UserMustAct, match=r"gives no reply \(broken-connection\)"):
            ask(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        running.join(10)
    assert asked == tries


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("ftp://a/v1", "x"),
        ("http://127.0.0.1/v1", ""),
        ("http://127.0.0.1:port/v1", "x"),
        ("http:///v1", "x"),
        ("http://a b/v1", "x"),
    ],
)
def test_an_address_or_a_name_that_cannot_be_is_refused(url: str, model: str) -> None:
    with pytest.raises(UserMustAct):
        EndpointModel(url, model, Sounds({}))


def test_a_server_that_sends_something_else_is_an_error(server: Server) -> None:
    server.reply = lambda body: None  # type: ignore[assignment, return-value]
    assert ask(server.url) == ""
    with pytest.raises(UserMustAct, match=r"gives no reply \(no-connection\)"):
        ask("http://127.0.0.1:1/v1")


def test_the_cost_counts_what_is_alike_once() -> None:
    clips = {"a": Clip("a", "a", "a.wav", 0.0, 30.0), "b": Clip("b", "b", "b.wav", 0.0, 30.0)}
    puts = [TaskPrompt("1", "Which key is it?", "a"), TaskPrompt("2", "Which key is it?", "b")]
    puts += [TaskPrompt(str(i), "Which key is it?", stand_in="silence") for i in range(9)]
    # 30 + 30 + 25 seconds, at 60 dollars a minute
    found = cost(puts, Sounds(clips), dollars_per_minute=60.0)
    assert found.startswith("3 requests, 1.4 minutes of audio")
    assert found.endswith("about $85.00")
    assert "price unknown" in cost(puts, Sounds(clips))


def test_fewer_embeddings_than_texts_are_refused(server: Server) -> None:
    server.embedded = 1
    with pytest.raises(UserMustAct, match="sent 1 embeddings for 2 texts"):
        embed(LlmServer(server.url), "x", ["aaa", "b"])


def test_a_question_about_a_sound_that_is_not_there_is_refused_in_a_sentence() -> None:
    with pytest.raises(UserMustAct, match="no sound of clip-7"):
        cost([TaskPrompt("1", "Which key?", "clip-7")], Sounds({}))
    with pytest.raises(UserMustAct, match="no sound of clip-7"):
        Sounds({}).wav(TaskPrompt("1", "Which key?", "clip-7"))


def test_embeddings_come_in_the_order_of_the_texts(server: Server) -> None:
    assert embed(LlmServer(server.url), "x", ["aaa", "b"]) == [[3.0, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (lambda body: None, "the server does not say how many tokens"),
        (lambda body: 28, "THE SERVER DROPS THE SOUND: it reads 28 tokens"),
        (
            lambda body: 20 + 50 * isinstance(body["messages"][0]["content"], list),
            "the server reads 70 tokens",
        ),
    ],
)
def test_a_server_that_drops_the_sound_is_found_by_what_it_counts(
    server: Server, tokens: Callable[[dict[str, Any]], int | None], said: str
) -> None:
    server.tokens = tokens
    assert takes_sound(model_at(server.url)).startswith(said)
    assert len(server.bodies) == 2
