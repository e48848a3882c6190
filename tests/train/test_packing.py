"""Packed rows: what lies beside an example changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llark.errors import UserMustAct
from llark.model.checkpoint import new_model
from llark.model.conversation import Tokenized
from llark.model.model import IGNORE_INDEX
from llark.model.processor import stack_frames
from llark.train import distributed, fit_model, packing, smoke
from llark.train.data import Example, Reading, collate
from tests.tiny import WIDTH, Parts, clip
from tests.train.test_fit_model import read_log

KINDS = ("llama", "qwen3", "gemma2")
QUESTIONS = (
    ("How fast is it?", "At 120 beats a minute, and no faster."),
    ("Key?", "C."),
    ("What do you hear?", "A piano, a bass and a very long sentence about how they sound."),
    ("Drums?", "No."),
)


def ready(kind: str, tmp_path: Path) -> tuple[Any, list[Any], list[np.ndarray]]:
    """A model with weights large enough to tell, and four examples of unlike length with their clips."""
    base = smoke.write_base(kind, tmp_path / kind)
    model, processor = new_model(base, audio_width=WIDTH, frames_per_second=2.0, max_audio_positions=8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    reading = Reading(processor.tokenizer, processor.positions_of, "chatml", 200)
    clips = [clip(3 + 2 * number, seed=number) for number in range(len(QUESTIONS))]
    pairs = zip(QUESTIONS, clips, strict=True)
    examples = [reading.write(Example("x", "x", "t", (one,)), len(heard)) for one, heard in pairs]
    return model.eval(), examples, clips


@torch.no_grad()
def said(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    given = packing.for_model(model, {name: value for name, value in inputs.items() if name != "labels"})
    logits: torch.Tensor = model(**given).logits
    return logits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [200, 1000], ids=["several rows", "one row"])
def test_logits_of_a_packed_row_are_those_of_each_example_alone(tmp_path: Path, kind: str, most: int) -> None:
    model, examples, clips = ready(kind, tmp_path)
    alone = [said(model, collate([one], [heard], 0))[0] for one, heard in zip(examples, clips, strict=True)]
    largest = max(1.0, *(float(logits.abs().max()) for logits in alone))
    batch = collate(examples, clips, 0, pack_into=most)
    rows = packing.rows_of([len(one) for one in examples], most)
    assert len(rows) == (1 if most == 1000 else 2)
    for blocks in (False, True):  # by the mask alone, then example by example
        if blocks:
            packing.make_ready(model)
        logits = said(model, batch)
        for row, numbers in enumerate(rows):
            begin = 0
            for number in numbers:
                found = logits[row, begin : begin + len(examples[number])]
                assert float((found - alone[number]).abs().max()) < 1e-5 * largest
                begin += len(examples[number])
    assert model.language_model.config._attn_implementation == (
        "eager" if kind == "gemma2" else packing.BLOCKS
    )


def test_without_the_mask_neighbours_would_be_seen(tmp_path: Path) -> None:
    model, examples, clips = ready("llama", tmp_path)
    batch = collate(examples, clips, 0, pack_into=1000)
    right = said(model, batch)
    last = len(examples[packing.rows_of([len(one) for one in examples], 1000)[0][-1]])
    batch["attention_mask"] = torch.ones_like(batch["attention_mask"]).tril()
    assert float((said(model, batch) - right)[0, -last:].abs().max()) > 0.01


def test_a_model_made_ready_still_reads_padded_batches_and_generates_the_same(tmp_path: Path) -> None:
    model, examples, clips = ready("llama", tmp_path)
    padded = collate(examples, clips, 0)
    before = said(model, padded)
    prompt = collate(examples[:1], clips[:1], 0)
    prompt.pop("labels")
    words = model.generate(**prompt, max_new_tokens=5, do_sample=False)
    packing.make_ready(model)
    valid = padded["attention_mask"].bool()
    torch.testing.assert_close(said(model, padded)[valid], before[valid], atol=1e-5, rtol=1e-5)
    assert torch.equal(model.generate(**prompt, max_new_tokens=5, do_sample=False), words)


def test_no_token_sees_further_back_than_its_window(tmp_path: Path) -> None:
    assert packing._window(3, None, torch.device("cpu")) is None
    mask = packing._window(4, 2, torch.device("cpu"))
    assert mask is not None
    assert mask[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_every_example_is_in_one_row_and_no_row_is_too_long(lengths: list[int]) -> None:
    rows = packing.rows_of(lengths, 50)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert max(sum(lengths[number] for number in row) for row in rows) <= 50
    assert len(rows) <= 2 * -(-sum(lengths) // 50)


@pytest.mark.parametrize("more", [{}, {"gradient_checkpointing": True}, {"weights": "lora"}])
def test_packed_training_has_the_losses_of_padded_training(tmp_path: Path, more: dict[str, Any]) -> None:
    from tests.train.test_fit_model import losses, recipe_of

    base = smoke.write_base("llama", tmp_path / "base")
    for packed in (False, True):
        recipe = recipe_of(**({"weights": "full"} | more), steps=6, packed=packed, evaluate_every=3)
        with distributed.join("cpu") as world:
            fit_model(
                recipe.model, recipe.train, smoke.data_of(recipe), tmp_path / str(packed), world, base=base
            )
    assert losses(tmp_path / "True") == pytest.approx(losses(tmp_path / "False"), abs=1e-5)
    heard = [read_log(tmp_path / name)[-1].validation_loss for name in ("True", "False")]
    assert heard[0] == pytest.approx(heard[1], abs=1e-5)


def test_a_model_without_positions_cannot_be_packed(tmp_path: Path) -> None:
    model, _, _ = ready("mpt", tmp_path)
    with pytest.raises(UserMustAct, match=r"train.packed: a mpt model cannot be told"):
        packing.make_ready(model)


def test_a_branch_sees_the_prefix_and_itself_only() -> None:
    written = Tokenized([5, 6, 7, 8, 9], [False, False, False, True, True], [0, 0, 1, 1, 2])
    batch = collate([written], [clip(3)], 0)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9]]
    assert batch["labels"].tolist() == [[IGNORE_INDEX, IGNORE_INDEX, IGNORE_INDEX, 8, 9]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 2]]
    expected = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert batch["attention_mask"][0, 0].int().tolist() == expected


TURNS = (
    ("What is the tempo?", "About 120."),
    ("Key?", "G major."),
    ("Describe it.", "A slow waltz, played softly."),
)


def test_loss_and_gradients_of_independent_questions_are_those_of_separate_examples(
    parts_with_concepts: Parts,
) -> None:
    model, processor = parts_with_concepts
    clips = [clip(5, 1), clip(12, 2)]
    reading = Reading(processor.tokenizer, processor.positions_of, "chatml", 1000)

    def write(frames: np.ndarray, turns: tuple[tuple[str, str], ...]) -> Any:
        return reading.write(Example("x", "x", "t", turns, facts="key: G", independent=True), len(frames))

    asked = (TURNS, TURNS[:2])
    rows = [write(frames, turns) for frames, turns in zip(clips, asked, strict=True)]
    together = model(**collate(rows, clips, 0), loss_only=True)
    assert together.logits is None
    together.loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    total, count = torch.zeros(()), 0
    for frames, turns in zip(clips, asked, strict=True):
        for one in turns:
            alone = collate([write(frames, (one,))], [frames], 0)
            supervised = int((alone["labels"] != IGNORE_INDEX).sum())
            plain = {"input_ids": alone["input_ids"], "labels": alone["labels"]}
            total = total + model(**plain, **stack_frames([torch.as_tensor(frames)])).loss * supervised
            count += supervised
    (total / count).backward()
    assert together.loss.item() == pytest.approx((total / count).item(), abs=1e-5)
    assert {"projector.weight", "markers.weight", "concepts.words"} <= set(gradients)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-4, rtol=1e-3)
