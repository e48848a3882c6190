"""Runs a step over records: in this process, or on local processes that may hang, crash or be killed.

What a record becomes depends on the record alone, and results are stored in the order of the input: the
number of workers changes the time a run takes and nothing else.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent import futures
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeVar

from llark.errors import BadAudio, UserMustAct, one_line
from llark.records import MAY_PASS, Dropped
from llark.report import terminal

Input = TypeVar("Input", contravariant=True)

Results = Generator[tuple[str, list[object]], None, None]
"""Each record's id and what it became."""

DROP_SHARE = 0.5
"""A run stops once more than this share of its records were dropped …"""

DROP_SHARE_FROM = 20
"""… of at least this many."""

_QUEUED_PER_WORKER = 8
"""Records handed out ahead of the one that is stored next."""


class Step(Protocol[Input]):
    """One stage's work on one record. It writes nothing and knows no runner.

    A step can be pickled until it is opened: every worker gets its own copy and opens that.
    """

    @property
    def name(self) -> str:
        """The stage that drops are recorded under."""

    def id_of(self, record: Input) -> str:
        """What tells the record from all other inputs of the stage."""

    def open(self) -> None:
        """Loads what is heavy. Called once in each process, before the first record."""

    def __call__(self, record: Input) -> Iterable[object]:
        """The records that this one becomes, and `Dropped` for what cannot be used.

        Raises:
            BadAudio: Becomes a drop with its reason. So does any other error, as `error:<its type>`.
            UserMustAct: Stops the run: a key, an extra or a file is missing for every record.
        """


class Writer(Protocol):
    """Where a run puts what it makes: a `StageWriter`, or several of them behind one face."""

    @property
    def finished(self) -> bool: ...

    @property
    def done(self) -> AbstractSet[str]: ...

    def write(self, input_id: str, outputs: Sequence[object]) -> None: ...

    def finish(self) -> object: ...

    def __enter__(self) -> object: ...

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None: ...


@dataclass
class Tally:
    """What a run did, this time."""

    inputs: int = 0
    """Records handed out."""
    outputs: int = 0
    """Records received."""
    lost: int = 0
    """Inputs that became a drop and nothing else."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Drops received, by reason."""

    def add(self, outputs: list[object]) -> None:
        drops = [output.reason for output in outputs if isinstance(output, Dropped)]
        self.inputs += 1
        self.outputs += len(outputs) - len(drops)
        self.lost += bool(drops) and len(drops) == len(outputs)
        self.dropped.update(drops)


def run(
    step: Step[Any],
    records: Iterable[Any],
    writer: Writer,
    *,
    workers: int = 0,
    timeout_seconds: float | None = None,
    total: int | None = None,
    progress: bool = True,
    drop_share: float = DROP_SHARE,
) -> Tally:
    """Runs the step over the records that the writer has not got yet, and finishes the folder.

    Args:
        workers: Processes beside this one; 0 works in this process, where nothing guards it from crashes.
        timeout_seconds: Longest time for one record, which is then dropped; needs workers.
        total: How many records there are, for the progress bar.
        drop_share: Stop when more than this share of the records (20 or more) were dropped.

    Raises:
        UserMustAct: Too much was dropped, `open()` or the step asked for a person, or the disk is full.
            What was done is kept in the folder, and another run goes on from there. Where all was dropped
            the folder is not finished either, and another run tries all of it again.
    """
    if timeout_seconds is not None and workers < 1:
        raise ValueError("timeout_seconds needs workers: this process cannot stop itself")
    tally = Tally()
    with writer:
        if writer.finished:
            return tally
        before = len(writer.done)
        missing = _missing(step, records, frozenset(writer.done))
        results = (
            _in_process(step, missing)
            if workers < 1
            else _on_workers(step, missing, workers, timeout_seconds)
        )
        ticker = Ticker(step.name, total, before, show=progress)
        with (
            contextlib.closing(results),
            ticker as tick,
        ):  # closed at once, so that no worker outlives an error
            for id_, outputs in results:
                writer.write(id_, outputs)
                tally.add(outputs)
                tick(note=f"{tally.lost} dropped" if tally.lost else "")
                stop_if_most_are_dropped(step.name, tally, outputs, drop_share)
        if tally.lost and tally.lost == tally.inputs + before and drop_share < 1:
            raise too_much(step.name, tally, outputs)
        writer.finish()
    if progress:
        say_what_may_pass(step.name, tally)
    return tally


def _missing(step: Step[Any], records: Iterable[Any], done: frozenset[str]) -> Iterator[Any]:
    """The records that are not done. Raises `UserMustAct` where two have the same id."""
    seen: set[str] = set()
    for record in records:
        id_ = step.id_of(record)
        if id_ in seen:
            raise UserMustAct(f"{step.name} was given two records with the id {id_}.")
        seen.add(id_)
        if id_ not in done:
            yield record


