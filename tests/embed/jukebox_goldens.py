"""Rewrites tests/data/embed/jukebox_goldens.npz by running openai/jukebox on small random models.

    python -m tests.embed.jukebox_goldens JUKEBOX LLARK

JUKEBOX is a checkout of https://github.com/openai/jukebox (08efbbc), LLARK one of
https://github.com/spotify-research/llark (a933b94), whose extraction is run, too. Both want CUDA; here their
`.cuda()` does nothing, their `cuda.LongTensor` is the CPU's, and MPI, fire, librosa and unidecode are left
out. Nothing of them is copied: only numbers are stored. Of the extraction, three constants that name the full
model's sizes take the small model's.
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

GOLDENS = Path(__file__).parent.parent / "data" / "embed" / "jukebox_goldens.npz"

VQ = {"width": 4, "depth": 2, "code_width": 6, "codes": 48}
MODELS: dict[str, dict[str, int]] = {
    "square": {"context": 64, "blocks": 8, "width": 32, "depth": 3, "heads": 2},
    "long blocks": {"context": 96, "blocks": 4, "width": 48, "depth": 4, "heads": 3},
    "short blocks": {"context": 64, "blocks": 16, "width": 32, "depth": 5, "heads": 4},
    "whole": {"context": 256, "blocks": 16, "width": 32, "depth": 6, "heads": 2},
}
TIME_BINS = 16
UNUSED = ("decoders.", "encoders.0", "encoders.1", "bottleneck.level_blocks.0", "bottleneck.level_blocks.1")
SEED = 11


def stand_in() -> None:
    """Makes a CPU of what the reference takes for a GPU, and leaves out what it does not need here."""
    for name in ("fire", "librosa", "unidecode", "tqdm"):
        module = types.ModuleType(name)
        for attribute in ("unidecode", "tqdm", "Fire"):
            setattr(module, attribute, lambda x=None, *_, **__: x)
        sys.modules[name] = module
    torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign,assignment]
    torch.nn.Module.cuda = lambda self, *_, **__: self  # type: ignore[method-assign,assignment]
    torch.cuda.LongTensor = torch.LongTensor  # type: ignore[misc]
    torch.cuda.FloatTensor = torch.FloatTensor  # type: ignore[misc]
    plain_arange = torch.arange

    def arange(*args: Any, **options: Any) -> torch.Tensor:
        options.pop("device", None)
        return plain_arange(*args, **options)

    torch.arange = arange  # type: ignore[assignment]
    adapter = importlib.import_module("jukebox.utils.dist_adapter")
    for name, value in (("get_rank", 0), ("get_world_size", 1)):
        setattr(adapter, name, lambda value=value: value)


def build(model: dict[str, int]) -> tuple[Any, Any]:
    """The reference's VQ-VAE and prior with random weights, the matrices in float16 as `5b` has them."""
    from jukebox.hparams import setup_hparams
    from jukebox.make_models import make_prior, make_vqvae

    torch.manual_seed(SEED)
    vq = {
        "sample_length": model["context"] * 128,
        "emb_width": VQ["code_width"],
        "l_bins": VQ["codes"],
        "width": VQ["width"],
        "depth": VQ["depth"],
        "restore_vqvae": "",
        "train": False,
    }
    vqvae = make_vqvae(setup_hparams("vqvae", vq), "cpu")
    prior = {
        "n_ctx": model["context"],
        "blocks": model["blocks"],
        "prior_width": model["width"],
        "prior_depth": model["depth"],
        "heads": model["heads"],
        "t_bins": TIME_BINS,
        "y_bins": (3, 4),
        "init_scale": 2.0,
        "restore_prior": "",
        "train": False,
    }
    return vqvae, make_prior(setup_hparams("prior_5b", prior), vqvae, "cpu")


