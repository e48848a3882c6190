"""Encoders of the model hub: `hub:NAME`, where NAME is a model's name there or a folder in its format.

Its `config.json` decides which adapter loads a model: `pretrained` those that are classes of transformers,
a file each those that are not. Code that lies beside a model's weights is never run, whatever its
configuration asks for; what such a model needs is written here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from llark.embed.encoder import Device, EncoderOptions
from llark.embed.windowed import WindowedEncoder, encoder
from llark.errors import UserMustAct
from llark.storage.folders import read_json

_OF_TYPE = {
    "mert_model": "mert", "mert": "mert", "whisper": "whisper", "dasheng": "dasheng", "encodec": "encodec",
}  # fmt: skip
"""Adapters by a configuration's `model_type`; `auto` is that of all others."""

_PATTERNS = ["*.json", "*.safetensors"]
"""Files that are fetched of a model; no code is among them."""

_OLDER_PATTERNS = ["*.bin"]
"""Fetched too where there is nothing better."""

_LOADING = (OSError, ValueError, KeyError, ImportError, RuntimeError, TypeError, AttributeError)
"""What foreign configurations and weights make transformers raise."""


def load(settings: EncoderOptions, device: Device) -> WindowedEncoder:
    """The encoder around a model of the hub.

    Raises:
        UserMustAct: There is no such model, it cannot be fetched, or no adapter can load it.
    """
    settings.refuse(weights=settings.weights, compat=settings.compat)
    name = settings.encoder.removeprefix("hub:")
    folder = fetch(name)
    config = read_json(dict[str, Any], (folder / "config.json").read_bytes(), folder / "config.json")
    is_muq = "w2v2_config" in config and "encoder_dim" in config
    adapter = "muq" if is_muq else _OF_TYPE.get(str(config.get("model_type")), "auto")
    own = import_module(f"llark.embed.hub.{adapter if adapter in ('muq', 'dasheng') else 'pretrained'}")
    try:
        network = getattr(own, f"load_{adapter}")(folder, config, settings, device)
    except _LOADING as error:
        why = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise UserMustAct(f"{name} cannot be loaded by the adapter {adapter}: {why}") from error
    layer = "" if settings.layer is None else f", layer {settings.layer}"
    return encoder(f"{settings.encoder}{layer}", network, settings, device)


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


def output_layer(output: Any, layer: int | None, default: int = -1) -> Any:
    """One of the hidden states of a model of transformers.

    The last one is what the model gives at its end: where it ends in a normalisation, transformers 5 lists
    that layer without it.
    """
    states, last = output.hidden_states, getattr(output, "last_hidden_state", None)
    return hidden_layer(states if last is None else (*states[:-1], last), layer, default)


def hidden_layer(states: tuple[Any, ...], layer: int | None, default: int = -1) -> Any:
    """One of a transformer's hidden states. Raises `UserMustAct` for a layer that it has not."""
    chosen = default if layer is None else layer
    if not -len(states) <= chosen < len(states):
        raise UserMustAct(f"--layer {chosen} is not there: this model has layers 0 to {len(states) - 1}.")
    return states[chosen]


def run_layer(
    model: torch.nn.Module, depth: int, settings: EncoderOptions, device: Device
) -> Callable[[torch.Tensor], torch.Tensor]:
    """What gives one layer of a network that is written here, whose call lists the states of all its layers.

    Raises `UserMustAct` where it has no such layer.
    """
    device.settle(model)
    hidden_layer((None,) * (depth + 1), settings.layer)

    def run(samples: torch.Tensor) -> torch.Tensor:
        return hidden_layer(model(samples.to(device.name), device.torch_dtype), settings.layer)

    return run


def licence(config: dict[str, Any], usual: str) -> str:
    """What the configuration says of its licence, or what is known of the published weights."""
    return str(config.get("license") or usual)


# --- weights, for networks that are written here ----------------------------------------------------------

_HASHED = (".json", ".safetensors", ".bin", ".pt")


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors by name: of safetensors, in one file or several, else of a `.bin` with `weights_only`.

    Raises:
        UserMustAct: There are none.
    """
    from safetensors.torch import load_file

    weights: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
    if not weights:
        for path in sorted(folder.glob("pytorch_model*.bin")):
            weights |= torch.load(path, map_location="cpu", weights_only=True)
    if not weights:
        raise UserMustAct(f"{folder} holds no weights: no .safetensors and no pytorch_model.bin.")
    return weights


def version(adapter: str, folder: Path) -> str:
    """An adapter's version, and a few digits of the SHA-256 of a file or of all that a folder holds: a model
    that was trained further under the same name is another encoder."""
    digest = hashlib.sha256()
    files = folder.iterdir() if folder.is_dir() else [folder]
    for path in sorted(path for path in files if path.suffix in _HASHED):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{adapter}-{digest.hexdigest()[:8]}"


def fill(module: torch.nn.Module, tensors: dict[str, torch.Tensor], prefix: str, folder: Path) -> None:
    """Fills a module from the tensors below a prefix; more of them may be there, none may lack."""
    own = {name: tensors[prefix + name] for name in module.state_dict() if prefix + name in tensors}
    try:
        module.load_state_dict(own, strict=True)
    except RuntimeError as error:
        why = str(error).splitlines()[1].strip()[:200]
        raise UserMustAct(f"The weights in {folder} are of another network: {why}") from error
    module.requires_grad_(False).eval()
