"""Fits the concept heads on frames with truth beside them, before the language model sees any.

The posteriors that the language model is trained on are *cross-fitted*: each clip's come from heads that
never saw its piece or style. Heads that are judged on their own training clips look surer than they are,
and a language model that learns from those trusts them too much.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from llark.model.concepts import METERS, Concepts, ConceptsConfig
from llark.records import KEYS, Annotation

IGNORE_INDEX = -100


@dataclass(frozen=True)
class AlignConfig:
    """How the heads are fitted. `epochs` passes over the clips; `folds` parts of the cross-fit."""

    epochs: int = 60
    folds: int = 3
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    shortest_crop_frames: int = 10
    seed: int = 7


@dataclass(frozen=True, eq=False)
class Targets:
    """What the heads are to hear. `IGNORED` (or a zero row weight) where the truth is silent."""

    key: Tensor  # [clips]
    tempo: Tensor  # [clips, bins]: a soft target; all zero where unknown
    meter: Tensor  # [clips]
    instruments: Tensor  # [clips, words]
    instruments_known: Tensor  # [clips]
    genre: Tensor  # [clips, words]: sums to 1, or to 0 where unknown

    def take(self, rows: Tensor) -> Targets:
        names = ("key", "tempo", "meter", "instruments", "instruments_known", "genre")
        return Targets(*(getattr(self, name)[rows] for name in names))


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


def normalisation(
    frames: Tensor, mask: Tensor, config: ConceptsConfig, share: float = 1.0
) -> tuple[Tensor, Tensor]:
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
    total: Tensor = _cross_entropy(logits["key"], targets.key) + _cross_entropy(
        logits["meter"], targets.meter
    )
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
    config: AlignConfig,
    *,
    tick: Callable[[float], None] | None = None,
) -> None:
    """Trains `heads` in place on normalised `frames` [clips, frames, width]; `tick` hears each epoch's loss.

    Clips are cropped at random, so that the heads know short ones too.
    """
    torch.manual_seed(config.seed)
    order = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(
        heads.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    steps = config.epochs * -(-len(frames) // config.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=steps)
    heads.train()
    for _ in range(config.epochs):
        losses = []
        for rows in torch.split(torch.randperm(len(frames), generator=order), config.batch):
            cropped = _crop(mask[rows], config.shortest_crop_frames, order)
            loss = loss_of(heads, frames[rows].float(), cropped, targets.take(rows))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(heads.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if tick is not None:
            tick(float(np.mean(losses)))
    heads.eval()


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
    config: AlignConfig,
    *,
    tick: Callable[[float], None] | None = None,
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
        fit(heads, frames[rest], mask[rest], targets.take(rest), config, tick=tick)
        heard = hear(heads, frames[inside], mask[inside])
        if posteriors is None:
            posteriors = torch.zeros(len(frames), heard.shape[1])
        posteriors[inside] = heard
    if posteriors is None:
        raise ValueError("There are no clips to fit the heads on.")
    heads = make()
    fit(heads, frames, mask, targets, config, tick=tick)
    return heads, posteriors


@torch.no_grad()
def hear(heads: Concepts, frames: Tensor, mask: Tensor, batch: int = 256) -> Tensor:
    """Posteriors of all clips: [clips, posterior]."""
    heads.eval()
    parts = [
        heads.posteriors(frames[i : i + batch].float(), mask[i : i + batch])
        for i in range(0, len(frames), batch)
    ]
    return torch.cat(parts)
