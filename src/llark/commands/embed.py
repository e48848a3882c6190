"""The command line of the embed stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llark.errors import UserMustAct

if TYPE_CHECKING:
    from llark.embed.encoder import Settings


def embed(
    clips: str | None = None,
    *,
    out: str | None = None,
    encoder: str = "mini",
    weights: str | None = None,
    compat: Literal["llark"] | None = None,
    layer: int | None = None,
    rate: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "bfloat16"] | None = None,
    batch: int = 8,
    workers: int = 0,
    verify: bool = False,
    cost: bool = False,
) -> None:
    """Turn clips into frames that a model hears, into sharded safetensors. Run again to go on.

    Parameters
    ----------
    clips
        A folder that `llark prepare` has filled; with --verify a folder of embeddings.
    out
        Folder for the embeddings.
    encoder
        mini, jukebox, clap, mel (64 bands of the spectrum as they are), or hub:NAME with a model's name on
        the hub or a folder: MERT, MuQ, Whisper, Dasheng, EnCodec, or any that transformers knows.
    weights
        jukebox: the folder that `llark convert-jukebox` wrote. clap: a name on the hub, a folder, or a .pt.
    compat
        llark: Jukebox as the published extraction runs it, quirks included.
    layer
        Of a hub encoder's transformer: 0 is its input, -1 its last layer.
    rate
        Frames a second, as 10 or 75/2; native: the encoder's own; clip: one vector a clip. 10 if not given,
        and for mini and clap their own.
    device
        cpu, cuda, cuda:1 …; a GPU if there is one.
    dtype
        float32 or bfloat16; bfloat16 on a GPU if not given.
    batch
        Windows heard at once.
    workers
        Local processes, each with its own encoder; 0 works in this one, in batches.
    verify
        Check that the frames in a folder of embeddings are those that were written.
    cost
        With --encoder jukebox: print what the full model costs on several machines, and stop.
    """
    from llark.embed import encoder as encoders
    from llark.pipeline import embed as walk

    if cost:
        from llark.embed.jukebox import sizes as costs

        print(costs.table())
        return
    if clips is None:
        raise UserMustAct("There are no clips: name a folder that llark prepare has filled.")
    if verify:
        print(walk.verify(clips))
        return
    if out is None:
        raise UserMustAct("Say with --out where the embeddings go.")
    wanted = encoders.device(device, dtype, batch)
    print(walk.run(clips, out, _settings(encoder, weights, compat, layer, rate), wanted, workers))


def _settings(
    name: str, weights: str | None, compat: str | None, layer: int | None, rate: str | None
) -> Settings:
    """What was said of one encoder; NAME=WEIGHTS and NAME#LAYER say it in its name."""
    from llark.embed.encoder import NATIVE, Settings

    name, _, own_layer = name.partition("#")
    if not name.startswith("hub:"):
        name, _, own_weights = name.partition("=")
        weights = own_weights or weights
    if own_layer:
        try:
            layer = int(own_layer)
        except ValueError as error:
            raise UserMustAct(f"{own_layer} is no layer of {name}; write it as {name}#6.") from error
    return Settings(name, weights, compat, layer, rate or (NATIVE if name == "mini" else "10"))


def convert_jukebox(vqvae: Path, prior: Path, *, out: Path) -> None:
    """Convert OpenAI's Jukebox 5b once: 10.3 GB of .pth.tar become 5.2 GB of safetensors.

    Parameters
    ----------
    vqvae
        vqvae.pth.tar.
    prior
        prior_level_2.pth.tar of 5b.
    out
        Folder for what `--encoder jukebox --weights` reads.
    """
    from llark.pipeline import embed as walk

    print(walk.convert_jukebox(vqvae, prior, out))


def export_embeddings(folder: str, *, out: Path, layout: Literal["npy", "webdataset"] = "npy") -> None:
    """Write a folder of embeddings as .npy files or as WebDataset tars.

    Parameters
    ----------
    folder
        What `llark embed` wrote.
    out
        A new folder.
    layout
        npy: one [frames, width] a clip; webdataset: tars of [1, frames, width].
    """
    from llark.pipeline import embed as walk

    print(walk.export(folder, out, layout))


def import_embeddings(source: Path, *, out: str, encoder: str, rate: str) -> None:
    """Read .npy files or WebDataset tars of embeddings; pickles (.pyd) are refused, with the way out.

    Parameters
    ----------
    source
        A folder of .npy, a .tar, or a folder of them.
    out
        Folder for the embeddings.
    encoder
        What made them.
    rate
        Their frames a second: 44100/4352 for the published Jukebox frames.
    """
    from llark.pipeline import embed as walk

    print(walk.import_(source, out, encoder, rate))
