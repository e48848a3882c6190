"""A stage's folder below a URL: in memory, and on a real S3 server of this machine."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from llark.errors import StoreMismatch, UserMustAct
from llark.records import Clip, Dropped, Embedding
from llark.storage import folders, stages
from llark.storage.embeddings import Embeddings


@pytest.fixture(params=["memory", "s3", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place of each kind."""
    name = uuid.uuid4().hex
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{name}"
    return f"memory://{name}" if request.param == "memory" else f"file://{tmp_path}/{name}"


@pytest.fixture(autouse=True)
def _quick_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(folders, "LEASE_SECONDS", 0.3)


def _clip(n: int) -> Clip:
    return Clip(f"{n}@0", str(n), f"/music/{n}.wav", 0.0, 25.0)


def _write(place: folders.Place, numbers: range, **options: float) -> dict[str, Any]:
    with stages.open_stage(place, "count", {"a": 1}, **options) as writer:  # type: ignore[arg-type]
        for n in numbers:
            if not writer.finished and str(n) not in writer.done:
                writer.write(str(n), [_clip(n)] if n % 5 else [Dropped(str(n), "count", "damaged", "x")])
        return writer.finish()


def test_a_folder_below_a_url_is_the_same_as_one_on_disk(place: str, tmp_path: Path) -> None:
    there, here = _write(place, range(20), flush_records=3), _write(tmp_path / "here", range(20))
    assert there == here == stages.about(place)
    assert list(stages.read(place, Clip)) == [_clip(n) for n in range(20) if n % 5]
    assert [drop.id for drop in stages.read_dropped(place)] == ["0", "5", "10", "15"]
    names = [f"part-0000{n}.jsonl" for n in range(7)]
    assert folders.folder(place).names() == ["about.json", "dropped.jsonl", *names]


def test_an_unfinished_folder_goes_on_and_another_plan_is_refused(place: str) -> None:
    with stages.open_stage(place, "count", {"a": 1}) as writer:
        writer.write("1", [_clip(1)])
    with pytest.raises(UserMustAct, match="is not finished; run its stage again"):
        stages.about(place)
    with pytest.raises(StoreMismatch, match="a: 1 there, 2 here"):
        stages.open_stage(place, "count", {"a": 2})
    with stages.open_stage(place, "count", {"a": 1}) as writer:
        assert writer.done == {"1"}
        writer.write("2", [_clip(2)])
        writer.finish()
    assert list(stages.read(place, Clip)) == [_clip(1), _clip(2)]
    assert stages.open_stage(place, "count", {"a": 1}).finished
    assert stages.open_stage(f"{place}-next", "next", inputs=[place]).finished is False
    with pytest.raises(UserMustAct, match=r"has no about\.json"):
        stages.about(f"{place}-nowhere")


def test_embeddings_below_a_url_are_read_one_by_one_also_in_another_process(place: str) -> None:
    made = {f"clip {n}": np.random.default_rng(n).standard_normal((9 - n, 4)) for n in range(5)}
    with stages.open_stage(place, "embed", flush_records=2) as writer:
        for id_, frames in made.items():
            writer.write(id_, [Embedding(id_, "mini", frames, 2.0)])
        writer.finish()
    read = Embeddings(place)
    for embeddings in (read, pickle.loads(pickle.dumps(read))):
        assert list(embeddings) == list(made)
        for id_, frames in made.items():
            assert np.array_equal(embeddings[id_].frames, frames.astype(np.float16))


def test_other_files_are_refused_and_left_alone(place: str) -> None:
    folders.folder(place).write("mine.txt", b"mine")
    with pytest.raises(StoreMismatch, match="holds other files"):
        stages.open_stage(place, "count")
    assert folders.folder(place).names() == ["mine.txt"]
    with pytest.raises(UserMustAct, match="is a file"):
        stages.open_stage(f"{place}/mine.txt", "count")


def test_two_processes_never_write_below_one_url(place: str) -> None:
    with stages.open_stage(place, "count"), pytest.raises(UserMustAct, match=r"Another process .*is writing"):
        stages.open_stage(place, "count")
    if folders.is_url(place):  # a closed one leaves no lease to wait for
        assert "lock" not in folders.folder(place).names("unfinished")
    stages.open_stage(place, "count").close()


