"""A stage's folder: whole or not there, resumable after a kill, and never a mix."""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from llark.errors import StoreMismatch, UserMustAct
from llark.records import Clip, Dropped, Embedding
from llark.storage import stages
from llark.storage.embeddings import Embeddings


def _clip(number: int, part: int = 0) -> Clip:
    return Clip(f"{number}@{part}", str(number), f"/music/{number}.wav", part * 25.0, part * 25.0 + 25.0)


def _embedding(id_: str, frames: np.ndarray) -> Embedding:
    return Embedding(id_, "mini", frames, 2.0)


def _write_numbers(folder: Path, numbers: range, **options: float) -> dict[str, object]:
    with stages.open_stage(folder, "count", {"a": 1}, **options) as writer:  # type: ignore[arg-type]
        for number in numbers:
            if str(number) not in writer.done:
                writer.write(str(number), [_clip(number, 0), _clip(number, 1)])
        return writer.finish()


def test_records_come_back_in_the_order_they_were_written(tmp_path: Path) -> None:
    _write_numbers(tmp_path / "s", range(7), flush_records=3)
    assert list(stages.read(tmp_path / "s", Clip)) == [_clip(n, part) for n in range(7) for part in (0, 1)]
    names = sorted(path.name for path in (tmp_path / "s").iterdir())
    assert names == ["about.json", "dropped.jsonl"] + [f"part-0000{n}.jsonl" for n in range(3)]


def test_about_counts_what_went_in_came_out_and_was_dropped_and_why(tmp_path: Path) -> None:
    with stages.open_stage(tmp_path / "s", "count", {"a": 1}) as writer:
        writer.write("1", [_clip(1)])
        writer.write("2", [Dropped("2", "count", "damaged", "x"), Dropped("2b", "count", "damaged", "y")])
        writer.write("3", [_clip(3), Dropped("3@1", "count", "too-short", "z")])
        writer.write("4", [])
        writer.finish()
    page = stages.about(tmp_path / "s")
    assert page["counts"] == {"in": 4, "out": 2, "dropped": {"damaged": 2, "too-short": 1}}
    assert (page["stage"], page["config"], page["inputs"]) == ("count", {"a": 1}, [])
    assert page["versions"]["numpy"] == np.__version__
    assert [drop.id for drop in stages.read_dropped(tmp_path / "s")] == ["2", "2b", "3@1"]


def test_about_is_the_same_wherever_the_parts_begin_and_end(tmp_path: Path) -> None:
    assert _write_numbers(tmp_path / "a", range(20), flush_records=3) == _write_numbers(
        tmp_path / "b", range(20)
    )


def test_a_configuration_may_hold_the_name_of_a_file_that_is_no_text(tmp_path: Path) -> None:
    config = {"source": "caf\udce9"}
    with stages.open_stage(tmp_path / "s", "count", config) as writer:
        assert stages.plan_of(tmp_path / "s")["config"] == config  # type: ignore[index]
        writer.finish()
    assert stages.about(tmp_path / "s")["config"] == config
    assert stages.open_stage(tmp_path / "s", "count", config).finished


def test_strange_ids_survive(tmp_path: Path) -> None:
    ids = ["a/b c", "ünï", "line\u2028break", "tab\tnew\nline", '"quoted"', "x\x85y"]
    with stages.open_stage(tmp_path / "s", "embed") as writer:
        for id_ in ids:
            writer.write(id_, [_embedding(id_, np.ones((2, 3)))])
        writer.finish()
    assert list(Embeddings(tmp_path / "s")) == ids


def test_embeddings_come_back_by_id_as_float16_also_in_another_process(tmp_path: Path) -> None:
    made = {
        f"clip {n}": np.random.default_rng(n).standard_normal((50 - n, 8)).astype(np.float32)
        for n in range(9)
    }
    with stages.open_stage(tmp_path / "s", "embed", flush_records=4) as writer:
        for id_, frames in made.items():
            writer.write(id_, [_embedding(id_, frames)])
        writer.finish()
    read = Embeddings(tmp_path / "s")
    assert list(read) == list(made)
    assert read.shape("clip 3") == (47, 8)
    for embeddings in (read, pickle.loads(pickle.dumps(read))):
        for id_, frames in made.items():
            heard = embeddings[id_]
            assert np.array_equal(heard.frames, frames.astype(np.float16))
            assert (heard.encoder, heard.frames_per_second) == ("mini", 2.0)
    with pytest.raises(KeyError):
        read["nobody"]


@pytest.mark.parametrize("value", [np.nan, 1e6])
def test_frames_that_float16_cannot_hold_are_dropped_and_counted(tmp_path: Path, value: float) -> None:
    with stages.open_stage(tmp_path / "s", "embed") as writer:
        writer.write("good", [_embedding("good", np.ones((2, 2)))])
        writer.write("bad", [_embedding("bad", np.full((2, 2), value))])
        writer.finish()
    assert list(Embeddings(tmp_path / "s")) == ["good"]
    assert stages.about(tmp_path / "s")["counts"]["dropped"] == {"not-finite": 1}


