"""The facts of clips, kept: what the frozen networks heard, and what each annotator said of it.

The large networks take nearly all of the time and hardly ever change. What they hear is kept under a hash of
their weights; the facts under one of all weights and all code that facts follow from. After the rhythm or
harmony nets are trained again, or an annotator is changed, only those run again. Where the code of a large
network comes to say something else (its goldens tell), delete `heard`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from annotate_clips import Case
from others import OTHERS

import llark
from llark import annotate, audio, engine
from llark.annotate import key
from llark.annotate.song import merge
from llark.errors import BadAudio
from llark.networks.beat import BeatOutput
from llark.networks.chord import ChordOutput
from llark.networks.features import AudioFeatures
from llark.networks.note import NoteOutput
from llark.networks.tag import TagOutput
from llark.networks.timbre import TimbreOutput
from llark.records import Annotation, from_json, to_dict

OURS = "ours"
PACKAGE = Path(llark.__file__).parent
FROZEN = ("beat", "chord", "tag", "speech", "timbre", "note")
"""The networks whose output is kept."""
HALF = ("beat.hidden", "chord.features", "notes", "onsets", "contours")
"""Large arrays that are kept in half precision, and used in it the first time, too."""


@dataclass(frozen=True)
class Facts:
    """What one annotator said of a clip, and the seconds of one core it took (0 where that was not timed)."""

    annotation: Annotation
    seconds: float = 0.0


class Remembered(AudioFeatures):
    """A hearing whose frozen networks are asked once, and whose answers lie in `path` from then on."""

    def __init__(self, samples: np.ndarray, sample_rate: int, path: Path) -> None:
        super().__init__(samples, sample_rate)
        self._path = path

    @functools.cached_property
    def _kept(self) -> dict[str, np.ndarray]:
        return _remember(self._path, self._hear)

    def _hear(self) -> dict[str, np.ndarray]:
        fresh = AudioFeatures(self.samples, self.sample_rate, self.networks)
        kept = {f"beat.{name}": value for name, value in vars(fresh.beat).items()}
        kept |= {f"chord.{name}": value for name, value in vars(fresh.chord).items()}
        kept |= {f"tag.{name}": np.asarray(v) for name, v in vars(fresh.tag).items() if name != "features"}
        words = {"instruments": fresh.timbre.instruments, "genre": fresh.timbre.genre}
        return {**kept, "timbre": np.frombuffer(json.dumps(words).encode(), np.uint8)}

    def _part(self, prefix: str) -> dict[str, np.ndarray]:
        marked = f"{prefix}."
        return {n.removeprefix(marked): v for n, v in self._kept.items() if n.startswith(marked)}

    @functools.cached_property
    def beat(self) -> BeatOutput:
        return BeatOutput(**self._part("beat"))

    @functools.cached_property
    def chord(self) -> ChordOutput:
        return ChordOutput(**self._part("chord"))

    @functools.cached_property
    def tag(self) -> TagOutput:
        page = self._part("tag")
        starts = tuple(int(start) for start in page["patch_starts"])
        return TagOutput(np.zeros((0, 0)), page["mtt"], page["msd"], starts, int(page["patch_frames"]))

    @functools.cached_property
    def timbre(self) -> TimbreOutput:
        return TimbreOutput(**json.loads(self._kept["timbre"].tobytes()))

    @functools.cached_property
    def note(self) -> NoteOutput:
        """Only some clips are asked for it, so it has a file of its own."""
        path = self._path.with_name(f"{self._path.stem}.note.npz")
        fresh = AudioFeatures(self.samples, self.sample_rate, self.networks)
        return NoteOutput(**_remember(path, lambda: vars(fresh.note)))


def _remember(path: Path, hear: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What `hear` gave the first time, with its large arrays rounded, from `path`."""
    if not path.exists():
        kept = {name: v.astype(np.float16) if name in HALF else v for name, v in hear().items()}
        scratch = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
        np.savez(scratch, **kept)  # type: ignore[arg-type]
        scratch.replace(path)
    with np.load(path) as page:
        return {name: v.astype(np.float32) if v.dtype == np.float16 else v for name, v in page.items()}


@functools.cache
def frozen_digest() -> str:
    """Eight digits that change with the weights of the networks whose output is kept."""
    return _digest([PACKAGE / "weights" / f"{name}.safetensors" for name in FROZEN])


@functools.cache
def facts_digest() -> str:
    """Eight digits that change with anything that a fact of ours follows from."""
    code = [*(PACKAGE / "annotate").glob("*.py"), *(PACKAGE / "networks").glob("*.py")]
    return _digest([*sorted(code), *sorted((PACKAGE / "weights").glob("*.safetensors"))])


