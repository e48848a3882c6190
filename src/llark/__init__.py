"""llark: software that listens to music and answers questions about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from llark.pipeline.ask import MusicLM

__version__ = "0.1.0"


def load(
    model: Path | str | None = None,
    *,
    base: Path | str | None = None,
    encoder_weights: str | None = None,
    device: str | None = None,
) -> MusicLM:
    """A model that can be asked about recordings, with `ask(song, *questions)`, and that embeds them, with
    `embed(song)`.

    Args:
        model: Its folder; the one in the package if not given.
        base: The folder of its base language model, if that lies elsewhere than the model says.
        encoder_weights: A folder or hub name of its encoder, likewise.
        device: cpu, cuda, cuda:1 …; a GPU if there is one.

    Raises:
        llark.errors.UserMustAct: It is no model of this package, or does not name its encoder.
    """
    from pathlib import Path

    from llark.options import ModelOptions, require
    from llark.pipeline.ask import MusicLM

    require(Path | str | None, model=model, base=base)

    def path(place: Path | str | None) -> Path | None:
        return None if place is None else Path(place)

    return MusicLM(ModelOptions(path(model), path(base), encoder_weights, device))
