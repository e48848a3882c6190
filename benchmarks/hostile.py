"""Damaged files by the thousand: each is read right, or refused with a right reason, or it is a fault.

`python benchmarks/hostile.py [--files 2200] [--seed 0] [--workers 2] [--only FORMAT KIND SEED]`. Every file
is a recording of 35 s, new notes every 80 ms, in one of the formats and with one of the kinds of damage that
`hostile_files.py` makes; a seed says how. It is read as `prepare` and `annotate` read it (whole, and by
windows), and `prepare` itself must account for each file. Prints what became of them by format and damage,
and each fault with its seed.

Right is the undamaged sound at the right time. How much a format says of its sound decides what that is:
- `bytes`: any byte is sound (PCM): the sound is what the bytes say, wherever they came from.
- `frames`: frames without a number or a time: nobody can see that whole ones are missing, twice there or
  swapped, so the frames that are there, one after the other, are right. What is no frame can be seen.
- `time`: every packet says where it belongs, or has a checksum: nothing may move. `sized` is the same, and
  the file says where it ends: what follows it need not be read.

Where a file was cut off, its beginning is right. A lossy decoder conceals an error within a frame that no
checksum guards: a wrong stretch of up to 0.1 s (a frame, and what overlaps it) counts as right; sound that is
20 ms early or late does not. Where the header itself is damaged, what FFmpeg reads without an error is right
too. Refusing a file whose sound is intact is counted apart (`intact`): a pity, and no lie.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import itertools
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hostile_files import ALL, KINDS, WRONG_SECONDS, Damage, Expected, decode, lag_samples, make

from llark import audio, engine
from llark.errors import BadAudio
from llark.prepare import stage
from llark.records import Clip, Dropped, Track
from llark.storage import stages

BLOCK_SECONDS, PADDING_SECONDS = 0.02, 0.12
"""Sound is compared in such blocks; what an encoder may add at the end."""
LAG_SECONDS, HEADERLESS_SECONDS, SPLICE_SECONDS = 0.01, 0.06, 0.12
"""How far sound may lie from its time: always; where the header that tells it is damaged; after a joint."""
JOINT_SECONDS = 0.2
"""How long a stretch may be wrong at a joint: an mp3 frame needs bits of up to 9 frames before it."""
LOWEST_RATE = 1000
"""No header that says less is believed."""
LONGEST_SECONDS = 60.0
"""A file that takes longer hangs."""

# --- the judge --------------------------------------------------------------------------------------------


def _wrong_blocks(heard: np.ndarray, at: int, truth: np.ndarray, rate: int) -> np.ndarray:
    """bool [blocks]: where the samples from `at` on are others than they should be; NaN is never wrong."""
    block, heard = round(BLOCK_SECONDS * rate), heard[at:] if at >= 0 else np.pad(heard, (-at, 0))
    count = min(len(heard), len(truth)) // block
    there = truth[: count * block].reshape(count, block)
    error = np.sqrt(np.mean((heard[: count * block].reshape(count, block) - there) ** 2, axis=1))
    wrong: np.ndarray = error > 0.3 * np.sqrt(np.mean(there**2, axis=1)) + 3e-3
    return wrong


def _unlike(
    heard: np.ndarray, at: int, truth: np.ndarray, rate: int, slack: float, longest_wrong: float
) -> tuple[str, int]:
    """(what is wrong with a stretch that should begin at sample `at`, how much later it comes).

    It may come `slack` seconds too late or early, and differ in that from place to place.
    """
    wrong, lag, block = _wrong_blocks(heard, at, truth, rate), 0, round(BLOCK_SECONDS * rate)
    for _ in range(8):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], wrong.astype(int), [0]]))).reshape(-1, 2)
        begin, end = max(edges.tolist(), key=lambda run: run[1] - run[0], default=(0, 0))
        if (end - begin) * BLOCK_SECONDS <= longest_wrong + 2 * BLOCK_SECONDS:
            return "", lag
        around = np.pad(heard, (2 * rate, 0))[max(0, at + begin * block + rate) :]  # from a second before
        late = lag_samples(around, truth[begin * block : end * block], 2 * rate) - rate
        known = np.isfinite(around[: 2 * rate]).all() and abs(late) > LAG_SECONDS * rate
        where = f"{(at / rate) + begin * BLOCK_SECONDS:.2f} s to {(at / rate) + end * BLOCK_SECONDS:.2f} s"
        what = f"wrong from {where}" + (f", as if {1000 * late / rate:+.0f} ms late" if known else "")
        if abs(late) > slack * rate:
            break
        moved = _wrong_blocks(heard, at + late, truth, rate)
        end = min(end, len(moved))
        if moved[begin:end].mean() > 0.5:
            break
        wrong[begin:end], lag = moved[begin:end], late
    return what, lag


def _complaint(heard: np.ndarray, sounds: Sequence[np.ndarray], expected: Expected, rest: float) -> str:
    rate, at, slack = expected.rate, 0, HEADERLESS_SECONDS if expected.headerless else LAG_SECONDS
    missing, joints = SPLICE_SECONDS, len(sounds) > 1
    for number, truth in enumerate(sounds):
        wrong, lag = _unlike(heard, at, truth, rate, slack, JOINT_SECONDS if joints else WRONG_SECONDS)
        if wrong:
            return wrong
        if number == len(sounds) - 1:
            missing = max(WRONG_SECONDS, expected.missing_seconds) + rest
        at, slack = at + lag + len(truth), SPLICE_SECONDS
        if at - len(heard) > missing * rate:
            return f"ends at {len(heard) / rate:.2f} s; it should go on to {at / rate - missing:.2f} s"
    over = np.count_nonzero(np.isfinite(heard[max(0, at) :])) / rate
    return f"{over:.2f} s more than there is" if over > PADDING_SECONDS + WRONG_SECONDS else ""


def complaint(heard: np.ndarray, rate: int, expected: Expected, rest_seconds: float = 0.0) -> str:
    """What is wrong with the samples, if anything is. `rest_seconds` at the end need not be there."""
    if not expected.sounds:
        return f"{len(heard) / rate:.1f} s of sound, where none is right"
    if rate != expected.rate:
        return f"the rate is {rate}, not {expected.rate}"
    complaints = [_complaint(heard, sounds, expected, rest_seconds) for sounds in expected.sounds]
    return "" if "" in complaints else complaints[0]


class Reader:
    """How llark reads: the judge takes others, to be judged itself."""

    def load(
        self, path: str, start_seconds: float = 0.0, end_seconds: float | None = None
    ) -> tuple[np.ndarray, int]:
        return audio.load(path, start_seconds=start_seconds, end_seconds=end_seconds)

    def windows(self, path: str) -> list[audio.Span]:
        return audio.windows_of(path)


@dataclass(frozen=True)
class Verdict:
    """What became of a file."""

    id: str
    verdict: str
    """One of `VERDICTS`."""
    detail: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0
    """Memory that reading it took."""


VERDICTS = ("right", "refused", "intact", "SILENT LOSS", "WRONG REASON", "CRASH", "HANG")
"""`intact` is refused, though its sound is whole; in capitals: faults."""


@dataclass(frozen=True)
class Judge:
    """Step: `Damage` → `Verdict`. It leaves the file in the folder, named after the damage."""

    folder: str
    reader: Reader = field(default_factory=Reader)
    name: str = "hostile"

    def id_of(self, record: Damage) -> str:
        return record.id

    def open(self) -> None:
        """Nothing to load."""

    def __call__(self, record: Damage) -> Iterator[Verdict]:
        made = make(record)
        if made is None:
            return
        suffix, data, expected = made
        path = Path(self.folder, f"{record.id}.{suffix}")
        path.write_bytes(data)
        begin_mb, began = _reset_peak_mb(), time.monotonic()
        read = [self._whole(str(path)), self._windows(str(path))]
        seconds, peak_mb = time.monotonic() - began, _peak_mb() - begin_mb
        verdict, detail = _verdict(path, read, expected)
        yield Verdict(record.id, verdict, detail, seconds, peak_mb)

    def _whole(self, path: str) -> Read:
        try:
            return Read(*self.reader.load(path))
        except BadAudio as error:
            return Read(refusal=error)

    def _windows(self, path: str) -> Read:
        """All windows, one after the other; a refused one is NaN."""
        try:
            spans = self.reader.windows(path)
        except BadAudio as error:
            return Read(refusal=error)
        read: list[tuple[np.ndarray, int] | float] = []
        refusal = None
        for start, end in spans:
            try:
                read.append(self.reader.load(path, start, end))
            except BadAudio as error:
                refusal = error
                read.append(end - start)
        rate = next((one[1] for one in read if not isinstance(one, float)), 0)
        blocks = [
            np.full(round(one * rate), np.nan, np.float32)
            if isinstance(one, float)
            else audio.resample(one[0], one[1], rate)
            for one in read
        ]
        return Read(np.concatenate(blocks) if rate else None, rate, refusal)


@dataclass(frozen=True)
class Read:
    """What came of reading a file: samples, a refusal, or (of windows) both."""

    samples: np.ndarray | None = None
    rate: int = 0
    refusal: BadAudio | None = None


def _verdict(path: Path, read: Sequence[Read], expected: Expected) -> tuple[str, str]:
    """The worst that can be said."""
    for one, how, rest in zip(read, ("whole", "windows"), (0.0, audio.SHORTEST_SECONDS), strict=True):
        if one.samples is not None and one.rate:
            wrong = complaint(one.samples, one.rate, expected, rest)
            if wrong and expected.headerless:
                told = decode(path, strict=True)
                if told and told[1] >= LOWEST_RATE:
                    as_told = replace(expected, sounds=((told[0],),), rate=told[1])
                    wrong = complaint(one.samples, one.rate, as_told, rest)
            if wrong:
                return "SILENT LOSS", f"{how}: {wrong}"
    refusals = [one.refusal for one in read if one.refusal]
    if not refusals:
        return "right", ""
    detail = f"{refusals[0].reason}: {refusals[0]}"
    if any(refusal.reason not in expected.reasons for refusal in refusals):
        return "WRONG REASON", detail
    return "intact" if expected.intact else "refused", detail


def _reset_peak_mb() -> float:
    """Forgets the highest memory of this process (Linux), and returns what it has now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_mb()


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


