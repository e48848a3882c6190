from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoConfig

from llark.model import LlarkConfig
from llark.model.config import positions_of


@pytest.mark.parametrize(
    ("frames", "concepts", "expected"),
    [(0, 0, 0), (1, 0, 1), (64, 0, 64), (65, 0, 64), (50, 19, 64), (20, 19, 39)],
)
def test_frames_take_what_concepts_leave(frames: int, concepts: int, expected: int) -> None:
    assert positions_of(frames, 64, concepts) == expected


def test_a_config_survives_its_json_and_is_known_to_auto_config(tmp_path: Path) -> None:
    text = {"model_type": "gpt2", "vocab_size": 50, "n_embd": 12, "n_layer": 1, "n_head": 2}
    text |= {"bos_token_id": 0, "eos_token_id": 0}
    config = LlarkConfig(
        text_config=text, audio_width=7, frames_per_second=2.0, concepts={"a": [1]}, base_name="tiny"
    )
    config.save_pretrained(tmp_path)
    again = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(again, LlarkConfig)
    assert (again.hidden_size, again.audio_width, again.concepts) == (12, 7, {"a": [1]})
    assert (again.audio_start_id, again.audio_patch_id, again.audio_end_id) == (50, 51, 52)
    again.name_or_path = ""
    assert again.to_dict() == config.to_dict()


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"audio_width \(0\)"):
        LlarkConfig(audio_width=0)
