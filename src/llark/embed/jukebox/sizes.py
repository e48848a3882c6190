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
    """Codes that it takes at once."""
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


# --- what the full model costs: counted operations and bytes, and times estimated from them ---------------

# The counts are exact for the code in this folder; the times rest on the speeds in `MACHINES`, which are the
# makers' figures times a share that large matrix products usually reach. They are estimates, not
# measurements.


@dataclass(frozen=True)
class Machine:
    name: str
    dtype: str
    operations_per_second: float
    """Of matrix products in that precision."""
    reached: float
    """The share of it that is reached."""
    memory_bytes: float


MACHINES = (
    Machine("laptop CPU, 8 cores with AVX2", "float32", 0.6e12, 0.5, 16e9),
    Machine("24 GB GPU (GeForce RTX 4090)", "bfloat16", 165e12, 0.5, 24e9),
    Machine("H100 80 GB", "bfloat16", 989e12, 0.4, 80e9),
)

_BYTES = {"float32": 4, "bfloat16": 2}


def layer_operations(sizes: PriorSizes, codes: int) -> float:
    """Multiplications and additions of one layer over so many codes, the mean of the three patterns."""
    dense = 4 * sizes.attention_width * sizes.width + 2 * sizes.width * sizes.mlp_width
    seen = (2 * sizes.block + sizes.blocks) / 3
    return 2.0 * codes * dense + 4.0 * codes * seen * sizes.attention_width


def vq_operations(sizes: VQSizes, samples: int) -> float:
    """Of the top-level encoder and the comparison with its codes."""
    total, length, channels = 0.0, float(samples), 1
    for halvings in sizes.halvings:
        for step in range(halvings):
            length /= 2
            total += 2 * length * 4 * (channels if step == 0 else sizes.width) * sizes.width
            total += sizes.depth * 2 * length * 4 * sizes.width**2
        total += 2 * length * 3 * sizes.width * sizes.code_width
        channels = sizes.code_width
    return total + 2 * length * sizes.code_width * sizes.codes


def prior_weights(sizes: PriorSizes) -> int:
    """Numbers in the layers' matrices."""
    return sizes.depth * (4 * sizes.attention_width * sizes.width + 2 * sizes.width * sizes.mlp_width)


def disk_bytes(sizes: Sizes) -> float:
    """Of a converted model: matrices in float16, the rest in float32."""
    prior = sizes.prior
    small = prior.depth * (3 * prior.attention_width + 5 * prior.width + prior.mlp_width + prior.width)
    tables = (prior.codes + prior.context + 3 * prior.time_bins + 1) * prior.width
    return 2.0 * prior_weights(prior) + 4.0 * (small + tables)


def memory_bytes(sizes: Sizes, dtype: str, batch: int) -> float:
    """At the peak: weights, tables, a state for each window, and what one layer needs beside them.

    On a CPU the weights stay on disk and are mapped: the system keeps of them what it has room for.
    """
    prior, size = sizes.prior, _BYTES[dtype]
    weights = (2.0 if dtype == "bfloat16" else 0.0) * prior_weights(prior)
    mapped = 0.0 if dtype == "bfloat16" else 4.0 * prior.width * prior.mlp_width
    tables = 4.0 * (prior.codes + 2 * prior.context) * prior.width
    state = float(prior.context * prior.width * size)
    convolutions = 3 * 4.0 * sizes.window_samples / 2 * sizes.vq.width
    return weights + mapped + tables + batch * state + max(4 * state, convolutions)


def table(sizes: Sizes | None = None, batch: int = 8) -> str:
    """Printed by `llark embed --cost`."""
    sizes = sizes or Sizes()
    window = sizes.prior.depth * layer_operations(sizes.prior, sizes.prior.context)
    window += vq_operations(sizes.vq, sizes.window_samples)
    seconds = sizes.window_samples / SAMPLE_RATE
    lines = [
        f"Jukebox, {sizes.prior.depth} layers of width {sizes.prior.width}: "
        f"{prior_weights(sizes.prior) / 1e9:.2f} G weights, {disk_bytes(sizes) / 1e9:.2f} GB on disk.",
        f"A window of {seconds:.2f} s takes {window / 1e12:.1f} T operations.",
        "",
        "| machine | precision | estimated s a window | windows an hour | GB at the peak, batch "
        f"{batch} | fits |",
        "|---|---|---|---|---|---|",
    ]
    for machine in MACHINES:
        each = window / (machine.operations_per_second * machine.reached)
        needed = memory_bytes(sizes, machine.dtype, batch)
        lines.append(
            f"| {machine.name} | {machine.dtype} | {each:.3g} | {3600 / each:,.0f} | {needed / 1e9:.1f} | "
            f"{'yes' if needed < machine.memory_bytes else 'no'} |"
        )
    reached = ", ".join(f"{machine.reached:.0%} on the {machine.name}" for machine in MACHINES)
    return "\n".join([*lines, "", f"Estimated at a share of the makers' speeds: {reached}. Not measured."])
