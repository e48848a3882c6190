"""Linear probes: how much of the music's facts lies open in an encoder's frames.

Every head is one ridge regression, so that what is compared is the encoders and not the heads. Its strength
is chosen on a fifth of the training rows. Facts of a clip are read from the mean and spread of its frames,
and tempo from their autocorrelation, too; chords and beats from single frames with their neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llark.records import KEYS, PITCH_CLASSES, Annotation, Embedding

TASKS = ("key", "chord", "tempo", "beat", "instrument")

STRENGTHS = (1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0)
"""Of the ridge, on standardised features."""

TEMPO_BINS = 2.0 ** np.arange(np.log2(40), np.log2(240), 0.05)
TEMPO_TOLERANCE = 0.08
LAGS_SECONDS = np.geomspace(0.25, 2.0, 32)
COMPONENTS = 16
LEAST_RATE = 4.0
"""Frames a second below which beats cannot be told apart."""

CHORDS = 25
MOST_FRAMES = 20_000
BEAT_CONTEXT, CHORD_CONTEXT = 2, 1
"""Frames on each side that a head sees, too."""

LEAST_POSITIVES = 8


@dataclass(frozen=True, eq=False)
class Heard:
    """One clip as an encoder heard it, with its truth."""

    embedding: Embedding
    truth: Annotation
    is_test: bool


@dataclass(frozen=True)
class Result:
    """A task's score between 0 and 1 (`None`: not to be had), and the clips or frames that it rests on."""

    task: str
    metric: str
    value: float | None
    n: int


def probe(heard: Sequence[Heard], seed: int = 0) -> list[Result]:
    """All tasks on one encoder's clips; the same clips and seed give the same numbers."""
    pooled = np.stack([_pooled(one.embedding.frames) for one in heard])
    return [
        _key(heard, pooled, seed),
        _chord(heard, seed),
        _tempo(heard, pooled, seed),
        _beat(heard, seed),
        _instrument(heard, pooled, seed),
    ]


# --- tasks ------------------------------------------------------------------------------------------------


def _key(heard: Sequence[Heard], pooled: np.ndarray, seed: int) -> Result:
    keep = [i for i, one in enumerate(heard) if one.truth.key.name in KEYS]
    labels = np.array([KEYS.index(str(heard[i].truth.key.name)) for i in keep], dtype=int)
    found, test = _classify(pooled[keep], labels, _tests(heard, keep), len(KEYS), seed)
    return _result("key", "accuracy of 24", found, labels[test] if len(keep) else labels)


def _tempo(heard: Sequence[Heard], pooled: np.ndarray, seed: int) -> Result:
    keep = [i for i, one in enumerate(heard) if one.truth.tempo.bpm]
    bpm = np.array([float(heard[i].truth.tempo.bpm or 0.0) for i in keep])
    rhythm = _rhythms([heard[i].embedding for i in keep], _tests(heard, keep))
    features = np.concatenate([pooled[keep], rhythm], axis=1)
    distance = np.log2(bpm[:, None] / TEMPO_BINS[None]) / 0.05
    targets = np.exp(-0.5 * distance**2)
    scores, test = _regress(features, targets, _tests(heard, keep), seed)
    if scores is None:
        return Result("tempo", "within 8 %", None, 0)
    said = TEMPO_BINS[scores.argmax(1)]
    right = np.abs(said / bpm[test] - 1) <= TEMPO_TOLERANCE
    return Result("tempo", "within 8 %", float(right.mean()), len(right))


def _instrument(heard: Sequence[Heard], pooled: np.ndarray, seed: int) -> Result:
    keep = [i for i, one in enumerate(heard) if one.truth.instruments.labels]
    names = sorted({label for i in keep for label in heard[i].truth.instruments.labels})
    targets = np.array(
        [[float(name in heard[i].truth.instruments.labels) for name in names] for i in keep]
    ).reshape(len(keep), len(names))
    tests = _tests(heard, keep)
    common = [
        column
        for column in range(len(names))
        if min(targets[tests, column].sum(), (1 - targets[tests, column]).sum()) >= LEAST_POSITIVES
        and targets[~tests, column].sum() >= LEAST_POSITIVES
    ]
    scores, test = _regress(pooled[keep], targets[:, common], tests, seed)
    if scores is None or not common:
        return Result("instrument", "mean average precision", None, 0)
    values = [average_precision(scores[:, k], targets[test][:, column]) for k, column in enumerate(common)]
    return Result("instrument", "mean average precision", float(np.mean(values)), len(test))


