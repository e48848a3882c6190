"""A training that goes on from a trained model: what it takes over, and which models it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llark import recipe as recipes
from llark import train as training
from llark.errors import UserMustAct
from llark.model.checkpoint import save_adapter
from llark.records import Annotation, Embedding, Exchange, Key, Meter, Tempo
from llark.train.data import TrainData
from llark.train.distributed import World

LAYOUT = {
    "chords": (0, 25),
    "chroma": (25, 37),
    "bass": (37, 49),
    "rhythm": (49, 433),
    "tags": (433, 435),
}
CLIPS = 6
ASKED = [("How fast?", "100 BPM."), ("Key?", "C major.")]


def material() -> TrainData:
    """Noise that is called clips: enough for every part of a training to run."""
    draw = np.random.default_rng(0)
    names = [f"clip {i}" for i in range(CLIPS)]
    asked = [Exchange(name, *pair, "understanding", "x", "x") for name in names for pair in ASKED]
    return TrainData(
        exchanges=asked,
        embeddings={
            name: Embedding(name, "noise", draw.normal(size=(10, 435)).astype(np.float16), 2.0)
            for name in names
        },
        shapes=dict.fromkeys(names, (10, 435)),
        frames_per_second=2.0,
        facts=dict.fromkeys(names, "tempo: 100 BPM"),
        fact_exchanges=asked,
        truths={
            name: Annotation(
                name, 0.0, 5.0, tempo=Tempo(100.0, 1.0), key=Key("C major", 1.0), meter=Meter(4, 1.0)
            )
            for name in names
        },
        groups={name: name for name in names},
        layout=LAYOUT,
    )


def recipe(base: Path, *changes: str) -> Any:
    page = base / "recipe.yaml"
    page.write_text("name: tiny\n")
    fixed = (f"model.base={base}", "model.lora_rank=2", "model.lora_targets=[q_proj]",
             "train.heads={epochs: 1, folds: 2}",
             "train.steps=2", "train.save_every=1", "train.batch=1", "train.micro_batch=1", "train.turns=2",
             "train.independent_turns=true", "instruct.measured=true", "train.bucket=1",
             "train.facts_share=0.5", "train.foreign_share=0.25", "train.precision=float32",
             "train.sharding=ddp")  # fmt: skip
    return recipes.load(page, (*fixed, *changes))


def run(made: Any, folder: Path, start_from: Path | None = None) -> Path:
    """The model that is trained in a folder."""
    training.fit_model(made.model, made.train, material(), folder, World(), start_from=start_from)
    return folder / "model"


@pytest.fixture
def first(base: Path, tmp_path: Path) -> Path:
    return run(recipe(base), tmp_path / "first")


def test_a_training_starts_with_the_adapter_projector_and_slots_of_the_model_it_goes_on_from(
    base: Path, tmp_path: Path, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.loop, "run", lambda *_, **__: 2)
    again = run(recipe(base), tmp_path / "more", first)
    old, new = (
        {**load(folder / "audio.safetensors"), **load(folder / "adapter.safetensors")}
        for folder in (first, again)
    )
    taken = [
        name for name in old if name.startswith(("projector", "markers", "concepts.slots")) or "lora_" in name
    ]
    assert len(taken) >= 5
    for name in taken:
        assert torch.equal(old[name], new[name]), name


def load(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    found: dict[str, torch.Tensor] = load_file(path)
    return found


def test_what_is_taken_over_is_trained_on(base: Path, tmp_path: Path, first: Path) -> None:
    again = run(recipe(base), tmp_path / "more", first)
    before, after = (load(folder / "adapter.safetensors") for folder in (first, again))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_a_model_with_another_adapter_is_refused_with_both_figures(
    base: Path, tmp_path: Path, first: Path
) -> None:
    with pytest.raises(UserMustAct, match="rank of its adapter: 2; the recipe: 4"):
        run(recipe(base, "model.lora_rank=4"), tmp_path / "more", first)
    assert not (tmp_path / "more" / "model").exists()


def test_a_model_of_another_encoder_is_refused(base: Path, tmp_path: Path, parts: Any) -> None:
    model, _ = parts
    save_adapter(model, tmp_path / "other")
    with pytest.raises(UserMustAct, match="does not fit the recipe"):
        run(recipe(base), tmp_path / "more", tmp_path / "other")
