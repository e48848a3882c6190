"""Training a model: one process, two, in parts, killed and gone on with: the same losses."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoProcessor

from llark import train as training
from llark.errors import StoreMismatch, UserMustAct
from llark.model import checkpoint
from llark.model.checkpoint import load_adapter
from llark.recipe import Recipe
from llark.records import Exchange
from llark.train import TrainResult, checkpoints, data, distributed, fit_model, loop, smoke
from llark.train.data import TrainData
from llark.train.distributed import ProcessLost, World
from llark.train.loop import StepMetrics, TrainingFailed

STEPS = 20


def read_log(folder: Path) -> list[StepMetrics]:
    return [StepMetrics(**json.loads(line)) for line in (folder / loop.LOG).read_text().splitlines()]


def recipe_of(weights: str = "full", **more: Any) -> Recipe:
    lora = weights == "lora"
    model: dict[str, Any] = {"lora_rank": 4 if lora else 0, "audio_positions": 8}
    model |= {"lora_targets": ("q_proj", "v_proj") if lora else ()}
    settings: dict[str, Any] = {
        "weights": weights, "steps": STEPS, "batch": 4, "micro_batch": 2, "most_tokens": 512, "bucket": 4,
        "learning_rate": 5e-3, "precision": "float32", "save_every": 5, "evaluate_every": 10,
        "sample_answers": 1, "sharding": "ddp",
    }  # fmt: skip
    return Recipe(name="test", model=model, train=settings | more)


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return smoke.write_base("llama", tmp_path_factory.mktemp("llama"))


def trained(recipe: Recipe, folder: Path, base: Path, stop: int | None = None) -> TrainResult:
    with distributed.join("cpu") as world:
        return fit_model(
            recipe.model, recipe.train, smoke.data_of(recipe), folder, world, base=base, stop_after=stop
        )


def losses(folder: Path) -> list[float]:
    told = read_log(folder)
    assert [one.step for one in told] == list(range(1, len(told) + 1))
    return [one.loss for one in told]


def beside(work: Callable[[], object], ranks: int = 1) -> list[int | None]:
    """Runs `work` in processes of its own, as torchrun would start them; their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def start(rank: int) -> None:
        os.environ.update(
            RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo",
        )  # fmt: skip
        work()

    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=start, args=(rank,)) for rank in range(ranks)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(180)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["full", "lora"])
def test_two_processes_have_the_losses_of_one_whole_or_in_parts(
    tiny_base: Path, tmp_path: Path, weights: str
) -> None:
    trained(recipe_of(weights), tmp_path / "one", tiny_base)
    alone = losses(tmp_path / "one")
    assert alone[-1] < alone[0] - (1.0 if weights == "full" else 0.05)

    for sharding in ("ddp", "fsdp"):
        shared = recipe_of(weights, sharding=sharding, micro_batch=1)
        assert beside(lambda r=shared, s=sharding: trained(r, tmp_path / s, tiny_base), ranks=2) == [0, 0]  # type: ignore[misc]
        assert losses(tmp_path / sharding) == pytest.approx(alone, abs=1e-3), sharding
        heard = [(one.validation_loss, one.norm) for one in read_log(tmp_path / sharding)]
        there = [(one.validation_loss, one.norm) for one in read_log(tmp_path / "one")]
        for mine, theirs in zip(heard, there, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-3)
        _same_model(tmp_path / "one" / "model", tmp_path / sharding / "model", tiny_base)


@torch.no_grad()
def _same_model(one: Path, two: Path, base: Path) -> None:
    question = ("Is it high?", np.ones((5, smoke.WIDTH), np.float32))
    answers = []
    for folder in (one, two):
        model, processor = load_adapter(folder, base)
        answers.append(model(**processor(*question)).logits)
    torch.testing.assert_close(answers[0], answers[1], atol=5e-3, rtol=5e-3)


def _kill_at(step: int) -> None:
    """This process dies before it learns from that step."""
    gradients = loop._gradients

    def deadly(*given: Any) -> float:
        if given[6] == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return gradients(*given)

    loop._gradients = deadly


@pytest.mark.parametrize("weights", ["full", "lora"])
def test_a_run_that_is_killed_goes_on_with_the_same_losses_to_the_bit(
    tiny_base: Path, tmp_path: Path, weights: str
) -> None:
    recipe = recipe_of(weights, lora_dropout=0.1)
    trained(recipe, tmp_path / "whole", tiny_base)

    def die_at_seven() -> None:
        _kill_at(7)
        trained(recipe, tmp_path / "killed", tiny_base)

    assert beside(die_at_seven) == [-signal.SIGKILL]
    assert len(losses(tmp_path / "killed")) == 7
    assert [path.name for path in checkpoints.finished(tmp_path / "killed")] == ["checkpoint-5"]
    trained(recipe, tmp_path / "killed", tiny_base)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


