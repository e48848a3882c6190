"""The facts of a whole song from those of its windows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import TypeVar

import numpy as np

from llark import annotate
from llark.annotate import key, loudness, melody, meter, sections, tempo
from llark.networks import weighting
from llark.networks.features import AudioFeatures
from llark.networks.weighting import Energies
from llark.records import (
    Annotation,
    Beats,
    Chords,
    IsolatedChord,
    Key,
    Melody,
    Meter,
    Notes,
    Tag,
    Tags,
    Tempo,
)

SAME_TEMPO = 0.04
SEAM_STEPS = 0.5

Value = TypeVar("Value", bound=Hashable)


class SongFacts:
    """The facts of a whole recording: give it the windows in order with `add`, then ask for `facts`.

    It keeps of a window what the whole needs, and none of its samples. With `notes` the note net runs on
    every window (0.02 s of one core a second).
    """

    def __init__(self, recording_id: str, *, notes: bool = False) -> None:
        self.id = recording_id
        self._notes = notes
        self._windows: list[Annotation] = []
        self._energies: list[Energies] = []
        self._observed: list[np.ndarray] = []
        self._keys: list[np.ndarray] = []

    def add(self, features: AudioFeatures, start_seconds: float) -> Annotation:
        """The facts of one window, which begins at `start_seconds`.

        Once a window that sounds has no melody, the whole has none, and no further window is asked for one.
        """
        line = len(_with_melody(self._windows)) == len(_sounding(self._windows))
        window = annotate.annotate(features, self.id, start_seconds, notes=self._notes, line=line)
        self._windows.append(window)
        self._energies.append(features.energies)
        self._observed.append(sections.observe(features))
        self._keys.append(features.harmony.key)
        return window

    def facts(self) -> Annotation:
        """One annotation over all windows. Raises `ValueError` where no window was added."""
        whole = merge(self.id, self._windows)
        if len(self._windows) == 1:
            return whole
        start, end = whole.start_seconds, whole.end_seconds
        return replace(
            whole,
            loudness=loudness.measure(weighting.join(self._energies), start),
            local_keys=key.find_course(self._windows, self._keys),
            sections=sections.find(self._observed, start, end, whole.beats.downbeats_seconds),
            melody=_melody(self._windows),
            isolated_chord=_isolated_chord(self._windows),
            notes=_notes(self._windows),
        )


def _melody(windows: list[Annotation]) -> Melody:
    """The melody of all windows; unknown if one that sounds has none."""
    melodies = _with_melody(windows)
    if not melodies or len(melodies) < len(_sounding(windows)):
        return Melody(source=melody.SOURCE)
    every = tuple(note for one in melodies for note in one.notes)
    return replace(
        melodies[0],
        contour=melody.contour([note.pitch_midi for note in every]),
        lowest_midi=min(note.pitch_midi for note in every),
        highest_midi=max(note.pitch_midi for note in every),
        notes=every,
        confidence=round(sum(one.confidence for one in melodies) / len(melodies), 3),
    )


def _sounding(windows: list[Annotation]) -> list[Annotation]:
    return [window for window in windows if window.loudness.integrated_lufs is not None]


def _with_melody(windows: list[Annotation]) -> list[Melody]:
    return [window.melody for window in _sounding(windows) if window.melody.contour is not None]


def _isolated_chord(windows: list[Annotation]) -> IsolatedChord:
    """The chord that every window consists of, if there is one."""
    first = windows[0].isolated_chord
    alike = all(window.isolated_chord.label == first.label for window in windows)
    return replace(first, confidence=min(w.isolated_chord.confidence for w in windows)) if alike else (
        IsolatedChord(source=first.source)
    )  # fmt: skip


def _notes(windows: list[Annotation]) -> Notes:
    """The notes of all windows; confidence is the mean, each window by its notes."""
    transcribed = [window.notes for window in windows if window.notes.notes]
    if not transcribed:
        return Notes(source=windows[0].notes.source)
    every = tuple(note for one in transcribed for note in one.notes)
    confidence = sum(one.confidence * len(one.notes) for one in transcribed) / len(every)
    return Notes(every, round(confidence, 3), transcribed[0].source)


def merge(song_id: str, windows: Sequence[Annotation]) -> Annotation:
    """One annotation over all windows, in time order.

    Global facts are voted on, each window by its length times its confidence; the result's confidence is the
    winner's share of all seconds times its own mean confidence, so that a song that modulates or windows that
    disagree say so. Where that is less than a clip's would have to be, the fact is unknown, as a clip's is.
    Beats and chords are joined; a tag's confidence is its mean over the seconds.
    Raises `ValueError` where there is no window.
    """
    if not windows:
        raise ValueError("A song has at least one window.")
    if len(windows) == 1:
        only = windows[0]
        return Annotation(**{**only.__dict__, "clip_id": song_id})
    seconds = [w.end_seconds - w.start_seconds for w in windows]
    key_name, key_confidence = _vote(
        [(w.key.name, w.key.confidence, s) for w, s in zip(windows, seconds, strict=True)],
        key.LEAST_CONFIDENCE,
    )
    beats_per_bar, meter_confidence = _vote(
        [(w.meter.beats_per_bar, w.meter.confidence, s) for w, s in zip(windows, seconds, strict=True)],
        meter.LEAST_CONFIDENCE,
    )
    spans = tuple(span for w in windows for span in w.chords.spans)
    return Annotation(
        clip_id=song_id,
        start_seconds=windows[0].start_seconds,
        end_seconds=windows[-1].end_seconds,
        tempo=_tempo(windows, seconds),
        beats=_beats(windows, _mean([w.beats.confidence for w in windows], seconds)),
        meter=Meter(beats_per_bar, meter_confidence, windows[0].meter.source),
        key=Key(key_name, key_confidence, windows[0].key.source),
        chords=Chords(
            spans, _mean([w.chords.confidence for w in windows], seconds), windows[0].chords.source
        ),
        instruments=_tags([w.instruments for w in windows], seconds),
        genre=_tags([w.genre for w in windows], seconds),
        mood=_tags([w.mood for w in windows], seconds),
    )


def _mean(values: Sequence[float], seconds: Sequence[float]) -> float:
    return sum(v * s for v, s in zip(values, seconds, strict=True)) / sum(seconds)


def _vote(votes: Sequence[tuple[Value | None, float, float]], least: float) -> tuple[Value | None, float]:
    """The value with the most confident seconds, and how far to trust it; none if that is under `least`.

    Each vote is a value, its confidence, and its seconds.
    """
    weight: dict[Value, float] = defaultdict(float)
    for value, confidence, seconds in votes:
        if value is not None:
            weight[value] += confidence * seconds
    if not weight:
        return None, 0.0
    best = max(weight, key=lambda value: weight[value])
    confidence = weight[best] / sum(seconds for _, _, seconds in votes)
    return (best, confidence) if confidence >= least else (None, 0.0)


def _beats(windows: Sequence[Annotation], confidence: float) -> Beats:
    """The beats of all windows, with their places in the bar if every window with beats knows them.

    A beat on a seam is found by both windows: one that follows the last of the window before by less than
    half of its own window's usual step is that one again.
    """
    times: list[float] = []
    places: list[int] = []
    for beats in (window.beats for window in windows if window.beats.times_seconds):
        own = beats.times_seconds
        step = median(b - a for a, b in pairwise(own)) if len(own) > 1 else 0.0
        first = 1 if times and own[0] - times[-1] < SEAM_STEPS * step else 0
        times += own[first:]
        places += beats.positions[first:]
    known = all(len(w.beats.positions) == len(w.beats.times_seconds) for w in windows)
    return Beats(tuple(times), tuple(places) if known else (), confidence, windows[0].beats.source)


def _tempo(windows: Sequence[Annotation], seconds: Sequence[float]) -> Tempo:
    """The tempo that most confident seconds agree on, to 4 %; their weighted mean. Unknown if few agree."""
    votes = [(w.tempo, s) for w, s in zip(windows, seconds, strict=True) if w.tempo.bpm]
    if not votes:
        return Tempo(source=windows[0].tempo.source)

    def near(bpm: float) -> list[tuple[Tempo, float]]:
        return [(t, s) for t, s in votes if t.bpm and abs(t.bpm / bpm - 1) <= SAME_TEMPO]

    def weight(group: Sequence[tuple[Tempo, float]]) -> float:
        return sum(t.confidence * s for t, s in group)

    centre = max((t for t, _ in votes), key=lambda t: weight(near(t.bpm or 1.0)))
    group = near(centre.bpm or 1.0)
    confidence = weight(group) / sum(seconds)
    if confidence < tempo.LEAST_CONFIDENCE:
        return Tempo(source=centre.source)
    total = sum((t.confidence + 1e-6) * s for t, s in group)
    bpm = sum((t.bpm or 0.0) * (t.confidence + 1e-6) * s for t, s in group) / total
    ratio = centre.alternative_bpm / centre.bpm if centre.alternative_bpm and centre.bpm else None
    return Tempo(bpm, confidence, centre.source, bpm * ratio if ratio else None)


def _tags(windows: Sequence[Tags], seconds: Sequence[float]) -> Tags:
    """Tags by their mean confidence; one that is rare over the song falls under 0.2 and is left out."""
    weight: dict[str, float] = defaultdict(float)
    for tags, length in zip(windows, seconds, strict=True):
        for tag in tags.tags:
            weight[tag.label] += tag.confidence * length / sum(seconds)
    ranked = sorted(weight.items(), key=lambda item: (-item[1], item[0]))
    kept = tuple(Tag(label, value) for label, value in ranked if value >= 0.2)
    return Tags(kept, _mean([w.confidence for w in windows], seconds), windows[0].source)
