"""The taggers' first layers, cheap, say what the convolutions say as they are written."""

import pytest
import torch
from torch import nn

from llark.networks.fronts import BANDS, Front, TemporalFront, TimbralFront

FRAMES = 70  # more than are multiplied at once


def grids() -> torch.Tensor:
    return torch.randn(2, FRAMES, BANDS, generator=torch.Generator().manual_seed(3))


def norm_that_turns_some_round(filters: int) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(filters).eval().requires_grad_(False)
    norm.weight.copy_(torch.linspace(-1, 1, filters))
    norm.running_mean = torch.linspace(0, 1, filters)
    return norm


def plain(heard: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    """[batch, filters, frames, places] → the highest of the normalised places."""
    normed: torch.Tensor = norm(heard.relu().flatten(2)).view(heard.shape).amax(3)
    return normed


@torch.inference_mode()
@pytest.mark.parametrize("height", [38, 67, 96])
def test_filters_on_the_transform_of_frequency_are_filters_that_slide(height: int) -> None:
    torch.manual_seed(5)
    conv, norm = nn.Conv2d(1, 6, (7, height)), norm_that_turns_some_round(6)
    slid = plain(conv(nn.functional.pad(grids()[:, None], (0, 0, 3, 3))), norm)
    assert slid.std() > 0.1
    assert (TimbralFront(conv, norm)(grids()) - slid).abs().max() < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize("size", [128, 33])
def test_filters_along_time_are_convolutions_along_time(size: int) -> None:
    torch.manual_seed(5)
    conv, norm = nn.Conv1d(1, 6, size), norm_that_turns_some_round(6)
    along = nn.functional.pad(grids(), (0, 0, (size - 1) // 2, size // 2))
    slid = conv(along.transpose(1, 2).flatten(0, 1)[:, None]).view(2, BANDS, 6, FRAMES).permute(0, 2, 3, 1)
    assert (TemporalFront(conv, norm)(grids()) - plain(slid, norm)).abs().max() < 1e-5


def test_a_single_frame_and_none_at_all_are_heard() -> None:
    front: Front = TimbralFront(nn.Conv2d(1, 6, (7, 38)), norm_that_turns_some_round(6))
    assert front(grids()[:, :1]).shape == (2, 6, 1)
    assert front(grids()[:1, :33]).shape == (1, 6, 33)
