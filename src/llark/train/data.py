"""Examples for training, and the batches that they make: one clip, one or more questions, their answers.

An example's ids and loss mask come from `llark.model.conversation` in one pass. Examples are
either fixed (each exchange is part of one) or drawn anew each epoch (`train.independent_turns`): then the
questions of an example do not see each other, so that its loss is that of as many separate examples, while
the clip's audio positions are computed once. Either way a step's examples follow from the seed and the step's
number alone: a run that stops and goes on sees the same batches.

What does not fit into the longest example is dropped before training begins, with a reason.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from llark import engine
from llark.errors import UserMustAct
from llark.model.conversation import Style, Tokenized, Turn, compose, fit
from llark.model.model import IGNORE_INDEX
from llark.model.processor import stack_frames
from llark.records import Annotation, Dropped, Exchange
from llark.storage import folders
from llark.train.order import Order
from llark.train.packing import BLOCKS, rows_of, seen

if TYPE_CHECKING:
    from llark.recipe import Train
    from llark.train.distributed import World

STAGE = "train"

MEASURED = "measured.safetensors"
"""The file of the examples' lengths, so that a run that goes on reads them."""

LONG = 1000
"""From so many examples on there is a bar while they are measured."""


@dataclass(frozen=True, eq=False)
class TrainData:
    """All that training reads. Mappings go by clip id."""

    exchanges: Sequence[Exchange]
    """Questions about clips, to be answered by listening."""
    embeddings: Mapping[str, Any]
    """Each with `frames` [frames, width]."""
    shapes: Mapping[str, tuple[int, int]]
    """(frames, width) of each clip, without reading them."""
    frames_per_second: float
    validation: frozenset[str] = frozenset()
    """Clips that are not trained on."""
    source: str = ""
    """Tells one input from another."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """A line of what was measured in a clip."""
    fact_exchanges: Sequence[Exchange] = ()
    """Questions that are answered from `facts`."""
    truths: Mapping[str, Annotation] = field(default_factory=dict)
    """What the concept heads learn of a clip."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """The piece or style that a clip is of: heads are judged on others than they learn from."""
    layout: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Where each part of a frame lies, for the concept heads: its name → (start, stop)."""


@dataclass(frozen=True)
class Example:
    """Questions with answers about one clip."""

    id: str
    clip_id: str
    task: str
    turns: tuple[tuple[str, str], ...]
    clips_last: bool = False
    """Whether the clip comes after the first question."""
    facts: str | None = None
    """A line of measured facts that is shown before the questions."""
    independent: bool = False
    """Whether the questions do not see each other."""


@dataclass(frozen=True)
class Reading:
    """How examples become ids."""

    tokenizer: Any
    positions_of: Callable[[int], int]
    """How many positions a number of frames takes."""
    style: Style
    most_tokens: int

    def turns(self, example: Example, frames: int) -> list[Turn]:
        """The conversation of an example whose clip has so many frames."""
        (question, answer), *later = example.turns
        first = Turn(question, answer, (self.positions_of(frames),), example.clips_last)
        return [first, *(Turn(*pair) for pair in later)]

    def write(self, example: Example, frames: int) -> Tokenized | str:
        """Ids and mask of an example, or the reason why it is dropped."""
        turns = self.turns(example, frames)
        whole = compose(self.tokenizer, turns, self.style, example.facts, independent=example.independent)
        return fit(self.tokenizer, whole, self.most_tokens)


@dataclass(frozen=True, eq=False)
class ExampleSet:
    """Examples that are trained on, or watched. Lists run along the examples."""

    draw: Callable[[int, int], Example]
    """The example with this number in this epoch."""
    tasks: Sequence[str]
    lengths: np.ndarray
    """Tokens of each example; 0 where they differ from epoch to epoch."""
    cut: int = 0
    """How many were cut to the longest length."""
    dropped: Sequence[Dropped] = ()
    """Those that are not trained on."""
    shuffle: Callable[[int, int, int], Sequence[int]] | None = None
    """The examples' order in an epoch, where it is not that of `Order`."""

    def __len__(self) -> int:
        return len(self.tasks)

    def order(self, config: Train) -> Order:
        """Which of them make up which step."""
        return Order(
            self.lengths,
            self.tasks,
            batch=config.batch,
            bucket=config.bucket,
            mixture=config.mixture,
            seed=config.seed,
            shuffle=self.shuffle,
        )


_DETAILS = {
    "no-frames": "The clip was not embedded, or has no frames.",
    "no-answer": "There is no answer to learn.",
    "audio-cut": "The clip does not fit into the longest example.",
    "answer-cut": "The answer begins after the longest example's end.",
}
"""The reasons why an example is dropped."""