def test_a_lease_that_a_kill_left_behind_is_taken_over_and_its_holder_notices() -> None:
    place = f"memory://{uuid.uuid4().hex}"
    slept = stages.open_stage(place, "count")
    slept._files._lease._ended.set()  # type: ignore[attr-defined]
    slept.write("1", [_clip(1)])
    with stages.open_stage(place, "count") as writer:
        writer.write("2", [_clip(2)])
        with pytest.raises(UserMustAct, match="has taken over"):
            slept.flush()
        writer.finish()
    slept.close()
    assert list(stages.read(place, Clip)) == [_clip(2)]


class _Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


def test_dying_before_any_object_is_put_costs_and_doubles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    system, put = fsspec.filesystem("memory"), 0
    real = type(system).pipe_file
    monkeypatch.setattr(folders, "BEAT_SECONDS", 60.0)  # no beat while puts are counted
    for last in range(1, 40):
        place, put = f"memory://{uuid.uuid4().hex}", 0

        def dies(self: Any, *args: Any, last: int = last, **options: Any) -> Any:
            nonlocal put
            if threading.current_thread() is not threading.main_thread():
                return real(self, *args, **options)  # the lease of an earlier test's writer
            put += 1
            if put == last:
                raise _Killed
            return real(self, *args, **options)

        died = False
        with monkeypatch.context() as patch:
            patch.setattr(type(system), "pipe_file", dies)
            try:
                _write(place, range(6), flush_records=2)
            except _Killed:
                died = True
        with contextlib.suppress(FileNotFoundError):
            system.rm(f"{place}/unfinished/lock")
        assert _write(place, range(6), flush_records=2)["counts"]["in"] == 6
        assert list(stages.read(place, Clip)) == [_clip(n) for n in (1, 2, 3, 4)]
        if not died:
            break
    assert last > 8


_ENDLESS = """
import sys
from llark.records import Clip
from llark.storage import folders, stages
folders.BEAT_SECONDS, folders.LEASE_SECONDS = 0.05, 0.3
with stages.open_stage(sys.argv[1], "count", {"a": 1}, flush_records=3) as writer:
    for n in range(3000):
        if str(n) not in writer.done:
            writer.write(str(n), [Clip(f"{n}@0", str(n), f"/music/{n}.wav", 0.0, 25.0)])
            print(n, flush=True)
"""


@pytest.mark.slow
def test_kill_9_while_it_writes_to_s3_neither_tears_nor_doubles_a_record(bucket: str) -> None:
    place = f"{bucket}/killed"
    for written in (4, 30):
        process = subprocess.Popen(
            [sys.executable, "-c", _ENDLESS, place], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert process.stdout is not None
        while int(process.stdout.readline()) < written:
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with stages.open_stage(place, "count", {"a": 1}) as writer:
        done = len(writer.done)
        assert 20 < done < 3000
        for n in range(done, done + 5):
            writer.write(str(n), [_clip(n)])
        writer.finish()
    assert list(stages.read(place, Clip)) == [_clip(n) for n in range(done + 5)]


def test_a_bucket_that_is_not_there_or_cannot_be_reached_is_one_sentence(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserMustAct, match=r"Cannot write to s3://nobody/x: "):
        stages.open_stage("s3://nobody/x", "count")
    s3 = fsspec.get_filesystem_class("s3")
    monkeypatch.setattr(s3, "cachable", False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UserMustAct, match=r"Cannot read s3://music/x: .*127\.0\.0\.1:9"):
        stages.about("s3://music/x")


def test_an_unknown_kind_of_url_and_a_missing_library_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UserMustAct, match=r"nonsense://x cannot be addressed.*Protocol not known: nonsense"):
        stages.about("nonsense://x")

    def missing(*_: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(UserMustAct, match=r"install llark\[remote\]"):
        stages.about("s3://music/x")


@pytest.mark.parametrize(
    ("given", "remote", "joined"),
    [
        ("s3://b/x", True, "s3://b/x/y"),
        (Path("s3://b/x"), True, "s3://b/x/y"),
        ("memory://x/", True, "memory://x/y"),
        ("file:///x", False, Path("/x/y")),
        ("/x", False, Path("/x/y")),
        ("x: a/b", False, Path("x: a/b/y")),
    ],
)
def test_a_place_is_a_path_or_a_url(given: folders.Place, remote: bool, joined: folders.Place) -> None:
    assert folders.is_url(given) == remote
    assert folders.join(given, "y") == joined
