"""What somebody may get wrong with `llark evaluate`, told before anything is rendered or heard."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from llark import audio
from llark.embed import mini, record
from llark.embed.encoder import EncoderOptions
from llark.errors import StoreMismatch, UserMustAct
from llark.evaluate import report
from llark.options import EvaluateOptions
from llark.pipeline import evaluate as walk
from llark.pipeline import listen, prepare, testsets
from llark.records import Annotation, Clip, Embedding, Key, Track, to_dict
from llark.storage import stages
from tests.evaluate.test_command import prepared, typed


def questions(folder: Path) -> Path:
    """Two questions of the form of MuChoMusic."""
    rows = [
        {"audio": f"clip-{i}.wav", "question": f"{i}?", "choices": ["a1", "b1"], "answer": "B"}
        for i in range(2)
    ]
    path = folder / "q.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def tone(path: Path, hertz: float) -> Path:
    """Two seconds, in as many bytes whatever the pitch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.save(path, np.sin(np.arange(16000) * hertz / 8000 * 2 * np.pi).astype(np.float32), 8000)
    return path


# --- told at once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        (
            ("audio",),
            "There is no sound for audio: name the folder of the recordings with --audio, or leave it",
        ),
        (("no-audio", "shuffled", "silence"), "There is no sound for shuffled, silence"),
    ],
)
def test_conditions_that_need_sound_are_refused_where_there_is_none(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    conditions: tuple[str, ...],
    says: str,
) -> None:
    words = ["evaluate", "--questions", f"muchomusic={questions(tmp_path)}", "--out", tmp_path / "r"]
    status, _, said = typed(capsys, monkeypatch, *words, "--conditions", *conditions)
    assert status == 2
    assert says in said
    assert not (tmp_path / "r").exists()


def test_an_endpoint_may_be_sent_silence_without_recordings(tmp_path: Path) -> None:
    asked = (f"muchomusic={questions(tmp_path)}",)
    wanted = EvaluateOptions(
        questions=asked, endpoint="http://127.0.0.1:1/v1", conditions=("silence", "audio")
    )
    with pytest.raises(UserMustAct, match="no sound for audio: "):
        walk.evaluate(None, tmp_path / "r", wanted)


def test_a_model_that_is_none_is_refused_before_anything_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    monkeypatch.setattr(testsets, "gather", lambda *args: begun.append(args))
    with pytest.raises(UserMustAct, match="nowhere is not a model folder"):
        walk.evaluate(None, tmp_path / "r", EvaluateOptions(model=tmp_path / "nowhere"))
    assert begun == []


# --- the open corpus --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ("test", "open corpus: 5 clips rendered; asked about are 1, those of the split test"),
        ("x", "open corpus: 5 clips rendered; none is of the split x, so all are asked about"),
    ],
)
def test_how_many_of_the_rendered_clips_are_asked_about_is_said(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    split: str,
    says: str,
) -> None:
    clips = [Clip(f"c{i}", "t", "x.ogg", 0.0, 2.0, "test" if i == 3 else "train") for i in range(5)]
    truth = {clip.id: Annotation(clip.id, 0.0, 2.0) for clip in clips}
    rows: dict[str, list[object]] = {
        "clips": list(clips),
        "annotations": list(truth.values()),
        "embeddings": [Embedding(c.id, "fake", np.zeros((2, 1), np.float32), 1.0) for c in clips],
    }
    for name, kept in rows.items():
        with stages.open_stage(tmp_path / name, name) as writer:
            for clip, row in zip(clips, kept, strict=True):
                writer.write(clip.id, [row])
            writer.finish()
    monkeypatch.setattr(testsets, "open_corpus", lambda *_: tmp_path)
    known = {clip: (Track("t", "x.ogg"), one) for clip, one in truth.items()}
    monkeypatch.setattr(prepare, "corpus_truths", lambda *_: known)
    (tmp_path / "corpus").mkdir()
    testsets.gather(None, tmp_path / "r", EvaluateOptions(clips=5, split=split))
    assert capsys.readouterr().err == f"{says}\n"


# --- what was heard ---------------------------------------------------------------------------------------


