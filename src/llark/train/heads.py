"""Fits the concept heads on frames with truth beside them, before the language model sees any.

The posteriors that the language model is trained on are *cross-fitted*: each clip's come from heads that
never saw its piece or style. Heads that are judged on their own training clips look surer than they are,
and a language model that learns from those trusts them too much.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from llark import engine
from llark.errors import UserMustAct
from llark.model.checkpoint import read_tensors
from llark.model.concepts import METERS, Concepts, ConceptsConfig
from llark.model.model import IGNORE_INDEX
from llark.model.processor import stack_frames
from llark.records import KEYS, Annotation
from llark.storage import folders
from llark.train.data import TrainData

if TYPE_CHECKING:
    from llark.recipe import Heads
    from llark.train.distributed import World

FILE = "heads.safetensors"
"""The fitted heads, the frames' mean and deviation and all posteriors, for a run that goes on."""

UNFINISHED = "unfinished-heads"
"""The folder of what is fitted so far, one file for each fold, until `FILE` is there; its name also tells
what they are fitted on."""

TIMBRE_PARTS = ("speech", "timbre", "pulse", "tags", "loudness")
"""The parts of a frame that the instrument and genre heads read, of those that the encoder has."""

BATCH_CLIPS = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.02
SHORTEST_CROP_FRAMES = 10


def concepts_config(layout: Mapping[str, tuple[int, int]]) -> ConceptsConfig:
    """What the heads read, for an encoder whose frames hold chords, chroma, bass and rhythm."""
    missing = [name for name in ("chords", "chroma", "bass", "rhythm") if name not in layout]
    if missing:
        raise UserMustAct(f"The encoder's frames lack {', '.join(missing)}, which the concept heads need.")
    start, stop = layout["chords"]
    return ConceptsConfig(
        chords=(stop - 24, stop) if stop - start == 25 else (start, stop),
        chroma=layout["chroma"],
        bass=layout["bass"],
        rhythm=layout["rhythm"],
        tempo=layout.get("tempo"),
        meter=layout.get("meter"),
        timbre=tuple(layout[name] for name in TIMBRE_PARTS if name in layout),
    )


def fit_heads(
    model: Any, data: TrainData, config: Heads, folder: Path, world: World
) -> dict[str, np.ndarray]:
    """Fits the heads into `model`; each clip's posterior, [posterior], cross-fitted where it is trained on.

    Reads what `folder` holds of an earlier call, also of one that was killed on the way.
    """
    from safetensors.torch import save_file

    clips = [clip for clip in data.truths if clip in data.shapes]
    path = folder / FILE
    if world.is_main and not path.is_file():
        run = json.dumps([config.model_dump(), clips, data.source])
        unfinished = folder / f"{UNFINISHED}-{hashlib.sha256(run.encode()).hexdigest()[:16]}"
        unfinished.mkdir(parents=True, exist_ok=True)
        state = _fitted(model, data, clips, config, unfinished)
        scratch = path.with_suffix(".writing")
        save_file(state | {"random_state": torch.get_rng_state()}, scratch)
        folders.replace(scratch, path)
    if world.is_main:
        for left in folder.glob(f"{UNFINISHED}-*"):
            shutil.rmtree(left)
    world.wait()
    tensors = read_tensors(path)
    torch.set_rng_state(tensors["random_state"])  # a run that goes on from here draws the same adapter
    model.set_normalisation(tensors["mean"], tensors["deviation"])
    heads = {name: value for name, value in tensors.items() if name.startswith("heads.")}
    model.concepts.load_state_dict({name.removeprefix("heads."): value for name, value in heads.items()})
    return dict(zip(clips, tensors["posteriors"].numpy(), strict=True))


def _fitted(
    model: Any, data: TrainData, clips: Sequence[str], config: Heads, unfinished: Path
) -> dict[str, Tensor]:
    """The tensors of `FILE`, made anew, or from where the folder `unfinished` ends."""
    concepts = concepts_config(data.layout)
    every = [torch.from_numpy(np.asarray(data.embeddings[clip].frames, np.float16)) for clip in clips]
    frames, mask = stack_frames(every, torch.float16).values()
    training = [number for number, clip in enumerate(clips) if clip not in data.validation]
    if not training:
        raise UserMustAct("There is no training clip; render more clips or check their splits.")
    rows = torch.tensor(training)
    mean, deviation = normalisation(frames[rows].float(), mask[rows], concepts)
    frames = ((frames.float() - mean) / deviation).masked_fill(~mask[..., None], 0).half()
    ticker = engine.Ticker("heads", config.epochs * (config.folds + 1))
    heads, crossed = cross_fit(
        lambda: Concepts(concepts.to_dict(), frames.shape[2], model.config.hidden_size),
        frames[rows],
        mask[rows],
        targets_of([data.truths[clips[number]] for number in training], concepts),
        [data.groups[clips[number]] for number in training],
        config,
        tick=lambda loss: ticker(note=f"loss {loss:.3f}"),
        unfinished=unfinished,
    )
    posteriors = posteriors_of(heads, frames, mask)
    posteriors[rows] = crossed
    state = {f"heads.{name}": value for name, value in heads.state_dict().items()}
    return state | {"posteriors": posteriors, "mean": mean, "deviation": deviation}


