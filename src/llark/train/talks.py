"""Examples for training on talks: one clip, one or more questions, their answers.

An example's ids and what is learnt of it come from `llark.model.styles` in one pass. What does not fit into
the longest example is dropped before training begins, with a reason, so that a step's examples follow from
the seed and the step's number alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from llark.model.model import IGNORE_INDEX
from llark.model.processor import stack_frames
from llark.model.styles import Said, Written, compose, fit
from llark.records import Dropped, Exchange
from llark.train.examine import Ask
from llark.train.loop import Share
from llark.train.order import Order
from llark.train.packing import pack
from llark.train.team import Team

if TYPE_CHECKING:
    from llark.tuning import Tune

STAGE = "train"


@dataclass(frozen=True)
class Example:
    """Questions with answers about one clip, and whether the clip comes after the first question."""

    id: str
    clip_id: str
    task: str
    turns: tuple[tuple[str, str], ...]
    clips_last: bool = False


@dataclass(frozen=True)
class Reading:
    """How examples become ids. `positions_of`: how many positions a number of frames takes."""

    tokenizer: Any
    positions_of: Callable[[int], int]
    style: Any
    most_tokens: int

    def write(self, example: Example, frames: int) -> Written | str:
        """Ids and mask of an example whose clip has so many frames, or the reason why it is dropped."""
        (question, answer), *later = example.turns
        clips = (self.positions_of(frames),)
        talk = [Said(question, answer, clips, example.clips_last), *(Said(q, a) for q, a in later)]
        return fit(self.tokenizer, compose(self.tokenizer, talk, self.style), self.most_tokens)


@dataclass(frozen=True, eq=False)
class Survey:
    """The examples that are trained on, with their lengths and learnt tokens, [examples]; and the others."""

    examples: Sequence[Example]
    lengths: np.ndarray
    learnt: np.ndarray
    cut: int
    dropped: Sequence[Dropped]


def examples_of(exchanges: Iterable[Exchange], tune: Tune) -> list[Example]:
    """Exchanges as examples: `tune.turns` about the same clip, of the same task, make one."""
    together: dict[tuple[str, str], list[Exchange]] = {}
    for exchange in exchanges:
        together.setdefault((exchange.clip_id, exchange.task), []).append(exchange)
    made = []
    for (clip, task), several in together.items():
        for start in range(0, len(several), tune.turns):
            turns = tuple((one.question, one.answer) for one in several[start : start + tune.turns])
            name = f"{clip}#{task}-{start // tune.turns}"
            last = random.Random(f"side:{tune.seed}:{name}").random() < tune.clips_last_share
            made.append(Example(name, clip, task, turns, last))
    return made


@dataclass(frozen=True, eq=False)
class Measures:
    """Of examples, one after the other: their tokens, the learnt ones, and the number of the reason why one
    is dropped, in `_DETAILS`, from 1 on; 0: it is not. [examples] each."""

    lengths: np.ndarray
    learnt: np.ndarray
    dropped: np.ndarray


def measure(
    examples: Sequence[Example],
    frames_of: Callable[[str], int | None],
    reading: Reading,
    tick: Callable[[], None] = lambda: None,
) -> Measures:
    """Writes out every example. `frames_of`: a clip's number of frames, `None` where it was not embedded."""
    found = np.zeros((len(examples), 3), np.int64)
    for row, example in enumerate(examples):
        frames = frames_of(example.clip_id)
        written = "no-frames" if not frames else reading.write(example, frames)
        if isinstance(written, str):
            found[row, 2] = 1 + list(_DETAILS).index(written)
        else:
            found[row, :2] = len(written), sum(written.learn)
        tick()
    return Measures(*found.T)


def survey(examples: Sequence[Example], found: Measures, most_tokens: int) -> Survey:
    """What of the examples is trained on, and what is not."""
    reasons = [None, *_DETAILS]
    kept = np.flatnonzero(found.dropped == 0)
    pairs = zip(examples, found.dropped, strict=True)
    lost = [(one, reasons[number]) for one, number in pairs if number]
    return Survey(
        [examples[int(i)] for i in kept],
        found.lengths[kept],
        found.learnt[kept],
        cut=int((found.lengths[kept] == most_tokens).sum()),
        dropped=[Dropped(one.id, STAGE, why, _DETAILS[why]) for one, why in lost if why],
    )


