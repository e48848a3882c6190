"""What the full model costs: counted operations and bytes, and times estimated from them.

The counts are exact for the code in this folder; the times rest on the speeds in `MACHINES`, which are the
makers' figures times a share that large matrix products usually reach. They are estimates, not measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

from llark.embed.jukebox.sizes import SAMPLE_RATE, PriorSizes, Sizes, VQSizes


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
    hearing = 3 * 4.0 * sizes.window_samples / 2 * sizes.vq.width
    return weights + mapped + tables + batch * state + max(4 * state, hearing)


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
