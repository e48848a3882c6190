"""Ten steps of a recipe with a tiny base and a tiny encoder, both random: does all of it run here?"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from llark.records import Exchange
from llark.train.data import TrainData

if TYPE_CHECKING:
    from llark.recipe import Recipe

STEPS = 10
CLIPS = 24
WIDTH = 12
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

_TINY: dict[str, dict[str, Any]] = {
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 4096},
    "": {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 4096,
    },
}  # fmt: skip


def small(recipe: Recipe) -> Recipe:
    """The same recipe for ten steps of a few short examples, without concept heads."""
    change = {
        "steps": STEPS, "batch": 4, "micro_batch": min(recipe.train.micro_batch, 2), "most_tokens": 1024,
        "bucket": min(recipe.train.bucket, 2), "save_every": 5, "evaluate_every": 5, "evaluate_examples": 4,
        "sample_answers": 1, "tensorboard": False, "wandb": None, "quantize": "none", "heads": None,
    }  # fmt: skip
    positions = min(recipe.model.audio_positions, 16)
    return recipe.model_copy(
        update={
            "model": recipe.model.model_copy(update={"audio_positions": positions, "start_from": None}),
            "train": recipe.train.model_copy(update=change),
        }
    )


def write_base(model_type: str, folder: Path, tied: bool | None = None) -> Path:
    """A language model of this type with two small layers, and a tokenizer of single bytes. `tied`:
    whether it has one table of words; its type's default if not given."""
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    words = [*_SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(BPE({word: number for number, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIAL])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=_SPECIAL[1], eos_token=_SPECIAL[2], pad_token=_SPECIAL[0]
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = dict(_TINY.get(model_type, _TINY[""]))
    if tied is not None:
        sizes["tie_word_embeddings"] = tied
    config = AutoConfig.for_model(
        model_type, vocab_size=len(words), bos_token_id=1, eos_token_id=2, pad_token_id=0, **sizes
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def data_of(recipe: Recipe) -> TrainData:
    """Random frames, and questions whose answers they decide."""
    tasks = [name for name, _ in recipe.train.mixture] or ["understanding"]
    random = np.random.default_rng(0)
    embeddings, exchanges = {}, []
    for number in range(CLIPS):
        clip = f"clip-{number}"
        high = bool(number % 2)
        frames = random.normal(1.0 if high else -1.0, 0.5, (4 + number % 5, WIDTH)).astype(np.float16)
        embeddings[clip] = SimpleNamespace(frames=frames)
        for task in tasks:
            for question, answers in (("Is it high?", ("No.", "Yes.")), ("How is it?", ("Low.", "High."))):
                exchanges.append(Exchange(clip, question, answers[high], task, "smoke", "smoke"))
    return TrainData(
        exchanges=exchanges,
        embeddings=embeddings,
        shapes={clip: one.frames.shape for clip, one in embeddings.items()},
        frames_per_second=10.0,
        validation=frozenset({"clip-0", "clip-1"}),
        source="smoke",
        facts=dict.fromkeys(embeddings, "level: measured"),
        fact_exchanges=exchanges,
    )