def randomise(vqvae: Any, prior: Any) -> None:
    """Weights under which every part of the net matters: biases, norms and codebook too."""
    with torch.no_grad():
        for name, value in [*prior.named_parameters(), *vqvae.named_parameters()]:
            if name.endswith((".b", ".bias")):
                value.copy_(0.1 * torch.randn_like(value))
            elif "ln_" in name:
                value.copy_(1.0 + 0.1 * torch.randn_like(value))
            elif "emb" in name:
                value.copy_(0.3 * torch.randn_like(value))
        for name, value in vqvae.named_parameters():
            if name.startswith("encoders.") and value.ndim == 3:
                value.copy_(1.2 * torch.randn_like(value) / value[0].numel() ** 0.5)
        heard = vqvae.encoders[-1](torch.from_numpy(sound(vqvae.sample_length))[None, None])[-1][0].t()
        rows = torch.linspace(2, len(heard) - 1, VQ["codes"]).long()
        vqvae.bottleneck.level_blocks[-1].k = heard[rows] + 0.05 * heard.std() * torch.randn_like(heard[rows])


def sound(samples: int) -> np.ndarray:
    """float32 [samples] at 44.1 kHz: a chord that swells, with noise."""
    time = np.arange(samples) / 44100
    rng = np.random.default_rng(SEED)
    tones = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220.0, 277.2, 329.6))
    return (0.2 * tones * (0.3 + time / time[-1]) + 0.02 * rng.normal(size=samples)).astype(np.float32)


def run_parts(vqvae: Any, prior: Any, context: int) -> dict[str, np.ndarray]:
    """Codes, the place in time, and what each layer gives, of one full window."""
    kept: dict[str, np.ndarray] = {}
    samples = sound(context * 128)
    codes = vqvae.encode(torch.from_numpy(samples)[None, :, None])[-1]
    kept["codes"] = codes[0].numpy().astype(np.int16)
    total = 62 * 44100 // 128 * 128
    label = torch.tensor([[total, 0, context * 128, 0, 0, -1, -1, -1, -1]])
    x_cond, y_cond, _ = prior.get_cond(None, label)
    kept["places"] = x_cond[0].numpy()
    layers: list[np.ndarray] = []
    for layer in prior.prior.transformer._attn_mods:
        layer.register_forward_hook(lambda *found: layers.append(found[-1][0].numpy().copy()))
    prior.prior.only_encode = True
    prior.prior.forward(codes, x_cond=x_cond, y_cond=y_cond, fp16=False)
    for layer in prior.prior.transformer._attn_mods:
        layer._forward_hooks.clear()
    kept["layers"] = np.stack(layers)
    return kept


def run_extraction(llark: Path, vqvae: Any, prior: Any, model: dict[str, int]) -> dict[str, np.ndarray]:
    """What the published extraction makes of recordings of several lengths."""
    text = (llark / "jukebox" / "main.py").read_text()
    text = text.replace("acts.shape[1] == 4800", f"acts.shape[1] == {model['width']}")
    text = text.replace("T = 8192 ", f"T = {model['context']} ").replace(
        "1048576", str(model["context"] * 128)
    )
    text = text.replace('"cuda")', '"cpu")')
    module = types.ModuleType("published")
    exec(compile(text, "published", "exec"), module.__dict__)
    hps = types.SimpleNamespace(sr=44100, n_samples=2, sample_length=0)
    kept: dict[str, np.ndarray] = {}
    for share in (0.31, 0.7321, 1.0, 1.4):
        samples = 0.4 * sound(int(share * model["context"] * 128))
        normalised = samples / np.abs(samples).max()
        module.__dict__["load_audio_from_file"] = lambda _, found=normalised: found
        kept[f"{len(samples)}"] = module.__dict__["get_acts_from_file"](
            None, hps, vqvae, prior, True, pool_frames_per_second=10
        )
    return kept


def main(jukebox: Path, llark: Path) -> None:
    sys.path.insert(0, str(jukebox))
    stand_in()
    goldens: dict[str, np.ndarray] = {}
    with torch.no_grad():
        for name, model in MODELS.items():
            vqvae, prior = build(model)
            randomise(vqvae, prior)
            for part, module in (("vqvae", vqvae), ("prior", prior)):
                for key, value in module.state_dict().items():
                    if not key.startswith(UNUSED):
                        goldens[f"{name}/{part}/{key}"] = value.numpy()
            for key, kept in run_parts(vqvae, prior, model["context"]).items():
                goldens[f"{name}/{key}"] = kept
            if name == "whole":
                for key, kept in run_extraction(llark, vqvae, prior, model).items():
                    goldens[f"{name}/published/{key}"] = kept
    GOLDENS.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDENS, **goldens)
    print(f"{GOLDENS}: {len(goldens)} arrays, {GOLDENS.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
