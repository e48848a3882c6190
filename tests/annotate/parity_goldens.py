"""What the authors' own code says with the weights rounded as ours are: the ports differ by nothing else.

    python -m tests.annotate.parity_goldens FOLDER_WITH_THE_UNPACKED_WHEELS

rewrites `tests/data/annotate/parity_goldens.npz`. It needs what `rhythm_harmony_goldens.py` needs,
whose goldens are of the weights as they were published. Only numbers are kept.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import numpy as np

GOLDENS = Path(__file__).parents[1] / "data" / "annotate" / "parity_goldens.npz"
FRAMES = 60
CQT_BINS = slice(18, 270)
"""Of the bins of the original constant-Q transform those that its net reads."""


def main(folder: Path) -> None:
    import torch

    from tests.networks import rhythm_harmony_goldens as reference

    load = torch.load

    def rounded(*args: object, **options: object) -> object:
        return _half(load(*args, **options))

    samples = reference.music()
    loud = reference.at_rms(samples, 0.1)
    features = reference.reference_log_filterbank(loud)[:FRAMES]
    magnitudes = reference.reference_constant_q(samples)[0][:FRAMES]
    with mock.patch.object(torch, "load", rounded):
        whole = reference.reference_beats(folder, loud)
        with mock.patch.object(reference, "reference_log_filterbank", return_value=features):
            beats = reference.reference_beats(folder, loud)
        triad, bass, seventh = reference.reference_chords(folder, magnitudes)[:3]
    np.savez_compressed(
        GOLDENS, beat_features=features, beats=beats, beats_of_music=whole, cqt=magnitudes[:, CQT_BINS],
        triad=triad, bass=bass, seventh=seventh,
    )  # fmt: skip
    print(GOLDENS, GOLDENS.stat().st_size)


def _half(state: object) -> object:
    """Every tensor of floats in half precision and back."""
    if isinstance(state, dict):
        return {name: _half(value) for name, value in state.items()}
    return state.half().float() if getattr(state, "is_floating_point", lambda: False)() else state  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
