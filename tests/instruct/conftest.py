"""Annotations to teach from: one known in full, one of which nothing is known, and many at random."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from llark.music.theory import Scale
from llark.records import (
    CONTOURS,
    GENRES,
    INSTRUMENTS,
    KEYS,
    Annotation,
    Beats,
    Chords,
    ChordSpan,
    IsolatedChord,
    Key,
    LocalKeys,
    Loudness,
    Melody,
    Meter,
    Sections,
    Span,
    Tag,
    Tags,
    Tempo,
)

BEATS_IN_BAR = {2: 2, 3: 3, 4: 4, 6: 2}


def tags(*labels: str) -> Tags:
    return Tags(tuple(Tag(label, 0.9) for label in labels), 0.9, "truth")


def spans(start: float, seconds_each: float, *labels: str) -> Chords:
    times = [start + seconds_each * place for place in range(len(labels) + 1)]
    return Chords(tuple(map(ChordSpan, times, times[1:], labels)), 1.0, "truth")


def steady_beats(start: float, seconds: float, bpm: float, beats_in_bar: int) -> Beats:
    times = tuple(start + 0.25 + beat * 60 / bpm for beat in range(int((seconds - 0.3) * bpm / 60)))
    return Beats(times, tuple(beat % beats_in_bar + 1 for beat in range(len(times))), 1.0, "truth")


@pytest.fixture
def waltz() -> Annotation:
    """25 s from second 50 of a track: a waltz in F# minor at 90 BPM."""
    return Annotation(
        "waltz-2",
        50.0,
        75.0,
        tempo=Tempo(90.0, 1.0, "truth"),
        beats=steady_beats(50.0, 25.0, 90.0, 3),
        meter=Meter(3, 1.0, "truth"),
        key=Key("F# minor", 1.0, "truth"),
        chords=spans(50.0, 5.0, "F#:min", "B:min", "C#:7", "F#:min", "N"),
        instruments=tags("accordion", "bass", "drums"),
        genre=tags("waltz"),
    )


@pytest.fixture
def silent() -> Annotation:
    return Annotation("silent-0", 0.0, 25.0)


@pytest.fixture(scope="session")
def many() -> tuple[Annotation, ...]:
    """Annotations with every combination of known and unknown facts."""
    rng, more = Random(20), Random(21)
    plain = [_random_annotation(f"clip-{number}", rng) for number in range(250)]
    return tuple(_with_form(annotation, more) for annotation in plain)


def _with_form(annotation: Annotation, rng: Random) -> Annotation:
    """One in two has parts, keys that change, loud and soft; one in ten is a lone line or a lone chord."""
    start, end = annotation.start_seconds, annotation.end_seconds
    middle = round(start + rng.uniform(0.3, 0.7) * (end - start), 1)

    def two(first: str, second: str) -> tuple[Span, ...]:
        return (Span(start, middle, first, 0.9), Span(middle, end, second, 0.9))

    found = annotation
    if rng.random() < 0.5:
        found = replace(found, sections=Sections(two("A", "B"), 0.9, "net"))
        found = replace(
            found, local_keys=LocalKeys(two("C major", rng.choice(("C major", "G major"))), 0.9, "net")
        )
        found = replace(found, loudness=Loudness(dynamics=two("quiet", "loud"), confidence=0.9, source="net"))
    if rng.random() < 0.1:
        found = replace(found, melody=Melody(rng.choice(CONTOURS), 60, rng.choice((67, 76)), (), 0.9, "net"))
    if rng.random() < 0.1:
        found = replace(found, isolated_chord=IsolatedChord("D:min7", 0.9, "net"))
    return found


def _random_annotation(clip_id: str, rng: Random) -> Annotation:
    start, seconds = round(rng.uniform(0, 200), 2), rng.choice((25.0, 25.0, 11.3))
    meter = rng.choice((None, 2, 3, 4, 4, 6))
    bpm = rng.choice((None, *(rng.uniform(45, 210) for _ in range(5))))
    key = rng.choice((None, *rng.sample(KEYS, 4)))
    scale = Scale.of(key or "C major")
    labels = [scale.chord(rng.randrange(6)).label for _ in range(rng.choice((0, 4, 6, 12)))]
    return Annotation(
        clip_id,
        start,
        start + seconds,
        tempo=Tempo(bpm, 1.0, "truth", alternative_bpm=2 * bpm if bpm and bpm < 80 else None),
        beats=Beats() if bpm is None else steady_beats(start, seconds, bpm, BEATS_IN_BAR[meter or 4]),
        meter=Meter(meter),
        key=Key(key),
        chords=spans(start, seconds / max(1, len(labels)), *labels),
        instruments=tags(*rng.sample(INSTRUMENTS, rng.randrange(7))),
        genre=tags(*rng.sample(GENRES, rng.choice((0, 1, 1, 2)))),
        mood=tags(*rng.sample(("calm", "happy", "sad"), rng.choice((0, 0, 1)))),
    )
