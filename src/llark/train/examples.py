"""Training rows: one clip, a shared prefix of audio (and sometimes measured facts), several questions.

The questions of a row do not see each other (`conversation.pack`), so a row's loss is that of as many
separate examples, while the clip's audio positions are computed once. Which rows make step *n* follows
from the seed and *n* alone: a run that stops and goes on sees the same batches.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llark.model import conversation
from llark.model.processor import stack_frames


@dataclass(frozen=True, eq=False)
class ClipData:
    """All that training needs of one clip.

    `frames` is [frames, width]; `posterior` is what cross-fitted heads heard, [posterior];
    `heard` are questions answered from the truth, `measured` those answered from `facts`.
    """

    id: str
    frames: np.ndarray
    posterior: np.ndarray
    heard: tuple[tuple[str, str], ...]
    measured: tuple[tuple[str, str], ...]
    facts: str


@dataclass(frozen=True)
class RowsConfig:
    """How rows are drawn. Shares are of rows; `foreign_share` is of the rows that show facts.

    A row with foreign facts shows the facts of another clip and answers from them: it teaches the model
    to read what was measured rather than to guess.
    """

    rows_per_step: int = 4
    exchanges_per_row: int = 10
    facts_share: float = 0.5
    foreign_share: float = 0.25
    seed: int = 7


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's tensors; `tokens` counts what is not padding."""

    inputs: dict[str, Tensor]
    tokens: int


def rows_of_step(step: int, clips: int, config: RowsConfig) -> list[tuple[int, int]]:
    """(clip, epoch) of each row of a step: every clip once an epoch, in an order of the epoch's own."""
    rows = []
    for place in range(step * config.rows_per_step, (step + 1) * config.rows_per_step):
        epoch, within = divmod(place, clips)
        rows.append((_order(epoch, clips, config.seed)[within], epoch))
    return rows


_orders: dict[tuple[int, int, int], list[int]] = {}


def _order(epoch: int, clips: int, seed: int) -> list[int]:
    if (epoch, clips, seed) not in _orders:
        _orders.clear()
        order = list(range(clips))
        random.Random(f"order:{seed}:{epoch}").shuffle(order)
        _orders[epoch, clips, seed] = order
    return _orders[epoch, clips, seed]


def draw(data: Sequence[ClipData], clip: int, epoch: int, config: RowsConfig) -> tuple[str | None, list[Any]]:
    """The facts that a row shows (or `None`) and its questions with answers."""
    chance = random.Random(f"row:{config.seed}:{epoch}:{data[clip].id}")
    shows_facts = chance.random() < config.facts_share
    told = data[clip]
    if shows_facts and chance.random() < config.foreign_share:
        told = data[chance.randrange(len(data))]
    pool = told.measured if shows_facts else told.heard
    chosen = chance.sample(pool, min(config.exchanges_per_row, len(pool)))
    return (told.facts if shows_facts else None), chosen


def batch_of(
    data: Sequence[ClipData],
    rows: Sequence[tuple[int, int]],
    tokenizer: Any,
    positions_of: Callable[[int], int],
    config: RowsConfig,
) -> Batch:
    """The tensors of the rows: ids, labels, positions, a 4-D mask, frames and posteriors.

    `positions_of` tells how many audio positions a number of frames takes.
    """
    packs, clips = [], [data[clip] for clip, _ in rows]
    for clip, epoch in rows:
        facts, exchanges = draw(data, clip, epoch, config)
        prefix = conversation.prefix(tokenizer, positions_of(len(data[clip].frames)), facts)
        packs.append(conversation.pack(prefix, [conversation.turn(tokenizer, q, a) for q, a in exchanges]))
    audio = stack_frames([torch.from_numpy(np.asarray(clip.frames, np.float32)) for clip in clips])
    inputs = {
        **conversation.batch(packs, pad_id=0),
        **audio,
        "concept_posteriors": torch.from_numpy(np.stack([clip.posterior for clip in clips])),
    }
    return Batch(inputs, tokens=sum(len(pack) for pack in packs))
