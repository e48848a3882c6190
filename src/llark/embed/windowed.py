"""Networks that take a stretch at a time, as encoders of clips of any length.

A clip is cut into windows that overlap, the windows run in batches of one length, and what comes out is
joined at the middles of the overlaps and averaged onto the grid of the card.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch

from llark.embed.encoder import Card, Device, EncoderOptions, Sound


@dataclass(frozen=True, eq=False)
class WindowedNetwork:
    """What one adapter loads: a network's own numbers, and the call that runs it."""

    run: Callable[[torch.Tensor], torch.Tensor]
    """float32 [batch, samples] on the CPU → [batch, values, width] on any device, a value each `hop`."""
    sample_rate: int
    hop: int
    """Samples a value."""
    window: int
    """Values in the longest stretch that it takes at once."""
    overlap: int
    """Values that two windows share."""
    width: int
    version: str
    licence: str
    least: int = 1
    """Values that it needs at least: shorter sound is followed by silence."""

    @property
    def rate(self) -> Fraction:
        """Values a second: exact."""
        return Fraction(self.sample_rate, self.hop)


@dataclass(frozen=True)
class WindowedEncoder:
    """Made by `encoder`."""

    network: WindowedNetwork
    card: Card
    device: Device

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        """float32 [frames, width] for each clip."""
        network, pieces, spans = self.network, [], []
        for sound in sounds:
            samples = sound.at(network.sample_rate)
            total = max(1, -(-len(samples) // network.hop))
            spans.append(windows(total, network.window, network.overlap, whole=True))
            pieces += [
                _cut(samples, start, max(end, start + network.least), network.hop) for start, end in spans[-1]
            ]
        return frames_of(self._run(pieces), spans, sounds, network.rate, self.card)

    @torch.inference_mode()
    def _run(self, pieces: list[np.ndarray]) -> list[np.ndarray]:
        """[values, width] of each piece; those of one length run together."""
        rows: list[np.ndarray] = [np.empty(0)] * len(pieces)
        order = sorted(range(len(pieces)), key=lambda i: (-len(pieces[i]), i))
        while order:
            length = len(pieces[order[0]])
            chosen = [i for i in order[: self.device.batch] if len(pieces[i]) == length]
            order = order[len(chosen) :]
            output = self.network.run(torch.from_numpy(np.stack([pieces[i] for i in chosen])))
            for i, values in zip(chosen, output.float().cpu().numpy(), strict=True):
                rows[i] = values
        return rows


def _cut(samples: np.ndarray, start: int, end: int, hop: int) -> np.ndarray:
    """Samples of the values [start, end), followed by silence where there are too few."""
    piece = samples[start * hop : end * hop]
    return np.pad(piece, (0, (end - start) * hop - len(piece)))


def _fit(values: np.ndarray, count: int) -> np.ndarray:
    """Exactly so many values: a network without padding gives one or two too few, and repeats its last."""
    if len(values) >= count:
        return values[:count]
    return np.concatenate([values, np.repeat(values[-1:], count - len(values), axis=0)])


def encoder(name: str, network: WindowedNetwork, settings: EncoderOptions, device: Device) -> WindowedEncoder:
    """The encoder around a network. Raises `UserMustAct` where the rate is not available."""
    card = Card(
        name=name,
        version=device.version(network.version),
        sample_rate=network.sample_rate,
        width=network.width,
        frames_per_second=settings.frames_per_second(network.rate),
        window_seconds=Fraction(network.window * network.hop, network.sample_rate),
        licence=network.licence,
    )
    return WindowedEncoder(network, card, device)


# --- time grids: windows that cover a clip, and frames of one rate averaged into those of another ---------

# All borders are exact fractions of a second until the last step.


def frame_count(duration_seconds: Fraction, frames_per_second: Fraction) -> int:
    """Frames that cover a duration: at least one, the last one covered in part only."""
    return max(1, math.ceil(duration_seconds * frames_per_second))


def regrid(
    values: np.ndarray, rate: Fraction, duration_seconds: Fraction, frames_per_second: Fraction
) -> np.ndarray:
    """Averages values that each hold for 1 / rate seconds into frames of another rate.

    Args:
        values: [n, width]; value k holds for [k / rate, (k + 1) / rate) seconds, the last one to the end.
        rate: Values a second.
        duration_seconds: Of the clip; what lies after it does not count.

    Returns:
        float32 [ceil(duration * frames_per_second), width]: the mean over each frame's seconds in the clip.
    """
    frames = frame_count(duration_seconds, frames_per_second)
    if rate == frames_per_second and len(values) >= frames:
        return np.ascontiguousarray(values[:frames], dtype=np.float32)
    end = duration_seconds * rate
    borders = np.asarray([float(min(Fraction(i) / frames_per_second * rate, end)) for i in range(frames + 1)])
    values = values[: math.ceil(end)]
    before = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, dtype=np.float64, out=before[1:])
    whole = np.minimum(borders.astype(np.int64), len(values) - 1)
    sums = before[whole] + (borders - whole)[:, None] * values[whole]
    spans = np.maximum(borders[1:] - borders[:-1], 1e-9)
    return ((sums[1:] - sums[:-1]) / spans[:, None]).astype(np.float32)


def windows(total: int, window: int, overlap: int, *, whole: bool = False) -> list[tuple[int, int]]:
    """The (start, end) of windows of at most `window` that cover `total`, in any unit.

    Each next one begins `overlap` before the end of the one before it. The last one is as short as the rest
    needs; `whole`: it begins earlier instead, and is as long as the others.
    """
    if not 0 <= overlap < window:
        raise ValueError(f"an overlap of {overlap} does not fit into windows of {window}")
    spans = [(0, min(window, total))]
    while spans[-1][1] < total:
        start = spans[-1][1] - overlap
        end = min(start + window, total)
        spans.append((end - window if whole else start, end))
    return spans


def frames_of(
    values: Iterable[np.ndarray],
    spans: Sequence[list[tuple[int, int]]],
    sounds: Sequence[Sound],
    rate: Fraction,
    card: Card,
    *,
    causal: bool = False,
) -> list[np.ndarray]:
    """Each clip's frames on the grid of the card: float32 [frames, width], from the values of its windows.

    Args:
        values: [end - start, width] of each window of the first clip, then of the second one, and so on.
        spans: Each clip's windows, (start, end) in values.
        rate: Values a second.
        causal: As in `join`.
    """
    outputs = iter(values)
    frames = []
    for sound, own in zip(sounds, spans, strict=True):
        joined = join([_fit(next(outputs), end - start) for start, end in own], own, causal=causal)
        duration = sound.duration_seconds
        frames.append(regrid(joined, rate, duration, card.rate_of(duration)))
    return frames


def join(pieces: Sequence[np.ndarray], spans: Sequence[tuple[int, int]], *, causal: bool) -> np.ndarray:
    """One sequence from the outputs of windows that overlap.

    Args:
        pieces: [end - start, width] of each window.
        spans: The windows' (start, end).
        causal: A value depends on what is before it alone: then the earlier window counts to its end, else
            to the middle of the overlap.

    Returns:
        [end of the last window, width].
    """
    kept: list[np.ndarray] = []
    at = 0
    for index, (piece, (start, end)) in enumerate(zip(pieces, spans, strict=True)):
        is_last = index + 1 == len(spans)
        stop = end if is_last or causal else (spans[index + 1][0] + end) // 2
        kept.append(piece[at - start : stop - start])
        at = stop
    return np.concatenate(kept)
