"""What a recipe takes before anything is bought: parameters, memory, floating-point operations, hours, money.

A pass over a token costs 2 operations a weight, its gradients twice that (once for the weights, once for
what it came from), recomputing another pass. Attention adds 4 × width operations a layer for each token that
is seen. Activations are counted as in arXiv 2205.05198, without the scores, which flash attention
never keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from llark.errors import UserMustAct, one_line

if TYPE_CHECKING:
    from llark.recipe import Recipe, Train

BASES: dict[str, dict[str, Any]] = {
    "meta-llama/Llama-2-7b-chat-hf": {
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32000,
        "tie_word_embeddings": False,
    },
    "mosaicml/mpt-1b-redpajama-200b-dolly": {
        "model_type": "mpt", "d_model": 2048, "n_layers": 24, "n_heads": 16, "expansion_ratio": 4,
        "vocab_size": 50368,
    },
    "Qwen/Qwen3-4B": {
        "model_type": "qwen3", "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
    "smollm2-135m-instruct": {
        "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
        "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True,
    },
}  # fmt: skip
"""Shapes of the recipes' bases, from their published config.json, so that a plan needs no download."""

ENCODERS = {
    "mini": (2436, 2.0), "jukebox": (4800, 10.0), "clap": (512, 0.0), "mel": (64, 10.0), "hub": (1024, 10.0),
}  # fmt: skip
"""(width, frames a second; 0: one a clip) where there is no data yet. Of `hub`: a guess.
tests/train/test_plan.py compares the others with the encoders."""

WORDS = 60
"""Tokens of a question and its answer, where there is no data yet."""

TEMPLATE_TOKENS = {"chatml": 10, "published": 60}
"""Tokens of an example that are neither words of a question and its answer nor places of a clip, about."""

MACHINES = {"4 × A100 80 GB": (4, 312e12, 80.0, 2.0), "8 × H100 80 GB": (8, 989e12, 80.0, 3.0)}
"""(GPUs, dense bfloat16 operations a second of each, its memory in GB, a price in US dollars an hour)."""

USED = 0.35
"""Share of those operations that training gets out of a GPU: a common figure for 1 to 10 B weights."""

QUANTIZED_BYTES = 4.127 / 8
"""Of a weight in nf4 with its scales in 8 bits (arXiv 2305.14314, section 3)."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a model."""

    parameters: int
    trainable: int
    largest_layer: int
    layers: int
    hidden: int
    attention: int
    vocabulary: int


@dataclass(frozen=True)
class Load:
    """What one example is."""

    tokens: float
    """All of them."""
    supervised: float
    """Those of answers."""


def text_config(base: str) -> Any:
    """The configuration of a base: one that is known here, or of a folder, or of a model on the hub."""
    from transformers import AutoConfig

    if base in BASES:
        known = dict(BASES[base])
        return AutoConfig.for_model(known.pop("model_type"), **known)
    try:
        return AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise UserMustAct(f"The configuration of {base} is not available: {one_line(error)[:200]}") from error


