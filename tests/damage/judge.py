"""Says whether what became of a file is one of the things that may."""

from __future__ import annotations

import numpy as np

from tests.damage.make import Case


def share_right(heard: np.ndarray, truth: np.ndarray, rate: int) -> float:
    """Of the tenths of seconds that both have: how many are the same, up to the noise of a lossy codec."""
    block, right = max(1, rate // 10), []
    for start in range(0, min(len(heard), len(truth)), block):
        there, here = truth[start : start + block], heard[start : start + block]
        size = min(len(there), len(here))
        error = float(np.sqrt(np.mean((there[:size] - here[:size]) ** 2)))
        right.append(error <= 0.3 * float(np.sqrt(np.mean(there[:size] ** 2))) + 2e-3)
    return float(np.mean(right)) if right else 0.0


def complaint(case: Case, heard: np.ndarray | None, rate: int, reason: str | None) -> str | None:
    """What is wrong with the samples heard, or with the reason of a drop; `None` where all is right."""
    if reason is not None:
        allowed = sorted(case.reasons) or "none: it should be read"
        return None if reason in case.reasons else f"dropped as {reason}; right would be {allowed}"
    assert heard is not None
    if case.samples is None:
        return f"{len(heard) / rate:.2f} s were heard; it should be dropped as {sorted(case.reasons)}"
    if rate != case.rate:
        return f"the rate is {rate}, not {case.rate}"
    seconds = len(case.samples) / case.rate if case.seconds is None else case.seconds
    if abs(len(heard) / rate - seconds) > case.within:
        return f"{len(heard) / rate:.3f} s were heard, not {seconds:.3f} ± {case.within:.3f}"
    right = share_right(heard[max(0, case.delay) :], case.samples[max(0, -case.delay) :], rate)
    return None if right >= case.likeness else f"{right:.0%} of it is right, not {case.likeness:.0%}"
