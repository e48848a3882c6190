"""What a person sees of a run: a bar or lines on the terminal, and the boards that are asked for.

TensorBoard's files lie beside the log. Weights & Biases sends nothing anywhere unless WANDB_API_KEY is in the
environment: without it the run is kept in the folder, for `wandb sync`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llark import engine
from llark.errors import UserMustAct
from llark.train.loop import Told
from llark.train.team import Team

if TYPE_CHECKING:
    from llark.tuning import Tune


class Board:
    """Called with what the loop tells after each step. `first`: the steps that were done before."""

    def __init__(self, folder: Path, tune: Tune, crew: Team, first: int = 0) -> None:
        self._tick = engine.Ticker("train", tune.steps, first, show=crew.leads)
        self._boards: list[tuple[Callable[[dict[str, float], int], None], Callable[[], None]]] = []
        if tune.tensorboard and crew.leads:
            self._boards.append(_on_tensorboard(folder / "tensorboard", first))
        if tune.wandb and crew.leads:
            self._boards.append(_on_wandb(folder, tune))

    def __call__(self, told: Told) -> None:
        heard = "" if told.validation_loss is None else f", validation {told.validation_loss:.3f}"
        memory = "" if told.memory_gb is None else f", {told.memory_gb:.1f} GB"
        speed = f"{told.tokens_per_second:.0f} tokens/s, {told.clips_per_second:.1f} clips/s"
        self._tick(told.step, f"loss {told.loss:.3f}{heard}, {speed}{memory}")
        numbers = {name: v for name, v in asdict(told).items() if name != "step" and v is not None}
        for write, _ in self._boards:
            write(numbers, told.step)

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *error: object) -> None:
        self._tick.__exit__(*error)
        for _, close in self._boards:
            close()


def check(tune: Tune) -> None:
    """Raises `UserMustAct` where a board is asked for and not there."""
    if tune.tensorboard:
        _writer()
    if tune.wandb:
        _wandb()


def _on_tensorboard(folder: Path, first: int) -> Any:
    writer = _writer()(str(folder), purge_step=first + 1)

    def write(numbers: dict[str, float], step: int) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)

    return write, writer.close


def _on_wandb(folder: Path, tune: Tune) -> Any:
    """A run of its own for each folder; it goes on where the folder does."""
    run = _wandb().init(
        project=tune.wandb,
        id=hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16],
        name=folder.name,
        dir=str(folder),
        config=tune.model_dump(mode="json"),
        mode="online" if os.environ.get("WANDB_API_KEY") else "offline",
        resume="allow",
        save_code=False,
    )
    return (lambda numbers, step: run.log(numbers, step=step)), run.finish


def _writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserMustAct(
            'tune.tensorboard needs the extra: pip install "llark[tensorboard]"; or set it to false.'
        ) from error
    return SummaryWriter


def _wandb() -> Any:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        return import_module("wandb")
    except ImportError as error:
        raise UserMustAct(
            'tune.wandb needs the extra: pip install "llark[wandb]"; or set it to null.'
        ) from error
