"""The script that rewrites the goldens of the note network.

    pip install onnxruntime==1.32.0
    python -m tests.networks.note_goldens WHEELS_FOLDER

The goldens are what the original model, in onnxruntime, says about two windows of the bundled recording and
about one of silence.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np

from llark import audio
from llark.networks import note
from llark.pipeline.ask import demo_recording

GOLDENS = Path(__file__).parents[1] / "data" / "networks" / "note_goldens.npz"
ROWS = slice(None, None, 8)
"""Frames that are kept."""

STARTS_SECONDS = (0.0, 14.0)
OUTPUTS = {
    "notes": "StatefulPartitionedCall:1",
    "onsets": "StatefulPartitionedCall:2",
    "contours": "StatefulPartitionedCall:0",
}


def windows() -> np.ndarray:
    """[3, 43844] at 22,050 Hz."""
    samples, rate = audio.load(demo_recording())
    samples = audio.resample(samples, rate, note.SAMPLE_RATE)
    starts = [round(second * note.SAMPLE_RATE) for second in STARTS_SECONDS]
    heard = [samples[start : start + note.WINDOW_SAMPLES] for start in starts]
    return np.stack([*heard, np.zeros(note.WINDOW_SAMPLES, np.float32)])


def main(wheels: Path) -> None:
    import onnxruntime

    from scripts.convert_weights_notes import MODEL, WHEEL

    with zipfile.ZipFile(wheels / WHEEL) as wheel:
        session = onnxruntime.InferenceSession(wheel.read(MODEL))
    parts = [
        session.run(list(OUTPUTS.values()), {"serving_default_input_2:0": window[None, :, None]})
        for window in windows()
    ]
    goldens = {name: np.concatenate([part[i] for part in parts])[:, ROWS] for i, name in enumerate(OUTPUTS)}
    np.savez_compressed(GOLDENS, **goldens)
    print(GOLDENS, GOLDENS.stat().st_size, {key: value.shape for key, value in goldens.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
