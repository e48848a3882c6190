"""Steps over records: what goes wrong with one record costs that record."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from llark import engine
from llark.errors import BadAudio, UserMustAct
from llark.records import Clip, Dropped, Track
from llark.storage import stages


@dataclass
class Halve:
    """Step: a track becomes two clips; some ids ask for trouble."""

    trouble: tuple[str, ...] = ()
    name: str = "halve"
    opened: bool = False

    def id_of(self, record: Track) -> str:
        return record.id

    def open(self) -> None:
        self.opened = True
        if "open" in self.trouble:
            raise RuntimeError("no weights")
        if "extra" in self.trouble:
            raise UserMustAct("install llark[extra]")
        if "slow-open" in self.trouble:
            time.sleep(4)
        if "die-in-open" in self.trouble:
            os._exit(1)

    def __call__(self, record: Track) -> Iterator[Clip | Dropped]:
        assert self.opened
        time.sleep(0.002 * (hash(record.title) % 5))
        yield Clip(f"{record.id}a", record.id, record.path, 0.0, 1.0)
        if record.id in self.trouble:
            self._make_trouble(record)
        yield Clip(f"{record.id}b", record.id, record.path, 1.0, 2.0)

    def _make_trouble(self, record: Track) -> None:
        match record.title:
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exits":
                os._exit(3)
            case "killed once" | "hangs once" as trouble:
                if not Path(record.path).exists():
                    Path(record.path).touch()
                    os._exit(9) if trouble == "killed once" else time.sleep(600)
            case "hangs":
                time.sleep(600)
            case "damaged":
                raise BadAudio("damaged", "there is a hole in it")
            case "asks":
                raise UserMustAct("set a key")
            case _:
                raise KeyError("no such chord")


def _tracks(count: int, **titles: str) -> list[Track]:
    named = {id_.removeprefix("t"): title for id_, title in titles.items()}
    return [Track(str(n), f"/{n}.wav", title=named.get(str(n))) for n in range(count)]


def _run(folder: Path, step: Halve, tracks: list[Track], **options: float) -> dict[str, object]:
    engine.run(step, tracks, stages.open_stage(folder, "halve"), progress=False, **options)  # type: ignore[arg-type]
    return stages.about(folder)["counts"]  # type: ignore[no-any-return]


def test_workers_change_neither_the_records_nor_their_order(tmp_path: Path) -> None:
    step, tracks = Halve(("7",)), _tracks(60, t7="damaged")
    _run(tmp_path / "alone", step, tracks)
    _run(tmp_path / "three", step, tracks, workers=3)
    alone, three = list(stages.read(tmp_path / "alone", Clip)), list(stages.read(tmp_path / "three", Clip))
    assert alone == three
    assert len(alone) == 118
    assert (tmp_path / "alone/about.json").read_bytes() == (tmp_path / "three/about.json").read_bytes()


def test_bad_audio_is_dropped_with_its_reason_and_other_errors_with_their_type(tmp_path: Path) -> None:
    counts = _run(tmp_path / "s", Halve(("3", "5")), _tracks(8, t3="damaged"))
    assert counts == {"in": 8, "out": 12, "dropped": {"damaged": 1, "error:KeyError": 1}}
    first, second = stages.read_dropped(tmp_path / "s")
    assert first == Dropped("3", "halve", "damaged", "there is a hole in it")
    assert second == Dropped("5", "halve", "error:KeyError", "'no such chord'")


def test_killed_and_hanging_workers_cost_their_record_only(tmp_path: Path) -> None:
    tracks = _tracks(40, t3="killed", t9="hangs", t20="exits", t21="asks not")
    counts = _run(tmp_path / "s", Halve(("3", "9", "20", "21")), tracks, workers=2, timeout_seconds=3)
    assert counts == {"in": 40, "out": 72, "dropped": {"error:KeyError": 1, "timeout": 1, "worker-killed": 2}}
    drops = {drop.id: drop.detail for drop in stages.read_dropped(tmp_path / "s")}
    assert "SIGKILL" in drops["3"]
    assert "longer than 3 s" in drops["9"]
    assert "exit status 3" in drops["20"]


def test_a_record_whose_worker_was_killed_or_too_slow_is_tried_once_more_and_keeps_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    titles = {3: "killed once", 9: "hangs once", 12: "killed"}
    tracks = [Track(str(n), str(tmp_path / f"{n}.wav"), title=titles.get(n)) for n in range(20)]
    step, writer = Halve(("3", "9", "12")), stages.open_stage(tmp_path / "s", "halve")
    engine.run(step, tracks, writer, workers=2, timeout_seconds=3)
    kept = [clip.track_id for clip in stages.read(tmp_path / "s", Clip)][::2]
    assert kept == [str(n) for n in range(20) if n != 12]
    assert [(drop.id, drop.reason) for drop in stages.read_dropped(tmp_path / "s")] == [
        ("12", "worker-killed")
    ]
    said = "records were dropped for causes that may pass: worker-killed 1×. To try them again, run it into"
    assert said in capsys.readouterr().err


@dataclass
class Watched(Halve):
    """Step: notes in a folder which records are worked on; the second try of `3` says which others are."""

    folder: Path = Path()

    def __call__(self, record: Track) -> Iterator[Clip | Dropped]:
        mine = self.folder / record.id
        again = mine.exists()
        mine.touch()
        time.sleep(0.05)
        if record.id == "3" and not again:
            os._exit(9)
        others = sorted(path.name for path in self.folder.iterdir() if path != mine)
        mine.unlink()
        yield Clip(record.id, " ".join(others) if again else "", record.path, 0.0, 1.0)


def test_the_second_try_is_made_while_no_other_record_is_worked_on(tmp_path: Path) -> None:
    (tmp_path / "now").mkdir()
    _run(tmp_path / "s", Watched(folder=tmp_path / "now"), _tracks(30), workers=3)  # type: ignore[arg-type]
    clips = {clip.id: clip.track_id for clip in stages.read(tmp_path / "s", Clip)}
    assert (len(clips), clips["3"]) == (30, "")


@pytest.mark.slow
def test_a_worker_that_is_slow_to_start_has_the_whole_limit_for_its_first_record(tmp_path: Path) -> None:
    counts = _run(tmp_path / "s", Halve(("slow-open",)), _tracks(4), workers=2, timeout_seconds=3)
    assert counts == {"in": 4, "out": 8, "dropped": {}}


def test_a_worker_that_is_killed_between_two_records_costs_none() -> None:
    workers = engine._Workers(Halve(), 1, None)
    first, second = _tracks(2)
    assert len(workers.outputs_of(first)) == 2
    pid = workers._processes[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait([workers._processes[0].sentinel])
    assert [one.id for one in workers.outputs_of(second)] == ["1a", "1b"]  # type: ignore[attr-defined]
    workers.kill()


def test_no_worker_outlives_a_run_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    writer = stages.open_stage(tmp_path / "s", "halve")
    monkeypatch.setattr(writer, "write", full)
    with pytest.raises(OSError, match="no space") as caught:
        engine.run(Halve(("3",)), _tracks(4, t3="hangs"), writer, workers=2, progress=False)
    assert multiprocessing.active_children() == []
    assert caught.tb is not None


def test_what_cannot_be_sent_between_processes_is_dropped_with_its_reason(tmp_path: Path) -> None:
    tracks = [Track("0", "/0.wav"), Track("1", lambda: None), Track("2", "/2.wav")]  # type: ignore[arg-type]
    counts = _run(tmp_path / "s", Halve(), tracks, workers=1)
    assert (counts["in"], counts["out"]) == (3, 4)
    (drop,) = stages.read_dropped(tmp_path / "s")
    assert (drop.id, drop.detail[:36]) == ("1", "It cannot be sent between processes:")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_step_that_needs_a_person_stops_the_run_and_what_was_done_is_kept(
    tmp_path: Path, workers: int
) -> None:
    tracks = _tracks(30, t10="asks")
    with pytest.raises(UserMustAct, match="set a key"):
        _run(tmp_path / "s", Halve(("10",)), tracks, workers=workers)
    with stages.open_stage(tmp_path / "s", "halve") as writer:
        assert writer.done == {str(n) for n in range(10)}
    _run(tmp_path / "s", Halve(), tracks)
    assert [clip.id for clip in stages.read(tmp_path / "s", Clip)][:22:2] == [f"{n}a" for n in range(11)]


@pytest.mark.parametrize(
    ("trouble", "words"), [("extra", "install llark"), ("open", "could not start.*no weights")]
)
def test_workers_that_cannot_open_stop_the_run_with_the_reason(
    tmp_path: Path, trouble: str, words: str
) -> None:
    with pytest.raises(UserMustAct, match=words):
        _run(tmp_path / "s", Halve((trouble,)), _tracks(5), workers=2)


def test_workers_that_die_before_they_start_do_not_keep_the_run_waiting(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="end before they start"):
        _run(tmp_path / "s", Halve(("die-in-open",)), _tracks(5), workers=1)


def test_a_run_stops_when_most_records_are_dropped_and_can_go_on(tmp_path: Path) -> None:
    trouble = tuple(str(n) for n in range(5, 60))
    with pytest.raises(
        UserMustAct, match=r"halve stopped: 15 of 20 records were dropped \(error:KeyError 15×\)"
    ):
        _run(tmp_path / "s", Halve(trouble), _tracks(60))
    counts = _run(tmp_path / "s", Halve(), _tracks(60))
    assert counts == {"in": 60, "out": 120, "dropped": {}}


def test_the_share_of_drops_that_stops_a_run_can_be_set(tmp_path: Path) -> None:
    counts = _run(tmp_path / "s", Halve(tuple(str(n) for n in range(60))), _tracks(60), drop_share=1.0)
    assert counts == {"in": 60, "out": 0, "dropped": {"error:KeyError": 60}}


@pytest.mark.parametrize("title", ["damaged", "no chord"])
def test_a_run_that_loses_all_is_an_error_and_the_next_one_tries_all_of_it_again(
    tmp_path: Path, title: str
) -> None:
    tracks = _tracks(2, t0=title, t1=title)
    with pytest.raises(UserMustAct, match=r"halve stopped: 2 of 2 records were dropped .*The last: "):
        _run(tmp_path / "s", Halve(("0", "1")), tracks)
    assert not (tmp_path / "s" / "about.json").exists()
    assert _run(tmp_path / "s", Halve(("0",)), tracks)["out"] == 2
    assert [drop.id for drop in stages.read_dropped(tmp_path / "s")] == ["0"]


def test_a_finished_folder_is_not_even_opened(tmp_path: Path) -> None:
    _run(tmp_path / "s", Halve(), _tracks(3))
    step = Halve()
    tally = engine.run(step, _tracks(3), stages.open_stage(tmp_path / "s", "halve"), progress=False)
    assert not step.opened
    assert tally.inputs == 0


def test_two_records_with_one_id_are_an_error_in_our_code(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="two records with the id 1"):
        _run(tmp_path / "s", Halve(), [*_tracks(2), Track("1", "/other.wav")])


def test_a_time_limit_needs_workers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs workers"):
        _run(tmp_path / "s", Halve(), _tracks(2), timeout_seconds=1.0)


def test_progress_without_a_terminal_is_a_plain_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step, writer = Halve(("2",)), stages.open_stage(tmp_path / "s", "halve")
    engine.run(step, _tracks(4), writer, total=4)
    line = capsys.readouterr().err.strip()
    assert line.startswith("halve: 4 of 4, 1 dropped, ")
    assert json.dumps(line).isascii()
