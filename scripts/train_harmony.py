"""Trains the harmony nets (`src/llark/weights/harmony.safetensors`) on a corpus that `llark corpus` rendered.

    python scripts/train_harmony.py CORPUS [CORPUS …] --work WORK

`WORK/harmony` keeps what the frozen nets heard of each clip; run again, nothing is heard twice.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pulseless
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from llark import audio, corpus, engine
from llark.networks import harmony
from llark.networks.features import AudioFeatures
from llark.records import KEYS, PITCH_CLASSES, Annotation, ChordSpan, Track

LEARNING_RATE = 3e-3
KEY_BATCH, CHORD_BATCH = 128, 512
KEY_DECAY, CHORD_DECAY = 0.1, 0.05
SMOOTHING = 0.05
"""Of the key's target: so much of it is spread over the other keys."""
STRETCHES = 3
"""Random stretches of each clip, besides all of it, that a key is learned from."""
FEWEST_FRAMES = 65
"""Six seconds: no shorter stretch of a clip is trained on."""
FRAME_SHARE = 0.3
"""Share of the frames that chords are learned from: neighbours are alike."""
PULSELESS = 240
"""Sounds without a key or chords that are trained on; every sixth of them is for validation."""
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Example:
    """One clip: `evidence` [frames, width] float16, and what is to be heard in it.

    `key` is an index into `KEYS`, 24 for none; `chords` is [frames] indices of chords; both `UNKNOWN` where
    the truth is silent.
    """

    id: str
    split: str
    evidence: np.ndarray
    key: int
    chords: np.ndarray


def heard_by(path: Path, samples: np.ndarray, rate: int) -> np.ndarray:
    heard = harmony.evidence(AudioFeatures(samples, rate).chord).astype(np.float16)
    scratch = path.with_suffix(".tmp.npy")
    np.save(scratch, heard)
    scratch.rename(path)
    return heard


def examples(folders: Sequence[Path], work: Path) -> list[Example]:
    """Every clip of the corpora, and sounds in which there is no harmony."""
    cache = work / "harmony"
    cache.mkdir(parents=True, exist_ok=True)
    pairs = [pair for folder in folders for pair in corpus.read(folder)]
    found = []
    with engine.Ticker("features", len(pairs) + PULSELESS) as tick:
        for track, truth in pairs:
            path = cache / f"{track.id}.npy"
            found.append(
                example(
                    track, truth, np.load(path) if path.exists() else heard_by(path, *audio.load(track.path))
                )
            )
            tick()
        for number in range(PULSELESS):
            path = cache / f"pulseless-{number}.npy"
            heard = (
                np.load(path) if path.exists() else heard_by(path, pulseless.sound(number), pulseless.RATE)
            )
            split = "train" if number % 6 else "validation"
            found.append(Example(path.stem, split, heard, len(KEYS), np.full(len(heard), harmony.CHORDS - 1)))
            tick()
    return found


def example(track: Track, truth: Annotation, heard: np.ndarray) -> Example:
    """The clip with what its truth knows; drums alone have no key and no chords."""
    labels = [tag.label for tag in truth.instruments.tags]
    if truth.key.name is None and not truth.chords.spans and labels == ["drums"]:
        return Example(track.id, track.split, heard, len(KEYS), np.full(len(heard), harmony.CHORDS - 1))
    key = KEYS.index(truth.key.name) if truth.key.name else UNKNOWN
    return Example(track.id, track.split, heard, key, chord_target(truth.chords.spans, len(heard)))


def chord_target(spans: Sequence[ChordSpan], frames: int) -> np.ndarray:
    """[frames] indices of chords."""
    found = np.full(frames, UNKNOWN)
    centres = (np.arange(frames) + 0.5 - 0.5 / harmony.STEP_FRAMES) / harmony.FRAMES_PER_SECOND
    for span in spans:
        inside = (centres >= span.start_seconds) & (centres < span.end_seconds)
        root, _, quality = span.label.partition(":")
        if span.label == "N":
            found[inside] = harmony.CHORDS - 1
        elif quality in harmony.QUALITIES:
            found[inside] = 12 * harmony.QUALITIES.index(quality) + PITCH_CLASSES.index(root)
    return found


def stretches(one: Example, draw: np.random.Generator) -> Iterator[np.ndarray]:
    """The clip, and some stretches of it."""
    whole = len(one.evidence)
    yield one.evidence
    for _ in range(STRETCHES):
        frames = int(draw.integers(min(FEWEST_FRAMES, whole), whole + 1))
        start = int(draw.integers(0, whole - frames + 1))
        yield one.evidence[start : start + frames]


def key_rows(training: Sequence[Example], draw: np.random.Generator) -> tuple[Tensor, Tensor]:
    """[n, CLIP_ROWS, 12] float16 and [n] keys."""
    heard, keys = [], []
    for one in training:
        for stretch in stretches(one, draw) if one.key != UNKNOWN else ():
            heard.append(harmony.of_clip(stretch).astype(np.float16))
            keys.append(one.key)
    return torch.from_numpy(np.stack(heard)), torch.tensor(keys)


