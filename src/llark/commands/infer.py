"""`llark infer`: the command line of asking about frames that lie ready."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def infer(
    model: Path,
    *,
    data: Annotated[list[str], Parameter(negative=())],
    out: Path,
    prompt: str | None = None,
    split: str | None = None,
    limit: int | None = None,
    most_tokens: int = 512,
    batch: int = 16,
    device: str | None = None,
    base: Path | None = None,
    drop_share: float = 0.5,
) -> None:
    """Ask a model about frames that lie ready, and write a table of its answers. Run again to go on.

    Parameters
    ----------
    model
        Folder of a trained model, or `mini` for the one in the package.
    data
        Where the frames lie: folders that embed, instruct, prepare or build have filled, folders of .npy, or
        WebDataset tars with .npy and .json.
    out
        The table: a .csv or a .jsonl file. OUT.run beside it keeps drops, settings, and an unfinished run.
    prompt
        One question for every clip. Without it the data's own are asked: exchanges, or those in the tars.
    split
        Only clips of this split; their folder is among the data then.
    limit
        So many questions, from the first on.
    most_tokens
        Of one answer.
    batch
        Questions answered at once.
    device
        cpu, cuda, cuda:1 …; a GPU if there is one.
    base
        Folder of the base language model, if the model does not say where that is.
    drop_share
        Stop when more than this share would be lost; 1 never stops.
    """
    from llark.pipeline import infer as walk
    from llark.pipeline.ask import Choice

    wanted = walk.Wanted(prompt, split, limit, most_tokens, batch, drop_share)
    print(walk.infer(Choice(model, base=base, device=device), data, out, wanted))