_DETAILS = {
    "no-frames": "The clip was not embedded, or has no frames.",
    "no-answer": "There is no answer to learn.",
    "audio-cut": "The clip does not fit into the longest example.",
    "answer-cut": "The answer begins after the longest example's end.",
}


def collate(written: Sequence[Written], clips: Sequence[np.ndarray], pad_id: int) -> dict[str, Tensor]:
    """One batch for the model, padded on the right: input_ids, labels, attention_mask [batch, tokens],
    audio_frames [clips, frames, width], audio_mask [clips, frames]. What HF's Trainer hands to a model,
    too."""
    longest = max(len(one) for one in written)
    ids = torch.full((len(written), longest), pad_id)
    labels = torch.full((len(written), longest), IGNORE_INDEX)
    mask = torch.zeros(len(written), longest, dtype=torch.long)
    for row, one in enumerate(written):
        n = len(one)
        ids[row, :n] = torch.tensor(one.ids)
        learnt = [token if flag else IGNORE_INDEX for token, flag in zip(one.ids, one.learn, strict=True)]
        labels[row, :n], mask[row, :n] = torch.tensor(learnt), 1
    heard = stack_frames([torch.from_numpy(np.asarray(frames, np.float32)) for frames in clips])
    return {"input_ids": ids, "labels": labels, "attention_mask": mask, **heard}


class Batches:
    """Examples as tensors, with the clips that they are about."""

    def __init__(
        self, found: Survey, reading: Reading, frames: Mapping[str, Any], pad_id: int, packed: bool = False
    ) -> None:
        self.survey, self.reading, self.frames, self.pad_id = found, reading, frames, pad_id
        self.tokenizer, self.style, self.packed = reading.tokenizer, reading.style, packed

    def __len__(self) -> int:
        return len(self.survey.examples)

    def batch(self, chosen: Sequence[int]) -> dict[str, Any]:
        """Of the examples with these numbers. Raises `ValueError` where frames changed since the survey."""
        written, clips = [], []
        for number in chosen:
            example = self.survey.examples[number]
            frames = self.frames[example.clip_id].frames
            one = self.reading.write(example, len(frames))
            if isinstance(one, str) or len(one) != self.survey.lengths[number]:
                raise ValueError(f"the frames of {example.clip_id} are not those that training began with")
            written.append(one)
            clips.append(frames)
        if self.packed:
            return pack(written, clips, self.pad_id, self.reading.most_tokens)
        return collate(written, clips, self.pad_id)

    def ask(self, number: int) -> Ask:
        """An example's first question."""
        example = self.survey.examples[number]
        frames = self.frames[example.clip_id].frames
        question, wanted = example.turns[0]
        asked = Said(question, None, (self.reading.positions_of(len(frames)),), example.clips_last)
        inputs = collate([compose(self.tokenizer, [asked], self.style)], [frames], self.pad_id)
        inputs.pop("labels")
        return Ask(example.clip_id, question, wanted, inputs)


class Lessons:
    """Examples in their order, as work for the loop."""

    def __init__(self, batches: Batches, order: Order, micro_batch: int, plan: Mapping[str, Any]) -> None:
        self.batches, self.order, self.micro_batch, self.plan = batches, order, micro_batch, plan

    def __call__(self, step: int, crew: Team) -> Share:
        """Every world-th example of a step, `micro_batch` in a part."""
        chosen, size = self.order(step), self.micro_batch
        mine = chosen[crew.rank :: crew.world]
        parts = [self.batches.batch(mine[start : start + size]) for start in range(0, len(mine), size)]
        found = self.batches.survey
        return Share(parts, int(found.learnt[chosen].sum()), int(found.lengths[chosen].sum()), len(chosen))
