"""Linear probes on frames whose content is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import embed_probes as probe
import numpy as np
import pytest

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
    embedding = Embedding(str(index), "x", frames.astype(np.float16), RATE)
    return probe.Heard(embedding, truth, index % 5 == 4, f"piece {index}")


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
    assert 0.0 < (first[2].error or 0.0) < 0.2


def test_what_cannot_be_told_is_left_open_and_not_scored_as_wrong() -> None:
    bare = [
        probe.Heard(
            Embedding(str(i), "x", np.ones((4, 3)), 2.0), Annotation(str(i), 0.0, 2.0), i % 2 == 0, str(i)
        )
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


def test_who_hears_nothing_gives_the_commonest_answer() -> None:
    clips = [clip(i, informed=True) for i in range(200)]
    told = [
        replace(one, truth=replace(one.truth, key=Key(KEYS[3 * (i % 4 > 0)], 1.0)))
        for i, one in enumerate(clips)
    ]
    key, *_, beat, instrument = probe.probe(probe.deaf(told))
    tests = [one for one in told if one.is_test]
    assert key.value == pytest.approx(np.mean([one.truth.key.name == KEYS[3] for one in tests]))
    beats = np.mean([len(one.truth.beats.times_seconds) / 100 for one in tests])
    assert beat.value == pytest.approx(beats, abs=0.03)
    has = np.array([[n in one.truth.instruments.labels for n in NAMES] for one in tests])
    has = has[has.any(1)]
    common = np.minimum(has.sum(0), (~has).sum(0)) >= probe.LEAST_POSITIVES
    assert common.any()
    assert instrument.value == pytest.approx(has.mean(0)[common].mean())


def test_average_precision_is_the_mean_precision_at_each_hit_and_ties_have_no_order() -> None:
    found = probe.average_precision(np.array([3.0, 2.0, 1.0, 0.0]), np.array([1, 0, 1, 0]))
    assert found == pytest.approx((1 + 2 / 3) / 2)
    assert probe.average_precision(np.array([1.0]), np.array([0])) == 0.0
    assert probe.average_precision(np.zeros(4), np.array([1, 0, 0, 0])) == 0.25
    assert probe.average_precision(np.zeros(4), np.array([0, 0, 0, 1])) == 0.25


# --- the head ---------------------------------------------------------------------------------------------


def pieces_of_ten(pieces: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, probe.Rows]:
    """Ten rows a piece, all but alike; what they should say is the piece's own whim. The first column is the
    piece's number."""
    rng = np.random.default_rng(seed)
    piece = np.repeat(np.arange(pieces), 10)
    features = np.repeat(rng.normal(size=(pieces, width)), 10, axis=0) + 0.01 * rng.normal(
        size=(10 * pieces, width)
    )
    features[:, 0] = piece
    targets = np.repeat(rng.normal(size=(pieces, 1)), 10, axis=0)
    return features, targets, probe.Rows(piece % 4 == 3, piece)


def test_the_strength_is_chosen_on_pieces_that_it_was_not_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets, rows = pieces_of_ten(40, 60)
    seen: list[tuple[set[float], set[float], Sequence[float]]] = []
    plain = probe.ridge

    def spy(x: np.ndarray, y: np.ndarray, asked: np.ndarray, strengths: Sequence[float]) -> list[np.ndarray]:
        seen.append((set(x[:, 0]), set(asked[:, 0]), strengths))
        return plain(x, y, asked, strengths)

    monkeypatch.setattr(probe, "ridge", spy)
    said = probe.answers(features, targets, rows, 0)
    assert said is not None
    (kept, held, tried), (training, asked, chosen) = seen
    assert not kept & held
    assert (len(kept), len(held), tried) == (24, 6, probe.STRENGTHS)
    assert kept | held == training == set(rows.piece[~rows.is_test])
    assert asked == set(rows.piece[rows.is_test])
    assert chosen[0] >= 10.0  # there is nothing to learn but whims: rows of the same pieces would say 0.001
    assert np.ptp(said) < 0.3 * np.ptp(targets)


def test_no_row_that_is_tested_on_changes_what_is_said_of_another() -> None:
    features, targets, rows = pieces_of_ten(30, 8)
    said = probe.answers(features, targets, rows, 0)
    features[rows.test[1:]] *= 1000.0
    targets[rows.test] = 7.0
    again = probe.answers(features, targets, rows, 0)
    assert said is not None
    assert again is not None
    np.testing.assert_array_equal(again[0], said[0])


def test_a_piece_on_both_sides_is_refused() -> None:
    clips = [replace(clip(i, informed=True), piece=f"piece {i // 2}") for i in range(20)]
    with pytest.raises(ValueError, match="4 pieces are trained on and tested on"):
        probe.probe(clips)


def test_few_rows_and_few_features_are_solved_alike() -> None:
    rng = np.random.default_rng(0)
    x, y, asked = rng.normal(size=(30, 50)), rng.normal(size=(30, 2)), rng.normal(size=(7, 50))
    (dual,) = probe.ridge(x, y, asked, (0.1,))
    z, a = (x - x.mean(0)) / (x.std(0) + 1e-6), (asked - x.mean(0)) / (x.std(0) + 1e-6)
    weights = np.linalg.solve(z.T @ z + 0.1 * 30 * np.eye(50), z.T @ (y - y.mean(0)))
    np.testing.assert_allclose(dual, a @ weights + y.mean(0), atol=1e-9)


def test_the_standard_error_counts_pieces_and_not_rows() -> None:
    right = np.repeat(np.arange(100) % 2, 10).astype(float)
    alone = probe.standard_error(lambda rows: float(right[rows].mean()), np.arange(1000), 0)
    by_tens = probe.standard_error(lambda rows: float(right[rows].mean()), np.repeat(np.arange(100), 10), 0)
    assert alone == pytest.approx(0.5 / np.sqrt(1000), rel=0.2)
    assert by_tens == pytest.approx(0.5 / np.sqrt(100), rel=0.2)