# --- a run ------------------------------------------------------------------------------------------------


@dataclass
class Verdicts:
    """The engine's writer: keeps the verdicts, and makes them of the records that were lost on the way."""

    of: dict[str, Verdict] = field(default_factory=dict)
    finished: bool = False

    @property
    def done(self) -> frozenset[str]:
        return frozenset(self.of)

    def write(self, input_id: str, outputs: Sequence[object]) -> None:
        for output in outputs:
            if isinstance(output, Verdict):
                self.of[input_id] = output
            elif isinstance(output, Dropped):
                verdict = "HANG" if output.reason == "timeout" else "CRASH"
                self.of[input_id] = Verdict(input_id, verdict, f"{output.reason}: {output.detail}")

    def finish(self) -> None:
        """Another format may follow."""

    def __enter__(self) -> Verdicts:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""


def plan(files: int, seed: int) -> list[Damage]:
    """So many damages: each format and kind in turn, with the next seed in every round."""
    rounds = (Damage(form, kind, seed + n) for n in itertools.count() for form in ALL for kind in KINDS)
    return sorted(
        itertools.islice(rounds, files), key=lambda damage: (list(ALL).index(damage.format), damage.seed % 2)
    )


def judge(damages: Iterable[Damage], folder: str, workers: int, reader: Reader | None = None) -> Verdicts:
    """Makes and reads the files, which stay in the folder."""
    verdicts = Verdicts()
    engine.run(
        Judge(folder, reader or Reader()),
        damages,
        verdicts,
        workers=workers,
        timeout_seconds=LONGEST_SECONDS if workers else None,
        progress=False,
        drop_share=1.0,
    )
    return verdicts


