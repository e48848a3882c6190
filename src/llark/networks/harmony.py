"""Key and chords, by this project's own nets.

They read what the chord net says (`chord`): triads, bass and pitch classes, on a circle of twelve. Every
layer treats the twelve alike, so that a piece in another key gives the same, moved: what is learned of one
key holds for all. One reader tells the chord of a frame from the frame and its surroundings, another the key
of a clip from what sounds in it, what follows what, and how steadily.

Trained by `scripts/train_harmony.py` on the open corpus alone; Apache-2.0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from llark.networks import chord, frozen, read_weights

STEP_FRAMES = 4
"""Frames of the chord net that are averaged into one."""
FRAMES_PER_SECOND = chord.FRAMES_PER_SECOND / STEP_FRAMES
QUALITIES = ("maj", "min", "7", "maj7", "min7", "dim")
CHORDS = 12 * len(QUALITIES) + 1
"""Each of `QUALITIES` on twelve roots, then no chord."""
KEYS = 25
"""Twelve major ones, twelve minor ones, none."""
CIRCLES = 4 + len(chord.TRIADS)
"""Values of each pitch class: its share of the sound, how it stands out, its share of the bass, the bass that
the chord net gives, and that net's triads."""
PLAIN = 3 + len(chord.SEVENTHS)
"""Values of a frame as a whole: loudness, no triad, no bass, sevenths."""
INPUT_WIDTH = 12 * CIRCLES + PLAIN

SURROUNDINGS = ((-1, 1), (-4, 4), (-9, -2), (2, 9), (-16, 16))
"""First and last frame, from the one in question, of the stretches that are averaged for its chord."""
CHORD_LAGS = (6, 12, 24)
"""Frames (0.6, 1.1 and 2.2 s) after which it is asked which chord has followed which …"""
NOTE_LAGS = (3, 6)
"""… and which pitch class."""
STRONGEST = 0.1
"""Share of the frames, for each value the highest, that are averaged."""
FRAME_ROWS = (2 + len(SURROUNDINGS)) * CIRCLES + PLAIN
CLIP_ROWS = 4 * CIRCLES + 48 * len(CHORD_LAGS) + 12 * len(NOTE_LAGS) + 2 * PLAIN + CIRCLES
_STANDING, _TRIADS = 1, 4


@dataclass(frozen=True, eq=False)
class HarmonyOutput:
    """`chords` is [frames, CHORDS], probabilities at 43.07 frames a second, as the chord net's frames;
    `key` is [KEYS], probabilities in the order of `records.KEYS` and then of none.
    """

    chords: np.ndarray
    key: np.ndarray


def evidence(output: chord.ChordOutput) -> np.ndarray:
    """[frames, INPUT_WIDTH] float32 at a quarter of the chord net's rate: what is read of one clip."""
    sums = output.chroma.sum(axis=1, keepdims=True)
    loudest = max(float(sums.max(initial=0.0)), 1e-6)
    peaks = np.maximum(0.0, output.chroma - np.median(output.chroma, axis=1, keepdims=True))
    parts = [
        chord.chroma_profile(output.chroma),
        np.sqrt(peaks / (peaks.sum(axis=1, keepdims=True) + 0.05 * loudest)),
        chord.chroma_profile(output.bass_chroma),
        output.bass[:, 1:],
        output.triad[:, 1:],
        np.sqrt(sums / loudest),
        output.triad[:, :1],
        output.bass[:, :1],
        output.seventh,
    ]
    rows = np.concatenate(parts, axis=1, dtype=np.float32)
    whole = len(rows) // STEP_FRAMES * STEP_FRAMES
    means = rows[:whole].reshape(-1, STEP_FRAMES, rows.shape[1]).mean(axis=1)
    return np.concatenate([means, rows[whole:].mean(axis=0, keepdims=True)]) if whole < len(rows) else means


def of_frames(rows: np.ndarray) -> np.ndarray:
    """`evidence` → [frames, FRAME_ROWS, 12]: each frame, what is around it, and the clip's mean."""
    circles, plain = _apart(rows)
    sums = np.concatenate([np.zeros_like(circles[:1]), np.cumsum(circles, axis=0, dtype=np.float64)])
    here, count = np.arange(len(circles)), len(circles)
    around = []
    for first, last in SURROUNDINGS:
        start, stop = (here + first).clip(0, count), (here + last + 1).clip(0, count)
        around.append((sums[stop] - sums[start]) / np.maximum(stop - start, 1)[:, None, None])
    mean = np.broadcast_to(circles.mean(axis=0), circles.shape)
    return np.concatenate([circles, *around, mean, _everywhere(plain)], axis=1, dtype=np.float32)


def of_clip(rows: np.ndarray) -> np.ndarray:
    """`evidence` → [CLIP_ROWS, 12]: what sounds in the clip, and what follows what."""
    circles, plain = _apart(rows)
    loudness = plain[:, :1, None] ** 2
    strongest = np.sort(circles, axis=0)[-max(1, round(STRONGEST * len(circles))) :]
    mean = circles.mean(axis=0)
    parts = [
        mean,
        (circles * loudness).sum(axis=0) / max(float(loudness.sum()), 1e-6),
        circles.std(axis=0),
        strongest.mean(axis=0),
        *(_follows(chord.major_and_minor(circles[:, _TRIADS:]), lag) for lag in CHORD_LAGS),
        *(_follows(circles[:, _STANDING : _STANDING + 1] ** 2, lag) for lag in NOTE_LAGS),
        _everywhere(np.concatenate([plain.mean(axis=0), plain.std(axis=0), mean.std(axis=1)])),
    ]
    return np.concatenate(parts, dtype=np.float32)


