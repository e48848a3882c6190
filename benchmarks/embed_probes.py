"""Linear probes: how much of the music's facts lies open in an encoder's frames.

Every head is one ridge regression, so that what is compared is the encoders and not the heads.
Facts of a clip are read from the mean and spread of its frames, and tempo from their autocorrelation, too;
chords and beats from single frames with their neighbours.

Pieces, not clips or frames, are what is held back: two frames of a clip, or two clips of a piece, are too
alike for one of them to tell how the head does on music that it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from llark.records import KEYS, PITCH_CLASSES, Annotation, Embedding

TASKS = ("key", "chord", "tempo", "beat", "instrument")

TEMPO_BINS = 2.0 ** np.arange(np.log2(40), np.log2(240), 0.05)
TEMPO_TOLERANCE = 0.08
LAGS_SECONDS = np.geomspace(0.25, 2.0, 32)
COMPONENTS = 16
LEAST_RATE = 4.0
"""Frames a second below which beats cannot be told apart."""

CHORDS = 25
MOST_FRAMES = 8000
BEAT_CONTEXT, CHORD_CONTEXT = 2, 1
"""Frames on each side that a head sees, too."""

LEAST_POSITIVES = 8


@dataclass(frozen=True, eq=False)
class Heard:
    """One clip as an encoder heard it, with its truth."""

    embedding: Embedding
    truth: Annotation
    is_test: bool
    piece: str
    """Of what it was rendered: clips of one piece are on one side of every split."""


@dataclass(frozen=True)
class Result:
    """A task's score between 0 and 1 (`None`: not available), the clips or frames that it rests on, and its
    standard error by drawing the pieces that are tested on again."""

    task: str
    metric: str
    value: float | None
    n: int
    error: float | None = None


def probe(heard: Sequence[Heard], seed: int = 0) -> list[Result]:
    """All tasks on one encoder's clips; the same clips and seed give the same numbers.

    Raises `ValueError` where a piece is both trained on and tested on.
    """
    pooled = np.stack([_pooled(one.embedding.frames) for one in heard])
    _rows(heard, range(len(heard)))
    return [
        _key(heard, pooled, seed),
        _chord(heard, seed),
        _tempo(heard, pooled, seed),
        _beat(heard, seed),
        _instrument(heard, pooled, seed),
    ]


def deaf(heard: Sequence[Heard]) -> list[Heard]:
    """The same clips as one hears them who hears nothing: what the answers alone give away."""
    rate = 10.0
    return [
        Heard(
            Embedding(
                one.truth.clip_id,
                "deaf",
                np.zeros((max(1, round((one.truth.end_seconds - one.truth.start_seconds) * rate)), 1)),
                rate,
            ),
            one.truth,
            one.is_test,
            one.piece,
        )
        for one in heard
    ]


# --- tasks ------------------------------------------------------------------------------------------------


def _key(heard: Sequence[Heard], pooled: np.ndarray, seed: int) -> Result:
    keep = [i for i, one in enumerate(heard) if one.truth.key.name in KEYS]
    labels = np.array([KEYS.index(str(heard[i].truth.key.name)) for i in keep], dtype=int)
    rows = _rows(heard, keep)
    said = answers(pooled[keep], np.eye(len(KEYS))[labels], rows, seed)
    return _accuracy("key", "accuracy of 24", said, labels, rows, seed)


def _tempo(heard: Sequence[Heard], pooled: np.ndarray, seed: int) -> Result:
    keep = [i for i, one in enumerate(heard) if one.truth.tempo.bpm]
    bpm = np.array([float(heard[i].truth.tempo.bpm or 0.0) for i in keep])
    rows = _rows(heard, keep)
    rhythm = _rhythms([heard[i].embedding for i in keep], rows.is_test)
    features = np.concatenate([pooled[keep], rhythm], axis=1)
    distance = np.log2(bpm[:, None] / TEMPO_BINS[None]) / 0.05
    said = answers(features, np.exp(-0.5 * distance**2), rows, seed)
    if said is None:
        return Result("tempo", "within 8 %", None, 0)
    right = np.abs(TEMPO_BINS[said.argmax(1)] / bpm[rows.test] - 1) <= TEMPO_TOLERANCE
    return _scored("tempo", "within 8 %", lambda rows_: float(right[rows_].mean()), rows, seed)


def _instrument(heard: Sequence[Heard], pooled: np.ndarray, seed: int) -> Result:
    keep = [i for i, one in enumerate(heard) if one.truth.instruments.labels]
    names = sorted({label for i in keep for label in heard[i].truth.instruments.labels})
    targets = np.array(
        [[float(name in heard[i].truth.instruments.labels) for name in names] for i in keep]
    ).reshape(len(keep), len(names))
    rows = _rows(heard, keep)
    there = targets[rows.is_test]
    common = (np.minimum(there.sum(0), (1 - there).sum(0)) >= LEAST_POSITIVES) & (
        targets[~rows.is_test].sum(0) >= LEAST_POSITIVES
    )
    said = answers(pooled[keep], targets[:, common], rows, seed)
    if said is None:
        return Result("instrument", "mean average precision", None, 0)
    truth = there[:, common]

    def score(rows_: np.ndarray) -> float:
        known = np.flatnonzero(truth[rows_].any(0))
        return float(np.mean([average_precision(said[rows_, k], truth[rows_, k]) for k in known]))

    return _scored("instrument", "mean average precision", score, rows, seed)


def _chord(heard: Sequence[Heard], seed: int) -> Result:
    labels = [chord_classes(one.truth, one.embedding) for one in heard]
    known = [np.flatnonzero(classes >= 0) for classes in labels]
    features, classes, rows = _thin(heard, labels, known, CHORD_CONTEXT, seed)
    said = answers(features, np.eye(CHORDS)[classes], rows, seed)
    return _accuracy("chord", "frames right of 25", said, classes, rows, seed)


def _beat(heard: Sequence[Heard], seed: int) -> Result:
    keep = [
        one
        for one in heard
        if one.embedding.frames_per_second >= LEAST_RATE and one.truth.beats.times_seconds
    ]
    labels = [_beats(one) for one in keep]
    every = [np.arange(len(one)) for one in labels]
    features, beats, rows = _thin(keep, labels, every, BEAT_CONTEXT, seed)
    said = answers(features, beats[:, None].astype(float), rows, seed)
    if said is None:
        return Result("beat", "average precision", None, 0)
    truth = beats[rows.test]
    return _scored(
        "beat", "average precision", lambda rows_: average_precision(said[rows_, 0], truth[rows_]), rows, seed
    )


def _beats(one: Heard) -> np.ndarray:
    """int [frames]: 1 where a beat falls into a frame."""
    rate, beats = one.embedding.frames_per_second, np.zeros(len(one.embedding.frames), int)
    places = (np.array(one.truth.beats.times_seconds) - one.truth.start_seconds) * rate
    beats[places[(places >= 0) & (places < len(beats))].astype(int)] = 1
    return beats


def _accuracy(
    task: str, metric: str, said: np.ndarray | None, labels: np.ndarray, rows: Rows, seed: int
) -> Result:
    if said is None:
        return Result(task, metric, None, 0)
    right = said.argmax(1) == labels[rows.test]
    return _scored(task, metric, lambda rows_: float(right[rows_].mean()), rows, seed)


def _scored(task: str, metric: str, score: Callable[[np.ndarray], float], rows: Rows, seed: int) -> Result:
    """`score` takes numbers of test rows, counted from 0."""
    count = len(rows.test)
    error = standard_error(score, rows.piece[rows.test], seed)
    return Result(task, metric, score(np.arange(count)), count, error)


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


def _context(frames: np.ndarray, which: np.ndarray, each_side: int) -> np.ndarray:
    """Some frames with their neighbours: [which, (2 * each_side + 1) * width]; the edges are repeated."""
    places = which[:, None] + np.arange(-each_side, each_side + 1)
    near = frames[places.clip(0, len(frames) - 1)]
    rows: np.ndarray = near.reshape(len(which), near.shape[1] * near.shape[2]).astype(np.float32)
    return rows


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
    heard: Sequence[Heard], labels: list[np.ndarray], allowed: list[np.ndarray], each_side: int, seed: int
) -> tuple[np.ndarray, np.ndarray, Rows]:
    """At most `MOST_FRAMES` of the allowed frames, at random: with their neighbours, their labels, and what
    they belong to."""
    clip = np.repeat(np.arange(len(heard)), [len(one) for one in allowed])
    frame = np.concatenate([np.zeros(0, int), *allowed])
    chosen = np.sort(np.random.default_rng(seed).permutation(len(clip))[:MOST_FRAMES])
    clip, frame = clip[chosen], frame[chosen]
    rows = _rows(heard, clip)
    if not len(chosen):
        return np.zeros((0, 1)), np.zeros(0, int), rows
    own = [frame[clip == number] for number in range(len(heard))]
    features = [
        _context(one.embedding.frames, which, each_side) for one, which in zip(heard, own, strict=True)
    ]
    classes = [one[which] for one, which in zip(labels, own, strict=True)]
    return np.concatenate(features), np.concatenate(classes), rows


def _rows(heard: Sequence[Heard], of: Sequence[int] | np.ndarray) -> Rows:
    """What each row belongs to, by the number of its clip."""
    names = sorted({one.piece for one in heard})
    piece = np.array([names.index(one.piece) for one in heard], dtype=int)
    test = np.array([one.is_test for one in heard], dtype=bool)
    which = np.asarray(of, dtype=int)
    return Rows(test[which], piece[which])


# --- the head: ridge regression, and what its answers are worth ---------------------------------------------

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""Of the ridge on standardised features, as a share of the rows."""

