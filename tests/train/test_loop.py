"""The loop: what it draws, that it learns, and that a stopped run goes on as if it had not."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from llark.errors import StoreMismatch
from llark.model.checkpoint import Lora, add_lora, new_model
from llark.recipe import Train
from llark.records import Exchange
from llark.train import checkpoints, distributed, loop
from llark.train.data import Batches, QuestionPool, Reading, TrainData, draw, drawn_examples, question_pools
from llark.train.distributed import World
from llark.train.loop import MasterAdamW, learning_scale
from llark.train.report import Examiner
from tests.tiny import WIDTH, clip
from tests.train.test_fit_model import beside, read_log

CONFIG = Train(
    weights="lora", steps=6, batch=2, micro_batch=1, learning_rate=1e-2, projector_learning_rate=1e-2,
    precision="float32", sharding="ddp", save_every=2, keep=2, evaluate_every=3, sample_answers=1,
    turns=2, independent_turns=True, facts_share=0.5, foreign_share=0.25, bucket=1, seed=3,
)  # fmt: skip


def pools(count: int) -> list[QuestionPool]:
    return [
        QuestionPool(
            f"clip {i}",
            (("How fast?", f"At {i}."), ("Key?", "C."), ("Drums?", "No.")),
            (("How fast?", f"It says {i}."), ("Key?", "It says C."), ("Drums?", "It says no.")),
            f"tempo: {i}",
        )
        for i in range(count)
    ]


def model_of(base: Path) -> tuple[Any, Any]:
    torch.manual_seed(0)
    model, processor = new_model(base, audio_width=WIDTH, frames_per_second=2.0, max_audio_positions=8)
    add_lora(model, Lora(r=2, alpha=4, target_modules=("q_proj", "v_proj")))
    return model, processor.tokenizer


def batches_of(model: Any, tokenizer: Any, config: Train, count: int) -> Batches:
    """The examples of `count` clips, whose frames the test may spoil."""
    reading = Reading(tokenizer, model.positions_of, "chatml", config.most_tokens)
    frames = {f"clip {i}": SimpleNamespace(frames=clip(5, seed=i)) for i in range(count)}
    posteriors = {name: np.zeros(2, np.float32) for name in frames}
    return Batches(drawn_examples(pools(count), config), reading, frames, 0, posteriors=posteriors)


def run(model: Any, batches: Batches, config: Train, world: World, folder: Path, **more: Any) -> None:
    order = batches.examples.order(config)

    def of_step(step: int) -> Any:
        return batches.micro_batches(order(step)[world.rank :: world.size], config.micro_batch)

    loop.run(model, of_step, config, world, folder, {"steps": config.steps}, **more)


def learn(base: Path, folder: Path, config: Train = CONFIG, count: int = 5, **more: Any) -> Any:
    """The model after a run on `count` clips, whose folder is looked at by the test."""
    model, tokenizer = model_of(base)
    if more.pop("low", False):
        model.bfloat16()
    batches = batches_of(model, tokenizer, config, count)
    examiner = Examiner(model, batches, config, World(), folder)
    run(model, batches, config, World(), folder, examine=examiner, **more)
    return model


def trained(base: Path, folder: Path, stops: tuple[int | None, ...] = (None,), **more: Any) -> list[float]:
    """Losses of a run that was stopped at each of `stops` and begun anew."""
    for stop in stops:
        learn(base, folder, stop_after=stop, **more)
    told = read_log(folder)
    assert [one.step for one in told] == list(range(1, len(told) + 1))
    return [one.loss for one in told]


def test_every_clip_comes_once_an_epoch_and_in_another_order_the_next() -> None:
    order = drawn_examples(pools(10), CONFIG).order(CONFIG)
    drawn = [one for step in range(10) for one in order(step)]
    first, second = drawn[:10], drawn[10:]
    assert Counter(number for number, _ in first) == Counter(range(10))
    assert {epoch for _, epoch in second} == {1}
    assert [number for number, _ in first] != [number for number, _ in second]


def test_an_example_with_facts_is_answered_from_facts_and_one_without_from_the_truth() -> None:
    drawn = [draw(pools(40), i, 0, CONFIG) for i in range(40)]
    assert 8 < sum(example.facts is not None for example in drawn) < 32
    for index, example in enumerate(drawn):
        assert len(example.turns) == 2
        for question, answer in example.turns:
            assert answer.startswith("It says") is (example.facts is not None)
            if question == "How fast?":
                told = example.facts.removeprefix("tempo: ") if example.facts else str(index)
                assert answer.rstrip(".").split()[-1] == told


def test_foreign_facts_are_another_clips_and_answered_as_they_stand() -> None:
    several = pools(200)
    config = CONFIG.model_copy(update={"facts_share": 1.0, "foreign_share": 0.5})
    foreign = [i for i in range(200) if draw(several, i, 0, config).facts != several[i].facts]
    assert 70 < len(foreign) < 130


def test_clips_without_frames_or_without_questions_about_their_facts_are_dropped_with_the_reason() -> None:
    names = ("whole", "no frames", "no facts")
    asked = [Exchange(name, "Key?", "C.", "understanding", "x", "x") for name in names]
    shapes = {"whole": (4, 6), "no facts": (4, 6)}
    data = TrainData(
        asked, {}, shapes, 2.0, facts=dict.fromkeys(names[:2], "key: C"), fact_exchanges=asked[:2]
    )
    kept, dropped = question_pools(data, CONFIG)
    assert [pool.clip_id for pool in kept] == ["whole"]
    assert [(one.id, one.reason) for one in dropped] == [
        ("no frames", "no-frames"),
        ("no facts", "no-answer"),
    ]


def test_the_loss_falls_on_a_clip_that_is_seen_again_and_again(base: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(
        update={"steps": 30, "learning_rate": 2e-2, "projector_learning_rate": 2e-2, "save_every": 30}
    )
    learn(base, tmp_path, config, count=2)
    told = read_log(tmp_path)
    assert told[-1].loss < 0.7 * told[0].loss
    assert told[-1].validation_loss == pytest.approx(told[-1].loss, rel=0.3)


def test_only_adapter_and_audio_side_change(base: Path, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in model_of(base)[0].state_dict().items()}
    after = learn(base, tmp_path).state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed
    assert all("lora_" in name or name.startswith(("projector", "markers")) for name in changed)


@pytest.mark.parametrize("low", [False, True], ids=["float32", "bfloat16"])
def test_a_run_that_is_stopped_twice_has_the_losses_of_one_that_is_not(
    base: Path, tmp_path: Path, low: bool
) -> None:
    whole = trained(base, tmp_path / "whole", low=low)
    stopped = trained(base, tmp_path / "stopped", (1, 3, None), low=low)
    assert stopped == whole
    assert len(whole) == 6
    names = [path.name for path in checkpoints.finished(tmp_path / "whole")]
    assert names == ["checkpoint-4", "checkpoint-6"]


def test_two_processes_share_the_rows_of_a_step_and_have_the_losses_of_one(
    base: Path, tmp_path: Path
) -> None:
    def share() -> None:
        with distributed.join("cpu") as world:
            model, tokenizer = model_of(base)
            batches = batches_of(model, tokenizer, CONFIG, 5)
            spread = distributed.spread(model, world, CONFIG)
            examiner = Examiner(spread, batches, CONFIG, world, tmp_path / "two")
            run(spread, batches, CONFIG, world, tmp_path / "two", examine=examiner)

    alone = trained(base, tmp_path / "one")
    assert beside(share, ranks=2) == [0, 0]
    together = read_log(tmp_path / "two")
    assert [one.loss for one in together] == pytest.approx(alone, abs=1e-3)
    heard = [one.validation_loss for one in read_log(tmp_path / "one")]
    assert [one.validation_loss for one in together] == pytest.approx(heard, abs=1e-3)


def test_updates_smaller_than_bfloat16_can_hold_are_not_lost() -> None:
    weight = torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    optimizer = MasterAdamW([{"params": [weight], "lr": 1e-4}])
    for _ in range(100):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    assert weight.detach().float() == pytest.approx(torch.full((4,), 0.99), abs=2e-3)
    assert optimizer.masters[weight].detach().numpy() == pytest.approx(np.full(4, 0.99), abs=1e-4)


def test_the_first_steps_are_those_that_adam_takes_by_itself() -> None:
    mine, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 5)) for _ in range(2))
    ours, adam = (
        MasterAdamW([{"params": [mine], "lr": 0.1}]),
        torch.optim.AdamW([theirs], 0.1, weight_decay=0),
    )
    for step in range(3):
        for parameter, optimizer in ((mine, ours), (theirs, adam)):
            parameter.grad = parameter.detach() * (step + 1)
            optimizer.step()
    assert torch.equal(mine, theirs)


def test_samples_say_what_was_asked_and_come_once_though_the_run_was_stopped(
    base: Path, tmp_path: Path
) -> None:
    trained(base, tmp_path, (3, None))
    (tmp_path / "checkpoint-6").rename(tmp_path / "gone")
    trained(base, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6]
    assert {line["question"] for line in lines} <= {"How fast?", "Key?", "Drums?"}


def test_a_half_written_checkpoint_is_not_taken_for_one(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path, (2,))
    torn = tmp_path / "checkpoint-5"
    torn.mkdir()
    (torn / "__0_0.distcp").write_bytes(b"torn")
    assert len(trained(base, tmp_path)) == 6


def test_another_run_in_the_same_folder_is_refused(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path, (2,))
    with pytest.raises(StoreMismatch, match="steps: 6 there, 7 here"):
        learn(base, tmp_path, CONFIG.model_copy(update={"steps": 7}))


def test_a_checkpoint_of_an_older_release_is_refused_in_words(base: Path, tmp_path: Path) -> None:
    old = tmp_path / "checkpoint-100"
    old.mkdir()
    (old / "state.json").write_text(json.dumps({"step": 100}))
    with pytest.raises(StoreMismatch, match="checkpoint-100 was written by an older llark"):
        learn(base, tmp_path)


def test_a_loss_that_is_no_number_stops_the_run(base: Path, tmp_path: Path) -> None:
    model, tokenizer = model_of(base)
    bad = batches_of(model, tokenizer, CONFIG, 2)
    bad.embeddings["clip 0"].frames[:] = np.nan
    with pytest.raises(loop.TrainingFailed, match="step 0 is nan"):
        run(model, bad, CONFIG, World(), tmp_path)
    assert (tmp_path / "bad-batch-0-0.safetensors").is_file()


def test_the_rate_rises_then_falls_to_nothing() -> None:
    config = CONFIG.model_copy(update={"steps": 100, "warmup_share": 0.1})
    scales = [learning_scale(step, config) for step in range(100)]
    assert scales[0] == pytest.approx(0.1)
    assert scales[9] == pytest.approx(1.0)
    assert scales[55] == pytest.approx(0.5, abs=0.02)
    assert scales[-1] < 0.01
    assert all(math.isfinite(scale) for scale in scales)