def _digest(paths: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:8]


# --- one clip ---------------------------------------------------------------------------------------------


def version_of(name: str) -> str:
    """The folder that an annotator's facts are kept in."""
    return f"{annotate.VERSION}-{facts_digest()}" if name == OURS else name


def facts_of(name: str, case: Case, out: Path) -> Facts:
    """What an annotator says of a case; asked once, then read. Clips that it refuses have no facts."""
    kept = out / "facts" / version_of(name) / f"{case.id}.json"
    if not kept.exists():
        found = _ours(case, out) if name == OURS else _other(name, case)
        kept.parent.mkdir(parents=True, exist_ok=True)
        scratch = kept.with_suffix(f".{os.getpid()}.tmp")
        page = {"seconds": found.seconds, "facts": to_dict(found.annotation)}
        scratch.write_text(json.dumps(page) + "\n", encoding="utf-8")
        scratch.replace(kept)
    page = json.loads(kept.read_text(encoding="utf-8"))
    return Facts(from_json(Annotation, json.dumps(page["facts"])), page["seconds"])


def _load(case: Case, start: float = 0.0, end: float | None = None) -> tuple[np.ndarray, int]:
    first = case.start_seconds + start
    last = case.end_seconds if end is None else case.start_seconds + end
    return audio.load(case.path, start_seconds=first, end_seconds=last)


def _ours(case: Case, out: Path) -> Facts:
    """The facts of the clip; of one over 30 s those of its windows, with its local keys."""
    folder = out / "heard" / frozen_digest()
    folder.mkdir(parents=True, exist_ok=True)
    spans = audio.windows(case.truth.end_seconds)
    if len(spans) <= 1:
        features = Remembered(*_load(case), folder / f"{case.id}.npz")
        return Facts(annotate.annotate(features, case.id))
    hearings = [
        Remembered(*_load(case, start, end), folder / f"{case.id}@{start:.0f}.npz") for start, end in spans
    ]
    windows = [
        annotate.annotate(features, case.id, start)
        for features, (start, _) in zip(hearings, spans, strict=True)
    ]
    keys = key.find_course(windows, [features.harmony.key for features in hearings])
    return Facts(replace(merge(case.id, windows), local_keys=keys))


def _other(name: str, case: Case) -> Facts:
    samples, rate = _load(case)
    found = OTHERS[name].load()
    began, before = time.process_time(), children_seconds()
    try:
        said = found(samples, rate, case.id)
    except BadAudio:
        said = Annotation(case.id, 0.0, len(samples) / rate)
    return Facts(said, time.process_time() - began + children_seconds() - before)


def children_seconds() -> float:
    """Seconds of a core that the processes under this one have taken, those that still run included."""
    ticks, seconds = os.sysconf("SC_CLK_TCK"), 0.0
    for child in multiprocessing_children():
        try:
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        seconds += (int(fields[11]) + int(fields[12])) / ticks
    return seconds


def multiprocessing_children() -> list[str]:
    """Ids of the processes that this one started. Empty where the system does not say."""
    try:
        return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    except OSError:
        return []


def timed(cases: Sequence[Case]) -> list[float]:
    """Seconds of one core that our facts take for each case, from samples, with everything loaded before."""
    found: list[float] = []
    for number, case in enumerate(itertools.chain(cases[:1], cases)):
        samples, rate = _load(case)
        began = time.process_time()
        annotate.annotate(AudioFeatures(samples, rate), case.id)
        if number:
            found.append(time.process_time() - began)
    return found


# --- many clips -------------------------------------------------------------------------------------------


def all_facts(name: str, cases: Sequence[Case], out: Path, workers: int) -> dict[str, Facts]:
    """What an annotator says of every case, by id; `workers` processes of one thread each."""
    made = out / "facts" / version_of(name)
    missing = [case for case in cases if not (made / f"{case.id}.json").exists()]
    with engine.Ticker(f"annotate: {name}", len(cases), len(cases) - len(missing)) as tick:
        for _ in _each(name, missing, out, workers):
            tick()
    return {case.id: facts_of(name, case, out) for case in cases}


def _each(name: str, cases: Sequence[Case], out: Path, workers: int) -> Iterator[object]:
    work = functools.partial(_store, name, out)
    if workers < 2:
        _one_thread()
        yield from map(work, cases)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        yield from pool.map(work, cases)


def _store(name: str, out: Path, case: Case) -> None:
    facts_of(name, case, out)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
