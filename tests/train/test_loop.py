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
from tiny import WIDTH, clip

from llark.errors import StoreMismatch
from llark.model.checkpoint import Lora, add_lora, new_model
from llark.train import loop
from llark.train.examples import ClipData, RowsConfig, draw, rows_of_step

ROWS = RowsConfig(rows_per_step=2, exchanges_per_row=2, seed=3)
CONFIG = loop.TrainConfig(
    steps=6, learning_rate=1e-2, projector_learning_rate=1e-2, save_every=2, evaluate_every=3, rows=ROWS
)


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


def trained(base: Path, folder: Path, stops: tuple[int | None, ...] = (None,)) -> dict[int, float]:
    """Losses by step of a run that was stopped at each of `stops` and begun anew."""
    for stop in stops:
        model, tokenizer = model_of(base)
        loop.train(model, tokenizer, clips(5), CONFIG, folder, stop_after=stop)
    return {p.step: p.loss for p in loop.read_log(folder)}


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
    model, tokenizer = model_of(base)
    config = loop.TrainConfig(steps=30, learning_rate=2e-2, projector_learning_rate=2e-2, rows=ROWS)
    loop.train(model, tokenizer, clips(2), config, tmp_path)
    losses = [p.loss for p in loop.read_log(tmp_path)]
    assert losses[-1] < 0.7 * losses[0]


def test_only_adapter_and_audio_side_change(base: Path, tmp_path: Path) -> None:
    model, tokenizer = model_of(base)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loop.train(model, tokenizer, clips(3), CONFIG, tmp_path)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all("lora_" in name or name.startswith(("projector", "markers")) for name in changed)


def test_a_run_that_is_stopped_twice_has_the_losses_of_one_that_is_not(base: Path, tmp_path: Path) -> None:
    whole = trained(base, tmp_path / "whole")
    stopped = trained(base, tmp_path / "stopped", (1, 3, None))
    assert stopped == whole
    assert sorted(whole) == [1, 2, 3, 4, 5, 6]
    assert [p.name for p in loop.checkpoints(tmp_path / "whole")] == ["checkpoint-4", "checkpoint-6"]


def test_a_half_written_checkpoint_is_not_taken_for_one(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path, (2,))
    torn = tmp_path / "checkpoint-5"
    torn.mkdir()
    (torn / "optimizer.safetensors").write_bytes(b"torn")
    assert sorted(trained(base, tmp_path)) == [1, 2, 3, 4, 5, 6]


def test_another_configuration_in_the_same_folder_is_refused(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path, (2,))
    model, tokenizer = model_of(base)
    other = loop.TrainConfig(steps=7, save_every=2, rows=ROWS)
    with pytest.raises(StoreMismatch, match="another configuration"):
        loop.train(model, tokenizer, clips(5), other, tmp_path)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_batch(base: Path, tmp_path: Path) -> None:
    model, tokenizer = model_of(base)
    with torch.no_grad():
        model.projector.weight.fill_(math.nan)
    with pytest.raises(loop.TrainingFailed, match="bad-batch-0"):
        loop.train(model, tokenizer, clips(3), CONFIG, tmp_path)
    assert (tmp_path / "bad-batch-0.safetensors").is_file()


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    config = loop.TrainConfig(steps=100, warmup_share=0.1)
    scale = [loop.learning_scale(step, config) for step in range(100)]
    assert scale[0] == pytest.approx(0.1)
    assert scale[9] == 1.0
    assert scale[55] == pytest.approx(0.5)
    assert scale[99] < 0.001


def test_the_log_says_step_loss_and_speed(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path)
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert line["step"] == 1
    assert line["loss"] > 0
    assert line["tokens_per_second"] > 0
