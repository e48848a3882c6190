"""The recipe's section `tune`: training on talks, at any size."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def _pairs(value: object) -> object:
    """A mapping as pairs, which can be hashed."""
    return tuple(value.items()) if isinstance(value, dict) else value


class Tune(Section):
    """Training on talks, one an example, of any size: for all encoders but `mini`, on one process or many."""

    weights: Literal["full", "lora", "projector"] = Field(
        default="full",
        description="what learns beside projector and markers: the whole language model, an adapter, nothing",
    )
    quantize: Literal["none", "4bit"] = Field(
        default="none",
        description="hold the base's weights, which do not learn, in 4 bits (QLoRA); needs a GPU",
    )
    conversation: Literal["chatml", "published"] = Field(
        default="chatml", description="how questions and answers are written; see docs/train.md"
    )
    clips_last_share: float = Field(
        default=0.0, ge=0, le=1, description="share of the examples whose clip comes after the question"
    )
    turns: int = Field(default=1, ge=1, le=100, description="questions about one clip in one example")
    normalise_frames: bool = Field(
        default=True, description="give each dimension of the frames mean 0 and deviation 1"
    )
    steps: int = Field(default=1000, ge=1, description="updates of the weights")
    batch: int = Field(default=32, ge=1, description="examples in one update, all processes together")
    micro_batch: int = Field(default=2, ge=1, description="examples that a process computes at once")
    most_tokens: int = Field(default=2048, ge=16, description="longest example, its audio positions included")
    learning_rate: float = Field(
        default=5e-5, gt=0, le=1, description="of the language model, at its highest"
    )
    projector_learning_rate: float | None = Field(
        default=None, gt=0, le=1, description="of projector and markers; that of the language model if null"
    )
    schedule: Literal["cosine", "constant"] = Field(
        default="cosine", description="after the warm-up: down to nothing in a half cosine, or not at all"
    )
    warmup_share: float = Field(
        default=0.03, ge=0, le=1, description="share of the steps in which rates rise"
    )
    weight_decay: float = Field(default=0.0, ge=0, lt=1, description="of the matrices")
    clip_norm: float = Field(default=1.0, gt=0, description="longest gradient")
    precision: Literal["float32", "bfloat16"] = Field(default="bfloat16", description="of the computation")
    tf32: bool = Field(default=False, description="let GPUs multiply float32 matrices in 19 bits")
    gradient_checkpointing: bool = Field(
        default=False, description="compute layers twice rather than keep what they gave"
    )
    sharding: Literal["ddp", "fsdp"] = Field(
        default="fsdp", description="of several processes: each has all weights, or each has its part"
    )
    lora_alpha: int = Field(default=32, ge=1, description="scale of the adapter, times its rank")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1, description="share of its input that is left out")
    mixture: Annotated[tuple[tuple[str, float], ...], BeforeValidator(_pairs)] = Field(
        default=(), strict=False, description="share of each task in the examples; as they come if empty"
    )
    bucket: int = Field(
        default=16, ge=1, description="updates whose examples are sorted by length together; 1 sorts none"
    )
    packed: bool = Field(
        default=False,
        description="lay a micro batch's examples behind each other, not side by side with padding",
    )
    seed: int = Field(default=0, ge=0, description="of order, first weights and dropout")
    save_every: int = Field(default=500, ge=1, description="steps between checkpoints")
    keep: int = Field(default=1, ge=1, description="newest checkpoints that stay")
    evaluate_every: int = Field(default=500, ge=1, description="steps between losses on validation clips")
    evaluate_examples: int = Field(
        default=256, ge=0, description="most examples of that; 0 evaluates nothing"
    )
    sample_answers: int = Field(default=2, ge=0, description="answers that are written out then")
    tensorboard: bool = Field(default=False, description="also write the log for TensorBoard")
    wandb: str | None = Field(
        default=None,
        min_length=1,
        description="also write the log for Weights & Biases, as a run of this project; none if null",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.batch % self.micro_batch:
            raise ValueError(f"tune.batch {self.batch} is no multiple of tune.micro_batch {self.micro_batch}")
        if self.conversation == "chatml" and self.clips_last_share:
            raise ValueError(
                "tune.clips_last_share needs the `published` conversation; chatml has clips first"
            )
        if self.quantize != "none" and (self.weights == "full" or self.sharding == "fsdp"):
            raise ValueError(
                f"tune.quantize {self.quantize} needs weights that stay as they are and whole copies: "
                "tune.weights lora or projector, and tune.sharding ddp"
            )
        names = [name for name, _ in self.mixture]
        if any(share <= 0 for _, share in self.mixture) or len(set(names)) != len(names):
            raise ValueError("tune.mixture needs shares above 0, each for a task of its own")
        if self.mixture and abs(sum(share for _, share in self.mixture) - 1) > 1e-6:
            raise ValueError(f"tune.mixture adds up to {sum(share for _, share in self.mixture):g}, not to 1")
        return self
