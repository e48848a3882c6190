"""What can happen to a run from outside: a kill, a full disk, a permission taken away."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from llark import audio
from llark.errors import BadAudio, UserMustAct
from llark.records import Clip
from llark.storage import folders, stages

_RUN = """
import sys, time
from dataclasses import dataclass
from llark import engine
from llark.errors import BadAudio
from llark.records import Clip, Track
from llark.storage import folders, stages

@dataclass(frozen=True)
class Slow:
    name: str = "slow"
    def id_of(self, record): return record.id
    def open(self): print("open", flush=True)
    def __call__(self, record):
        time.sleep(0.004)
        if int(record.id) % 9 == 4:
            raise BadAudio("damaged", "a hole")
        yield Clip(record.id, record.id, "x" * 300, 0.0, 1.0)

if __name__ == "__main__":
    tracks = [Track(str(n), "x") for n in range(120)]
    writer = stages.open_stage(sys.argv[1], "slow", flush_records=7)
    engine.run(Slow(), tracks, writer, workers=int(sys.argv[2]), progress=False)
"""


def _start(script: Path, out: Path, workers: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(script), str(out), str(workers)], stdout=subprocess.PIPE, text=True
    )


def _contents(folder: Path) -> tuple[bytes, bytes, bytes]:
    parts = sorted(folder.glob("part-*.jsonl"))
    about = (folder / "about.json").read_bytes()
    return about, b"".join(part.read_bytes() for part in parts), (folder / "dropped.jsonl").read_bytes()


@pytest.mark.slow
def test_a_run_killed_at_any_moment_and_run_again_is_the_same_to_the_byte(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(_RUN)
    assert _start(script, tmp_path / "calm", 0).wait() == 0
    calm = _contents(tmp_path / "calm")
    interrupted = 0
    for seed in range(10):
        out = tmp_path / f"killed{seed}"
        process = _start(script, out, workers=int(seed in (3, 7)))
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(Random(seed).uniform(0.0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        interrupted += not (out / "about.json").exists()
        assert _start(script, out, 0).wait() == 0
        assert _contents(out) == calm
    assert interrupted >= 5


def test_workers_end_when_the_run_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(_RUN.replace("0.004", "0.2"))
    process = _start(script, tmp_path / "s", 1)
    assert process.stdout is not None
    process.stdout.readline()
    threads = Path(f"/proc/{process.pid}/task")
    children = [child for path in threads.glob("*/children") for child in path.read_text().split()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 120
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children
    assert [child for child in children if Path(f"/proc/{child}").exists()] == []


def _fill(folder: Path, upset: Callable[[int], object] = lambda n: None) -> None:
    with stages.open_stage(folder, "count", flush_records=10) as writer:
        for n in range(100):
            if str(n) not in writer.done:
                upset(n)
                writer.write(str(n), [Clip(str(n), "t", "p" * 1000, 0.0, 1.0)])
        writer.finish()


def _goes_on(folder: Path) -> None:
    """The folder holds whole parts only, and a second run makes it the same as a calm one."""
    with stages.open_stage(folder, "count") as writer:
        assert sorted(writer.done, key=int) == [str(n) for n in range(len(writer.done))]
        assert 0 < len(writer.done) < 100
    _fill(folder)
    assert [clip.id for clip in stages.read(folder, Clip)] == [str(n) for n in range(100)]
    assert [path for path in folder.rglob("*") if path.name.endswith(".tmp")] == []


def test_a_disk_that_fills_up_stops_with_a_sentence_and_the_run_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, real = 0, os.fsync

    def full(descriptor: int) -> None:
        nonlocal written
        written += os.fstat(descriptor).st_size
        if written > 60_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("llark.storage.folders.os.fsync", full)
        with pytest.raises(UserMustAct, match=r"Cannot write to .*: No space left on device\. What was"):
            _fill(tmp_path / "s")
    _goes_on(tmp_path / "s")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 128 KB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = shutil.which("mount") and os.geteuid() == 0
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    if not made or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_real_disk_that_is_full_stops_with_a_sentence_and_the_run_goes_on_later(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(60_000))
    with pytest.raises(UserMustAct, match="No space left on device"):
        _fill(small_disk / "s")
    ballast.unlink()
    with stages.open_stage(small_disk / "s", "count") as writer:
        assert 0 < len(writer.done) < 100
        writer.finish()
    kept = [clip.id for clip in stages.read(small_disk / "s", Clip)]
    assert kept == [str(n) for n in range(len(kept))]


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    """A folder outside of this user's own; work is done there without root's rights."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        subprocess.run(["chmod", "-R", "u+rwx", str(folder)], check=True)
        shutil.rmtree(folder)


@pytest.mark.parametrize("where", ["s", "s/unfinished"])
def test_a_permission_taken_away_stops_with_a_sentence_and_the_run_goes_on_later(
    nobodys_folder: Path, where: str
) -> None:
    def revoke(n: int) -> None:
        if n == 35:
            (nobodys_folder / where).chmod(0o555)

    with pytest.raises(UserMustAct, match=r"Cannot write to .*: Permission denied"):
        _fill(nobodys_folder / "s", revoke)
    (nobodys_folder / where).chmod(0o755)
    _goes_on(nobodys_folder / "s")


