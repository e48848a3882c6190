"""BeatNet: where the beats and downbeats are.

Three small recurrent nets (M. Heydari, F. Cwitkowitz, Z. Duan, 2021; CC BY 4.0) that read a log-filterbank
spectrogram at 50 frames a second. Their probabilities are averaged; their memories are 450 features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from llark.networks import load_weights, spectra

NETS = 3
MEMORY = 150
WIDTH = NETS * MEMORY
FRAMES_PER_SECOND = spectra.BEAT_FRAMES_PER_SECOND
LOUDNESS_RMS = 0.1
"""Every recording is brought to this root mean square: the nets were trained on mastered music and turn deaf
where it is quiet."""
FAINTEST_RMS = 5e-4
"""What is fainter is amplified no more than this would be (-66 dB of full scale)."""
RISE_BANDS = 17
"""Groups of bands whose rises are kept apart."""
_KERNEL = 10


@dataclass(frozen=True, eq=False)
class BeatOutput:
    """What the nets say at 50 frames a second; frame *i* is centred on second `i / 50`.

    `activations` is [frames, 2]: the probability of a beat that is no downbeat, and of a downbeat.
    `hidden` is [frames, 450]. `onsets` is [frames]: the rise of log energy summed over bands, ≥ 0;
    `rises` is [frames, 17]: the same for each third of an octave.
    """

    activations: np.ndarray
    hidden: np.ndarray
    onsets: np.ndarray
    rises: np.ndarray


class _BeatLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, 2, _KERNEL)
        self.linear0 = nn.Linear(2 * ((spectra.BEAT_WIDTH - _KERNEL + 1) // 2), MEMORY)
        self.lstm = nn.LSTM(MEMORY, MEMORY, num_layers=2, batch_first=True)
        self.linear = nn.Linear(MEMORY, 3)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[frames, 272] → probabilities [frames, 3] (beat, downbeat, neither), memory [frames, 150]."""
        memory, _ = self.lstm(self.linear0(self._local(features).flatten(1))[None])
        return torch.softmax(self.linear(memory[0]), dim=1), memory[0]

    def _local(self, features: torch.Tensor) -> torch.Tensor:
        """`max_pool(relu(conv1(features)))`, [frames, 2, 131], tap by tap: so few filters, so short, are
        added up in half the time that a convolution takes."""
        pairs = (spectra.BEAT_WIDTH - _KERNEL + 1) // 2
        local = features.new_empty(len(features), 2, pairs)
        for filtered, taps, bias in zip(
            local.unbind(1),
            *(self.conv1.get_parameter(name).squeeze().tolist() for name in ("weight", "bias")),
            strict=True,
        ):
            sum_of_taps = torch.full_like(features[:, : 2 * pairs], bias)
            for place, tap in enumerate(taps):
                sum_of_taps.add_(features[:, place : place + 2 * pairs], alpha=tap)
            torch.maximum(sum_of_taps[:, ::2], sum_of_taps[:, 1::2], out=filtered)
        return local.relu_()


@dataclass(frozen=True)
class BeatNet:
    """The three nets, in float32. Build one with `BeatNet.load()`; it is never trained."""

    nets: nn.ModuleList

    @classmethod
    def load(cls) -> BeatNet:
        """The nets with the weights that come with this package."""
        return cls(load_weights(nn.ModuleList(_BeatLayers() for _ in range(NETS)), "beat"))

    @torch.inference_mode()
    def __call__(self, samples: np.ndarray) -> BeatOutput:
        """`samples` is mono float32 at 22,050 Hz, at any loudness; [n] gives ceil(n / 441) frames."""
        features = spectra.log_filterbank(_at_one_loudness(samples))
        bands = features[:, spectra.BEAT_WIDTH // 2 :]
        rises = bands.reshape(len(bands), RISE_BANDS, bands.shape[1] // RISE_BANDS).sum(axis=2)
        onsets = rises.sum(axis=1)
        if not len(features):
            nothing = np.zeros((0, 2), np.float32), np.zeros((0, WIDTH), np.float32)
            return BeatOutput(*nothing, onsets, rises)
        outputs = [net(torch.from_numpy(features)) for net in self.nets]
        probabilities = torch.stack([probability for probability, _ in outputs]).mean(dim=0)[:, :2]
        hidden = torch.cat([memory for _, memory in outputs], dim=1)
        return BeatOutput(probabilities.numpy(), hidden.numpy(), onsets, rises)


def _at_one_loudness(samples: np.ndarray) -> np.ndarray:
    if not len(samples):
        return samples.astype(np.float32)
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return samples.astype(np.float32) * np.float32(LOUDNESS_RMS / max(rms, FAINTEST_RMS))
