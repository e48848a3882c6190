"""Plans: counted against what is published, and against what a real step does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, ClapAudioConfig, LlamaConfig

from llark import recipe as recipes
from llark.embed import encoder, mel, mini
from llark.embed.jukebox.encoder import WANTED_RATE
from llark.embed.jukebox.sizes import PriorSizes
from llark.errors import UserMustAct
from llark.model.checkpoint import Lora, add_lora, new_model
from llark.train import plan, smoke
from llark.train.data import Reading, collate, examples_of, fixed_examples, measure

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize(
    ("name", "width", "billions", "learning"),
    [("llark-7b", 4800, 6.7581, 6.7581), ("llark-clap", 512, 6.7405, 6.7405),
     ("llark-mpt-1b", 4800, 1.3211, 1.3211),
     ("llark-qwen3-4b", 1024, 4.1638, 0.1413)],
)  # fmt: skip
def test_parameters_are_those_of_the_base_and_what_is_added(
    name: str, width: int, billions: float, learning: float
) -> None:
    made = recipes.load(RECIPES / f"{name}.yaml")
    shape = plan.shape_of(made, width)
    assert shape.parameters / 1e9 == pytest.approx(billions, abs=1e-4)
    assert shape.trainable / 1e9 == pytest.approx(learning, abs=1e-4)


def test_widths_and_rates_of_a_plan_without_data_are_those_of_the_encoders() -> None:
    cards = [one.load(encoder.EncoderOptions(name, rate=rate), encoder.Device()).card
             for one, name, rate in ((mini, "mini", encoder.NATIVE), (mel, "mel", "10"))]  # fmt: skip
    known = {card.name.split(",")[0]: (card.width, float(card.frames_per_second)) for card in cards}
    known["jukebox"] = (PriorSizes().width, float(WANTED_RATE))
    known["clap"] = (ClapAudioConfig().projection_dim, 0.0)
    assert {name: plan.ENCODERS[name] for name in known} == known
    assert set(plan.ENCODERS) - set(known) == {"hub"}


def test_llama_2_7b_has_its_published_number_of_parameters() -> None:
    made = recipes.load(RECIPES / "llark-7b.yaml")
    added = 4800 * 4096 + 4096 + 2 * 4096
    assert plan.shape_of(made, 4800).parameters - added == 6_738_415_616


@pytest.mark.parametrize("weights", ["full", "lora", "projector"])
def test_operations_are_those_of_a_real_step(tmp_path: Path, weights: str) -> None:
    base = smoke.write_base("llama", tmp_path)
    config = LlamaConfig.from_pretrained(base)
    config.hidden_size, config.intermediate_size, config.head_dim, config.num_hidden_layers = 128, 256, 32, 4
    AutoModelForCausalLM.from_config(config).save_pretrained(base)
    lora = weights == "lora"
    made = recipes.Recipe(
        name="x",
        model={"base": str(base), "lora_rank": 4 * lora, "lora_targets": ("q_proj",) if lora else ()},  # type: ignore[arg-type]
        train={"weights": weights, "batch": 4, "micro_batch": 4, "most_tokens": 512, "bucket": 4},  # type: ignore[arg-type]
    )
    inputs, load = _step(made, base)
    model, _ = new_model(base, audio_width=smoke.WIDTH, frames_per_second=10.0, max_audio_positions=8)
    if lora:
        add_lora(model, Lora(r=4, target_modules=("q_proj",)))
    else:
        model.language_model.requires_grad_(weights == "full")
    with FlopCounterMode(display=False) as counted:
        model(**inputs, loss_only=True).loss.backward()
    planned = plan.operations(plan.shape_of(made, smoke.WIDTH), load, made.train)  # type: ignore[arg-type]
    assert planned == pytest.approx(counted.get_total_flops(), rel=0.12)


def _step(made: recipes.Recipe, base: Path) -> tuple[dict[str, torch.Tensor], plan.Load]:
    """Four examples of one length, and that length."""
    _, processor = new_model(base, audio_width=smoke.WIDTH, frames_per_second=10.0, max_audio_positions=8)
    reading = Reading(processor.tokenizer, processor.positions_of, "chatml", 512)
    examples = examples_of(smoke.data_of(made).exchanges, made.train)
    kept = fixed_examples(examples, measure(examples, lambda clip: 8, reading), 512)
    alike = [i for i in range(len(kept)) if kept.lengths[i] == kept.lengths[0]][:4]
    written: list[Any] = [reading.write(kept.draw(i, 0), 8) for i in alike]
    inputs = collate(written, [torch.randn(8, smoke.WIDTH).numpy()] * 4, 0)
    return inputs, plan.Load(float(kept.lengths[0]), sum(sum(one.learn) for one in written) / 4)


def test_parts_take_less_memory_than_copies_and_the_plan_says_what_does_not_fit() -> None:
    made = recipes.load(RECIPES / "llark-7b.yaml")
    shape, load = plan.shape_of(made, 4800), plan.guess_load(made)
    assert load.tokens == 372
    four, eight, copy = (
        plan.memory_gb(shape, load, made.train, count, sharding)  # type: ignore[arg-type]
        for count, sharding in ((4, "fsdp"), (8, "fsdp"), (4, "ddp"))
    )
    assert four["weights"] == pytest.approx(2 * eight["weights"])
    assert copy["weights"] + copy["gradients"] + copy["optimizer"] == pytest.approx(16 * 6.7581, abs=0.01)
    assert sum(eight.values()) < sum(four.values()) < 80 < sum(copy.values())
    text = plan.table(made, shape, load, guessed=True)
    assert "6.76 B parameters" in text
    assert "ddp does not fit 80 GB" in text


def test_four_bits_take_an_eighth_of_float32_but_for_the_words() -> None:
    plain = recipes.load(RECIPES / "llark-qwen3-4b.yaml")
    four = recipes.load(RECIPES / "llark-qwen3-4b.yaml", ["train.quantize=4bit"])
    shape, load = plan.shape_of(plain, 1024), plan.guess_load(plain)
    weights = [plan.memory_gb(shape, load, made.train, 1, "ddp")["weights"] for made in (plain, four)]  # type: ignore[arg-type]
    words, learning = 151936 * 2560, 4 * shape.trainable
    assert weights[0] == pytest.approx((2 * (shape.parameters - shape.trainable) + learning) / 1e9)
    rest = shape.parameters - shape.trainable - words
    assert weights[1] == pytest.approx((2 * words + 4.127 / 8 * rest + learning) / 1e9)


def test_an_unknown_base_has_no_plan() -> None:
    with pytest.raises(UserMustAct, match="configuration of /nowhere/at-all is not available"):
        plan.text_config("/nowhere/at-all")