def shape_of(recipe: Recipe, width: int) -> Shape:
    """Counted on a model without memory, built as training builds it."""
    from llark.model import LlarkConfig, LlarkForConditionalGeneration
    from llark.model.checkpoint import Lora, add_lora
    from llark.train.distributed import layers

    weights = recipe.train.weights
    text = text_config(recipe.model.base)
    config = LlarkConfig(text_config=text.to_dict(), audio_width=width, projector=recipe.model.projector)
    with torch.device("meta"):
        model = LlarkForConditionalGeneration(config)
    if weights == "lora":
        add_lora(model, Lora(r=recipe.model.lora_rank, target_modules=recipe.model.lora_targets))
    else:
        model.language_model.requires_grad_(weights == "full")
    blocks = layers(model)
    read = model.config.text_config
    heads = int(read.num_attention_heads)
    head = int(getattr(read, "head_dim", None) or read.hidden_size // heads)
    return Shape(
        parameters=sum(p.numel() for p in model.parameters()),
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
        largest_layer=max(sum(p.numel() for p in layer.parameters()) for layer in blocks),
        layers=len(blocks),
        hidden=int(read.hidden_size),
        attention=heads * head,
        vocabulary=int(read.vocab_size),
    )


def guess_load(recipe: Recipe) -> Load:
    """Of a recipe without data: a clip of the full window, and sentences of a common length."""
    _, rate = ENCODERS[recipe.embed.encoder.split(":")[0]]
    frames = max(1, round(rate * recipe.prepare.window_seconds))
    config = recipe.train
    words = WORDS * config.turns + TEMPLATE_TOKENS[config.conversation]
    tokens = min(config.most_tokens, 2 + min(frames, recipe.model.audio_positions) + words)
    return Load(tokens, min(tokens, 2 / 3 * WORDS * config.turns))


def operations(shape: Shape, load: Load, config: Train) -> float:
    """Floating-point operations of one update.

    The table of words is looked up, not multiplied; the head multiplies only where a token is supervised.
    """
    table = shape.vocabulary * shape.hidden
    inner = max(0, shape.parameters - table * (2 if _untied(shape, table) else 1))
    forward = 2.0 * inner * load.tokens + 2.0 * table * load.supervised
    forward += 4.0 * shape.layers * shape.attention * load.tokens**2 * 0.5
    passes = (3.0 if config.weights == "full" else 2.0) + config.gradient_checkpointing
    return forward * passes * config.batch


def _untied(shape: Shape, table: int) -> bool:
    """Whether the head is a table of its own: two tables and the layers make up the whole."""
    return shape.parameters - shape.layers * shape.largest_layer > 1.9 * table


def memory_gb(shape: Shape, load: Load, config: Train, processes: int, sharding: str) -> dict[str, float]:
    """GB that a GPU holds at most, with the longest examples, by what for. `sharding`: ddp or fsdp."""
    part = processes if sharding == "fsdp" else 1
    tokens = float(config.most_tokens * config.micro_batch)
    layer = 34.0 * tokens * shape.hidden
    kept = layer * shape.layers
    if config.gradient_checkpointing:
        kept = 2.0 * tokens * shape.hidden * shape.layers + layer
    low = config.precision != "float32" and sharding == "ddp"
    frozen = shape.parameters - shape.trainable
    copies = 2.0 * shape.trainable if sharding == "ddp" else 2 * 2.0 * shape.largest_layer
    if config.precision == "float32":
        kept, copies = kept * 2, copies if sharding == "fsdp" else 0.0
    table = 2.0 * shape.vocabulary * shape.hidden * (sharding == "fsdp")
    return {
        "weights": (4.0 * shape.trainable + _frozen_bytes(shape, config, low) * frozen) / part / 1e9,
        "gradients": 4.0 * shape.trainable / part / 1e9,
        "optimizer": 8.0 * shape.trainable / part / 1e9,
        "working copies": (copies + table) / 1e9,
        "activations": kept / 1e9,
        "logits": 12.0 * load.supervised * config.micro_batch * shape.vocabulary / 1e9,
    }


def _frozen_bytes(shape: Shape, config: Train, low: bool) -> float:
    """Of each weight that does not learn, on average. In 4 bits the tables of words stay as they are."""
    if config.quantize == "none" or shape.parameters == shape.trainable:
        return 2.0 if low else 4.0
    words = shape.vocabulary * shape.hidden
    share = words * (2 if _untied(shape, words) else 1) / (shape.parameters - shape.trainable)
    return 2.0 * share + QUANTIZED_BYTES * (1 - share)


def table(recipe: Recipe, shape: Shape, load: Load, *, guessed: bool) -> str:
    """The whole plan, for a person."""
    config = recipe.train
    flops = operations(shape, load, config)
    tokens = load.tokens * config.batch
    lines = [
        f"{recipe.name}: {shape.parameters / 1e9:.2f} B parameters, "
        f"{shape.trainable / 1e6:.1f} M of them learn",
        f"  an example: {load.tokens:.0f} tokens, "
        f"{load.supervised:.0f} supervised{' (guessed)' if guessed else ''}; "
        f"an update: {config.batch} examples, {tokens:.0f} tokens, {flops / 1e12:.4g} TFLOP",
        f"  all {config.steps} updates: {flops * config.steps:.3g} FLOP",
        "",
        "  GB of memory on each GPU, at most:",
        f"  {'':22}{'ddp':>9}{'fsdp':>9}  of which with fsdp",
    ]
    for name, (gpus, _, has, _) in MACHINES.items():
        ddp, fsdp = (memory_gb(shape, load, config, gpus, sharding) for sharding in ("ddp", "fsdp"))
        parts = ", ".join(f"{what} {size:.1f}" for what, size in fsdp.items() if size >= 0.05)
        note = "" if sum(ddp.values()) < has else f"; ddp does not fit {has:.0f} GB"
        lines.append(f"  {name:22}{sum(ddp.values()):9.1f}{sum(fsdp.values()):9.1f}  {parts}{note}")
    lines += ["", f"  time at {USED:.0%} of what the GPUs can do in bfloat16 (a guess), without evaluation:"]
    for name, (gpus, speed, _, price) in MACHINES.items():
        hours = flops * config.steps / (gpus * speed * USED) / 3600
        lines.append(
            f"  {name:22}{hours:9.1f} h{tokens * config.steps / hours / 3600:12.0f} tokens/s"
            f"{hours * gpus * price:12.0f} US dollars at {price:.2f} a GPU and hour"
        )
    return "\n".join(lines)
