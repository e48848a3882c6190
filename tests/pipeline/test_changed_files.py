"""Recordings that shrank, grew or were swapped after `llark prepare` are drops wherever clips are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llark import audio
from llark.embed import step
from llark.embed.encoder import Device, EncoderOptions
from llark.errors import BadAudio
from llark.evaluate.cases import TaskPrompt
from llark.evaluate.sounds import Sounds
from llark.pipeline import annotate, embed
from llark.pipeline.listen import EmbedForModel, Listen
from llark.prepare import stage
from llark.prepare.stage import PrepareConfig
from llark.records import Annotation, Clip
from llark.storage import stages
from llark.storage.embeddings import Embeddings

RATE = 8000


def tone(path: Path, hertz: float, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    audio.save(path, samples.astype(np.float32), RATE)
    return path


def shrunk(path: Path) -> None:
    os.truncate(path, 20_000)


def grown(path: Path) -> None:
    tone(path, 300, 90)


def swapped(path: Path) -> None:
    tone(path, 440, audio.probe(path).duration_seconds)


def gone(path: Path) -> None:
    path.unlink()


class Streamed:
    """Stands for an encoder that reads long clips from their files."""

    def song(self, *_: object) -> None:
        raise AssertionError("the file was read")

    stream = song


READERS: dict[str, Callable[[Clip], object]] = {
    "annotate and build": lambda clip: list(Listen()(clip)),
    "embed": lambda clip: step.read(clip),
    "embed, of long clips": lambda clip: step.embedded(Streamed(), clip),  # type: ignore[arg-type]
    "infer and evaluate": lambda clip: list(EmbedForModel(None, None)(clip)),  # type: ignore[arg-type]
    "evaluate an endpoint": lambda clip: Sounds({clip.id: clip}).wav(TaskPrompt("key", "?", clip_id=clip.id)),
}


@pytest.mark.parametrize("change", [shrunk, grown, swapped])
@pytest.mark.parametrize("reader", READERS)
def test_no_reader_of_clips_takes_another_file_for_the_one_that_was_prepared(
    tmp_path: Path, reader: str, change: Callable[[Path], None]
) -> None:
    path = tone(tmp_path / "a.wav", 220, 70)
    clip = Clip("a", "a", str(path), 0.0, 70.0, fingerprint=audio.fingerprint(path))
    change(path)
    with pytest.raises(BadAudio, match=r"a\.wav has changed since it was prepared") as caught:
        READERS[reader](clip)
    assert caught.value.reason == "changed"


def test_a_clip_of_an_earlier_release_is_read_where_its_file_is_long_enough(tmp_path: Path) -> None:
    path = tone(tmp_path / "a.wav", 220, 3)
    clip = Clip("a", "a", str(path), 0.0, 3.0)
    swapped(path)
    assert len(step.read(clip).samples) == 3 * RATE
    tone(path, 220, 1.2)
    with pytest.raises(BadAudio, match=r"it ends at 1\.20 s, and the clip at 3\.00 s"):
        step.read(clip)


CHANGES: dict[str, Any] = {"a": None, "b": shrunk, "c": swapped, "d": gone}


@pytest.fixture(params=[None, "wav"], ids=["tracks' files", "clips' own files"])
def prepared(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Four recordings, prepared; then all but the first are changed."""
    for name in CHANGES:
        tone(tmp_path / "music" / f"{name}.wav", 220, 2.0)
    stage.run(
        PrepareConfig(str(tmp_path / "music"), convert=request.param), str(tmp_path / "p"), progress=False
    )
    for clip in stages.read(tmp_path / "p" / "clips", Clip):
        if change := CHANGES[clip.track_id]:
            change(Path(clip.path))
    return tmp_path / "p"


def test_clips_of_changed_files_are_drops_of_annotate_and_embed(prepared: Path, tmp_path: Path) -> None:
    list(annotate.annotate([prepared], tmp_path / "facts", workers=0))
    embed.run(str(prepared), str(tmp_path / "embeddings"), EncoderOptions("mel", rate="10"), Device(batch=4))
    lost = [("b@0.00", "changed"), ("c@0.00", "changed"), ("d@0.00", "missing")]
    for folder in ("facts", "embeddings"):
        assert [(drop.id, drop.reason) for drop in stages.read_dropped(tmp_path / folder)] == lost
    assert [facts.clip_id for facts in stages.read(tmp_path / "facts", Annotation)] == ["a@0.00"]
    assert list(Embeddings(tmp_path / "embeddings")) == ["a@0.00"]


def test_a_folder_of_clips_without_fingerprints_is_still_read(tmp_path: Path) -> None:
    clip = Clip("a", "a", str(tone(tmp_path / "a.wav", 220, 2.0)), 0.0, 2.0)
    line = b'{"id":"a","track_id":"a","path":"x","start_seconds":0.0,"end_seconds":2.0}\n'
    with stages.open_stage(tmp_path / "clips", "prepare") as writer, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "_line", lambda *_: line.decode().strip())
        writer.write("a", [clip])
        writer.finish()
    assert (tmp_path / "clips" / "part-00000.jsonl").read_bytes() == line
    assert list(stages.read(tmp_path / "clips", Clip)) == [replace(clip, path="x")]
