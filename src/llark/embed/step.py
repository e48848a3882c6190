"""The embed step: clips → embeddings, one at a time on workers, or many at once in this process."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from llark import audio, embed
from llark.embed.encoder import Device, Encoder, EncoderOptions, Sound, Streams
from llark.engine import attempt
from llark.errors import BadAudio
from llark.records import Clip, Embedding

NAME = "embed"

LONG_SECONDS = 60.0
"""Of a longer clip an encoder that can do without it does not get all samples at once."""


def read(clip: Clip) -> Sound:
    """A clip's samples at its file's own rate. Raises `BadAudio` as `audio.load` and `refuse_changed` do."""
    audio.refuse_changed(clip)
    samples, rate = audio.load(clip.path, start_seconds=clip.start_seconds, end_seconds=clip.end_seconds)
    return Sound(samples, rate)


def placed(encoder: Encoder, clip: Clip, seconds: Fraction, frames: np.ndarray) -> Embedding:
    """The record of an encoder's frames of a clip."""
    card = encoder.card
    rate = card.frames_per_second or Fraction(len(frames)) / seconds
    name = card.version if card.version.startswith(card.name) else f"{card.name} {card.version}"
    return Embedding.of_clip(clip, name, frames, rate, seconds)


def embedded(encoder: Encoder, clip: Clip) -> Embedding:
    """One clip, from its file. Raises `BadAudio`."""
    if _is_streamed(encoder, clip):
        assert isinstance(encoder, Streams)
        audio.refuse_changed(clip)
        frames, seconds = encoder.song(clip.path, clip.start_seconds, clip.end_seconds)
        return placed(encoder, clip, seconds, frames)
    sound = read(clip)
    return placed(encoder, clip, sound.duration_seconds, encoder([sound])[0])


def _is_streamed(encoder: Encoder, clip: Clip) -> bool:
    return clip.duration_seconds > LONG_SECONDS and isinstance(encoder, Streams)


@dataclass
class EmbedStep:
    """Step: a clip becomes its embedding. `open` loads the encoder."""

    settings: EncoderOptions
    device: Device
    name: str = NAME
    encoder: Encoder | None = None

    def id_of(self, record: Clip) -> str:
        return record.id

    def open(self) -> None:
        self.encoder = embed.load(self.settings, own_device(self.device))

    def __call__(self, record: Clip) -> Iterator[Embedding]:
        assert self.encoder is not None
        yield embedded(self.encoder, record)


def own_device(device: Device) -> Device:
    """Of a machine with several GPUs each worker takes its own, by turns; all else stays."""
    import multiprocessing

    import torch

    turn = getattr(multiprocessing.current_process(), "_identity", ())
    if device.name != "cuda" or not turn or torch.cuda.device_count() < 2:
        return device
    return Device(f"cuda:{turn[0] % torch.cuda.device_count()}", device.dtype, device.batch)


# --- many at once -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one clip became."""

    clip: Clip
    outputs: list[object]


Ahead = tuple[Clip, "Future[Sound] | None"]
"""A clip, and its samples, which are being read; `None` stands for a clip that stays in its file."""


class Unpack:
    """Step: an outcome becomes its records."""

    name = NAME

    def id_of(self, record: Outcome) -> str:
        return record.clip.id

    def open(self) -> None:
        """Nothing is heavy."""

    def __call__(self, record: Outcome) -> list[object]:
        return record.outputs


def outcomes(encoder: Encoder, clips: Iterable[Clip], done: Collection[str], batch: int) -> Iterator[Outcome]:
    """Embeds clips that are not done, `batch` at a time, while the next ones are read from disk; long ones
    alone, from their files, where the encoder can."""
    missing = (clip for clip in clips if clip.id not in done)
    with ThreadPoolExecutor(2) as readers:
        ahead: list[Ahead] = []
        while True:
            group = list(itertools.islice(missing, batch))
            following: list[Ahead] = [
                (clip, None if _is_streamed(encoder, clip) else readers.submit(read, clip)) for clip in group
            ]
            yield from _outcomes(encoder, ahead)
            if not following:
                return
            ahead = following


def _outcomes(encoder: Encoder, ahead: Sequence[Ahead]) -> Iterator[Outcome]:
    """One outcome a clip, in order. What one clip does to a batch costs no other clip."""
    batch = _Batch(encoder, ahead)
    for clip, sound in ahead:
        outputs: list[object] = attempt(batch, (clip, sound))
        yield Outcome(clip, outputs)


class _Batch:
    """Step: a clip that is read ahead becomes its embedding; those of a batch are made together."""

    name = NAME

    def __init__(self, encoder: Encoder, ahead: Sequence[Ahead]) -> None:
        self.encoder = encoder
        sounds = {clip.id: sound.result() for clip, sound in ahead if sound and not sound.exception()}
        self.frames: dict[str, np.ndarray] = {}
        # Where one is at fault each is embedded alone, and that one dropped.
        with contextlib.suppress(BadAudio, ValueError, RuntimeError):
            self.frames |= zip(sounds, encoder(list(sounds.values())) if sounds else (), strict=True)

    def id_of(self, record: Ahead) -> str:
        return record[0].id

    def open(self) -> None:
        """The encoder is loaded already."""

    def __call__(self, record: Ahead) -> Iterator[Embedding]:
        clip, sound_ahead = record
        if sound_ahead is None:
            yield embedded(self.encoder, clip)
            return
        sound = sound_ahead.result()  # raises what reading the clip raised
        frames = self.frames[clip.id] if self.frames else self.encoder([sound])[0]
        yield placed(self.encoder, clip, sound.duration_seconds, frames)
