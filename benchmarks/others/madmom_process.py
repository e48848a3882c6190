"""Runs under the Python that has madmom (3.9 at most) and knows nothing of this package.

Reads paths of WAV files from its input, a line each, and prints a line of JSON for each: `tempo`, its
`strength`, `beats` (pairs of seconds and place in the bar), `key`, `key_probability`, `chords` (start, end,
label) and `seconds`, the time of one core that it took. Prints `ready` when its networks are loaded.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def _load() -> dict[str, Any]:
    from madmom.features.beats import RNNBeatProcessor
    from madmom.features.chords import CNNChordFeatureProcessor, CRFChordRecognitionProcessor
    from madmom.features.downbeats import DBNDownBeatTrackingProcessor, RNNDownBeatProcessor
    from madmom.features.key import CNNKeyRecognitionProcessor
    from madmom.features.tempo import TempoEstimationProcessor

    return {
        "beat": RNNBeatProcessor(),
        "tempo": TempoEstimationProcessor(fps=100),
        "downbeat": RNNDownBeatProcessor(),
        "bars": DBNDownBeatTrackingProcessor(beats_per_bar=[2, 3, 4], fps=100),
        "key": CNNKeyRecognitionProcessor(),
        "chord features": CNNChordFeatureProcessor(),
        "chords": CRFChordRecognitionProcessor(),
    }


def _facts(path: str, parts: dict[str, Any]) -> dict[str, Any]:
    from madmom.features.key import key_prediction_to_label

    began = time.process_time()
    tempi = parts["tempo"](parts["beat"](path))
    beats = parts["bars"](parts["downbeat"](path))
    key = parts["key"](path)
    chords = parts["chords"](parts["chord features"](path))
    return {
        "tempo": float(tempi[0][0]) if len(tempi) else 0.0,
        "strength": float(tempi[0][1]) if len(tempi) else 0.0,
        "beats": [[float(second), int(place)] for second, place in beats],
        "key": key_prediction_to_label(key),
        "key_probability": float(key.max()),
        "chords": [[float(start), float(end), str(label)] for start, end, label in chords],
        "seconds": time.process_time() - began,
    }


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    parts = _load()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        try:
            page = _facts(line.strip(), parts)
        except (ValueError, IndexError, OSError) as error:
            page = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(page), file=answers, flush=True)


if __name__ == "__main__":
    main()
