"""Trains the timbre net (`src/llark/weights/timbre.safetensors`) on a corpus that `llark corpus` rendered.

    python scripts/train_timbre.py CORPUS WORK

`WORK/sounds` keeps what the frozen nets heard of each clip; run again, nothing is heard twice.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pulseless
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from llark import audio, corpus, engine
from llark.networks import timbre
from llark.networks.features import AudioFeatures
from llark.records import GENRES, INSTRUMENTS, Tags

BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
GENRE_WEIGHT = 0.06
"""Of the style's loss against that of one instrument."""
NOTHINGS = 120
"""Sounds without instruments that are trained on."""


@dataclass(frozen=True, eq=False)
class Example:
    """`heard`, the row of evidence [INPUT_WIDTH]; targets by word, `None` where the truth is silent."""

    split: str
    heard: np.ndarray
    instruments: np.ndarray | None
    genre: np.ndarray | None


def heard_by(path: Path, samples: np.ndarray, rate: int) -> np.ndarray:
    features = AudioFeatures(samples, rate)
    heard = timbre.evidence(features.speech, features.tag, features.duration_seconds)
    scratch = path.with_suffix(".tmp.npy")
    np.save(scratch, heard)
    scratch.rename(path)
    return heard


def target(tags: Tags, words: Sequence[str]) -> np.ndarray | None:
    """[words] ones and zeros; `None` where no word is known."""
    found = np.array([float(word in tags.labels) for word in words], np.float32)
    return found if found.any() else None


def examples(folder: Path, work: Path) -> list[Example]:
    """Every clip of the corpus, and sounds in which there is no instrument."""
    cache = work / "sounds"
    cache.mkdir(parents=True, exist_ok=True)
    pairs, found = list(corpus.read(folder)), []
    with engine.Ticker("features", len(pairs) + NOTHINGS) as tick:
        for track, truth in pairs:
            path = cache / f"{track.id}.npy"
            heard = np.load(path) if path.exists() else heard_by(path, *audio.load(track.path))
            genre = target(truth.genre, GENRES)
            genre = None if genre is None else genre / genre.sum()
            found.append(Example(track.split, heard, target(truth.instruments, INSTRUMENTS), genre))
            tick()
        for number in range(NOTHINGS):
            path = cache / f"nothing-{number}.npy"
            heard = (
                np.load(path) if path.exists() else heard_by(path, pulseless.sound(number), pulseless.RATE)
            )
            found.append(Example("train", heard, np.zeros(len(INSTRUMENTS), np.float32), None))
            tick()
    return found


def stacked(chosen: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Evidence, instruments, which are known, styles (0 where unknown)."""
    nothing, no_genre = np.zeros(len(INSTRUMENTS), np.float32), np.zeros(len(GENRES), np.float32)
    known = [one.instruments is not None for one in chosen]
    return (
        torch.from_numpy(np.stack([one.heard for one in chosen])),
        torch.from_numpy(
            np.stack([nothing if one.instruments is None else one.instruments for one in chosen])
        ),
        torch.tensor(known, dtype=torch.float32),
        torch.from_numpy(np.stack([no_genre if one.genre is None else one.genre for one in chosen])),
        torch.arange(len(chosen)),
    )


def fit(training: Sequence[Example], epochs: int, seed: int = 5) -> timbre.TinyTimbre:
    torch.manual_seed(seed)
    net = timbre.TinyTimbre()
    heard, instruments, known, genre, rows = stacked(training)
    net.mean.copy_(heard.mean(0))
    net.deviation.copy_(heard.std(0).clamp(min=1e-2))
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(training) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(epochs):
        for chosen in torch.split(rows[torch.randperm(len(rows))], BATCH):
            logits = net(heard[chosen])
            several, one = logits[:, : len(INSTRUMENTS)], logits[:, len(INSTRUMENTS) :]
            single = functional.binary_cross_entropy_with_logits(
                several, instruments[chosen], reduction="none"
            )
            loss = (single.mean(1) * known[chosen]).sum() / known[chosen].sum().clamp(min=1)
            styles = -(genre[chosen] * one.log_softmax(1)).sum() / genre[chosen].sum().clamp(min=1)
            optimizer.zero_grad()
            (loss + GENRE_WEIGHT * styles).backward()
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.inference_mode()
def scores(net: timbre.TinyTimbre, chosen: Sequence[Example]) -> dict[str, float]:
    """Micro F1 of the instruments at even odds, and accuracy of the likeliest style."""
    heard, instruments, known, genre, _ = stacked(chosen)
    logits = net(heard)
    named = (logits[:, : len(INSTRUMENTS)] > 0) & (known > 0)[:, None]
    right = float((named & (instruments > 0)).sum())
    best = logits[:, len(INSTRUMENTS) :].argmax(1)
    hits = genre.gather(1, best[:, None])[:, 0][genre.sum(1) > 0] > 0
    f1 = 2 * right / max(1.0, float(named.sum() + instruments.sum()))
    return {"instruments_f1": round(f1, 4), "genre_accuracy": round(float(hits.float().mean()), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, help="where the weights go; WORK/timbre.safetensors if not given")
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    every = examples(options.corpus, options.work)
    training, held_out = ([e for e in every if (e.split == "test") == held] for held in (False, True))
    net = fit(training, options.epochs)
    print(json.dumps({"held out": scores(net, held_out), "trained on": scores(net, training)}))
    weights = {name: value.half().contiguous() for name, value in net.state_dict().items()}
    save_file(weights, options.out or options.work / "timbre.safetensors")


if __name__ == "__main__":
    main()
