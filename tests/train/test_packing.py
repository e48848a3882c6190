"""Packed rows: what lies beside an example changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import WIDTH, clip

from llark.errors import UserMustAct
from llark.model.checkpoint import new_model
from llark.train import loop, packing, smoke, talking, team
from llark.train.talks import Example, Reading, collate

KINDS = ("llama", "qwen3", "gemma2")
TALKS = (
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
    clips = [clip(3 + 2 * number, seed=number) for number in range(len(TALKS))]
    pairs = zip(TALKS, clips, strict=True)
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
    batch = packing.pack(examples, clips, 0, most)
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
    batch = packing.pack(examples, clips, 0, 1000)
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
    from test_talking import losses, recipe_of

    base = smoke.write_base("llama", tmp_path / "base")
    for packed in (False, True):
        recipe = recipe_of(**({"weights": "full"} | more), steps=6, packed=packed, evaluate_every=3)
        with team.gather("cpu") as crew:
            talking.fit_model(recipe, smoke.talks(recipe), tmp_path / str(packed), crew, base)
    assert losses(tmp_path / "True") == pytest.approx(losses(tmp_path / "False"), abs=1e-5)
    heard = [loop.read_log(tmp_path / name)[-1].validation_loss for name in ("True", "False")]
    assert heard[0] == pytest.approx(heard[1], abs=1e-5)


def test_a_model_without_positions_cannot_be_packed(tmp_path: Path) -> None:
    model, _, _ = ready("mpt", tmp_path)
    with pytest.raises(UserMustAct, match=r"tune.packed: a mpt model cannot be told"):
        packing.make_ready(model)
