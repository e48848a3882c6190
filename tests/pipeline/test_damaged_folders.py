"""Folders and files of this package, damaged in every way: who reads them says so in one sentence, or reads
what was written; nothing hangs, and nothing is unpickled."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from llark import cli
from llark.embed import layouts, record
from llark.errors import LlarkError, UserMustAct
from llark.evaluate import report
from llark.model.checkpoint import load_adapter
from llark.pipeline import embed, infer, train
from llark.pipeline.instruct import Sources
from llark.recipe import Recipe
from llark.records import Annotation, Beats, Clip, Dropped, Embedding, Exchange, Key, Tempo, Track
from llark.storage import artifacts, stages
from llark.storage.embeddings import Embeddings
from llark.train import distributed, fit_model, smoke

LONGEST_SECONDS = 60
"""Nothing here takes a second; what takes a minute hangs."""

PIECES = 8


class _Bomb:
    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return (pytest.fail, ("It was unpickled.",))


HOSTILE = (
    b"",
    b"\0" * 300,
    b"PK\x03\x04" + bytes(200),
    pickle.dumps(_Bomb()),
    b"[" * 200_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b"1" * 100_000,
    b"1e999999999",
    b'"text"',
    b"null",
    b"[]",
    b"{}",
    b"[null]\n",
    b'{"stage": 1e999, "config": NaN, "inputs": {}, "counts": [], "sha256": {}}',
)
"""Whole files."""

VALUES = (
    None,
    True,
    -1,
    0,
    10**30,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "1e999999999",
    "\ud800",
    [],
    {},
    [[]],
)
"""In place of a value in JSON."""


def _flipped(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 8))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _zeroed(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data))
    count = min(random.randrange(1, 600), len(data) - start)
    return data[:start] + bytes(count) + data[start + count :]


def _lines(data: bytes, random: Random) -> bytes:
    """A line less, twice, or at another place."""
    lines = data.splitlines(keepends=True)
    line = lines[random.randrange(len(lines))]
    kind = random.randrange(3)
    if kind < 2:
        lines.remove(line)
    if kind > 0:
        lines.insert(random.randrange(len(lines) + 1), line)
    return b"".join(lines)


def _places(page: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a JSON page."""
    pairs = page.items() if isinstance(page, dict) else enumerate(page) if isinstance(page, list) else ()
    for key, value in list(pairs):
        yield page, key
        yield from _places(value)


def _swapped(data: bytes, random: Random) -> bytes:
    """Another value, or none, at one place of a page, or of one line."""
    lines = [data] if data[:2] == b"{\n" else data.splitlines()
    number = random.randrange(len(lines))
    try:
        page = json.loads(lines[number])
    except ValueError:
        return _flipped(data, random)
    places = list(_places(page))
    if not places:
        return b"{}"
    inside, key = random.choice(places)
    if random.random() < 0.2:
        del inside[key]
    else:
        inside[key] = random.choice(VALUES)
    lines[number] = json.dumps(page).encode()
    return b"\n".join(lines) + b"\n"


def _damaged(data: bytes, random: Random) -> bytes:
    kinds: list[Callable[[], bytes]] = [lambda: random.choice(HOSTILE)]
    if data:
        kinds += [
            lambda: _flipped(data, random),
            lambda: _zeroed(data, random),
            lambda: data[: random.randrange(len(data))],
            lambda: _lines(data, random),
            lambda: _swapped(data, random),
            lambda: _swapped(data, random),
        ]
    return random.choice(kinds)()


def _reseal(folder: Path) -> None:
    """Makes a stage's `about.json` say that the folder is as it was written: as a forger would."""
    try:
        page = json.loads((folder / "about.json").read_bytes())
        page["sha256"] = stages._sha256(
            stages.folders.folder(folder), *stages._parts(stages.folders.folder(folder))
        )
        page.pop("dropped_sha256", None)
        page.pop("own_sha256", None)
        (folder / "about.json").write_text(json.dumps(page))
    except (OSError, ValueError, RecursionError, TypeError, AttributeError, KeyError):
        return


