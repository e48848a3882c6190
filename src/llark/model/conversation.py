"""The conversation formats: token ids and the loss mask, in one pass, in training and when asked.

`chatml`: a prefix (the audio and the measured facts), then turns. Each piece is tokenised by itself, so that
the same words have the same ids whatever stands beside them. `published`: that of the published training
code, so that checkpoints made with it can be asked; the text between two clips is tokenised as a whole, as it
was there. What people write is never read as a special token.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal
from weakref import WeakKeyDictionary

from transformers import PreTrainedTokenizerBase

from .config import AUDIO_END, AUDIO_PATCH, AUDIO_START, AUDIO_TOKENS

Style = Literal["chatml", "published"]

TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"

SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
"""What every conversation in the published format begins with."""

PUBLISHED_END = "\n###"
"""What ends an answer in the published format: it has no token for it."""


@dataclass(frozen=True)
class Turn:
    """One question and its answer."""

    question: str
    answer: str | None = None
    """`None`: the answer is to come."""
    clips: tuple[int, ...] = ()
    """How many positions each clip takes that comes with the question."""
    clips_last: bool = False
    """The clips come after the question (the published training has both)."""


@dataclass(frozen=True)
class Tokenized:
    """A conversation as token ids. All lists run along its tokens."""

    ids: list[int]
    learn: list[bool]
    """Whether the token is supervised: those of answers and their ends are."""
    branch: list[int]
    """Number of the question that the token belongs to, from 1 on, where questions do not see each other; 0:
    the token is seen by all that come after it."""

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, ids: Sequence[int], learn: bool = False, branch: int = 0) -> None:
        """Lengthens the lists, while the conversation is written."""
        self.ids.extend(ids)
        self.learn.extend([learn] * len(ids))
        self.branch.extend([branch] * len(ids))


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


def stop_sequences(tokenizer: PreTrainedTokenizerBase, style: Style) -> list[list[int]]:
    """Ids after which an answer is over, where no single token says so."""
    if style != "published":
        return []
    sequences: list[list[int]] = []
    for before in (".", "a", "4"):  # the mark's ids depend on what stands before it
        alone = tokenizer.encode(before, add_special_tokens=False)
        ended = tokenizer.encode(before + PUBLISHED_END, add_special_tokens=False)
        if ended[: len(alone)] == alone and ended[len(alone) :] not in sequences:
            sequences.append(ended[len(alone) :])
    return sequences


def answer_of(text: str, style: Style) -> str:
    """Generated text without what comes after the answer."""
    return (text.split("###")[0] if style == "published" else text).strip()


def compose(
    tokenizer: PreTrainedTokenizerBase,
    turns: Sequence[Turn],
    style: Style = "chatml",
    facts: str | None = None,
    *,
    independent: bool = False,
) -> Tokenized:
    """A conversation as ids and mask. `facts`: a line of measured facts, shown with the first question.

    `independent`: each turn is the first of a conversation of its own about the clips and facts of the first
    turn; the loss over all, and its gradients, are those of as many separate examples (chatml only).
    """
    if not turns:
        raise ValueError("a conversation has at least one question")
    if style == "published":
        return _published(tokenizer, turns, facts)
    written = _beginning(tokenizer)
    written.add(_template(tokenizer, f"{TURN_START}user\n"))
    _add_clips(tokenizer, written, turns[0].clips)
    if facts:
        written.add(spell_out(tokenizer, f"Measured: {facts.strip()}").ids)
        written.add(_template(tokenizer, "\n"))
    for number, turn in enumerate(turns):
        branch = number + 1 if independent else 0
        if number and not independent:  # its own beginning and clips: those of the first are in the prefix
            written.add(_template(tokenizer, f"\n{TURN_START}user\n"))
            _add_clips(tokenizer, written, turn.clips)
        question = [*spell_out(tokenizer, turn.question.strip()).ids, turn_end_id(tokenizer)]
        written.add(question, branch=branch)
        written.add(_template(tokenizer, f"\n{TURN_START}assistant\n"), branch=branch)
        if turn.answer is not None:
            answer = [*spell_out(tokenizer, turn.answer.strip()).ids, turn_end_id(tokenizer)]
            written.add(answer, learn=True, branch=branch)
    return written


def fit(tokenizer: PreTrainedTokenizerBase, written: Tokenized, most_tokens: int) -> Tokenized | str:
    """A conversation cut to `most_tokens`, or the reason why it must be dropped: `audio-cut` where a clip
    would lose a position or its end, `answer-cut` where nothing would be left to learn, `no-answer` where
    nothing was."""
    if not any(written.learn):
        return "no-answer"
    if len(written) <= most_tokens:
        return written
    start, end = tokenizer.convert_tokens_to_ids([AUDIO_START, AUDIO_END])
    lost = written.ids[most_tokens:]
    if start in lost or end in lost:
        return "audio-cut"
    if not any(written.learn[:most_tokens]):
        return "answer-cut"
    return Tokenized(written.ids[:most_tokens], written.learn[:most_tokens], written.branch[:most_tokens])


def _published(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn], facts: str | None) -> Tokenized:
    text = _Text(tokenizer)
    text.write(f"{SYSTEM}\n\n### Human: ")
    for number, turn in enumerate(turns):
        if number:
            text.write(" Human: ")
        first = f"Measured: {facts.strip()}\n" if facts and number == 0 else ""
        question = first + turn.question.strip()
        if turn.clips_last:
            text.write(question)
        for clip in turn.clips:
            if turn.clips_last:
                text.write("\n")
            text.place(clip)
            if not turn.clips_last:
                text.write("\n")
        text.write(("" if turn.clips_last else question) + "\n### Assistant:")
        if turn.answer is not None:
            text.write(f" {turn.answer.strip()}{PUBLISHED_END}", learn=True)
    if turns[-1].answer is not None:
        text.write(" ")
    text.flush()
    return text.written


class _Text:
    """Text with clips in it. What is between two clips is tokenised as a whole; a token is supervised
    if the text where it begins is."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.written = _beginning(tokenizer)
        self.pieces: list[tuple[str, bool]] = []

    def write(self, text: str, learn: bool = False) -> None:
        self.pieces.append((text, learn))

    def place(self, positions: int) -> None:
        self.flush()
        self.written.add(_places(self.tokenizer, positions))

    def flush(self) -> None:
        learn = [flag for text, flag in self.pieces for _ in text]  # one a character
        encoding = spell_out(self.tokenizer, "".join(text for text, _ in self.pieces))
        self.pieces = []
        for token, (begin, _) in zip(encoding.ids, encoding.offsets, strict=True):
            self.written.add([token], learn=begin < len(learn) and learn[begin])


