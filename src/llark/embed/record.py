"""The encoder record: which encoder made the frames that a model was trained on; and that encoder, loaded.

The record is `audio_encoder` in the model's `config.json`: `settings` (those of `llark embed`), `version`,
`width`, `frames_per_second` (an exact fraction, empty for one frame a clip), `window_seconds` (of the clips
that were embedded) and the `licence` of the weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llark import audio, embed
from llark.embed import HUB, mini
from llark.embed.encoder import CLIP, Encoder, EncoderOptions, device
from llark.errors import UserMustAct
from llark.records import fraction
from llark.storage import stages
from llark.storage.embeddings import Embeddings
from llark.storage.folders import Place, read_json

CONFIG = "config.json"

ONE_A_CLIP = "one a clip"
"""What the embed stage writes for frames a second where there is one frame a clip."""

IMPORTED = "imported"
"""The version of frames that were made elsewhere: which release of the encoder made them is not known."""

_FROM_ELSEWHERE: dict[str, dict[str, Any]] = {
    "jukebox-llark": {"encoder": "jukebox", "compat": "llark"},
    "mini": {"encoder": "mini", "rate": "native"},
}
"""Names under which frames are imported, and the settings that make the same ones here."""


@dataclass(frozen=True)
class EncoderRecord:
    """An encoder as it was used for training."""

    settings: EncoderOptions
    version: str
    width: int
    frames_per_second: str
    """Exact, as a fraction; empty for one frame a clip."""
    window_seconds: float
    """The clips' length: a song is cut into such windows."""
    licence: str = "unknown"

    @property
    def name(self) -> str:
        """As a person would name it."""
        layer = "" if self.settings.layer is None else f", layer {self.settings.layer}"
        compat = f", compat {self.settings.compat}" if self.settings.compat else ""
        return f"{self.settings.encoder}{layer}{compat}"

    @property
    def is_bundled(self) -> bool:
        """Whether this is `mini` at its own rate, which shares windows and networks with the annotators."""
        at_own_rate = self.settings.rate in ("native", self.frames_per_second)
        return self.settings.encoder == "mini" and at_own_rate and self.window_seconds == audio.WINDOW_SECONDS

    def as_record(self) -> dict[str, Any]:
        """What `config.json` keeps."""
        return asdict(self)


# --- what is recorded -------------------------------------------------------------------------------------


def record_of(folders: Sequence[Place]) -> dict[str, Any]:
    """What training records of the embeddings in these folders; empty where they do not say.

    Raises `UserMustAct` where they were made by different encoders.
    """
    records = [record for record in map(of_embeddings, folders) if record is not None]
    if not records:
        return {}
    for other in records[1:]:
        if why := difference(records[0], other):
            raise UserMustAct(
                f"The embeddings were made by different encoders ({why}); embed all clips with one."
            )
    longest = max(record.window_seconds for record in records)
    settings = _from_anywhere(records[0].settings)
    return replace(records[0], settings=settings, window_seconds=longest).as_record()


def _from_anywhere(settings: EncoderOptions) -> EncoderOptions:
    """With the paths of folders and files that are here from the root on."""

    def full(place: str) -> str:
        path = Path(place).expanduser()
        return str(path.resolve()) if path.exists() else place

    if settings.encoder.startswith(HUB):
        return replace(settings, encoder=HUB + full(settings.encoder.removeprefix(HUB)))
    return settings if settings.weights is None else replace(settings, weights=full(settings.weights))


def of_published(width: int) -> dict[str, Any]:
    """What is recorded of a checkpoint of the published code, which was trained on frames of this width:
    Jukebox as published, or one vector of CLAP a clip; empty for any other.
    """
    known = {
        4800: (EncoderOptions("jukebox", compat="llark"), "11025/1088"),
        512: (EncoderOptions("clap", rate=CLIP), ""),
    }
    if width not in known:
        return {}
    settings, rate = known[width]
    return EncoderRecord(settings, IMPORTED, width, rate, audio.WINDOW_SECONDS).as_record()


def of_embeddings(folder: Place) -> EncoderRecord | None:
    """The encoder of a finished folder of embeddings; `None` where it does not say."""
    config = stages.about(folder)["config"]
    settings: Any = config.get("settings")
    shards = Embeddings(folder)
    first = next(iter(shards), None)
    if first is None:
        return None
    version, rate = str(config.get("version", IMPORTED)), config.get("frames_per_second")
    if isinstance(settings, Mapping):
        named = str(settings.get("encoder"))
        known = settings if version != IMPORTED else _FROM_ELSEWHERE.get(named, settings)
    elif str(config.get("encoder", "")).startswith("mini"):
        known, version = _FROM_ELSEWHERE["mini"], str(config["encoder"])
    else:
        return None
    rate = rate or str(fraction(shards.entry(first)["frames_per_second"]))
    try:
        settings = EncoderOptions(**known)
    except TypeError as error:
        raise UserMustAct(f"{folder} was embedded with settings of another release: {error}.") from error
    return EncoderRecord(
        settings=settings,
        version=version,
        width=shards.shape(first)[1],
        frames_per_second="" if rate == ONE_A_CLIP else str(rate),
        window_seconds=max(_seconds(shards, clip) for clip in shards),
        licence=str(config.get("licence", "unknown")),
    )


