"""Tiny random language models of several kinds, each saved as a base with the tiny tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.tiny import tiny_tokenizer, vocabulary

_HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
_SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, **_HEADS}

KINDS: dict[str, dict[str, Any]] = {
    "llama": {**_SIZES, "tie_word_embeddings": False},
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 512},
    "qwen2": {**_SIZES, "tie_word_embeddings": True},
    "qwen3": {**_SIZES, "head_dim": 8},
    "gemma": {**_SIZES, "head_dim": 8},
    "gemma2": {**_SIZES, "head_dim": 8, "sliding_window": 16},
}


def save_base(kind: str, folder: Path) -> Path:
    """A base of this kind, with weights large enough that answers differ."""
    torch.manual_seed(3)
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = AutoConfig.for_model(kind, vocab_size=len(vocabulary()), **special, **KINDS[kind])
    model = AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.25)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