def _beginning(tokenizer: PreTrainedTokenizerBase) -> Tokenized:
    """A conversation that has the beginning-of-sequence token, where this tokenizer writes one."""
    written = Tokenized([], [], [])
    start: list[int] = tokenizer.encode("")[:1]
    written.add(start if start == [tokenizer.bos_token_id] else [])
    return written


def _add_clips(tokenizer: PreTrainedTokenizerBase, written: Tokenized, clips: Sequence[int]) -> None:
    """The clips before a question, each on a line of its own."""
    for positions in clips:
        written.add(_places(tokenizer, positions))
        written.add(_template(tokenizer, "\n"))


def _places(tokenizer: PreTrainedTokenizerBase, positions: int) -> list[int]:
    """Ids of one clip: the marker before it, a placeholder for each position, the marker after it."""
    if positions < 1:
        raise ValueError(f"a clip takes at least 1 audio position, found {positions}")
    start, patch, end = tokenizer.convert_tokens_to_ids([AUDIO_START, AUDIO_PATCH, AUDIO_END])
    return [start, *[patch] * positions, end]


def _template(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of our own words, special tokens included."""
    return tokenizer.encode(text, add_special_tokens=False)


_SPELLING: WeakKeyDictionary[PreTrainedTokenizerBase, Any] = WeakKeyDictionary()
"""Of each tokenizer a copy that spells special tokens out."""


def spell_out(tokenizer: PreTrainedTokenizerBase, text: str) -> Any:
    """Ids (and the characters' places) of somebody's words; what looks like a special token is spelled out.

    `encode(…, split_special_tokens=True)` would switch the tokenizer itself over and the next call back: of
    two threads that share it one would read with the other's setting. So a copy is switched, once.
    """
    if not hasattr(tokenizer, "backend_tokenizer"):  # in plain Python there is nothing to switch
        ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return SimpleNamespace(ids=ids)
    spelling = _SPELLING.get(tokenizer)
    if spelling is None:
        spelling = copy.deepcopy(tokenizer.backend_tokenizer)
        spelling.encode_special_tokens = True
        spelling.no_padding()
        spelling.no_truncation()
        _SPELLING[tokenizer] = spelling
    return spelling.encode(text, add_special_tokens=False)
