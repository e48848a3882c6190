"""Listening: recordings and clips → what is measured in them, and the frames that a model reads.

One loop reads a recording window by window. The annotators and the `mini` encoder share the frozen networks,
so both read the features of a window in one pass, whoever asks: `llark ask`, `annotate`, `build`, `evaluate`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from llark import audio, engine
from llark.errors import StoreMismatch, UserMustAct
from llark.records import Annotation, Clip, Dropped, Embedding, Track, fraction
from llark.storage import folders, stages
from llark.storage.embeddings import Embeddings
from llark.storage.folders import Place

if TYPE_CHECKING:
    import numpy as np

    from llark.embed.encoder import Encoder, EncoderOptions
    from llark.embed.record import EncoderRecord

LONGEST_SECONDS = 3600.0
"""A record that takes a worker longer than this is dropped."""


@dataclass(frozen=True, eq=False)
class Listened:
    """What one pass over a recording gives."""

    facts: Annotation
    """What was measured, of the whole."""
    frames: np.ndarray | None
    """float32 [frames, width] of the `mini` encoder, first to last; `None` where they were not wanted."""


def windows_of(track: Track, window_seconds: float = audio.WINDOW_SECONDS) -> list[tuple[float, float]]:
    """(start, end) seconds, in its file, of the windows that a track is listened to in.

    Raises `BadAudio` as `audio.probe` does, and `too-short` for less than a second.
    """
    return audio.windows_of(track.path, track.start_seconds, track.end_seconds, window_seconds)


def to_recording(
    track: Track,
    *,
    frames: bool = False,
    notes: bool = False,
    progress: str | None = None,
) -> Listened:
    """One pass over a whole recording, in flat memory: one window of samples is held at a time.

    `frames`: whether those of `mini` are wanted. `notes`: whether the facts hold transcribed notes.
    `progress`: the name of a progress bar, for a recording of more than two windows.
    Raises `BadAudio` as `windows_of` and `audio.load` do.
    """
    import numpy as np

    from llark.annotate.song import SongFacts
    from llark.embed import mini
    from llark.networks.features import AudioFeatures, one_thread

    spans = windows_of(track)
    song, parts = SongFacts(track.id, notes=notes), []
    show = progress is not None and len(spans) > 2
    with one_thread(), engine.Ticker(progress or "", len(spans), show=show) as tick:
        for start, end in spans:
            features = AudioFeatures.of_file(track.path, start, end)
            song.add(features, start)
            if frames:
                parts.append(mini.embed(features))
            tick()
    return Listened(song.facts(), np.concatenate(parts) if frames else None)


@dataclass(frozen=True)
class Listen:
    """Step: a clip or a whole track becomes its annotation and its `mini` embedding; each network runs once.

    A `Track` is listened to window by window, a `Clip` in one piece; the `Dropped` of a recording that was
    lost before stays one. On one thread, so that no sum depends on how many workers share the machine. Raises
    `BadAudio` as `windows_of`, `audio.load` and, of a clip, `audio.refuse_changed` do.
    """

    facts: bool = True
    """Whether the annotation is wanted."""
    frames: bool = True
    """Whether the embedding is wanted."""
    notes: bool = False
    """Whether the annotation holds transcribed notes."""
    name: str = "listen"
    progress: bool = False
    """Whether the windows of a long track are counted on the terminal."""

    def id_of(self, record: Track | Clip | Dropped) -> str:
        return record.id

    def open(self) -> None:
        from llark.networks.features import Networks

        Networks.shared()

    def __call__(self, record: Track | Clip | Dropped) -> Iterator[Annotation | Embedding | Dropped]:
        from llark import annotate
        from llark.embed import mini
        from llark.networks.features import AudioFeatures, one_thread

        rate = Fraction(mini.FRAMES_PER_SECOND)
        if isinstance(record, Dropped):
            yield replace(record, stage=self.name)
            return
        if isinstance(record, Track):
            progress = record.id if self.progress else None
            whole = to_recording(record, frames=self.frames, notes=self.notes, progress=progress)
            if self.facts:
                yield whole.facts
            if whole.frames is not None:
                yield Embedding(record.id, mini.VERSION, whole.frames, float(rate))
            return
        audio.refuse_changed(record)
        with one_thread():
            features = AudioFeatures.of_file(record.path, record.start_seconds, record.end_seconds)
            if self.facts:
                yield annotate.annotate(features, record.id, record.start_seconds, notes=self.notes)
            if self.frames:
                seconds = Fraction(len(features.samples), features.sample_rate)
                yield Embedding.of_clip(record, mini.VERSION, mini.embed_long(features), rate, seconds)


class ListenWriter:
    """Writes what `Listen` yields: annotations to one stage's folder, embeddings to another's."""

    def __init__(self, annotations: stages.StageWriter, embeddings: stages.StageWriter) -> None:
        self._writers = (annotations, embeddings)
        self._entered = ExitStack()

    @property
    def finished(self) -> bool:
        return all(writer.finished for writer in self._writers)

    @property
    def done(self) -> set[str]:
        """A kill may leave an input in one folder alone: it is listened to again, for the other."""
        return self._writers[0].done & self._writers[1].done

    def write(self, input_id: str, outputs: Sequence[object]) -> None:
        for writer, kind in zip(self._writers, (Annotation, Embedding), strict=True):
            if not writer.finished and input_id not in writer.done:
                writer.write(input_id, [o for o in outputs if isinstance(o, (kind, Dropped))])

    def finish(self) -> None:
        for writer in self._writers:
            writer.finish()

    def __enter__(self) -> ListenWriter:
        for writer in self._writers:
            self._entered.enter_context(writer)
        return self

    def __exit__(self, *error: object) -> None:
        """Each folder flushes what was done, also after Ctrl-C and errors, and is unlocked."""
        self._entered.close()


def to_clips(clips: Sequence[Clip], writer: ListenWriter, workers: int) -> None:
    """Clips → annotations and `mini` embeddings, in one pass."""
    timeout = LONGEST_SECONDS if workers else None
    engine.run(Listen(), clips, writer, workers=workers, timeout_seconds=timeout, total=len(clips))


def listen(
    clips: Place, annotations: Place, embeddings: Place, encoder: EncoderOptions, workers: int
) -> None:
    """A finished folder of clips → folders of annotations and embeddings; what is there already is kept.

    With `mini` at its own rate both come from one pass; any other encoder makes its frames in a pass of its
    own, on this process's device. Raises as `stages.open_stage` and `embed.run` do.
    """
    from llark import annotate
    from llark.embed import encoder as encoders
    from llark.embed import load
    from llark.embed.encoder import NATIVE, EncoderOptions
    from llark.pipeline import embed

    records = list(stages.read(clips, Clip))
    plan = {"version": annotate.VERSION, "notes": False}
    measured = stages.open_stage(annotations, "annotate", plan, [clips])
    device = encoders.device()
    if encoder == EncoderOptions("mini", rate=NATIVE):
        card = load(encoder, device).card
        framed = embed.open_stage(embeddings, replace(encoder, dtype=device.dtype), card, clips)
        to_clips(records, ListenWriter(measured, framed), workers)
        return
    timeout = LONGEST_SECONDS if workers else None
    step = Listen(frames=False, name="annotate")
    engine.run(step, records, measured, workers=workers, timeout_seconds=timeout, total=len(records))
    embed.run(str(clips), str(embeddings), encoder, device)


# --- as a model of any encoder needs it -------------------------------------------------------------------

AT_ONCE = 8
"""Windows of a recording that are in memory at once."""


def frames_of(
    encoder: Encoder, window_seconds: float, path: Place, start: float = 0.0, end: float | None = None
) -> np.ndarray:
    """A recording, or a stretch of it, in any encoder's frames: [frames, width], window after window.

    Raises `BadAudio` as `windows_of` and `audio.load` do.
    """
    import numpy as np

    from llark.embed.encoder import Sound

    spans = windows_of(Track("", str(path), start_seconds=start, end_seconds=end), window_seconds)
    frames: list[np.ndarray] = []
    with engine.Ticker("embed", len(spans), show=len(spans) > 2) as tick:
        for at in range(0, len(spans), AT_ONCE):
            loaded = audio.stream(path, spans[at : at + AT_ONCE])
            frames += encoder([Sound(samples, rate) for _, samples, rate in loaded])
            tick(len(frames))
    return np.concatenate(frames)


class EmbedForModel:
    """Step: a clip becomes the frames that a model was trained to read. Works in this process only."""

    name = "embed"

    def __init__(self, record: EncoderRecord, encoder: Encoder) -> None:
        self.record, self.encoder = record, encoder

    def id_of(self, record: Clip) -> str:
        return record.id

    def open(self) -> None:
        """It is loaded already."""

    def __call__(self, record: Clip) -> Iterator[Embedding]:
        audio.refuse_changed(record)
        window = self.record.window_seconds
        frames = frames_of(self.encoder, window, record.path, record.start_seconds, record.end_seconds)
        rate = float(fraction(self.record.frames_per_second or len(frames) / record.duration_seconds))
        yield Embedding(record.id, f"{self.record.name} {self.encoder.card.version}", frames, rate)


def for_model(
    model: Path,
    embeddings: Mapping[str, Embedding],
    clips: Mapping[str, Clip],
    folder: Path,
    *,
    weights: str | None = None,
    device: str | None = None,
) -> Mapping[str, Embedding]:
    """Clips in the frames that a model reads: the embeddings that are there, if its encoder made them; else
    they are made, once, and kept in `folder`. `weights`: those of its encoder, if not where it says.

    Raises `UserMustAct` where its encoder is not known or cannot be loaded, or where it cannot read a clip.
    """
    from llark.embed import record as records

    if not clips or not embeddings or _are_of(model, embeddings):
        return embeddings
    record = records.of_model(model)
    encoder = records.load(record, weights, device)
    plan = {
        **record.as_record(),
        "version": encoder.card.version,
        "clips": sorted(clips),
        "sounds": digest_of(clips.values()),
    }
    refuse_others(folder, plan)
    writer = stages.open_stage(folder, EmbedForModel.name, plan)
    engine.run(EmbedForModel(record, encoder), clips.values(), writer, total=len(clips))
    if lost := list(stages.read_dropped(folder)):
        raise UserMustAct(f"{record.name} cannot embed {lost[0].id}: {lost[0].detail}")
    return Embeddings(folder)


def _are_of(model: Path, embeddings: Mapping[str, Embedding]) -> bool:
    """Whether embeddings are of the encoder of a model, as far as both say."""
    from llark.embed import record as records

    place = getattr(embeddings, "folder", None)
    there = None if place is None else records.of_embeddings(place)
    if there is None:
        return True
    page = records.config_of(model)
    known = page.get("audio_encoder") or page.get("audio_width") != there.width
    return not known or not records.difference(records.of_model(model), there)


# --- whether what is kept of clips was made from the same audio: ids alone do not tell ---------------------


def digest_of(clips: Iterable[Clip]) -> str:
    """SHA-256 of the clips' ids and seconds, and of the bytes of their files, wherever those lie; of a remote
    file its address stands for it."""
    known: dict[str, str] = {}
    rows = []
    for clip in sorted(clips, key=lambda clip: clip.id):
        if clip.path not in known:
            known[clip.path] = clip.path if folders.is_url(clip.path) else _of_file(Path(clip.path))
        rows.append([clip.id, clip.start_seconds, clip.end_seconds, known[clip.path]])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "cannot be read"


def refuse_others(folder: Path, plan: Mapping[str, object]) -> None:
    """Raises `StoreMismatch` where a folder holds what was made from other audio under the same ids.

    `plan` is that of the stage, with `clips` and `sounds`. Of other differences the stage itself speaks.
    """
    begun = stages.plan_of(folder)
    there = begun["config"] if begun else {}
    if there.get("clips") != plan["clips"] or there.get("sounds") == plan["sounds"]:
        return
    which = "other recordings of the same names" if "sounds" in there else "recordings that were not noted"
    raise StoreMismatch(
        f"{folder} holds results for {which}. Name another --out, or delete the folders heard and said "
        "in this one: then the recordings are embedded, and the questions asked, anew."
    )
