"""The test signal of the timbre networks, and the script that rewrites their goldens.

    pip install librosa==0.11.0
    python -m tests.networks.timbre_goldens WHEELS_FOLDER

The goldens are what librosa 0.11 makes of the signal (rows of both log mel spectrograms), and what the two
tag networks say about librosa's spectrogram with the unrounded float32 weights of the wheel.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

GOLDENS = Path(__file__).parents[1] / "data" / "networks" / "timbre_goldens.npz"
ROWS = slice(None, None, 9)
"""Frames that are kept of each spectrogram."""


def signal() -> np.ndarray:
    """3 s at 16 kHz: plucked notes of a scale over noise bursts; float32 within ±1."""
    noise = np.random.default_rng(20).standard_normal(48000)
    time = np.arange(48000) / 16000
    sound = 0.1 * noise * np.exp(-40 * (time % 0.5))
    for i, semitone in enumerate((0, 4, 7, 12, 7, 4)):
        since = np.maximum(time - 0.5 * i, 0.0)
        for harmonic in range(1, 9):
            pitch = 220 * 2 ** (semitone / 12) * harmonic
            decay = np.exp(-3 * harmonic**0.5 * since) / harmonic
            sound += 0.15 * np.sin(2 * np.pi * pitch * since) * decay
    return sound.astype(np.float32)


def main(wheels: Path) -> None:
    import librosa
    import torch

    from llark.networks.tag import TagConvNet
    from scripts.convert_weights_timbre import convert_tag

    samples = signal()
    tag = librosa.feature.melspectrogram(y=samples, sr=16000, n_fft=512, hop_length=256, n_mels=96).T
    tag = np.log10(10000 * tag + 1)
    speech = librosa.feature.melspectrogram(
        y=samples, sr=16000, n_fft=400, hop_length=160, n_mels=80, pad_mode="reflect"
    ).T[:-1]
    speech = np.log10(np.maximum(speech, 1e-10))
    speech = (np.maximum(speech, speech.max() - 8) + 4) / 4
    goldens = {"tag_mel": tag[ROWS], "speech_mel": speech[ROWS]}
    arrays = convert_tag(wheels)
    for name in ("mtt", "msd"):
        net = TagConvNet()
        own = {
            key.removeprefix(f"{name}."): torch.tensor(array.copy())
            for key, array in arrays.items()
            if key.startswith(f"{name}.")
        }
        net.load_state_dict(own, strict=False)
        with torch.inference_mode():
            features = net.eval().frames(torch.tensor(tag[None, :187]))
            goldens[f"{name}_features"] = features[0].T[ROWS].numpy()
            goldens[f"{name}_tags"] = net.tags(features)[0].numpy()
    np.savez_compressed(GOLDENS, **{key: value.astype(np.float32) for key, value in goldens.items()})
    print(GOLDENS, GOLDENS.stat().st_size, {key: value.shape for key, value in goldens.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