def _chord(heard: Sequence[Heard], seed: int) -> Result:
    rows, labels, tests = [], [], []
    for one in heard:
        classes = chord_classes(one.truth, one.embedding)
        known = classes >= 0
        rows.append(_context(one.embedding.frames, CHORD_CONTEXT)[known])
        labels.append(classes[known])
        tests.append(np.full(int(known.sum()), one.is_test))
    features, classes, is_test = _thin(rows, labels, tests, seed)
    found, test = _classify(features, classes, is_test, CHORDS, seed)
    return _result("chord", "frames right of 25", found, classes[test] if len(classes) else classes)


def _beat(heard: Sequence[Heard], seed: int) -> Result:
    rows, labels, tests = [], [], []
    for one in heard:
        rate, frames = one.embedding.frames_per_second, one.embedding.frames
        times = np.array(one.truth.beats.times_seconds) - one.truth.start_seconds
        if rate < LEAST_RATE or not len(times):
            continue
        beats = np.zeros(len(frames), int)
        inside = times[(times >= 0) & (times * rate < len(frames))]
        beats[(inside * rate).astype(int)] = 1
        rows.append(_context(frames, BEAT_CONTEXT))
        labels.append(beats)
        tests.append(np.full(len(frames), one.is_test))
    if not rows:
        return Result("beat", "average precision", None, 0)
    features, beats, is_test = _thin(rows, labels, tests, seed)
    scores, test = _regress(features, beats[:, None].astype(float), is_test, seed)
    if scores is None:
        return Result("beat", "average precision", None, 0)
    return Result("beat", "average precision", average_precision(scores[:, 0], beats[test]), len(test))


def chord_classes(truth: Annotation, embedding: Embedding) -> np.ndarray:
    """For each frame 0 (no chord), 1 to 12 (major from C), 13 to 24 (minor), or -1 (none of these)."""
    classes = np.full(len(embedding.frames), -1)
    centres = (np.arange(len(classes)) + 0.5) / embedding.frames_per_second + truth.start_seconds
    for span in truth.chords.spans:
        inside = (centres >= span.start_seconds) & (centres < span.end_seconds)
        classes[inside] = _chord_class(span.label)
    return classes


def _chord_class(label: str) -> int:
    if label == "N":
        return 0
    root, _, quality = label.partition("/")[0].partition(":")
    if root not in PITCH_CLASSES:
        return -1
    is_minor = quality.startswith("min")
    is_major = quality in ("", "maj", "7", "maj7", "maj6", "6", "9")
    return 1 + PITCH_CLASSES.index(root) + 12 * is_minor if is_major or is_minor else -1


# --- features ---------------------------------------------------------------------------------------------


def _pooled(frames: np.ndarray) -> np.ndarray:
    """[2 * width]: mean and spread over a clip's frames."""
    values = frames.astype(np.float32)
    return np.concatenate([values.mean(0), values.std(0)])


def _context(frames: np.ndarray, each_side: int) -> np.ndarray:
    """Each frame with its neighbours: [frames, (2 * each_side + 1) * width]; the edges are repeated."""
    padded = np.pad(frames.astype(np.float32), ((each_side, each_side), (0, 0)), mode="edge")
    parts = [padded[shift : shift + len(frames)] for shift in range(2 * each_side + 1)]
    return np.concatenate(parts, axis=1)