@dataclass(frozen=True, eq=False)
class Targets:
    """What the heads are to say of each clip; `IGNORE_INDEX`, or a row of zeros, where that is unknown."""

    key: Tensor
    """[clips]"""
    tempo: Tensor
    """[clips, bins]: a soft target; all zero where unknown."""
    meter: Tensor
    """[clips]"""
    instruments: Tensor
    """[clips, words]"""
    instruments_known: Tensor
    """[clips]"""
    genre: Tensor
    """[clips, words]: sums to 1, or to 0 where unknown."""

    def take(self, rows: Tensor) -> Targets:
        """The targets of some clips."""
        return Targets(**{name: value[rows] for name, value in vars(self).items()})


def targets_of(truths: Sequence[Annotation], config: ConceptsConfig) -> Targets:
    """The heads' targets for each clip's truth."""
    sizes = config.sizes
    tempo = np.zeros((len(truths), sizes["tempo"]), np.float32)
    several = {name: np.zeros((len(truths), sizes[name]), np.float32) for name in ("instruments", "genre")}
    for row, truth in enumerate(truths):
        if truth.tempo.bpm is not None:
            tempo[row] = _soft_bins(config.bin_of(truth.tempo.bpm), sizes["tempo"])
        for name, tags in (("instruments", truth.instruments), ("genre", truth.genre)):
            for label in tags.labels:
                if label in config.labels[name]:
                    several[name][row, config.labels[name].index(label)] = 1
    genre = several["genre"] / np.maximum(several["genre"].sum(1, keepdims=True), 1)
    keys = [KEYS.index(t.key.name) if t.key.name else IGNORE_INDEX for t in truths]
    meters = [
        METERS.index(t.meter.beats_per_bar) if t.meter.beats_per_bar in METERS else IGNORE_INDEX
        for t in truths
    ]
    return Targets(
        key=torch.tensor(keys),
        tempo=torch.from_numpy(tempo),
        meter=torch.tensor(meters),
        instruments=torch.from_numpy(several["instruments"]),
        instruments_known=torch.from_numpy(several["instruments"]).any(1),
        genre=torch.from_numpy(genre),
    )


def _soft_bins(place: float, bins: int) -> np.ndarray:
    """A narrow bell around a fractional bin, so that the neighbours' shares say where it lies between."""
    if not -0.5 <= place <= bins - 0.5:
        return np.zeros(bins, np.float32)
    weight = np.exp(-0.5 * ((np.arange(bins) - place) / 0.6) ** 2)
    return np.asarray(weight / weight.sum(), np.float32)


def normalisation(frames: Tensor, mask: Tensor, config: ConceptsConfig) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each of the width's dimensions over all valid frames.

    Pitch classes share one pair, so that transposing a clip only rotates its normalised frames, and so
    do the lags of each tempogram channel, so that another tempo only shifts them. The encoder's own tempo and
    meter keep their probabilities' ratios.
    """
    valid = frames[mask]
    mean, deviation = valid.mean(0), valid.std(0)
    lags = config.rhythm_lags
    shared = [(config.chords[0], config.chords[0] + 12), (config.chords[0] + 12, config.chords[0] + 24)]
    shared += [config.chroma, config.bass]
    shared += [place for place in (config.tempo, config.meter) if place is not None]
    shared += [
        (config.rhythm[0] + c * lags, config.rhythm[0] + (c + 1) * lags)
        for c in range(config.rhythm_channels)
    ]
    for start, stop in shared:
        mean[start:stop] = valid[:, start:stop].mean()
        deviation[start:stop] = valid[:, start:stop].std()
    return mean, deviation.clamp(min=1e-3)


def loss_of(heads: Concepts, frames: Tensor, mask: Tensor, targets: Targets) -> Tensor:
    """The sum of the heads' losses; unknown truth weighs nothing."""
    logits = heads.logits(frames, mask)
    known = targets.instruments_known.float()
    several = torch.nn.functional.binary_cross_entropy_with_logits(
        logits["instruments"], targets.instruments, reduction="none"
    )
    total = _cross_entropy(logits["key"], targets.key) + _cross_entropy(logits["meter"], targets.meter)
    total = total + _soft_cross_entropy(logits["tempo"], targets.tempo)
    total = total + 8 * (several.mean(1) * known).sum() / known.sum().clamp(min=1)
    return total + 0.5 * _soft_cross_entropy(logits["genre"], targets.genre)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    losses = torch.nn.functional.cross_entropy(logits, target, ignore_index=IGNORE_INDEX, reduction="sum")
    return losses / (target != IGNORE_INDEX).sum().clamp(min=1)


def _soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    known = target.sum(1).clamp(max=1)
    return -(target * logits.log_softmax(1)).sum() / known.sum().clamp(min=1)


