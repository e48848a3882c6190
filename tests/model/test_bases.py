"""The one model class around every kind of base: padding, batch and cache change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoProcessor

from llark.model import LlarkForConditionalGeneration, LlarkProcessor
from llark.model.checkpoint import Lora, add_lora, new_model, save_adapter
from llark.model.checkpoint import load_adapter as load
from tests.model.bases import KINDS, save_base
from tests.tiny import WIDTH, Parts, clip


@pytest.fixture(scope="module", params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(kind, tmp_path_factory.mktemp(kind))


@pytest.fixture
def made(folder: Path) -> Parts:
    model, processor = new_model(folder, audio_width=WIDTH, frames_per_second=2.0, max_audio_positions=8)
    return model.eval(), processor


TALK = [
    {"role": "user", "content": [
        {"type": "audio", "audio": clip(3, 1)}, {"type": "audio", "audio": clip(5, 2)},
        {"type": "text", "text": "Which is faster?"}]},
    {"role": "assistant", "content": "The first."},
    {"role": "user", "content": [
        {"type": "audio", "audio": clip(20, 3)}, {"type": "text", "text": "And this?"}]},
]  # fmt: skip
"""Three clips in two turns; the last has more frames than places."""


@torch.no_grad()
def test_logits_equal_those_of_a_splice_by_hand_with_three_clips_in_two_turns(made: Parts) -> None:
    model, processor = made
    inputs = processor.apply_chat_template(TALK)
    ids = inputs["input_ids"][0].tolist()
    pooled = torch.stack(
        [_span(torch.as_tensor(clip(20, 3)).float(), i * 2.5, (i + 1) * 2.5) for i in range(8)]
    )
    audio = [torch.as_tensor(clip(3, 1)).float(), torch.as_tensor(clip(5, 2)).float(), pooled]
    words = model.get_input_embeddings()  # some scale what they look up
    rows: list[Tensor] = []
    for token in ids:
        if token == model.config.audio_start_id:
            rows += [model.markers.weight[:1], model.projector(audio.pop(0))]
        elif token == model.config.audio_end_id:
            rows.append(model.markers.weight[1:])
        elif token != model.config.audio_patch_id:
            rows.append(words(torch.tensor([token])))
    spliced = torch.cat(rows)[None]
    expected = model.language_model(inputs_embeds=spliced).logits
    torch.testing.assert_close(model(**inputs).logits, expected, atol=1e-4, rtol=1e-4)


def _span(frames: Tensor, begin: float, end: float) -> Tensor:
    """The mean of the frames between two fractional frame numbers."""
    share = [max(0.0, min(end, i + 1) - max(begin, i)) for i in range(len(frames))]
    weight = torch.tensor(share) / (end - begin)
    return weight @ frames


QUESTIONS = ["A?", "What is the tempo of this piece?", "Key"]
CLIPS: list[Any] = [clip(3, 1), [clip(6, 2), clip(2, 4)], None]


def _answers(model: Any, inputs: Any, **more: Any) -> list[list[int]]:
    out = model.generate(**inputs, max_new_tokens=10, min_new_tokens=10, do_sample=False, **more)
    rows: list[list[int]] = out[:, inputs["input_ids"].shape[1] :].tolist()
    return rows


def test_batch_cache_and_one_by_one_give_the_same_tokens(made: Parts) -> None:
    model, processor = made
    inputs = processor(QUESTIONS, CLIPS)
    together = _answers(model, inputs)
    assert _answers(model, inputs, use_cache=False) == together
    alone = [
        _answers(model, processor(q, None if c is None else [c]))[0]
        for q, c in zip(QUESTIONS, CLIPS, strict=True)
    ]
    assert alone == together
    assert len({tuple(row) for row in together}) >= 2


@torch.no_grad()
def test_padding_left_and_right_give_the_same_logits(made: Parts) -> None:
    model, processor = made
    left = processor(QUESTIONS, CLIPS)
    mask = left["attention_mask"].bool()
    right = {name: torch.zeros_like(left[name]) for name in ("input_ids", "attention_mask")}
    for row in range(len(mask)):
        n = int(mask[row].sum())
        right["input_ids"][row, :n] = left["input_ids"][row][mask[row]]
        right["attention_mask"][row, :n] = 1
    audio = {name: left[name] for name in ("audio_frames", "audio_mask")}
    there = model(**right, **audio).logits[right["attention_mask"].bool()]
    torch.testing.assert_close(model(**left).logits[mask], there, atol=2e-4, rtol=1e-3)


@torch.no_grad()
def test_the_whole_model_comes_back_through_the_auto_classes(made: Parts, tmp_path: Path) -> None:
    model, processor = made
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, reader = AutoModelForCausalLM.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(again, LlarkForConditionalGeneration)
    assert isinstance(reader, LlarkProcessor)
    inputs = reader.apply_chat_template(TALK)
    assert torch.equal(inputs["input_ids"], processor.apply_chat_template(TALK)["input_ids"])
    torch.testing.assert_close(again.eval()(**inputs).logits, model(**inputs).logits)


@torch.no_grad()
def test_an_adapter_of_this_base_comes_back(made: Parts, folder: Path, kind: str, tmp_path: Path) -> None:
    model, processor = made
    layers = ("Wqkv",) if kind == "mpt" else ("q_proj", "v_proj")
    for parameter in add_lora(model, Lora(r=2, target_modules=layers)):
        parameter.copy_((torch.randn(parameter.shape) * 0.2).half().float())
    save_adapter(model, tmp_path)
    inputs = processor.apply_chat_template(TALK)
    again, _ = load(tmp_path, folder)
    torch.testing.assert_close(again(**inputs).logits, model(**inputs).logits, atol=1e-3, rtol=1e-3)
