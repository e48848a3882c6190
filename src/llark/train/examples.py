"""Training rows: one clip, a shared prefix of audio (and sometimes measured facts), several questions.

The questions of a row do not see each other (`conversation.pack`), so a row's loss is that of as many
separate examples, while the clip's audio positions are computed once. Which rows make step *n* follows
from the seed and *n* alone: a run that stops and goes on sees the same batches.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llark.model import conversation
from llark.model.model import IGNORE_INDEX
from llark.model.processor import stack_frames
from llark.model.styles import Style
from llark.train.examine import Ask
from llark.train.loop import Share
from llark.train.team import Team


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


class Rows:
    """Clips as work for the loop; their rows of epoch 0 as examples to watch.

    `positions_of` tells how many audio positions a number of frames takes.
    """

    style: Style = "chatml"

    def __init__(
        self,
        data: Sequence[ClipData],
        tokenizer: Any,
        positions_of: Callable[[int], int],
        config: RowsConfig,
        plan: Mapping[str, Any] | None = None,
    ) -> None:
        self.data, self.tokenizer, self.positions_of, self.config = data, tokenizer, positions_of, config
        self.plan = plan or {}

    def __len__(self) -> int:
        return len(self.data)

    def __call__(self, step: int, crew: Team) -> Share:
        """A process's rows of a step, all in one part."""
        rows = rows_of_step(step, len(self.data), self.config)
        packs = [self._pack(*row) for row in rows]
        mine = slice(crew.rank, None, crew.world)
        part = self._tensors(packs[mine], [self.data[clip] for clip, _ in rows[mine]])
        learnt = sum(int((pack.labels != IGNORE_INDEX).sum()) for pack in packs)
        return Share([part], learnt, sum(len(pack) for pack in packs), len(rows))

    def batch(self, chosen: Sequence[int]) -> dict[str, Tensor]:
        """The rows of these clips in epoch 0."""
        return self._tensors([self._pack(clip, 0) for clip in chosen], [self.data[clip] for clip in chosen])

    def ask(self, number: int) -> Ask:
        """The first question of a clip's row."""
        clip = self.data[number]
        facts, [(question, wanted), *_] = draw(self.data, number, 0, self.config)
        ids, _ = conversation.turn(self.tokenizer, question)
        row = torch.tensor([[*self._prefix(clip, facts), *ids]])
        inputs = {"input_ids": row, "attention_mask": torch.ones_like(row), **self._heard([clip])}
        return Ask(clip.id, question, wanted, inputs)

    def _prefix(self, clip: ClipData, facts: str | None) -> list[int]:
        return conversation.prefix(self.tokenizer, self.positions_of(len(clip.frames)), facts)

    def _pack(self, clip: int, epoch: int) -> conversation.Packed:
        facts, exchanges = draw(self.data, clip, epoch, self.config)
        turns = [conversation.turn(self.tokenizer, question, answer) for question, answer in exchanges]
        return conversation.pack(self._prefix(self.data[clip], facts), turns)

    def _tensors(self, packs: Sequence[conversation.Packed], clips: Sequence[ClipData]) -> dict[str, Tensor]:
        """ids, labels, positions, a 4-D mask, frames and posteriors."""
        return {**conversation.batch(packs, pad_id=0), **self._heard(clips)}

    @staticmethod
    def _heard(clips: Sequence[ClipData]) -> dict[str, Tensor]:
        audio = stack_frames([torch.from_numpy(np.asarray(clip.frames, np.float32)) for clip in clips])
        return {**audio, "concept_posteriors": torch.from_numpy(np.stack([c.posterior for c in clips]))}