def example_sets(
    data: TrainData, config: Train, reading: Reading, folder: Path, world: World
) -> tuple[ExampleSet, ExampleSet]:
    """The examples that are trained on, and those of validation clips."""
    if config.independent_turns:
        pools, dropped = question_pools(data, config)
        trained = [pool for pool in pools if pool.clip_id not in data.validation]
        watched = [pool for pool in pools if pool.clip_id in data.validation]
        return drawn_examples(trained, config, dropped), drawn_examples(watched, config)
    examples = examples_of(data.exchanges, config)
    measures = _measured(folder, examples, data.shapes, reading, world)
    apart = np.array([example.clip_id in data.validation for example in examples], bool)
    training, validation = (
        fixed_examples(
            [examples[i] for i in rows], Measures(measures.lengths[rows], measures.dropped[rows]),
            config.most_tokens,
        )
        for rows in (np.flatnonzero(~apart), np.flatnonzero(apart))
    )  # fmt: skip
    return training, validation


# --- fixed examples ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Measures:
    """Of examples, one after the other."""

    lengths: np.ndarray
    """Tokens, [examples]."""
    dropped: np.ndarray
    """Number of the reason why the example is dropped, in `_DETAILS`, from 1 on; 0: it is not. [examples]"""


def examples_of(exchanges: Iterable[Exchange], config: Train) -> list[Example]:
    """Exchanges as examples: `train.turns` about the same clip, of the same task, make one."""
    together: dict[tuple[str, str], list[Exchange]] = {}
    for exchange in exchanges:
        together.setdefault((exchange.clip_id, exchange.task), []).append(exchange)
    examples = []
    for (clip, task), several in together.items():
        for start in range(0, len(several), config.turns):
            turns = tuple((one.question, one.answer) for one in several[start : start + config.turns])
            name = f"{clip}#{task}-{start // config.turns}"
            last = random.Random(f"side:{config.seed}:{name}").random() < config.clips_last_share
            examples.append(Example(name, clip, task, turns, last))
    return examples


def measure(
    examples: Sequence[Example],
    frames_of: Callable[[str], int | None],
    reading: Reading,
    tick: Callable[[], None] = lambda: None,
) -> Measures:
    """Writes out every example. `frames_of`: a clip's number of frames, `None` where it was not embedded."""
    measures = np.zeros((len(examples), 2), np.int64)
    for row, example in enumerate(examples):
        frames = frames_of(example.clip_id)
        written = "no-frames" if not frames else reading.write(example, frames)
        if isinstance(written, str):
            measures[row, 1] = 1 + list(_DETAILS).index(written)
        else:
            measures[row, 0] = len(written)
        tick()
    return Measures(*measures.T)


def fixed_examples(examples: Sequence[Example], measures: Measures, most_tokens: int) -> ExampleSet:
    """Those of the examples that are not dropped, the same in each epoch."""
    chosen = [examples[int(i)] for i in np.flatnonzero(measures.dropped == 0)]
    lengths = measures.lengths[measures.dropped == 0]
    reasons = [("", ""), *_DETAILS.items()]
    lost = [(one, reasons[why]) for one, why in zip(examples, measures.dropped, strict=True) if why]
    return ExampleSet(
        draw=lambda number, epoch: chosen[number],
        tasks=[one.task for one in chosen],
        lengths=lengths,
        cut=int((lengths == most_tokens).sum()),
        dropped=[Dropped(one.id, STAGE, *why) for one, why in lost],
    )


def _measured(
    folder: Path,
    examples: Sequence[Example],
    shapes: Mapping[str, tuple[int, int]],
    reading: Reading,
    world: World,
) -> Measures:
    """The measures of the examples: those that `folder` has, or else made by the main process.

    Raises `UserMustAct` where the processes do not share the folder.
    """
    path, key = folder / MEASURED, _measures_key(examples, shapes, reading)
    if world.is_main and _read_measures(path, key) is None:
        with engine.Ticker("measure", len(examples), show=len(examples) > LONG) as tick:
            made = measure(examples, lambda clip: shapes.get(clip, (None,))[0], reading, tick)
        _write_measures(path, key, made)
    world.wait()
    measures = _read_measures(path, key)
    if measures is None:
        raise UserMustAct(
            f"{path} is not what the main process has just written: --out must be one folder for all "
            "processes, on storage that all nodes share."
        )
    return measures


def _measures_key(
    examples: Sequence[Example], shapes: Mapping[str, tuple[int, int]], reading: Reading
) -> str:
    """Of all that the lengths follow from."""
    digest = hashlib.sha256()
    inner = getattr(reading.tokenizer, "backend_tokenizer", None)
    digest.update((inner.to_str() if inner is not None else str(reading.tokenizer)).encode())
    digest.update(f"{reading.style} {reading.most_tokens}".encode())
    positions = {n: reading.positions_of(n) for n in sorted({frames for frames, _ in shapes.values()})}
    digest.update(json.dumps([sorted(positions.items()), sorted(shapes.items())]).encode())
    for example in examples:
        digest.update(json.dumps(asdict(example)).encode())
    return digest.hexdigest()


