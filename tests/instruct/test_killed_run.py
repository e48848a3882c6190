"""`kill -9` in the middle of a run: what was bought is not bought again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from aiohttp import web

from llark.llm.ledger import Ledger
from llark.records import Annotation, Exchange, Key, Tempo
from llark.storage import stages
from tests.instruct.hostile import asked
from tests.instruct.teaching_server import Body, Server, scholar

CLIPS, AT_ONCE = 40, 4


def test_a_killed_run_loses_the_requests_on_their_way_and_nothing_else(tmp_path: Path) -> None:
    with stages.open_stage(tmp_path / "facts", "annotate") as writer:
        for number in range(CLIPS):
            tempo, key = Tempo(60.0 + number, 1.0, "net"), Key("C major", 1.0, "net")
            writer.write(f"c{number}", [Annotation(f"c{number}", 0.0, 20.0, tempo=tempo, key=key)])
        writer.finish()

    killed = threading.Event()

    async def slow(server: Server, request: web.Request, body: Body) -> web.StreamResponse:
        """Half of the clips are answered; the others wait until the run that asked for them is dead."""
        while len(server.bodies) >= CLIPS // 2 and not killed.is_set():
            await asyncio.sleep(0.01)
        return await scholar(server, request, body)

    with Server(slow) as server:
        command = [
            sys.executable,
            "-c",
            "from llark.cli import main; main()",
            "instruct",
            "facts",
            "--out",
            "out",
        ]
        command += ["--teacher", "openai", "--model", "m"]
        command += ["--base-url", server.url, "--family", "understanding", "--at-once", str(AT_ONCE)]
        first = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        while len(server.bodies) < CLIPS // 2:
            assert first.poll() is None
            time.sleep(0.01)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        killed.set()
        with Ledger(tmp_path / "out" / "replies.sqlite") as ledger:
            bought = ledger.spent().replies
        begun = len(server.bodies)
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        times = Counter(asked(body) for body in server.bodies)
    assert CLIPS // 2 - AT_ONCE <= bought < CLIPS
    assert begun - bought <= AT_ONCE
    assert len(server.bodies) - begun == CLIPS - bought
    assert sum(count > 1 for count in times.values()) <= AT_ONCE
    exchanges = list(stages.read(tmp_path / "out" / "exchanges", Exchange))
    assert [one.clip_id for one in exchanges[::2]] == [f"c{number}" for number in range(CLIPS)]