def test_an_input_is_written_once(tmp_path: Path) -> None:
    with stages.open_stage(tmp_path / "s", "count") as writer:
        writer.write("1", [_clip(1)])
        with pytest.raises(ValueError, match="already"):
            writer.write("1", [_clip(1)])


# --- resuming ---------------------------------------------------------------------------------------------


def test_a_finished_folder_is_left_alone(tmp_path: Path) -> None:
    _write_numbers(tmp_path / "s", range(3))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").iterdir()}
    with stages.open_stage(tmp_path / "s", "count", {"a": 1}) as writer:
        assert writer.finished
        assert writer.finish() == stages.about(tmp_path / "s")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "s").iterdir()} == before


def test_an_unfinished_folder_is_not_read_and_goes_on(tmp_path: Path) -> None:
    with stages.open_stage(tmp_path / "s", "count", {"a": 1}) as writer:
        writer.write("0", [_clip(0, 0), _clip(0, 1)])
        writer.write("1", [Dropped("1", "count", "damaged", "x")])
    with pytest.raises(UserMustAct, match="is not finished"):
        list(stages.read(tmp_path / "s", Clip))
    with stages.open_stage(tmp_path / "s", "count", {"a": 1}) as writer:
        assert writer.done == {"0", "1"}
        writer.write("2", [_clip(2)])
        writer.finish()
    assert [clip.id for clip in stages.read(tmp_path / "s", Clip)] == ["0@0", "0@1", "2@0"]


def test_drops_whose_cause_may_be_gone_are_tried_again(tmp_path: Path) -> None:
    reasons = ("error:KeyError", "timeout", "worker-killed", "damaged")
    with stages.open_stage(tmp_path / "s", "count") as writer:
        writer.write("whole", [_clip(0)])
        for reason in reasons:
            writer.write(reason, [Dropped(reason, "count", reason, "x")])
    with stages.open_stage(tmp_path / "s", "count") as writer:
        assert writer.done == {"whole", "damaged"}
        writer.write("timeout", [_clip(1)])
        writer.write("worker-killed", [Dropped("worker-killed", "count", "worker-killed", "again")])
        writer.write("error:KeyError", [])
        writer.finish()
    counts = stages.about(tmp_path / "s")["counts"]
    assert counts == {"in": 5, "out": 2, "dropped": {"damaged": 1, "worker-killed": 1}}


def test_where_all_was_dropped_all_is_tried_again(tmp_path: Path) -> None:
    with stages.open_stage(tmp_path / "s", "count") as writer:
        writer.write("0", [Dropped("0", "count", "damaged", "x")])
    with stages.open_stage(tmp_path / "s", "count") as writer:
        assert writer.done == set()


class _Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


