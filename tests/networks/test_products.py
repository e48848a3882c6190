"""A layer says the same by either way of multiplying."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from llark.networks import products


@pytest.fixture
def layer() -> nn.Linear:
    torch.manual_seed(7)
    return nn.Linear(96, 64)


def frames() -> torch.Tensor:
    return torch.randn(2, 50, 96, generator=torch.Generator().manual_seed(7))


@torch.inference_mode()
def test_the_fused_product_is_the_layers(layer: nn.Linear) -> None:
    plain = layer(frames())
    assert plain.std() > 0.3
    assert (products.linear(frames(), layer) - plain).abs().max() < 1e-5
    assert (products.linear_gelu(frames(), layer) - nn.functional.gelu(plain)).abs().max() < 1e-5


@torch.inference_mode()
def test_without_onednn_the_layer_itself_is_asked(layer: nn.Linear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_has_fused", lambda: False)
    assert torch.equal(products.linear(frames(), layer), layer(frames()))
    assert torch.equal(products.linear_gelu(frames(), layer), nn.functional.gelu(layer(frames())))


def test_a_layer_that_is_trained_keeps_its_gradient(layer: nn.Linear) -> None:
    products.linear_gelu(frames(), layer).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.abs().max() > 0


@torch.inference_mode()
def test_a_fused_product_that_says_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    products._has_fused.cache_clear()
    monkeypatch.setattr(products.functional, "gelu", lambda x: x + 1)
    assert not products._has_fused()
    products._has_fused.cache_clear()
