"""Frozen networks shared by annotate and embed."""

from __future__ import annotations

from collections.abc import Mapping
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
    return frozen(net, read_weights(name, prefix))


def read_weights(name: str, prefix: str = "") -> dict[str, torch.Tensor]:
    """Parameter → float32 tensor of `weights/NAME.safetensors`, of those that begin with `prefix`."""
    tensors = load_file(WEIGHTS / f"{name}.safetensors")
    return {key.removeprefix(prefix): t.float() for key, t in tensors.items() if key.startswith(prefix)}


def frozen(net: Net, weights: Mapping[str, torch.Tensor], strict: bool = True) -> Net:
    """The module with these weights, in float32 and never to be trained."""
    net.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, strict=strict)
    return net.requires_grad_(False).eval()
