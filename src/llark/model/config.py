"""What a LLark model is made of: a language model, the width of its audio frames, and how they are placed."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from transformers import AutoConfig, PretrainedConfig
from transformers.configuration_utils import SubConfigSpec

AUDIO_START = "<audio_start>"
AUDIO_PATCH = "<audio_patch>"
AUDIO_END = "<audio_end>"
AUDIO_TOKENS = (AUDIO_START, AUDIO_PATCH, AUDIO_END)
"""Placeholders in the text; their ids lie at or above the language model's own vocabulary."""


def positions_of(n_frames: int, max_audio_positions: int = 64, concept_positions: int = 0) -> int:
    """How many positions a clip of `n_frames` frames takes in the text.

    Concept positions come first; the frames get what is left, and more frames than that are averaged in time.
    """
    if n_frames < 0:
        raise ValueError(f"a clip cannot have {n_frames} frames")
    return concept_positions + min(n_frames, max_audio_positions - concept_positions)


class LlarkConfig(PretrainedConfig):  # type: ignore[misc]
    """Configuration of `LlarkForConditionalGeneration`.

    `text_config`: the configuration (or its dict, with `model_type`) of any causal language model.
    `audio_width`: width of one audio frame. `frames_per_second`: their rate, for those who make them.
    `projector`: "linear" (one layer, as published) or "mlp" (two layers with GELU between).
    `max_audio_positions`: most positions one clip may take, concept positions included.
    `concepts`: what the concept heads need to be built (see `llark.model.concepts`); empty means none.
    `audio_encoder`: what made the frames it was trained on (see `llark.embed.record`); empty: not known.
    `base_name`: the base language model by name (see `llark.model.base`) or where it lies; empty: not known.
    `lora`: `r`, `alpha`, `dropout` and `target_modules` of an adapter that is not merged; empty means none.
    `conversation`: how questions and answers are written (see `llark.model.conversation`).
    `stop_sequences`: token ids after which an answer is over, for a way of writing that has no end token.
    `audio_*_id`: the ids of the three placeholder tokens.
    """

    model_type = "llark"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama")
    }

    text_config: dict[str, Any] | PretrainedConfig | None = None
    audio_width: int = 4800
    frames_per_second: float = 10.0
    projector: Literal["linear", "mlp"] = "linear"
    max_audio_positions: int = 64
    concepts: dict[str, Any] | None = None
    conversation: Literal["chatml", "published"] = "chatml"
    stop_sequences: list[list[int]] | None = None
    audio_encoder: dict[str, Any] | None = None
    base_name: str = ""
    lora: dict[str, Any] | None = None
    audio_start_id: int | None = None
    audio_patch_id: int | None = None
    audio_end_id: int | None = None
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.concepts = self.concepts or {}
        self.lora = self.lora or {}
        self.audio_encoder = self.audio_encoder or {}
        self.stop_sequences = self.stop_sequences or []
        self.tie_word_embeddings = bool(self.text_config.tie_word_embeddings)  # type: ignore[union-attr]
        if self.audio_width < 1 or self.max_audio_positions < 1:
            raise ValueError(
                f"audio_width ({self.audio_width}) and max_audio_positions ({self.max_audio_positions}) "
                "must be at least 1"
            )
        vocabulary = int(self.text_config.vocab_size)  # type: ignore[union-attr]
        for offset, name in enumerate(("audio_start_id", "audio_patch_id", "audio_end_id")):
            if getattr(self, name) is None:
                setattr(self, name, vocabulary + offset)

    @property
    def hidden_size(self) -> int:
        """Width of the language model's embeddings."""
        return int(self.text_config.hidden_size)  # type: ignore[union-attr]
