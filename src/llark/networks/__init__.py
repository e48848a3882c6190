"""Frozen networks shared by annotate and embed."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
"""Where the converted weights lie; scripts/convert_weights_*.py writes them."""

Net = TypeVar("Net", bound=torch.nn.Module)


def load_weights(net: Net, name: str, prefix: str = "") -> Net:
    """Fills a module from `weights/NAME.safetensors`, in float32, and freezes it.

    `prefix` (with its dot) picks one of several networks in the file. Raises `RuntimeError` where a name or
    a shape in the file is not the module's.
    """
    arrays = {
        key.removeprefix(prefix): array.float()
        for key, array in load_file(WEIGHTS / f"{name}.safetensors").items()
        if key.startswith(prefix)
    }
    net.load_state_dict(arrays, strict=True)
    net.requires_grad_(False)
    net.eval()
    return net
