"""Rewrites tests/data/embed/hub_goldens.npz by running the publishers' own MuQ, Dasheng and CLAP on tiny
random weights.

    python -m tests.embed.hub_goldens MUQ DASHENG CLAP

MUQ is the folder `src` of the source distribution muq 0.1.0, DASHENG the unpacked wheel dasheng 0.0.9, CLAP
that of laion_clap 1.1.7. They need librosa, torchlibrosa, einops and easydict. Their torchaudio, which does
not load beside every PyTorch, is stood in for by librosa's filters and PyTorch's own transform. Nothing of
them is copied: only numbers are stored.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.embed import tiny_hub

GOLDENS = Path(__file__).parent.parent / "data" / "embed" / "hub_goldens.npz"

CLAP_SIZES = {"embed_dim": 8, "depths": [1, 2, 1, 1], "num_heads": [1, 2, 2, 2]}
CLAP_WIDTH, CLAP_JOINT = 64, 12


def sound(seconds: float, rate: int) -> np.ndarray:
    """float32 [samples]: a chord that fades, with noise and a pause."""
    time = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(7)
    tones = sum(np.sin(2 * np.pi * pitch * time) for pitch in (196.0, 246.9, 1180.0))
    loud = np.exp(-0.4 * time) * ((time % 1.7) < 1.4)
    return (0.15 * tones * loud + 0.01 * rng.normal(size=len(time))).astype(np.float32)


class MelSpectrogram(torch.nn.Module):
    """torchaudio's default, by librosa's filters."""

    def __init__(
        self,
        sample_rate: int,
        n_fft: int,
        hop_length: int,
        n_mels: int,
        f_min: float = 0.0,
        f_max: float | None = None,
        **_: Any,
    ) -> None:
        import librosa

        super().__init__()
        self.frame, self.hop = n_fft, hop_length
        filters = librosa.filters.mel(
            sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=f_min, fmax=f_max, htk=True, norm=None
        )
        self.filters = torch.from_numpy(filters)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        window = torch.hann_window(self.frame)
        spectrum = torch.stft(wave, self.frame, self.hop, window=window, return_complex=True)
        return self.filters @ spectrum.abs() ** 2


class AmplitudeToDB(torch.nn.Module):
    """torchaudio's: 10 log10 of power, and a floor under the loudest."""

    def __init__(self, top_db: float | None = None) -> None:
        super().__init__()
        self.top = top_db

    def forward(self, power: torch.Tensor) -> torch.Tensor:
        level = 10 * torch.log10(power.clamp(min=1e-10))
        return level if self.top is None else torch.maximum(level, level.max() - self.top)


def stand_in() -> None:
    """What the packages import and do not need here."""
    audio, transforms = types.ModuleType("torchaudio"), types.ModuleType("torchaudio.transforms")
    transforms.MelSpectrogram, transforms.AmplitudeToDB = MelSpectrogram, AmplitudeToDB  # type: ignore[attr-defined]
    audio.transforms = transforms  # type: ignore[attr-defined]
    sys.modules |= {"torchaudio": audio, "torchaudio.transforms": transforms}


def run_muq(path: Path) -> dict[str, np.ndarray]:
    sys.path.insert(0, str(path))
    from transformers import Wav2Vec2ConformerConfig

    for name in ("muq", "muq.muq"):
        parent = types.ModuleType(name)
        parent.__path__ = [str(path.joinpath(*name.split(".")))]  # type: ignore[attr-defined]
        sys.modules[name] = parent
    from muq.muq.models import muq_model

    config = tiny_hub.MUQ
    full = Wav2Vec2ConformerConfig(**config["w2v2_config"], hidden_size=16, num_hidden_layers=3)
    full._attn_implementation = "eager"
    muq_model.EasyDict = lambda _: full
    wanted = {key: value for key, value in config.items() if key != "w2v2_config"}
    model = tiny_hub.randomised(muq_model.MuQModel(**wanted, w2v2_config={}), 21)
    states: list[torch.Tensor] = []
    for layer in model.conformer.layers:
        layer.register_forward_pre_hook(lambda _, given: states.append(given[0].clone()))
    model.conformer.layer_norm.register_forward_hook(lambda *found: states.append(found[-1].clone()))
    mel = model.normalize(model.preprocessing(torch.from_numpy(sound(3.2, 24_000))[None], ["melspec_2048"]))
    model.conformer(model.conv(mel["melspec_2048"]))
    kept = {
        f"muq/model.{name}": value.numpy()
        for name, value in model.state_dict().items()
        if name.startswith(("conv.", "conformer."))
    }
    return {**kept, "muq": torch.cat(states).numpy()}


