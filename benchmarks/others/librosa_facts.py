"""librosa (ISC): tempo and beats. It has no estimator of downbeats, meter, key or chords.

McFee et al., 2015; the beat tracker is that of Ellis, 2007. Written for librosa 0.11.
"""

from __future__ import annotations

import numpy as np

from llark import audio
from llark.records import Annotation, Beats, Tempo

RATE = 22_050
SOURCE = "librosa"


def ready() -> None:
    """Raises `ImportError` where the extra `librosa` is not installed."""
    import librosa  # noqa: F401


def annotate(samples: np.ndarray, sample_rate: int, clip_id: str) -> Annotation:
    """Tempo and beats of mono samples [samples]. librosa says nothing of how sure it is: confidence 1."""
    from librosa.beat import beat_track

    heard = audio.resample(samples, sample_rate, RATE)
    tempo, beats = beat_track(y=heard, sr=RATE, units="time")
    bpm = float(np.atleast_1d(tempo)[0])
    found = Annotation(clip_id, 0.0, len(samples) / sample_rate)
    if bpm <= 0 or not len(beats):
        return found
    times = tuple(round(float(time), 3) for time in beats)
    return Annotation(
        **{
            **found.__dict__,
            "tempo": Tempo(round(bpm, 2), 1.0, SOURCE),
            "beats": Beats(times, (), 1.0, SOURCE),
        }
    )