def unaccounted(folder: Path, workers: int) -> list[str]:
    """Files of a folder that `prepare`, given a table of them, neither makes clips of nor drops."""
    names = sorted(path.name for path in folder.iterdir())
    table, out = folder.parent / "table.csv", folder.parent / "prepared"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "path"), *((name, str(folder / name)) for name in names)])
    stage.run(
        stage.PrepareConfig(str(table), "csv"), str(out), workers=workers, progress=False, drop_share=1.0
    )
    tracks = {track.id: track.path for track in stages.read(out / "tracks", Track)}
    seen = {Path(tracks[clip.track_id]).name for clip in stages.read(out / "clips", Clip)}
    dropped = {drop.id for drop in stages.read_dropped(out / "tracks")}
    counts = stages.about(out / "tracks")["counts"]
    lost = [name for name in names if name not in seen and not any(name in id_ for id_ in dropped)]
    if counts["in"] != len(names) or counts["out"] + sum(counts["dropped"].values()) != len(names):
        lost.append(f"prepare: {len(names)} in, {counts}")
    shutil.rmtree(out)
    return lost


def table(verdicts: Iterable[Verdict]) -> str:
    """Markdown, by format and kind: `right/refused`, `/refused though intact` and `!faults` if there are."""
    cells: dict[tuple[str, str], Counter[str]] = {}
    for verdict in verdicts:
        name, kind, _ = verdict.id.split()
        for key in ((name, kind), (name, "all"), ("all", kind), ("all", "all")):
            cells.setdefault(key, Counter())[verdict.verdict] += 1
    kinds = [*KINDS, "all"]
    lines = [f"| format | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for name in [*ALL, "all"]:
        if (name, "all") in cells:
            lines.append(f"| {name} | {' | '.join(_cell(cells.get((name, kind))) for kind in kinds)} |")
    return "\n".join(lines)


def _cell(counts: Counter[str] | None) -> str:
    if not counts:
        return ""
    faults = sum(count for verdict, count in counts.items() if verdict.isupper())
    intact = f"/{counts['intact']}" if counts["intact"] else ""
    return f"{counts['right']}/{counts['refused']}{intact}" + (f" **!{faults}**" if faults else "")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=2200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs=3, metavar=("FORMAT", "KIND", "SEED"))
    options = parser.parse_args()
    damages = plan(options.files, options.seed)
    if options.only:
        damages = [Damage(options.only[0], options.only[1], int(options.only[2]))]
    found: dict[str, Verdict] = {}
    lost: list[str] = []
    for name, group in itertools.groupby(damages, key=lambda damage: damage.format):
        with TemporaryDirectory() as folder:
            files = Path(folder, "files")
            files.mkdir()
            verdicts = judge(group, str(files), options.workers)
            lost += unaccounted(files, options.workers)
        found |= verdicts.of
        for verdict in verdicts.of.values():
            if verdict.verdict.isupper() or options.only:
                print(f"{verdict.id}: {verdict.verdict}: {verdict.detail}", flush=True)
        print(f"{name}: {len(verdicts.of)} files", file=sys.stderr, flush=True)
    counts = Counter(verdict.verdict for verdict in found.values())
    slowest, largest = (max(found.values(), key=key) for key in (lambda v: v.seconds, lambda v: v.peak_mb))
    print("", table(found.values()), "", sep="\n")
    print(f"{len(found)} files: " + ", ".join(f"{counts[name]} {name}" for name in VERDICTS))
    print(f"prepare: {len(lost)} neither clips nor dropped", *lost, sep="\n  ")
    print(f"longest time {slowest.seconds:.1f} s ({slowest.id})")
    print(f"most memory {largest.peak_mb:.0f} MB ({largest.id})")
    return int(bool(lost) or any(name.isupper() for name in counts))


if __name__ == "__main__":
    sys.exit(main())
