"""CLAP (Wu et al. 2023, https://arxiv.org/abs/2211.06687): sound in the space of words, width 512.

A clip is heard in windows of 10 s that overlap, where the published extraction takes one at a random place.
`--rate clip` gives one vector for a clip, as that extraction does, of length 1; else the network's last
values, 3.2 a second, go through the same projection one by one and onto the wanted grid. The spectrogram is
the training code's own, whatever the folder's preprocessor says: see `feature_extractor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from llark.embed import clap_weights, grid
from llark.embed.encoder import Card, Device, Sound
from llark.embed.hub import fetch, weights
from llark.embed.settings import CLIP, Settings
from llark.errors import UserMustAct

VERSION = "1"
SAMPLE_RATE = 48_000
WINDOW_SECONDS = 10
WINDOW = WINDOW_SECONDS * SAMPLE_RATE
VALUES = 32
"""Values that the network gives for a window."""

OVERLAP = 8
"""Values that two windows share, at least: 2.5 s."""

RATE = Fraction(VALUES, WINDOW_SECONDS)
MOST_RATE_ASKED = "10"
"""The usual rate, which this encoder has not: it gives its own instead."""

LICENCE = "CC0-1.0 code; the weights' own licence is not stated by their publisher"

LOWEST_HZ, HIGHEST_HZ, BANDS, FRAME, HOP = 50, 14_000, 64, 1024, 480


@dataclass(frozen=True)
class ClapEncoder:
    """Made by `load`."""

    model: Any
    features: Any
    card: Card
    frames_per_second: Fraction | None
    device: Device

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        """float32 [frames, width] for each clip; [1, width] for one vector a clip."""
        cuts = [windows(sound.at(SAMPLE_RATE)) for sound in sounds]
        pieces = [piece for one in cuts for piece in one.pieces]
        if self.frames_per_second is None:
            found = iter(self._heard(pieces, whole=True))
            return [_one([next(found) for _ in one.pieces]) for one in cuts]
        found = iter(self._heard(pieces, whole=False))
        return [
            self._frames([next(found) for _ in one.pieces], one, sound)
            for one, sound in zip(cuts, sounds, strict=True)
        ]

    def _frames(self, values: list[np.ndarray], cut: Windows, sound: Sound) -> np.ndarray:
        assert self.frames_per_second is not None
        kept = [value[: end - start] for value, (start, end) in zip(values, cut.spans, strict=True)]
        joined = grid.join(kept, cut.spans, causal=False)
        return grid.regrid(joined, RATE, sound.duration_seconds, self.frames_per_second)

    @torch.inference_mode()
    def _heard(self, pieces: list[np.ndarray], *, whole: bool) -> list[np.ndarray]:
        """[1, width] of each whole window, or [32, width] of its values."""
        heard: list[np.ndarray] = []
        for at in range(0, len(pieces), self.device.batch):
            mel = spectrogram(self.features, pieces[at : at + self.device.batch])
            given = mel.to(self.device.name, self.device.torch_dtype)
            found = self.model.audio_model(input_features=given)
            values = found.pooler_output[:, None] if whole else _in_time(found.last_hidden_state)
            projected = functional.normalize(self.model.audio_projection(values).float(), dim=-1)
            heard += list(projected.cpu().numpy())
        return heard


@dataclass(frozen=True, eq=False)
class Windows:
    """float32 [480,000] pieces of a clip, and the values [start, end) of it that each stands for."""

    pieces: list[np.ndarray]
    spans: list[tuple[int, int]]


def windows(samples: np.ndarray) -> Windows:
    """A clip at 48 kHz in windows of 10 s. One that is shorter is repeated as often as it fits, then followed
    by silence, and samples take the 16-bit values that the training code gives them."""
    rounded = np.trunc(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)
    sound = (rounded / np.float32(32767.0)).astype(np.float32)
    if len(sound) <= WINDOW:
        repeated = np.tile(sound, max(1, WINDOW // len(sound)))
        piece = np.pad(repeated, (0, WINDOW - len(repeated)))
        return Windows([piece], [(0, -(-len(sound) * VALUES // WINDOW))])
    hop = WINDOW // VALUES
    total = -(-len(sound) // hop)
    spans = grid.windows(total, VALUES, OVERLAP, whole=True)
    starts = [min(start * hop, len(sound) - WINDOW) for start, _ in spans]
    return Windows([sound[start : start + WINDOW] for start in starts], spans)


def feature_extractor() -> Any:
    """transformers' own, with the training code's numbers: the published folders leave out `LOWEST_HZ`."""
    from transformers import ClapFeatureExtractor

    return ClapFeatureExtractor(
        feature_size=BANDS,
        sampling_rate=SAMPLE_RATE,
        hop_length=HOP,
        fft_window_size=FRAME,
        max_length_s=WINDOW_SECONDS,
        frequency_min=LOWEST_HZ,
        frequency_max=HIGHEST_HZ,
        truncation="rand_trunc",
        padding="repeatpad",
    )


def spectrogram(features: Any, pieces: Sequence[np.ndarray]) -> torch.Tensor:
    """float32 [batch, 1, 1001, 64] in dB, of windows that are exactly 10 s: nothing is cut at random."""
    made = features(list(pieces), sampling_rate=SAMPLE_RATE, return_tensors="pt")
    mel: torch.Tensor = made["input_features"]
    return mel


def _in_time(last: torch.Tensor) -> torch.Tensor:
    """[batch, width, bands, 32] → [batch, 32, width]: the mean over bands."""
    return last.mean(2).transpose(1, 2)


def _one(vectors: list[np.ndarray]) -> np.ndarray:
    """[1, width]: the mean of a clip's windows, at length 1."""
    mean = np.mean([vector[0] for vector in vectors], axis=0)
    one: np.ndarray = (mean / max(float(np.linalg.norm(mean)), 1e-12))[None].astype(np.float32)
    return one


def load(settings: Settings, device: Device) -> ClapEncoder:
    """The audio half of a CLAP: from a folder or a name of the hub, or from a published `.pt`.

    Raises:
        UserMustAct: There is none, or a setting is not to be had.
    """
    settings.refuse(compat=settings.compat, layer=settings.layer)
    if settings.weights is None:
        raise UserMustAct(
            "clap needs --weights: laion/larger_clap_music or another CLAP of the hub, a folder, or the file "
            "music_audioset_epoch_15_esc_90.14.pt."
        )
    if settings.weights.endswith(".pt"):
        place = Path(settings.weights)
        model = clap_weights.from_published(place)
    else:
        place = fetch(settings.weights)
        model = clap_weights.from_hub(place)
    device.settle(model)
    if settings.rate == CLIP:
        rate = None
    else:
        rate = RATE if settings.rate == MOST_RATE_ASKED else settings.frames_per_second(RATE)
    version = weights.version(VERSION, place)
    card = Card(
        name=f"clap, {settings.weights}",
        version=version if device.dtype == "float32" else f"{version}-{device.dtype}",
        sample_rate=SAMPLE_RATE,
        width=int(model.config.projection_dim),
        frames_per_second=rate or Fraction(0),
        window_seconds=Fraction(WINDOW_SECONDS),
        licence=LICENCE,
    )
    return ClapEncoder(model, feature_extractor(), card, rate, device)
