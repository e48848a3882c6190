"""Meter: the likeliest of 2/4, 3/4, 4/4 and 6/8, by the rhythm nets, over the whole clip."""

from __future__ import annotations

import numpy as np

from llark.networks.rhythm import RhythmOutput
from llark.records import METER_NAMES, Meter

SOURCE = "pulse"
"""The rhythm nets, under the name that stored annotations give them."""
METERS = tuple(METER_NAMES)


LEAST_CONFIDENCE = 0.4
"""Meters of less confidence are not reported."""


def find(output: RhythmOutput, certainty: float = 1.0) -> Meter:
    """The likeliest meter; its confidence is its probability times `certainty`, that there are beats."""
    best = int(np.argmax(output.meter))
    confidence = float(output.meter[best]) * certainty
    if confidence < LEAST_CONFIDENCE:
        return Meter(source=SOURCE)
    return Meter(METERS[best], round(confidence, 4), SOURCE)


def beats_per_bar(output: RhythmOutput) -> int:
    """Beats in a bar of the likeliest meter: two in 6/8, whose beats are dotted quarters."""
    likeliest = METERS[int(np.argmax(output.meter))]
    return 2 if likeliest == 6 else likeliest
