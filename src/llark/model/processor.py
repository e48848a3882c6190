"""From frames, measured facts and questions to what the model takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerBase
from transformers.processing_utils import ProcessorMixin

from .config import positions_of
from .conversation import Style, Turn, add_audio_tokens, answer_of, compose, turn_end_id
from .messages import TEMPLATES, frames_of, read_messages

Dialogue = str | Sequence[tuple[str, str | None]]
"""One question, or a whole dialogue: (question, answer) pairs of which the last has no answer yet."""


RowClips = np.ndarray | Tensor | Sequence[np.ndarray | Tensor] | None
"""The audio of one row: a clip of [frames, width], several, or nothing."""


class LlarkProcessor(ProcessorMixin):  # type: ignore[misc]
    """Tokenizer, and how many positions a clip takes. The tokenizer gets the three audio tokens."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        max_audio_positions: int = 64,
        concept_positions: int = 0,
        frames_per_second: float = 10.0,
        conversation: Style = "chatml",
        chat_template: str | None = None,
    ) -> None:
        super().__init__(tokenizer, chat_template=chat_template or TEMPLATES[conversation])
        self.conversation: Style = conversation
        self.max_audio_positions = max_audio_positions
        self.concept_positions = concept_positions
        self.frames_per_second = frames_per_second
        add_audio_tokens(tokenizer)

    def positions_of(self, n_frames: int) -> int:
        """How many positions a clip of `n_frames` frames takes in the text."""
        return positions_of(n_frames, self.max_audio_positions, self.concept_positions)

    def __call__(
        self,
        questions: Dialogue | Sequence[Dialogue],
        frames: Sequence[RowClips] | np.ndarray | Tensor | None = None,
        facts: Sequence[str | None] | str | None = None,
        **_: Any,
    ) -> BatchFeature:
        """Inputs for `generate`: input_ids, attention_mask [batch, tokens], padded on the left, and, where
        there is audio, audio_frames [clips, frames, width] (float32) and audio_mask [clips, frames].

        `questions`: one, or one a row. `frames`: [frames, width] of each row's clip, a list of them for a row
        with several, `None` for one without audio; one array alone serves every row.
        `facts`: a line of measured facts for each row; one string
        alone serves every row. Raises `ValueError` where lengths disagree or a clip has no frames.
        """
        dialogues = _dialogues(questions)
        clips = _each_row(frames, len(dialogues), (np.ndarray, Tensor), "clips")
        lines = _each_row(facts, len(dialogues), (str,), "lines of facts")
        rows: list[list[int]] = []
        tensors: list[Tensor] = []
        for dialogue, given, line in zip(dialogues, clips, lines, strict=True):
            mine = [frames_of(clip) for clip in _several(given)]
            first, *later = dialogue
            places = tuple(self.positions_of(len(clip)) for clip in mine)
            turns = [Turn(*first, clips=places), *(Turn(*turn) for turn in later)]
            rows.append(compose(self.tokenizer, turns, self.conversation, line).ids)
            tensors += mine
        return self._inputs(rows, tensors)

    def apply_chat_template(
        self,
        conversation: Sequence[Any],
        chat_template: str | None = None,
        *,
        tokenize: bool = True,
        **_: Any,
    ) -> BatchFeature | str | list[str]:
        """Inputs for `generate` from a dialogue, or several, in the form that chat templates take: messages
        with a `role` (user and assistant in turn, the user last) and a `content`: text, or parts such as
        `{"type": "text", "text": …}` and `{"type": "audio", "audio": [frames, width]}`.

        `tokenize=False`: the text that the model reads, each clip as one place. Special tokens in what people
        wrote are spelled out in the ids, and stand as they are in the text.
        """
        several = bool(conversation) and not isinstance(conversation[0], Mapping)
        dialogues = list(conversation) if several else [conversation]
        if chat_template is not None or not tokenize:
            return super().apply_chat_template(
                dialogues if several else dialogues[0],
                chat_template=chat_template,
                add_generation_prompt=True,
            )
        rows: list[list[int]] = []
        tensors: list[Tensor] = []
        for messages in dialogues:
            turns, clips = read_messages(messages, self.positions_of)
            rows.append(compose(self.tokenizer, turns, self.conversation).ids)
            tensors += clips
        return self._inputs(rows, tensors)

    def _inputs(self, rows: Sequence[Sequence[int]], clips: Sequence[Tensor]) -> BatchFeature:
        inputs = _pad_left(rows, self.pad_id)
        if clips:
            inputs |= stack_frames(clips)
        return BatchFeature(inputs)

    @property
    def pad_id(self) -> int:
        """The id that fills rows up; the mask hides it."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None else turn_end_id(self.tokenizer)

    def decode_answers(self, generated: Tensor, prompt_tokens: int) -> list[str]:
        """The text after the prompt of each row of what `generate` returned."""
        texts = self.tokenizer.batch_decode(generated[:, prompt_tokens:], skip_special_tokens=True)
        return [answer_of(text, self.conversation) for text in texts]

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", "audio_frames", "audio_mask"]


def stack_frames(clips: Sequence[Tensor], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Clips of [frames, width] → audio_frames [clips, frames, width] and their audio_mask [clips, frames]."""
    longest = max(len(clip) for clip in clips)
    frames = torch.zeros(len(clips), longest, clips[0].shape[-1], dtype=dtype)
    mask = torch.zeros(len(clips), longest, dtype=torch.bool)
    for row, clip in enumerate(clips):
        frames[row, : len(clip)] = clip
        mask[row, : len(clip)] = True
    return {"audio_frames": frames, "audio_mask": mask}


def _pad_left(rows: Sequence[Sequence[int]], pad_id: int) -> dict[str, Tensor]:
    longest = max(len(row) for row in rows)
    ids = [[pad_id] * (longest - len(row)) + list(row) for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def _dialogues(questions: Dialogue | Sequence[Dialogue]) -> list[Sequence[tuple[str, str | None]]]:
    """One dialogue a row."""
    if isinstance(questions, str):
        return [[(questions, None)]]
    if not questions:
        raise ValueError("give at least one question")
    if isinstance(questions[0], tuple):
        return [questions]  # type: ignore[list-item]
    return [[(one, None)] if isinstance(one, str) else one for one in questions]  # type: ignore[misc]


def _each_row(given: Any, rows: int, alone: tuple[type, ...], name: str) -> list[Any]:
    """One value a row: none, the same for all, or as given. An array of three axes is one clip a row."""
    if given is None or (isinstance(given, alone) and getattr(given, "ndim", 2) == 2):
        return [given] * rows
    values = list(given)
    if len(values) != rows:
        raise ValueError(
            f"found {len(values)} {name} for {rows} questions; give one for each, or one for all"
        )
    return values


def _several(given: RowClips) -> list[Any]:
    """A row's clips."""
    return [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]