def chord_rows(training: Sequence[Example], draw: np.random.Generator) -> tuple[Tensor, Tensor]:
    """[n, FRAME_ROWS, 12] float16 and [n] chords, of some of the frames."""
    heard, chords = [], []
    for one in training:
        chosen = (one.chords != UNKNOWN) & (draw.random(len(one.chords)) < FRAME_SHARE)
        if chosen.any():
            heard.append(harmony.of_frames(one.evidence)[chosen].astype(np.float16))
            chords.append(one.chords[chosen])
    return torch.from_numpy(np.concatenate(heard)), torch.from_numpy(np.concatenate(chords))


def fit(
    reader: harmony.Reader, rows: tuple[Tensor, Tensor], batch: int, epochs: int, decay: float, smooth: float
) -> float:
    """Trains `reader` on `rows`; returns the mean loss of the last epoch."""
    heard, wanted = rows
    some = heard[:: max(1, len(heard) // 5000)].float()
    reader.mean.copy_(some.mean((0, 2))[:, None])
    reader.deviation.copy_(some.std((0, 2))[:, None].clamp(min=1e-2))
    optimizer = torch.optim.AdamW(reader.parameters(), lr=LEARNING_RATE, weight_decay=decay)
    steps = epochs * -(-len(heard) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    reader.train()
    for _ in range(epochs):
        losses = []
        for chosen in torch.split(torch.randperm(len(heard)), batch):
            loss = functional.cross_entropy(
                reader(heard[chosen].float()), wanted[chosen], label_smoothing=smooth
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    reader.eval()
    return float(np.mean(losses))


@torch.inference_mode()
def scores(nets: Sequence[harmony.TinyHarmony], chosen: Sequence[Example]) -> dict[str, float]:
    """Accuracy and mean log loss of the key; share of frames whose chord and quality are right."""
    right, logs, frames = [], [], []
    for one in chosen:
        if one.key != UNKNOWN:
            key = key_of(nets, one)
            right.append(int(key.argmax()) == one.key)
            logs.append(-np.log(max(float(key[one.key]), 1e-9)))
        known = one.chords != UNKNOWN
        if known.any():
            heard = torch.from_numpy(harmony.of_frames(one.evidence)[known])
            chords = torch.stack([net.chords(heard).softmax(1) for net in nets]).mean(0)
            frames.append(float((chords.argmax(1).numpy() == one.chords[known]).mean()))
    return {
        "key": round(float(np.mean(right)), 4),
        "key_log_loss": round(float(np.mean(logs)), 4),
        "chord_frames": round(float(np.mean(frames)), 4),
    }


@torch.inference_mode()
def key_of(nets: Sequence[harmony.TinyHarmony], one: Example) -> np.ndarray:
    """[KEYS]: probabilities."""
    heard = torch.from_numpy(harmony.of_clip(one.evidence))[None]
    key: np.ndarray = torch.stack([net.key(heard)[0].softmax(0) for net in nets]).mean(0).numpy()
    return key


@torch.inference_mode()
def set_temperature(nets: Sequence[harmony.TinyHarmony], validation: Sequence[Example]) -> None:
    """One temperature of the keys for all nets: that of least log loss on `validation`."""
    known = [one for one in validation if one.key != UNKNOWN]
    heard = torch.from_numpy(np.stack([harmony.of_clip(one.evidence) for one in known]))
    wanted = torch.tensor([one.key for one in known])

    def log_loss(temperature: float) -> float:
        for net in nets:
            net.key.temperature.fill_(temperature)
        found = torch.stack([net.key(heard).softmax(1) for net in nets]).mean(0)
        return float(functional.nll_loss(found.clamp(min=1e-9).log(), wanted))

    log_loss(min(np.arange(0.5, 1.6, 0.05).tolist(), key=log_loss))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="where the weights go; WORK/harmony.safetensors by default")
    parser.add_argument("--nets", type=int, default=3)
    parser.add_argument("--key-epochs", type=int, default=10)
    parser.add_argument("--chord-epochs", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    every = examples(options.corpus, options.work)
    training, validation, held_out = (
        [one for one in every if one.split == split] for split in ("train", "validation", "test")
    )
    draw = np.random.default_rng(4)
    keys, chords = key_rows(training, draw), chord_rows(training, draw)
    nets: list[harmony.TinyHarmony] = []
    for number in range(options.nets):
        torch.manual_seed(number)
        net = harmony.TinyHarmony()
        key_loss = fit(net.key, keys, KEY_BATCH, options.key_epochs, KEY_DECAY, SMOOTHING)
        chord_loss = fit(net.chords, chords, CHORD_BATCH, options.chord_epochs, CHORD_DECAY, 0.0)
        print(f"net {number}: loss of keys {key_loss:.3f}, of chords {chord_loss:.3f}", flush=True)
        nets.append(net)
        set_temperature(nets, validation)
        print(json.dumps({"nets": len(nets), "validation": scores(nets, validation)}), flush=True)
        save(nets, options.out or options.work / "harmony.safetensors")
    print(json.dumps({"held out": scores(nets, held_out)}))


def save(nets: Sequence[harmony.TinyHarmony], path: Path) -> None:
    weights = {
        f"{number}.{name}": value.half().contiguous()
        for number, net in enumerate(nets)
        for name, value in net.state_dict().items()
    }
    save_file(weights, path)


if __name__ == "__main__":
    main()
