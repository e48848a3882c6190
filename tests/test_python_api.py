"""What people write in Python by mistake: one clear error each, before any work is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import llark
from llark import audio, recipe
from llark.embed.encoder import Sound
from llark.errors import BadAudio, QuestionTooLong, UserMustAct
from llark.generate.answerer import AnswerConfig, Answerer, ModelQuestion
from llark.model import LlarkProcessor
from llark.model.checkpoint import new_model
from llark.networks.features import AudioFeatures
from llark.options import (
    EmbedOptions,
    EvaluateOptions,
    InferOptions,
    InstructOptions,
    ModelOptions,
    PrepareOptions,
)
from llark.pipeline import annotate, evaluate, infer, instruct, train
from llark.pipeline.ask import MusicLM, demo_recording
from llark.storage.embeddings import Embeddings
from tests.tiny import WIDTH, base, tiny_tokenizer  # noqa: F401

SONG, HERE = demo_recording(), Path(__file__).parent
MINI = HERE.parent / "recipes" / "mini.yaml"
SECOND = np.zeros(22050, np.float32)


def model() -> MusicLM:
    return MusicLM()


MISTAKES: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("load a number", lambda: llark.load(3), TypeError, "model is 3"),
    ("load bytes", lambda: llark.load(b"mini"), TypeError, "model is b'mini'"),
    ("load a folder", lambda: llark.load(HERE), UserMustAct, "is not a model folder"),
    ("load a file", lambda: llark.load(SONG), UserMustAct, "is not a model folder"),
    ("load on a number", lambda: llark.load(device=0), TypeError, "device is 0"),
    ("a path for options", lambda: MusicLM(HERE), TypeError, "choice is"),
    ("no question", lambda: model().ask(SONG), UserMustAct, "There is no question"),
    ("an empty question", lambda: model().ask(SONG, "key?", " "), UserMustAct, "There is no question"),
    ("None", lambda: model().ask(SONG, None), TypeError, r"questions is \(None,\)"),
    ("a list", lambda: model().ask(SONG, ["a?"]), TypeError, "questions is"),
    ("bytes", lambda: model().ask(SONG, b"a?"), TypeError, "questions is"),
    ("no text", lambda: model().ask(SONG, "caf\udce9?"), UserMustAct, "no UTF-8 text"),
    ("no song", lambda: model().ask(None, "a?"), TypeError, "song is None"),
    ("samples", lambda: model().ask(SECOND, "a?"), TypeError, "song is array"),
    ("a folder", lambda: model().ask(HERE, "a?"), UserMustAct, "is a folder"),
    ("NUL", lambda: model().ask("a\0b", "a?"), UserMustAct, "There is no file"),
    ("facts", lambda: model().ask(SONG, "a?", facts="no"), TypeError, "facts is 'no'"),
    ("letters", lambda: model().answer("Which key?", None), TypeError, "questions is 'Which key"),
    ("facts as text", lambda: model().answer(["a?"], None, "D"), TypeError, "facts is"),
    ("embed None", lambda: model().embed(None), TypeError, "song is None"),
    ("embed a folder", lambda: model().embed(HERE), UserMustAct, "is a folder"),
    ("NaN samples", lambda: AudioFeatures(SECOND * math.nan, 22050), BadAudio, "not numbers"),
    ("infinite samples", lambda: AudioFeatures(SECOND + math.inf, 22050), BadAudio, "not numbers"),
    ("samples too large", lambda: AudioFeatures(np.full(9, 1e300), 22050), BadAudio, "not numbers"),
    ("two channels", lambda: AudioFeatures(np.ones((2, 9)), 22050), BadAudio, "one channel"),
    ("no samples", lambda: AudioFeatures(SECOND[:0], 22050), BadAudio, "one channel"),
    ("a path for samples", lambda: AudioFeatures("a.wav", 22050), ValueError, "real numbers"),
    ("None for samples", lambda: AudioFeatures(None, 22050), ValueError, "real numbers"),
    ("complex samples", lambda: AudioFeatures(SECOND * 1j, 22050), ValueError, "real numbers"),
    ("rate 0", lambda: AudioFeatures(SECOND, 0), ValueError, "found 0"),
    ("rate -1", lambda: Sound(SECOND, -1), ValueError, "found -1"),
    ("rate NaN", lambda: AudioFeatures(SECOND, math.nan), ValueError, "found nan"),
    ("rate as text", lambda: Sound(SECOND, "8000"), ValueError, "found '8000'"),
    ("NaN in a sound", lambda: Sound(SECOND * math.nan, 8000), BadAudio, "not numbers"),
    ("no start", lambda: audio.load(SONG, start_seconds=math.nan), ValueError, "holds no sound"),
    ("start in infinity", lambda: audio.load(SONG, start_seconds=math.inf), ValueError, "holds no sound"),
    ("end before start", lambda: audio.load(SONG, start_seconds=2, end_seconds=1), ValueError, "no sound"),
    ("end nowhere", lambda: audio.load(SONG, end_seconds=math.nan), ValueError, "holds no sound"),
    ("one song", lambda: annotate.annotate("a.wav"), TypeError, "songs is 'a.wav'"),
    ("one path", lambda: annotate.annotate(SONG), TypeError, "songs is"),
    ("one place", lambda: infer.infer(ModelOptions(), "e", SONG, InferOptions()), TypeError, "data is"),
    ("one folder of facts", lambda: instruct.instruct("facts", "o"), TypeError, "places is 'facts'"),
    ("one folder to learn from", lambda: train.train(MINI, "data", HERE), TypeError, "data is 'data'"),
    ("one override", lambda: recipe.load(MINI, "train.steps=3"), TypeError, "overrides is 'train"),
    ("a recipe that is None", lambda: recipe.load(None), TypeError, "path is None"),
    ("a recipe that is a folder", lambda: recipe.load(HERE), UserMustAct, "cannot be read"),
    ("text for data", lambda: evaluate.evaluate("d", HERE, EvaluateOptions()), TypeError, "data is 'd'"),
    ("no options", lambda: evaluate.evaluate(HERE, HERE, None), TypeError, "options is None"),
    ("one task", lambda: EvaluateOptions(tasks="key"), TypeError, "tasks is 'key'"),
    ("one column", lambda: PrepareOptions(columns="path=a"), TypeError, "columns is"),
    ("one family", lambda: InstructOptions(family="reasoning"), TypeError, "family is"),
    ("no such layout", lambda: EmbedOptions(compat="x"), TypeError, "compat is 'x'"),
    ("a number as text", lambda: EmbedOptions(batch="8"), TypeError, "batch is '8'"),
    ("a switch for a number", lambda: EmbedOptions(batch=True), TypeError, "batch is True"),
    ("no batch", lambda: EmbedOptions(batch=0), ValueError, "batch is 0: Must be >= 1"),
    ("no window", lambda: PrepareOptions(window_seconds=math.nan), ValueError, "window_seconds is nan"),
    ("a window without end", lambda: PrepareOptions(window_seconds=math.inf), ValueError, "seconds is inf"),
    ("more than all", lambda: InferOptions(drop_share=1.5), ValueError, "drop_share is 1.5: Must be <= 1"),
    ("embeddings of None", lambda: Embeddings(None), TypeError, "not NoneType"),
    ("embeddings of a file", lambda: Embeddings(SONG), UserMustAct, "not the folder of a finished stage"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "says"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_one_clear_error(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


GOOD = np.ones((4, WIDTH), np.float32)


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        (GOOD * np.nan, "NaN or infinity"),
        (GOOD.astype(np.float16) * np.inf, "NaN or infinity"),
        (GOOD[0], "found 6 clips for 1 questions"),
        ([GOOD[0]], r"found \(6,\) of torch.float32"),
        (GOOD[:0], r"found \(0, 6\)"),
        (np.ones((2, 4, WIDTH, 1)), "found 2 clips for 1 questions"),
        (GOOD * 1j, "torch.complex64"),
        (np.array([["a"]]), "an array .frames, width. of numbers"),
        (["frames"], "found 'frames'"),
        ([{}], "found {}"),
    ],
)
def test_frames_that_are_none_are_refused_by_the_processor(frames: Any, says: str) -> None:
    processor = LlarkProcessor(tiny_tokenizer(), max_audio_positions=8)
    assert processor("Which key?", GOOD)["audio_frames"].shape == (1, 4, WIDTH)
    with pytest.raises(ValueError, match=says):
        processor("Which key?", frames)


def test_a_question_that_is_longer_than_the_model_reads_is_one_sentence(base: Path) -> None:  # noqa: F811
    made, processor = new_model(base, audio_width=WIDTH, frames_per_second=1.0, max_audio_positions=8)
    answerer = Answerer(made, processor, AnswerConfig(most_tokens=8))
    with torch.inference_mode():
        assert len(answerer([ModelQuestion("Which key?", GOOD)])) == 1
    long = "La la la, the river runs on. " * 40
    for ask in (
        lambda: answerer.refuse_long(["Which key?", long]),
        lambda: answerer([ModelQuestion(long, None)]),
    ):
        with pytest.raises(
            QuestionTooLong, match=r"it is 1,\d\d\d tokens, and the model reads 504 before an"
        ):
            ask()
    answerer.refuse_long(["Which key?"])


def test_a_long_question_is_refused_before_the_song_is_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refuses:
        def refuse_long(self, questions: Any) -> None:
            raise QuestionTooLong(f"{len(questions[0])} letters")

    monkeypatch.setattr("llark.pipeline.ask.load_answerer", lambda _: Refuses())
    monkeypatch.setattr(
        "llark.pipeline.listen.to_recording", lambda *_, **__: pytest.fail("it was listened to")
    )
    with pytest.raises(QuestionTooLong, match="5000 letters"):
        model().ask(SONG, "x" * 5000, raw=True)
    with pytest.raises(QuestionTooLong, match="5,000 letters"):
        model().ask(SONG, "x" * 5000, raw=False)
