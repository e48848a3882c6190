"""Changes of key over a song, from the keys of its windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from llark.records import Annotation, LocalKeys, Span


@dataclass(frozen=True)
class LocalKeysConfig:
    least_confidence: float = 0.5
    """A window's key of less confidence counts for nothing."""
    fewest_windows: int = 2
    """A key that holds for fewer windows in a row is not reported."""


def find(windows: Sequence[Annotation], config: LocalKeysConfig | None = None) -> LocalKeys:
    """Spans of the keys that hold for two windows or more; confidence is the mean over all seconds.

    A window without a clear key between two of the same key belongs to them; a single window of another key
    is in no span.
    """
    config = config or LocalKeysConfig()
    if not windows:
        return LocalKeys()
    heard = [_bridged(windows, i, config) for i in range(len(windows))]
    spans, at = [], 0
    for key, group in groupby(heard):
        inside = windows[at : at + len(list(group))]
        at += len(inside)
        if key is None or sum(window.key.name == key for window in inside) < config.fewest_windows:
            continue
        seconds = [window.end_seconds - window.start_seconds for window in inside]
        sure = sum(w.key.confidence * s for w, s in zip(inside, seconds, strict=True) if w.key.name == key)
        spans.append(
            Span(inside[0].start_seconds, inside[-1].end_seconds, key, round(sure / sum(seconds), 3))
        )
    covered = sum((span.end_seconds - span.start_seconds) * span.confidence for span in spans)
    whole = windows[-1].end_seconds - windows[0].start_seconds
    return LocalKeys(tuple(spans), round(covered / max(whole, 1e-9), 3), windows[0].key.source)


def _bridged(windows: Sequence[Annotation], i: int, config: LocalKeysConfig) -> str | None:
    """The clear key of a window; of one without, that of its neighbours if they agree."""
    name = _clear(windows[i], config)
    if name is not None or not 0 < i < len(windows) - 1:
        return name
    before, after = _clear(windows[i - 1], config), _clear(windows[i + 1], config)
    return before if before == after else None


def _clear(window: Annotation, config: LocalKeysConfig) -> str | None:
    return window.key.name if window.key.confidence >= config.least_confidence else None
