"""`llark infer` as it is typed: frames of every layout, questions of every kind, drops, and kills."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from llark import cli
from llark.errors import StoreMismatch, UserMustAct
from llark.model.checkpoint import new_model, save_adapter, save_whole
from llark.pipeline import infer
from llark.records import Clip, Embedding, Exchange
from llark.storage import stages
from llark.train import smoke

WIDTH = 6
ENDING = ("--most-tokens", "5", "--device", "cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model with weights so large that what it says hangs on what it hears."""
    return of_chance(tmp_path_factory.mktemp("base"), 4)


@pytest.fixture(scope="module")
def model(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A projector of chance around a base of chance; it hears frames of six numbers."""
    made, _ = new_model(base, audio_width=WIDTH, frames_per_second=1.0, max_audio_positions=8)
    folder = tmp_path_factory.mktemp("model")
    made.config.base_name = str(base)
    save_adapter(made, folder)
    return folder


def frames_of(seed: int, count: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float16)


def stage(folder: Path, name: str, records: list[object]) -> Path:
    with stages.open_stage(folder, name, {}) as writer:
        for number, record in enumerate(records):
            writer.write(str(number), [record])
        writer.finish()
    return folder


def embeddings(folder: Path, clips: int = 6) -> Path:
    """Clips of 1, 2, 3 … frames."""
    return stage(
        folder, "embed", [Embedding(f"c{n}", "tiny", frames_of(n, n + 1), 1.0) for n in range(clips)]
    )


def run(model: Path, *words: object) -> None:
    said = ["infer", model, *words, *ENDING]
    cli.app([str(word) for word in said], exit_on_error=False, result_action="return_value")


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_prompt_is_asked_of_every_clip_in_the_order_of_the_data(model: Path, tmp_path: Path) -> None:
    run(model, "--data", embeddings(tmp_path / "e"), "--prompt", "Which key?", "--out", tmp_path / "a.csv")
    rows = rows_of(tmp_path / "a.csv")
    assert [row["example_id"] for row in rows] == [f"c{n}" for n in range(6)]
    assert {row["prompt_text"] for row in rows} == {"Which key?"}
    assert [row["frames"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    published = ["example_id", "prompt_text", "original_completion_text", "model_completion_text"]
    assert list(rows[0])[:4] == published
    assert len({row["model_completion_text"] for row in rows}) > 1


def test_the_same_frames_in_any_layout_get_the_same_answers(model: Path, tmp_path: Path) -> None:
    from llark.embed import layouts

    place = embeddings(tmp_path / "e")
    layouts.export(place, tmp_path / "npy", "npy")
    layouts.export(place, tmp_path / "tars", "webdataset")
    for name in ("e", "npy", "tars"):
        out = tmp_path / "out" / f"{name}.jsonl"
        run(model, "--data", tmp_path / name, "--prompt", "Which key?", "--out", out)
    said = [rows_of(tmp_path / "out" / f"{name}.jsonl") for name in ("e", "npy", "tars")]
    texts = [[(row["clip_id"], row["model_completion_text"]) for row in rows] for rows in said]
    assert texts[0] == texts[1] == texts[2]
    assert said[1][0]["example_id"] == str(tmp_path / "npy" / "c0")
    assert said[2][0]["example_id"] == "c0"


def test_exchanges_are_asked_with_their_answers_beside_and_what_is_lost_is_counted(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [("c0", "Is it fast?"), ("c1", "Is it slow?"), ("c0", "Who plays?"), ("gone", "Is it loud?")]
    said = [Exchange(clip, question, "Yes.", "understanding", "x", "t") for clip, question in asked]
    stage(tmp_path / "t" / "exchanges", "instruct", list(said))
    clips = [Clip(f"c{n}", "t", "t.wav", 0.0, 1.0, "test" if n < 2 else "train") for n in range(3)]
    stage(tmp_path / "t" / "clips", "prepare", list(clips))
    words = ("--data", tmp_path / "t", embeddings(tmp_path / "e", 3), "--drop-share", 1)
    run(model, *words, "--out", tmp_path / "a.jsonl")
    rows = rows_of(tmp_path / "a.jsonl")
    assert [(row["clip_id"], row["prompt_text"]) for row in rows] == [asked[0], asked[2], asked[1]]
    assert {(row["original_completion_text"], row["task"]) for row in rows} == {("Yes.", "understanding")}
    assert "3 answers; dropped: no-frames 1, no-question 1" in capsys.readouterr().out
    dropped = {one.id: one.reason for one in stages.read_dropped(infer.run_folder(tmp_path / "a.jsonl"))}
    assert dropped == {"c2": "no-question", "gone": "no-frames"}
    run(model, *words, "--split", "test", "--limit", 2, "--out", tmp_path / "b.jsonl")
    assert rows_of(tmp_path / "b.jsonl") == rows[:2]


def _tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def test_published_shards_bring_their_questions_along(model: Path, tmp_path: Path) -> None:
    page = {"uri": "song.1", "response": [{"question": "Is it fast?", "answer": "No."}, {"question": ""}]}
    other = {"uri": "song.2", "response": "nothing"}
    members = {
        "a/one.json": json.dumps(page).encode(),
        "a/one.audio_encoding.npy": _npy(frames_of(1)[None].astype(np.float32)),
        "a/two.audio_encoding.npy": _npy(frames_of(2).astype(np.float32)),
        "a/two.json": json.dumps(other).encode(),
        "a/three.json": b"{not json",
        "a/three.audio_encoding.npy": _npy(frames_of(3)),
    }
    tar = _tar(tmp_path / "x-test-jukebox-mir-000000.tar", members)
    run(model, "--data", tar, "--drop-share", 1, "--out", tmp_path / "a.jsonl")
    (row,) = rows_of(tmp_path / "a.jsonl")
    assert (row["example_id"], row["clip_id"]) == ("a/one", "song.1")
    assert (row["prompt_text"], row["original_completion_text"]) == ("Is it fast?", "No.")
    run(model, "--data", tar, "--prompt", "How fast?", "--out", tmp_path / "b.jsonl")
    rows = rows_of(tmp_path / "b.jsonl")
    assert [row["example_id"] for row in rows] == ["a/one", "a/two", "a/three"]
    assert [row["original_completion_text"] for row in rows] == ["No.", None, None]


def test_arrays_that_are_no_frames_are_dropped_with_the_reason(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "npy"
    folder.mkdir()
    good, long = frames_of(1), frames_of(2, 2000)
    np.save(folder / "good.npy", good)
    np.save(folder / "vector.npy", good[0])
    np.save(folder / "words.npy", np.array(["a", "b"]))
    np.save(folder / "cube.npy", np.zeros((2, 3, WIDTH)))
    np.save(folder / "wide.npy", np.zeros((3, WIDTH + 1), np.float32))
    np.save(folder / "nan.npy", np.full((3, WIDTH), np.nan, np.float32))
    (folder / "text.npy").write_text("no array")
    np.save(folder / "short.npy", long)
    whole = (folder / "short.npy").read_bytes()
    (folder / "short.npy").write_bytes(whole[:-100])
    words = ("--data", folder, "--prompt", "Which key?", "--out", tmp_path / "a.jsonl")
    with pytest.raises(UserMustAct, match=r"4 of 8 would be dropped .*--drop-share 1"):
        run(model, *words, "--drop-share", 0.2)
    run(model, *words, "--drop-share", 1)
    rows = rows_of(tmp_path / "a.jsonl")
    assert [Path(row["example_id"]).name for row in rows] == ["good", "vector"]
    found = stages.read_dropped(infer.run_folder(tmp_path / "a.jsonl"))
    reasons = {Path(one.id.split(" ")[0]).name: one.reason for one in found}
    assert reasons == {
        "words": "not-frames", "cube": "not-frames", "text": "not-npy", "wide": "other-width",
        "nan": "not-finite", "short": "not-npy",
    }  # fmt: skip


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose base has rows for the tokens of audio, one of which is always the likeliest."""
    folder = of_chance(tmp_path_factory.mktemp("eager"), 4)
    made = AutoModelForCausalLM.from_pretrained(folder)
    words = made.config.vocab_size
    made.resize_token_embeddings(words + 3, mean_resizing=False)
    with torch.no_grad():
        rows = made.get_output_embeddings().weight
        rows[words + 1] = 100 * rows[5]
        rows[words] = rows[words + 2] = -rows[words + 1]
    made.save_pretrained(folder)
    model, processor = new_model(folder, audio_width=WIDTH, frames_per_second=1.0, max_audio_positions=8)
    assert model.config.audio_patch_id == words + 1
    save_whole(model, processor, folder / "whole")
    return folder / "whole"


def test_a_token_of_audio_is_never_an_answer(eager: Path, tmp_path: Path) -> None:
    from llark.generate.answerer import Answerer, ModelQuestion

    answerer = Answerer.load(eager)
    seen: list[torch.Tensor] = []
    decode = answerer.processor.decode_answers
    answerer.processor.decode_answers = lambda ids, prompt: (
        seen.append(ids[:, prompt:]) or decode(ids, prompt)
    )
    texts = answerer([ModelQuestion("Which key?", frames_of(1)), ModelQuestion("Which key?", None)])
    assert len(texts) == 2
    said = torch.cat([ids.flatten() for ids in seen])
    assert len(said) > 2
    assert int(said.max()) < answerer.model.config.audio_start_id
    run(eager, "--data", embeddings(tmp_path / "e"), "--prompt", "Which key?", "--out", tmp_path / "a.jsonl")
    assert len(rows_of(tmp_path / "a.jsonl")) == 6


def test_an_option_that_names_a_token_of_audio_is_read_as_words(eager: Path) -> None:
    from llark.generate.answerer import Answerer
    from llark.generate.likelihood import likelihoods

    scores = likelihoods(Answerer.load(eager), "Which?", ["<audio_patch>", "a <audio_start> b", "C major"])
    assert all(np.isfinite(scores))


def test_a_question_that_the_model_fails_on_costs_no_other(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llark.generate.answerer import Answerer, ModelQuestion

    answer = Answerer._generate

    def fails(self: Answerer, asked: list[ModelQuestion]) -> list[str]:
        if any(len(one.frames) == 3 for one in asked if one.frames is not None):
            raise RuntimeError("no\nmemory")
        return answer(self, asked)

    monkeypatch.setattr(Answerer, "_generate", fails)
    words = ("--data", embeddings(tmp_path / "e"), "--prompt", "Which key?", "--out")
    run(model, *words, tmp_path / "a.jsonl")
    assert [row["clip_id"] for row in rows_of(tmp_path / "a.jsonl")] == ["c0", "c1", "c3", "c4", "c5"]
    (drop,) = stages.read_dropped(infer.run_folder(tmp_path / "a.jsonl"))
    assert (drop.reason, drop.detail) == ("error:RuntimeError", "no memory")
    with pytest.raises(UserMustAct, match=r"infer stopped: 1 of 3 .*\(error:RuntimeError 1×\)"):
        run(model, "--data", embeddings(tmp_path / "f", 3), *words[2:], tmp_path / "b.csv", "--drop-share", 0)
    monkeypatch.undo()
    run(model, "--data", tmp_path / "f", *words[2:], tmp_path / "b.csv", "--drop-share", 0)
    assert len(rows_of(tmp_path / "b.csv")) == 3


def test_pickles_are_refused_and_nothing_in_them_is_run(model: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "sprung",))

    _tar(tmp_path / "x.tar", {"a.json": b"{}", "a.audio_encoding.pyd": pickle.dumps(Trap())})
    with pytest.raises(UserMustAct, match="It is a pickle"):
        run(model, "--data", tmp_path / "x.tar", "--prompt", "?", "--out", tmp_path / "a.csv")
    assert not (tmp_path / "sprung").exists()
    assert not list(tmp_path.glob("a.csv*"))


def test_a_table_runs_no_formula_and_the_lines_hold_the_text_as_it_is(model: Path, tmp_path: Path) -> None:
    formulas = ("=HYPERLINK(1)", "+1", "-1", "@A1")
    place = embeddings(tmp_path / "e", 1)
    for number, prompt in enumerate((*formulas, "1-1", "What = key?")):
        for ending in ("csv", "jsonl"):
            out = tmp_path / f"{number}.{ending}"
            run(model, "--data", place, f"--prompt={prompt}", "--out", out)
            mark = "'" if ending == "csv" and prompt in formulas else ""
            assert rows_of(out)[0]["prompt_text"] == mark + prompt


def test_what_cannot_be_is_one_sentence(model: Path, tmp_path: Path) -> None:
    place = embeddings(tmp_path / "e", 2)
    wide = stage(tmp_path / "w", "embed", [Embedding("c", "x", np.ones((2, 9), np.float16), 1.0)])
    out = ("--out", tmp_path / "a.csv")
    for words, said in (
        (("--data", place, *out), "nothing to ask .no-question 2."),
        (("--data", place, "--prompt", " ", *out), "--prompt is empty"),
        (("--data", place, "--prompt", "?", "--out", tmp_path / "a.txt"), "ends in .csv or .jsonl"),
        (("--data", place, "--prompt", "?", "--split", "test", *out), "No clip is of the split test"),
        (("--data", tmp_path / "nowhere", "--prompt", "?", *out), "There is no .*nowhere"),
        (("--data", wide, "--prompt", "?", *out), "reads frames of width 6; these have 9"),
    ):
        with pytest.raises(UserMustAct, match=said):
            run(model, *words)
    with pytest.raises(UserMustAct, match="is not a model folder"):
        run(tmp_path, "--data", place, "--prompt", "?", *out)
    assert not list(tmp_path.glob("a.*"))


def test_another_question_into_the_same_file_is_refused_and_a_strangers_file_is_kept(
    model: Path, tmp_path: Path
) -> None:
    words = ("--data", embeddings(tmp_path / "e", 2), "--out", tmp_path / "a.csv")
    run(model, *words, "--prompt", "Which key?")
    before = (tmp_path / "a.csv").read_bytes()
    with pytest.raises(StoreMismatch, match=r"what differs: the questions.*, --prompt\. Name another file"):
        run(model, *words, "--prompt", "How fast?")
    run(model, *words, "--prompt", "Which key?")
    assert (tmp_path / "a.csv").read_bytes() == before
    (tmp_path / "b.csv").write_text("mine")
    with pytest.raises(UserMustAct, match="is there already"):
        run(model, *words[:2], "--prompt", "Which key?", "--out", tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == "mine"


def test_batches_hold_like_lengths_and_do_not_hang_on_what_is_done() -> None:
    def put(number: int, frames: int, text: str) -> infer.AskedQuestion:
        encoded = infer.ReadyClip(f"c{number}", f"c{number}", frames, WIDTH, lambda: np.zeros(0))
        return infer.AskedQuestion(number, encoded, infer.DataQuestion(text))

    puts = [put(0, 900, "a"), put(1, 2, "a"), put(2, 50, "aaa"), put(3, 60, "a"), put(4, 3, "a")]
    found = [[one.number for one in group] for group in infer.batches(puts, 2, positions=40)]
    assert found == [[1, 4], [0, 3], [2]]


def test_whole_models_answer_too(base: Path, tmp_path: Path) -> None:
    made, processor = new_model(base, audio_width=WIDTH, frames_per_second=1.0, max_audio_positions=8)
    save_whole(made, processor, tmp_path / "whole")
    save_adapter(made, tmp_path / "part")
    words = ("--data", embeddings(tmp_path / "e", 3), "--prompt", "Which key?")
    run(tmp_path / "whole", *words, "--out", tmp_path / "a.jsonl")
    with pytest.raises(UserMustAct, match=r"does not say what its base .*--base"):
        run(tmp_path / "part", *words, "--out", tmp_path / "b.jsonl")
    run(tmp_path / "part", *words, "--base", base, "--out", tmp_path / "b.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def of_chance(folder: Path, seed: int) -> Path:
    """A base language model with weights drawn from a seed."""
    smoke.write_base("llama", folder)
    made, chance = AutoModelForCausalLM.from_pretrained(folder), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=chance) * 0.25)
    made.save_pretrained(folder)
    return folder


def adapter(base: Path, folder: Path) -> Path:
    """A model that does not say where its base is."""
    made, _ = new_model(base, audio_width=WIDTH, frames_per_second=1.0, max_audio_positions=8)
    save_adapter(made, folder)
    return folder


def test_a_run_without_an_answer_binds_nobody_and_one_with_answers_binds_to_its_base(
    base: Path, tmp_path: Path
) -> None:
    model, out = adapter(base, tmp_path / "model"), tmp_path / "a.jsonl"
    words = ("--data", embeddings(tmp_path / "e", 3), "--prompt", "Which key?", "--out", out)
    with pytest.raises(UserMustAct, match="cannot be loaded"):
        run(model, *words, "--base", tmp_path / "nowhere")
    assert infer.run_folder(out).is_dir()
    run(model, *words, "--base", base)
    before = out.read_bytes()
    other = of_chance(tmp_path / "other", 9)
    refusal = (
        r"a\.jsonl has answers of another run already; what differs: the base language model\. Name another "
        r"file, or begin anew by deleting .*a\.jsonl\.run and .*a\.jsonl\."
    )
    with pytest.raises(StoreMismatch, match=refusal):
        run(model, *words, "--base", other)
    assert out.read_bytes() == before
    moved = tmp_path / "moved"
    shutil.copytree(base, moved)
    run(model, *words, "--base", moved)
    assert out.read_bytes() == before
    shutil.rmtree(infer.run_folder(out))
    out.unlink()
    run(model, *words, "--base", other)
    assert out.read_bytes() != before


def test_an_unfinished_run_with_answers_goes_on_with_its_own_base_alone(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llark.generate.answerer import Answerer

    model, out, answer = adapter(base, tmp_path / "model"), tmp_path / "a.jsonl", Answerer.__call__
    words = ("--data", embeddings(tmp_path / "e", 4), "--prompt", "Which key?", "--batch", 2, "--out", out)
    asked = iter(range(9))

    def first_batch_only(self: Answerer, *rest: Any) -> list[str]:
        if next(asked):
            raise UserMustAct("The power failed.")
        return answer(self, *rest)

    monkeypatch.setattr(Answerer, "__call__", first_batch_only)
    with pytest.raises(UserMustAct, match="power"):
        run(model, *words, "--base", base)
    monkeypatch.undo()
    with pytest.raises(StoreMismatch, match=r"the base language model\. .* deleting .*a\.jsonl\.run\.$"):
        run(model, *words, "--base", of_chance(tmp_path / "other", 9))
    run(model, *words, "--base", base)
    assert [row["clip_id"] for row in rows_of(out)] == ["c0", "c1", "c2", "c3"]


def test_other_frames_under_the_same_names_are_another_run(model: Path, tmp_path: Path) -> None:
    place = embeddings(tmp_path / "e", 2)
    np.save(tmp_path / "c.npy", frames_of(1).astype(np.float32))
    for number, data in enumerate((place, tmp_path / "c.npy")):
        words = ("--data", data, "--prompt", "Which key?", "--out", tmp_path / f"{number}.csv")
        run(model, *words)
        run(model, *words)
        if number:
            np.save(data, frames_of(2).astype(np.float32))
        else:
            shutil.rmtree(place)
            stage(
                place, "embed", [Embedding(f"c{n}", "tiny", frames_of(9 + n, n + 1), 1.0) for n in range(2)]
            )
        with pytest.raises(StoreMismatch, match="differs: the questions, or the frames that they are about"):
            run(model, *words)


def test_a_run_that_another_process_is_about_to_answer_is_left_alone(model: Path, tmp_path: Path) -> None:
    words = ("--data", embeddings(tmp_path / "e", 2), "--prompt", "Which key?", "--out", tmp_path / "a.csv")
    place = infer.run_folder(tmp_path / "a.csv")
    with stages.open_stage(place, infer.STAGE, {"model": "another"}):
        with pytest.raises(UserMustAct, match="Another process is writing"):
            run(model, *words)
        assert (place / "unfinished" / "begun.json").is_file()
    run(model, *words)
    assert len(rows_of(tmp_path / "a.csv")) == 2


SLOW = """
import time
from llark import cli
from llark.generate.answerer import Answerer
from llark.storage import stages
real, opened = Answerer.__call__, stages.open_stage

def slow(self, asked, tick=None):
    time.sleep(0.3)
    return real(self, asked, tick)

Answerer.__call__ = slow
stages.open_stage = lambda *a, **k: opened(*a, **{**k, "flush_seconds": 0.0})
cli.main()
"""


@pytest.mark.slow
def test_a_run_that_is_killed_gives_the_file_of_one_that_was_not(model: Path, tmp_path: Path) -> None:
    place = embeddings(tmp_path / "e", 24)
    words = ["--data", place, "--prompt", "Which key?", "--batch", 2]
    undisturbed, killed = tmp_path / "one.csv", tmp_path / "two.csv"
    run(model, *words, "--out", undisturbed)
    said = ["infer", model, *words, *ENDING, "--out", killed]
    parts = infer.run_folder(killed)
    process = subprocess.Popen([sys.executable, "-c", SLOW, *map(str, said)], stderr=subprocess.DEVNULL)
    while len(list(parts.glob("part-*.jsonl"))) < 5:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    run(model, *words, "--out", killed)
    assert killed.read_bytes() == undisturbed.read_bytes()
    assert stages.about(parts)["counts"] == {"in": 24, "out": 24, "dropped": {}}
