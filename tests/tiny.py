"""Tiny parts with random weights: a two-layer Llama, and a byte-level tokenizer with one merge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, TokenType
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from llark.model import LlarkForConditionalGeneration, LlarkProcessor
from llark.model import model as model_file
from llark.model.checkpoint import new_model

WIDTH = 6
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def vocabulary() -> list[str]:
    return [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġt"]


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(BPE({token: index for index, token in enumerate(vocabulary())}, [("Ġ", "t")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )


def tiny_llama() -> LlamaForCausalLM:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(vocabulary()),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.3,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


class StubConcepts(nn.Module):
    """Two heads: the loudness of the first and of the second dimension, as one position each."""

    positions_count = 2

    def __init__(self, config: dict[str, Any], audio_width: int, hidden_size: int) -> None:
        super().__init__()
        self.words = nn.Parameter(torch.full((2, hidden_size), float(config["size"])))

    def posteriors(self, frames: Tensor, mask: Tensor) -> Tensor:
        return frames[..., :2].sum(dim=1) / mask.sum(dim=1, keepdim=True)

    def positions(self, posteriors: Tensor) -> Tensor:
        return posteriors[..., None] * self.words


Parts = tuple[LlarkForConditionalGeneration, LlarkProcessor]


@pytest.fixture
def parts(base: Path) -> Parts:
    model, processor = new_model(base, audio_width=WIDTH, frames_per_second=2.0, max_audio_positions=8)
    return model.eval(), processor


@pytest.fixture
def parts_with_concepts(base: Path, stub_concepts: None) -> Parts:
    model, processor = new_model(
        base, audio_width=WIDTH, frames_per_second=2.0, max_audio_positions=8, concepts={"size": 0.5}
    )
    return model.eval(), processor


@pytest.fixture
def stub_concepts(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(config: Any) -> nn.Module | None:
        return (
            StubConcepts(config.concepts, config.audio_width, config.hidden_size) if config.concepts else None
        )

    monkeypatch.setattr(model_file, "build_concepts", build)


def clip(frames: int, seed: int = 0) -> np.ndarray:
    """[frames, WIDTH], as an encoder might give it."""
    return np.random.default_rng(seed).normal(size=(frames, WIDTH)).astype(np.float16)


def write_gguf(path: Path, llama: LlamaForCausalLM, tokenizer_pre: str = "smollm") -> None:
    """The model as llama.cpp writes it: rotary pairs side by side, embeddings in 8-bit blocks."""
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize

    config = llama.config
    writer = GGUFWriter(path, "llama")
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokenizer_pre)
    writer.add_token_list(vocabulary())
    kinds = [TokenType.CONTROL] * len(SPECIAL)
    writer.add_token_types(kinds + [TokenType.NORMAL] * (len(vocabulary()) - len(SPECIAL)))
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    for name, value in llama.model.state_dict().items():
        array = value.detach().numpy()
        if "q_proj" in name or "k_proj" in name:
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        if "embed_tokens" in name:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(gguf_name(name), quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(gguf_name(name), np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(name: str) -> str:
    for ours, theirs in (
        ("embed_tokens", "token_embd"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("post_attention_layernorm", "ffn_norm"),
        ("input_layernorm", "attn_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("layers.", "blk."),
    ):
        name = name.replace(ours, theirs)
    return "output_norm.weight" if name == "norm.weight" else name
