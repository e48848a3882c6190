"""OpenAI's two released files → safetensors that hold only what an encoder uses.

The matrices of the prior are stored in float16, in which the reference holds them too (it casts the released
numbers down when it loads them); all else in float32. Layers are written one file each, so that a machine
with little memory converts and reads them one at a time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from llark import engine
from llark.embed.checkpoint import Checkpoint
from llark.embed.jukebox.sizes import PriorSizes, Sizes, VQSizes
from llark.errors import UserMustAct
from llark.storage import folders
from llark.storage.folders import read_json

CONFIG = "jukebox.json"
FIRST = "first.safetensors"
FORMAT = 1

RELEASED = ("jukebox/models/5b/vqvae.pth.tar", "jukebox/models/5b/prior_level_2.pth.tar")
"""Paths of the released files below https://openaipublic.azureedge.net/, as openai/jukebox names them: 7.7 MB
and 10,288,727,721 bytes. OpenAI has published no hashes; `convert` writes down those of what it was given."""

LICENCE = "OpenAI's Noncommercial Use License: non-commercial use only"

HOW_TO_GET = (
    "Get vqvae.pth.tar and prior_level_2.pth.tar of the model 5b from OpenAI and convert them once: "
    "llark convert-jukebox VQVAE PRIOR --out FOLDER."
)

Tensors = dict[str, torch.Tensor]


def convert(vqvae: Path, prior: Path, out: Path, sizes: Sizes | None = None) -> None:
    """Writes the folder that `encoder.load` reads; a folder that is complete, and as it was written, is left
    as it is.

    Args:
        vqvae, prior: `vqvae.pth.tar` and `prior_level_2.pth.tar` of `5b`.
        out: A local folder.
        sizes: Of other models than 5b.

    Raises:
        UserMustAct: A file is missing, no checkpoint, or of another model.
    """
    sizes = sizes or Sizes()
    place = folders.folder(out)
    if place.exists(CONFIG) and all(_is_as_made(out, name) for name in about(out).get("files", ())):
        return
    with engine.Ticker("convert", sizes.prior.depth + 1) as tick, folders.clear_errors(out):
        top = Checkpoint(prior)
        _write(out / FIRST, {**_vq(Checkpoint(vqvae), sizes.vq, vqvae), **_first(top, sizes.prior, prior)})
        tick()
        for depth in range(sizes.prior.depth):
            _write(out / layer_file(depth), _layer(top, depth, sizes.prior, prior))
            tick()
        made_from = {
            name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
            for name, path in (("vqvae", vqvae), ("prior", prior))
        }
        page = {
            "format": FORMAT,
            "licence": LICENCE,
            "sizes": asdict(sizes),
            "made_from": made_from,
            "files": {path.name: folders.checksum(path) for path in sorted(out.glob("*.safetensors"))},
        }
        place.write(CONFIG, (json.dumps(page, indent=1) + "\n").encode())


def layer_file(depth: int) -> str:
    return f"layer-{depth:02d}.safetensors"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def about(folder: Path) -> dict[str, Any]:
    """What a converted model says of itself. Raises `UserMustAct` where there is none."""
    place = folders.folder(folder)
    if not place.exists(CONFIG):
        raise UserMustAct(f"{folder} holds no converted Jukebox. {HOW_TO_GET}")
    return read_json(dict[str, Any], place.read(CONFIG), folder / CONFIG)


def _is_as_made(folder: Path, name: str) -> bool:
    """Whether a file has the bytes that were converted, as far as the folder says."""
    try:
        return about(folder).get("files", {}).get(name) in (None, folders.checksum(folder / name))
    except OSError:
        return False


def digest(folder: Path) -> str:
    """A few digits that stand for the released files that a model was converted from."""
    made_from = json.dumps(about(folder).get("made_from"), sort_keys=True)
    return hashlib.sha256(made_from.encode()).hexdigest()[:8]


def read_sizes(folder: Path) -> Sizes:
    """The sizes of a converted model. Raises `UserMustAct` where there is none."""
    page = about(folder)
    vq = {**page["sizes"]["vq"], "halvings": tuple(page["sizes"]["vq"]["halvings"])}
    return Sizes(VQSizes(**vq), PriorSizes(**page["sizes"]["prior"]))


def _write(path: Path, tensors: Tensors) -> None:
    from safetensors.torch import save

    folders.folder(path.parent).write(path.name, save(tensors))


# --- names ------------------------------------------------------------------------------------------------


def _vq(published: Mapping[str, torch.Tensor], sizes: VQSizes, path: Path) -> Tensors:
    """The top level's encoder and its codebook; the decoders and the two other levels are left."""
    top = len(sizes.halvings) - 1
    tensors: Tensors = {}
    for block, halvings in enumerate(sizes.halvings):
        for theirs, ours in _block_names(halvings, sizes.depth):
            for kind in ("weight", "bias"):
                name = f"encoders.{top}.level_blocks.{block}.model.{theirs}.{kind}"
                tensors[f"vq.blocks.{block}.steps.{ours}.{kind}"] = _take(published, name, path).float()
    book = _take(published, f"bottleneck.level_blocks.{top}.k", path).float()
    tensors["vq.codebook"] = _shaped(book, (sizes.codes, sizes.code_width), path)
    return {name: value.contiguous() for name, value in tensors.items()}


