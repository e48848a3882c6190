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

from llark.model.model import UNLEARNT
from llark.model.processor import stack_frames
from llark.model.styles import Said, Written, compose, fit
from llark.records import Dropped, Exchange

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


def survey(
    examples: Sequence[Example],
    frames_of: Callable[[str], int | None],
    reading: Reading,
    tick: Callable[[], None] = lambda: None,
) -> Survey:
    """Measures every example. `frames_of`: a clip's number of frames, `None` where it was not embedded."""
    kept, lengths, learnt, dropped, cut = [], [], [], [], 0
    for example in examples:
        frames = frames_of(example.clip_id)
        written = "no-frames" if not frames else reading.write(example, frames)
        if isinstance(written, str):
            dropped.append(Dropped(example.id, STAGE, written, _DETAILS[written]))
        else:
            kept.append(example)
            lengths.append(len(written))
            learnt.append(sum(written.learn))
            cut += len(written) == reading.most_tokens
        tick()
    return Survey(kept, np.array(lengths, np.int64), np.array(learnt, np.int64), cut, dropped)


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
    labels = torch.full((len(written), longest), UNLEARNT)
    mask = torch.zeros(len(written), longest, dtype=torch.long)
    for row, one in enumerate(written):
        n = len(one)
        ids[row, :n] = torch.tensor(one.ids)
        learnt = [token if flag else UNLEARNT for token, flag in zip(one.ids, one.learn, strict=True)]
        labels[row, :n], mask[row, :n] = torch.tensor(learnt), 1
    heard = stack_frames([torch.from_numpy(np.asarray(frames, np.float32)) for frames in clips])
    return {"input_ids": ids, "labels": labels, "attention_mask": mask, **heard}


class Batches:
    """The tensors of given examples."""

    def __init__(self, found: Survey, reading: Reading, frames: Mapping[str, Any], pad_id: int) -> None:
        self.survey, self.reading, self.frames, self.pad_id = found, reading, frames, pad_id

    def __call__(self, chosen: Sequence[int]) -> dict[str, Tensor]:
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
        return collate(written, clips, self.pad_id)
