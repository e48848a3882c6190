"""The ways of writing a conversation, by name: a whole talk as ids and what is learnt, in one pass.

`chatml`: that of `llark.model.conversation`. `published`: that of the published training code, so that
checkpoints made with it can be asked; the text between two clips is tokenised as a whole, as it was there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transformers import PreTrainedTokenizerBase

from . import conversation
from .config import AUDIO_END, AUDIO_START

Style = Literal["chatml", "published"]

SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
"""What every talk in the published format begins with."""

PUBLISHED_END = "\n###"
"""What ends an answer in the published format: it has no token for it."""


@dataclass(frozen=True)
class Said:
    """One question, what is answered (`None`: the answer is to come), and how many positions each clip takes
    that is heard with it. `clips_last`: they come after the question (the published training has both)."""

    question: str
    answer: str | None = None
    clips: tuple[int, ...] = ()
    clips_last: bool = False


@dataclass(frozen=True)
class Written:
    """Token ids of a talk, and for each whether it is learnt."""

    ids: list[int]
    learn: list[bool]

    def __len__(self) -> int:
        return len(self.ids)


def compose(
    tokenizer: PreTrainedTokenizerBase,
    talk: Sequence[Said],
    style: Style = "chatml",
    facts: str | None = None,
) -> Written:
    """A talk as ids and mask. `facts`: a line of measured facts that is shown with the first question."""
    if not talk:
        raise ValueError("a talk has at least one question")
    if style == "published":
        return _published(tokenizer, talk, facts)
    ids = conversation.prefix(tokenizer, talk[0].clips, facts)
    learn = [False] * len(ids)
    for number, said in enumerate(talk):
        later = number > 0
        clips = said.clips if later else ()
        more, learnt = conversation.turn(tokenizer, said.question, said.answer, later, clips)
        ids += more
        learn += learnt
    return Written(ids, learn)


def fit(tokenizer: PreTrainedTokenizerBase, written: Written, most_tokens: int) -> Written | str:
    """A talk cut to `most_tokens`, or the reason why it must be dropped: `audio-cut` where a clip would lose
    a position or its end, `answer-cut` where nothing would be left to learn, `no-answer` where
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
    return Written(written.ids[:most_tokens], written.learn[:most_tokens])


def stop_sequences(tokenizer: PreTrainedTokenizerBase, style: Style) -> list[list[int]]:
    """Ids after which an answer is over, where no single token says so."""
    if style != "published":
        return []
    found = []
    for before in (".", "a", "4"):
        alone = tokenizer.encode(before, add_special_tokens=False)
        ended = tokenizer.encode(before + PUBLISHED_END, add_special_tokens=False)
        if ended[: len(alone)] == alone and ended[len(alone) :] not in found:
            found.append(ended[len(alone) :])
    return found


def answer_of(text: str, style: Style) -> str:
    """Generated text without what comes after the answer."""
    return (text.split("###")[0] if style == "published" else text).strip()


def _published(tokenizer: PreTrainedTokenizerBase, talk: Sequence[Said], facts: str | None) -> Written:
    text = _Text(tokenizer)
    text.write(f"{SYSTEM}\n\n### Human: ")
    for number, said in enumerate(talk):
        if number:
            text.write(" Human: ")
        first = f"Measured: {facts.strip()}\n" if facts and number == 0 else ""
        question = first + said.question.strip()
        if said.clips_last:
            text.write(question)
        for clip in said.clips:
            if said.clips_last:
                text.write("\n")
            text.hear(clip)
            if not said.clips_last:
                text.write("\n")
        text.write(("" if said.clips_last else question) + "\n### Assistant:")
        if said.answer is not None:
            text.write(f" {said.answer.strip()}{PUBLISHED_END}", learnt=True)
    if talk[-1].answer is not None:
        text.write(" ")
    return text.finish()


class _Text:
    """Text with clips in it. What is between two clips is tokenised as a whole; a token is learnt if the text
    where it begins is."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        begun = conversation.beginning(tokenizer)
        self.written = Written(begun, [False] * len(begun))
        self.pieces: list[tuple[str, bool]] = []

    def write(self, text: str, learnt: bool = False) -> None:
        self.pieces.append((text, learnt))

    def hear(self, positions: int) -> None:
        self._flush()
        ids = conversation.places(self.tokenizer, positions)
        self.written.ids.extend(ids)
        self.written.learn.extend([False] * len(ids))

    def finish(self) -> Written:
        self._flush()
        return self.written

    def _flush(self) -> None:
        learnt = [flag for text, flag in self.pieces for _ in text]
        text = "".join(text for text, _ in self.pieces)
        self.pieces = []
        found = self.tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        self.written.ids.extend(found["input_ids"])
        for begin, _ in found["offset_mapping"]:
            self.written.learn.append(begin < len(learnt) and learnt[begin])
