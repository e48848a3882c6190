"""The musical facts of a clip, each read by one file of this room off the outputs of the networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from llark.annotate import beats, chords, key, loudness, melody, meter, tags, tempo
from llark.annotate import notes as note_decoding
from llark.networks import rhythm
from llark.networks.features import AudioFeatures
from llark.records import Annotation, Beats, Chords, Key, Melody, Meter, Notes, Tempo

VERSION = "annotate-10"
"""Changes whenever the same samples would give other facts."""

Fact = TypeVar("Fact", Tempo, Beats, Meter, Key, Chords)


def annotate(
    features: AudioFeatures,
    clip_id: str,
    start_seconds: float = 0.0,
    *,
    notes: bool = False,
    line: bool = True,
) -> Annotation:
    """Every fact of one clip, in seconds of its track, where it begins at `start_seconds`.

    Notes only if asked for: they cost a network of their own, and no other fact rests on them. Without
    `line` it is not asked whether the clip is a single line, and no melody is known.

    In silence nothing is known, and every fact is empty with confidence 0. Of steady noise only the loudness
    is known. Where neither beats nor harmony are, there is no style; and if the sound is noise or a tone that
    never changes, there are no instruments.
    """
    end_seconds = start_seconds + features.duration_seconds
    if features.is_silent:
        return Annotation(clip_id, start_seconds, end_seconds)
    if features.is_noise:
        return Annotation(
            clip_id, start_seconds, end_seconds, loudness=loudness.find(features, start_seconds)
        )
    decoded = chords.decode(features.chord, features.harmony)
    likeliest = tempo.likeliest(features.rhythm, rhythm.BPM)
    tracked = beats.track(features.rhythm.activations, likeliest.bpm, meter.beats_per_bar(features.rhythm))
    if features.texture.is_plain:
        tracked = beats.doubted(tracked, 0.0 if features.texture.is_still else likeliest.probability**2)
    facts = Annotation(
        clip_id=clip_id,
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        tempo=_rounded(tempo.measure(features.rhythm, rhythm.BPM, tracked)),
        beats=_rounded(_beats_from(tracked, start_seconds)),
        meter=_rounded(meter.find(features.rhythm, min(1.0, 1.2 * tracked.confidence))),
        key=_rounded(key.find(features.harmony)),
        chords=_rounded(_chords_from(decoded, start_seconds, end_seconds)),
        notes=note_decoding.find(features.note, start_seconds) if notes else Notes(),
        loudness=loudness.find(features, start_seconds),
        melody=melody.find(features, start_seconds) if line else Melody(source=melody.SOURCE),
        isolated_chord=chords.find_isolated(features),
    )
    if _is_music(facts):
        facts = replace(facts, genre=tags.find_genre(features, features.timbre.genre))
    elif features.texture.is_plain:
        return facts
    return replace(facts, instruments=tags.find_instruments(features, features.timbre.instruments))


def _is_music(facts: Annotation) -> bool:
    """Whether beats or harmony are likelier there than not."""
    evidence = (facts.beats, facts.key, facts.chords, facts.melody, facts.isolated_chord)
    return any(fact.confidence > 0.5 for fact in evidence)


def _rounded(fact: Fact) -> Fact:
    """The fact with four decimals of confidence: the others depend on how many threads added it up."""
    return replace(fact, confidence=round(fact.confidence, 4))


def _beats_from(clip_beats: Beats, start_seconds: float) -> Beats:
    """Beats of a clip in seconds of its track."""
    return replace(
        clip_beats, times_seconds=tuple(round(t + start_seconds, 3) for t in clip_beats.times_seconds)
    )


def _chords_from(clip_chords: Chords, start_seconds: float, end_seconds: float) -> Chords:
    """Chords of a clip in seconds of its track; the last one lasts to its end."""
    starts = [round(span.start_seconds + start_seconds, 3) for span in clip_chords.spans]
    ends = [*starts, end_seconds][1:]
    spans = (
        replace(span, start_seconds=start, end_seconds=end)
        for span, start, end in zip(clip_chords.spans, starts, ends, strict=True)
        if start < end
    )
    return replace(clip_chords, spans=tuple(spans))
