"""`llark train` and `llark import-checkpoint`: the command line of training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from llark.errors import UserMustAct


def train(
    recipe: Path,
    *overrides: str,
    data: Annotated[list[str] | None, Parameter(negative=())] = None,
    out: Path | None = None,
    base: Path | None = None,
    device: str | None = None,
    plan: Annotated[bool, Parameter(negative=())] = False,
    smoke: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Train the model of a recipe. Run again to go on; start it with torchrun for several GPUs or nodes.

    Parameters
    ----------
    recipe
        A YAML file such as recipes/llark-7b.yaml.
    overrides
        Values of the recipe to change, each as dotted.key=value.
    data
        Folders with exchanges and embeddings, and clips with their splits: what instruct, embed, prepare or
        build have filled.
    out
        Folder for checkpoints, log and, in the end, OUT/model.
    base
        A folder with the base language model, in place of the recipe's.
    device
        cpu, cuda, cuda:1 …; a GPU if there is one.
    plan
        Only say what it takes: parameters, memory, hours, money. --data makes it more exact.
    smoke
        Only ten steps, with a tiny base and tiny frames of chance.
    """
    from llark.pipeline import train as walk

    if plan:
        print(walk.plan(recipe, data or (), overrides=overrides))
        return
    if out is None:
        raise UserMustAct("Say where the model is to be made: --out DIR.")
    if smoke:
        said = walk.smoke(recipe, out, overrides=overrides, device=device)
    elif data:
        said = walk.train(recipe, data, out, overrides=overrides, base=base, device=device)
    else:
        raise UserMustAct("Say what to train on: --data DIR … with exchanges and embeddings; or try --smoke.")
    if said:
        print(said)


def import_checkpoint(
    folder: Path,
    *,
    out: Path,
    tokenizer: Path | None = None,
    dtype: Literal["float16", "bfloat16", "float32"] = "float16",
) -> None:
    """Turn a checkpoint of the published training code into a model folder. No code in it is run.

    Parameters
    ----------
    folder
        A checkpoint-… folder: config.json, tokenizer, and pytorch_model*.bin or model*.safetensors.
    out
        Folder for the model; llark ask --model and from_pretrained read it.
    tokenizer
        Folder of the tokenizer, where it is not beside the weights.
    dtype
        Of the weights.
    """
    from llark.pipeline import train as walk

    print(walk.import_checkpoint(folder, out, tokenizer, dtype))
