from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from llark.errors import UserMustAct
from llark.model import LlarkForConditionalGeneration
from llark.model.checkpoint import Lora, add_lora, load_adapter, merge_lora, new_model, save_adapter
from tests.tiny import WIDTH, Parts, clip, tiny_llama


@pytest.fixture
def trained(parts_with_concepts: Parts) -> Parts:
    """A model with LoRA, in which training has moved everything that it may move."""
    model, processor = parts_with_concepts
    add_lora(model, Lora(r=4, alpha=8))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                drawn = torch.randn(parameter.shape, generator=generator) * 0.3
                parameter.copy_(drawn.half().float() if "lora_" in name else drawn)
    model.set_normalisation(torch.arange(WIDTH).float(), torch.full((WIDTH,), 3.0))
    return model.eval(), processor


def _logits(parts: Parts) -> torch.Tensor:
    model, processor = parts
    with torch.no_grad():
        logits: torch.Tensor = model(**processor("Which key?", clip(20), "tempo: 90 BPM")).logits
    return logits


def test_a_new_model_leaves_its_base_as_it_was(parts: Parts) -> None:
    model, _ = parts
    for name, value in tiny_llama().state_dict().items():
        assert torch.equal(value, model.language_model.state_dict()[name])
    head = model.get_output_embeddings().weight
    assert head is model.get_input_embeddings().weight
    assert model.language_model.config._attn_implementation == "sdpa"


def test_a_new_projector_speaks_as_loud_as_words(base: Path) -> None:
    for kind, low, high in (("linear", 0.8, 1.25), ("mlp", 0.3, 1.25)):
        model, _ = new_model(base, audio_width=400, frames_per_second=2.0, projector=kind, seed=2)
        ratio = model.projector(torch.randn(500, 400)).std() / model.get_input_embeddings().weight.std()
        assert low < ratio.item() < high


def test_only_lora_and_the_audio_side_learn(parts_with_concepts: Parts) -> None:
    model, _ = parts_with_concepts
    added = add_lora(model, Lora(r=4, target_modules=("q_proj", "v_proj")))
    assert len(added) == 2 * 2 * 2
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    outside = {"projector.weight", "projector.bias", "markers.weight", "concepts.words"}
    assert {name for name in learning if "lora_" not in name} == outside
    with pytest.raises(ValueError, match="already"):
        add_lora(model)


@pytest.mark.parametrize("merge", [True, False])
def test_an_adapter_comes_back_as_it_was(trained: Parts, base: Path, tmp_path: Path, merge: bool) -> None:
    save_adapter(trained[0], tmp_path / "mini")
    again = load_adapter(tmp_path / "mini", base, merge=merge)
    torch.testing.assert_close(_logits(again), _logits(trained), atol=1e-4, rtol=1e-4)
    lora_left = any("lora_" in name for name, _ in again[0].named_parameters())
    assert lora_left is not merge
    assert again[1].concept_positions == 2


def test_an_adapter_that_is_loaded_apart_can_be_saved_again(
    trained: Parts, base: Path, tmp_path: Path
) -> None:
    save_adapter(trained[0], tmp_path / "one")
    save_adapter(load_adapter(tmp_path / "one", base, merge=False)[0], tmp_path / "two")
    for name in ("config.json", "audio.safetensors", "adapter.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_adapter_folder_holds_no_base_weights_and_no_path(
    trained: Parts, base: Path, tmp_path: Path
) -> None:
    save_adapter(trained[0], tmp_path)
    assert set(load_file(tmp_path / "audio.safetensors")) == {
        "projector.weight", "projector.bias", "markers.weight", "concepts.words", "frame_mean", "frame_std"
    }  # fmt: skip
    adapter = load_file(tmp_path / "adapter.safetensors")
    assert len(adapter) == 2 * 4 * 2
    assert {value.dtype for value in adapter.values()} == {torch.float16}
    assert str(base) not in (tmp_path / "config.json").read_text()


def test_merging_changes_no_answer(trained: Parts) -> None:
    before = _logits(trained)
    merge_lora(trained[0])
    torch.testing.assert_close(_logits(trained), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("lost", ["projector.weight", "frame_std", "concepts.words"])
def test_a_missing_tensor_is_an_error_and_never_random(
    trained: Parts, base: Path, tmp_path: Path, lost: str
) -> None:
    save_adapter(trained[0], tmp_path)
    tensors = load_file(tmp_path / "audio.safetensors")
    del tensors[lost]
    save_file(tensors, tmp_path / "audio.safetensors")
    with pytest.raises(UserMustAct, match=f"lacks {lost}"):
        load_adapter(tmp_path, base)


def test_a_damaged_folder_is_refused_in_one_sentence(trained: Parts, base: Path, tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="is not a model folder"):
        load_adapter(tmp_path / "nothing", base)
    save_adapter(trained[0], tmp_path)
    (tmp_path / "adapter.safetensors").unlink()
    with pytest.raises(UserMustAct, match=r"adapter.safetensors is missing"):
        load_adapter(tmp_path, base)
    (tmp_path / "adapter.safetensors").write_bytes(b"not a tensor in sight")
    with pytest.raises(UserMustAct, match=r"adapter.safetensors is damaged"):
        load_adapter(tmp_path, base)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"audio_width": 9}))
    with pytest.raises(UserMustAct, match="does not fit"):
        load_adapter(tmp_path, base)


def test_another_base_is_refused(trained: Parts, base: Path, tmp_path: Path) -> None:
    save_adapter(trained[0], tmp_path / "mini")
    wider = tiny_llama().config
    wider.hidden_size = 64
    LlamaForCausalLM(wider).save_pretrained(tmp_path / "wider")
    for file in base.glob("tokenizer*"):
        (tmp_path / "wider" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UserMustAct, match="width 32; this one has 64"):
        load_adapter(tmp_path / "mini", tmp_path / "wider")


def test_the_whole_model_comes_back_through_the_auto_classes(trained: Parts, tmp_path: Path) -> None:
    model, processor = trained
    with pytest.raises(ValueError, match="merge the LoRA"):
        model.save_pretrained(tmp_path)
    merge_lora(model)
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert isinstance(again, LlarkForConditionalGeneration)
    assert torch.equal(again.frame_mean, model.frame_mean)
    assert again.generation_config.eos_token_id == 2
    torch.testing.assert_close(_logits((again, processor)), _logits(trained))


def test_half_precision_keeps_the_heads_and_statistics_whole(trained: Parts, tmp_path: Path) -> None:
    model, processor = trained
    merge_lora(model)
    model.save_pretrained(tmp_path)
    half = LlarkForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    assert half.projector.weight.dtype == torch.bfloat16
    assert half.frame_std.dtype == half.concepts.words.dtype == torch.float32
    off = (_logits((half, processor)).float() - _logits(trained)).abs().mean()
    assert off < 0.1 * _logits(trained).std()
