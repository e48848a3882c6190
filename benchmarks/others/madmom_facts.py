"""madmom (code BSD-2-Clause, weights CC-BY-NC-SA-4.0): tempo, beats, meter, key and chords.

Böck et al., 2016; the annotator of the LLark paper. Its last release, 0.16.1, runs on Python 3.9 at most, so
it runs in a process of its own: the environment variable LLARK_MADMOM_PYTHON names an interpreter that has
it. It counts bars of 2, 3 and 4 beats, and so cannot tell 6/8 from 2/4.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from llark import audio
from llark.errors import BadAudio
from llark.music.names import key_name
from llark.records import Annotation, Beats, Chords, ChordSpan, Key, Meter, Tempo
from others import chord_label

RATE = 44_100
SOURCE = "madmom"
PYTHON = "LLARK_MADMOM_PYTHON"
CHILD = Path(__file__).with_name("madmom_process.py")


def ready() -> None:
    """Starts the process. Raises `ImportError` where the interpreter has no madmom."""
    _process()


def annotate(samples: np.ndarray, sample_rate: int, clip_id: str) -> Annotation:
    """Tempo, beats, meter, key and chords of mono samples [samples].

    Raises `BadAudio` where madmom refuses them.
    """
    page = ask(samples, sample_rate)
    return as_annotation(page, clip_id, len(samples) / sample_rate)


def ask(samples: np.ndarray, sample_rate: int) -> dict[str, Any]:
    """What the process says of the samples, with `seconds`, the time of one core that it took."""
    child = _process()
    assert child.stdin is not None
    assert child.stdout is not None
    with tempfile.TemporaryDirectory(prefix="llark-madmom-") as folder:
        path = Path(folder) / "clip.wav"
        audio.save(path, audio.resample(samples, sample_rate, RATE), RATE)
        child.stdin.write(f"{path}\n")
        child.stdin.flush()
        line = child.stdout.readline()
    page: dict[str, Any] = json.loads(line or '{"error": "its process ended"}')
    if "error" in page:
        raise BadAudio("madmom-refused", f"madmom: {page['error']}")
    return page


def as_annotation(page: dict[str, Any], clip_id: str, seconds: float) -> Annotation:
    """The annotation of what the process said of one clip."""
    times = tuple(round(float(time), 3) for time, _ in page["beats"])
    places = tuple(int(place) for _, place in page["beats"])
    spans = tuple(
        ChordSpan(float(start), float(end), chord_label(*_split(label)))
        for start, end, label in page["chords"]
    )
    key = key_name(page["key"])
    return Annotation(
        clip_id,
        0.0,
        seconds,
        tempo=Tempo(round(page["tempo"], 2), page["strength"], SOURCE) if page["tempo"] else Tempo(),
        beats=Beats(times, places, 1.0, SOURCE) if times else Beats(),
        meter=Meter(max(places), 1.0, SOURCE) if places else Meter(),
        key=Key(key, page["key_probability"], SOURCE) if key else Key(),
        chords=Chords(spans, 1.0, SOURCE) if spans else Chords(),
    )


def _split(label: str) -> tuple[str, str]:
    root, _, quality = label.partition(":")
    return root, quality


@functools.cache
def _process() -> subprocess.Popen[str]:
    one = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    one.pop("PYTHONPATH", None)
    python = os.environ.get(PYTHON, sys.executable)
    try:
        child = subprocess.Popen(
            [python, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=one
        )
    except OSError as error:
        raise ImportError(f"{python} does not start: {error.strerror}") from error
    assert child.stdout is not None
    if child.stdout.readline().strip() != "ready":
        raise ImportError(f"{python} has no madmom")
    return child
