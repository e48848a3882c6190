"""The first layers of a speech-recognition encoder: events, timbre and voices at 50 frames a second.

Whisper-base (Radford et al. 2022, https://arxiv.org/abs/2212.04356) up to layer 3 of 6: its middle layer
tells instruments apart better than its last one, at half the price.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from llark.networks import load_weights
from llark.networks.mels import SPEECH_BANDS, speech_mel

WIDTH = 512
LAYERS = 3
HEADS = 8
FRAMES_PER_SECOND = 50
LONGEST_MEL = 3000
"""Mel frames (30 s) that the position table covers; longer input is cut into equal stretches."""


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each normalised before and added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention_in = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed_in = nn.Linear(width, 4 * width)
        self.feed_out = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, frames, width] → the same shape."""
        batch, frames, width = x.shape
        mixed = self.attention_in(self.attention_norm(x))
        split = mixed.view(batch, frames, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(split[0], split[1], split[2])
        x = self.attention_out(attended.transpose(1, 2).reshape(batch, frames, width)).add_(x)
        return self.feed_out(functional.gelu(self.feed_in(self.feed_norm(x)))).add_(x)


class SpeechEncoder(nn.Module):
    """Two convolutions, positions, and the first layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv1d(SPEECH_BANDS, WIDTH, 3, padding=1)
        self.conv_down = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.positions = nn.Buffer(torch.zeros(LONGEST_MEL // 2, WIDTH))
        self.layers = nn.ModuleList(EncoderLayer(WIDTH, HEADS) for _ in range(LAYERS))

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """[batch, at most 3000 mel frames, 80] → [batch, ceil(mel frames / 2), 512]."""
        x = functional.gelu(self.conv_in(mel.transpose(1, 2)))
        x = functional.gelu(self.conv_down(x)).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return x


@dataclass(frozen=True)
class SpeechNet:
    """The speech network. Its input is never padded to 30 s; longer input is cut into equal stretches."""

    encoder: SpeechEncoder

    @classmethod
    def load(cls) -> SpeechNet:
        """The network with the weights of this package, ready to listen."""
        return cls(load_weights(SpeechEncoder(), "speech"))

    def __call__(self, samples_16000: np.ndarray) -> np.ndarray:
        """Mono samples at 16 kHz → [about samples / 320 frames, 512] float32 at 50 Hz."""
        return self.encode(speech_mel(samples_16000))

    @torch.inference_mode()
    def encode(self, mel: torch.Tensor) -> np.ndarray:
        """A log mel spectrogram of any length, from `mels.speech_mel` → [ceil(mel frames / 2), 512]."""
        stretches = math.ceil(len(mel) / LONGEST_MEL)
        length = 2 * math.ceil(len(mel) / stretches / 2)
        outputs = [self.encoder(mel[at : at + length][None])[0] for at in range(0, len(mel), length)]
        return torch.cat(outputs).numpy()
