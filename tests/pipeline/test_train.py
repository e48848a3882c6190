"""`llark train` and `llark import-checkpoint` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llark import cli, recipe
from llark.errors import UserMustAct
from llark.pipeline import train as walk
from llark.records import Clip, Embedding, Exchange
from llark.storage import stages
from llark.train import smoke

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))

RECIPE = """
name: small
embed: {encoder: "hub:tiny"}
model: {base: none, audio_positions: 8, lora_rank: 4, lora_targets: [q_proj, v_proj]}
train: {weights: lora, steps: 4, batch: 4, most_tokens: 256, precision: float32,
  evaluate_every: 4, sample_answers: 1}
"""


def _stage(folder: Path, stage: str, records: list[object]) -> None:
    with stages.open_stage(folder, stage, {}) as writer:
        for number, record in enumerate(records):
            writer.write(str(number), [record])
        writer.finish()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    chance = np.random.default_rng(0)
    names = [f"c{number}" for number in range(12)]
    splits = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    clips = [
        Clip(name, name, f"{name}.wav", 0.0, 5.0, split) for name, split in zip(names, splits, strict=True)
    ]
    frames = [Embedding(name, "tiny", chance.normal(size=(5, 12)).astype(np.float16), 1.0) for name in names]
    said = [Exchange(name, "Is it high?", "No.", "understanding", "x", "offline") for name in names]
    _stage(tmp_path / "data" / "clips", "prepare", list(clips))
    _stage(tmp_path / "emb", "embed", list(frames))
    _stage(tmp_path / "talk" / "exchanges", "instruct", list(said))
    (tmp_path / "small.yaml").write_text(RECIPE)
    return tmp_path


def _run(*words: object) -> None:
    cli.app([str(word) for word in words], exit_on_error=False, result_action="return_value")


def test_a_model_is_trained_from_the_folders_of_the_stages_and_held_out_clips_stay_out(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = smoke.write_base("llama", data / "base")
    places = [data / "data", data / "emb", data / "talk"]
    found = walk.read_data(
        walk.folders([str(place) for place in places]), recipe.load(data / "small.yaml").train
    )
    assert sorted({one.clip_id for one in found.exchanges}) == sorted(f"c{number}" for number in range(10))
    assert found.validation == {"c8", "c9"}
    words = ["train", data / "small.yaml", "train.seed=3", "--data", *places, "--base", base]
    _run(*words, "--device", "cpu", "--out", data / "out")
    assert "4 steps, on 8 examples" in capsys.readouterr().out
    told = [json.loads(line) for line in (data / "out" / "log.jsonl").read_text().splitlines()]
    assert [one["step"] for one in told] == [1, 2, 3, 4]
    assert told[-1]["validation_loss"] > 0
    assert (data / "out" / "model" / "adapter.safetensors").is_file()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_ten_steps_of_every_recipe_run(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run("train", path, "--smoke", "--device", "cpu", "--out", tmp_path)
    assert "10 steps, on " in capsys.readouterr().out
    told = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(told) == 10
    assert np.isfinite([one["loss"] for one in told]).all()
    assert (tmp_path / "model" / "config.json").is_file()


def test_a_plan_is_printed_and_counts_the_data_if_there_is_some(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run("train", RECIPES[0], "--plan")
    assert "(guessed)" in capsys.readouterr().out
    places = [data / "data", data / "emb", data / "talk"]
    _run("train", RECIPES[0], "--plan", "--data", *places)
    said = capsys.readouterr().out
    assert "guessed" not in said.splitlines()[1]
    assert "an example: 68 tokens, 1 supervised" in said


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (["emb"], "There are no exchanges in"),
        (["talk"], "There are no embeddings in"),
        (["data/clips", "emb", "small.yaml"], "small.yaml is not the folder of a finished stage"),
    ],
)
def test_data_that_is_missing_is_named(data: Path, places: list[str], words: str) -> None:
    with pytest.raises(UserMustAct, match=words):
        walk.folders([str(data / place) for place in places])


def test_frames_that_were_changed_stop_training_with_their_name(data: Path) -> None:
    part = next((data / "emb").glob("*.safetensors"))
    raw = bytearray(part.read_bytes())
    raw[-1] ^= 1
    part.write_bytes(raw)
    base = smoke.write_base("llama", data / "base")
    with pytest.raises(UserMustAct, match=r"emb: the frames of c\d+ are not those that were written"):
        walk.train(
            data / "small.yaml",
            [str(data / "emb"), str(data / "talk")],
            data / "out",
            base=base,
            device="cpu",
        )


def test_what_is_not_said_is_asked_for(data: Path) -> None:
    with pytest.raises(UserMustAct, match="--out DIR"):
        _run("train", data / "small.yaml")
    with pytest.raises(UserMustAct, match="Say what to train on"):
        _run("train", data / "small.yaml", "--out", data / "out")
    with pytest.raises(UserMustAct, match="There is no folder"):
        _run("import-checkpoint", data / "nowhere", "--out", data / "out")
