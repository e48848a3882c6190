"""The `mini` encoder behind the contract: the numbers that training sees, for clips and whole songs.

A clip of up to 25 s is one window, a longer one windows of 25 s side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from llark import audio
from llark.embed import grid, mini
from llark.embed.encoder import Card, Device, Sound
from llark.embed.settings import Settings
from llark.storage.folders import Place

WINDOW_SECONDS = Fraction(audio.WINDOW_SECONDS)
RATE = Fraction(mini.FRAMES_PER_SECOND)


@dataclass(frozen=True)
class MiniEncoder:
    """Made by `load`."""

    card: Card
    frames_per_second: Fraction | None = RATE

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        """float32 [ceil(2 * seconds), width] for each clip, or averages of them."""
        return [self._frames(sound) for sound in sounds]

    def _frames(self, sound: Sound) -> np.ndarray:
        return self._on_grid(_embed(sound), sound.duration_seconds)

    def _on_grid(self, frames: np.ndarray, duration_seconds: Fraction) -> np.ndarray:
        if self.frames_per_second == RATE:
            return frames
        return grid.regrid(frames, RATE, duration_seconds, self.frames_per_second or 1 / duration_seconds)

    def song(self, path: Place, start_seconds: float, end_seconds: float) -> tuple[np.ndarray, Fraction]:
        """What a call gives for a stretch of a recording, and its exact seconds: one window of samples is in
        memory at a time, however long the stretch is.

        Raises `BadAudio` as `audio.load` does.
        """
        windows = list(self.stream(path, start_seconds, end_seconds))
        duration = sum((seconds for _, seconds in windows), Fraction(0))
        return self._on_grid(np.concatenate([frames for frames, _ in windows]), duration), duration

    def stream(
        self, path: Place, start_seconds: float = 0.0, end_seconds: float | None = None
    ) -> Iterator[tuple[np.ndarray, Fraction]]:
        """A recording's windows one after the other: two frames a second of each, and its exact seconds."""
        info = audio.probe(path)
        rate, end = info.sample_rate, info.duration_seconds
        last = round((end if end_seconds is None else min(end_seconds, end)) * rate)
        for first in range(round(start_seconds * rate), last, int(WINDOW_SECONDS * rate)):
            until = min(first + int(WINDOW_SECONDS * rate), last)
            sound = Sound(*audio.load(path, start_seconds=first / rate, end_seconds=until / rate))
            yield _embed(sound), sound.duration_seconds


def load(settings: Settings, device: Device) -> MiniEncoder:
    """The encoder in the package. Raises `UserMustAct` for a setting that it has no use for."""
    settings.refuse(weights=settings.weights, compat=settings.compat, layer=settings.layer)
    rate = settings.frames_per_second(RATE)
    card = Card(
        name="mini",
        version=mini.VERSION,
        sample_rate=22_050,
        width=mini.WIDTH,
        frames_per_second=rate or Fraction(0),
        window_seconds=WINDOW_SECONDS,
        licence="MIT, ISC, CC BY 4.0 and Apache-2.0: see NOTICE",
    )
    return MiniEncoder(card, rate)


def _embed(sound: Sound) -> np.ndarray:
    from llark.networks.features import AudioFeatures, one_thread

    with one_thread():
        return mini.embed_long(AudioFeatures(sound.samples, sound.sample_rate))
