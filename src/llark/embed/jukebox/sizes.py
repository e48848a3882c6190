"""The sizes of Jukebox (Dhariwal et al. 2020, https://arxiv.org/abs/2005.00341), of `5b` if not said."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

SAMPLE_RATE = 44_100


@dataclass(frozen=True)
class VQSizes:
    """The top-level encoder of the VQ-VAE."""

    halvings: tuple[int, ...] = (3, 2, 2)
    """Times that each of its chained blocks halves the rate."""
    width: int = 32
    depth: int = 4
    code_width: int = 64
    codes: int = 2048
    dilation_growth: int = 3

    @property
    def hop(self) -> int:
        """Samples a code."""
        return int(2 ** sum(self.halvings))

    @property
    def reach(self) -> int:
        """Samples beyond its own that a code can depend on, on each side; rounded up."""
        reach, stride = 0, 1
        for halvings in self.halvings:
            for _ in range(halvings):
                reach += 2 * stride
                stride *= 2
                reach += stride * sum(self.dilation_growth**depth for depth in range(self.depth))
            reach += stride
        return reach


@dataclass(frozen=True)
class PriorSizes:
    """The first layers of the top-level prior."""

    context: int = 8192
    """Codes that it hears at once."""
    width: int = 4800
    depth: int = 36
    """Layers that are kept; the whole prior has 72."""
    heads: int = 8
    blocks: int = 128
    """Parts that the context is cut into."""
    attention_width: int = 1200
    mlp_width: int = 4800
    codes: int = 2048
    time_bins: int = 128
    shortest_seconds: int = 60
    longest_seconds: int = 600

    @property
    def block(self) -> int:
        """Codes in a block."""
        return self.context // self.blocks


@dataclass(frozen=True)
class Sizes:
    vq: VQSizes = VQSizes()
    prior: PriorSizes = PriorSizes()

    @property
    def code_rate(self) -> Fraction:
        """Codes a second: 344.53."""
        return Fraction(SAMPLE_RATE, self.vq.hop)

    @property
    def window_samples(self) -> int:
        """1,048,576: 23.78 s."""
        return self.prior.context * self.vq.hop
