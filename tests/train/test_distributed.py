"""Processes of which one falls silent: the others do not wait for it for ever."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llark.train import distributed
from tests.train.test_fit_model import beside


@pytest.mark.slow
def test_who_waits_for_one_that_has_fallen_silent_is_ended_and_told_who_it_was(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "SILENT_SECONDS", 2.0)
    go_on = distributed.Heartbeat._go_on

    def silent_as_1(self: Any) -> None:
        if self.rank != 1:
            go_on(self)

    monkeypatch.setattr(distributed.Heartbeat, "_go_on", silent_as_1)

    main_pid = multiprocessing.get_context("fork").Value("i", 0)

    def meet() -> None:
        if os.environ["RANK"] == "0":
            main_pid.value = os.getpid()
        with distributed.join("cpu") as world:
            if world.rank == 1:
                while _lives(main_pid.value):
                    time.sleep(0.05)
                os._exit(7)
            world.wait()

    assert beside(meet, ranks=2) == [1, 7]
    assert "The training has stopped: process 1 (pid " in capfd.readouterr().err


@pytest.mark.slow
def test_a_stopped_process_that_keeps_the_store_ends_the_others_too(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "SILENT_SECONDS", 2.0)
    main_pid = multiprocessing.get_context("fork").Value("i", 0)

    def meet() -> None:
        me = os.getpid()
        if os.environ["RANK"] == "0":
            main_pid.value = me
        elif os.fork() == 0:  # ends process 0 when process 1 has ended
            while os.getppid() == me:
                time.sleep(0.05)
            os.kill(main_pid.value, signal.SIGKILL)
            os._exit(0)
        with distributed.join("cpu") as world:
            if world.rank == 0:
                os.kill(me, signal.SIGSTOP)
            world.wait()

    assert beside(meet, ranks=2) == [-signal.SIGKILL, 1]
    assert "The training has stopped: process 0 (pid " in capfd.readouterr().err


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_error_where_no_process_is_lost_stays_what_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    was_told = multiprocessing.get_context("fork").Event()

    def meet() -> None:
        try:
            with distributed.join("cpu") as world:
                if world.rank == 0:
                    raise RuntimeError("out of something")
                was_told.wait(120)
        except RuntimeError as error:
            print(f"kept: {error}", flush=True)
            was_told.set()

    assert beside(meet, ranks=2) == [0, 0]
    assert "kept: out of something" in capfd.readouterr().out


_DONE_ONCE = """
import sys, time
from pathlib import Path
from llark.train import distributed
page = Path(sys.argv[1])
with distributed.main_first() as is_main:
    if is_main:
        time.sleep(1)
        page.write_text(page.read_text() + "made ")
with distributed.join("cpu") as world:
    assert page.read_text() == "made ", page.read_text()
    world.wait()
"""


@pytest.mark.slow
def test_what_is_done_once_is_done_by_the_first_process_before_the_others_go_on(tmp_path: Path) -> None:
    page, script = tmp_path / "page", tmp_path / "script.py"
    page.write_text("")
    script.write_text(_DONE_ONCE)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*torchrun, str(script), str(page)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert page.read_text() == "made "