def test_a_recording_that_may_not_be_read_is_missing(nobodys_folder: Path) -> None:
    path = nobodys_folder / "secret.wav"
    audio.save(path, np.zeros(44100), 44100)
    path.chmod(0)
    for read in (audio.load, audio.probe):
        with pytest.raises(BadAudio, match="may not be read by this user") as caught:
            read(path)
        assert caught.value.reason == "missing"


def test_a_store_that_fails_while_it_is_read_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(tmp_path / "s")

    def broken(self: Any) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(UserMustAct, match=r"Cannot read .*: Input/output error\."):
        list(stages.read(tmp_path / "s", Clip))


# --- folders whose bytes have changed since --------------------------------------------------------------


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a line twice": lambda data: data + data.splitlines(keepends=True)[0],
    "a line less": lambda data: b"".join(data.splitlines(keepends=True)[1:]),
    "another number": lambda data: data.replace(b'"end_seconds":1.0', b'"end_seconds":2.0', 1),
    "zeros": lambda data: data[:100] + bytes(50) + data[150:],
    "a zip file": lambda data: b"PK\x03\x04" + data,
    "deep JSON": lambda data: b"[" * 200_000,
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_records_that_are_not_those_that_were_written_are_refused_in_one_sentence(
    tmp_path: Path, damage: str
) -> None:
    _fill(tmp_path / "s")
    part = tmp_path / "s" / "part-00003.jsonl"
    whole = part.read_bytes()
    part.write_bytes(DAMAGE[damage](whole))
    assert part.read_bytes() != whole
    with pytest.raises(
        UserMustAct, match=r"not those that were written|part-00003\.jsonl, line \d+, is no Clip"
    ):
        list(stages.read(tmp_path / "s", Clip))


@pytest.mark.parametrize(
    "page",
    [b"", b"null", b"[" * 200_000, b"{}", b'{"stage": 1e999}', b"PK\x03\x04", b"\x80\x04K\x01.", b"1" * 9999],
)
@pytest.mark.parametrize("finished", [True, False])
def test_a_page_that_says_no_sense_of_its_folder_is_one_sentence(
    tmp_path: Path, page: bytes, finished: bool
) -> None:
    with stages.open_stage(tmp_path / "s", "count") as writer:
        if finished:
            writer.finish()
    path = tmp_path / "s" / ("about.json" if finished else "unfinished/begun.json")
    path.write_bytes(page)
    for read in (stages.plan_of, lambda folder: stages.open_stage(folder, "count")):
        with pytest.raises(UserMustAct, match=path.name):
            read(tmp_path / "s")


def test_a_changed_value_in_about_json_is_found_and_a_page_of_an_older_release_is_read(
    tmp_path: Path,
) -> None:
    _fill(tmp_path / "s")
    about = tmp_path / "s" / "about.json"
    page = json.loads(about.read_text())
    about.write_text(json.dumps({**page, "counts": {**page["counts"], "in": 99}}))
    with pytest.raises(UserMustAct, match=r"its about\.json is not as it was written"):
        stages.about(tmp_path / "s")
    about.write_text(
        json.dumps({name: page[name] for name in page if name not in ("own_sha256", "dropped_sha256")})
    )
    assert len(list(stages.read(tmp_path / "s", Clip))) == 100


def test_what_a_kill_after_about_json_leaves_is_cleaned_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(folders._LocalFolder, "delete", lambda *_: None)
        _fill(tmp_path / "s")
    assert (tmp_path / "s" / "unfinished").is_dir()
    assert stages.open_stage(tmp_path / "s", "count").finished
    assert not (tmp_path / "s" / "unfinished").exists()


def test_a_run_that_is_killed_every_few_seconds_gets_on_and_an_old_one_flushes_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(stages.time, "monotonic", lambda: now)
    flushed = []
    with stages.open_stage(tmp_path / "s", "count", flush_records=10**9) as writer:
        for second in range(1800):
            now = float(second)
            writer.write(str(second), [])
            if len(list((tmp_path / "s/unfinished").glob("part-*"))) > len(flushed):
                flushed.append(second)
    gaps = np.diff([0, *flushed])
    assert flushed[0] <= 6
    assert gaps[-2] == 60
    assert len(flushed) < 60


def test_a_device_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.write_text("x")
    with pytest.raises(UserMustAct, match="/dev/null is neither a file nor a folder"):
        folders.replace(made, Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("size", [0, 1, 8, 100_000, 600_000])
def test_a_checksum_finds_zeros_cut_ends_and_exchanged_blocks(tmp_path: Path, size: int) -> None:
    path, data = tmp_path / "x", np.random.default_rng(0).integers(1, 256, size, np.uint8).tobytes()
    path.write_bytes(data)
    whole, half = folders.checksum(path), size // 2
    others = [data + b"\0", data[:-1], data[:half] + bytes(9) + data[half + 9 :]]
    if size > 200_000:
        others.append(data[65536:131072] + data[:65536] + data[131072:])
    for other in others:
        if other != data:
            path.write_bytes(other)
            assert folders.checksum(path) != whole