HELD = 5
"""One piece of so many is held back to choose the strength by."""

RESAMPLES = 200
LEAST_TRAINING_ROWS = 10


@dataclass(frozen=True, eq=False)
class Rows:
    """What rows of features belong to: `is_test` is bool [rows], `piece` int [rows]."""

    is_test: np.ndarray
    piece: np.ndarray

    def __post_init__(self) -> None:
        both = np.intersect1d(self.piece[self.is_test], self.piece[~self.is_test])
        if len(both):
            raise ValueError(f"{len(both)} pieces are trained on and tested on")

    @property
    def test(self) -> np.ndarray:
        """Numbers of the rows that are tested on."""
        return np.flatnonzero(self.is_test)


def answers(features: np.ndarray, targets: np.ndarray, rows: Rows, seed: int) -> np.ndarray | None:
    """Ridge regression's values for the test rows.

    The strength is the one that does best on a fifth of the training pieces, after training on the others;
    then all of them are trained on. Features are standardised by what is trained on.

    Args:
        features: [rows, width].
        targets: [rows, values].

    Returns:
        [test rows, values]; `None` where there is nothing to train or to test on.
    """
    training = np.flatnonzero(~rows.is_test)
    if not len(rows.test) or len(training) < LEAST_TRAINING_ROWS or not targets.shape[1]:
        return None
    pieces = np.random.default_rng(seed).permutation(np.unique(rows.piece[training]))
    is_held = np.isin(rows.piece[training], pieces[: len(pieces) // HELD])
    held, kept = training[is_held], training[~is_held]
    best = STRENGTHS[len(STRENGTHS) // 2]
    if len(held):
        tried = ridge(features[kept], targets[kept], features[held], STRENGTHS)
        errors = [float(np.square(said - targets[held]).mean()) for said in tried]
        best = STRENGTHS[int(np.argmin(errors))]
    return ridge(features[training], targets[training], features[rows.test], (best,))[0]


def ridge(
    features: np.ndarray, targets: np.ndarray, asked: np.ndarray, strengths: Sequence[float]
) -> list[np.ndarray]:
    """Ridge regression on standardised features for each strength, solved in rows or in features, whichever
    are fewer. [rows, width], [rows, values], [asked, width] → [asked, values] of each strength."""
    mean, spread = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64) + 1e-6
    x, wanted = (features - mean) / spread, (asked - mean) / spread
    middle = targets.mean(0)
    is_wide = x.shape[1] > x.shape[0]
    products = x @ x.T if is_wide else x.T @ x
    right = targets - middle if is_wide else x.T @ (targets - middle)
    there = wanted @ x.T if is_wide else wanted
    found = []
    for strength in strengths:
        penalised = products.copy()
        penalised.flat[:: len(products) + 1] += strength * len(x)
        solved = scipy.linalg.solve(penalised, right, assume_a="pos", overwrite_a=True)
        found.append(there @ solved + middle)
    return found


def standard_error(score: Callable[[np.ndarray], float], pieces: np.ndarray, seed: int) -> float:
    """How far a score moves with the choice of pieces to test on: by drawing as many of them again, with
    replacement. `score` takes numbers of test rows; `pieces` is int [test rows]."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(pieces == piece) for piece in np.unique(pieces)]
    drawn = rng.integers(len(members), size=(RESAMPLES, len(members)))
    return float(np.std([score(np.concatenate([members[i] for i in row])) for row in drawn]))


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under precision over recall. Equal scores count as found at once, whatever their order."""
    order = np.argsort(-scores, kind="stable")
    hits = truth[order] > 0
    if not hits.any():
        return 0.0
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.cumsum(hits)[ends]
    return float((np.diff(found, prepend=0) * found / (ends + 1)).sum() / hits.sum())
