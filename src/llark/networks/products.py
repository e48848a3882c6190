"""Products of many frames with a matrix, by the quickest way that this machine has.

oneDNN, where PyTorch was built with it, takes a tenth to a quarter less time for them than the BLAS that
`nn.Linear` calls, and adds the bias and bends the curve before the product leaves the cache.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional


def linear(x: Tensor, layer: nn.Linear) -> Tensor:
    """`layer(x)`, for a layer that is not trained any more: [… , width] → [… , other width]."""
    if _fused(x):
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, layer.weight, layer.bias, "none", [], "")
        return found
    return functional.linear(x, layer.weight, layer.bias)


def linear_gelu(x: Tensor, layer: nn.Linear) -> Tensor:
    """`gelu(layer(x))`, as `linear`."""
    if _fused(x):
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, layer.weight, layer.bias, "gelu", [], "none")
        return found
    return functional.gelu(functional.linear(x, layer.weight, layer.bias))


def _fused(x: Tensor) -> bool:
    return x.is_cpu and x.dtype == torch.float32 and _has_fused() and not torch.is_grad_enabled()


@functools.cache
def _has_fused() -> bool:
    """Whether this PyTorch has the fused product, and it says what the layer says."""
    built_in: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not built_in or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    x, weight = torch.linspace(-1, 1, 32).view(4, 8), torch.linspace(1, -1, 24).view(3, 8)
    bias = torch.linspace(-1, 1, 3)
    try:
        found = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "none")
    except (RuntimeError, TypeError):  # it is no public function: another release may want other arguments
        return False
    return torch.allclose(found, functional.gelu(functional.linear(x, weight, bias)), atol=1e-5)
