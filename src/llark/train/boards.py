"""What a person sees of a run: a bar or lines on the terminal, and TensorBoard's files if asked for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llark import engine
from llark.errors import UserMustAct
from llark.train.team import Team
from llark.train.tune import Told

if TYPE_CHECKING:
    from llark.tuning import Tune


class Board:
    """Called with what the loop tells after each step."""

    def __init__(self, folder: Path, tune: Tune, crew: Team) -> None:
        self._tick = engine.Ticker("train", tune.steps, show=crew.leads)
        self._writer = _tensorboard(folder / "tensorboard") if tune.tensorboard and crew.leads else None

    def __call__(self, told: Told) -> None:
        heard = "" if told.validation_loss is None else f", validation {told.validation_loss:.3f}"
        memory = "" if told.memory_gb is None else f", {told.memory_gb:.1f} GB"
        speed = f"{told.tokens_per_second:.0f} tokens/s, {told.clips_per_second:.1f} clips/s"
        self._tick(told.step, f"loss {told.loss:.3f}{heard}, {speed}{memory}")
        if self._writer is not None:
            for name, value in asdict(told).items():
                if name != "step" and value is not None:
                    self._writer.add_scalar(name, value, told.step)

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *error: object) -> None:
        self._tick.__exit__(*error)
        if self._writer is not None:
            self._writer.close()


def check(tune: Tune) -> None:
    """Raises `UserMustAct` where TensorBoard is asked for and not there."""
    if tune.tensorboard:
        _writer()


def _tensorboard(folder: Path) -> Any:
    return _writer()(str(folder))


def _writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserMustAct(
            'tune.tensorboard needs the extra: pip install "llark[tensorboard]"; or set it to false.'
        ) from error
    return SummaryWriter
