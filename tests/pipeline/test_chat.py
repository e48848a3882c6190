from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from llark.errors import BadAudio, UserMustAct
from llark.pipeline.ask import demo_recording
from llark.pipeline.chat import Chat, talk


@pytest.fixture(scope="module")
def chat() -> Chat:
    return Chat(demo_recording())


def test_a_conversation_goes_on_after_what_cannot_be_done(chat: Chat, tmp_path: Path) -> None:
    assert "D major" in chat.type("what key is it in?")
    for line in ("/nothing", "/at", "/at 9:00", "/at 0:20 0:10", "/save", "/load", "\udcff"):
        if line == "/at":
            assert "whole" in chat.type(line)
            continue
        with pytest.raises(UserMustAct):
            chat.type(line)
    with pytest.raises(BadAudio):
        chat.type(f"/load {tmp_path / 'none.wav'}")
    assert "95" in chat.type("and the tempo?")
    assert chat.type("") == ""


def test_a_conversation_is_saved_over_no_recording(chat: Chat, tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    song.write_bytes(b"music")
    with pytest.raises(UserMustAct, match=r"\.json"):
        chat.type(f"/save {song}")
    assert song.read_bytes() == b"music"


def test_bytes_that_are_no_text_end_in_a_sentence_and_not_the_conversation(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\nwhat key is it in?\n"), "utf-8"))
    talk(chat)
    assert re.search(r"no UTF-8 text.*D major", capsys.readouterr().out, re.DOTALL)


def test_a_part_is_talked_about_until_the_whole_is_again(chat: Chat) -> None:
    assert chat.type("/at 0:10 0:13") == "From here on about 0:10 to 0:13."
    assert "D major" not in chat.type("which chords are there?")
    chat.type("/at")
    assert "D major" in chat.type("which chords are there?")


def test_the_conversation_is_saved_with_the_facts(chat: Chat, tmp_path: Path) -> None:
    before = len(chat.turns)
    chat.type("is there a drummer?")
    chat.type(f"/save {tmp_path / 'talk.json'}")
    page = json.loads((tmp_path / "talk.json").read_text())
    assert len(page["turns"]) == before + 1
    assert page["turns"][-1]["question"] == "is there a drummer?"
    assert page["facts"]["tempo"]["bpm"] == pytest.approx(95.0, rel=0.02)
    with pytest.raises(UserMustAct, match="cannot be written"):
        chat.type(f"/save {tmp_path / 'none' / 'talk.json'}")
