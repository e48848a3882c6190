"""The line of all facts that a language model is shown, and the chords that it names."""

from __future__ import annotations

from llark.music.names import chord_name
from llark.records import METER_NAMES, UNKNOWN, Annotation, Chords


def describe_facts(annotation: Annotation) -> str:
    """The facts as the one line that a language model is shown, in training and when asked.

    Unknown facts are named as unknown, so that the model can say so too.
    """
    tempo = f"{annotation.tempo.bpm:.0f} BPM" if annotation.tempo.bpm is not None else UNKNOWN
    meter = METER_NAMES.get(annotation.meter.beats_per_bar or 0, UNKNOWN)
    chords = ", ".join(common_chords(annotation.chords)) or UNKNOWN
    instruments = ", ".join(annotation.instruments.labels) or UNKNOWN
    genre = ", ".join(annotation.genre.labels[:2]) or UNKNOWN
    return (
        f"tempo: {tempo}; meter: {meter}; key: {annotation.key.name or UNKNOWN}; "
        f"chords: {chords}; instruments: {instruments}; genre: {genre}"
    )


def common_chords(chords: Chords, most: int = 4) -> tuple[str, ...]:
    """Names of the chords that sound longest, most first; no-chord spans are left out."""
    seconds: dict[str, float] = {}
    for span in chords.spans:
        if span.label not in ("N", "X"):
            name = chord_name(span.label)
            seconds[name] = seconds.get(name, 0.0) + span.end_seconds - span.start_seconds
    ranked = sorted(seconds, key=lambda name: (-seconds[name], name))
    return tuple(ranked[:most])
