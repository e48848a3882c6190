"""The musical facts of a clip, each found by one file of this room from what the networks heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llark.annotate import beats, chords, genre, instruments, key, tempo
from llark.nets.hearing import Hearing
from llark.records import Annotation, Beats, Chords

VERSION = "annotate-1"
"""Changes whenever the same samples would give other facts."""

Posteriors = Mapping[str, Mapping[str, float]]
"""What trained heads hear in a clip: `instruments` and `genre`, probability by word."""


def annotate(
    hearing: Hearing, clip_id: str, start_seconds: float = 0.0, posteriors: Posteriors | None = None
) -> Annotation:
    """Every fact of one clip, in seconds of its track, where it begins at `start_seconds`.

    In silence nothing is known, and every fact is empty with confidence 0.
    """
    end_seconds = start_seconds + hearing.duration_seconds
    if hearing.is_silent:
        return Annotation(clip_id, start_seconds, end_seconds)
    heads = posteriors or {}
    decoded = chords.decode(hearing.chord)
    changes = [span.start_seconds for span in decoded.spans[1:]]
    tracked, meter = beats.track(hearing.beat, changes)
    return Annotation(
        clip_id=clip_id,
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        tempo=tempo.measure(tracked),
        beats=_beats_from(tracked, start_seconds),
        meter=meter,
        key=key.find(hearing.chord, decoded),
        chords=_chords_from(decoded, start_seconds, end_seconds),
        instruments=instruments.find_instruments(hearing, heads.get("instruments")),
        genre=genre.find_genre(hearing, heads.get("genre")),
    )


def _beats_from(found: Beats, start_seconds: float) -> Beats:
    """Beats of a clip in seconds of its track."""
    return replace(found, times_seconds=tuple(round(t + start_seconds, 3) for t in found.times_seconds))


def _chords_from(found: Chords, start_seconds: float, end_seconds: float) -> Chords:
    """Chords of a clip in seconds of its track; the last one lasts to its end."""
    starts = [round(span.start_seconds + start_seconds, 3) for span in found.spans]
    ends = [*starts, end_seconds][1:]
    spans = (
        replace(span, start_seconds=start, end_seconds=end)
        for span, start, end in zip(found.spans, starts, ends, strict=True)
        if start < end
    )
    return replace(found, spans=tuple(spans))
