"""Linear probes on frames whose content is known."""

from __future__ import annotations

import numpy as np
import pytest

from llark.embed import probe
from llark.records import KEYS, Annotation, Beats, Chords, ChordSpan, Embedding, Key, Tag, Tags, Tempo

RATE = 10.0
NAMES = ("piano", "flute")


def clip(index: int, *, informed: bool) -> probe.Heard:
    """Ten seconds; the frames hold the truth as directions in noise, or noise alone."""
    rng = np.random.default_rng(index)
    key, bpm = index % 24, 60.0 + 7.5 * (index * 5 % 16)
    has = [bool(rng.integers(2)) for _ in NAMES]
    frames = rng.normal(size=(100, 64))
    beats = np.arange(rng.random() * 60 / bpm, 10.0, 60 / bpm)
    roots = [(key + step) % 12 for step in (0, 5, 7, 0)]
    spans = tuple(
        ChordSpan(2.5 * k, 2.5 * (k + 1), f"{probe.PITCH_CLASSES[root]}:maj") for k, root in enumerate(roots)
    )
    if informed:
        frames[:, key] += 2.0
        for column, present in enumerate(has):
            frames[:, 24 + column] += 3.0 * present
        frames[(beats * RATE).astype(int), 48:] += 4.0
        for k, root in enumerate(roots):
            frames[25 * k : 25 * (k + 1), 32 + root] += 4.0
    truth = Annotation(
        clip_id=str(index),
        start_seconds=0.0,
        end_seconds=10.0,
        key=Key(KEYS[key], 1.0),
        tempo=Tempo(bpm, 1.0),
        beats=Beats(tuple(beats), (), 1.0),
        chords=Chords(spans, 1.0),
        instruments=Tags(tuple(Tag(n, 1.0) for n, present in zip(NAMES, has, strict=True) if present), 1.0),
    )
    return probe.Heard(Embedding(str(index), "x", frames.astype(np.float16), RATE), truth, index % 5 == 4)


@pytest.fixture(scope="module")
def results() -> dict[bool, dict[str, probe.Result]]:
    return {
        informed: {r.task: r for r in probe.probe([clip(i, informed=informed) for i in range(200)])}
        for informed in (True, False)
    }


@pytest.mark.parametrize(
    ("task", "least", "most"),
    [
        ("key", 0.9, 0.2),
        ("chord", 0.9, 0.2),
        ("tempo", 0.5, 0.3),
        ("beat", 0.9, 0.4),
        ("instrument", 0.95, 0.8),
    ],
)
def test_a_probe_finds_what_is_there_and_nothing_in_noise(
    task: str, least: float, most: float, results: dict[bool, dict[str, probe.Result]]
) -> None:
    found, noise = results[True][task], results[False][task]
    assert found.n == noise.n > 25
    assert found.value is not None
    assert noise.value is not None
    assert found.value > least
    assert noise.value < most


def test_the_same_clips_give_the_same_numbers() -> None:
    clips = [clip(i, informed=True) for i in range(60)]
    first = probe.probe(clips)
    assert first == probe.probe(clips)
    assert first[1].n == 1200


def test_what_cannot_be_told_is_left_open_and_not_scored_as_wrong() -> None:
    bare = [
        probe.Heard(Embedding(str(i), "x", np.ones((4, 3)), 2.0), Annotation(str(i), 0.0, 2.0), i % 2 == 0)
        for i in range(40)
    ]
    assert [(r.value, r.n) for r in probe.probe(bare)] == [(None, 0)] * 5


def test_chord_classes_are_counted_from_the_middle_of_each_frame() -> None:
    spans = (
        ChordSpan(10.0, 10.15, "N"),
        ChordSpan(10.15, 10.3, "A:min7/b3"),
        ChordSpan(10.3, 10.4, "C:dim"),
        ChordSpan(10.4, 10.6, "F#:7"),
    )
    truth = Annotation("x", 10.0, 11.0, chords=Chords(spans))
    classes = probe.chord_classes(truth, Embedding("x", "x", np.zeros((7, 1)), 10.0))
    assert classes.tolist() == [0, 13 + 9, 13 + 9, -1, 1 + 6, 1 + 6, -1]


def test_average_precision_is_the_mean_precision_at_each_hit() -> None:
    assert probe.average_precision(np.array([3.0, 2.0, 1.0, 0.0]), np.array([1, 0, 1, 0])) == pytest.approx(
        (1 + 2 / 3) / 2
    )
    assert probe.average_precision(np.array([1.0]), np.array([0])) == 0.0
