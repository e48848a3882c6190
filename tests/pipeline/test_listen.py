"""Listening: windows of a song, one pass over clips, and what a stopped pass has kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from llark import audio, engine
from llark.embed.encoder import NATIVE, Device, Settings, Sound
from llark.embed.mini import load
from llark.errors import BadAudio, UserMustAct
from llark.networks.features import one_thread
from llark.pipeline import annotate, ask, embed, listen
from llark.records import Annotation, Clip, Dropped, Embedding, Track
from llark.storage import stages
from llark.storage.embeddings import Embeddings

MINI = Settings("mini", rate=NATIVE)


def clicks(path: Path, bpm: float, seconds: float = 12.0) -> Path:
    """A drum machine: noise bursts on the beat, a low thump on every fourth."""
    rate = 22050
    samples = np.zeros(round(seconds * rate), np.float32)
    draw = np.random.default_rng(0)
    for beat, start in enumerate(np.arange(0, seconds - 0.3, 60 / bpm)):
        burst = draw.normal(0, 0.3, 2000) * np.exp(-np.arange(2000) / 300)
        thump = np.sin(2 * np.pi * 70 * np.arange(4000) / rate) * np.exp(-np.arange(4000) / 900)
        at = round(start * rate)
        samples[at : at + 2000] += burst.astype(np.float32)
        if beat % 4 == 0:
            samples[at : at + 4000] += 0.8 * thump.astype(np.float32)
    audio.save(path, samples, rate)
    return path


@pytest.mark.slow
def test_every_window_of_a_long_song_is_heard(tmp_path: Path) -> None:
    song = clicks(tmp_path / "song.flac", 120.0, seconds=56.0)
    heard = listen.to_recording(Track("song", str(song)), frames=True)
    assert heard.frames is not None
    assert heard.frames.shape[0] == 112
    assert heard.facts.end_seconds == pytest.approx(56.0)
    tempo = heard.facts.tempo  # a click track has no bars: either octave is right
    assert 120.0 in [pytest.approx(bpm, rel=0.02) for bpm in (tempo.bpm, tempo.alternative_bpm)]
    assert heard.facts.beats.times_seconds[-1] > 54


def test_two_folders_take_what_is_theirs_and_agree_on_what_is_done(tmp_path: Path) -> None:
    writers = [stages.open_stage(tmp_path / name, name) for name in ("annotate", "embed")]
    with listen.ListenWriter(*writers) as both:
        both.write("a", [Annotation("a", 0, 1), Embedding("a", "mini", np.ones((2, 3)), 2.0)])
        both.write("b", [Dropped("b", "listen", "damaged", "It is broken.")])
        assert both.done == {"a", "b"}
        both.finish()
    assert [a.clip_id for a in stages.read(tmp_path / "annotate", Annotation)] == ["a"]
    assert Embeddings(tmp_path / "embed").shape("a") == (2, 3)
    assert [d.reason for d in stages.read_dropped(tmp_path / "embed")] == ["damaged"]


class Stopped:
    """A step that makes both records, and after so many raises what stops a run."""

    name = "listen"

    def __init__(self, after: int, by: BaseException) -> None:
        self.left, self.by = after, by

    def id_of(self, record: str) -> str:
        return record

    def open(self) -> None:
        """Nothing is heavy."""

    def __call__(self, record: str) -> list[object]:
        if not self.left:
            raise self.by
        self.left -= 1
        return [Annotation(record, 0, 1), Embedding(record, "mini", np.ones((2, 3)), 2.0)]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), UserMustAct("The disk is gone.")])
def test_a_stopped_pass_keeps_every_clip_that_was_done_in_both_folders(
    tmp_path: Path, stop: BaseException
) -> None:
    def writer() -> listen.ListenWriter:
        return listen.ListenWriter(
            *(stages.open_stage(tmp_path / name, name) for name in ("annotate", "embed"))
        )

    ids = [f"clip-{i}" for i in range(40)]
    with pytest.raises(type(stop)):
        engine.run(Stopped(30, stop), ids, writer())
    again = writer()
    assert again.done == set(ids[:30])
    assert engine.run(Stopped(40, stop), ids, again).inputs == 10
    assert [a.clip_id for a in stages.read(tmp_path / "annotate", Annotation)] == ids
    assert list(Embeddings(tmp_path / "embed")) == ids


def test_what_one_folder_lacks_is_made_again_for_that_one_alone(tmp_path: Path) -> None:
    def writers() -> list[stages.StageWriter]:
        return [stages.open_stage(tmp_path / name, name) for name in ("annotate", "embed")]

    annotations, embeddings = writers()
    with annotations:
        annotations.write("a", [Annotation("a", 0, 1)])
    embeddings.close()
    both = listen.ListenWriter(*writers())
    assert both.done == set()
    assert engine.run(Stopped(2, KeyboardInterrupt()), ["a", "b"], both).inputs == 2
    assert [a.clip_id for a in stages.read(tmp_path / "annotate", Annotation)] == ["a", "b"]
    assert list(Embeddings(tmp_path / "embed")) == ["a", "b"]


def prepared(folder: Path, seconds: float) -> Path:
    """A folder with one finished clip of a drum machine."""
    song = clicks(folder / "song.flac", 120.0, seconds)
    with stages.open_stage(folder / "clips", "prepare") as writer:
        writer.write("song", [Clip("song@0.50", "song", str(song), 0.5, seconds)])
        writer.finish()
    return folder / "clips"


@pytest.mark.parametrize("seconds", [4.0, 30.0])
def test_one_pass_gives_the_facts_and_frames_that_two_stages_give(tmp_path: Path, seconds: float) -> None:
    clips = prepared(tmp_path, seconds)
    listen.listen(clips, tmp_path / "annotations", tmp_path / "embeddings", MINI, 0)
    list(annotate.annotate([tmp_path], tmp_path / "annotated", workers=0))
    embed.run(str(clips), str(tmp_path / "embedded"), MINI, Device())
    for one, other in (("annotations", "annotated"), ("embeddings", "embedded")):
        assert sorted(path.name for path in (tmp_path / one).iterdir()) == sorted(
            path.name for path in (tmp_path / other).iterdir()
        )
        for path in (tmp_path / one).iterdir():
            assert path.read_bytes() == (tmp_path / other / path.name).read_bytes()
    assert Embeddings(tmp_path / "embeddings").shape("song@0.50")[0] == 2 * (seconds - 0.5)


def test_an_encoder_without_those_networks_listens_in_a_pass_of_its_own(tmp_path: Path) -> None:
    clips = prepared(tmp_path, 4.0)
    listen.listen(clips, tmp_path / "annotations", tmp_path / "embeddings", Settings("mel"), 0)
    assert [a.clip_id for a in stages.read(tmp_path / "annotations", Annotation)] == ["song@0.50"]
    assert Embeddings(tmp_path / "embeddings").shape("song@0.50") == (35, 64)


def test_a_song_is_heard_by_the_encoder_as_a_recording_is_listened_to(tmp_path: Path) -> None:
    song = clicks(tmp_path / "song.flac", 120.0, seconds=32.0)
    heard = listen.to_recording(Track("song", str(song)), frames=True)
    assert np.array_equal(heard.frames, load(MINI, Device())([Sound(*audio.load(song))])[0])


def test_the_threads_of_torch_are_given_back_after_listening_and_after_an_error(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        with pytest.raises(BadAudio), one_thread():
            audio.load(tmp_path / "missing.wav")
        assert torch.get_num_threads() == 3
        song = clicks(tmp_path / "song.flac", 120.0, 4.0)
        for record in (Track("song", str(song)), Clip("a", "song", str(song), 0.0, 2.0)):
            assert len(list(listen.Listen()(record))) == 2
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_model_that_could_not_be_loaded_is_loaded_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def load_answerer(_: ask.ModelOptions) -> object:
        tries.append(1)
        if len(tries) == 1:
            raise UserMustAct("The base is not there yet.")
        return lambda queries: [query.question for query in queries]

    monkeypatch.setattr(ask, "load_answerer", load_answerer)
    model = ask.MusicLM()
    with pytest.raises(UserMustAct, match="not there yet"):
        model.answer(["Why?"], None)
    assert [model.answer(["Why?"], None), model.answer(["How?"], None)] == [["Why?"], ["How?"]]
    assert len(tries) == 2