def attempt(step: Step[Input], record: Input) -> list[object]:
    """What an opened step makes of a record; whatever goes wrong with it becomes a `Dropped`."""
    try:
        return list(step(record))
    except BadAudio as error:
        return [Dropped(step.id_of(record), step.name, error.reason, error.detail)]
    except UserMustAct:
        raise
    except Exception as error:  # one record's unforeseen trouble must not cost the others
        detail = one_line(error)[:500] or "no message"
        return [Dropped(step.id_of(record), step.name, f"error:{type(error).__name__}", detail)]


def stop_if_most_are_dropped(name: str, tally: Tally, outputs: list[object], drop_share: float) -> None:
    if tally.inputs >= DROP_SHARE_FROM and tally.lost > drop_share * tally.inputs:
        raise too_much(name, tally, outputs)


def too_much(name: str, tally: Tally, outputs: list[object]) -> UserMustAct:
    """What a run stops with: how much was dropped for which reasons, and the detail of the last drop."""
    last = next((o.detail for o in reversed(outputs) if isinstance(o, Dropped)), "")
    what = f"{tally.lost} of {tally.inputs} records were dropped ({_reasons(tally.dropped)})"
    return UserMustAct(f"{name} stopped: {what}. The last: {last}")


def _reasons(dropped: Counter[str]) -> str:
    return ", ".join(f"{reason} {n}×" for reason, n in dropped.most_common(3))


def say_what_may_pass(name: str, tally: Tally) -> None:
    """Tells of drops in a finished folder that another run might not have."""
    passing = Counter({reason: n for reason, n in tally.dropped.items() if reason.startswith(MAY_PASS)})
    if passing:
        what = f"records were dropped for causes that may pass: {_reasons(passing)}"
        terminal.note(f"{name}: {what}. To try them again, run it into a new folder.")


def _in_process(step: Step[Any], records: Iterable[Any]) -> Results:
    opened = False
    for record in records:
        if not opened:
            step.open()
            opened = True
        yield step.id_of(record), attempt(step, record)


# --- local processes --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stop:
    """A worker's message that a person has to act."""

    message: str


_OF_WORKERS = _TIMEOUT, _KILLED = "timeout", "worker-killed"
"""Reasons of drops that a worker's end brings about."""

_UNPICKLABLE = (pickle.PicklingError, TypeError, AttributeError)


