"""How facts are put into words: the line of all facts, and the names of chords."""

from __future__ import annotations

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


_SUFFIXES = {
    "": " major", "maj": " major", "min": " minor", "7": "7", "maj7": "maj7", "min7": "m7", "dim": "dim",
    "aug": "aug", "sus2": "sus2", "sus4": "sus4", "hdim7": "m7b5", "dim7": "dim7", "maj6": "6", "min6": "m6",
}  # fmt: skip


def chord_name(label: str) -> str:
    """`C:maj` → `C major`, `G:7` → `G7`, `A:min7/b3` → `Am7`; `N` → `no chord`. The bass is not named."""
    if label in ("N", "X"):
        return "no chord"
    root, _, quality = label.partition("/")[0].partition(":")
    return f"{root}{_SUFFIXES.get(quality, quality)}"


def common_chords(chords: Chords, most: int = 4) -> tuple[str, ...]:
    """Names of the chords that sound longest, most first; no-chord spans are left out."""
    seconds: dict[str, float] = {}
    for span in chords.spans:
        if span.label not in ("N", "X"):
            name = chord_name(span.label)
            seconds[name] = seconds.get(name, 0.0) + span.end_seconds - span.start_seconds
    ranked = sorted(seconds, key=lambda name: (-seconds[name], name))
    return tuple(ranked[:most])
