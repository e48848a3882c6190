"""Key: the likeliest of the 24, as the harmony nets hear it over the whole clip.

They know no key, too: of noise, drums alone and single tones they say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from llark.records import KEYS, Key

SOURCE = "harmony"


class KeyEvidence(Protocol):
    """What `nets.harmony.HarmonyOutput` offers: [25], the probability of each of `KEYS`, and of none."""

    @property
    def key(self) -> np.ndarray: ...


@dataclass(frozen=True)
class KeyConfig:
    least_confidence: float = 0.3
    """Keys of less confidence are not reported."""


def find(heard: KeyEvidence, config: KeyConfig | None = None) -> Key:
    """The likeliest key, with its probability; unknown where none is likelier, or none of them is likely."""
    config = config or KeyConfig()
    best = int(np.argmax(heard.key))
    confidence = float(heard.key[best])
    if best == len(KEYS) or confidence < config.least_confidence:
        return Key(source=SOURCE)
    return Key(KEYS[best], confidence, SOURCE)
