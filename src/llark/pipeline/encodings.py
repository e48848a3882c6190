"""Frames that lie ready, with the questions beside them: what `llark infer` asks about.

Three layouts are read: finished folders of this package (embeddings, and exchanges and clips of the same
ids), folders of `.npy`, and WebDataset tars whose samples hold a `.npy` and a `.json`. Only their heads are
read to begin with; each clip's frames are read when they are needed.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from llark.errors import UserMustAct
from llark.records import Clip, Dropped, Exchange
from llark.storage import artifacts, folders, stages
from llark.storage.embeddings import Embeddings
from llark.storage.folders import Place

STAGE = "infer"

_HEADS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Question:
    """What the data ask about a clip, and the answer that they give."""

    text: str
    answer: str | None = None
    task: str | None = None


@dataclass(frozen=True, eq=False)
class Encoded:
    """One clip whose frames are ready. `read` gives [frames, width], or the reason why there are none.

    `example_id` is what the published scripts call it: the path of a `.npy` without its ending, the key of a
    sample in a tar. `written` tells its frames from others: their SHA-256, where their folder says it; of
    files made elsewhere the size and the time of the last change.
    """

    example_id: str
    clip_id: str
    frames: int
    width: int
    read: Callable[[], np.ndarray | str]
    questions: tuple[Question, ...] = ()
    start_seconds: float | None = None
    end_seconds: float | None = None
    written: str = ""

    @property
    def known(self) -> tuple[object, ...]:
        """All that a row of answers says of it, and which frames they are."""
        span = (self.start_seconds, self.end_seconds)
        return (self.example_id, self.clip_id, self.frames, self.width, *span, self.written)


@dataclass
class Data:
    """All that was found. `questions`: of exchanges, by clip. `splits`: of clips. `places`: of embeddings."""

    encoded: list[Encoded] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    questions: dict[str, list[Question]] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)


def read(places: Sequence[str]) -> Data:
    """Everything in these places.

    Raises `UserMustAct` where one holds nothing of use, a stage is not finished, or frames lie in pickles.
    """
    data = Data()
    ours = [place for place in places if _is_ours(place)]
    kinds = ("exchanges", "embeddings", "clips")
    found = artifacts.find(ours, kinds, "frames are in those of embed, questions in those of instruct")
    for place in places:
        if place not in ours:
            _add_foreign(data, Path(place))
    data.places = list(found.embeddings)
    for folder in found.embeddings:
        data.encoded += _shards(folder)
    for folder in found.exchanges:
        for one in stages.read(folder, Exchange):
            asked = Question(one.question, one.answer, one.task)
            data.questions.setdefault(one.clip_id, []).append(asked)
    for folder in found.clips:
        data.splits |= {clip.id: clip.split for clip in stages.read(folder, Clip)}
    if not data.encoded and not data.dropped:
        raise UserMustAct(f"There are no frames in {', '.join(places)}: make them with llark embed.")
    return data


def _is_ours(place: str) -> bool:
    """Whether a place is a stage's folder, or has one inside."""
    if folders.is_url(place) or artifacts.look(place).all:
        return True
    return stages.plan_of(place) is not None


def _shards(folder: Place) -> Iterator[Encoded]:
    shards = Embeddings(folder, verify=True)
    for clip in shards:
        entry, (frames, width) = shards.entry(clip), shards.shape(clip)
        yield Encoded(
            clip,
            clip,
            frames,
            width,
            lambda clip=clip: shards[clip].frames,  # type: ignore[misc]
            start_seconds=entry.get("start_seconds"),
            end_seconds=entry.get("end_seconds"),
            written=entry["sha256"],
        )