def _work(pipe: Connection, pickled_step: bytes, threads: int) -> None:
    """A worker's life: it opens its own copy of the step, says so, and turns each record into its outputs."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # they are for the run, which ends its workers
        signal.signal(stop, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    step: Step[Any] = pickle.loads(pickled_step)
    message: object = None
    try:
        step.open()
    except UserMustAct as error:
        message = _Stop(str(error))
    except Exception as error:  # told to the run, which stops with it
        message = _Stop(f"{step.name} could not start: {type(error).__name__}: {error}")
    pipe.send(message)
    while True:
        try:
            record = pipe.recv()
        except EOFError:  # the run has ended
            return
        pipe.send(None)  # the record's clock begins here
        try:
            message = attempt(step, record)
        except UserMustAct as error:
            message = _Stop(str(error))
        try:
            pipe.send(message)
        except _UNPICKLABLE as error:
            pipe.send([_not_sent(step, record, error)])


def _not_sent(step: Step[Any], record: Any, error: Exception) -> Dropped:
    reason = f"error:{type(error).__name__}"
    return Dropped(step.id_of(record), step.name, reason, f"It cannot be sent between processes: {error}")


def _on_workers(
    step: Step[Any], records: Iterable[Any], workers: int, timeout_seconds: float | None
) -> Results:
    """Results in the order of the records. A record whose worker hangs or dies is tried once more, alone: the
    others may have taken the memory or the time that it needs. If that fails, too, it is dropped.

    Each worker has one thread here that waits for it.
    """
    pool = _Workers(step, workers, timeout_seconds)
    threads = futures.ThreadPoolExecutor(workers)
    waiting: deque[tuple[Any, futures.Future[list[object]]]] = deque()
    source = iter(records)
    try:
        while True:
            for record in itertools.islice(source, workers * _QUEUED_PER_WORKER - len(waiting)):
                waiting.append((record, threads.submit(pool.outputs_of, record)))
            if not waiting:
                return
            record, future = waiting.popleft()
            outputs = future.result()
            if any(isinstance(output, Dropped) and output.reason in _OF_WORKERS for output in outputs):
                futures.wait([future for _, future in waiting])
                outputs = threads.submit(pool.outputs_of, record).result()
            yield step.id_of(record), outputs
    finally:
        pool.kill()
        threads.shutdown(cancel_futures=True)


class _Workers:
    """Worker processes, each with a pipe of its own and led by one thread: the death of one touches no other.

    A record's clock begins when its worker, whose step is open by then, has it: a slow start costs nothing.
    """

    def __init__(self, step: Step[Any], workers: int, timeout_seconds: float | None) -> None:
        self.step, self.timeout_seconds = step, timeout_seconds
        self._arguments = pickle.dumps(step), max(1, (os.cpu_count() or 1) // workers)
        self._of_thread = threading.local()
        """`worker` is the process that this thread leads, and its pipe; None or absent before it is open."""
        self._lock = threading.Lock()
        """Held while a process begins or ends: only one thread at a time may ask how it ended."""
        self._processes: list[BaseProcess] = []
        """Those that run; None may be added once they are killed."""
        self._killed = False

    def outputs_of(self, record: Any) -> list[object]:
        """What this thread's worker makes of a record; where it hangs or dies, a drop that says so."""
        for _ in range(3):  # a worker that ends without a record is replaced, and costs none
            worker = getattr(self._of_thread, "worker", None) or self._open()
            if worker is None:
                continue
            process, pipe = worker
            try:
                pipe.send(record)
                pipe.recv()
            except _UNPICKLABLE as error:
                return [_not_sent(self.step, record, error)]
            except (EOFError, OSError):
                self._end(process)
                continue
            return self._reply(record, process, pipe)
        raise UserMustAct(f"The workers of {self.step.name} end before they start on a record.")

    def _reply(self, record: Any, process: BaseProcess, pipe: Connection) -> list[object]:
        reason = ""
        try:
            if pipe.poll(self.timeout_seconds):
                message = pipe.recv()
            else:
                self._end(process, wait_seconds=0.0)
                reason, detail = _TIMEOUT, f"It took longer than {self.timeout_seconds:g} s."
        except (EOFError, OSError):
            reason, detail = _KILLED, f"Its worker was ended by {_cause(self._end(process))}."
        if reason:
            return [Dropped(self.step.id_of(record), self.step.name, reason, detail)]
        if isinstance(message, _Stop):
            raise UserMustAct(message.message)
        return message

    def _open(self) -> tuple[BaseProcess, Connection] | None:
        """Starts this thread's worker and waits until its step is open; None where it ends before that."""
        context = multiprocessing.get_context("spawn")
        with self._lock:
            if self._killed:
                return None
            pipe, far_end = context.Pipe()
            process = context.Process(target=_work, args=(far_end, *self._arguments), daemon=True)
            process.start()
            far_end.close()  # so that the pipe ends when the worker does
            self._processes.append(process)
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            self._end(process)
            return None
        if isinstance(message, _Stop):
            raise UserMustAct(message.message)
        self._of_thread.worker = process, pipe
        return process, pipe

    def _end(self, process: BaseProcess, wait_seconds: float = 5.0) -> int | None:
        """Forgets this thread's worker, which may take so long to end by itself. Its exit code."""
        self._of_thread.worker = None
        wait([process.sentinel], wait_seconds)
        with self._lock:
            process.kill()
            process.join()
            if process in self._processes:
                self._processes.remove(process)
            return process.exitcode

    def kill(self) -> None:
        """Ends every worker, and lets none begin."""
        with self._lock:
            self._killed = True
            for process in self._processes:
                process.kill()
            for process in self._processes:
                process.join()


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        try:
            name = signal.Signals(-exitcode).name
        except ValueError:
            return f"signal {-exitcode}"
        return f"{name}; was there enough memory?" if name == "SIGKILL" else name
    return f"exit status {exitcode}"


# --- progress ---------------------------------------------------------------------------------------------


class Ticker:
    """Progress of long work: a bar on a terminal; elsewhere a line every half a minute, and one at the end.

    Called after each piece of work, with how many are `done` by now (one more than before if not said) and
    a `note` on how it goes.
    """

    def __init__(self, name: str, total: int | None = None, done: int = 0, *, show: bool = True) -> None:
        self.name = terminal.printable_line(name)
        self.total, self.done, self.first = total, done, done
        self._began = self._shown = time.monotonic()
        self._note = ""
        self._bar: Any = None
        self._quiet = not show
        if show and sys.stderr.isatty():
            self._start_bar()

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=Console(stderr=True))
        self._bar.add_task(self.name, total=self.total, completed=self.done)
        self._bar.start()

    def __call__(self, done: int | None = None, note: str = "") -> None:
        self.done = self.done + 1 if done is None else done
        self._note = note
        if self._bar is not None:
            described = f"{self.name} ({note})" if note else self.name
            self._bar.update(self._bar.task_ids[0], completed=self.done, description=described)
        elif not self._quiet and time.monotonic() - self._shown >= 30:
            self._print()

    def _print(self) -> None:
        self._shown = time.monotonic()
        of = f" of {self.total}" if self.total is not None else ""
        each = (self._shown - self._began) / max(1, self.done - self.first)
        note = f", {self._note}" if self._note else ""
        terminal.note(f"{self.name}: {self.done}{of}{note}, {each:.2g} s each")

    def __enter__(self) -> Ticker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif not self._quiet and self.done > self.first:
            self._print()