def _rhythms(embeddings: list[Embedding], tests: np.ndarray) -> np.ndarray:
    """[clips, components * lags]: autocorrelation of the principal components; none where too slow."""
    if not embeddings or embeddings[0].frames_per_second < LEAST_RATE:
        return np.zeros((len(embeddings), 0))
    training = [e.frames.astype(np.float32) for e, test in zip(embeddings, tests, strict=True) if not test]
    stacked = np.concatenate(training)[:: max(1, sum(map(len, training)) // 5000)]
    centred = (stacked - stacked.mean(0)) / (stacked.std(0) + 1e-6)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return np.stack([_autocorrelation(e, stacked, axes[:COMPONENTS]) for e in embeddings])


def _autocorrelation(embedding: Embedding, sample: np.ndarray, axes: np.ndarray) -> np.ndarray:
    values = (embedding.frames.astype(np.float32) - sample.mean(0)) / (sample.std(0) + 1e-6)
    curves = np.diff(values @ axes.T, axis=0)
    curves = curves - curves.mean(0)
    size = 2 * len(curves)
    spectrum = np.abs(np.fft.rfft(curves, size, axis=0)) ** 2
    correlation = np.fft.irfft(spectrum, size, axis=0)[: len(curves)]
    correlation = correlation / (correlation[:1] + 1e-6)
    lags = np.arange(len(correlation)) / embedding.frames_per_second
    return np.concatenate([np.interp(LAGS_SECONDS, lags, column) for column in correlation.T])


def _thin(
    rows: list[np.ndarray], labels: list[np.ndarray], tests: list[np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At most `MOST_FRAMES` frames, at random."""
    total = sum(map(len, rows))
    chosen = np.random.default_rng(seed).permutation(total)[:MOST_FRAMES]
    keep = np.zeros(total, bool)
    keep[chosen] = True
    parts = np.split(keep, np.cumsum([len(row) for row in rows])[:-1])
    features = np.concatenate([row[part] for row, part in zip(rows, parts, strict=True)])
    return features, np.concatenate(labels)[keep], np.concatenate(tests)[keep]


def _tests(heard: Sequence[Heard], keep: list[int]) -> np.ndarray:
    return np.array([heard[i].is_test for i in keep], dtype=bool)


# --- heads ------------------------------------------------------------------------------------------------


def _classify(
    features: np.ndarray, labels: np.ndarray, tests: np.ndarray, classes: int, seed: int
) -> tuple[np.ndarray | None, np.ndarray]:
    scores, test = _regress(features, np.eye(classes)[labels], tests, seed)
    return (None if scores is None else scores.argmax(1)), test


def _result(task: str, metric: str, found: np.ndarray | None, labels: np.ndarray) -> Result:
    if found is None:
        return Result(task, metric, None, 0)
    return Result(task, metric, float((found == labels).mean()), len(labels))


def _regress(
    features: np.ndarray, targets: np.ndarray, tests: np.ndarray, seed: int
) -> tuple[np.ndarray | None, np.ndarray]:
    """Scores of the test rows, and which those are; `None`: there is nothing to train or to test on."""
    test, training = np.flatnonzero(tests), np.flatnonzero(~tests)
    if len(test) == 0 or len(training) < 10 or targets.shape[1] == 0:
        return None, test
    order = np.random.default_rng(seed).permutation(training)
    held, kept = order[: len(order) // 5], order[len(order) // 5 :]
    errors = [
        float(np.square(scores - targets[held]).mean())
        for scores in _ridge(features[kept], targets[kept], features[held], STRENGTHS)
    ]
    best = STRENGTHS[int(np.argmin(errors))]
    return _ridge(features[training], targets[training], features[test], (best,))[0], test


def _ridge(
    features: np.ndarray, targets: np.ndarray, asked: np.ndarray, strengths: Sequence[float]
) -> list[np.ndarray]:
    """Ridge regression on standardised features, for each strength, in the smaller of the two dimensions."""
    mean, spread = features.mean(0), features.std(0) + 1e-6
    x, y = ((features - mean) / spread).astype(np.float64), targets - targets.mean(0)
    wanted = ((asked - mean) / spread).astype(np.float64)
    wide = x.shape[1] > x.shape[0]
    values, vectors = np.linalg.eigh(x @ x.T if wide else x.T @ x)
    projected = vectors.T @ (y if wide else x.T @ y)
    there = wanted @ x.T @ vectors if wide else wanted @ vectors
    return [there @ (projected / (values + s)[:, None]) + targets.mean(0) for s in strengths]


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under precision over recall; ties are taken in their order."""
    ranked = truth[np.argsort(-scores, kind="stable")] > 0
    if not ranked.any():
        return 0.0
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean())
