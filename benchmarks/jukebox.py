"""Seconds and memory of Jukebox here and in openai/jukebox, on the same random weights and this machine.

    python benchmarks/jukebox.py JUKEBOX LLARK [--width 480] [--depth 36] [--clips 2] [--threads 1]

JUKEBOX is a checkout of https://github.com/openai/jukebox (08efbbc), LLARK one of
https://github.com/spotify-research/llark (a933b94): theirs is the published extraction, ours the same frames
(`compat="llark"`). The VQ-VAE has its full size and the context its full 8,192 codes; the prior's width and
depth are what fits here. Each runs in a process of its own. Time is that of the processor, from samples to
frames, so that a busy machine does not count; peak memory is what the system counts from the files on disk to
the last clip's frames, less what Python and the libraries take before anything is loaded. Theirs is stood in
for on a CPU as tests/embed/jukebox_goldens.py does. How far the frames are apart is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = 1_048_576
RATE = 44_100
HEADS = 8
OURS = ("ours float32", "ours bfloat16")
THEIRS = "openai/jukebox"


def clip(index: int) -> np.ndarray:
    """A window and a bit of tones and noise."""
    time_ = np.arange(25 * RATE) / RATE
    rng = np.random.default_rng(index)
    tones = sum(np.sin(2 * np.pi * pitch * time_) for pitch in rng.uniform(80, 900, 4))
    return (0.1 * tones + 0.02 * rng.normal(size=len(time_))).astype(np.float32)


def reference(args: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Their modules with full VQ-VAE and context, and the goldens' helper."""
    sys.path[:0] = [str(ROOT), args.jukebox]
    from tests.embed import jukebox_goldens as goldens

    goldens.stand_in()
    goldens.VQ = {"width": 32, "depth": 4, "code_width": 64, "codes": 2048}
    goldens.TIME_BINS = 128
    model = {"context": 8192, "blocks": 128, "width": args.width, "depth": args.depth, "heads": HEADS}
    return (*goldens.build(model), goldens)


def write_weights(args: argparse.Namespace, folder: Path) -> None:
    """The same random weights as their files and as ours. Their prior has twice the layers, as released."""
    import torch

    half, args.depth = args.depth, 2 * args.depth
    vqvae, prior, goldens = reference(args)
    with torch.no_grad():
        heard = vqvae.encoders[-1](torch.from_numpy(clip(0)[:SAMPLES])[None, None])[-1][0].t()
        rows = torch.linspace(2, len(heard) - 1, 2048).long()
        vqvae.bottleneck.level_blocks[-1].k = heard[rows] + 0.05 * heard.std() * torch.randn(2048, 64)
        for value in prior.parameters():
            if value.ndim == 1:
                value.add_(0.02 * torch.randn_like(value))
    del goldens
    for name, module in (("vqvae", vqvae), ("prior", prior)):
        page = {"model": module.state_dict()}
        torch.save(page, folder / f"{name}.pth.tar", _use_new_zipfile_serialization=False)
    from llark.embed.jukebox import convert
    from llark.embed.jukebox.sizes import PriorSizes, Sizes

    sizes = PriorSizes(
        width=args.width, depth=half, heads=HEADS, attention_width=args.width // 4, mlp_width=args.width
    )
    convert.convert(folder / "vqvae.pth.tar", folder / "prior.pth.tar", folder / "ours", Sizes(prior=sizes))


def run_theirs(args: argparse.Namespace, folder: Path) -> tuple[list[np.ndarray], float]:
    """Loads their checkpoints as they do, without the strictness, and runs the published extraction."""
    import types

    import torch

    vqvae, prior, _ = reference(args)
    for name, module in (("vqvae", vqvae), ("prior", prior)):
        found = torch.load(folder / f"{name}.pth.tar", map_location="cpu", weights_only=True)
        module.load_state_dict(found["model"], strict=False)
    del found
    text = (Path(args.llark) / "jukebox" / "main.py").read_text()
    text = text.replace("acts.shape[1] == 4800", f"acts.shape[1] == {args.width}").replace(
        '"cuda")', '"cpu")'
    )
    module = types.ModuleType("published")
    exec(compile(text, "published", "exec"), module.__dict__)
    hps = types.SimpleNamespace(sr=RATE, n_samples=8, sample_length=0)
    began, frames = time.process_time(), []
    with torch.no_grad():
        for index in range(args.clips):
            samples = clip(index)
            scaled = samples / np.abs(samples).max()
            module.__dict__["load_audio_from_file"] = lambda _, found=scaled: found
            extract = module.__dict__["get_acts_from_file"]
            frames.append(extract(None, hps, vqvae, prior, True, pool_frames_per_second=10))
    return frames, time.process_time() - began


def run_ours(args: argparse.Namespace, folder: Path, dtype: str) -> tuple[list[np.ndarray], float]:
    from llark.embed import load
    from llark.embed.encoder import Device, EncoderOptions, Sound

    settings = EncoderOptions("jukebox", weights=str(folder / "ours"), compat="llark")
    listen = load(settings, Device(dtype=dtype, batch=args.clips))
    began = time.process_time()
    frames = listen([Sound(clip(index), RATE) for index in range(args.clips)])
    return frames, time.process_time() - began


def one(args: argparse.Namespace, folder: Path) -> None:
    """In a process of its own: what is measured, as JSON, and the frames beside it."""
    import torch

    import llark.embed.jukebox.encoder  # noqa: F401

    torch.set_num_threads(args.threads)
    before = peak_bytes()
    if args.one == THEIRS:
        frames, seconds = run_theirs(args, folder)
    else:
        frames, seconds = run_ours(args, folder, args.one.split()[1])
    peak = peak_bytes() - before
    np.save(folder / f"{args.one.replace('/', '-')}.npy", np.stack(frames))
    measured = {"seconds": seconds, "peak": peak}
    print(json.dumps(measured), flush=True)


def peak_bytes() -> int:
    """The most memory that this process has held so far, mapped files included (Linux)."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("jukebox")
    parser.add_argument("llark")
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--depth", type=int, default=36)
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one")
    args = parser.parse_args()
    if args.one:
        one(args, args.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        if not (folder / "ours" / "jukebox.json").is_file():
            write_weights(args, folder)
            args.depth //= 2
        report(args, folder)


def report(args: argparse.Namespace, folder: Path) -> None:
    """Runs all of them one after the other and prints the table."""
    rows = {}
    for name in (THEIRS, *OURS):
        command = [sys.executable, __file__, args.jukebox, args.llark, "--folder", str(folder), "--one", name]
        for option in ("width", "depth", "clips", "threads"):
            command += [f"--{option}", str(getattr(args, option))]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True)
        rows[name] = json.loads(done.stdout.strip().splitlines()[-1])
    theirs = np.load(folder / f"{THEIRS.replace('/', '-')}.npy")
    print(f"\nwidth {args.width}, {args.depth} layers, {args.clips} clips, {args.threads} threads")
    print("| | CPU s a clip | faster | peak MB | of theirs | furthest from theirs |")
    print("|---|---|---|---|---|---|")
    for name, row in rows.items():
        own = np.load(folder / f"{name.replace('/', '-')}.npy")
        ratio = rows[THEIRS]["seconds"] / row["seconds"]
        print(
            f"| {name} | {row['seconds'] / args.clips:.2f} | {ratio:.2f} × | "
            f"{row['peak'] / 1e6:.0f} | {row['peak'] / rows[THEIRS]['peak']:.2f} | "
            f"{np.abs(own - theirs).max() / theirs.std():.1e} of a standard deviation |"
        )


if __name__ == "__main__":
    main()
