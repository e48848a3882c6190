"""What servers do on bad days to callers without an event loop: judges, embedders and evaluated endpoints."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llark.errors import UserMustAct
from llark.evaluate import endpoint
from llark.evaluate.cases import TaskPrompt
from llark.evaluate.endpoint import EndpointModel
from llark.evaluate.sounds import Sounds
from llark.llm import Pace, Retry, ask_all, embed, request
from llark.llm.client import MOST_BYTES, Client, LlmServer, Sampling
from llark.llm.ledger import Ledger

SECRET = "sk-secret-0123456789abcdef"
QUICK = Pace(2, retry=Retry(1, 0.001, 0.001))
SAMPLING = Sampling("m", 0.0, 64)
Handler = Callable[[socket.socket], None]


@contextmanager
def listening(handle: Handler, asked: list[bytes] | None = None) -> Iterator[str]:
    """The base URL of a server that hands each connection, its request read into `asked`, to `handle`."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                got = b""
                while b"\r\n\r\n" not in got:
                    got += connection.recv(65536)
                head, _, body = got.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                while len(body) < length:
                    body += connection.recv(65536)
                if asked is not None:
                    asked.append(body)
                handle(connection)
            except OSError:  # the client went away, which some of these servers provoke
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    finally:
        server.close()


def page(body: bytes, status: str = "200 OK", *headers: str) -> Handler:
    # The connection is closed after one answer, and says so: a client that tried again on it would meet
    # its end instead of a second answer.
    length = f"Content-Length: {len(body)}"
    head = "\r\n".join([f"HTTP/1.1 {status}", length, "Connection: close", *headers, "", ""])
    return lambda connection: connection.sendall(head.encode() + body)


def completion(text: str, **more: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}], **more}).encode()


def ask(url: str, ledger: Ledger, timeout_seconds: float = 60.0) -> str:
    server = LlmServer(url, SECRET, "MY_KEY", timeout_seconds)
    chat = [{"role": "user", "content": "?"}]
    return ask_all(server, SAMPLING, [chat], ledger, QUICK)[0].text


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def drips(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("handle", "why"),
    [
        (endless, "(too-large): The reply is larger than 4000000 bytes."),
        (drips, "(timeout): No whole reply within 0.5 s."),
        (page(b"<html>"), "(not-json): The server answered with no JSON: a web page"),
        (
            page(b"<!DOCTYPE html><html><head><title>Bad gateway</title>", "502 Bad Gateway"),
            "(status-502): 502: a web page, 'Bad gateway'",
        ),
        (page(b"[" * 100_000), "(not-json)"),
        (page(b"\xff\xfe\x00"), "(not-json)"),
        (page(b"{}"), "(no-completion)"),
        (page(b'data: {"choices": "0"}\n\ndata: [DONE]'), "(not-json)"),
        (page(b'{"error": {"code": 1e999, "message": [[]]}}'), "(status-200): 200: inf [[]]"),
        (page(b'{"choices": {"0": 1}}'), "(no-completion)"),
        (page(b"", "302 Found", "Location: http://127.0.0.1:1/x"), "(status-302)"),
        (page(b"", "302 Found", "Location: http://[::bad"), "("),
        (page(b"x", "200 OK", "Content-Encoding: gzip"), "(not-json)"),
        (page(b"busy", "503 Service Unavailable", "Retry-After: 0"), "(status-503): 503: busy"),
        (page(b"", "999 Strange"), "("),
        (lambda connection: connection.sendall(b"\x16\x03\x01\x02garbage\r\n\r\n"), "(broken-connection)"),
        (lambda connection: None, "(broken-connection)"),
    ],
)
def test_whatever_a_server_does_is_one_sentence_for_the_user(handle: Handler, why: str) -> None:
    assert MOST_BYTES == 4_000_000
    with listening(handle) as url, Ledger() as ledger:
        with pytest.raises(UserMustAct) as caught:
            ask(url, ledger, timeout_seconds=0.5 if handle is drips else 60.0)
        assert f"{url} gives no reply {why}" in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"data": 1}',
        b'{"data": [{"index": 0}]}',
        b'{"data": [{"index": 0, "embedding": ["x"]}]}',
        b'{"data": [1]}',
    ],
)
def test_what_is_no_embedding_is_refused(body: bytes) -> None:
    with listening(page(body)) as url, pytest.raises(UserMustAct, match=r"no reply \(no-embeddings\)"):
        embed(LlmServer(url), "m", ["a"])


