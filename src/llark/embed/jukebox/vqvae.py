"""Samples → codes: the top-level encoder of Jukebox's VQ-VAE."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from llark.embed.jukebox.sizes import VQSizes

_ROWS = 16_384
"""Frames that are compared with the codes at a time."""


class _Residual(nn.Module):
    """A dilated convolution and a pointwise one, added to what came in: [batch, width, time]."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.wide = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.point = nn.Conv1d(width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = x + self.point(functional.relu_(self.wide(functional.relu(x))))
        return added


class _Block(nn.Module):
    """Halves the rate a few times, then gives [batch, code_width, time]."""

    def __init__(self, sizes: VQSizes, channels: int, halvings: int) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for step in range(halvings):
            steps.append(
                nn.Conv1d(channels if step == 0 else sizes.width, sizes.width, 4, stride=2, padding=1)
            )
            steps += [_Residual(sizes.width, sizes.dilation_growth**depth) for depth in range(sizes.depth)]
        steps.append(nn.Conv1d(sizes.width, sizes.code_width, 3, padding=1))
        self.steps = nn.Sequential(*steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        coded: torch.Tensor = self.steps(x)
        return coded


class VQEncoder(nn.Module):
    """Always float32, so that the codes are the same on every device and in every precision."""

    def __init__(self, sizes: VQSizes) -> None:
        super().__init__()
        self.sizes = sizes
        widths = [1] + [sizes.code_width] * (len(sizes.halvings) - 1)
        self.blocks = nn.ModuleList(
            _Block(sizes, width, halvings) for width, halvings in zip(widths, sizes.halvings, strict=True)
        )
        self.codebook = nn.Buffer(torch.zeros(sizes.codes, sizes.code_width))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """float32 [batch, samples], a multiple of the hop → int64 [batch, samples / hop]."""
        x = samples[:, None]
        for block in self.blocks:
            x = block(x)
        frames = x.transpose(1, 2)
        rows = frames.reshape(-1, frames.shape[2])
        codes = torch.cat([self._nearest(rows[at : at + _ROWS]) for at in range(0, len(rows), _ROWS)])
        return codes.view(frames.shape[:2])

    def _nearest(self, rows: torch.Tensor) -> torch.Tensor:
        book = self.codebook.t()
        distance = rows.square().sum(1, keepdim=True) - 2 * (rows @ book) + book.square().sum(0, keepdim=True)
        return distance.argmin(1)

    def encode(self, samples: torch.Tensor, wanted: int, most: int | None = None) -> torch.Tensor:
        """The first codes of float32 [batch, samples], as if silence followed: [batch, wanted].

        With `most`, the recording ends after so many samples, as in the reference, whose convolutions see
        zeros there, which are not silence.
        """
        hop, have = self.sizes.hop, samples.shape[1]
        length = max(have, wanted * hop + -(-self.sizes.reach // hop) * hop)
        length = length if most is None else min(length, most)
        codes: torch.Tensor = self(functional.pad(samples, (0, length - have)))[:, :wanted]
        return codes
