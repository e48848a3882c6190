"""`llark evaluate` of a model whose base is told apart from it: --base as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llark import cli
from llark.errors import StoreMismatch, UserMustAct
from llark.evaluate import report
from llark.model.checkpoint import new_model, save_adapter
from llark.options import ModelOptions
from llark.pipeline.ask import fingerprint
from llark.train import smoke
from tests.evaluate.test_command import prepared


def run(*words: object) -> None:
    cli.app([str(word) for word in words], exit_on_error=False, result_action="return_value")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return smoke.write_base("llama", tmp_path / "base")


@pytest.fixture
def model(base: Path, tmp_path: Path) -> Path:
    """An adapter that does not say where its base is; it hears frames of one number."""
    made, _ = new_model(base, audio_width=1, frames_per_second=2.0, max_audio_positions=8)
    save_adapter(made, tmp_path / "model")
    return tmp_path / "model"


def test_a_base_is_named_after_a_run_that_lacked_it_and_another_is_refused(
    base: Path, model: Path, tmp_path: Path
) -> None:
    words = ("evaluate", model, "--data", prepared(tmp_path / "data", 3), "--out", tmp_path / "out")
    words += ("--tasks", "key", "--conditions", "audio", "--device", "cpu")
    with pytest.raises(UserMustAct, match=r"does not say what its base language model is.*--base"):
        run(*words)
    run(*words, "--base", base)
    answers = [verdict.answer for verdict in report.read(tmp_path / "out").answers]
    assert len(answers) == 3
    about = json.loads((tmp_path / "out" / "scores.json").read_text())["about"]
    assert (about["model"], about["base"]) == (str(model), str(base))
    other = smoke.write_base("llama", tmp_path / "other", tied=True)
    with pytest.raises(StoreMismatch, match=r"model\.base"):
        run(*words, "--base", other)


def test_what_belongs_to_our_models_does_not_go_with_an_endpoint(tmp_path: Path) -> None:
    words = ("evaluate", "--out", tmp_path / "out", "--endpoint", "http://localhost:1/v1")
    for option in ("--base", "--encoder-weights"):
        with pytest.raises(UserMustAct, match="a model and an endpoint"):
            run(*words, option, tmp_path)


def test_a_base_counts_by_its_files_and_not_by_its_place(base: Path, model: Path, tmp_path: Path) -> None:
    alone = fingerprint(ModelOptions(model, device="cpu"))
    assert list(alone) == ["model"]
    named = fingerprint(ModelOptions(model, base, device="cpu"))
    moved = base.rename(tmp_path / "moved")
    assert fingerprint(ModelOptions(model, moved, device="cpu")) == named
    (moved / "tokenizer_config.json").write_text("{}")
    assert fingerprint(ModelOptions(model, moved, device="cpu")) != named


def test_the_model_in_the_package_is_what_it_was_unless_another_base_is_named() -> None:
    usual = fingerprint(ModelOptions(device="cpu"))
    assert list(usual) == ["model"]
    assert fingerprint(ModelOptions(base=Path("smollm2-135m-instruct"), device="cpu")) == usual
    assert fingerprint(ModelOptions(base=Path("another"), device="cpu")) == {**usual, "base": "another"}