def test_a_key_that_the_server_repeats_is_neither_printed_nor_stored(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    repeats = page(completion(f"Your key is {SECRET}.", model=SECRET))
    with listening(repeats) as url, Ledger(tmp_path / "replies.sqlite") as ledger:
        assert ask(url, ledger) == "Your key is ***."
    for status, body in [
        ("200 OK", f"no JSON, but {SECRET}".encode()),
        ("401 Unauthorized", json.dumps({"error": {"message": f"Bad key {SECRET[:14]}..."}}).encode()),
        ("500 Oops", SECRET.encode()),
    ]:
        with listening(page(body, status)) as url:
            with pytest.raises(UserMustAct, match=r"\*\*\*") as caught:
                request(
                    LlmServer(url, SECRET),
                    lambda client: client.chat(SAMPLING.body([])),
                    Retry(1, 0.001, 0.001),
                )
            assert SECRET[:12] not in str(caught.value)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Your key is ***." in stored
    assert SECRET.encode() not in stored
    printed = capfd.readouterr()
    assert SECRET[:12] not in printed.out + printed.err


def test_an_evaluated_endpoint_has_the_guards_of_a_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)

    def answer(url: str) -> str:
        return EndpointModel(url, "m", Sounds({}), "MY_KEY", QUICK)([TaskPrompt("1", "?")])[0]

    with listening(page(completion(f"Your key is {SECRET}."))) as url:
        assert answer(url) == "Your key is ***."
    with listening(endless) as url, pytest.raises(UserMustAct, match="larger than 4000000 bytes"):
        answer(url)
    bad = page(SECRET.encode(), "400 Bad Request")
    with listening(bad) as url, pytest.raises(UserMustAct, match=r"\(status-400\): 400: \*\*\*"):
        answer(url)
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in SECRET)
    odd = completion("KEY \ud800").replace(b"KEY", escaped.encode())
    with listening(page(odd)) as url:
        assert answer(url) == "*** ?"
    monkeypatch.setattr(endpoint, "TIMEOUT_SECONDS", 0.5)
    with listening(drips) as url, pytest.raises(UserMustAct, match=r"No whole reply within 0\.5 s"):
        answer(url)


def test_an_evaluated_endpoint_is_asked_once_for_what_it_does_not_take() -> None:
    asked: list[bytes] = []

    def old(connection: socket.socket) -> None:
        text = json.dumps({"error": {"message": "Unsupported parameter: 'max_tokens'"}}).encode()
        bad = b'"max_tokens"' in asked[-1]
        (page(text, "400 Bad Request") if bad else page(completion("A")))(connection)

    with listening(old, asked) as url:
        model = EndpointModel(url, "m", Sounds({}), "", QUICK)
        assert [model([TaskPrompt(name, name)]) for name in "123"] == [["A"]] * 3
    assert [b'"max_completion_tokens"' in body for body in asked] == [False, True, True, True]


def test_a_dummy_key_that_is_a_word_is_left_in_replies() -> None:
    with listening(page(completion("none, EMPTY"))) as url, Ledger() as ledger:
        server = LlmServer(url, "none")
        chat = [{"role": "user", "content": "?"}]
        assert ask_all(server, SAMPLING, [chat], ledger, QUICK)[0].text == "none, EMPTY"


def test_where_one_stays_without_a_reply_no_other_is_begun_and_what_is_bought_is_kept(tmp_path: Path) -> None:
    asked: list[int] = []

    def tires(connection: socket.socket) -> None:
        asked.append(1)
        good = len(asked) <= 3
        page(completion("A") if good else b"{}", "200 OK" if good else "400 Bad Request")(connection)

    chats = [[{"role": "user", "content": str(number)}] for number in range(50)]
    with listening(tires) as url, Ledger(tmp_path / "x.sqlite") as ledger:
        with pytest.raises(UserMustAct, match="status-400"):
            ask_all(LlmServer(url), SAMPLING, chats, ledger, QUICK)
        assert len(asked) <= 3 + QUICK.at_once
        assert ledger.spent().replies == 3


def test_a_prompt_that_cannot_be_made_ends_the_run_after_what_is_on_its_way_is_bought() -> None:
    def slow(connection: socket.socket) -> None:
        time.sleep(0.2)
        page(completion("A"))(connection)

    def chats() -> Iterator[list[dict[str, str]]]:
        yield [{"role": "user", "content": "1"}]
        raise UserMustAct("There is no sound of clip-2 to send.")

    with listening(slow) as url, Ledger() as ledger:
        with pytest.raises(UserMustAct, match="no sound of clip-2"):
            ask_all(LlmServer(url), SAMPLING, chats(), ledger, QUICK)
        assert (ledger.spent().replies, ledger.lost()) == (1, {})


def test_the_same_prompt_is_bought_once_and_every_reply_is_counted() -> None:
    counted: list[int] = []
    chats = [[{"role": "user", "content": str(number % 4)}] for number in range(8)]
    with listening(page(completion("A"))) as url, Ledger() as ledger:
        replies = ask_all(LlmServer(url), SAMPLING, chats, ledger, QUICK, replied=lambda: counted.append(1))
        assert ledger.spent().replies == 4
    assert (len(replies), len(counted)) == (8, 8)


def test_one_request_is_sent_again_like_any_other() -> None:
    times: list[int] = []

    def second_time(connection: socket.socket) -> None:
        times.append(1)
        page(completion("A"), "200 OK" if len(times) > 1 else "503 Busy")(connection)

    with listening(second_time) as url:

        async def send(client: Client) -> str:
            return (await client.chat(SAMPLING.body([{"role": "user", "content": "?"}]))).text

        assert request(LlmServer(url), send, QUICK.retry) == "A"
    assert len(times) == 2


@pytest.mark.parametrize("url", ["http://[::bad/v1", "http://a:99999/v1", "http://a b/v1", "", "x"])
def test_no_address_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(UserMustAct, match="is no address"):
        LlmServer(url)