def run_dasheng(path: Path) -> dict[str, np.ndarray]:
    sys.path.insert(0, str(path))
    from dasheng.pretrained.pretrained import Dasheng

    model = tiny_hub.randomised(Dasheng(**tiny_hub.DASHENG["encoder_kwargs"]), 22)
    states: list[torch.Tensor] = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda _, given: states.append(given[0].clone()))
    states.append(model(torch.from_numpy(sound(1.9, 16_000))[None]))
    kept = {
        f"dasheng/encoder.{name}": value.numpy()
        for name, value in model.state_dict().items()
        if "front_end" not in name
    }
    return {**kept, "dasheng": torch.cat(states).numpy()}


def run_clap(path: Path) -> dict[str, np.ndarray]:
    """The spectrogram, the last values and the vector of the publisher's audio branch, and what it does to
    sound that is too short or too long."""
    package, vision = types.ModuleType("clap_module"), types.ModuleType("torchvision.ops.misc")
    package.__path__ = [str(path / "laion_clap" / "clap_module")]  # type: ignore[attr-defined]
    vision.FrozenBatchNorm2d = torch.nn.BatchNorm2d  # type: ignore[attr-defined]
    sys.modules |= {"clap_module": package, "torchvision.ops.misc": vision}
    sys.modules["torchvision.ops"] = types.ModuleType("torchvision.ops")
    from clap_module import htsat

    sizes = types.SimpleNamespace(
        sample_rate=48_000, window_size=1024, hop_size=480, mel_bins=64, fmin=50, fmax=14_000, class_num=5
    )
    branch = htsat.HTSAT_Swin_Transformer(
        spec_size=256,
        patch_size=4,
        patch_stride=(4, 4),
        num_classes=5,
        window_size=8,
        config=sizes,
        **CLAP_SIZES,
    )
    torch.manual_seed(23)
    joint = torch.nn.Sequential(
        torch.nn.Linear(CLAP_WIDTH, CLAP_JOINT), torch.nn.ReLU(), torch.nn.Linear(CLAP_JOINT, CLAP_JOINT)
    )
    for module in (branch, joint):
        for name, value in module.named_parameters():
            if "extractor" not in name and "norm" not in name and "bn0" not in name:
                value.data.copy_(0.2 * torch.randn_like(value))
    branch.bn0.running_mean.copy_(-30 + torch.randn(64))
    branch.bn0.running_var.copy_(200 + 50 * torch.rand(64))
    branch.eval()
    kept: dict[str, np.ndarray] = {}
    for seconds in (3.3, 10.0):
        filled = repeat_padded(path, sound(seconds, 48_000))
        kept[f"clap/filled {seconds}"] = filled[::97]
        wave = torch.from_numpy(filled)[None]
        mel = branch.logmel_extractor(branch.spectrogram_extractor(wave))
        kept[f"clap/mel {seconds}"] = mel[0, 0, ::10].numpy()
        found = branch({"waveform": wave}, device="cpu")["embedding"]
        kept[f"clap/pooled {seconds}"] = found.numpy()
        kept[f"clap/vector {seconds}"] = torch.nn.functional.normalize(joint(found), dim=-1).numpy()
    tensors = {f"module.audio_branch.{name}": value for name, value in branch.state_dict().items()}
    tensors |= {f"module.audio_projection.{name}": value for name, value in joint.state_dict().items()}
    for name, value in tensors.items():
        if "extractor" not in name:
            kept[f"clap/weights/{name}"] = value.numpy()
    return kept


def repeat_padded(path: Path, samples: np.ndarray) -> np.ndarray:
    """What the publisher's preprocessing gives the network, its 16-bit values included."""
    import ast

    tree = ast.parse((path / "laion_clap" / "training" / "data.py").read_text())
    wanted = ("int16_to_float32", "float32_to_int16", "get_audio_features")
    kept = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in wanted]
    from contextlib import suppress

    space: dict[str, Any] = {"np": np, "torch": torch, "F": torch.nn.functional, "suppress": suppress}
    exec(compile(ast.Module(kept, []), "data", "exec"), space)
    wave = torch.from_numpy(space["int16_to_float32"](space["float32_to_int16"](samples))).float()
    made = space["get_audio_features"]({}, wave, 480_000, "rand_trunc", "repeatpad", {})
    filled: np.ndarray = made["waveform"].numpy()
    return filled


def main(muq: Path, dasheng: Path, clap: Path) -> None:
    importlib.import_module("transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer")
    for name in ("h5py", "wget", "braceexpand", "webdataset", "torchvision", "timm", "ftfy"):
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = types.ModuleType(name)
    stand_in()
    with torch.no_grad():
        goldens = {**run_muq(muq), **run_dasheng(dasheng), **run_clap(clap)}
    GOLDENS.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDENS, **goldens)
    print(f"{GOLDENS}: {len(goldens)} arrays, {GOLDENS.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