def _read_measures(path: Path, key: str) -> Measures | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as page:
            if (page.metadata() or {}).get("key") != key:
                return None
            return Measures(page.get_tensor("lengths"), page.get_tensor("dropped"))
    except (FileNotFoundError, SafetensorError):
        return None


def _write_measures(path: Path, key: str, measures: Measures) -> None:
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".writing")
    arrays = {name: np.ascontiguousarray(value) for name, value in vars(measures).items()}
    save_file(arrays, scratch, metadata={"key": key})
    folders.replace(scratch, path)


# --- examples that are drawn anew each epoch --------------------------------------------------------------


@dataclass(frozen=True)
class QuestionPool:
    """The questions and answers that an example about a clip is drawn from."""

    clip_id: str
    from_truth: tuple[tuple[str, str], ...]
    """Answered from the truth, to be answered by listening."""
    from_facts: tuple[tuple[str, str], ...] = ()
    """Answered from `facts`."""
    facts: str = ""


def question_pools(data: TrainData, config: Train) -> tuple[list[QuestionPool], list[Dropped]]:
    """Each clip's questions, and the clips that have no frames or no questions."""
    pairs: tuple[dict[str, list[tuple[str, str]]], ...] = ({}, {})
    for by_clip, exchanges in zip(pairs, (data.exchanges, data.fact_exchanges), strict=True):
        for one in exchanges:
            by_clip.setdefault(one.clip_id, []).append((one.question, one.answer))
    truth, facts = pairs
    pools, dropped = [], []
    for clip, asked in truth.items():
        measured = clip in facts and clip in data.facts
        if clip not in data.shapes or not data.shapes[clip][0]:
            dropped.append(Dropped(clip, STAGE, "no-frames", _DETAILS["no-frames"]))
        elif config.facts_share and not measured:
            dropped.append(Dropped(clip, STAGE, "no-answer", _DETAILS["no-answer"]))
        else:
            shown = (tuple(facts[clip]), data.facts[clip]) if measured else ()
            pools.append(QuestionPool(clip, tuple(asked), *shown))
    return pools, dropped


def drawn_examples(
    pools: Sequence[QuestionPool], config: Train, dropped: Sequence[Dropped] = ()
) -> ExampleSet:
    """One example a clip, with other questions in each epoch."""

    def shuffle(task: int, epoch: int, size: int) -> list[int]:
        order = list(range(size))
        random.Random(f"order:{config.seed}:{epoch}").shuffle(order)
        return order

    return ExampleSet(
        draw=lambda number, epoch: draw(pools, number, epoch, config),
        tasks=["understanding"] * len(pools),
        lengths=np.zeros(len(pools), np.int64),
        dropped=dropped,
        shuffle=shuffle,
    )


def draw(pools: Sequence[QuestionPool], number: int, epoch: int, config: Train) -> Example:
    """A clip's example in an epoch.

    `train.facts_share` of the examples show measured facts and answer from them; of those
    `train.foreign_share` show another clip's: that teaches the model to read what was measured rather than to
    guess.
    """
    own = pools[number]
    chance = random.Random(f"row:{config.seed}:{epoch}:{own.clip_id}")
    shows_facts = chance.random() < config.facts_share
    shown = own
    if shows_facts and chance.random() < config.foreign_share:
        shown = pools[chance.randrange(len(pools))]
    pool = shown.from_facts if shows_facts else shown.from_truth
    turns = chance.sample(pool, min(config.turns, len(pool)))
    facts = shown.facts if shows_facts else None
    return Example(own.clip_id, own.clip_id, "understanding", tuple(turns), facts=facts, independent=True)


# --- batches ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class MicroBatches:
    """A process's part of a step, ready for the model. Counts are of this process alone."""

    parts: Sequence[dict[str, Any]]
    supervised: int
    """Tokens that the loss counts."""
    tokens: int
    """All tokens, without padding."""
    clips: int


@dataclass(frozen=True, eq=False)
class SampleQuestion:
    """A question that the model is to answer as training goes."""

    clip_id: str
    question: str
    answer: str
    """The one that it was to learn."""
    inputs: dict[str, Tensor]
    """Of one row, for the model."""


