"""Trains the rhythm nets (`src/llark/weights/rhythm.safetensors`) on a corpus that `llark corpus` rendered.

    python scripts/train_rhythm.py CORPUS [CORPUS …] --work WORK
    python scripts/train_rhythm.py CORPUS [CORPUS …] --work WORK --start-from rhythm.safetensors
        --learning-rate 1.2e-3 --epochs 6 --damaged 0.25 --deaf 0.12

`--damaged` adds copies of a share of the training clips with noise, in a room, or fading. `--deaf` leaves out
each group of what is heard, as one beat net's memory or the strokes, with that chance. `WORK` keeps what
the frozen nets heard of each clip, a checkpoint after each epoch and the scores on the held-out clips; run
again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pulseless
import steady
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from llark import audio, corpus, engine
from llark.corpus import synth
from llark.networks import beat, rhythm
from llark.networks.features import AudioFeatures
from llark.records import Annotation, Track

FRAMES_SHORTEST, FRAMES_LONGEST = 250, 1250
BATCH = 16
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.02
WIDE = {-2: 0.2, -1: 0.6, 0: 1.0, 1: 0.6, 2: 0.2}
"""What a beat's neighbouring frames count as beats."""
SPREAD_BINS = 0.6
"""Width of the tempo target, in bins."""
STRETCH = 0.25
"""How much faster or slower a clip is played at most, as a logarithm."""
LATEST_START = 50
"""Frames that are left out at the beginning of a clip, at most: half of the clips begin on a beat, and a net
that hears no others takes every beginning for one."""
METER_WEIGHTS = (1.5, 1.1, 0.7, 1.2)
"""Of 2/4, 3/4, 4/4 and 6/8, so that the rare ones are learned too."""
HEARD_GROUPS = (beat.WIDTH // 3,) * 3 + (2, 1 + beat.RISE_BANDS, 1)
"""Columns of what is heard that belong together: three beat nets' memories, their activations, strokes, and
the change of harmony."""
PULSELESS = 280
"""Sounds without a pulse that are trained on: no beats, any tempo and any meter alike."""
STEADY = 120
"""Claps, clicks and the like at a steady tempo."""


READS = rhythm.RHYTHM_WIDTH + rhythm.CHANGES + 24
"""Columns that a net's convolutions read."""


@dataclass(frozen=True, eq=False)
class Example:
    """One clip: `evidence` [frames, width] float16, and what is to be heard in it.

    `beats` and `downbeats` are seconds, `None` where the truth is silent; `meter` is [meters], 0 where it is.
    `bpm` is 0 where any tempo is as good as another.
    """

    id: str
    split: str
    group: str
    evidence: np.ndarray
    beats: tuple[float, ...] | None
    downbeats: tuple[float, ...]
    bpm: float | None
    meter: np.ndarray


def hear(folders: Sequence[Path], work: Path) -> Iterator[tuple[Track, Annotation, Path]]:
    """What the nets hear of each clip, as `work/heard/ID.npy`, made where it is not there."""
    pairs = [pair for folder in folders for pair in corpus.read(folder)]
    (work / "heard").mkdir(parents=True, exist_ok=True)
    with engine.Ticker("features", len(pairs)) as tick:
        for track, truth in pairs:
            path = work / "heard" / f"{track.id}.npy"
            if not path.exists():
                samples, rate = audio.load(track.path)
                features = AudioFeatures(samples, rate)
                _save(path, features)
            tick()
            yield track, truth, path


def _save(path: Path, features: AudioFeatures) -> None:
    scratch = path.with_suffix(".tmp.npy")
    np.save(scratch, rhythm.evidence(features.beat, features.chord).astype(np.float16))
    scratch.rename(path)


def damaged(folders: Sequence[Path], work: Path, share: float) -> list[Example]:
    """Copies of a share of the training clips, chosen by their ids, that are harder to hear."""
    pairs = [pair for folder in folders for pair in corpus.read(folder) if pair[0].split == "train"]
    chosen = [pair for pair in pairs if draw_of(pair[0].id).random() < share]
    found = []
    with engine.Ticker("features, damaged", len(chosen)) as tick:
        for track, truth in chosen:
            path = work / "heard" / f"{track.id}-damaged.npy"
            if not path.exists():
                samples, rate = audio.load(track.path)
                draw = draw_of(f"{track.id} damage")
                _save(path, AudioFeatures(damage(samples.astype(np.float64), draw), rate))
            found.append(replace(example(track, truth, path), id=path.stem))
            tick()
    return found


def draw_of(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


def damage(samples: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """[samples] with noise, in a room, in a noisy room, or coming up from silence or going down to it."""
    kind = draw.integers(0, 4)
    if kind == 0:
        samples = samples + synth.noise(samples, draw.uniform(3, 18), draw)
    elif kind == 1:
        samples = synth.room(samples, draw.uniform(1, 3), draw.uniform(-12, -3), draw)
    elif kind == 2:
        samples = synth.room(samples, draw.uniform(0.5, 1.5), draw.uniform(-12, -6), draw)
        samples = samples + synth.noise(samples, draw.uniform(8, 20), draw)
    else:
        quiet = np.interp(np.arange(len(samples)), [0, len(samples) * draw.uniform(0.3, 0.9)], [1, 0])
        ramp = 10 ** (-draw.uniform(1, 2.2) * quiet)
        samples = samples * (ramp if draw.random() < 0.5 else ramp[::-1])
        samples = samples + synth.noise(samples, draw.uniform(15, 30), draw)
    loud: np.ndarray = (samples / max(1e-6, np.abs(samples).max()) * 0.9).astype(np.float32)
    return loud


def without_pulse(work: Path) -> list[Example]:
    """Sounds whose beats are none and whose tempo and meter may be any."""
    found = []
    for number in range(PULSELESS):
        path = work / "heard" / f"pulseless-2-{number}.npy"
        if not path.exists():
            _save(path, AudioFeatures(pulseless.sound(number), pulseless.RATE))
        any_meter = np.full(len(rhythm.METERS), 1 / len(rhythm.METERS), np.float32)
        found.append(Example(path.stem, "train", path.stem, np.load(path), (), (), 0.0, any_meter))
    return found


def nothing_but_pulse(work: Path) -> list[Example]:
    """Strikes at a steady tempo, with a meter where every second, third or fourth is stressed."""
    found = []
    for number in range(STEADY):
        made = steady.sound(number)
        path = work / "heard" / f"steady-{number}.npy"
        if not path.exists():
            _save(path, AudioFeatures(made.samples, steady.RATE))
        meter = np.array([float(made.meter == m) for m in rhythm.METERS], np.float32)
        heard = np.load(path)
        found.append(
            Example(path.stem, "train", path.stem, heard, made.beats, made.downbeats, made.bpm, meter)
        )
    return found


def example(track: Track, truth: Annotation, path: Path) -> Example:
    """The clip with what its truth knows."""
    meter = np.array([float(truth.meter.beats_per_bar == m) for m in rhythm.METERS], np.float32)
    beats = truth.beats.times_seconds or None
    return Example(
        track.id, track.split, track.group, np.load(path), beats, truth.beats.downbeats_seconds,
        truth.tempo.bpm, meter,
    )  # fmt: skip


def tempo_target(bpm: float | None) -> np.ndarray:
    """[bins] that sum to 1, or to 0 where the tempo is unknown or out of reach."""
    if bpm == 0:
        return np.full(len(rhythm.BPM), 1 / len(rhythm.BPM), np.float32)
    if bpm is None or not rhythm.SLOWEST_BPM <= bpm <= rhythm.FASTEST_BPM:
        return np.zeros(len(rhythm.BPM), np.float32)
    place = np.log(bpm / rhythm.BPM) / np.log(rhythm.BPM[0] / rhythm.BPM[1])
    weight = np.exp(-0.5 * (place / SPREAD_BINS) ** 2)
    return np.asarray(weight / weight.sum(), np.float32)


def beat_target(times: Sequence[float], frames: int) -> np.ndarray:
    """[frames]: 1 on a beat, less beside it."""
    found = np.zeros(frames, np.float32)
    centres = np.rint(np.asarray(times) * rhythm.RATE).astype(int)
    for shift, weight in WIDE.items():
        near = centres + shift
        near = near[(near >= 0) & (near < frames)]
        found[near] = np.maximum(found[near], weight)
    return found


@dataclass(frozen=True)
class Cut:
    """A stretch of an example: `frames` frames from `start`, played `slower` times as slowly, its pitch
    classes so many semitones `higher`."""

    row: int
    start: int
    frames: int
    slower: float
    higher: int


def cuts(examples: Sequence[Example], draw: np.random.Generator) -> list[Cut]:
    """One stretch of each example: all of it or a part, at its own tempo or another tempo."""
    found = []
    for row, one in enumerate(examples):
        slower = float(np.exp(draw.uniform(-STRETCH, STRETCH))) if draw.random() < 0.6 else 1.0
        whole = int(len(one.evidence) * slower)
        shortest = min(FRAMES_SHORTEST, whole)
        if draw.random() < 0.5:
            start = int(draw.integers(0, min(LATEST_START, whole - shortest) + 1))
            frames = min(whole - start, FRAMES_LONGEST)
        else:
            frames = min(int(draw.integers(shortest, whole + 1)), FRAMES_LONGEST)
            start = int(draw.integers(0, whole - frames + 1))
        found.append(Cut(row, start, frames, slower, int(draw.integers(12))))
    return found


def batches(examples: Sequence[Example], epoch: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Random stretches, similar lengths together: evidence, mask, beats, beats known, tempo, meter."""
    draw = np.random.default_rng([seed, epoch])
    chosen = cuts(examples, draw)
    order = np.argsort([cut.frames + draw.integers(0, 120) for cut in chosen])
    groups = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    draw.shuffle(groups)
    for rows in groups:
        yield collate(examples, [chosen[row] for row in rows])


def collate(examples: Sequence[Example], chosen: Sequence[Cut]) -> tuple[Tensor, ...]:
    most = max(cut.frames for cut in chosen)
    most += most % 2
    heard = torch.zeros(len(chosen), most, rhythm.INPUT_WIDTH)
    mask = torch.zeros(len(chosen), most, dtype=torch.bool)
    beats, known = torch.zeros(len(chosen), most, 2), torch.zeros(len(chosen))
    tempo = np.zeros((len(chosen), len(rhythm.BPM)), np.float32)
    meter = np.stack([examples[cut.row].meter for cut in chosen])
    for place, cut in enumerate(chosen):
        one = examples[cut.row]
        heard[place, : cut.frames] = torch.from_numpy(stretched(one.evidence, cut))
        for circle in heard[place, :, rhythm.RHYTHM_WIDTH :].split(12, dim=1):
            circle.copy_(circle.roll(cut.higher, 1))
        mask[place, : cut.frames] = True
        tempo[place] = tempo_target(one.bpm / cut.slower if one.bpm else one.bpm)
        if one.beats is not None:
            known[place] = 1
            for column, times in enumerate((one.beats, one.downbeats)):
                moved = np.asarray(times) * cut.slower - cut.start / rhythm.RATE
                beats[place, : cut.frames, column] = torch.from_numpy(beat_target(moved, cut.frames))
    return heard, mask, beats, known, torch.from_numpy(tempo), torch.from_numpy(meter)


def stretched(evidence: np.ndarray, cut: Cut) -> np.ndarray:
    """[cut.frames, width] float32, each frame between its neighbours in the original."""
    if cut.slower == 1:
        return evidence[cut.start : cut.start + cut.frames].astype(np.float32)
    place = (cut.start + np.arange(cut.frames)) / cut.slower
    before = np.minimum(place.astype(int), len(evidence) - 1)
    after = np.minimum(before + 1, len(evidence) - 1)
    share = (place - before).astype(np.float32)[:, None]
    return evidence[before].astype(np.float32) * (1 - share) + evidence[after].astype(np.float32) * share


def deafened(heard: Tensor, mean: Tensor, share: float) -> Tensor:
    """[clips, frames, width] with groups of columns left out, each of a clip's with the chance `share`: at
    their `mean` [width] throughout."""
    left_out = torch.rand(len(heard), len(HEARD_GROUPS)) < share
    columns = left_out.repeat_interleave(torch.tensor(HEARD_GROUPS), dim=1)
    columns = functional.pad(columns, (0, rhythm.INPUT_WIDTH - rhythm.RHYTHM_WIDTH))
    return torch.where(columns[:, None], mean, heard)


def loss_of(net: rhythm.TinyRhythm, batch: tuple[Tensor, ...]) -> Tensor:
    heard, mask, beats, known, tempo, meter = batch
    found_beats, found_tempo, found_meter = net(heard, mask)
    weight = (1 + 4 * beats) * (mask * known[:, None])[..., None]
    single = functional.binary_cross_entropy_with_logits(found_beats, beats, weight=weight, reduction="sum")
    total = 3 * single / weight.sum().clamp(min=1)
    weighed = meter * torch.tensor(METER_WEIGHTS)
    for found, target in ((found_tempo, tempo), (found_meter, weighed)):
        total = total - (target * found.log_softmax(1)).sum() / target.sum().clamp(min=1)
    return total


@dataclass(frozen=True)
class Schedule:
    """`start` is the file of nets to go on from: net n from the nth there, round and round, as wide as that
    one is; without it nets are `width` wide. `deaf` is the chance of each group of what is heard to be left
    out."""

    epochs: int
    learning_rate: float = LEARNING_RATE
    start: Path | None = None
    width: int = 64
    deaf: float = 0.0


def begun(seed: int, schedule: Schedule) -> rhythm.TinyRhythm:
    """A net with weights drawn by its number, or those of a net that was trained before, which begins by
    giving nothing for columns that it did not read."""
    torch.manual_seed(seed)
    if schedule.start is None:
        return rhythm.TinyRhythm(schedule.width, READS)
    weights = load_file(schedule.start)
    number = (seed - 1) % (1 + max(int(name.partition(".")[0]) for name in weights))
    mine = {n.partition(".")[2]: v.float() for n, v in weights.items() if n.startswith(f"{number}.")}
    mine["enter.weight"] = functional.pad(mine["enter.weight"], (0, READS - mine["enter.weight"].shape[1]))
    net = rhythm.TinyRhythm(len(mine["enter.weight"]), READS)
    net.load_state_dict(mine, strict=False)
    return net


def fit(
    examples: Sequence[Example], validation: Sequence[Example], folder: Path, seed: int, schedule: Schedule
) -> rhythm.TinyRhythm:
    """One net, trained on all `examples`; goes on from the checkpoint in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    net, epochs = begun(seed, schedule), schedule.epochs
    sums = [
        (e.evidence.sum(0, dtype=np.float64), np.square(e.evidence, dtype=np.float64).sum(0))
        for e in examples
    ]
    count = sum(len(e.evidence) for e in examples)
    mean = sum(s for s, _ in sums) / count
    net.mean.copy_(torch.from_numpy(mean))
    net.deviation.copy_(torch.from_numpy(np.sqrt(sum(s for _, s in sums) / count - mean**2)).clamp(min=1e-2))
    rate = schedule.learning_rate
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(examples) // BATCH)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    checkpoint, first = folder / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        pace.load_state_dict(state["schedule"])
        first = state["epoch"]
    for epoch in range(first, epochs):
        torch.manual_seed(seed * 1000 + epoch)
        net.train()
        losses, began = [], time.perf_counter()
        for heard, *known in batches(examples, epoch, seed):
            loss = loss_of(net, (deafened(heard, net.mean, schedule.deaf), *known))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            pace.step()
            losses.append(loss.item())
        took = time.perf_counter() - began
        print(f"net {seed} epoch {epoch + 1}/{epochs}: loss {np.mean(losses):.3f}, {took:.0f} s", flush=True)
        if epoch % 3 == 2:
            print(json.dumps(scores(rhythm.RhythmNet(_numbered(net, 0)), validation)), flush=True)
        state = {
            "net": net.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": pace.state_dict(),
        }
        torch.save({**state, "epoch": epoch + 1}, checkpoint.with_suffix(".tmp"))
        checkpoint.with_suffix(".tmp").rename(checkpoint)
    return net.eval()


def _numbered(net: rhythm.TinyRhythm, number: int) -> dict[str, Tensor]:
    return {f"{number}.{name}": value for name, value in net.state_dict().items() if name != "lag_weights"}


def scores(nets: rhythm.RhythmNet, examples: Iterable[Example]) -> dict[str, float]:
    """Accuracy of meter, and Acc1 and Acc2 of the likeliest tempo, over the clips that know them."""
    hits: dict[str, list[bool]] = {"meter": [], "tempo_acc1": [], "tempo_acc2": []}
    for one in examples:
        heard = nets(one.evidence.astype(np.float32))
        if one.meter.max() == 1:
            hits["meter"].append(int(heard.meter.argmax()) == int(one.meter.argmax()))
        if one.bpm:
            bpm = rhythm.BPM[int(heard.tempo.argmax())]
            near = [abs(bpm / (one.bpm * k) - 1) <= 0.04 for k in (1, 2, 3, 1 / 2, 1 / 3)]
            hits["tempo_acc1"].append(near[0])
            hits["tempo_acc2"].append(any(near))
    return {name: round(float(np.mean(values)), 4) for name, values in hits.items() if values}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="where the weights go; WORK/rhythm.safetensors if not given")
    parser.add_argument("--nets", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--width", type=int, default=Schedule.width, help="states of a net")
    parser.add_argument("--start-from", type=Path, help="nets to go on from")
    parser.add_argument(
        "--damaged", type=float, default=0.0, help="share of training clips also heard damaged"
    )
    parser.add_argument("--deaf", type=float, default=0.0, help="chance of each group to be left out")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    examples = [example(*heard) for heard in hear(options.corpus, options.work)]
    schedule = Schedule(
        options.epochs, options.learning_rate, options.start_from, options.width, options.deaf
    )
    training = [one for one in examples if one.split == "train"] + without_pulse(options.work)
    training += nothing_but_pulse(options.work)
    training += damaged(options.corpus, options.work, options.damaged)
    validation, held_out = ([one for one in examples if one.split == s] for s in ("validation", "test"))
    weights: dict[str, Tensor] = {}
    for number in range(options.nets):
        net = fit(training, validation, options.work / f"net-{number}", number + 1, schedule)
        weights |= {name: value.half().contiguous() for name, value in _numbered(net, number).items()}
        save_file(weights, options.work / "rhythm.safetensors.tmp")
        Path(options.work / "rhythm.safetensors.tmp").rename(options.work / "rhythm.safetensors")
        nets = rhythm.RhythmNet(load_file(options.work / "rhythm.safetensors"))
        page = {
            "nets": number + 1,
            "validation": scores(nets, validation),
            "held out": scores(nets, held_out),
            "trained on": scores(nets, training[::8]),
        }
        print(json.dumps(page), flush=True)
    if options.out is not None:
        options.out.write_bytes((options.work / "rhythm.safetensors").read_bytes())


if __name__ == "__main__":
    main()
