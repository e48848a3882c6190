"""Where beats fall in a clip: at one tempo, or swaying about it as players do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

SWAYING_SHARE = 0.15
"""Share of clips whose tempo sways."""

MOST_SWAY = 0.03
"""How far the tempo goes from its mean at most, as a share of it."""

SWAY_PERIOD_SECONDS = (4.0, 16.0)


@dataclass(frozen=True)
class Timing:
    """Beats as seconds of the clip, which begins at `start_beat`.

    The tempo is `bpm` on average; it goes up and down by the share `sway` with a period of `period_seconds`,
    `phase` (a share of the period) telling where in it the clip begins.
    """

    bpm: float
    start_beat: float
    sway: float = 0.0
    period_seconds: float = 8.0
    phase: float = 0.0

    def seconds(self, beat: float) -> float:
        """When a beat falls; before the clip it is negative."""
        even = (beat - self.start_beat) * 60 / self.bpm
        turn = 2 * math.pi
        reach = self.sway * self.period_seconds / turn
        place = turn * (even / self.period_seconds + self.phase)
        return even + reach * (math.sin(place) - math.sin(turn * self.phase))


def some_sway(rng: Random) -> tuple[float, float, float]:
    """(sway, period in seconds, phase): none for most clips."""
    if rng.random() >= SWAYING_SHARE:
        return 0.0, SWAY_PERIOD_SECONDS[0], 0.0
    return rng.uniform(0.005, MOST_SWAY), rng.uniform(*SWAY_PERIOD_SECONDS), rng.random()
