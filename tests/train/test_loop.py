"""The loop: what it draws, that it learns, and that a stopped run goes on as if it had not."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_talking import beside
from tiny import WIDTH, clip

from llark.errors import StoreMismatch
from llark.model.checkpoint import Lora, add_lora, new_model
from llark.train import keeping, loop, team
from llark.train.examine import Examiner
from llark.train.examples import ClipData, Rows, RowsConfig, draw, rows_of_step
from llark.train.optimizer import MasterAdamW, learning_scale
from llark.train.team import Team
from llark.tuning import Tune

ROWS = RowsConfig(rows_per_step=2, exchanges_per_row=2, seed=3)
CONFIG = Tune(
    weights="lora", steps=6, batch=2, micro_batch=1, learning_rate=1e-2, projector_learning_rate=1e-2,
    precision="float32", sharding="ddp", save_every=2, keep=2, evaluate_every=3, sample_answers=1,
)  # fmt: skip


def clips(count: int) -> list[ClipData]:
    return [
        ClipData(
            id=f"clip {i}",
            frames=clip(5, seed=i),
            posterior=np.zeros(2, np.float32),
            heard=(("How fast?", f"At {i}."), ("Key?", "C."), ("Drums?", "No.")),
            measured=(("How fast?", f"It says {i}."), ("Key?", "It says C."), ("Drums?", "It says no.")),
            facts=f"tempo: {i}",
        )
        for i in range(count)
    ]


def model_of(base: Path) -> tuple[Any, Any]:
    torch.manual_seed(0)
    model, processor = new_model(base, audio_width=WIDTH, frames_per_second=2.0, max_audio_positions=8)
    add_lora(model, Lora(r=2, alpha=4, target_modules=("q_proj", "v_proj")))
    return model, processor.tokenizer


def learn(base: Path, folder: Path, config: Tune = CONFIG, count: int = 5, **more: Any) -> Any:
    """The model after a run on `count` clips, whose folder is looked at by the test."""
    model, tokenizer = model_of(base)
    if more.pop("low", False):
        model.bfloat16()
    rows = Rows(clips(count), tokenizer, model.positions_of, ROWS, {"steps": config.steps})
    examiner = Examiner(model, rows, config, Team(), folder)
    loop.run(model, rows, config, Team(), folder, examine=examiner, **more)
    return model


def trained(base: Path, folder: Path, stops: tuple[int | None, ...] = (None,), **more: Any) -> list[float]:
    """Losses of a run that was stopped at each of `stops` and begun anew."""
    for stop in stops:
        learn(base, folder, stop_after=stop, **more)
    told = loop.read_log(folder)
    assert [one.step for one in told] == list(range(1, len(told) + 1))
    return [one.loss for one in told]


def test_every_clip_comes_once_an_epoch_and_in_another_order_the_next() -> None:
    rows = [row for step in range(10) for row in rows_of_step(step, 10, ROWS)]
    first, second = rows[:10], rows[10:]
    assert Counter(c for c, _ in first) == Counter(range(10))
    assert {epoch for _, epoch in second} == {1}
    assert [c for c, _ in first] != [c for c, _ in second]


def test_a_row_with_facts_is_answered_from_facts_and_one_without_from_the_truth() -> None:
    data = clips(40)
    drawn = [draw(data, i, 0, ROWS) for i in range(40)]
    assert 8 < sum(facts is not None for facts, _ in drawn) < 32
    for index, (facts, exchanges) in enumerate(drawn):
        assert len(exchanges) == 2
        for question, answer in exchanges:
            assert answer.startswith("It says") is (facts is not None)
            if question == "How fast?":
                told = facts.removeprefix("tempo: ") if facts else str(index)
                assert answer.rstrip(".").split()[-1] == told


def test_foreign_facts_are_another_clips_and_answered_as_they_stand() -> None:
    data = clips(200)
    config = RowsConfig(facts_share=1.0, foreign_share=0.5)
    foreign = [i for i in range(200) if draw(data, i, 0, config)[0] != data[i].facts]
    assert 70 < len(foreign) < 130


def test_the_loss_falls_on_a_clip_that_is_seen_again_and_again(base: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(
        update={"steps": 30, "learning_rate": 2e-2, "projector_learning_rate": 2e-2, "save_every": 30}
    )
    learn(base, tmp_path, config, count=2)
    told = loop.read_log(tmp_path)
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
    names = [path.name for path in keeping.checkpoints(tmp_path / "whole")]
    assert names == ["checkpoint-4", "checkpoint-6"]


def test_two_processes_share_the_rows_of_a_step_and_have_the_losses_of_one(
    base: Path, tmp_path: Path
) -> None:
    def share() -> None:
        with team.gather("cpu") as crew:
            model, tokenizer = model_of(base)
            rows = Rows(clips(5), tokenizer, model.positions_of, ROWS)
            spread = team.spread(model, crew, CONFIG)
            examiner = Examiner(spread, rows, CONFIG, crew, tmp_path / "two")
            loop.run(spread, rows, CONFIG, crew, tmp_path / "two", examine=examiner)

    alone = trained(base, tmp_path / "one")
    assert beside(share, ranks=2) == [0, 0]
    together = loop.read_log(tmp_path / "two")
    assert [one.loss for one in together] == pytest.approx(alone, abs=1e-3)
    heard = [one.validation_loss for one in loop.read_log(tmp_path / "one")]
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


def test_a_loss_that_is_no_number_stops_the_run_of_rows_too(base: Path, tmp_path: Path) -> None:
    model, tokenizer = model_of(base)
    bad = clips(2)
    bad[0].frames[:] = np.nan
    rows = Rows(bad, tokenizer, model.positions_of, ROWS)
    with pytest.raises(loop.TrainingFailed, match="step 0 is nan"):
        loop.run(model, rows, CONFIG, Team(), tmp_path)
    assert (tmp_path / "bad-batch-0-0.safetensors").is_file()


def test_the_rate_rises_then_falls_to_nothing() -> None:
    config = CONFIG.model_copy(update={"steps": 100, "warmup_share": 0.1})
    scales = [learning_scale(step, config) for step in range(100)]
    assert scales[0] == pytest.approx(0.1)
    assert scales[9] == pytest.approx(1.0)
    assert scales[55] == pytest.approx(0.5, abs=0.02)
    assert scales[-1] < 0.01
    assert all(math.isfinite(scale) for scale in scales)
