"""Beats, downbeats, tempo and meter, by this project's own nets.

They read the outputs of the beat and chord nets at 50 frames a second (their memories, the rise of energy in
17 bands, the change of harmony, the pitch classes and how they differ before and after each frame) through
dilated convolutions that see the whole clip, and make curves of it.
Tempo and meter are read off autocorrelations on lags of constant ratio, those of the curves and those of
pitch classes, bass and drum strokes as they are: the tempo head slides along the lags, the meter head sees
them shifted so that the beat stands still.

Trained by `scripts/train_rhythm.py` on the open corpus alone; Apache-2.0.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from llark.networks import beat, chord, frozen, read_weights

RATE = 50
"""Values a second of the curves whose periodicity is measured."""

LAGS_SECONDS = np.geomspace(0.2, 6.0, 96)
"""Lags of the autocorrelations, 19.4 to an octave: their ratio is constant, so that a change of tempo is a
shift along them."""

METERS = (2, 3, 4, 6)
SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
RHYTHM_WIDTH = beat.WIDTH + 2 + 1 + beat.RISE_BANDS + 1
REPEATING = ((RHYTHM_WIDTH - 1 - beat.RISE_BANDS, RHYTHM_WIDTH - 1), (RHYTHM_WIDTH, RHYTHM_WIDTH + 12),
             (RHYTHM_WIDTH + 12, RHYTHM_WIDTH + 24))  # fmt: skip
"""Drum strokes by band, pitch classes, and those of the bass: columns whose repetition tells the bar."""
INPUT_WIDTH = RHYTHM_WIDTH + 24
CHANGE_REACHES = (3, 8, 20)
"""Frames before and after, whose pitch classes are compared."""
CHANGES = 2 * len(CHANGE_REACHES)
LONGEST_LAG = int(1.1 * LAGS_SECONDS[-1] * RATE)
_LAGS = len(LAGS_SECONDS)
_OCTAVE = math.log(2) / math.log(LAGS_SECONDS[1] / LAGS_SECONDS[0])
_FIRST = math.ceil(math.log2(60 / FASTEST_BPM / LAGS_SECONDS[0]) * _OCTAVE)
_LAST = math.floor(math.log2(60 / SLOWEST_BPM / LAGS_SECONDS[0]) * _OCTAVE)
BPM = 60 / LAGS_SECONDS[_FIRST : _LAST + 1]
"""The tempo of each tempo bin, fastest first: 3.6 % from one to the next."""


@dataclass(frozen=True, eq=False)
class RhythmOutput:
    """`activations` is [frames, 2] at 50 frames a second: the probability of any beat, and of a downbeat;
    frame *i* is centred on second `i / 50`. `tempo` is [bins], the probability of each of `BPM`; `meter` is
    [4], that of each of `METERS`.
    """

    activations: np.ndarray
    tempo: np.ndarray
    meter: np.ndarray


def evidence(beats: beat.BeatOutput, chords: chord.ChordOutput) -> np.ndarray:
    """[frames, INPUT_WIDTH] float32: what the net reads of one clip."""
    frames = len(beats.activations)
    changes = _at_rate(chord.harmonic_change(chords)[:, None], frames)
    parts = [
        beats.hidden,
        beats.activations,
        np.log1p(beats.onsets)[:, None],
        np.log1p(beats.rises),
        changes,
        _at_rate(chord.chroma_profile(chords.chroma), frames),
        _at_rate(chord.chroma_profile(chords.bass_chroma), frames),
    ]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def _at_rate(values: np.ndarray, frames: int) -> np.ndarray:
    """[n, width] at the chord net's rate → [frames, width] at 50 a second, between neighbours."""
    place = np.arange(frames) / RATE * chord.FRAMES_PER_SECOND
    before = np.minimum(place.astype(int), len(values) - 1)
    after = np.minimum(before + 1, len(values) - 1)
    share = (place - before).clip(0, 1)[:, None]
    return values[before] * (1 - share) + values[after] * share


