"""Marks for the facts of clips: how right each is, from 0 to 1, with mir_eval; and how sure it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from annotate_clips import Case
from annotate_heard import Facts

from llark.evaluate import bootstrap
from llark.records import Annotation, Chords, LocalKeys

DRAWS = 1000
SAME_TEMPO = 0.04
OCTAVES = (1.0, 2.0, 3.0, 1 / 2, 1 / 3)
BINS = 10


@dataclass(frozen=True)
class Mark:
    """How right one fact of one clip is, and what it was sure of. `said` is whether anything was said."""

    case_id: str
    group: str
    value: float
    confidence: float
    said: bool


@dataclass(frozen=True)
class Result:
    """A mean of marks with its 95 % interval over pieces and styles. `n` marks."""

    value: float
    low: float
    high: float
    n: int


def tempo_error(found: Annotation, truth: Annotation, factors: Sequence[float]) -> float | None:
    """1 where the tempo is that of the truth, times one of the factors, to 4 %."""
    if truth.tempo.bpm is None:
        return None
    bpm = found.tempo.bpm or 0.0
    return float(any(abs(bpm / (truth.tempo.bpm * factor) - 1) <= SAME_TEMPO for factor in factors))


def key_score(found: Annotation, truth: Annotation) -> float | None:
    """MIREX: 1 the key, 0.5 a fifth off, 0.3 the relative, 0.2 the parallel."""
    import mir_eval

    if truth.key.name is None:
        return None
    return float(mir_eval.key.weighted_score(truth.key.name, found.key.name)) if found.key.name else 0.0


def beat_score(found: Sequence[float], truth: Sequence[float]) -> float | None:
    """F-measure of times within 70 ms; `None` without a true one."""
    import mir_eval

    if not truth:
        return None
    return float(mir_eval.beat.f_measure(np.array(truth), np.array(found))) if found else 0.0


def meter_score(found: Annotation, truth: Annotation) -> float | None:
    if truth.meter.beats_per_bar is None:
        return None
    return float(found.meter.beats_per_bar == truth.meter.beats_per_bar)


def chord_score(found: Chords, truth: Chords) -> float | None:
    """Share of the time with the right major or minor triad; other qualities in the truth do not count."""
    import mir_eval

    if not truth.spans:
        return None
    reference, names = _intervals(truth)
    whole = (reference[0, 0], reference[-1, 1])
    estimate, said = _intervals(found) if found.spans else (np.array([whole]), ["N"])
    estimate, said = mir_eval.util.adjust_intervals(estimate, said, *whole, "N", "N")
    merged, names, said = mir_eval.util.merge_labeled_intervals(reference, names, estimate, said)
    marks = mir_eval.chord.majmin(names, said)
    if not (marks >= 0).any():
        return None
    return float(mir_eval.chord.weighted_accuracy(marks, mir_eval.util.intervals_to_durations(merged)))


def _intervals(chords: Chords) -> tuple[np.ndarray, list[str]]:
    spans = np.array([[span.start_seconds, span.end_seconds] for span in chords.spans])
    return spans, [span.label for span in chords.spans]


def instrument_score(found: Annotation, truth: Annotation) -> float | None:
    """F1 of the words for one clip."""
    if not truth.instruments.tags:
        return None
    said, known = set(found.instruments.labels), set(truth.instruments.labels)
    return 2 * len(said & known) / (len(said) + len(known))


def local_key_score(found: LocalKeys, truth: LocalKeys) -> float | None:
    """MIREX score of the local keys, second by second; what no span covers scores 0."""
    import mir_eval

    if not truth.spans:
        return None
    total = 0.0
    for span in truth.spans:
        for other in found.spans:
            shared = min(span.end_seconds, other.end_seconds) - max(span.start_seconds, other.start_seconds)
            total += max(0.0, shared) * float(mir_eval.key.weighted_score(span.label, other.label))
    return total / (truth.spans[-1].end_seconds - truth.spans[0].start_seconds)


Scores = Callable[[Annotation, Annotation], float | None]

MEASURES: Mapping[str, tuple[str, Scores]] = {
    "key": ("key", key_score),
    "tempo Acc1": ("tempo", lambda f, t: tempo_error(f, t, OCTAVES[:1])),
    "tempo Acc2": ("tempo", lambda f, t: tempo_error(f, t, OCTAVES)),
    "beat F": ("beats", lambda f, t: beat_score(f.beats.times_seconds, t.beats.times_seconds)),
    "downbeat F": ("beats", lambda f, t: beat_score(f.beats.downbeats_seconds, t.beats.downbeats_seconds)),
    "meter": ("meter", meter_score),
    "chords": ("chords", lambda f, t: chord_score(f.chords, t.chords)),
    "instruments": ("instruments", instrument_score),
}
"""Column → the fact that it is about, and its mark (`None` where the truth is silent)."""


def marks_of(column: str, cases: Sequence[Case], facts: Mapping[str, Facts]) -> list[Mark]:
    """The marks of one column; a fact that is unknown, but is not so in truth, is worth 0."""
    name, score = MEASURES[column]
    marks = []
    for case in cases:
        if case.id not in facts:
            continue
        found = facts[case.id].annotation
        value = score(found, case.truth)
        if value is not None:
            fact = getattr(found, name)
            marks.append(Mark(case.id, case.group, value, float(fact.confidence), fact.confidence > 0))
    return marks


def surer_half(marks: Sequence[Mark]) -> list[Mark]:
    """The half with the highest confidence."""
    ranked = sorted(marks, key=lambda mark: (-mark.confidence, mark.case_id))
    return ranked[: (len(ranked) + 1) // 2]


def result(marks: Sequence[Mark], purpose: str) -> Result:
    """Their mean, and the interval that drawing pieces and styles anew gives."""
    if not marks:
        return Result(float("nan"), float("nan"), float("nan"), 0)
    tallied = bootstrap.tally([mark.group for mark in marks], np.array([[1.0, mark.value] for mark in marks]))
    mean = bootstrap.estimates(tallied, bootstrap.means("value"), purpose, count=DRAWS)["value"]
    return Result(mean.value, mean.low, mean.high, tallied.n)


@dataclass(frozen=True)
class Reliability:
    """`confidence`, `value` and `counts` of each tenth of confidence that has marks; `error` is the expected
    calibration error, the mean distance between the first two by count."""

    confidence: np.ndarray
    value: np.ndarray
    counts: np.ndarray
    error: float


def reliability(marks: Sequence[Mark]) -> Reliability:
    """Confidence against rightness, over the facts that were said. Raises `ValueError` where none was."""
    said = [mark for mark in marks if mark.said]
    if not said:
        raise ValueError("no fact was said")
    sure, value = (np.array([getattr(mark, n) for mark in said]) for n in ("confidence", "value"))
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    full = counts > 0
    confidence, right = (np.bincount(place, x, minlength=BINS)[full] / counts[full] for x in (sure, value))
    error = float((np.abs(confidence - right) * counts[full]).sum() / counts.sum())
    return Reliability(confidence, right, counts[full], error)
