"""Encoders: what a clip sounds like, as frames of numbers. One encoder a file or folder."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from llark.errors import UserMustAct

if TYPE_CHECKING:
    from llark.embed.encoder import Device, Encoder, EncoderOptions

HUB = "hub:"

_LOADERS = {
    "mini": "llark.embed.mini",
    "jukebox": "llark.embed.jukebox.encoder",
    "clap": "llark.embed.clap",
    "mel": "llark.embed.mel",
}

NAMES = (*_LOADERS, f"{HUB}NAME")


def load(settings: EncoderOptions, device: Device) -> Encoder:
    """The encoder that the options name, ready to embed.

    Raises:
        UserMustAct: It is unknown, its weights are not there, or a setting is not available.
    """
    if settings.encoder.startswith(HUB):
        module = "llark.embed.hub"
    elif settings.encoder in _LOADERS:
        module = _LOADERS[settings.encoder]
    else:
        raise UserMustAct(f"{settings.encoder} is no encoder; it can be {', '.join(NAMES)}.")
    return import_module(module).load(settings, device)