def test_a_kill_before_the_model_is_in_place_leaves_none_and_the_next_run_writes_it_with_its_encoder(
    tiny_base: Path, tmp_path: Path
) -> None:
    recipe = recipe_of("projector", steps=2)

    def run() -> None:
        examples = smoke.data_of(recipe)
        with distributed.join("cpu") as world:
            fit_model(
                recipe.model, recipe.train, examples, tmp_path, world, base=tiny_base,
                audio_encoder={"version": "tiny-1"},
            )  # fmt: skip

    def die_when_all_is_written() -> None:
        save = checkpoint.save_adapter

        def deadly(*given: Any) -> None:
            save(*given)
            os.kill(os.getpid(), signal.SIGKILL)

        checkpoint.save_adapter = deadly
        run()

    assert beside(die_when_all_is_written) == [-signal.SIGKILL]
    assert not (tmp_path / "model").exists()
    run()
    page = json.loads((tmp_path / "model" / "config.json").read_text())
    assert page["audio_encoder"] == {"version": "tiny-1"}
    assert page["base_name"] == str(tiny_base)


def test_dropout_follows_from_seed_step_part_and_process_and_from_no_hash_of_pythons() -> None:
    assert loop._dropout_seed(0, 7, 1, 2) == 5023215235957636659
    assert len({loop._dropout_seed(0, step, part, 0) for step in range(9) for part in range(9)}) == 81


@pytest.mark.slow
@pytest.mark.parametrize("dying", [0, 1])
def test_one_of_two_that_is_killed_is_named_and_the_run_goes_on_with_its_losses(
    tiny_base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], dying: int
) -> None:
    recipe = recipe_of(steps=10, micro_batch=1, sharding="fsdp" if dying else "ddp")
    assert beside(lambda: trained(recipe, tmp_path / "whole", tiny_base), ranks=2) == [0, 0]

    def die_at_seven() -> None:
        if os.environ["RANK"] == str(dying):
            _kill_at(7)
        try:
            trained(recipe, tmp_path / "killed", tiny_base)
        except ProcessLost as error:
            print(error, flush=True)
            os._exit(3)

    assert beside(die_at_seven, ranks=2)[1 - dying] == 3
    assert f"process {dying} (pid " in capfd.readouterr().out
    assert beside(lambda: trained(recipe, tmp_path / "killed", tiny_base), ranks=2) == [0, 0]
    assert losses(tmp_path / "killed") == pytest.approx(losses(tmp_path / "whole"), abs=1e-3)


@pytest.mark.slow
def test_a_run_of_one_process_goes_on_in_two_parts(tiny_base: Path, tmp_path: Path) -> None:
    trained(recipe_of(), tmp_path / "whole", tiny_base)
    trained(recipe_of(), tmp_path / "moved", tiny_base, stop=10)

    def go_on() -> None:
        trained(recipe_of(sharding="fsdp"), tmp_path / "moved", tiny_base)

    assert beside(go_on, ranks=2) == [0, 0]
    assert losses(tmp_path / "moved") == pytest.approx(losses(tmp_path / "whole"), abs=1e-3)


def test_the_trained_folder_loads_with_the_auto_classes_and_has_learnt_to_hear(
    tiny_base: Path, tmp_path: Path
) -> None:
    result = trained(
        recipe_of(steps=60, learning_rate=1e-2, evaluate_every=60, save_every=60), tmp_path, tiny_base
    )
    assert result == TrainResult(steps=60, examples=44, cut=0, dropped={})
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    processor = AutoProcessor.from_pretrained(tmp_path / "model")
    heard = []
    for level in (-1.0, 1.0):
        inputs = processor("Is it high?", np.full((5, smoke.WIDTH), level, np.float32))
        said = model.generate(**inputs, max_new_tokens=8, do_sample=False)
        heard += processor.decode_answers(said, inputs["input_ids"].shape[1])
    assert heard == ["No.", "Yes."]
    samples = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [(one["step"], one["answer"]) for one in samples] == [(60, samples[0]["wanted"])]


def test_only_what_the_recipe_says_is_trained(tiny_base: Path, tmp_path: Path) -> None:
    trained(recipe_of("projector", steps=3), tmp_path, tiny_base)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "audio.safetensors",
        "config.json",
    ]
    model, _ = load_adapter(tmp_path / "model", tiny_base)
    before = AutoModelForCausalLM.from_pretrained(tiny_base).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in model.language_model.state_dict().items())


def test_checkpointing_bfloat16_and_a_micro_batch_change_little(tiny_base: Path, tmp_path: Path) -> None:
    trained(recipe_of(steps=5), tmp_path / "plain", tiny_base)
    more = {"gradient_checkpointing": True, "micro_batch": 4}
    trained(recipe_of(steps=5, **more), tmp_path / "again", tiny_base)
    trained(recipe_of(steps=5, precision="bfloat16"), tmp_path / "low", tiny_base)
    for precision in ("float32", "bfloat16"):
        trained(recipe_of("lora", steps=5, precision=precision), tmp_path / f"lora-{precision}", tiny_base)
    low, plain = (losses(tmp_path / f"lora-{precision}") for precision in ("bfloat16", "float32"))
    assert low == pytest.approx(plain, abs=0.1)
    assert low != plain
    assert losses(tmp_path / "again") == pytest.approx(losses(tmp_path / "plain"), abs=1e-4)
    assert losses(tmp_path / "low") == pytest.approx(losses(tmp_path / "plain"), abs=0.1)


