"""`llark embed`: clips → embeddings, and conversions."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llark import engine
from llark.errors import UserMustAct
from llark.records import Clip
from llark.storage import artifacts, stages
from llark.storage.folders import Place

if TYPE_CHECKING:
    from llark.embed.encoder import Card, Device, EncoderOptions
    from llark.options import EmbedOptions

LONGEST_SECONDS_A_CLIP = 3600.0


def embed(clips: str, out: str, options: EmbedOptions) -> str:
    """The embed stage as the command line asks for it. Raises as `run` does."""
    from llark.embed import encoder as encoders

    device = encoders.device(options.device, options.dtype, options.batch)
    return run(clips, out, settings_of(options), device, options.workers, options.drop_share)


def settings_of(options: EmbedOptions) -> EncoderOptions:
    """The encoder that options name; NAME=WEIGHTS and NAME#LAYER say more of it in its name."""
    from llark.embed.encoder import NATIVE, EncoderOptions

    name, _, own_layer = options.encoder.partition("#")
    weights, layer = options.weights, options.layer
    if not name.startswith("hub:"):
        name, _, own_weights = name.partition("=")
        weights = own_weights or weights
    if own_layer:
        try:
            layer = int(own_layer)
        except ValueError as error:
            raise UserMustAct(f"{own_layer} is no layer of {name}; write it as {name}#6.") from error
    rate = options.rate or (NATIVE if name == "mini" else "10")
    return EncoderOptions(name, weights, options.compat, layer, rate)


def run(
    clips: str,
    out: str,
    settings: EncoderOptions,
    device: Device,
    workers: int = 0,
    drop_share: float = engine.DROP_SHARE,
) -> str:
    """The embed stage: into `out`, which goes on where it was stopped. Returns what was made.

    `clips` is a folder that `llark prepare` has filled, or one of clips.

    Raises:
        UserMustAct: There are no clips, the encoder cannot be loaded, or too much was dropped.
        StoreMismatch: The folder was made with other settings or clips.
    """
    from llark import embed
    from llark.embed import step

    settings = replace(settings, dtype=device.dtype)
    folder = clips_folder(clips)
    records = list(stages.read(folder, Clip))
    encoder = embed.load(settings, device)
    writer = open_stage(out, settings, encoder.card, folder)
    if workers:
        del encoder
        engine.run(
            step.EmbedStep(settings, device),
            records,
            writer,
            workers=workers,
            timeout_seconds=LONGEST_SECONDS_A_CLIP,
            total=len(records),
            drop_share=drop_share,
        )
    else:
        outcomes = step.outcomes(encoder, records, frozenset(writer.done), device.batch)
        engine.run(step.Unpack(), outcomes, writer, total=len(records), drop_share=drop_share)
    return counted(out)


def open_stage(out: Place, settings: EncoderOptions, card: Card, clips: Place) -> stages.StageWriter:
    """The writer of a folder of embeddings, which says what made them. Raises as `stages.open_stage` does."""
    from llark.embed import step

    plan = {
        "settings": asdict(settings),
        "version": card.version,
        "width": card.width,
        "frames_per_second": str(card.frames_per_second) if card.frames_per_second else "one a clip",
        "licence": card.licence,
    }
    return stages.open_stage(out, step.NAME, plan, [clips])


def clips_folder(place: str) -> Place:
    """The folder of clips: the place itself, or `clips` in it. Raises `UserMustAct` where there is none."""
    if clips := artifacts.look(place).clips:
        return clips[0]
    raise UserMustAct(f"{place} holds no clips: make them with llark prepare SOURCE --out {place}.")


def counted(out: str) -> str:
    """What a finished folder of embeddings holds, in a few lines."""
    page = stages.about(out)
    counts, config = page["counts"], page["config"]
    dropped = ", ".join(f"{reason} {count}" for reason, count in counts["dropped"].items()) or "none"
    return (
        f"{counts['out']} of {counts['in']} clips embedded in {out}; dropped: {dropped}\n"
        f"  {config['settings']['encoder']} {config['version']}: width {config['width']}, "
        f"frames a second {config['frames_per_second']}\n"
        f"  licence of the weights: {config['licence']}"
    )


def convert_jukebox(vqvae: Path, prior: Path, out: Path) -> str:
    """OpenAI's two files → what `--encoder jukebox` reads."""
    from llark.embed.jukebox import convert

    convert.convert(vqvae, prior, out)
    size = sum(path.stat().st_size for path in out.glob("*.safetensors"))
    lines = [f"{out}: {size / 1e9:.2f} GB. {convert.LICENCE}."]
    for name, file in convert.about(out).get("made_from", {}).items():
        lines.append(f"  from {name}: {file['bytes']:,} bytes, SHA-256 {file['sha256']}")
    return "\n".join(lines)


def export(folder: str, out: Path, layout: str) -> str:
    """A folder of embeddings in a layout that other tools read."""
    from llark.embed import layouts

    count = layouts.export(folder, out, layout)
    return f"{count} clips in {out}"


def import_(source: Path, out: str, encoder: str, rate: str) -> str:
    """Embeddings in a published layout → a folder of this package."""
    from llark.embed import layouts

    layouts.import_(source, out, encoder, rate)
    page = stages.about(out)
    return f"{page['counts']['out']} clips in {out}"


def verify(folder: str) -> str:
    """Whether all that is in a folder of embeddings is as it was written. Raises `UserMustAct` where not."""
    from llark.storage.embeddings import Embeddings

    embeddings = Embeddings(folder)
    for _ in stages.read_dropped(folder):
        pass
    damaged = embeddings.damaged()
    if damaged:
        raise UserMustAct(
            f"{folder}: the frames of {len(damaged)} clips are damaged, {damaged[0]} among them."
        )
    return f"{folder}: {len(embeddings)} clips, all as they were written"
