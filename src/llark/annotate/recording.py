"""A whole recording, heard window by window: what the whole needs of each is kept, its sound is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llark import annotate
from llark.annotate import key, loudness, melody, sections, song
from llark.networks import weighting
from llark.networks.features import AudioFeatures
from llark.networks.weighting import Energies
from llark.records import Annotation, IsolatedChord, Melody, Notes


class Recording:
    """Give it the windows in order with `hear`; then `facts` are those of the whole.

    With `notes` the note net hears every window (0.02 s of one core a second).
    """

    def __init__(self, recording_id: str, *, notes: bool = False) -> None:
        self.id = recording_id
        self._notes = notes
        self._windows: list[Annotation] = []
        self._energies: list[Energies] = []
        self._observed: list[np.ndarray] = []
        self._keys: list[np.ndarray] = []

    def hear(self, features: AudioFeatures, start_seconds: float) -> Annotation:
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
        """One annotation over all windows. Raises `ValueError` where nothing was heard."""
        whole = song.merge(self.id, self._windows)
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
    found = _with_melody(windows)
    if not found or len(found) < len(_sounding(windows)):
        return Melody(source=melody.SOURCE)
    every = tuple(note for one in found for note in one.notes)
    return replace(
        found[0],
        contour=melody.contour([note.pitch_midi for note in every]),
        lowest_midi=min(note.pitch_midi for note in every),
        highest_midi=max(note.pitch_midi for note in every),
        notes=every,
        confidence=round(sum(one.confidence for one in found) / len(found), 3),
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
    found = [window.notes for window in windows if window.notes.notes]
    if not found:
        return Notes(source=windows[0].notes.source)
    count = sum(len(one.notes) for one in found)
    confidence = sum(one.confidence * len(one.notes) for one in found) / count
    return Notes(tuple(note for one in found for note in one.notes), round(confidence, 3), found[0].source)