def _apart(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[frames, CIRCLES, 12] and [frames, PLAIN]."""
    circles = rows[:, : 12 * CIRCLES].reshape(len(rows), CIRCLES, 12)
    return circles.astype(np.float32), rows[:, 12 * CIRCLES :].astype(np.float32)


def _everywhere(plain: np.ndarray) -> np.ndarray:
    """[…, rows] → [… , rows, 12]: the same for each pitch class."""
    return np.repeat(plain[..., None], 12, axis=-1)


def _follows(kinds: np.ndarray, lag: int) -> np.ndarray:
    """[frames, kinds, 12] → [kinds * 12 * kinds, 12]: how much of each pitch class there is `lag` frames
    after one of another kind, so many semitones under it."""
    frames, count, _ = kinds.shape
    before, after = kinds[: max(frames - lag, 0)], kinds[lag:]
    pairs = before.reshape(-1, count * 12).T @ after.reshape(-1, count * 12) / max(frames - lag, 1)
    to = np.arange(12)
    moves = pairs.reshape(count, 12, count, 12)[:, (to - to[:, None]) % 12, :, to]
    rows: np.ndarray = np.sqrt(np.maximum(moves, 0)).transpose(2, 0, 3, 1)
    return rows.reshape(-1, 12)


class Circle(nn.Module):
    """[batch, rows, 12] → the same with other rows: each pitch class reads all twelve, by how far they are
    under it."""

    def __init__(self, rows: int, out: int) -> None:
        super().__init__()
        bound = (12 * rows) ** -0.5
        self.weight = nn.Parameter(torch.empty(rows, out, 12).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(out))
        self.under = (torch.arange(12) - torch.arange(12)[:, None]) % 12

    def forward(self, inputs: Tensor) -> Tensor:
        """For a few, the pitch classes are turned round instead of the weights, of which there are more."""
        if len(inputs) < self.weight.shape[1]:
            turned = inputs[:, :, self.under.T].transpose(1, 2).flatten(2)
            return (turned @ self.weight.transpose(1, 2).flatten(0, 1)).transpose(1, 2) + self.bias[:, None]
        matrix = self.weight[:, :, self.under].transpose(1, 2).reshape(12 * inputs.shape[1], -1)
        return (inputs.flatten(1) @ matrix).view(len(inputs), -1, 12) + self.bias[:, None]


class Reader(nn.Module):
    """[batch, rows, 12] → logits [batch, 12 * kinds + 1]: `kinds` things on each pitch class, then none."""

    def __init__(self, rows: int, kinds: int, width: int, forget: float, dropout: float) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(rows, 1))
        self.deviation = nn.Buffer(torch.ones(rows, 1))
        self.temperature = nn.Buffer(torch.ones(()))
        self.forget = nn.Dropout1d(forget)
        self.dropout = nn.Dropout(dropout)
        self.enter = Circle(rows, width)
        self.kinds = Circle(width, kinds)
        self.none = nn.Linear(width, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        normal = ((inputs - self.mean) / self.deviation).clamp(-8, 8)
        state = self.dropout(functional.gelu(self.enter(self.forget(normal))))
        logits = torch.cat([self.kinds(state).flatten(1), self.none(state.mean(2))], dim=1)
        return logits / self.temperature


class TinyHarmony(nn.Module):
    """One net: a reader of keys and one of chords."""

    def __init__(self) -> None:
        super().__init__()
        self.key = Reader(CLIP_ROWS, 2, width=24, forget=0.3, dropout=0.5)
        self.chords = Reader(FRAME_ROWS, len(QUALITIES), width=24, forget=0.1, dropout=0.2)


@dataclass(frozen=True)
class HarmonyNet:
    """The nets of the weights, their probabilities averaged. Build one with `HarmonyNet.load()`."""

    nets: list[TinyHarmony]

    @classmethod
    def load(cls) -> HarmonyNet:
        """The nets with the weights that come with this package, `{number}.{parameter}` in the file."""
        weights = read_weights("harmony")
        nets = [TinyHarmony() for _ in {name.partition(".")[0] for name in weights}]
        frozen(nn.ModuleList(nets), weights)
        return cls(nets)

    @torch.inference_mode()
    def __call__(self, output: chord.ChordOutput) -> HarmonyOutput:
        """Where nothing sounds, there is no key."""
        if not len(output.chroma):
            return HarmonyOutput(np.zeros((0, CHORDS), np.float32), np.eye(KEYS, dtype=np.float32)[-1])
        rows = evidence(output)
        frames = torch.from_numpy(of_frames(rows))
        clip = torch.from_numpy(of_clip(rows))[None]
        chords = torch.stack([net.chords(frames).softmax(1) for net in self.nets]).mean(0)
        key = torch.stack([net.key(clip)[0].softmax(0) for net in self.nets]).mean(0)
        return HarmonyOutput(at_every_frame(chords.numpy(), len(output.chroma)), key.numpy())


def at_every_frame(rows: np.ndarray, frames: int) -> np.ndarray:
    """[n, width] at a quarter of the chord net's rate → [frames, width] at its rate, between neighbours."""
    place = ((np.arange(frames) + 0.5) / STEP_FRAMES - 0.5).clip(0, len(rows) - 1)
    before = place.astype(int)
    after = np.minimum(before + 1, len(rows) - 1)
    share = (place - before).astype(np.float32)[:, None]
    return rows[before] * (1 - share) + rows[after] * share
