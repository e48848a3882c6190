"""What extras bring to training, through fakes: 4 bits by bitsandbytes, a log for Weights & Biases."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from llark import train as training
from llark.errors import UserMustAct
from llark.recipe import Train, load
from llark.train import TrainResult, checkpoints, distributed, fit_model, report, smoke
from llark.train.distributed import World
from tests.train.test_fit_model import losses, recipe_of


@pytest.fixture(scope="module")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return smoke.write_base("llama", tmp_path_factory.mktemp("llama"))


def trained(folder: Path, base: Path, stop: int | None = None, **more: Any) -> TrainResult:
    recipe = recipe_of("lora", steps=4, evaluate_every=4, save_every=2, **more)
    with distributed.join("cpu") as world:
        return fit_model(
            recipe.model, recipe.train, smoke.data_of(recipe), folder, world, base=base, stop_after=stop
        )


# --- Weights & Biases -------------------------------------------------------------------------------------


class FakeWandb(ModuleType):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.begun: list[dict[str, Any]] = []
        self.lines: list[tuple[int, dict[str, float]]] = []
        self.finished = 0

    def init(self, **given: Any) -> Any:
        self.begun.append(given)

        def finish() -> None:
            self.finished += 1

        return SimpleNamespace(
            log=lambda numbers, step: self.lines.append((step, dict(numbers))), finish=finish
        )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    made = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", made)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    return made


def test_wandb_is_never_asked_for_by_itself(small_base: Path, tmp_path: Path, fake: FakeWandb) -> None:
    trained(tmp_path, small_base)
    assert fake.begun == []


def test_every_step_goes_to_one_offline_run_that_goes_on_where_the_folder_does(
    small_base: Path, tmp_path: Path, fake: FakeWandb
) -> None:
    trained(tmp_path, small_base, 3, wandb="songs")
    trained(tmp_path, small_base, wandb="songs")
    assert [one["mode"] for one in fake.begun] == ["offline", "offline"]
    assert len({one["id"] for one in fake.begun}) == 1
    assert {one["project"] for one in fake.begun} == {"songs"}
    assert fake.begun[0]["config"]["steps"] == 4
    assert [step for step, _ in fake.lines] == [1, 2, 3, 4]
    assert [numbers["loss"] for _, numbers in fake.lines] == losses(tmp_path)
    assert "validation_loss" in fake.lines[-1][1]
    assert "validation_loss" not in fake.lines[0][1]
    assert fake.finished == 2


def test_a_key_in_the_environment_sends_the_run_and_is_written_nowhere(
    small_base: Path, tmp_path: Path, fake: FakeWandb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "sesame-4711")
    trained(tmp_path, small_base, wandb="songs")
    assert fake.begun[0]["mode"] == "online"
    assert "sesame-4711" not in repr(fake.begun)
    pages = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(pages) > 5
    assert not any(b"sesame-4711" in path.read_bytes() for path in pages)


def test_a_missing_wandb_is_told_before_anything_is_loaded(
    small_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserMustAct, match=r'pip install "llark\[wandb\]"'):
        trained(tmp_path / "out", small_base, wandb="songs")
    assert not (tmp_path / "out").exists()


# --- 4 bits -----------------------------------------------------------------------------------------------

FOUR = Train(weights="lora", quantize="4bit", sharding="ddp")


def test_four_bits_are_nf4_with_scales_in_eight_bits_and_compute_in_the_recipes_precision() -> None:
    told = training.base_loading(FOUR, World(device="cuda:1"))
    settings = told["quantization_config"]
    assert settings.load_in_4bit
    assert settings.bnb_4bit_quant_type == "nf4"
    assert settings.bnb_4bit_use_double_quant
    assert settings.bnb_4bit_compute_dtype == told["dtype"] == torch.bfloat16
    assert told["device_map"] == {"": "cuda:1"}
    assert training.base_loading(Train(), World()) == {}


def test_four_bits_without_bitsandbytes_or_without_a_gpu_are_refused_in_words(
    small_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "find_spec", lambda name: None)
    with pytest.raises(UserMustAct, match=r'pip install "llark\[qlora\]"'):
        trained(tmp_path / "out", small_base, quantize="4bit")
    monkeypatch.setattr(training, "find_spec", lambda name: name)
    with pytest.raises(UserMustAct, match="4bit needs a GPU; here is cpu"):
        trained(tmp_path / "out", small_base, quantize="4bit")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["train.weights=full", "train.sharding=fsdp"])
def test_four_bits_of_weights_that_learn_or_are_in_parts_are_refused(tmp_path: Path, change: str) -> None:
    page = tmp_path / "four.yaml"
    page.write_text(
        "name: four\nmodel: {lora_rank: 4, lora_targets: [q_proj]}\n"
        "train: {weights: lora, quantize: 4bit, sharding: ddp}\n"
    )
    assert load(page).train == FOUR
    with pytest.raises(UserMustAct, match=r"train\.quantize 4bit needs weights that stay as they are"):
        load(page, [change, "model.lora_rank=0", "model.lora_targets=[]"])


def test_the_base_is_loaded_as_told_and_the_adapter_is_for_the_plain_base(
    small_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    load_base = AutoModelForCausalLM.from_pretrained

    def spy(source: Any, **given: Any) -> Any:
        seen.append(dict(given))
        made = load_base(source, dtype=given["dtype"])
        if "quantization_config" in given:
            made.config.quantization_config = given["quantization_config"].to_dict()
        return made

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", spy)
    monkeypatch.setattr(training, "check_quantizing", lambda *_: None)
    trained(tmp_path, small_base, quantize="4bit")
    assert seen[0]["quantization_config"].bnb_4bit_quant_type == "nf4"
    assert seen[0]["device_map"] == {"": "cpu"}
    page = json.loads((tmp_path / "model" / "config.json").read_text())
    assert "quantization_config" not in page["text_config"]
    assert checkpoints.steps_done(tmp_path) == 4


def test_no_board_is_needed_where_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    report.check_boards(Train())