@dataclass(frozen=True, eq=False)
class Batches:
    """Examples as tensors, with the clips that they are about."""

    examples: ExampleSet
    reading: Reading
    embeddings: Mapping[str, Any]
    pad_id: int
    packed: bool = False
    """Whether examples lie behind each other in a row, not side by side with padding."""
    posteriors: Mapping[str, np.ndarray] | None = None
    """What cross-fitted concept heads gave, by clip, [posterior]; `None`: the model has no heads."""

    def __len__(self) -> int:
        return len(self.examples)

    def micro_batches(self, chosen: Sequence[tuple[int, int]], size: int) -> MicroBatches:
        """The examples with these numbers and epochs, `size` in a part."""
        drawn = [self._write(number, epoch) for number, epoch in chosen]
        parts = [
            self._tensors(drawn[start : start + size], self.packed) for start in range(0, len(drawn), size)
        ]
        written = [one for _, one in drawn]
        supervised = sum(sum(one.learn) for one in written)
        return MicroBatches(parts, supervised, sum(map(len, written)), len(written))

    def batch(self, numbers: Sequence[int]) -> dict[str, Any]:
        """The tensors of the examples with these numbers in the first epoch."""
        return self._tensors([self._write(number, 0) for number in numbers], self.packed)

    def sample(self, number: int) -> SampleQuestion:
        """An example's first question."""
        example = self.examples.draw(number, 0)
        question, answer = example.turns[0]
        first, *_ = self.reading.turns(example, len(self.embeddings[example.clip_id].frames))
        asked = Turn(question, None, first.clips, example.clips_last)
        written = compose(self.reading.tokenizer, [asked], self.reading.style, example.facts)
        inputs = self._tensors([(example, written)], packed=False)
        inputs.pop("labels")
        return SampleQuestion(example.clip_id, question, answer, inputs)

    def _write(self, number: int, epoch: int) -> tuple[Example, Tokenized]:
        """Raises `ValueError` where frames changed since they were measured."""
        example = self.examples.draw(number, epoch)
        written = self.reading.write(example, len(self.embeddings[example.clip_id].frames))
        length = self.examples.lengths[number]
        if isinstance(written, str) or length not in (0, len(written)):
            raise ValueError(f"the frames of {example.clip_id} are not those that training began with")
        return example, written

    def _tensors(self, drawn: Sequence[tuple[Example, Tokenized]], packed: bool) -> dict[str, Any]:
        clips = [example.clip_id for example, _ in drawn]
        return collate(
            [written for _, written in drawn],
            [self.embeddings[clip].frames for clip in clips],
            self.pad_id,
            pack_into=self.reading.most_tokens if packed else None,
            posteriors=None if self.posteriors is None else [self.posteriors[clip] for clip in clips],
        )


def collate(
    written: Sequence[Tokenized],
    clips: Sequence[np.ndarray],
    pad_id: int,
    *,
    pack_into: int | None = None,
    posteriors: Sequence[np.ndarray] | None = None,
) -> dict[str, Any]:
    """One batch for the model, padded on the right. What HF's Trainer hands to a model, too.

    input_ids, labels: [rows, tokens]; audio_frames: [clips, frames, width]; audio_mask: [clips, frames].
    attention_mask: [rows, tokens] where each row is one conversation; else boolean, [rows, 1, tokens,
    tokens], row sees column, with position_ids [rows, tokens] beside it. `pack_into`: examples lie behind
    each other in rows of at most so many tokens; their lengths, row by row, are then given, too.
    """
    alone = [[number] for number in range(len(written))]
    rows = alone if pack_into is None else rows_of([len(one) for one in written], pack_into)
    lengths = [[len(written[number]) for number in row] for row in rows]
    longest = max(map(sum, lengths))
    ids = torch.full((len(rows), longest), pad_id)
    labels = torch.full((len(rows), longest), IGNORE_INDEX)
    sees = torch.eye(longest, dtype=torch.bool).repeat(len(rows), 1, 1)  # [rows, tokens, tokens]
    for place, row in enumerate(rows):
        begin = 0
        for one in (written[number] for number in row):
            stop = begin + len(one)
            ids[place, begin:stop] = torch.tensor(one.ids)
            target = [token if flag else IGNORE_INDEX for token, flag in zip(one.ids, one.learn, strict=True)]
            labels[place, begin:stop] = torch.tensor(target)
            sees[place, begin:stop, begin:stop] = seen(one.branch)
            begin = stop
    batch: dict[str, Any] = {"input_ids": ids, "labels": labels}
    if pack_into is None and not any(any(one.branch) for one in written):
        real = torch.arange(longest)[None] < torch.tensor(lengths)
        batch["attention_mask"] = real.long()
    else:
        batch["attention_mask"] = sees[:, None]
        batch["position_ids"] = sees.sum(-1) - 1  # how many come before it, of those that a token sees
    if pack_into is not None:
        batch[BLOCKS] = tuple(map(tuple, lengths))
    numbers = [number for row in rows for number in row]
    batch |= stack_frames([torch.from_numpy(np.asarray(clips[number], np.float32)) for number in numbers])
    if posteriors is not None:
        batch["concept_posteriors"] = torch.from_numpy(np.stack([posteriors[number] for number in numbers]))
    return batch
