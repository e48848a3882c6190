"""What a model hears with: the encoder that made the frames it was trained on, as its folder records it, and
that encoder loaded again to hear a song in the same way.

The record is `audio_encoder` in the model's `config.json`: `settings` (those of `llark embed`), `version`,
`width`, `frames_per_second` (an exact fraction, empty for one frame a clip), `window_seconds` (of the clips
that were embedded) and the `licence` of the weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llark import audio, engine
from llark.errors import UserMustAct
from llark.pipeline import same_sounds
from llark.records import Clip, Embedding
from llark.storage import stages
from llark.storage.embeddings import Embeddings
from llark.storage.folders import Place

if TYPE_CHECKING:
    import numpy as np

    from llark.embed.encoder import Encoder, Settings

CONFIG = "config.json"

ONE_A_CLIP = "one a clip"
"""What the embed stage writes for frames a second where there is one frame a clip."""

IMPORTED = "imported"
"""The version of frames that were made elsewhere: which release of the encoder made them is not known."""

AT_ONCE = 8
"""Windows of a recording that are in memory at once."""

_FROM_ELSEWHERE: dict[str, dict[str, Any]] = {
    "jukebox-llark": {"encoder": "jukebox", "compat": "llark"},
    "mini": {"encoder": "mini", "rate": "native"},
}
"""Names under which frames are imported, and the settings that make the same ones here."""


@dataclass(frozen=True)
class Ears:
    """An encoder as it was used for training."""

    settings: Settings
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
    def are_bundled(self) -> bool:
        """Whether these are the package's own, at their own rate, which hear a clip as the annotators do."""
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
    found = [ears for ears in map(of_embeddings, folders) if ears is not None]
    if not found:
        return {}
    for other in found[1:]:
        if why := difference(found[0], other):
            raise UserMustAct(
                f"The embeddings were made by different encoders ({why}); embed all clips with one."
            )
    longest = max(ears.window_seconds for ears in found)
    settings = _from_anywhere(found[0].settings)
    return replace(found[0], settings=settings, window_seconds=longest).as_record()


def _from_anywhere(settings: Settings) -> Settings:
    """With the paths of folders and files that are here from the root on."""
    from llark.embed import HUB

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
    from llark.embed.encoder import CLIP, Settings

    known = {
        4800: (Settings("jukebox", compat="llark"), "11025/1088"),
        512: (Settings("clap", rate=CLIP), ""),
    }
    if width not in known:
        return {}
    settings, rate = known[width]
    return Ears(settings, IMPORTED, width, rate, audio.WINDOW_SECONDS).as_record()


def of_embeddings(folder: Place) -> Ears | None:
    """The encoder of a finished folder of embeddings; `None` where it does not say."""
    from llark.embed.encoder import Settings

    said: dict[str, Any] = stages.about(folder)["config"] or {}
    settings: Any = said.get("settings")
    shards = Embeddings(folder)
    first = next(iter(shards), None)
    if first is None:
        return None
    version, rate = str(said.get("version", IMPORTED)), said.get("frames_per_second")
    if isinstance(settings, Mapping):
        named = str(settings.get("encoder"))
        known = settings if version != IMPORTED else _FROM_ELSEWHERE.get(named, settings)
    elif str(said.get("encoder", "")).startswith("mini"):
        known, version = _FROM_ELSEWHERE["mini"], str(said["encoder"])
    else:
        return None
    rate = rate or str(Fraction(shards.entry(first)["frames_per_second"]))
    return Ears(
        settings=Settings(**known),
        version=version,
        width=shards.shape(first)[1],
        frames_per_second="" if rate == ONE_A_CLIP else str(rate),
        window_seconds=max(_seconds(shards, clip) for clip in shards),
        licence=str(said.get("licence", "unknown")),
    )


def _seconds(shards: Embeddings, clip: str) -> float:
    entry = shards.entry(clip)
    if "end_seconds" in entry:
        return round(float(entry["end_seconds"]) - float(entry["start_seconds"]), 6)
    return round(shards.shape(clip)[0] / float(entry["frames_per_second"]), 6)


def difference(one: Ears, other: Ears) -> str:
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
    from llark.embed import HUB

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
        page: dict[str, Any] = json.loads(path.read_text())
    except OSError as error:
        raise UserMustAct(f"{model} is not a model folder: it has no {CONFIG}.") from error
    except ValueError as error:
        raise UserMustAct(f"{path} is damaged: {error}.") from error
    return page


def of_model(model: Path) -> Ears:
    """The encoder that a model was trained with.

    Raises `UserMustAct` where the folder does not say, and its frames are not as wide as those of `mini`.
    """
    from llark.embed import mini
    from llark.embed.encoder import Settings

    page = config_of(model)
    if said := page.get("audio_encoder"):
        try:
            return Ears(**{**said, "settings": Settings(**said["settings"])})
        except (TypeError, KeyError) as error:
            raise UserMustAct(
                f"{model / CONFIG}: audio_encoder is not as this release writes it: {error}."
            ) from error
    if page.get("audio_width") == mini.WIDTH:
        rate = str(mini.FRAMES_PER_SECOND)
        settings = Settings(**_FROM_ELSEWHERE["mini"])
        return Ears(settings, mini.VERSION, mini.WIDTH, rate, audio.WINDOW_SECONDS)
    raise UserMustAct(
        f"{model} does not say which encoder made the frames of width {page.get('audio_width')} that it was "
        "trained on, so it cannot be asked about a recording. With frames at hand it can: llark infer."
    )


