"""What a data set labels of a recording, cut to a clip of it.

One clock: an annotation's times are seconds of the file that its clip names, from `start_seconds` on. A
clip that is a stretch of the track's file keeps the track's times; where a clip has a file of its own, the
times are shifted to that file's start. Whoever wants seconds from the clip's start takes `start_seconds` off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from llark.records import (
    Annotation,
    Beats,
    Chords,
    ChordSpan,
    Clip,
    LocalKeys,
    Loudness,
    Melody,
    Note,
    Notes,
    Sections,
    Span,
)


def crop_annotation(annotation: Annotation, clip: Clip) -> Annotation:
    """The part of a track's annotation that the clip covers, in seconds of the clip's own file.

    Beats are kept where start <= time < end, so that each belongs to one of two clips side by side. Chords,
    notes, sections and local keys that overlap the clip are cut at its edges. Tempo, meter, key and tags are
    those of the track; its loudness and its melody are not those of a clip, and are left out. Where the
    annotation says which stretch it covers and the clip lies outside, nothing is known.
    """
    window = _Window(
        clip.start_seconds + clip.offset_seconds, clip.end_seconds + clip.offset_seconds, clip.offset_seconds
    )
    start, end = annotation.start_seconds, annotation.end_seconds
    if end > start and (window.last <= start or window.first >= end):
        return Annotation(clip.id, clip.start_seconds, clip.end_seconds)
    sections, keys = window.spans(annotation.sections.spans), window.spans(annotation.local_keys.spans)
    chords, notes = window.spans(annotation.chords.spans), window.notes(annotation.notes.notes)
    return replace(
        annotation,
        clip_id=clip.id,
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
        beats=window.beats(annotation.beats),
        chords=replace(annotation.chords, spans=chords) if chords else Chords(),
        notes=replace(annotation.notes, notes=notes) if notes else Notes(),
        sections=replace(annotation.sections, spans=sections) if sections else Sections(),
        local_keys=replace(annotation.local_keys, spans=keys) if keys else LocalKeys(),
        loudness=Loudness(),
        melody=Melody(),
    )


Spanned = TypeVar("Spanned", ChordSpan, Span)


@dataclass(frozen=True)
class _Window:
    """A clip's stretch of the track's file, `first` to `last`, and what is taken off for its own file."""

    first: float
    last: float
    offset: float

    def beats(self, beats: Beats) -> Beats:
        inside = [i for i, time in enumerate(beats.times_seconds) if self.first <= time < self.last]
        if not inside:
            return Beats()
        return replace(
            beats,
            times_seconds=tuple(self._shifted(beats.times_seconds[i]) for i in inside),
            positions=tuple(beats.positions[i] for i in inside if i < len(beats.positions)),
        )

    def spans(self, spans: Iterable[Spanned]) -> tuple[Spanned, ...]:
        return tuple(
            replace(
                span, start_seconds=self._start(span.start_seconds), end_seconds=self._end(span.end_seconds)
            )
            for span in spans
            if max(span.start_seconds, self.first) < min(span.end_seconds, self.last)
        )

    def notes(self, notes: Iterable[Note]) -> tuple[Note, ...]:
        return tuple(
            replace(
                note,
                onset_seconds=self._start(note.onset_seconds),
                offset_seconds=self._end(note.offset_seconds),
            )
            for note in notes
            if self._hears(note)
        )

    def _hears(self, note: Note) -> bool:
        """A note without length, as some drums are written, sounds where it begins."""
        if note.onset_seconds >= self.last:
            return False
        return note.offset_seconds > self.first or note.onset_seconds >= self.first

    def _start(self, seconds: float) -> float:
        return self._shifted(max(seconds, self.first))

    def _end(self, seconds: float) -> float:
        return self._shifted(min(seconds, self.last))

    def _shifted(self, seconds: float) -> float:
        """Less the offset, without the last digits of a difference."""
        return round(seconds - self.offset, 6) if self.offset else seconds
