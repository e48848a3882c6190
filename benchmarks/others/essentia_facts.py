"""essentia (AGPL-3.0-or-later): tempo, beats, key and chords.

Bogdanov et al., 2013. Its algorithms with the settings they come with: RhythmExtractor2013 (multifeature),
KeyExtractor, and ChordsDetection on its HPCP. It has no estimator of downbeats or meter. Written for
2.1b6.dev1389.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from llark import audio
from llark.music.names import key_name
from llark.records import Annotation, Beats, Chords, ChordSpan, Key, Tempo
from others import chord_label

RATE = 44_100
FRAME_SAMPLES, HOP_SAMPLES = 8192, 2048
SOURCE = "essentia"
MOST_RHYTHM_CONFIDENCE = 5.32
"""RhythmExtractor2013's confidence goes from 0 to this."""


def ready() -> None:
    """Raises `ImportError` where the extra `essentia` is not installed."""
    import essentia.standard  # noqa: F401


def annotate(samples: np.ndarray, sample_rate: int, clip_id: str) -> Annotation:
    """Tempo, beats, key and chords of mono samples [samples]."""
    import essentia
    import essentia.standard as algorithms

    essentia.log.infoActive = False
    essentia.log.warningActive = False
    heard = audio.resample(samples, sample_rate, RATE)
    seconds = len(samples) / sample_rate
    bpm, ticks, confidence, _, _ = algorithms.RhythmExtractor2013(method="multifeature")(heard)
    tonic, mode, strength = algorithms.KeyExtractor(sampleRate=RATE)(heard)
    sure = min(1.0, float(confidence) / MOST_RHYTHM_CONFIDENCE)
    return Annotation(
        clip_id,
        0.0,
        seconds,
        tempo=Tempo(round(float(bpm), 2), sure, SOURCE) if bpm > 0 else Tempo(),
        beats=Beats(tuple(round(float(t), 3) for t in ticks), (), sure, SOURCE) if len(ticks) else Beats(),
        key=Key(key_name(f"{tonic} {mode}"), min(1.0, max(0.0, float(strength))), SOURCE),
        chords=_chords(algorithms, heard, seconds),
    )


def _chords(algorithms: Any, heard: np.ndarray, seconds: float) -> Chords:
    window = algorithms.Windowing(type="blackmanharris62")
    spectrum, peaks = (
        algorithms.Spectrum(),
        algorithms.SpectralPeaks(
            orderBy="magnitude", magnitudeThreshold=1e-5, minFrequency=20, maxFrequency=3500, maxPeaks=60
        ),
    )
    profile = algorithms.HPCP(size=36, referenceFrequency=440, harmonics=8)
    frames = [
        profile(*peaks(spectrum(window(frame))))
        for frame in algorithms.FrameGenerator(
            heard, frameSize=FRAME_SAMPLES, hopSize=HOP_SAMPLES, startFromZero=True
        )
    ]
    if len(frames) < 2:
        return Chords()
    labels, _ = algorithms.ChordsDetection(hopSize=HOP_SAMPLES, sampleRate=RATE)(np.array(frames, np.float32))
    return as_chords(labels, HOP_SAMPLES / RATE, seconds)


def as_chords(labels: list[str], step_seconds: float, seconds: float) -> Chords:
    """A label a frame (`A`, `C#m`) → spans that end with the clip."""
    spans: list[ChordSpan] = []
    for number, text in enumerate(labels):
        start = number * step_seconds
        if start >= seconds:
            break
        label = chord_label(text.removesuffix("m"), "min" if text.endswith("m") else "maj")
        if spans and spans[-1].label == label:
            continue
        if spans:
            spans[-1] = ChordSpan(spans[-1].start_seconds, start, spans[-1].label)
        spans.append(ChordSpan(start, seconds, label))
    return Chords(tuple(spans), 1.0, SOURCE) if spans else Chords()
