"""Embeddings of a finished folder: complete records, checked when asked to be, and few open files."""

from __future__ import annotations

import json
import os
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from llark.errors import UserMustAct
from llark.records import Clip, Embedding
from llark.storage import stages
from llark.storage.embeddings import OPEN_SHARDS, Embeddings


def _write(folder: Path, embeddings: list[Embedding], flush_records: int = 500) -> Path:
    with stages.open_stage(folder, "embed", flush_records=flush_records) as writer:
        for embedding in embeddings:
            writer.write(embedding.clip_id, [embedding])
        writer.finish()
    return folder


def test_an_embedding_of_a_clip_says_what_it_covers_and_its_exact_rate(tmp_path: Path) -> None:
    clip = Clip("song@1", "song", "song.wav", 25.0, 50.0)
    made = Embedding.of_clip(clip, "x 1", np.ones((3, 2)), Fraction(11025, 1088), Fraction(1, 2))
    read = Embeddings(_write(tmp_path / "e", [made]))["song@1"]
    assert (read.start_seconds, read.end_seconds, read.rate) == (25.0, 25.5, "11025/1088")
    assert read.exact_rate == made.exact_rate == Fraction(11025, 1088)
    assert read.frames_per_second == 11025 / 1088


def test_an_embedding_that_does_not_say_what_it_covers_begins_at_0_and_lasts_as_its_frames_do(
    tmp_path: Path,
) -> None:
    folder = _write(tmp_path / "e", [Embedding("a", "mini-2", np.ones((25, 2)), 2.5)])
    line = json.loads((folder / "part-00000.jsonl").read_text())
    assert list(line) == ["clip_id", "encoder", "frames_per_second", "shape", "sha256"]
    read = Embeddings(folder)["a"]
    assert (read.start_seconds, read.end_seconds, read.exact_rate) == (0.0, 10.0, Fraction(5, 2))


def test_frames_that_were_changed_are_refused_and_listed_as_damaged(
    tmp_path: Path,
) -> None:
    folder = _write(tmp_path / "e", [Embedding(name, "x", np.ones((2, 2)), 1.0) for name in "ab"])
    assert [len(one.frames) for one in Embeddings(folder).values()] == [2, 2]
    shard = folder / "part-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    checked = Embeddings(folder)
    assert len(checked["a"].frames) == 2
    with pytest.raises(UserMustAct, match="the frames of b are not those that were written"):
        checked["b"]
    assert Embeddings(folder).damaged() == ["b"]


def _open_files(folder: Path) -> int:
    """Handles and mapped files of this process inside a folder."""
    handles = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
    maps = Path("/proc/self/maps").read_text().splitlines()
    mapped = {line.split()[-1] for line in maps if str(folder) in line}
    return max(sum(path.startswith(str(folder)) for path in handles), len(mapped))


def test_a_folder_of_many_shards_keeps_few_of_them_open(tmp_path: Path) -> None:
    count = OPEN_SHARDS + 20
    made = [Embedding(str(n), "x", np.full((2, 2), n), 1.0) for n in range(count)]
    embeddings = Embeddings(_write(tmp_path / "e", made, flush_records=1))
    assert len(list((tmp_path / "e").glob("*.safetensors"))) == count
    for numbers in (range(count), range(count - 1, -1, -1)):
        assert [embeddings[str(n)].frames[0, 0] for n in numbers] == list(numbers)
        assert 0 < _open_files(tmp_path / "e") <= OPEN_SHARDS
    again: Embeddings = pickle.loads(pickle.dumps(embeddings))
    assert again["3"].frames.tolist() == [[3.0, 3.0], [3.0, 3.0]]