def _seconds(shards: Embeddings, clip: str) -> float:
    entry = shards.entry(clip)
    if "end_seconds" in entry:
        return round(float(entry["end_seconds"]) - float(entry["start_seconds"]), 6)
    return round(shards.shape(clip)[0] / float(entry["frames_per_second"]), 6)


def difference(one: EncoderRecord, other: EncoderRecord) -> str:
    """What tells two encoders' frames apart, in a few words; empty where nothing is known to."""
    pairs = {
        "encoder": (_bare(one.settings.encoder), _bare(other.settings.encoder)),
        "layer": (one.settings.layer, other.settings.layer),
        "compat": (one.settings.compat, other.settings.compat),
        "frames a second": (one.frames_per_second or ONE_A_CLIP, other.frames_per_second or ONE_A_CLIP),
        "width": (one.width, other.width),
        "version": (_release(one.version), _release(other.version)),
    }
    for what, (mine, theirs) in pairs.items():
        if mine != theirs and not (what == "version" and IMPORTED in (mine, theirs)):
            return f"{what}: {mine} and {theirs}"
    return ""


def _bare(encoder: str) -> str:
    """A hub encoder's own name, without the folder it lies in."""
    if not encoder.startswith(HUB):
        return encoder
    return HUB + encoder.removeprefix(HUB).rstrip("/").rpartition("/")[2]


def _release(version: str) -> str:
    """A version without the precision that it was computed in."""
    return version.removesuffix("-bfloat16")


# --- what a model needs -----------------------------------------------------------------------------------


def config_of(model: Path) -> dict[str, Any]:
    """A model folder's `config.json`. Raises `UserMustAct` where there is none."""
    path = model / CONFIG
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UserMustAct(f"{model} is not a model folder: it has no {CONFIG}.") from error
    return read_json(dict[str, Any], text, path)


def of_model(model: Path) -> EncoderRecord:
    """The encoder that a model was trained with.

    Raises `UserMustAct` where the folder does not say, and its frames are not as wide as those of `mini`.
    """
    page = config_of(model)
    if recorded := page.get("audio_encoder"):
        try:
            record = EncoderRecord(**{**recorded, "settings": EncoderOptions(**recorded["settings"])})
            return read_json(
                EncoderRecord, json.dumps(record.as_record()), f"audio_encoder in {model / CONFIG}"
            )
        except (TypeError, KeyError) as error:
            raise UserMustAct(
                f"{model / CONFIG}: audio_encoder is not as this release writes it: {error}."
            ) from error
    if page.get("audio_width") == mini.WIDTH:
        rate = str(mini.FRAMES_PER_SECOND)
        settings = EncoderOptions(**_FROM_ELSEWHERE["mini"])
        return EncoderRecord(settings, mini.VERSION, mini.WIDTH, rate, audio.WINDOW_SECONDS)
    raise UserMustAct(
        f"{model} does not say which encoder made the frames of width {page.get('audio_width')} that it was "
        "trained on, so it cannot be asked about a recording. With frames at hand it can: llark infer."
    )


def load(record: EncoderRecord, weights: str | None = None, device_name: str | None = None) -> Encoder:
    """The encoder again, in the precision of the training.

    `weights`: a folder or name in place of the recorded one. Raises `UserMustAct` where they are missing, or
    where the frames would be others than those of the training.
    """
    settings = _with_weights(record.settings, weights)
    try:
        encoder = embed.load(settings, device(device_name, settings.dtype))
    except UserMustAct as error:
        raise UserMustAct(
            f"The model needs the encoder {record.name}, which cannot be loaded: {error} "
            "If its weights lie elsewhere, name them with --encoder-weights."
        ) from error
    card = encoder.card
    rate = str(card.frames_per_second) if card.frames_per_second else ""
    here = replace(record, version=card.version, width=card.width, frames_per_second=rate)
    if why := difference(record, here):
        raise UserMustAct(
            f"The model was trained on frames of {record.name} that this encoder does not give: {why} (the "
            "first is the model's). Name the right weights with --encoder-weights, or train it anew."
        )
    return encoder


def _with_weights(settings: EncoderOptions, weights: str | None) -> EncoderOptions:
    if weights is None:
        return settings
    if settings.encoder.startswith(HUB):
        return replace(settings, encoder=HUB + weights)
    return replace(settings, weights=weights)