# --- layouts of others ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bytes:
    """Where a `.npy` lies: a stretch of a file."""

    path: Path
    offset: int
    size: int

    @property
    def written(self) -> str:
        """The stretch, and when its file was last changed."""
        return f"{self.offset}+{self.size} {self.path.stat().st_mtime_ns}"

    def shape(self) -> tuple[int, int] | str:
        """(frames, width) as the head says, or what is wrong."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                head = io.BytesIO(file.read(min(self.size, 4096)))
            shape, _, dtype = _HEADS[np.lib.format.read_magic(head)](head)
        except (ValueError, KeyError, OSError) as error:
            return f"not-npy: {self.path} holds no array of numbers ({error})"
        if dtype.hasobject or not np.issubdtype(dtype, np.floating):
            return f"not-npy: {self.path} holds {dtype}, not floating-point numbers"
        full = tuple(shape)[1:] if len(shape) == 3 and shape[0] == 1 else tuple(shape)
        full = (1, *full) if len(full) == 1 else full
        if len(full) != 2 or not all(full):
            return f"not-frames: {self.path} holds an array of shape {tuple(shape)}, not [frames, width]"
        return full

    def __call__(self) -> np.ndarray | str:
        """[frames, width], or what is wrong."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                array = np.load(io.BytesIO(file.read(self.size)), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            return f"not-npy: {self.path} is damaged ({error})"
        frames = array[0] if array.ndim == 3 else np.atleast_2d(array)
        return frames if np.isfinite(frames).all() else f"not-finite: {self.path} holds numbers that are none"


def _add_foreign(data: Data, place: Path) -> None:
    """A `.npy`, a tar, or a folder of them."""
    from llark.embed import layouts

    if not place.exists():
        raise UserMustAct(f"There is no {place}.")
    known = _index(place)
    found = sorted(place.rglob("*")) if place.is_dir() else [place]
    for path in found:
        if path.suffix in layouts.PICKLED:
            raise UserMustAct(f"{path}: {layouts.WAY_OUT}")
        if path.suffix == ".npy":
            said = known.get(path.stem, {})
            _add(data, str(path.with_suffix("")), Bytes(path, 0, path.stat().st_size), said)
        elif path.suffix == ".tar":
            for key, where, said in _tar(path):
                _add(data, key, where, said)


def _index(place: Path) -> dict[str, dict[str, Any]]:
    """What `llark export-embeddings` says of the files beside it, by name without ending."""
    from llark.embed import layouts

    path = place / layouts.INDEX
    if not path.is_file():
        return {}
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {Path(str(entry["file"])).stem: entry for entry in entries}


def _tar(path: Path) -> Iterator[tuple[str, Bytes, dict[str, Any]]]:
    """Key, place of the array, and page of every sample; a sample's files follow each other."""
    from llark.embed import layouts

    arrays: dict[str, Bytes] = {}
    pages: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                folder, slash, name = member.name.rpartition("/")
                stem, _, ending = name.partition(".")
                key = f"{folder}{slash}{stem}"
                if f".{ending.rpartition('.')[2]}" in layouts.PICKLED:
                    raise UserMustAct(f"{path}, {member.name}: {layouts.WAY_OUT}")
                if member.isfile() and ending.endswith("npy"):
                    arrays[key] = Bytes(path, member.offset_data, member.size)
                elif member.isfile() and ending == "json":
                    pages[key] = _page(tar, member)
    except tarfile.TarError as error:
        raise UserMustAct(f"{path} is no plain tar file that can be read: {error}.") from error
    for key, where in arrays.items():
        yield key, where, pages.get(key, {})


def _page(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    file = tar.extractfile(member)
    try:
        said = json.loads(file.read()) if file is not None else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _add(data: Data, example: str, where: Bytes, said: Mapping[str, Any]) -> None:
    clip = str(said.get("clip_id") or said.get("uri") or example.rpartition("/")[2])
    shape = where.shape()
    if isinstance(shape, str):
        reason, _, detail = shape.partition(": ")
        data.dropped.append(Dropped(example, STAGE, reason, detail + "."))
        return
    start, end = said.get("start_seconds"), said.get("end_seconds")
    data.encoded.append(Encoded(example, clip, *shape, where, _asked(said), start, end, where.written))


def _asked(said: Mapping[str, Any]) -> tuple[Question, ...]:
    """The questions of a sample of the published shards: its `response`."""
    found = said.get("response")
    return tuple(
        Question(str(one["question"]), None if one.get("answer") is None else str(one["answer"]))
        for one in (found if isinstance(found, list) else ())
        if isinstance(one, Mapping) and one.get("question")
    )
