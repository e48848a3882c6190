"""The sounds that clips are replaced by, and the bytes in which a sound is sent to somebody else's model."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from llark import audio
from llark.errors import UserMustAct
from llark.evaluate.cases import NOISE, TaskPrompt
from llark.records import Clip

SENT_RATE = 16_000
"""Samples a second of what is sent: what speech encoders take."""

NOISE_RMS = 0.1
"""−20 dBFS."""


def stand_in(name: str, sample_rate: int, seconds: float = audio.WINDOW_SECONDS) -> np.ndarray:
    """Silence, or white noise, float32 [samples]; the same every time."""
    samples = round(seconds * sample_rate)
    if name != NOISE:
        return np.zeros(samples, np.float32)
    noise = np.random.default_rng(20_000).normal(0.0, NOISE_RMS, samples)
    return np.clip(noise, -1.0, 1.0).astype(np.float32)


@dataclass(frozen=True)
class Sounds:
    """What is heard in a put, as a mono WAV file."""

    clips: Mapping[str, Clip]

    def wav(self, prompt: TaskPrompt) -> bytes | None:
        """The file's bytes; `None` where nothing is to be heard. Raises what `audio.load` raises."""
        if prompt.stand_in is not None:
            return to_wav(stand_in(prompt.stand_in, SENT_RATE), SENT_RATE)
        if prompt.clip_id is None:
            return None
        clip = self._clip(prompt.clip_id)
        samples, rate = audio.load(
            clip.path,
            start_seconds=clip.start_seconds,
            end_seconds=clip.end_seconds,
            sample_rate=SENT_RATE,
        )
        return to_wav(samples, rate)

    def seconds(self, prompt: TaskPrompt) -> float:
        if prompt.stand_in is not None:
            return audio.WINDOW_SECONDS
        return 0.0 if prompt.clip_id is None else self._clip(prompt.clip_id).duration_seconds

    def _clip(self, clip_id: str) -> Clip:
        if clip_id not in self.clips:
            raise UserMustAct(
                f"There is no sound of {clip_id} to send; name the folder of the sounds with --audio."
            )
        return self.clips[clip_id]


def to_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """[samples] in −1 to 1 as 16-bit mono WAV."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()