def pitch_changes(classes: Tensor, mask: Tensor) -> Tensor:
    """[clips, frames, CHANGES]: how the pitch classes after each frame differ from those before it, then the
    bass's, for each of `CHANGE_REACHES`: −1 where they are the same, 2 where they are uncorrelated, 0 where
    there is nothing to compare.

    `classes` is [clips, frames, 24], `mask` [clips, frames], True where there is a frame.
    """
    total = functional.pad((classes * mask[..., None]).cumsum(1), (0, 0, 1, 0))
    count = mask.sum(1, keepdim=True)
    place = torch.minimum(torch.arange(classes.shape[1], device=classes.device)[None], count)

    def between(first: Tensor, last: Tensor) -> Tensor:
        """[clips, frames, 2, 12]: sums over the frames from `first` up to `last`."""
        later, earlier = (
            total.gather(1, at[..., None].expand(-1, -1, classes.shape[2])) for at in (last, first)
        )
        return (later - earlier).reshape(len(classes), -1, 2, 12)

    changes = []
    for reach in CHANGE_REACHES:
        before = between((place - reach).clamp(min=0), place)
        after = between(place, torch.minimum(place + reach, count))
        known = (before.abs().sum(3) > 1e-3) & (after.abs().sum(3) > 1e-3)
        before, after = before - before.mean(3, keepdim=True), after - after.mean(3, keepdim=True)
        same = functional.cosine_similarity(before, after, dim=3, eps=1e-4)
        changes.append(torch.where(known, 3 * (1 - same).clamp(min=1e-6).sqrt() - 1, 0.0))
    return torch.cat(changes, dim=2) * mask[..., None]


