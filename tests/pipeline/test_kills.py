"""Every stage, killed at many moments and run again, makes the bytes of a run that nobody disturbed.

A run is a fork of this process, which has loaded what is heavy. It dies by a timer of the CPU time that it
has used itself: at the same places of its work however busy the machine is, without a chance to tidy up.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

from llark import audio, cli
from llark.networks.features import Networks
from llark.prepare import stage as prepare_stage
from llark.storage import stages
from llark.train import loop, smoke

KILLS = 20

RECIPE = """
name: tiny
corpus: {{clips: 8, sources: [builtin], renderer: midirenderer}}
instruct: {{exchanges_per_clip: 4, measured: true}}
model: {{base: {base}, audio_positions: 64, lora_rank: 2, lora_targets: [q_proj]}}
train: {{weights: lora, steps: 6, batch: 2, micro_batch: 2, turns: 2, independent_turns: true, bucket: 1,
  facts_share: 0.5, heads: {{epochs: 2, folds: 2}}, most_tokens: 1024, precision: float32, save_every: 3,
  evaluate_every: 3, evaluate_examples: 2, sample_answers: 1}}
evaluate: {{clips: 2}}
"""


def _forked(
    words: list[str], cpu_seconds: float = 0.0, stop: int | None = None, said: str = os.devnull
) -> tuple[int, float]:
    """Runs a command in a fork; its exit status (negative: the signal) and the CPU time it took. With
    `cpu_seconds` it is killed after that much, or gets the signal `stop`. `said`: where what it says goes."""
    if (child := os.fork()) == 0:
        sys.stdout = sys.stderr = open(said, "a", buffering=1)  # noqa: SIM115
        if stop is not None:
            signal.signal(signal.SIGPROF, lambda *_: _send(stop))
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)  # 0 sets none; without a handler SIGPROF kills
        sys.argv = ["llark", *words]
        status = 70
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        finally:
            os._exit(status)
    _, ended, used = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(ended), used.ru_utime + used.ru_stime


def _send(stop: int) -> None:
    """Sends this process a signal, once the command has begun."""
    if signal.getsignal(signal.SIGTERM) is cli._terminate:
        os.kill(os.getpid(), stop)
    else:
        signal.setitimer(signal.ITIMER_PROF, 0.002)


def _contents(folder: Path) -> dict[str, object]:
    """What a run has made: bytes by path. Where parts begin and end, how fast the steps went, and checkpoints
    on the way may differ; of what a killed run leaves on its way nothing may be there."""
    contents: dict[str, object] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith("part-"):
            joined = path.with_name(f"parts{path.suffix}").relative_to(folder).as_posix()
            lines = path.read_bytes() if path.suffix == ".jsonl" else b""
            contents[joined] = bytes(contents.get(joined, b"")) + lines  # type: ignore[call-overload]
        elif path.name == loop.LOG:
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            contents[name] = [(row["step"], row["loss"], row["validation_loss"]) for row in rows]
        elif path.name == "report.html":
            contents[name] = re.sub(rb"data:audio/[^\"]+", b"", path.read_bytes())  # as those of .ogg
        elif path.suffix == ".ogg":
            contents[name] = audio.load(path)[0].tobytes()  # a stream's serial number is drawn anew
        elif not any(part.startswith("checkpoint-") for part in path.parts):
            contents[name] = path.read_bytes()
    return contents


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A whole build of a tiny model, in which every stage finds what it reads; and all runs flush whatever
    they have at once."""
    folder = tmp_path_factory.mktemp("kills")
    smoke.write_base("llama", folder / "base")
    (folder / "r.yaml").write_text(RECIPE.format(base=folder / "base"))
    (folder / "songs").mkdir()
    for n in range(10):
        times = np.arange(round((0.5 + n / 10) * 8000)) / 8000
        audio.save(folder / f"songs/{n}.wav", np.sin(2 * np.pi * (200 + n) * times).astype(np.float32), 8000)
    (folder / "songs/5.wav").write_bytes(b"RIFF no audio")
    Networks.shared()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "FIRST_FLUSH_SECONDS", 0.0)
        patch.setattr(stages, "FLUSH_SHARE", 0.0)
        patch.setattr(prepare_stage, "_FLUSH_RECORDS", 1)
        patch.setattr(loop, "SAVE_SECONDS", 0.0)
        patch.setattr(loop, "SAVE_SHARE", 1e9)
        status, _ = _forked(_words("build", folder, folder / "built"))
        assert status == 0
        yield folder


COMMANDS = {
    "prepare": "prepare {at}/songs --out {out} --convert wav --window-seconds 1 --workers 0",
    "corpus": "corpus {out} --clips 4 --source builtin --renderer midirenderer --workers 0",
    "annotate": "annotate {at}/songs --out {out} --workers 0",
    "instruct": "instruct {at}/built --out {out} --most 3",
    "embed": "embed {at}/built --out {out} --encoder mel",
    "train": "train {at}/r.yaml --data {at}/built --out {out}",
    "evaluate": "evaluate {at}/built --model {at}/built/model --out {out} --tasks key,tempo",
    "infer": "infer {at}/built/model --data {at}/built --out {out}/a.jsonl --most-tokens 4 --batch 2",
    "build": "build {at}/r.yaml --out {out} --workers 0",
}
"""Stage → its command."""


def _words(name: str, at: Path, out: Path) -> list[str]:
    return COMMANDS[name].format(at=at, out=out).split()


def _begin(name: str, at: Path, out: Path) -> None:
    """The folder that a run starts in. A build finds its corpus: two that are rendered alike differ in the
    serial numbers of their Ogg streams, and so in the fingerprints of their clips."""
    out.mkdir()
    if name == "build":
        shutil.copytree(at / "built/corpus", out / "corpus")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_stage_that_is_killed_again_and_again_gets_on_to_the_same_bytes(
    name: str, built: Path, tmp_path: Path
) -> None:
    out, random = tmp_path / "out", Random(name)
    words = _words(name, built, out)
    _begin(name, built, out)
    status, calm_seconds = _forked(words)
    assert status == 0
    calm = _contents(out)
    kills = runs = 0
    while kills < KILLS or runs == 0:
        shutil.rmtree(out)
        _begin(name, built, out)
        status = -signal.SIGPROF
        for _ in range(5 * KILLS):
            last = kills >= KILLS
            status, _ = _forked(words, 0.0 if last else max(0.001, random.uniform(0, calm_seconds)))
            if status != -signal.SIGPROF:
                break
            kills += 1
        assert status == 0
        runs += 1
        assert _contents(out) == calm


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "expected"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("name", ["prepare", "annotate", "embed", "instruct", "infer"])
def test_a_stage_that_is_asked_to_stop_keeps_what_is_done_and_says_how_to_go_on(
    name: str, stop: signal.Signals, expected: int, built: Path, tmp_path: Path
) -> None:
    out, said = tmp_path / "out", tmp_path / "said"
    words = _words(name, built, out)
    status, calm_seconds = _forked(words)
    assert status == 0
    calm, stopped = _contents(out), list[bool]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "FIRST_FLUSH_SECONDS", 1e9)  # nothing but the stop flushes
        for part in range(1, 10):
            shutil.rmtree(out)
            said.unlink(missing_ok=True)
            status, _ = _forked(words, calm_seconds * part / 10, stop, str(said))
            if status:
                assert status == expected
                assert said.read_text().endswith("llark: stopped, run again to go on\n")
                stopped.append(any(out.rglob("part-*")))
                assert _forked(words)[0] == 0
            assert _contents(out) == calm
    assert stopped
    assert any(stopped) or name not in ("annotate", "infer")  # the others have all at once
