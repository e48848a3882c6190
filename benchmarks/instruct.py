"""How fast exchanges are made, in how much memory, and how varied they are.

    python benchmarks/instruct.py offline CORPUS [--exchanges 100000]
    python benchmarks/instruct.py server [--clips 10000]

`offline` makes exchanges about the clips of an open corpus (`llark corpus`) by the offline teacher, of the
basic kinds, which the bundled model is trained on, and of all kinds, and prints distinct-n and self-BLEU of
equal samples beside each other. `server` runs the openai teacher against a server on this machine that
answers at once, in a process of its own, and prints records a second and peak memory.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from random import Random
from typing import Any

SAMPLE = 1500
"""Exchanges of each family that diversity is measured on."""

BASIC = 20_000
"""Exchanges of the basic kinds that are made, for comparison: enough for the samples."""


def offline(corpus: Path, exchanges: int) -> None:
    from llark.corpus import read

    truths = [truth for _, truth in read(corpus)]
    columns = {}
    for name, wanted in (("basic", min(exchanges, BASIC)), ("all", exchanges)):
        columns[name] = _taught(truths, -(-wanted // len(truths)), name)
    print(f"{len(truths):,} clips; diversity on {SAMPLE:,} exchanges of each family\n")
    print("| | basic kinds | all kinds |\n|---|---|---|")
    for row in columns["basic"]:
        print(f"| {row} | {columns['basic'][row]} | {columns['all'][row]} |")


def _taught(truths: list[Any], most: int, asked: Any) -> dict[str, str]:
    from llark.instruct.offline import OfflineConfig, kinds_of, teach
    from llark.questions.grammar import phrases

    config = OfflineConfig(most, say_unknown=False, kinds=asked)
    phrases(asked)
    began, wall = time.process_time(), time.perf_counter()
    found = [one for truth in truths for one in teach(truth, config)]
    seconds, waited = time.process_time() - began, time.perf_counter() - wall
    kinds = kinds_of(config)
    said = [phrases(asked)[kind.slug] for kind in kinds]
    lines = sum(len(one.plain) + len(one.whole) for one in said)
    every = sum(len(set(one.every_question())) for one in said)
    rows = {
        "exchanges": f"{len(found):,}",
        "processor seconds (wall)": f"{seconds:.0f} ({waited:.0f})",
        "kinds of question": str(len(kinds)),
        "question lines, and sentences they stand for": f"{lines:,}, {every:,}",
    }
    for family in ("understanding", "captioning", "reasoning"):
        rows |= _diversity(family, [one for one in found if one.task == family])
    return rows


def _diversity(family: str, found: list[Any]) -> dict[str, str]:
    from llark.instruct.summary import distinct, self_bleu

    sample = Random(0).sample(found, min(SAMPLE, len(found)))
    rows = {f"{family}: exchanges": f"{len(found):,}"}
    for side in ("question", "answer"):
        texts = [getattr(one, side) for one in sample]
        values = [f"{distinct(texts, n):.3f}" for n in (1, 2, 3)] + [f"{self_bleu(texts):.3f}"]
        rows[f"{family} {side}s: distinct-1, -2, -3; self-BLEU"] = "; ".join(
            (", ".join(values[:3]), values[3])
        )
    words = sum(len(one.answer.split()) for one in sample) / max(1, len(sample))
    return rows | {f"{family}: words an answer": f"{words:.1f}"}


# --- the pipeline against a server that answers at once -----------------------------------------------------


def serve(port: Any) -> None:
    """Answers every chat with two true exchanges about the record that it shows."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                data = _answer(body["messages"][-1]["content"])
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def start() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(start())


def _answer(turn: str) -> bytes:
    record = json.loads(next(line for line in reversed(turn.splitlines()) if line.startswith("{")))
    said = [
        {
            "kind": name,
            "question": f"What is the {name}?",
            "answer": f"It is {record[name]}.",
            "facts": [name],
        }
        for name in ("tempo", "key")
    ]
    message = {"role": "assistant", "content": json.dumps({"exchanges": said})}
    page = {
        "model": "echo",
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 80},
    }
    return json.dumps(page).encode()


def server(clips: int) -> None:
    from llark.instruct.stage import ModelTeacher, ModelTeacherConfig, Prompts
    from llark.llm import ChatModel, Pace
    from llark.llm.client import Client, LlmServer, Sampling
    from llark.llm.ledger import Budget, Ledger
    from llark.storage import stages

    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    settings = ModelTeacherConfig("openai-1", "echo", ("understanding",))

    def work(folder: Path, ledger: Ledger, count: int) -> float:
        client, budget = Client(LlmServer(url)), Budget(spent=ledger.spent())
        model = ChatModel(client, ledger, budget, Sampling("echo"), Pace(at_once=32))

        @contextlib.asynccontextmanager
        async def connect(_: Prompts) -> AsyncGenerator[ChatModel]:
            async with client:
                yield model

        writer = stages.open_stage(folder, "instruct", {"clips": count})
        teacher = ModelTeacher(settings, ledger, connect, at_once=32)
        began = time.process_time(), time.perf_counter()
        teacher.teach(_sources(count), writer, progress=False)
        ours, wall = time.process_time() - began[0], time.perf_counter() - began[1]
        said = f"{count / wall:.0f} a second of wall time, {count / ours:.0f} a second of our processor time"
        print(f"{count:,} records, {model.bought:,} replies: {said}; peak memory {_peak_mb():.0f} MB")
        return _peak_mb()

    with tempfile.TemporaryDirectory() as temporary:
        peaks = []
        for count in (clips // 10, clips):
            with Ledger(Path(temporary) / f"{count}.sqlite") as ledger:
                peaks.append(work(Path(temporary) / f"{count}", ledger, count))
        print(f"ten times the records: {peaks[1] - peaks[0]:.1f} MB more at the peak")
    process.terminate()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _sources(count: int) -> Iterator[Any]:
    from llark.instruct import Source
    from llark.records import KEYS, Annotation, Key, Tag, Tags, Tempo, Track

    instruments = Tags((Tag("piano", 1.0), Tag("drums", 1.0)), 1.0, "truth")
    for number in range(count):
        tempo, key = Tempo(60.0 + number % 120, 1.0, "truth"), Key(KEYS[number % 24], 1.0, "truth")
        name = f"clip-{number:06d}"
        facts = Annotation(name, 0.0, 25.0, tempo=tempo, key=key, instruments=instruments)
        yield Source(facts, Track(name, "x.ogg", title=f"Take {number} of many"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["offline", "server"])
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--exchanges", type=int, default=100_000)
    parser.add_argument("--clips", type=int, default=10_000)
    options = parser.parse_args()
    if options.what == "server":
        server(options.clips)
    elif options.corpus is None:
        parser.error("offline needs the folder of a corpus")
    else:
        offline(options.corpus, options.exchanges)


if __name__ == "__main__":
    main()
