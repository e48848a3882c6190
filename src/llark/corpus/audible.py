"""What of a piece can be heard in a stretch of it: the truth of a clip names nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llark.corpus.piece import Part, Piece, Timing
from llark.music.theory import TONES
from llark.records import (
    KEYS,
    PITCH_CLASSES,
    Annotation,
    Beats,
    Chords,
    ChordSpan,
    Key,
    Meter,
    Tag,
    Tags,
    Tempo,
)  # fmt: skip

SOURCE = "truth"

MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""Krumhansl and Kessler's probe-tone ratings (Cognitive Foundations of Musical Pitch, 1990)."""


def pitch_classes(parts: Sequence[Part], start: float, end: float) -> np.ndarray:
    """[12] beats for which each pitch class sounds between two beats; drums left out."""
    weight = np.zeros(12)
    for part in parts:
        for note in part.notes if not part.is_drums else ():
            weight[note.pitch % 12] += max(0.0, min(note.end, end) - max(note.start, start))
    return weight


def key_rank(weight: np.ndarray, key: int) -> int:
    """Place (1 is best) of `key` among the 24, by correlation of pitch-class weights with the probe-tone
    profiles."""
    if weight.sum() <= 0 or weight.std() == 0:
        return 24
    fits = [
        np.corrcoef(weight, np.roll(profile, tonic))[0, 1]
        for profile in (MAJOR_PROFILE, MINOR_PROFILE)
        for tonic in range(12)
    ]
    return 1 + sum(bool(fit > fits[key]) for fit in fits)


def key_is_audible(piece: Piece, start: float, end: float) -> bool:
    """Whether the stretch gives the key away: its tonic chord among three, or notes that fit no key
    better."""
    if piece.key is None:
        return False
    weight = pitch_classes(piece.parts, start, end)
    rank = key_rank(weight, piece.key)
    if piece.modulates:
        return rank == 1
    if not piece.harmony:
        steps = {0, 2, 3, 5, 7, 8, 9, 10, 11} if piece.key >= 12 else {0, 2, 4, 5, 7, 9, 11}
        inside = sum(weight[(piece.key + step) % 12] for step in steps)
        return rank <= 4 and bool(inside >= 0.9 * weight.sum() > 0)
    chords = {(h.root, h.quality) for h in piece.harmony if min(h.end, end) - max(h.start, start) >= 0.5}
    roots = {root for root, _ in chords}
    third = 3 if piece.key >= 12 else 4
    home = any(root == piece.key % 12 and third in TONES[quality] for root, quality in chords)
    return home and ((len(roots) >= 3 and rank <= 6) or rank == 1)


def beats_are_audible(parts: Sequence[Part], start: float, end: float) -> bool:
    """Whether notes begin on or near at least 45 in 100 of the beats."""
    starts = (note.start for part in parts for note in part.notes)
    onsets = np.array([begin for begin in starts if start - 0.2 <= begin < end + 0.2])
    beats = np.arange(np.ceil(start), end)
    if not len(onsets) or not len(beats):
        return False
    return bool((np.abs(beats[:, None] - onsets[None, :]).min(axis=1) < 0.12).mean() >= 0.45)


def chords_are_audible(piece: Piece, start: float, end: float) -> bool:
    """Whether at least two notes of the chord sound in most spans of the harmony."""
    supported = []
    for span in piece.harmony:
        low, high = max(span.start, start), min(span.end, end)
        if high - low > 0.5:
            weight = pitch_classes(piece.parts, low, high)
            tones = [(span.root + step) % 12 for step in TONES[span.quality]]
            supported.append(sum(weight[tone] > 0.05 * (high - low) for tone in tones) >= 2)
    return bool(supported) and sum(supported) >= 0.75 * len(supported)


def truth(piece: Piece, clip_id: str, timing: Timing, seconds: float, words: Sequence[str]) -> Annotation:
    """The facts of `seconds` of a piece in the `timing` it is played with, with `words` sounding.

    Tempo, beats and meter stay unknown where too few notes mark the beats, key and chords where they cannot
    be heard.
    """
    start, end = timing.start_beat, timing.start_beat + seconds * timing.bpm / 60
    tempo, beats, meter = Tempo(), Beats(), Meter()
    if beats_are_audible(piece.parts, start, end):
        tempo = Tempo(round(timing.bpm, 2), 1.0, SOURCE)
        beats = _beats(piece, timing, seconds)
        meter = Meter(piece.meter, 1.0, SOURCE) if piece.meter else Meter()
    known = piece.key is not None and key_is_audible(piece, start, end)
    key = Key(KEYS[piece.key], 1.0, SOURCE) if known and piece.key is not None else Key()
    chords = _chords(piece, timing, seconds) if chords_are_audible(piece, start, end) else Chords()
    return Annotation(
        clip_id=clip_id, start_seconds=0.0, end_seconds=seconds, tempo=tempo, beats=beats, meter=meter,
        key=key, chords=chords, instruments=_tags(words), genre=_tags(piece.genres),
    )  # fmt: skip


def _beats(piece: Piece, timing: Timing, seconds: float) -> Beats:
    first = int(np.ceil(timing.start_beat - 1e-6))
    count = int(seconds * timing.bpm / 60) + 3
    numbers = [n for n in range(first, first + count) if timing.seconds(n) < seconds - 1e-6]
    times = tuple(round(max(0.0, timing.seconds(number)), 4) for number in numbers)
    bar = piece.beats_per_bar
    places = tuple(number % bar + 1 for number in numbers) if bar else ()
    return Beats(times, places, 1.0, SOURCE)


def _chords(piece: Piece, timing: Timing, seconds: float) -> Chords:
    spans = []
    for span in piece.harmony:
        begin = max(0.0, timing.seconds(span.start))
        finish = min(seconds, timing.seconds(span.end))
        if finish - begin > 1e-3:
            label = f"{PITCH_CLASSES[span.root]}:{span.quality}"
            spans.append(ChordSpan(round(begin, 4), round(finish, 4), label))
    return Chords(tuple(spans), 1.0, SOURCE)


def _tags(words: Sequence[str]) -> Tags:
    return Tags(tuple(Tag(word, 1.0) for word in words), 1.0, SOURCE) if words else Tags()