class TinyRhythm(nn.Module):
    """One net: [clips, frames, INPUT_WIDTH] → logits of beats, tempo and meter.

    The dilated convolutions run on pairs of frames, 25 a second; each state says both frames' values.
    """

    def __init__(
        self, width: int = 64, reads: int = RHYTHM_WIDTH + CHANGES + 24, *, blocks: int = 8, curves: int = 8,
        dropout: float = 0.1, forget: float = 0.2,
    ) -> None:  # fmt: skip
        """`reads` is how many columns the convolutions read: of the evidence, of its `pitch_changes`, and of
        the pitch classes. `forget` is the share of them that training leaves out, `dropout` that of a state.
        """
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(INPUT_WIDTH))
        self.deviation = nn.Buffer(torch.ones(INPUT_WIDTH))
        self.lag_weights = nn.Buffer(torch.tensor(lag_weights(LONGEST_LAG)).float())
        self.dropout = nn.Dropout(dropout)
        self.forget = nn.Dropout(forget)
        self.enter = nn.Linear(reads, width)
        self.pair = nn.Conv1d(width, width, 4, stride=2, padding=1)
        self.far = nn.ModuleList(
            nn.Conv1d(width, width, 5, padding=2 * 2**i, dilation=2**i) for i in range(blocks)
        )
        self.beats = nn.Linear(width, 2 * 2)
        self.curves = nn.Linear(width, 2 * curves)
        rows = curves + 2 + len(REPEATING)
        reach = _LAGS // 2
        self.slide = nn.Conv1d(rows, 32, 2 * reach + 1, padding=reach)
        self.tempo = nn.Conv1d(32, 1, 1)
        self.tempo_prior = nn.Parameter(torch.zeros(len(BPM)))
        self.before, self.after = round(1.8 * _OCTAVE), round(2.8 * _OCTAVE)
        self.shape = nn.Conv1d(rows, 16, 7, stride=3)
        places = (self.before + self.after - 7) // 3 + 1
        self.meter = nn.Sequential(
            nn.GELU(), nn.Flatten(), nn.Dropout(0.4), nn.Linear(16 * places, len(METERS))
        )

    def forward(self, inputs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`mask` [clips, frames] is True where there is a frame; frames are even in number.

        Returns logits [clips, frames, 2] of any beat and of a downbeat, [clips, bins] and [clips, meters].
        """
        real = mask[:, None].to(inputs.dtype)
        normal = ((inputs - self.mean) / self.deviation).clamp_(-8, 8)
        changes = pitch_changes(inputs[..., RHYTHM_WIDTH:], mask)
        read = torch.cat([normal[..., :RHYTHM_WIDTH], changes, normal[..., RHYTHM_WIDTH:]], dim=2)
        read = self.forget(read[..., : self.enter.in_features])
        entered = functional.relu(self.enter(read).transpose(1, 2)) * real
        state = functional.relu(self.pair(entered))
        pairs = real[..., ::2]
        state = self.dropout(state) * pairs
        for far in self.far:
            state = state + self.dropout(functional.relu(far(state))) * pairs
        beats = self._unpaired(self.beats, state)
        curves = torch.cat([self._unpaired(self.curves, state).tanh(), beats.sigmoid()], dim=2)
        periods = self._periods(curves.transpose(1, 2), normal.transpose(1, 2), real)
        tempo = self.tempo(functional.gelu(self.slide(self.dropout(periods))))[:, 0, _FIRST : _LAST + 1]
        tempo = tempo + self.tempo_prior
        aligned = self._aligned(periods, tempo.softmax(1))
        return beats, tempo, self.meter(self.shape(self.dropout(aligned)))

    @staticmethod
    def _unpaired(layer: nn.Module, state: Tensor) -> Tensor:
        """[clips, width, pairs] → what `layer` says of both frames of each pair: [clips, frames, values]."""
        clips, _, pairs = state.shape
        values: Tensor = layer(state.transpose(1, 2))
        return values.reshape(clips, 2 * pairs, -1)

    def _periods(self, curves: Tensor, normal: Tensor, real: Tensor) -> Tensor:
        """[clips, rows, 96] autocorrelations of curves and of what repeats, their mean over lags taken off.

        `curves` is [clips, curves, frames], `normal` [clips, INPUT_WIDTH, frames].
        """
        lags = torch.arange(LONGEST_LAG + 1, device=curves.device)
        count = real.sum(2, keepdim=True)
        alone = self._covariance(curves, count, real)
        together = [
            self._covariance(normal[:, start:stop], count, real).sum(1, keepdim=True)
            for start, stop in REPEATING
        ]
        covariance = torch.cat([alone, *together], dim=1)
        correlation = covariance / (covariance[..., :1] + 1e-3)
        periods = correlation.masked_fill(lags > 0.9 * count, 0.0) @ self.lag_weights
        return 3.0 * (periods - periods.mean(2, keepdim=True))

    @staticmethod
    def _covariance(rows: Tensor, count: Tensor, real: Tensor) -> Tensor:
        """[clips, rows, frames] → [clips, rows, lags]: the mean product of each row with itself, later."""
        centred = (rows - (rows * real).sum(2, keepdim=True) / count) * real
        size = 1 << (rows.shape[2] + LONGEST_LAG).bit_length()
        spectrum = torch.fft.rfft(centred, n=size)
        products = torch.fft.irfft(spectrum * spectrum.conj(), n=size)[..., : LONGEST_LAG + 1]
        lags = torch.arange(LONGEST_LAG + 1, device=rows.device)
        return products / (count - lags).clamp(min=1)

    def _aligned(self, periods: Tensor, tempo: Tensor) -> Tensor:
        """Autocorrelations from 1.8 octaves under the beat's lag to 2.8 over it, expected under `tempo`."""
        padded = functional.pad(periods, (self.before, self.after))
        windows = padded.unfold(2, self.before + self.after, 1)[:, :, _FIRST : _LAST + 1]
        return torch.einsum("bclw,bl->bcw", windows, tempo)


class RhythmNet:
    """Some nets, their probabilities averaged. Build one with `RhythmNet.load()`."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """`weights` maps `{number}.{parameter}` to tensors; nets may differ in width and in what they
        read."""
        count = 1 + max(int(name.partition(".")[0]) for name in weights)
        shapes = [weights[f"{number}.enter.weight"].shape for number in range(count)]
        nets = nn.ModuleList(TinyRhythm(width, reads) for width, reads in shapes)
        self.nets = frozen(nets, weights, strict=False)

    @classmethod
    def load(cls) -> RhythmNet:
        """The nets with the weights that come with this package."""
        return cls(read_weights("rhythm"))

    @torch.inference_mode()
    def __call__(self, rows: np.ndarray) -> RhythmOutput:
        """`rows` is the [frames, INPUT_WIDTH] of `evidence`, of a clip of a minute at most."""
        if not len(rows):
            even = [np.full(n, 1 / n, np.float32) for n in (len(BPM), len(METERS))]
            return RhythmOutput(np.zeros((0, 2), np.float32), *even)
        batch = torch.from_numpy(rows)[None]
        mask = torch.ones(batch.shape[:2], dtype=torch.bool)
        odd = len(rows) % 2
        batch, mask = functional.pad(batch, (0, 0, 0, odd)), functional.pad(mask, (0, odd))
        outputs = [net(batch, mask) for net in self.nets]
        return RhythmOutput(
            torch.stack([beats.sigmoid() for beats, _, _ in outputs]).mean(0)[0, : len(rows)].numpy(),
            torch.stack([tempo.softmax(1) for _, tempo, _ in outputs]).mean(0)[0].numpy(),
            torch.stack([meter.softmax(1) for _, _, meter in outputs]).mean(0)[0].numpy(),
        )


@functools.cache
def lag_weights(longest: int) -> np.ndarray:
    """[longest + 1, 96]: averages autocorrelation at whole samples into the lags of `LAGS_SECONDS`.

    Each is a triangle as wide as the distance to the neighbouring lags, and at least one sample, so that no
    peak falls between two of them. Lags beyond `longest` get no weight.
    """
    centres = LAGS_SECONDS * RATE
    reach = np.maximum(1.0, centres * (LAGS_SECONDS[1] / LAGS_SECONDS[0] - 1.0))
    samples = np.arange(longest + 1)[:, None]
    weights: np.ndarray = np.maximum(0.0, 1.0 - np.abs(samples - centres) / reach)
    weights /= np.maximum(weights.sum(axis=0), 1e-9)
    weights[:, centres + reach > longest] = 0.0
    weights.setflags(write=False)
    return weights