@contextmanager
def _dies_at(monkeypatch: pytest.MonkeyPatch, function: str, call: int) -> Iterator[None]:
    """The process ends just before the nth call of a function of `os`."""
    real, calls = getattr(os, function), 0

    def counted(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            raise _Killed
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(f"llark.storage.folders.os.{function}", counted)
        yield


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_dying_at_any_step_of_writing_costs_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    died = 0
    for call in range(1, 60):
        folder = tmp_path / f"{function}{call}"
        writer = None
        try:
            with _dies_at(monkeypatch, function, call):
                writer = stages.open_stage(folder, "embed", flush_records=2)
                for n in range(5):
                    writer.write(str(n), [_embedding(str(n), np.full((2, 2), n))])
                writer.finish()
        except _Killed:
            died += 1
            if writer is not None:
                writer.close()
        with stages.open_stage(folder, "embed", flush_records=2) as writer:
            for n in range(5):
                if not writer.finished and str(n) not in writer.done:
                    writer.write(str(n), [_embedding(str(n), np.full((2, 2), n))])
            writer.finish()
        read = Embeddings(folder)
        assert [(id_, float(read[id_].frames[0, 0])) for id_ in read] == [(str(n), n) for n in range(5)]
        assert stages.about(folder)["counts"]["in"] == 5
        assert not [path for path in folder.rglob("*") if path.suffix == ".tmp"]
        if writer.finished and died < call:
            break
    assert died == call - 1 > 10


_ENDLESS = """
import sys, time
from llark.records import Clip
from llark.storage import stages
with stages.open_stage(sys.argv[1], "count", flush_records=3) as writer:
    print("started", flush=True)
    for n in range(3000):
        if str(n) not in writer.done:
            writer.write(str(n), [Clip(str(n), "t", "p" * 500, 0.0, 1.0)])
            time.sleep(0.002)
    writer.finish()
"""


def test_kill_9_at_any_moment_neither_tears_nor_doubles_a_record(tmp_path: Path) -> None:
    for seconds in (0.0, 0.013, 0.029, 0.051):
        parts = len(list(tmp_path.glob("s/part-*")))
        process = subprocess.Popen(
            [sys.executable, "-c", _ENDLESS, str(tmp_path / "s")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        while len(list(tmp_path.glob("s/part-*"))) <= parts:
            time.sleep(0.001)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with stages.open_stage(tmp_path / "s", "count", flush_records=1000) as writer:
        assert 0 < len(writer.done) < 3000
        for n in range(3000):
            if str(n) not in writer.done:
                writer.write(str(n), [Clip(str(n), "t", "p", 0.0, 1.0)])
        writer.finish()
    assert [clip.id for clip in stages.read(tmp_path / "s", Clip)] == [str(n) for n in range(3000)]


def test_two_processes_never_write_to_one_folder(tmp_path: Path) -> None:
    with (
        stages.open_stage(tmp_path / "s", "count"),
        pytest.raises(UserMustAct, match="Another process is writing"),
    ):
        stages.open_stage(tmp_path / "s", "count")
    stages.open_stage(tmp_path / "s", "count").close()


# --- refusals ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Config:
    window_seconds: float = 25.0
    words: tuple[str, ...] = ("a", "b")


@pytest.mark.parametrize("finished", [True, False])
def test_another_configuration_is_refused_and_the_difference_named(tmp_path: Path, finished: bool) -> None:
    with stages.open_stage(tmp_path / "s", "crop", _Config()) as writer:
        if finished:
            writer.finish()
    stages.open_stage(tmp_path / "s", "crop", _Config()).close()
    with pytest.raises(StoreMismatch, match=r"window_seconds: 25\.0 there, 30\.0 here"):
        stages.open_stage(tmp_path / "s", "crop", _Config(window_seconds=30.0))
    with pytest.raises(StoreMismatch, match="holds the output of crop, not of embed"):
        stages.open_stage(tmp_path / "s", "embed", _Config())


def test_another_input_is_refused(tmp_path: Path) -> None:
    _write_numbers(tmp_path / "in", range(3))
    with stages.open_stage(tmp_path / "out", "next", inputs=[tmp_path / "in"]) as writer:
        writer.finish()
    stages.open_stage(tmp_path / "out", "next", inputs=[tmp_path / "in"]).close()
    _write_numbers(tmp_path / "in2", range(4))
    with pytest.raises(StoreMismatch, match="made from other input"):
        stages.open_stage(tmp_path / "out", "next", inputs=[tmp_path / "in2"])


def test_an_input_made_again_in_the_same_way_is_the_same_input(tmp_path: Path) -> None:
    _write_numbers(tmp_path / "in", range(9), flush_records=2)
    _write_numbers(tmp_path / "again", range(9), flush_records=4)
    with stages.open_stage(tmp_path / "out", "next", inputs=[tmp_path / "in"]) as writer:
        writer.finish()
    assert stages.open_stage(tmp_path / "out", "next", inputs=[tmp_path / "again"]).finished


def test_an_unfinished_input_is_refused(tmp_path: Path) -> None:
    stages.open_stage(tmp_path / "in", "count").close()
    with pytest.raises(UserMustAct, match="is not finished"):
        stages.open_stage(tmp_path / "out", "next", inputs=[tmp_path / "in"])
    with pytest.raises(UserMustAct, match=r"has no about\.json"):
        stages.open_stage(tmp_path / "out", "next", inputs=[tmp_path / "nowhere"])


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "part-00000.jsonl").write_text("mine")
    with pytest.raises(StoreMismatch, match="holds other files"):
        stages.open_stage(tmp_path, "count")
    assert [path.name for path in tmp_path.iterdir()] == ["part-00000.jsonl"]
    with pytest.raises(UserMustAct, match="is a file"):
        stages.open_stage(tmp_path / "part-00000.jsonl", "count")


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    _write_numbers(tmp_path / "s", range(2))
    part = tmp_path / "s" / "part-00000.jsonl"
    part.write_text(part.read_text() + '{"id": 3}\n')
    with pytest.raises(UserMustAct, match=r"part-00000\.jsonl, line 5, is no Clip"):
        list(stages.read(tmp_path / "s", Clip))


def test_a_full_disk_is_one_sentence_and_nothing_half_written(tmp_path: Path) -> None:
    def fill(writer: stages.StageWriter) -> None:
        with writer:
            for n in range(100):
                writer.write(str(n), [Clip(str(n), "t", "p" * n * 10, 0.0, 1.0)])

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = stages.open_stage(tmp_path / "s", "count", flush_records=10)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(UserMustAct, match=r"Cannot write to .*: File too large"):
            fill(writer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "s").rglob("*.tmp"))
    with stages.open_stage(tmp_path / "s", "count") as writer:
        done = sorted(writer.done, key=int)
        assert done == [str(n) for n in range(len(done))]
        assert 0 < len(done) < 100
        writer.finish()
    assert [clip.id for clip in stages.read(tmp_path / "s", Clip)] == done


def test_a_folder_that_may_not_be_made_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserMustAct, match=r"Cannot write to .*: Permission denied"):
        stages.open_stage(tmp_path / "s", "count")


def test_the_files_are_plain_json_lines(tmp_path: Path) -> None:
    _write_numbers(tmp_path / "s", range(1))
    first = json.loads((tmp_path / "s" / "part-00000.jsonl").read_text().splitlines()[0])
    assert first["id"] == "0@0"
    assert first["end_seconds"] == 25.0
