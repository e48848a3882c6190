"""What is printed: any text, in any encoding, to any place."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import llark
from llark.report import terminal

HOSTILE = "\x1b]0;title\x07so\x9bng\u202egpj.exe\u2066\udcff\n\tnext"
SHOWN = "\ufffd]0;title\ufffdso\ufffdng\ufffdgpj.exe\ufffd\ufffd"


def run(*words: str, out: int | None = subprocess.PIPE, encoding: str = "utf-8") -> tuple[int, bytes, str]:
    """Exit status, standard output and standard error of the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", "from llark.cli import main; main()", *words],
        stdout=out,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "80"},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.decode(encoding)


def test_what_a_terminal_would_obey_is_shown_and_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show(HOSTILE)
    terminal.note(HOSTILE)
    assert capsys.readouterr() == (f"{SHOWN}\n\tnext\n",) * 2
    assert terminal.printable_line(HOSTILE) == f"{SHOWN} next"


def test_json_is_read_back_exactly_and_holds_nothing_that_a_terminal_obeys() -> None:
    text = terminal.printable_json({"audio": HOSTILE + "é"})
    assert json.loads(text) == {"audio": HOSTILE + "é"}
    assert terminal.printable(text) == text
    assert "é" in text or sys.stdout.encoding.lower() != "utf-8"


def test_everything_is_printed_through_one_place() -> None:
    """Another `print` could send what a terminal obeys, or end in a traceback after all the work."""
    root = Path(llark.__file__).parent
    prints = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert prints == {"report/terminal.py"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp850"])
def test_what_an_encoding_lacks_is_written_as_the_nearest_in_ascii(encoding: str) -> None:
    words = "from llark.report import terminal as t; t.accept_any_character(); t.show('●○ ▁▇ 0–1 … ♭ é 音')"
    done = subprocess.run(
        [sys.executable, "-c", words],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=True,
    )
    assert done.stdout.decode(encoding).translate({0x96: "-", 0xE9: "e", 0x2013: "-", 0x2026: "..."}) == (
        "*. _# 0-1 ... b e ?\n"
    )


def test_help_and_tables_are_printed_in_ascii() -> None:
    for words in (["--help"], ["evaluate", "--help"], ["datasets"]):
        status, out, err = run(*words, encoding="ascii")
        assert (status, err) == (0, "")
        assert out.isascii()
        assert len(out) > 1000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which only Linux has")
@pytest.mark.parametrize("words", [["--help"], ["datasets"], ["datasets", "fma"]])
def test_a_full_device_is_one_sentence(words: list[str]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert run(*words, out=full) == (
            2,
            None,
            "llark: Cannot write the output: No space left on device.\n",
        )
    finally:
        os.close(full)


@pytest.mark.parametrize(("words", "status"), [(["embed", "--cost"], 141), (["datasets"], 1)])
def test_a_closed_pipe_ends_the_output_quietly(words: list[str], status: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert run(*words, out=writing) == (status, None, "")
    finally:
        os.close(writing)


def test_an_error_is_one_line_of_bounded_length_without_control_characters() -> None:
    status, _, err = run("compare", "\x1b[31m\n" + "x" * 100_000, "b")
    assert status == 2
    assert err.startswith("llark: ")
    assert err.count("\n") == 1
    assert len(err) < 700
    assert "\x1b" not in err
