"""What somebody wants of `llark evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llark.pipeline.ask import ModelOptions


@dataclass(frozen=True)
class EvaluateOptions:
    """What is evaluated, on what, and how.

    Attributes:
        model: Folder of a trained model; the bundled one if `None`.
        base: Folder of its base language model, if the model does not say where that is.
        encoder_weights: Folder or hub name of its encoder, likewise.
        device: cpu, cuda …; a GPU if there is one.
        tasks: Names of tasks; all that fit the data, if empty.
        clips: At most so many recordings of each task; 200 labelled clips, and whole files of questions,
            if `None`.
        questions: Files of questions by task; `audio` is the folder of their sounds, if they are at hand.
        conditions: Of `cases.CONDITIONS`; all that can be had, if empty.
        predictions: File of answers that are scored in place of a model's.
        endpoint: An API in place of a model of ours, with `endpoint_model`, asked only after `yes`.
        samples: Also write the answers in the sample format of lmms-eval.
    """

    model: Path | None = None
    tasks: tuple[str, ...] = ()
    clips: int | None = None
    split: str = "test"
    questions: Mapping[str, Path] | None = None
    audio: Path | None = None
    conditions: tuple[str, ...] = ()
    predictions: Path | None = None
    endpoint: str | None = None
    endpoint_model: str = ""
    key_variable: str = "OPENAI_API_KEY"
    dollars_per_minute: float | None = None
    yes: bool = False
    samples: bool = False
    workers: int = 2
    base: Path | None = None
    encoder_weights: str | None = None
    device: str | None = None

    @property
    def choice(self) -> ModelOptions:
        """The model of ours that answers."""
        return ModelOptions(self.model, self.base, self.encoder_weights, self.device)
