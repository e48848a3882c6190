"""The one conversation format: token ids and what is learnt, in one pass, in training and when asked.

A talk is a prefix (the audio and the measured facts), then turns. Each piece is tokenised by itself, so that
the same words have the same ids whatever stands beside them. What people write is never read as a special
token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from .config import AUDIO_END, AUDIO_PATCH, AUDIO_START, AUDIO_TOKENS
from .model import IGNORE_INDEX

TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"


@dataclass(frozen=True)
class Packed:
    """One prefix and its turns, each of which sees the prefix and itself. n is the number of tokens.

    input_ids, labels (-100 where nothing is learnt), position_ids: [n]; attention_mask: [n, n], boolean,
    row sees column.
    """

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    attention_mask: Tensor

    def __len__(self) -> int:
        return len(self.input_ids)


def add_audio_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int, int]:
    """Add the placeholders to the tokenizer, if they are not in it; ids of start, patch and end."""
    tokenizer.add_special_tokens(
        {"additional_special_tokens": list(AUDIO_TOKENS)}, replace_extra_special_tokens=False
    )
    start, patch, end = tokenizer.convert_tokens_to_ids(list(AUDIO_TOKENS))
    return start, patch, end


def turn_end_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that ends an answer: `<|im_end|>`, or the tokenizer's own end where it has no such token."""
    known = tokenizer.convert_tokens_to_ids(TURN_END)  # the whole vocabulary as a dict would cost 30 ms
    if known is None or known == tokenizer.unk_token_id:
        known = tokenizer.eos_token_id
    if known is None:
        raise ValueError(f"the tokenizer has neither {TURN_END} nor an end-of-sequence token")
    return int(known)


def places(tokenizer: PreTrainedTokenizerBase, positions: int) -> list[int]:
    """Ids of one clip: the marker before it, a placeholder for each position, the marker after it."""
    if positions < 1:
        raise ValueError(f"a clip takes at least 1 audio position, found {positions}")
    start, patch, end = tokenizer.convert_tokens_to_ids([AUDIO_START, AUDIO_PATCH, AUDIO_END])
    return [start, *[patch] * positions, end]


def prefix(
    tokenizer: PreTrainedTokenizerBase, audio_positions: int | Sequence[int] | None, facts: str | None
) -> list[int]:
    """What every question about a clip begins with. `audio_positions`: places for audio, a number for each
    clip where there are several; `None`: no audio."""
    ids = [*beginning(tokenizer), *_template(tokenizer, f"{TURN_START}user\n")]
    ids += _clips(tokenizer, audio_positions)
    if facts:
        ids += [*_words(tokenizer, f"Measured: {facts.strip()}"), *_template(tokenizer, "\n")]
    return ids


def turn(
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    answer: str | None = None,
    later: bool = False,
    audio_positions: Sequence[int] = (),
) -> tuple[list[int], list[bool]]:
    """Ids of one question and its answer, and for each whether it is learnt: the answer and its end are.

    Without an answer the ids end where the model goes on. `later`: not the first turn of its talk, so that
    it may bring clips of its own, of `audio_positions` places each.
    """
    ids = _template(tokenizer, f"\n{TURN_START}user\n") if later else []
    ids += _clips(tokenizer, audio_positions)
    ids = [*ids, *_words(tokenizer, question.strip()), turn_end_id(tokenizer)]
    ids += _template(tokenizer, f"\n{TURN_START}assistant\n")
    learn = [False] * len(ids)
    if answer is not None:
        said = [*_words(tokenizer, answer.strip()), turn_end_id(tokenizer)]
        ids += said
        learn += [True] * len(said)
    return ids, learn


def talk(
    tokenizer: PreTrainedTokenizerBase, turns: Sequence[tuple[str, str | None]]
) -> tuple[list[int], list[bool]]:
    """Several turns of one talk, one after the other: ids and what is learnt."""
    ids: list[int] = []
    learn: list[bool] = []
    for index, (question, answer) in enumerate(turns):
        more, learn_more = turn(tokenizer, question, answer, later=index > 0)
        ids += more
        learn += learn_more
    return ids, learn


def pack(prefix_ids: Sequence[int], turns: Sequence[tuple[Sequence[int], Sequence[bool]]]) -> Packed:
    """A prefix and several turns (each from `turn` or `talk`) about it in one sequence.

    The loss, a mean over learnt tokens, and its gradients are those of the turns as separate examples, each
    after its own copy of the prefix; the prefix is computed once.
    """
    shared = len(prefix_ids)
    ids = list(prefix_ids)
    labels = [IGNORE_INDEX] * shared
    where = list(range(shared))
    branch = [0] * shared
    for index, (turn_ids, learn) in enumerate(turns, start=1):
        ids += turn_ids
        labels += [token if learnt else IGNORE_INDEX for token, learnt in zip(turn_ids, learn, strict=True)]
        where += range(shared, shared + len(turn_ids))
        branch += [index] * len(turn_ids)
    of = torch.tensor(branch)
    sees = (of[:, None] == of[None, :]) | (of[None, :] == 0)
    causal = torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    return Packed(torch.tensor(ids), torch.tensor(labels), torch.tensor(where), sees & causal)


def batch(packed: Sequence[Packed], pad_id: int) -> dict[str, Tensor]:
    """Packed sequences as one batch for the model, padded on the right.

    input_ids, labels, position_ids: [batch, tokens]; attention_mask: [batch, 1, tokens, tokens], boolean.
    """
    longest = max(len(item) for item in packed)
    ids = torch.full((len(packed), longest), pad_id)
    labels = torch.full((len(packed), longest), IGNORE_INDEX)
    where = torch.zeros(len(packed), longest, dtype=torch.long)
    mask = torch.eye(longest, dtype=torch.bool).repeat(len(packed), 1, 1)
    for row, item in enumerate(packed):
        n = len(item)
        ids[row, :n], labels[row, :n], where[row, :n] = item.input_ids, item.labels, item.position_ids
        mask[row, :n, :n] = item.attention_mask
    return {"input_ids": ids, "labels": labels, "position_ids": where, "attention_mask": mask[:, None]}


def _clips(tokenizer: PreTrainedTokenizerBase, positions: int | Sequence[int] | None) -> list[int]:
    """Ids of the clips before a question, each on a line of its own."""
    each = [positions] if isinstance(positions, int) else positions or ()
    return [i for n in each for i in (*places(tokenizer, n), *_template(tokenizer, "\n"))]


def _template(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of our own words, special tokens included."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def _words(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of somebody's words; what looks like a special token is spelled out."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    return ids


def beginning(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The beginning-of-sequence token, where this tokenizer writes one."""
    start: list[int] = tokenizer.encode("")[:1]
    return start if start == [tokenizer.bos_token_id] else []