@contextmanager
def _in_time() -> Iterator[None]:
    def late(*_: Any) -> None:
        pytest.fail("It hangs.")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _stage(folder: Path, stage: str, rows: list[object], config: object = None) -> None:
    with stages.open_stage(folder, stage, config or {"holds": folder.name}, flush_records=3) as writer:
        for number, row in enumerate(rows):
            writer.write(str(number), [row])
        writer.write("lost", [Dropped("lost", stage, "damaged", "It has a hole.")])
        writer.finish()


RECIPE = Recipe(
    name="tiny",
    model={"audio_positions": 8, "lora_rank": 2, "lora_targets": ("q_proj",)},
    train={
        "weights": "lora", "steps": 2, "batch": 2, "micro_batch": 2, "most_tokens": 512, "bucket": 4,
        "precision": "float32", "save_every": 2, "evaluate_every": 2, "sample_answers": 0,
        "evaluate_examples": 2, "sharding": "ddp",
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folders, a trained model with its checkpoint, answers and a report."""
    at = tmp_path_factory.mktemp("whole")
    draw, names = np.random.default_rng(0), [f"c{number}" for number in range(PIECES)]
    data = at / "data"
    _stage(data / "tracks", "prepare", [Track(name, f"{name}.wav", split="test") for name in names])
    _stage(data / "clips", "prepare", [Clip(name, name, f"{name}.wav", 0.0, 5.0) for name in names])
    facts = [
        Annotation(
            name, 0.0, 5.0, Tempo(90.0, 1.0, "x"), Beats((0.5, 1.0), (1, 2)), key=Key("C major", 1.0, "x")
        )
        for name in names
    ]
    _stage(data / "truths", "prepare", list(facts))
    _stage(data / "annotations", "annotate", list(facts), {"version": "annotate-1", "notes": False})
    said = [Exchange(name, "Is it high?", "No.", "understanding", "x", "offline") for name in names]
    _stage(data / "exchanges", "instruct", list(said))
    plan = {
        "settings": {"encoder": "mel", "weights": None, "compat": None, "layer": None, "rate": "2"},
        "version": "mel-1", "width": smoke.WIDTH, "frames_per_second": "2", "licence": "Apache-2.0",
    }  # fmt: skip
    frames = [
        Embedding(
            name, "mel mel-1", draw.normal(size=(4, smoke.WIDTH)).astype(np.float16), 2.0, 0.0, 2.0, "2"
        )
        for name in names
    ]
    _stage(data / "embeddings", "embed", list(frames), plan)
    smoke.write_base("llama", at / "base")
    _trained(at)
    layouts.export(data / "embeddings", at / "npy", "npy")
    layouts.export(data / "embeddings", at / "tars", "webdataset")
    _run("infer", at / "trained/model", "--data", data, "--out", at / "answers/a.jsonl", "--most-tokens", 2)
    return at


def _trained(at: Path) -> None:
    places = train.folders([str(at / "data")])
    with distributed.join("cpu") as world:
        fit_model(
            RECIPE.model, RECIPE.train, train.read_data(places, RECIPE.train), at / "trained", world,
            base=at / "base", audio_encoder=record.record_of(places.embeddings),
        )  # fmt: skip


def _run(*words: object) -> None:
    cli.app([str(word) for word in words], exit_on_error=False, result_action="return_value")


def _read_everything(at: Path) -> list[object]:
    """Every record and all frames of a run's folders."""
    made = artifacts.look(at / "data")
    kinds = {"tracks": Track, "clips": Clip, "truths": Annotation, "annotations": Annotation}
    kinds |= {"exchanges": Exchange}
    everything: list[object] = []
    for name, kind in kinds.items():
        for folder in getattr(made, name):
            everything += [stages.about(folder), *stages.read(folder, kind), *stages.read_dropped(folder)]
    for folder in made.embeddings:
        everything += [stages.about(folder), *stages.read_dropped(folder)]
        for one in Embeddings(folder).values():
            everything += [one.frames.tolist(), one.exact_rate, one.start_seconds, one.end_seconds]
    return everything


READERS: dict[str, Callable[[Path], object]] = {
    "records": _read_everything,
    "verify": lambda at: embed.verify(str(at / "data/embeddings")),
    "sources": lambda at: list(Sources([at / "data"])),
    "training data": lambda at: train.read_data(train.folders([str(at / "data")]), RECIPE.train),
    "encoder": lambda at: record.record_of([at / "data/embeddings"]),
    "infer data": lambda at: infer.read_data([str(at / "data"), str(at / "npy"), str(at / "tars")]),
    "import": lambda at: [
        layouts.import_(at / name, at / f"again-{name}", "x", "2") for name in ("npy", "tars")
    ],
    "export": lambda at: layouts.export(at / "data/embeddings", at / "out", "npy"),
    "instruct": lambda at: _run("instruct", at / "data", "--out", at / "more", "--most", 2, "--workers", 0),
    "model": lambda at: (record.of_model(at / "trained/model"), load_adapter(at / "trained/model")),
    "train": lambda at: _trained(at),
    "infer": lambda at: _run(
        "infer", at / "trained/model", "--data", at / "data", "--out", at / "answers/a.jsonl",
        "--most-tokens", 2,
    ),
}  # fmt: skip

PARTS = {
    "data": ("records", "verify", "sources", "training data", "encoder", "infer data", "export", "instruct"),
    "npy": ("import", "infer data"),
    "tars": ("import", "infer data"),
    "trained": ("model", "train"),
    "answers": ("infer",),
}
"""Folder of a run → what reads it."""


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("forged", [False, True])
def test_whatever_is_damaged_is_one_sentence_or_was_not_needed(
    part: str, forged: bool, whole: Path, tmp_path: Path
) -> None:
    before, refused, faults = _read_everything(whole), 0, list[str]()
    files = sorted(path.relative_to(whole) for path in (whole / part).rglob("*") if path.is_file())
    rounds = 4 if part in ("trained", "answers") else 12
    for round_ in range(rounds):
        for file in files:
            random = Random(f"{part} {file} {round_} {forged}")
            at = tmp_path / "at"
            shutil.copytree(whole, at)
            path = at / file
            path.write_bytes(_damaged(path.read_bytes(), random))
            if forged:
                _reseal(path.parent)
            for name in PARTS[part]:
                try:
                    with _in_time():
                        read = READERS[name](at)
                except LlarkError:
                    refused += 1
                    continue
                except Exception as error:
                    faults.append(f"{name} of {file}, round {round_}: {error!r:.200}")
                    continue
                if name == "records" and not forged and read != before:
                    faults.append(f"{file}, round {round_}: it is read, and not what was written")
            shutil.rmtree(at)
    assert "\n".join(faults) == ""
    assert refused > (0 if part == "npy" else len(files))  # an array that is damaged is a drop, no error


@pytest.mark.slow
def test_verify_finds_whatever_changes_what_embeddings_hold(whole: Path, tmp_path: Path) -> None:
    folder = whole / "data/embeddings"
    before = _read_everything(whole)
    for round_ in range(60):
        for file in sorted(folder.iterdir()):
            at = tmp_path / "at"
            shutil.copytree(whole, at)
            path = at / "data/embeddings" / file.name
            path.write_bytes(_damaged(path.read_bytes(), Random(f"{file.name} {round_}")))
            try:
                embed.verify(str(path.parent))
            except UserMustAct:
                pass
            else:
                assert _read_everything(at) == before, f"{file.name}, round {round_}"
            shutil.rmtree(at)


def test_a_report_of_damaged_json_is_one_sentence(tmp_path: Path) -> None:
    for name in (report.SCORES, report.ANSWERS):
        for hostile in HOSTILE:
            (tmp_path / report.SCORES).write_text(
                '{"rows": [], "margins": [], "versions": {}, "absent": [], "about": {}}'
            )
            (tmp_path / report.ANSWERS).write_text("")
            assert report.read(tmp_path).rows == ()
            (tmp_path / name).write_bytes(hostile)
            with _in_time():
                try:
                    report.read(tmp_path)
                    report.told_apart(tmp_path, tmp_path)
                except UserMustAct:
                    pass