def fit(
    heads: Concepts,
    frames: Tensor,
    mask: Tensor,
    targets: Targets,
    config: Heads,
    *,
    tick: Callable[[float], None] = lambda loss: None,
    unfinished: Path | None = None,
) -> None:
    """Trains `heads` in place on normalised `frames` [clips, frames, width]; `tick` gets each epoch's loss.

    Clips are cropped at random, so that the heads know short ones too. `unfinished`: a file that is written
    after each epoch, and gone on from to the same weights.
    """
    torch.manual_seed(config.seed)
    order = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = config.epochs * -(-len(frames) // BATCH_CLIPS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    heads.train()
    parts: dict[str, Any] = {"heads": heads, "optimizer": optimizer, "schedule": schedule}
    first = _resumed(unfinished, parts, order) if unfinished is not None and unfinished.is_file() else 0
    for epoch in range(first, config.epochs):
        losses = []
        for rows in torch.split(torch.randperm(len(frames), generator=order), BATCH_CLIPS):
            cropped = _crop(mask[rows], SHORTEST_CROP_FRAMES, order)
            loss = loss_of(heads, frames[rows].float(), cropped, targets.take(rows))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(heads.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if unfinished is not None:
            state = {name: part.state_dict() for name, part in parts.items()}
            numbers = {"epochs": epoch + 1, "order": order.get_state(), "random": torch.get_rng_state()}
            scratch = unfinished.with_suffix(".writing")
            torch.save({**state, **numbers}, scratch)
            folders.replace(scratch, unfinished)
        tick(float(np.mean(losses)))
    heads.eval()


def _resumed(path: Path, parts: Mapping[str, Any], order: torch.Generator) -> int:
    """Puts what a killed run has kept into the parts, and into the random generators; its epochs."""
    try:
        state = torch.load(path, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(state[name])
        order.set_state(state["order"])
        torch.set_rng_state(state["random"])
    except (OSError, RuntimeError, pickle.UnpicklingError, LookupError, TypeError, ValueError) as error:
        raise UserMustAct(f"{path} is damaged; delete the folder {path.parent}.") from error
    return int(state["epochs"])


def _crop(mask: Tensor, shortest: int, generator: torch.Generator) -> Tensor:
    """For half of the clips: a random stretch of at least `shortest` of the valid frames."""
    counts = mask.sum(1)
    draw = torch.rand(3, len(mask), generator=generator)
    lengths = torch.where(draw[0] < 0.5, shortest + draw[1] * (counts - shortest), counts.float())
    lengths = lengths.round().long().clamp(min=1).minimum(counts)
    starts = (draw[2] * (counts - lengths + 1)).long()
    place = torch.arange(mask.shape[1])[None]
    return mask & (place >= starts[:, None]) & (place < (starts + lengths)[:, None])


def fold_of(group: str, folds: int, seed: int) -> int:
    """The fold that a piece or style belongs to, whatever the order of clips."""
    return zlib.crc32(f"{seed}:{group}".encode()) % folds


def cross_fit(
    make: Callable[[], Concepts],
    frames: Tensor,
    mask: Tensor,
    targets: Targets,
    groups: Sequence[str],
    config: Heads,
    *,
    tick: Callable[[float], None] = lambda loss: None,
    unfinished: Path | None = None,
) -> tuple[Concepts, Tensor]:
    """Heads fitted on all clips, and [clips, posterior] that each come from heads without the clip's fold.

    `make` gives fresh heads. Raises `ValueError` where a fold would be left without clips to learn from.
    """
    folds = torch.tensor([fold_of(group, config.folds, config.seed) for group in groups])
    posteriors: Tensor | None = None
    for fold in range(config.folds):
        inside = folds == fold
        if not inside.any():
            continue
        if inside.all():
            raise ValueError(
                "All clips fall into one fold: cross-fitting needs at least two pieces or styles."
            )
        heads = make()
        rest = torch.nonzero(~inside).flatten()
        kept = None if unfinished is None else unfinished / f"fold-{fold}"
        fit(heads, frames[rest], mask[rest], targets.take(rest), config, tick=tick, unfinished=kept)
        crossed = posteriors_of(heads, frames[inside], mask[inside])
        if posteriors is None:
            posteriors = torch.zeros(len(frames), crossed.shape[1])
        posteriors[inside] = crossed
    if posteriors is None:
        raise ValueError("There are no clips to fit the heads on.")
    heads = make()
    kept = None if unfinished is None else unfinished / "all"
    fit(heads, frames, mask, targets, config, tick=tick, unfinished=kept)
    return heads, posteriors


@torch.no_grad()
def posteriors_of(heads: Concepts, frames: Tensor, mask: Tensor, batch: int = 256) -> Tensor:
    """Posteriors of all clips: [clips, posterior]."""
    heads.eval()
    parts = [
        heads.posteriors(frames[i : i + batch].float(), mask[i : i + batch])
        for i in range(0, len(frames), batch)
    ]
    return torch.cat(parts)
