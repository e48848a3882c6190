"""What every encoder is: a card that says what it takes and gives, and a call that embeds clips.

Frame i of every encoder covers [i / f, (i + 1) / f) seconds of the clip, where f is its exact number of
frames a second; there are as many frames as the clip's seconds need, the last one covered in part only.
A clip's frames depend on that clip alone: neither on what else is in the batch nor on the number of workers.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

import numpy as np

from llark import audio
from llark.errors import UserMustAct
from llark.records import fraction
from llark.storage.folders import Place

TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}
"""The most that another device or batch moves a frame by, as a share of the frames' own standard deviation:
root mean square over a clip, against float32 on a CPU."""


@dataclass(frozen=True)
class Card:
    """What an encoder declares of itself."""

    name: str
    """As it is named on the command line, with all that changes its frames."""
    version: str
    """Changes whenever the same samples would give other frames."""
    sample_rate: int
    """Hz that it listens at; sound of another rate is resampled."""
    width: int
    """Numbers in a frame."""
    frames_per_second: Fraction
    """Exact; 0 stands for one frame a clip."""
    window_seconds: Fraction
    """The longest stretch that it takes at once; more is cut into overlapping windows."""
    licence: str
    """Of the weights."""

    def rate_of(self, duration_seconds: Fraction) -> Fraction:
        """Frames a second of a clip, exact: the encoder's, or what one frame for the whole clip comes to."""
        return self.frames_per_second or 1 / duration_seconds


@dataclass(frozen=True, eq=False)
class Sound:
    """One clip's samples: mono float32 [samples], nominally within ±1, at `sample_rate` Hz.

    Raises `BadAudio` where they are not one finite, non-empty channel.
    """

    samples: np.ndarray
    sample_rate: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", audio.one_channel(self.samples, self.sample_rate))

    @property
    def duration_seconds(self) -> Fraction:
        """Exact."""
        return Fraction(len(self.samples), self.sample_rate)

    def at(self, sample_rate: int) -> np.ndarray:
        """float32 [samples] at another rate, as many as the duration needs."""
        return audio.resample(np.ascontiguousarray(self.samples), self.sample_rate, sample_rate)


class Encoder(Protocol):
    """Made by a loader of `llark.embed`; ready to embed."""

    @property
    def card(self) -> Card: ...

    def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        """For each clip float32 [ceil(seconds * frames_per_second), width], all finite."""


@runtime_checkable
class Streams(Protocol):
    """An encoder that can embed a long stretch of a recording without holding its samples."""

    def song(self, path: Place, start_seconds: float, end_seconds: float) -> tuple[np.ndarray, Fraction]:
        """The frames that a call would give for it, and its exact seconds. Raises `BadAudio`."""


@dataclass(frozen=True)
class Device:
    """Where and in what precision an encoder works. Windows (and so clips) are batched up to `batch`."""

    name: str = "cpu"
    dtype: str = "float32"
    batch: int = 8

    @functools.cached_property
    def torch_dtype(self) -> Any:
        import torch

        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[self.dtype]

    def version(self, version: str) -> str:
        """An encoder's version here: another precision gives other frames."""
        return version if self.dtype == "float32" else f"{version}-{self.dtype}"

    def settle(self, model: Any) -> Any:
        """The torch module `model`, frozen, here and in this precision.

        On a CPU its convolutions stay in float32: those of oneDNN in bfloat16 are wrong for some sizes on
        processors with AVX512-BF16 or AMX (https://github.com/pytorch/pytorch/issues/169688).
        """
        import torch
        from torch import nn

        model.eval().requires_grad_(False).to(self.name, self.torch_dtype)
        if torch.device(self.name).type == "cpu" and self.torch_dtype != torch.float32:
            for module in model.modules():
                if isinstance(module, (nn.Conv1d, nn.Conv2d)):
                    module.float()
                    module.register_forward_pre_hook(lambda _, given: tuple(x.float() for x in given))
                    module.register_forward_hook(lambda _, given, output: output.to(self.torch_dtype))
        return model


def device(name: str | None = None, dtype: str | None = None, batch: int = 8) -> Device:
    """The device asked for, or the best one here: bfloat16 on a GPU, float32 on a CPU.

    Raises:
        UserMustAct: The device or the precision is unknown or not there.
    """
    import torch

    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        kind = torch.device(name).type
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserMustAct(f"The device {name} is not available here; use cpu.") from error
    dtype = dtype or ("bfloat16" if kind == "cuda" else "float32")
    if dtype not in TOLERANCE:
        raise UserMustAct(f"The precision {dtype} is unknown; it can be {' or '.join(TOLERANCE)}.")
    if batch < 1:
        raise UserMustAct(f"--batch {batch} is too small; it is the number of windows embedded at once.")
    return Device(name, dtype, batch)


# --- a user's options of an encoder -----------------------------------------------------------------------

NATIVE, CLIP = "native", "clip"


@dataclass(frozen=True)
class EncoderOptions:
    """All that changes the frames. Kept in the folder's `about.json`; device, batch and workers are not."""

    encoder: str
    """jukebox, clap, mini, mel, or hub:NAME, where NAME is a model's name on the hub or a folder."""
    weights: str | None = None
    """For jukebox the folder of its converted weights; for clap a folder or a name on the hub."""
    compat: str | None = None
    """llark: the published extraction, with its quirks."""
    layer: int | None = None
    """Of a transformer: 0 is what goes into the first layer, -1 what comes out of the last one."""
    rate: str = "10"
    """Frames a second as a number or a fraction; `native` for the encoder's own; `clip` for one a clip."""
    dtype: str = "float32"
    """The precision that it is computed in."""

    def frames_per_second(self, native: Fraction) -> Fraction:
        """Exact; 0 stands for one frame a clip. Raises `UserMustAct` where it is no such thing."""
        if self.rate == CLIP:
            return Fraction(0)
        if self.rate == NATIVE:
            return native
        try:
            rate = fraction(self.rate)
        except ValueError as error:
            raise UserMustAct(f"--rate {self.rate[:40]} is no number, {NATIVE} or {CLIP}.") from error
        if not 0 < rate <= native:
            raise UserMustAct(
                f"--rate {self.rate} is not available: {self.encoder} gives {float(native):g} frames a "
                f"second ({native}), which can be averaged to fewer."
            )
        return rate

    def refuse(self, **unused: object) -> None:
        """Raises `UserMustAct` for the first setting that was given and that this encoder has no use for."""
        for name, value in unused.items():
            if value is not None:
                raise UserMustAct(f"{self.encoder} has no use for --{name} {value}.")
