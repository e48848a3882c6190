"""The small random Jukebox models of the goldens, converted from files in the format of the released ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from llark.embed.jukebox import convert
from llark.embed.jukebox.sizes import PriorSizes, Sizes, VQSizes
from tests.embed.jukebox_goldens import MODELS, TIME_BINS, VQ


def sizes_of(name: str) -> Sizes:
    model = MODELS[name]
    prior = PriorSizes(
        context=model["context"],
        width=model["width"],
        depth=model["depth"],
        heads=model["heads"],
        blocks=model["blocks"],
        attention_width=model["width"] // 4,
        mlp_width=model["width"],
        codes=VQ["codes"],
        time_bins=TIME_BINS,
    )
    return Sizes(
        VQSizes(width=VQ["width"], depth=VQ["depth"], code_width=VQ["code_width"], codes=VQ["codes"]), prior
    )


def checkpoint(goldens: dict[str, np.ndarray], name: str, part: str) -> dict[str, torch.Tensor]:
    prefix = f"{name}/{part}/"
    return {
        key.removeprefix(prefix): torch.from_numpy(value)
        for key, value in goldens.items()
        if key.startswith(prefix)
    }


def converted(goldens: dict[str, np.ndarray], name: str, folder: Path) -> Path:
    """The folder of a converted model; its checkpoints lie beside it."""
    for part in ("vqvae", "prior"):
        page = {"model": checkpoint(goldens, name, part), "hps": {"sr": 44100}, "opt": None, "step": 3}
        torch.save(page, folder / f"{part}.pth.tar", _use_new_zipfile_serialization=False)
    convert.convert(folder / "vqvae.pth.tar", folder / "prior.pth.tar", folder / "model", sizes_of(name))
    return folder / "model"
