"""Encoders of the model hub: `hub:NAME`, where NAME is a model's name there or a folder in its format.

Each adapter is a file with `matches`, which looks at the model's `config.json`, and `load`. The first that
matches is taken, `auto` last. Code that lies beside a model's weights is never run, whatever its
configuration asks for; what such a model needs is written here.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from llark.embed.encoder import Device
from llark.embed.settings import Settings
from llark.embed.windowed import WindowedEncoder, encoder
from llark.errors import UserMustAct

ADAPTERS = ("mert", "muq", "whisper", "dasheng", "encodec", "auto")

_PATTERNS = ["*.json", "*.safetensors"]
"""Files that are fetched of a model; no code is among them."""

_OLDER_PATTERNS = ["*.bin"]
"""Fetched too where there is nothing better."""

_LOADING = (OSError, ValueError, KeyError, ImportError, RuntimeError, TypeError, AttributeError)
"""What foreign configurations and weights make transformers raise."""


def load(settings: Settings, device: Device) -> WindowedEncoder:
    """The encoder around a model of the hub.

    Raises:
        UserMustAct: There is no such model, it cannot be fetched, or no adapter can load it.
    """
    settings.refuse(weights=settings.weights, compat=settings.compat)
    name = settings.encoder.removeprefix("hub:")
    folder = fetch(name)
    config = json.loads((folder / "config.json").read_text())
    for adapter in ADAPTERS:
        module = import_module(f"llark.embed.hub.{adapter}")
        if module.matches(config):
            try:
                ears = module.load(folder, config, settings, device)
            except _LOADING as error:
                why = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
                raise UserMustAct(f"{name} cannot be loaded by the adapter {adapter}: {why}") from error
            layer = "" if settings.layer is None else f", layer {settings.layer}"
            return encoder(f"{settings.encoder}{layer}", ears, settings, device)
    raise AssertionError("the last adapter matches every model")


def fetch(name: str) -> Path:
    """The folder of a model: the one named, or the hub's, through the hub's own cache."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _from_hub(name)
    if not (folder / "config.json").is_file():
        raise UserMustAct(f"{name} is no model in the hub's format: it has no config.json.")
    return folder


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, allow_patterns=_PATTERNS))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=_PATTERNS + _OLDER_PATTERNS))
        return folder
    except HFValidationError as error:
        raise UserMustAct(f"There is no folder {name}, and it is no name of a model on the hub.") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserMustAct(
            f"There is no folder {name}, and the hub gave no such model ({type(error).__name__}). "
            "Without a network, fetch the model elsewhere and name its folder: hub:FOLDER."
        ) from error


def heard_layer(found: Any, layer: int | None, default: int = -1) -> Any:
    """One of the hidden states of a model of transformers.

    The last one is what the model gives at its end: where it ends in a normalisation, transformers 5 lists
    that layer without it.
    """
    states, last = found.hidden_states, getattr(found, "last_hidden_state", None)
    return hidden_layer(states if last is None else (*states[:-1], last), layer, default)


def hidden_layer(states: tuple[Any, ...], layer: int | None, default: int = -1) -> Any:
    """One of a transformer's hidden states. Raises `UserMustAct` for a layer that it has not."""
    wanted = default if layer is None else layer
    if not -len(states) <= wanted < len(states):
        raise UserMustAct(f"--layer {wanted} is not there: this model has layers 0 to {len(states) - 1}.")
    return states[wanted]


def licence(config: dict[str, Any], usual: str) -> str:
    """What the configuration says of its licence, or what is known of the published weights."""
    return str(config.get("license") or usual)