def load(ears: Ears, weights: str | None = None, device: str | None = None) -> Encoder:
    """The encoder again, in the precision of the training.

    `weights`: a folder or name in place of the recorded one. Raises `UserMustAct` where they are missing, or
    where the frames would be others than those of the training.
    """
    from llark import embed
    from llark.embed import encoder as encoders

    settings = _with_weights(ears.settings, weights)
    try:
        encoder = embed.load(settings, encoders.device(device, settings.dtype))
    except UserMustAct as error:
        raise UserMustAct(
            f"The model hears with {ears.name}, which cannot be loaded: {error} "
            "If its weights lie elsewhere, name them with --encoder-weights."
        ) from error
    card = encoder.card
    rate = str(card.frames_per_second) if card.frames_per_second else ""
    here = replace(ears, version=card.version, width=card.width, frames_per_second=rate)
    if why := difference(ears, here):
        raise UserMustAct(
            f"The model was trained on frames of {ears.name} that this encoder does not give: {why} (the "
            "first is the model's). Name the right weights with --encoder-weights, or train it anew."
        )
    return encoder


def _with_weights(settings: Settings, weights: str | None) -> Settings:
    from llark.embed import HUB

    if weights is None:
        return settings
    if settings.encoder.startswith(HUB):
        return replace(settings, encoder=HUB + weights)
    return replace(settings, weights=weights)


# --- hearing ----------------------------------------------------------------------------------------------


def hear(
    encoder: Encoder, window_seconds: float, path: Place, start: float = 0.0, end: float | None = None
) -> np.ndarray:
    """A recording, or a stretch of it, as a model hears it: [frames, width], its windows one after the other.

    Raises `BadAudio` as `audio.load` does, and where there is less than a second.
    """
    import numpy as np

    from llark.embed.encoder import Sound

    spans = audio.windows_of(path, start, end, window_seconds)
    frames: list[np.ndarray] = []
    with engine.Ticker("embed", len(spans), show=len(spans) > 2) as tick:
        for at in range(0, len(spans), AT_ONCE):
            group = spans[at : at + AT_ONCE]
            frames += encoder([Sound(samples, rate) for _, samples, rate in audio.stream(path, group)])
            tick(len(frames))
    return np.concatenate(frames)


# --- evaluation -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class How:
    """Where a model's encoder lies, if not where it says, and the device that it runs on."""

    weights: str | None = None
    device: str | None = None


class Hear:
    """Step: a clip becomes the frames in which a model hears it. Works in this process only."""

    name = "embed"

    def __init__(self, ears: Ears, encoder: Encoder) -> None:
        self.ears, self.encoder = ears, encoder

    def id_of(self, record: Clip) -> str:
        return record.id

    def open(self) -> None:
        """It is loaded already."""

    def __call__(self, record: Clip) -> Iterator[Embedding]:
        frames = hear(
            self.encoder, self.ears.window_seconds, record.path, record.start_seconds, record.end_seconds
        )
        rate = float(Fraction(self.ears.frames_per_second or len(frames) / record.duration_seconds))
        yield Embedding(record.id, f"{self.ears.name} {self.encoder.card.version}", frames, rate)


def for_model(
    model: Path,
    embeddings: Mapping[str, Embedding],
    clips: Mapping[str, Clip],
    folder: Path,
    how: How | None = None,
) -> Mapping[str, Embedding]:
    """Clips as a model hears them: the embeddings that are there, if its encoder made them; else they are
    made, once, and kept in `folder`.

    Raises `UserMustAct` where its encoder is not known or cannot be loaded, or where it cannot hear a clip.
    """
    if not clips or not embeddings or _are_of(model, embeddings):
        return embeddings
    ears = of_model(model)
    how = how or How()
    encoder = load(ears, how.weights, how.device)
    sounds = same_sounds.digest(clips.values())
    plan = {**ears.as_record(), "version": encoder.card.version, "clips": sorted(clips), "sounds": sounds}
    same_sounds.refuse_others(folder, plan)
    writer = stages.open_stage(folder, Hear.name, plan)
    engine.run(Hear(ears, encoder), clips.values(), writer, total=len(clips))
    if lost := list(stages.read_dropped(folder)):
        raise UserMustAct(f"{ears.name} cannot hear {lost[0].id}: {lost[0].detail}")
    return Embeddings(folder)


def _are_of(model: Path, embeddings: Mapping[str, Embedding]) -> bool:
    """Whether embeddings are of the encoder of a model, as far as both say."""
    place = getattr(embeddings, "folder", None)
    there = None if place is None else of_embeddings(place)
    if there is None:
        return True
    page = config_of(model)
    known = page.get("audio_encoder") or page.get("audio_width") != there.width
    return not known or not difference(of_model(model), there)
