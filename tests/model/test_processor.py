from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoProcessor

from llark.model import LlarkProcessor
from tests.tiny import Parts, clip, tiny_tokenizer


def processor() -> LlarkProcessor:
    return LlarkProcessor(tiny_tokenizer(), max_audio_positions=8, concept_positions=2, frames_per_second=2.0)


def test_rows_end_together_and_padding_is_masked() -> None:
    inputs = processor()(["A?", "A longer one?"], [clip(3), None], ["key: G", None])
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    assert mask.sum(dim=1).tolist() == [len(row) for row in _texts(inputs)] or mask[:, -1].tolist() == [1, 1]
    assert ids[~mask.bool()].unique().tolist() == [0]
    assert _texts(inputs) == [
        "<|im_start|>user\n<audio_start>"
        + "<audio_patch>" * 5
        + "<audio_end>\nMeasured: key: G\nA?<|im_end|>\n"
        "<|im_start|>assistant\n",
        "<|im_start|>user\nA longer one?<|im_end|>\n<|im_start|>assistant\n",
    ]
    assert inputs["audio_frames"].shape == (1, 3, 6)
    assert inputs["audio_frames"].dtype == torch.float32


def _texts(inputs: dict[str, torch.Tensor]) -> list[str]:
    rows = zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
    return [tiny(row[mask.bool()]) for row, mask in rows]


def tiny(ids: torch.Tensor) -> str:
    text: str = processor().tokenizer.decode(ids)
    return text


def test_one_clip_and_one_line_of_facts_serve_every_question() -> None:
    inputs = processor()(["A?", "B?", "C?"], clip(4), "key: G")
    assert inputs["audio_frames"].shape == (3, 4, 6)
    assert all(text.count("<audio_patch>") == 6 and "Measured: key: G\n" in text for text in _texts(inputs))


def test_an_array_of_clips_is_one_a_question() -> None:
    inputs = processor()(["A?", "B?"], np.stack([clip(4, 1), clip(4, 2)]))
    assert inputs["audio_frames"].shape == (2, 4, 6)
    assert not torch.equal(inputs["audio_frames"][0], inputs["audio_frames"][1])


def test_a_talk_goes_on_from_its_earlier_turns() -> None:
    talk = [("A?", "Yes."), ("B?", None)]
    expected = (
        "<|im_start|>user\nA?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n"
        "<|im_start|>user\nB?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert _texts(processor()(talk)) == [expected]
    assert _texts(processor()([talk, "C?"]))[0] == expected


def test_wrong_numbers_of_clips_and_empty_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="found 1 clips for 2 questions"):
        processor()(["A?", "B?"], [clip(3)])
    with pytest.raises(ValueError, match=r"a frame or more, found \(0, 6\)"):
        processor()("A?", clip(0))
    with pytest.raises(ValueError, match="at least one question"):
        processor()([])


def test_a_saved_processor_makes_the_same_inputs(tmp_path: Path) -> None:
    first = processor()
    first.save_pretrained(tmp_path)
    again = LlarkProcessor.from_pretrained(tmp_path)
    assert again.to_dict() == first.to_dict()
    one, two = (p("Which key?", clip(20), "key: G") for p in (first, again))
    assert torch.equal(one["input_ids"], two["input_ids"])
    assert again.frames_per_second == 2.0


def test_auto_processor_finds_it_beside_the_model(parts: Parts, tmp_path: Path) -> None:
    model, first = parts
    model.save_pretrained(tmp_path)
    first.save_pretrained(tmp_path)
    assert isinstance(AutoProcessor.from_pretrained(tmp_path), LlarkProcessor)
