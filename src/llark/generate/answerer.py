"""A trained model that answers in its own words: one song, or many clips at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature

from llark.errors import QuestionTooLong
from llark.model.checkpoint import load_adapter


@dataclass(frozen=True, eq=False)
class ModelQuestion:
    """One question. `frames` is [frames, width], or `None` to ask without audio; `facts` the line of
    measured facts that the model is shown, or `None` to let it answer from the frames alone."""

    question: str
    frames: np.ndarray | None
    facts: str | None = None


@dataclass(frozen=True)
class AnswerConfig:
    """Greedy decoding: an answer is the likeliest words, so that asking again gives the same."""

    most_tokens: int = 96
    batch: int = 16


class Answerer:
    """A trained model, ready to answer."""

    def __init__(self, model: Any, processor: Any, config: AnswerConfig | None = None) -> None:
        self.model = model.eval()
        self.processor = processor
        self.config = config or AnswerConfig()

    @classmethod
    def load(
        cls,
        folder: Path,
        config: AnswerConfig | None = None,
        *,
        base: Path | None = None,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> Answerer:
        """The model of a folder that this package has written, around its base (or the one given), which is
        fetched first if this is the first time. Raises `UserMustAct` where either is not available."""
        from transformers.utils import logging

        logging.disable_progress_bar()  # the base's own bar, of a second
        model, processor = load_adapter(folder, base, dtype=getattr(torch, dtype))
        processor.tokenizer.model_max_length = int(1e30)  # `refuse_long` says it better than a warning
        return cls(model.to(device), processor, config)

    def __call__(
        self, asked: Sequence[ModelQuestion], tick: Callable[[int], None] | None = None
    ) -> list[str]:
        """The answers, in order. Like lengths are decoded together; `tick` gets how many are done."""
        order = sorted(range(len(asked)), key=lambda i: _length(asked[i]))
        answers = [""] * len(asked)
        for start in range(0, len(order), self.config.batch):
            rows = order[start : start + self.config.batch]
            for row, text in zip(rows, self._generate([asked[i] for i in rows]), strict=True):
                answers[row] = text
            if tick is not None:
                tick(start + len(rows))
        return answers

    def refuse_long(self, questions: Sequence[str]) -> None:
        """Raises `QuestionTooLong` for one that the model cannot read, whatever it is about."""
        for question in questions:
            self._inputs([ModelQuestion(question, None)])

    def _inputs(self, asked: Sequence[ModelQuestion]) -> BatchFeature:
        inputs = self.processor(
            [one.question for one in asked], [one.frames for one in asked], [one.facts for one in asked]
        )
        tokens, answer = inputs["input_ids"].shape[1], self.config.most_tokens
        room = getattr(self.model.config.text_config, "max_position_embeddings", None)
        if room and tokens + answer > room:
            raise QuestionTooLong(
                f"The question is too long: with its audio it is {tokens:,} tokens, and the model reads "
                f"{room - answer:,} before an answer of {answer}."
            )
        return inputs

    @torch.inference_mode()
    def _generate(self, asked: Sequence[ModelQuestion]) -> list[str]:
        inputs = self._inputs(asked).to(self.model.device)
        config = self.model.config
        # Bases with more rows than words could say a token that stands for audio, and then could not read it.
        never = [config.audio_start_id, config.audio_patch_id, config.audio_end_id]
        generated = self.model.generate(
            **inputs, do_sample=False, max_new_tokens=self.config.most_tokens, suppress_tokens=never
        )
        return self.processor.decode_answers(generated, inputs["input_ids"].shape[1])


def _length(asked: ModelQuestion) -> int:
    """About how long the prompt is, so that like goes with like."""
    audio = 0 if asked.frames is None else 4 * len(asked.frames)
    return audio + len(asked.facts or "") + len(asked.question)