def fake_hearing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that hear nothing, in place of the networks."""

    def heard(self: listen.Listen, record: Clip) -> list[object]:
        frames = Embedding(record.id, mini.VERSION, np.zeros((2, mini.WIDTH), np.float32), 1.0)
        return [Annotation(record.id, 0.0, 2.0), frames] if self.facts else [frames]

    monkeypatch.setattr(listen.Listen, "open", lambda self: None)
    monkeypatch.setattr(listen.Listen, "__call__", heard)


@pytest.mark.parametrize("whole", [True, False])
def test_other_audio_under_the_same_ids_is_not_taken_for_what_was_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    fake_hearing(monkeypatch)
    clips = [Clip("a", "a", str(tone(tmp_path / "sounds" / "a.wav", 440.0)), 0.0, 2.0)]

    def hear() -> None:
        if whole:
            testsets.embed_whole(clips, tmp_path / "heard", 0)
        else:
            testsets.listen(clips, tmp_path, tmp_path / "heard", 0)

    hear()
    hear()
    tone(tmp_path / "sounds" / "a.wav", 550.0)
    with pytest.raises(
        StoreMismatch, match=r"other recordings of the same names\. .*delete the folders heard"
    ):
        hear()


def test_a_models_own_encoder_does_not_take_other_audio_for_what_it_heard_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = record.EncoderRecord(EncoderOptions("made-up"), "1", 1, "1", 2.0)
    encoder = SimpleNamespace(card=SimpleNamespace(version="1"))
    monkeypatch.setattr(listen, "_are_of", lambda *_: False)
    monkeypatch.setattr(record, "of_model", lambda _: known)
    monkeypatch.setattr(record, "load", lambda *_: encoder)
    monkeypatch.setattr(listen, "frames_of", lambda *_: np.zeros((2, 1), np.float32))
    clips = {"a": Clip("a", "a", str(tone(tmp_path / "a.wav", 440.0)), 0.0, 2.0)}
    there = {"a": Embedding("a", "other", np.zeros((2, 3), np.float32), 1.0)}
    assert listen.for_model(tmp_path, there, clips, tmp_path / "heard")["a"].frames.shape == (2, 1)
    tone(tmp_path / "a.wav", 550.0)
    with pytest.raises(StoreMismatch, match="other recordings of the same names"):
        listen.for_model(tmp_path, there, clips, tmp_path / "heard")


def test_what_an_earlier_release_heard_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hearing(monkeypatch)
    clips = [Clip("a", "a", str(tone(tmp_path / "a.wav", 440.0)), 0.0, 2.0)]
    with stages.open_stage(tmp_path / "heard", "hear", {"clips": ["a"], "encoder": mini.VERSION}) as writer:
        writer.finish()
    with pytest.raises(StoreMismatch, match="for recordings that were not noted"):
        testsets.embed_whole(clips, tmp_path / "heard", 0)


def test_sounds_are_told_by_their_bytes_and_seconds_wherever_they_lie(tmp_path: Path) -> None:
    one = tone(tmp_path / "one" / "a.wav", 440.0)
    moved = tmp_path / "two" / "a.wav"
    moved.parent.mkdir()
    shutil.copyfile(one, moved)

    def told(path: Path, end_seconds: float = 2.0) -> str:
        return listen.digest_of([Clip("a", "a", str(path), 0.0, end_seconds)])

    assert told(one) == told(moved)
    assert len({told(one), told(one, 1.0), told(tmp_path / "gone.wav"), told(tone(moved, 550.0))}) == 4


# --- two reports ------------------------------------------------------------------------------------------


def test_reports_of_the_same_name_are_headed_by_the_folders_above(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepared(tmp_path / "data", 4)
    words = ["evaluate", data, "--tasks", "key", "--conditions", "audio", "--out"]
    typed(capsys, monkeypatch, *words, tmp_path / "a" / "report")
    shutil.copytree(tmp_path / "a" / "report", tmp_path / "b" / "report")
    _, table, _ = typed(capsys, monkeypatch, "compare", tmp_path / "a" / "report", tmp_path / "b" / "report")
    assert table.startswith("| task | a/report | b/report | difference |")


@pytest.mark.parametrize(
    ("first", "second", "heads"),
    [
        ("x/one", "x/two", ("one", "two")),
        ("a/x/report", "b/x/report", ("a/x/report", "b/x/report")),
        ("a/report/../r", "a/r/", ("first", "second")),
    ],
)
def test_as_many_folders_are_named_as_it_takes(first: str, second: str, heads: tuple[str, str]) -> None:
    assert report.told_apart(Path(first), Path(second)) == heads


# --- a rendered corpus ------------------------------------------------------------------------------------


def corpus_of(folder: Path, splits: dict[str, str]) -> Path:
    """A corpus as `llark corpus` leaves it: a clip for each id, in D major, of the split beside it."""
    for id_, split in splits.items():
        path = tone(folder / "audio" / f"{id_}.wav", 440.0).rename(folder / "audio" / f"{id_}.ogg")
        truth = Annotation(id_, 0.0, 2.0, key=Key("D major", 1.0, "truth"))
        track = Track(id_, path.name, split=split, duration_seconds=2.0)
        page = {"track": to_dict(track), "truth": to_dict(truth)}
        path.with_suffix(".json").write_text(json.dumps(page))
    return folder


def test_a_rendered_corpus_is_a_test_set_of_its_own(tmp_path: Path) -> None:
    data = corpus_of(tmp_path / "corpus", {"a": "train", "b": "test", "c": "test", "d": "train"})
    found = testsets.gather(data, tmp_path / "out", EvaluateOptions(), embed=False)
    assert [item.track_id for item in found.test_set.items] == ["b", "c"]
    assert [item.track_id for item in found.training] == ["a", "d"]
    assert {item.truth.key.name for item in (*found.test_set.items, *found.training)} == {"D major"}
    assert all(item.truth.clip_id == item.clip_id for item in found.test_set.items)


def test_of_a_rendered_corpus_so_many_clips_are_asked_about_as_are_wanted(tmp_path: Path) -> None:
    data = corpus_of(tmp_path / "corpus", dict.fromkeys("abcdef", "test"))
    assert (
        len(testsets.gather(data, tmp_path / "out", EvaluateOptions(clips=4), embed=False).test_set.items)
        == 4
    )
