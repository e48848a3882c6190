"""The tensors of a model in the hub's format, for networks that are written here."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from llark.errors import UserMustAct

_HASHED = (".json", ".safetensors", ".bin", ".pt")


def read(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors by name: of safetensors, in one file or several, else of a `.bin` with `weights_only`.

    Raises:
        UserMustAct: There are none.
    """
    from safetensors.torch import load_file

    found: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    if not found:
        for path in sorted(folder.glob("pytorch_model*.bin")):
            found |= torch.load(path, map_location="cpu", weights_only=True)
    if not found:
        raise UserMustAct(f"{folder} holds no weights: no .safetensors and no pytorch_model.bin.")
    return found


def version(adapter: str, folder: Path) -> str:
    """An adapter's version, and a few digits of the SHA-256 of a file or of all that a folder holds: a model
    that was trained further under the same name is another encoder."""
    digest = hashlib.sha256()
    found = folder.iterdir() if folder.is_dir() else [folder]
    for path in sorted(path for path in found if path.suffix in _HASHED):
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