def test_another_recipe_in_the_same_folder_is_refused_but_more_parts_are_not(
    tiny_base: Path, tmp_path: Path
) -> None:
    trained(recipe_of(steps=6), tmp_path, tiny_base, stop=2)
    with pytest.raises(StoreMismatch, match=r"train.learning_rate: 0.005 there, 0.1 here"):
        trained(recipe_of(steps=6, learning_rate=0.1), tmp_path, tiny_base)
    assert trained(recipe_of(steps=6, micro_batch=1, save_every=1), tmp_path, tiny_base).steps == 6


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_batch(tiny_base: Path, tmp_path: Path) -> None:
    recipe = recipe_of(normalise_frames=False)
    material = smoke.data_of(recipe)
    for one in material.embeddings.values():
        one.frames[0, 0] = np.nan
    with distributed.join("cpu") as world, pytest.raises(TrainingFailed, match=r"loss of step 0 is nan"):
        fit_model(recipe.model, recipe.train, material, tmp_path, world, base=tiny_base)
    assert (tmp_path / "bad-batch-0-0.safetensors").is_file()


def test_examples_that_do_not_fit_are_dropped_with_a_reason(tiny_base: Path, tmp_path: Path) -> None:
    recipe = recipe_of(steps=1, most_tokens=70)
    material = smoke.data_of(recipe)
    more = [Exchange("clip-2", "x" * 90, "Yes.", "understanding", "smoke", "smoke"),
            Exchange("nowhere", "Is it?", "Yes.", "understanding", "smoke", "smoke")]  # fmt: skip
    grown = TrainData([*material.exchanges, *more], material.embeddings, material.shapes, 10.0)
    with distributed.join("cpu") as world:
        result = fit_model(recipe.model, recipe.train, grown, tmp_path, world, base=tiny_base)
    assert result.dropped == {"answer-cut": 1, "no-frames": 1}
    lines = [json.loads(line) for line in (tmp_path / "dropped.jsonl").read_text().splitlines()]
    assert {(one["id"], one["reason"]) for one in lines} == {
        ("clip-2#understanding-2", "answer-cut"), ("nowhere#understanding-0", "no-frames")
    }  # fmt: skip
    few = TrainData(more, material.embeddings, material.shapes, 10.0)
    with distributed.join("cpu") as world, pytest.raises(UserMustAct, match="examples would be dropped"):
        fit_model(recipe.model, recipe.train, few, tmp_path / "few", world, base=tiny_base)


def test_processes_that_cannot_share_a_step_evenly_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="give a multiple of 6"):
        loop.check_world(recipe_of().train, World(0, 3))


def test_tensorboard_gets_every_number_of_every_step(tiny_base: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained(recipe_of("projector", steps=3, evaluate_every=3, tensorboard=True), tmp_path, tiny_base)
    drawn = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.value for event in drawn.Scalars("loss")] == pytest.approx(losses(tmp_path), abs=1e-5)
    assert [event.step for event in drawn.Scalars("validation_loss")] == [3]


def test_a_missing_tensorboard_is_told_before_anything_is_loaded(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserMustAct, match=r'pip install "llark\[tensorboard\]"'):
        trained(recipe_of(tensorboard=True), tmp_path / "out", tiny_base)
    assert not (tmp_path / "out").exists()


def test_a_run_that_goes_on_measures_nothing_twice_and_a_finished_one_loads_nothing(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(steps=4, evaluate_every=2)
    trained(recipe, tmp_path, tiny_base, stop=2)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("this was done before")

    monkeypatch.setattr(data, "measure", refuse)
    done = trained(recipe, tmp_path, tiny_base)
    told = read_log(tmp_path)
    assert [one.validation_loss is not None for one in told] == [False, True, False, True]
    monkeypatch.setattr(training, "_begin", refuse)
    assert trained(recipe, tmp_path, tiny_base) == done == TrainResult(4, 44, 0, {})
    with pytest.raises(StoreMismatch, match=r"train.seed: 0 there, 1 here"):
        trained(recipe_of(steps=4, evaluate_every=2, seed=1), tmp_path, tiny_base)


def test_other_examples_or_another_longest_length_are_measured_anew(tiny_base: Path, tmp_path: Path) -> None:
    trained(recipe_of(steps=1), tmp_path, tiny_base)
    first = (tmp_path / data.MEASURED).read_bytes()
    (tmp_path / "done.json").unlink()
    for path in checkpoints.finished(tmp_path):
        path.rename(tmp_path / "old")
    trained(recipe_of(steps=1, most_tokens=60), tmp_path, tiny_base)
    assert (tmp_path / data.MEASURED).read_bytes() != first