def _block_names(halvings: int, depth: int) -> Iterator[tuple[str, str]]:
    """Their names of the convolutions in a block, and ours."""
    for step in range(halvings):
        ours = step * (depth + 1)
        yield f"{step}.0", f"{ours}"
        for inner in range(depth):
            yield f"{step}.1.model.{inner}.model.1", f"{ours + 1 + inner}.wide"
            yield f"{step}.1.model.{inner}.model.3", f"{ours + 1 + inner}.point"
    yield f"{halvings}", f"{halvings * (depth + 1)}"


def _first(published: Mapping[str, torch.Tensor], sizes: PriorSizes, path: Path) -> Tensors:
    """What lies before the layers. Of 4,111 artists and 120 genres the unknown ones are kept."""
    genre, artist = (
        _take(published, f"y_emb.{name}.emb.weight", path)[0] for name in ("bow_genre_emb", "artist_emb")
    )
    codes = _take(published, "prior.x_emb.weight", path)
    places = _take(published, "prior.pos_emb.pos_emb", path)
    tensors = {
        "prior.code_embedding": _shaped(codes, (sizes.codes, sizes.width), path),
        "prior.positions": _shaped(places, (sizes.context, sizes.width), path),
        "prior.start": genre + artist,
        "prior.total_time": _take(published, "y_emb.total_length_emb.emb.weight", path),
        "prior.absolute_time": _take(published, "y_emb.absolute_pos_emb.emb.weight", path),
        "prior.relative_time": _take(published, "y_emb.relative_pos_emb.emb.weight", path),
    }
    return {name: value.float().contiguous() for name, value in tensors.items()}


_LAYER_NAMES = {
    "attention_in": "attn.c_attn",
    "attention_out": "attn.c_proj",
    "mlp_in": "mlp.c_fc",
    "mlp_out": "mlp.c_proj",
    "attention_norm": "ln_0",
    "mlp_norm": "ln_1",
}


def _layer(published: Mapping[str, torch.Tensor], depth: int, sizes: PriorSizes, path: Path) -> Tensors:
    tensors: Tensors = {}
    for ours, theirs in _LAYER_NAMES.items():
        name = f"prior.transformer._attn_mods.{depth}.{theirs}"
        if "norm" in ours:
            for kind in ("weight", "bias"):
                tensors[f"{ours}.{kind}"] = _take(published, f"{name}.{kind}", path).float().contiguous()
        else:
            tensors[f"{ours}.weight"] = _take(published, f"{name}.w", path).half().t().contiguous()
            tensors[f"{ours}.bias"] = _take(published, f"{name}.b", path).float().contiguous()
    _shaped(tensors["attention_in.weight"], (3 * sizes.attention_width, sizes.width), path)
    return tensors


def _take(published: Mapping[str, torch.Tensor], name: str, path: Path) -> torch.Tensor:
    if name not in published:
        layers = [re.findall(r"_attn_mods\.(\d+)\.", key) for key in published]
        has = 1 + max((int(layer[0]) for layer in layers if layer), default=-1)
        raise UserMustAct(
            f"{path} has no {name} (it has {len(published)} tensors and {has} layers); "
            "is it the other file, or of another model than 5b?"
        )
    return published[name]


def _shaped(tensor: torch.Tensor, shape: tuple[int, ...], path: Path) -> torch.Tensor:
    if tuple(tensor.shape) != shape:
        raise UserMustAct(f"{path} is of another model: a table is {tuple(tensor.shape)}, not {shape}.")
    return tensor


def state(folder: Path, name: str) -> dict[str, Any]:
    """The tensors of one file, mapped from disk: their pages are read when they are used."""
    from safetensors import safe_open

    if not _is_as_made(folder, name):
        raise UserMustAct(f"{folder / name} is damaged: convert the model again (llark convert-jukebox).")
    with safe_open(folder / name, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
