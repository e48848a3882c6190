"""Checkpoints of a run by torch.distributed.checkpoint: each process writes its part, to a temporary name.

A checkpoint holds what learns, and the optimizer's state; it is read back by as many processes as there are
then. The folder is this package's own: it is for going on, not for passing on (`model/` is for that).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, NotRequired

from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save as write
from typing_extensions import TypedDict

from llark.errors import StoreMismatch, UserMustAct
from llark.storage import folders, stages
from llark.train.distributed import World

ABOUT = "about.json"


class About(TypedDict):
    """What a checkpoint says of itself."""

    step: int
    plan: dict[str, Any]
    files: NotRequired[dict[str, str]]
    """Their checksums; absent in older checkpoints."""


_LEARNING = StateDictOptions(ignore_frozen_params=True, strict=False)


def finished(folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    return sorted((path for path in folder.glob("checkpoint-*") if (path / ABOUT).is_file()), key=_step)


def steps_done(folder: Path) -> int:
    """The steps that the newest checkpoint has."""
    return max(map(_step, finished(folder)), default=0)


def _step(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def save(
    folder: Path, step: int, model: Any, optimizer: Any, plan: dict[str, Any], keep: int, world: World
) -> None:
    """Writes checkpoint-`step` beside, renames it, and removes all but the newest `keep`, and what a killed
    run has left."""
    scratch = folder / f".checkpoint-{step}"
    if world.is_main:
        for left in folder.glob(".checkpoint-*"):
            shutil.rmtree(left)
        scratch.mkdir(parents=True)
    world.wait()
    weights, state = get_state_dict(model, optimizer, options=_LEARNING)
    with _quiet():
        write({"model": weights, "optimizer": state}, checkpoint_id=scratch, no_dist=world.size == 1)
    world.wait()
    if world.is_main:
        files = {path.name: folders.checksum(path) for path in sorted(scratch.iterdir())}
        (scratch / ABOUT).write_text(json.dumps({"step": step, "plan": plan, "files": files}, indent=1))
        final = folder / f"checkpoint-{step}"
        folders.replace(scratch, final)
        for old in finished(folder)[:-keep]:
            shutil.rmtree(old)
    world.wait()


def resume(folder: Path, model: Any, optimizer: Any, plan: dict[str, Any], world: World) -> int:
    """Puts the newest checkpoint into model and optimizer; the steps that it has. 0: there is none.

    Raises `StoreMismatch` where the folder holds another run, `UserMustAct` where the checkpoint is damaged.
    """
    paths = finished(folder)
    if not paths:
        _refuse_old(folder)
        return 0
    path = paths[-1]
    about = folders.read_json(About, (path / ABOUT).read_bytes(), path / ABOUT)
    refuse_other(folder, about["plan"], plan)
    if world.is_main and not all(
        (path / name).is_file() and folders.checksum(path / name) == was
        for name, was in about.get("files", {}).items()
    ):
        raise UserMustAct(f"{path} is damaged; delete it, and training goes on from the one before it.")
    weights, state = get_state_dict(model, optimizer, options=_LEARNING)
    both: dict[str, Any] = {"model": weights, "optimizer": state}
    with _quiet():
        load(both, checkpoint_id=path, no_dist=world.size == 1)
    set_state_dict(
        model,
        optimizer,
        model_state_dict=both["model"],
        optim_state_dict=both["optimizer"],
        options=_LEARNING,
    )
    return about["step"]


def refuse_other(folder: Path, there: dict[str, Any], plan: dict[str, Any]) -> None:
    """Raises `StoreMismatch` where the folder's plan is another one, or that of an older release."""
    if there.keys() & {"tune", "align"}:
        _raise_old(folder)
    one, other = (
        stages.Plan(format=stages.FORMAT, stage="train", inputs=[], config=config) for config in (there, plan)
    )
    stages.refuse_other(folder, one, other)


def _refuse_old(folder: Path) -> None:
    """Raises `StoreMismatch` where an older release, which had other places for them, left checkpoints."""
    places = ("checkpoint-*/state.json", "loop/checkpoint-*/about.json", "train/loop/checkpoint-*/about.json")
    old = sorted(page.parent for place in places for page in folder.glob(place))
    if old:
        _raise_old(old[-1])


def _raise_old(place: Path) -> NoReturn:
    raise StoreMismatch(
        f"{place} was written by an older llark, and its training cannot go on in this one; name a new "
        "folder, or delete this one."
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the word that one process alone is one process alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        yield


def whole_weights(model: Any) -> dict[str, Any]:
    """Every weight of a model in parts, on the CPU of the main process; the others get nothing."""
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
