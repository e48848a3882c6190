"""Listening: recordings and clips → what is measured in them, and the frames in which a model hears them.

One loop walks a recording window by window. The annotators and the `mini` encoder share the frozen networks,
so both read the features of a window in one pass, whoever asks: `llark ask`, `annotate`, `build`, `evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from llark import audio, engine
from llark.records import Annotation, Clip, Dropped, Embedding, Track
from llark.storage import stages
from llark.storage.folders import Place

if TYPE_CHECKING:
    import numpy as np

    from llark.embed.encoder import Settings

LONGEST_SECONDS = 3600.0
"""A record that takes a worker longer than this is dropped."""


@dataclass(frozen=True, eq=False)
class Listened:
    """What one pass over a recording gives."""

    facts: Annotation
    """What was measured, of the whole."""
    frames: np.ndarray | None
    """float32 [frames, width] of the `mini` encoder, first to last; `None` where they were not wanted."""


def windows_of(track: Track) -> list[tuple[float, float]]:
    """(start, end) seconds, in its file, of the windows that a track is listened to in.

    Raises `BadAudio` as `audio.probe` does, and `too-short` for less than a second.
    """
    return audio.windows_of(track.path, track.start_seconds, track.end_seconds)


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
    song, kept = SongFacts(track.id, notes=notes), []
    show = progress is not None and len(spans) > 2
    with one_thread(), engine.Ticker(progress or "", len(spans), show=show) as tick:
        for start, end in spans:
            features = AudioFeatures.of_file(track.path, start, end)
            song.add(features, start)
            if frames:
                kept.append(mini.embed(features))
            tick()
    return Listened(song.facts(), np.concatenate(kept) if frames else None)


@dataclass(frozen=True)
class Listen:
    """Step: a clip or a whole track becomes its annotation and its `mini` embedding; each network runs once.

    A `Track` is listened to window by window, a `Clip` in one piece. On one thread, so that no sum depends on
    how many workers share the machine. Raises `BadAudio` as `windows_of` and `audio.load` do.
    """

    facts: bool = True
    """Whether the annotation is wanted."""
    frames: bool = True
    """Whether the embedding is wanted."""
    notes: bool = False
    """Whether the annotation holds transcribed notes."""
    name: str = "listen"

    def id_of(self, record: Track | Clip) -> str:
        return record.id

    def open(self) -> None:
        from llark.networks.features import Networks

        Networks.shared()

    def __call__(self, record: Track | Clip) -> Iterator[Annotation | Embedding]:
        from llark import annotate
        from llark.embed import mini
        from llark.networks.features import AudioFeatures, one_thread

        rate = Fraction(mini.FRAMES_PER_SECOND)
        if isinstance(record, Track):
            whole = to_recording(record, frames=self.frames, notes=self.notes)
            if self.facts:
                yield whole.facts
            if whole.frames is not None:
                yield Embedding(record.id, mini.VERSION, whole.frames, float(rate))
            return
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


def listen(clips: Place, annotations: Place, embeddings: Place, encoder: Settings, workers: int) -> None:
    """A finished folder of clips → folders of annotations and embeddings; what is there already is kept.

    With `mini` at its own rate both come from one pass; any other encoder makes its frames in a pass of its
    own, on this process's device. Raises as `stages.open_stage` and `embed.run` do.
    """
    from llark import annotate
    from llark.embed import encoder as encoders
    from llark.embed import load
    from llark.embed.encoder import NATIVE, Settings
    from llark.pipeline import embed

    records = list(stages.read(clips, Clip))
    plan = {"version": annotate.VERSION, "notes": False}
    measured = stages.open_stage(annotations, "annotate", plan, [clips])
    device = encoders.device()
    if encoder == Settings("mini", rate=NATIVE):
        card = load(encoder, device).card
        framed = embed.open_stage(embeddings, replace(encoder, dtype=device.dtype), card, clips)
        to_clips(records, ListenWriter(measured, framed), workers)
        return
    timeout = LONGEST_SECONDS if workers else None
    step = Listen(frames=False, name="annotate")
    engine.run(step, records, measured, workers=workers, timeout_seconds=timeout, total=len(records))
    embed.run(str(clips), str(embeddings), encoder, device)
