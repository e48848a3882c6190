"""Key: the likeliest of the 24, by the harmony nets, over the whole clip.

They know no key, too: of noise, drums alone and single tones they say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from llark.networks.harmony import HarmonyOutput
from llark.records import KEYS, Annotation, Key, LocalKeys, Span

SOURCE = "harmony"


LEAST_CONFIDENCE = 0.3
"""Keys of less confidence are not reported."""


def find(output: HarmonyOutput) -> Key:
    """The likeliest key, with its probability; unknown where none is likelier, or none of them is likely."""
    best = int(np.argmax(output.key))
    confidence = float(output.key[best])
    if best == len(KEYS) or confidence < LEAST_CONFIDENCE:
        return Key(source=SOURCE)
    return Key(KEYS[best], confidence, SOURCE)


# --- changes of key over a song ---------------------------------------------------------------------------


LOCAL_CHANGE_ODDS = 12.0
"""A change of key must make the networks' outputs so many times likelier."""
LOCAL_LEAST_PROBABILITY = 0.001
"""No key of a window is less likely: one window alone does not settle a song's course."""
LOCAL_LEAST_CONFIDENCE = 0.5
"""A key of less confidence over its span is not reported."""
LOCAL_FEWEST_WINDOWS = 2
"""A key that holds for fewer windows in a row is not reported."""


def find_course(windows: Sequence[Annotation], probabilities: Sequence[np.ndarray]) -> LocalKeys:
    """The likeliest course of keys: a span for each that holds for two windows or more.

    `probabilities` has for each window [25]: of each of `KEYS`, and of none. Where a window has neither
    key nor chords nothing is taken from it. A span's confidence is the mean probability of its key over its
    seconds; that of all is the mean over all seconds, 0 where no key is reported.
    """
    if not windows:
        return LocalKeys()
    known = np.array([bool(w.key.name or w.chords.spans) for w in windows])
    likely = np.array([np.asarray(one, float)[: len(KEYS)] for one in probabilities]) * known[:, None]
    course = _course(np.where(known[:, None], np.maximum(likely, LOCAL_LEAST_PROBABILITY), 1.0))
    spans = []
    edges: list[int] = np.flatnonzero(np.diff(course, prepend=-1, append=-1)).tolist()
    for first, last in pairwise(edges):
        inside = range(first, last)
        seconds = np.array([windows[i].end_seconds - windows[i].start_seconds for i in inside])
        sure = float((likely[first:last, course[first]] * seconds).sum() / seconds.sum())
        if known[first:last].sum() >= LOCAL_FEWEST_WINDOWS and sure >= LOCAL_LEAST_CONFIDENCE:
            begin, end = windows[first].start_seconds, windows[last - 1].end_seconds
            spans.append(Span(begin, end, KEYS[course[first]], round(sure, 3)))
    covered = sum((span.end_seconds - span.start_seconds) * span.confidence for span in spans)
    whole = windows[-1].end_seconds - windows[0].start_seconds
    return LocalKeys(tuple(spans), round(covered / max(whole, 1e-9), 3), windows[0].key.source)


def _course(likely: np.ndarray) -> np.ndarray:
    """[windows, keys] likelihoods → [windows]: the key of each on the likeliest way through them."""
    logs = np.log(likely)
    best, came_from = logs[0], []
    for row in logs[1:]:
        changed = int(best.argmax())
        stays = best >= best[changed] - np.log(LOCAL_CHANGE_ODDS)
        came_from.append(np.where(stays, np.arange(len(best)), changed))
        best = np.where(stays, best, best[changed] - np.log(LOCAL_CHANGE_ODDS)) + row
    way = [int(best.argmax())]
    for back in reversed(came_from):
        way.append(int(back[way[-1]]))
    return np.array(way[::-1])
