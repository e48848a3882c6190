"""Checkpoints in the format of the published code, written here by hand: what was trained is what is read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from llark.errors import UserMustAct
from llark.generate.answerer import Answerer, ModelQuestion
from llark.model.checkpoint import load_adapter
from llark.model.published import import_checkpoint
from tests.model.bases import KINDS
from tests.tiny import WIDTH, clip, tiny_tokenizer, vocabulary

TOKENS = ("[PAD]", "<audio_patch>", "<audio_start>", "<audio_end>")
"""In the order in which the published code adds them."""


def _write(folder: Path, kind: str = "llama", files: str = "bin", projector: str = "inside") -> Any:
    """A checkpoint as the published trainer leaves it; the language model and the projector in it."""
    torch.manual_seed(7)
    words = len(vocabulary()) + len(TOKENS)
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = AutoConfig.for_model(kind, vocab_size=words, **special, **KINDS[kind])
    language = AutoModelForCausalLM.from_config(config).eval()
    heard = nn.Linear(WIDTH, 32)
    tensors = {name: value.clone() for name, value in language.state_dict().items()}
    inside = "model" if kind == "llama" else "transformer"
    mine = {f"{inside}.mm_projector.{name}": value for name, value in heard.state_dict().items()}
    if kind == "llama":
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    else:
        tensors.pop("lm_head.weight", None)
    folder.mkdir(parents=True)
    if projector == "inside":
        tensors |= mine
    elif projector == "beside":
        (folder.parent / "mm_projector").mkdir()
        torch.save(mine, folder.parent / "mm_projector" / f"{folder.name}.bin")
    _write_weights(folder, tensors, files)
    wrapped = {"llama": "wrapped_llamav2", "mpt": "wrapped_mpt"}[kind]
    theirs = {
        "model_type": wrapped,
        "mm_hidden_size": WIDTH,
        "use_mm_proj": True,
        "tune_mm_mlp_adapter": True,
    }
    (folder / "config.json").write_text(json.dumps(config.to_dict() | theirs))
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(list(TOKENS), special_tokens=True)
    tokenizer.save_pretrained(folder)
    return language, heard, tokenizer


def _write_weights(folder: Path, tensors: dict[str, Tensor], files: str) -> None:
    names = sorted(tensors)
    halves = {"-00001-of-00002": names[: len(names) // 2], "-00002-of-00002": names[len(names) // 2 :]}
    if files == "bin":
        torch.save(tensors, folder / "pytorch_model.bin")
    elif files == "safetensors":
        save_file(tensors, folder / "model.safetensors")
    else:
        for part, held in halves.items():
            torch.save({name: tensors[name] for name in held}, folder / f"pytorch_model{part}.bin")
        index = {name: f"pytorch_model{part}.bin" for part, held in halves.items() for name in held}
        if files == "shards with index":
            (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": index}))


@pytest.mark.parametrize(
    ("kind", "files", "projector"),
    [
        ("llama", "bin", "inside"),
        ("llama", "shards", "inside"),
        ("llama", "shards with index", "beside"),
        ("llama", "safetensors", "inside"),
        ("mpt", "bin", "inside"),
    ],
)
@torch.no_grad()
def test_a_published_checkpoint_gives_the_logits_of_what_was_trained(
    tmp_path: Path, kind: str, files: str, projector: str
) -> None:
    language, heard, tokenizer = _write(tmp_path / "run" / "checkpoint-5000", kind, files, projector)
    found = import_checkpoint(tmp_path / "run" / "checkpoint-5000", tmp_path / "out", dtype=torch.float32)
    assert found.audio_width == WIDTH
    model, processor = load_adapter(tmp_path / "out")
    inputs = processor("What key?", clip(5))
    ids = inputs["input_ids"][0]
    assert ids.max() < len(tokenizer)
    embeds = language.get_input_embeddings()(ids)
    embeds[ids == tokenizer.convert_tokens_to_ids("<audio_patch>")] = heard(torch.as_tensor(clip(5)).float())
    expected = language(inputs_embeds=embeds[None]).logits
    torch.testing.assert_close(model(**inputs).logits, expected, atol=1e-5, rtol=1e-4)


def test_an_imported_model_is_asked_like_any_other(tmp_path: Path) -> None:
    _write(tmp_path / "checkpoint-5")
    import_checkpoint(tmp_path / "checkpoint-5", tmp_path / "out")
    answerer = Answerer.load(tmp_path / "out")
    (answer,) = answerer([ModelQuestion("What key?", clip(250))])
    assert answerer.processor.conversation == "published"
    assert answerer.processor.positions_of(250) == 250
    assert "###" not in answer


def test_a_missing_projector_is_an_error_and_never_made_up(tmp_path: Path) -> None:
    _write(tmp_path / "checkpoint-5", projector="nowhere")
    with pytest.raises(UserMustAct, match=r"has no projector: mm_projector.bias and mm_projector.weight"):
        import_checkpoint(tmp_path / "checkpoint-5", tmp_path / "out")
    assert not (tmp_path / "out").exists()


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("evil",)


def test_weights_that_would_run_code_are_refused_and_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path / "checkpoint-5")
    torch.save({"model.norm.weight": _Evil()}, tmp_path / "checkpoint-5" / "pytorch_model.bin")
    with pytest.raises(UserMustAct, match=r"pytorch_model.bin is refused"):
        import_checkpoint(tmp_path / "checkpoint-5", tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-5"
    with pytest.raises(UserMustAct, match="There is no folder"):
        import_checkpoint(folder, tmp_path / "out")
    _write(folder, files="shards")
    (folder / "pytorch_model-00002-of-00002.bin").rename(tmp_path / "kept")
    with pytest.raises(UserMustAct, match="1 of 2 pytorch_model shards"):
        import_checkpoint(folder, tmp_path / "out")
    tensors = torch.load(tmp_path / "kept", weights_only=True)
    tensors.pop("model.norm.weight")
    torch.save(tensors, folder / "pytorch_model-00002-of-00002.bin")
    with pytest.raises(UserMustAct, match=r"it lacks model.norm.weight"):
        import_checkpoint(folder, tmp_path / "out")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"model_type": "llama"}))
    with pytest.raises(
        UserMustAct, match="says that this is a 'llama'; the published code writes wrapped_llamav2"
    ):
        import_checkpoint(folder, tmp_path / "out")
    (folder / "config.json").write_text(json.dumps(settings | {"attn_config": {"qk_ln": True}}))
    with pytest.raises(UserMustAct, match="normalises queries and keys"):
        import_checkpoint(folder, tmp_path / "out")


def test_a_tokenizer_without_the_audio_tokens_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "checkpoint-5")
    tiny_tokenizer().save_pretrained(tmp_path / "other")
    with pytest.raises(UserMustAct, match="has no <audio_start>, <audio_patch>, <audio_end>"):
        import_checkpoint(tmp_path / "checkpoint-5", tmp_path / "out", tokenizer=tmp_path / "other")
