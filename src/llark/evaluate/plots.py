"""Pictures of a report, as SVG that stands in an HTML page. Colours are classes of `page.css`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from llark.evaluate.outcome import ScoreRow
from llark.records import KEYS, PITCH_CLASSES

FIFTHS = tuple(PITCH_CLASSES[7 * step % 12] for step in range(12))
"""C G D A E B F# C# Ab Eb Bb F."""

FIFTHS_LEGEND = (
    "outer ring: in the right mode; inner: in the other,",
    "the relative key at 0. Yellow: scored in part.",
)
NO_ANSWER = "no answer"
SAID = {"right": "rightly named", "missed": "missed", "wrong": "wrongly named"}
MOST_SETS = 40
SLOW_BPM, FAST_BPM = 40.0, 260.0
OCTAVES = ((1.0, "1"), (2.0, "2"), (0.5, "½"), (3.0, "3"), (1 / 3, "⅓"))


def svg(width: float, height: float, inside: Iterable[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(inside)}</svg>"
    )


def text(x: float, y: float, said: object, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(str(said))}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def conditions(rows: Sequence[ScoreRow]) -> str:
    """The headline under every condition: a dot with its 95 % interval, from 0 to 1."""
    left, right, step, top = 98, 374, 22, 8
    inside = [line(_x(tick, left, right), top, _x(tick, left, right), top + step * len(rows), "grid")
              for tick in (0, 0.25, 0.5, 0.75, 1)]  # fmt: skip
    for place, row in enumerate(rows):
        y = top + step * (place + 0.5)
        kind = "own" if row.condition == "audio" else "facts" if "facts" in row.condition else "control"
        low, high = _x(row.low, left, right), _x(row.high, left, right)
        inside += [
            text(left - 8, y + 4, row.condition, "axis", "end"),
            line(low, y, high, y, f"bar {kind}"),
            f'<circle cx="{_x(row.value, left, right):.1f}" cy="{y:.1f}" r="5" class="dot {kind}">'
            f"<title>{row.value:.3f} [{row.low:.3f}, {row.high:.3f}], n = {row.n}</title></circle>",
            text(right + 8, y + 4, f"{row.value:.2f}", "value"),
        ]
    base = top + step * len(rows) + 14
    inside += [text(_x(tick, left, right), base, f"{tick:g}", "axis", "middle") for tick in (0, 0.5, 1)]
    return svg(422, base + 6, inside, "score by condition, with 95 % intervals")


def _x(value: float, left: float, right: float) -> float:
    return left + (right - left) * min(1.0, max(0.0, value))


def fifths(pairs: Sequence[tuple[str | None, str]]) -> str:
    """Where answers fall on the circle of fifths, the right key at the top.

    Outer ring: answers in the right mode; inner ring: in the other one, the relative key at the top.
    """
    counts: Counter[tuple[int, bool, str]] = Counter()
    for answer, truth in pairs:
        if answer is not None:
            counts[(*fifths_apart(answer, truth), _kind(answer, truth))] += 1
    answered = sum(counts.values())
    middle = 150.0
    inside = [f'<circle cx="{middle}" cy="{middle}" r="{radius}" class="ring"/>' for radius in (110, 62)]
    for (steps, same_mode, kind), count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        x, y = _on_circle(middle, 110 if same_mode else 62, steps)
        size = 3 + 34 * math.sqrt(count / answered)
        said = f"{count} of {answered}: {steps:+d} fifths, {'same' if same_mode else 'other'} mode"
        inside.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size / 2:.1f}" class="bubble {kind}">'
            f"<title>{said}</title></circle>"
        )
    for steps in range(-5, 7):
        x, y = _on_circle(middle, 138, steps)
        inside.append(text(x, y + 4, f"{steps:+d}".replace("-", "−") if steps else "0", "axis", "middle"))
    inside.append(text(middle, middle - 2, f"{answered} answers", "axis", "middle"))
    inside.append(text(middle, middle + 12, f"{len(pairs) - answered} without", "axis", "middle"))
    for place, said in enumerate(FIFTHS_LEGEND):
        inside.append(text(middle, 310 + 14 * place, said, "axis", "middle"))
    return svg(300, 332, inside, "answers on the circle of fifths, relative to the right key")


def _on_circle(middle: float, radius: float, steps: int) -> tuple[float, float]:
    """So many fifths clockwise from the top."""
    angle = 2 * math.pi * steps / 12
    return middle + radius * math.sin(angle), middle - radius * math.cos(angle)


def fifths_apart(answer: str, truth: str) -> tuple[int, bool]:
    """(fifths from truth to answer, −5 to 6; whether the modes are the same).

    Of another mode the relative key is 0: what counts is the key signature.
    """
    signatures = [_signature(key) for key in (answer, truth)]
    steps = (signatures[0] - signatures[1] + 5) % 12 - 5
    return steps, answer.split()[1] == truth.split()[1]


def _signature(key: str) -> int:
    """Fifths above C of the major key with the same signs."""
    tonic, mode = key.split()
    return (FIFTHS.index(tonic) - (3 if mode == "minor" else 0)) % 12


def _kind(answer: str, truth: str) -> str:
    """`right`, `near` where MIREX gives a part (a fifth above, relative or parallel), or `wrong`."""
    if answer == truth:
        return "right"
    steps, same_mode = fifths_apart(answer, truth)
    parallel = answer.split()[0] == truth.split()[0]
    return "near" if (same_mode and steps == 1) or (not same_mode and steps == 0) or parallel else "wrong"


KEY_ORDER = tuple(f"{tonic} major" for tonic in FIFTHS) + tuple(
    f"{PITCH_CLASSES[(PITCH_CLASSES.index(tonic) + 9) % 12]} minor" for tonic in FIFTHS
)
"""The 24 keys by the circle of fifths, the minor keys under their relative major."""

assert set(KEY_ORDER) == set(KEYS)


def tempo(pairs: Sequence[tuple[float | None, float]]) -> str:
    """Answered against true tempo, both logarithmic, with lines for 1, 2, ½, 3 and ⅓ times the truth."""
    left, top, side = 44.0, 10.0, 320.0

    def at(bpm: float) -> float:
        share = math.log(bpm / SLOW_BPM) / math.log(FAST_BPM / SLOW_BPM)
        return side * min(1.0, max(0.0, share))

    inside = [f'<rect x="{left}" y="{top}" width="{side}" height="{side}" class="frame"/>']
    for factor, name in OCTAVES:
        low, high = max(SLOW_BPM, SLOW_BPM / factor), min(FAST_BPM, FAST_BPM / factor)
        ends = [(left + at(bpm), top + side - at(bpm * factor)) for bpm in (low, high)]
        inside.append(line(*ends[0], *ends[1], "octave main" if factor == 1 else "octave"))
        inside.append(text(ends[1][0] - 4, ends[1][1] + 12, f"×{name}", "axis", "end"))
    for bpm in (50, 75, 100, 150, 200):
        inside += [
            text(left + at(bpm), top + side + 14, bpm, "axis", "middle"),
            text(left - 6, top + side - at(bpm) + 4, bpm, "axis", "end"),
        ]
    for answer, truth in pairs:
        if answer is not None:
            kind = (
                "right"
                if abs(answer - truth) <= 0.04 * truth
                else "near"
                if _octave(answer, truth)
                else "wrong"
            )
            inside.append(
                f'<circle cx="{left + at(truth):.1f}" cy="{top + side - at(answer):.1f}" r="3.2" '
                f'class="point {kind}"><title>{answer:g} for {truth:g} BPM</title></circle>'
            )
    without = sum(answer is None for answer, _ in pairs)
    inside += [
        text(left + side / 2, top + side + 30, "true tempo, BPM", "axis", "middle"),
        text(left + 6, top + 14, "answer, BPM", "axis"),
        text(left + side / 2, top + side + 48, f"{len(pairs) - without} answers, {without} without. "
             "Green: within 4 %; yellow: at an octave", "axis", "middle"),
    ]  # fmt: skip
    return svg(left + side + 16, top + side + 56, inside, "answered against true tempo, with octave lines")


def _octave(answer: float, truth: float) -> bool:
    return any(abs(answer - factor * truth) <= 0.04 * factor * truth for factor, _ in OCTAVES)


def matrix(pairs: Sequence[tuple[str, str]], names: Sequence[str], label: str) -> str:
    """How often each truth (rows) was answered as each value (columns), rows in shares of their sum."""
    columns = [*names, *sorted({answer for answer, _ in pairs} - set(names))]
    counts = Counter(pairs)
    side = 22 if len(columns) <= 16 else 14
    left, top = 112.0, 92.0
    inside = []
    for row, truth in enumerate(names):
        whole = sum(counts[answer, truth] for answer in columns)
        y = top + side * row
        inside.append(text(left - 6, y + side * 0.7, f"{truth} ({whole})", "axis", "end"))
        for column, answer in enumerate(columns):
            count = counts[answer, truth]
            share = count / whole if whole else 0.0
            kind = "hit" if answer == truth else "miss"
            inside.append(
                f'<rect x="{left + side * column:.1f}" y="{y:.1f}" width="{side - 1}" height="{side - 1}" '
                f'class="cell {kind}" fill-opacity="{0.04 + 0.96 * share:.2f}">'
                f"<title>{escape(truth)} answered as {escape(answer)}: {count} of {whole}</title></rect>"
            )
            if count and side > 16:
                kind = "count on" if share > 0.5 else "count"
                inside.append(text(left + side * (column + 0.47), y + side * 0.66, count, kind, "middle"))
    for column, answer in enumerate(columns):
        x, y = left + side * (column + 0.7), top - 6
        inside.append(
            f'<text class="axis" transform="translate({x:.1f} {y:.1f}) rotate(-52)">{escape(answer)}</text>'
        )
    width, height = left + side * len(columns) + 52, top + side * len(names) + 8
    return svg(width, height, inside, f"{label}: truth in rows, answers in columns")


def sets(pairs: Sequence[tuple[Iterable[str] | None, Iterable[str]]]) -> str:
    """For each label, the commonest ones, how often it was rightly named, missed, and wrongly named."""
    right: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for answer, truth in pairs:
        named, there = set(answer or ()), set(truth)
        right.update(named & there)
        missed.update(there - named)
        wrong.update(named - there)
    names = sorted({*right, *missed, *wrong}, key=lambda name: (-(right[name] + missed[name]), name))[
        :MOST_SETS
    ]
    longest = max((right[n] + missed[n] + wrong[n] for n in names), default=1)
    left, step, wide = 120.0, 19.0, 330.0
    inside = []
    for place, name in enumerate(names):
        x, y = left, 6 + step * place
        inside.append(text(left - 6, y + 11, name, "axis", "end"))
        for kind, counts in (("right", right), ("missed", missed), ("wrong", wrong)):
            width = wide * counts[name] / longest
            inside.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{step - 5}" class="stack {kind}">'
                f"<title>{escape(name)}: {counts[name]} {kind}</title></rect>"
            )
            x += width
    y, x = 18 + step * len(names), left
    for kind, said in SAID.items():
        inside.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" class="stack {kind}"/>')
        inside.append(text(x + 14, y, said, "axis"))
        x += 110
    return svg(left + wide + 20, y + 8, inside, "labels rightly named, missed, wrongly named")


@dataclass(frozen=True)
class Bin:
    """Facts of about the same confidence: how sure they are on average, and how often they are right."""

    confidence: float
    right: float
    n: int


def bins(sure: Sequence[tuple[float, float]], most: int = 8) -> list[Bin]:
    """(confidence, right) pairs in at most so many groups of equal size."""
    if not sure:
        return []
    ordered = np.asarray(sorted(sure), dtype=float)
    groups = np.array_split(ordered, min(most, max(1, len(ordered) // 5)))
    return [Bin(float(group[:, 0].mean()), float(group[:, 1].mean()), len(group)) for group in groups]


def calibration(found: Mapping[str, Sequence[Bin]]) -> str:
    """How often measured facts are right, against how sure they are."""
    left, top, side = 44.0, 10.0, 260.0
    inside = [
        f'<rect x="{left}" y="{top}" width="{side}" height="{side}" class="frame"/>',
        line(left, top + side, left + side, top, "octave main"),
    ]
    for number, (name, points) in enumerate(found.items()):
        places = [(left + side * b.confidence, top + side * (1 - b.right), b) for b in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
        inside.append(f'<polyline points="{path}" class="curve c{number}"/>')
        inside += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 + math.sqrt(b.n) / 2:.1f}" class="knot c{number}">'
            f"<title>{escape(name)}: sure {b.confidence:.2f}, right {b.right:.2f}, n = {b.n}</title></circle>"
            for x, y, b in places
        ]
        inside.append(text(left + side + 12, top + 16 + 18 * number, name, f"key c{number}"))
    for tick in (0, 0.5, 1):
        inside += [
            text(left + side * tick, top + side + 14, f"{tick:g}", "axis", "middle"),
            text(left - 6, top + side * (1 - tick) + 4, f"{tick:g}", "axis", "end"),
        ]
    inside.append(text(left + side / 2, top + side + 30, "confidence of the measured fact", "axis", "middle"))
    inside.append(text(left + 6, top + 14, "share right", "axis"))
    return svg(left + side + 120, top + side + 38, inside, "calibration of the measured facts")


def beside(own: float | None, others: Sequence[tuple[str, float]]) -> str:
    """Printed scores of others as bars, the best first, and a line where ours is."""
    left, wide, step = 330.0, 260.0, 18.0
    inside = []
    if own is not None:
        x, low = left + wide * own, 6 + step * len(others)
        inside += [line(x, 2, x, low, "ours"), text(x, low + 12, f"here {own:.3f}", "axis", "middle")]
    for place, (name, value) in enumerate(others):
        y = 6 + step * place
        width = wide * min(1.0, max(0.0, value))
        inside += [
            text(left - 6, y + 11, name, "axis", "end"),
            f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{step - 5}" class="stack others"/>',
            text(left + width + 5, y + 11, f"{value:.3f}", "value"),
        ]
    return svg(left + wide + 60, 24 + step * len(others), inside, "printed scores of others, and ours")


def wave(samples: np.ndarray, width: int = 320, height: int = 44) -> str:
    """The envelope of [samples], scaled to its loudest."""
    samples = samples / max(1e-6, float(np.abs(samples).max(initial=0.0)))
    edges = np.linspace(0, len(samples), width + 1).astype(int)
    parts = [samples[a:b] for a, b in pairwise(edges) if b > a]
    middle = height / 2
    path = " ".join(
        f"M{x} {middle - middle * float(part.max()):.1f}V{middle - middle * float(part.min()) + 0.5:.1f}"
        for x, part in enumerate(parts)
    )
    return svg(width, height, [f'<path d="{path}" class="wave"/>'], "waveform")


def of(task: str, answers: Sequence[tuple[Any, Any]]) -> list[str]:
    """The pictures for a task's (reading, truth) pairs, by the kind of its truths."""
    if not answers:
        return []
    truths = [truth for _, truth in answers]
    if task == "key":
        named = [(answer or NO_ANSWER, truth) for answer, truth in answers]
        return [fifths(answers), matrix(named, KEY_ORDER, "key")]
    if task == "tempo":
        return [tempo(answers)]
    if all(isinstance(truth, frozenset) for truth in truths):
        return [sets(answers)]
    if hasattr(truths[0], "texts"):
        letters = [
            ("ABCDEFGHIJ"[a] if a is not None else NO_ANSWER, "ABCDEFGHIJ"[t.right]) for a, t in answers
        ]
        return [matrix(letters, sorted({truth for _, truth in letters}), "letter of the right option")]
    if all(isinstance(truth, str | int) for truth in truths) or task == "genre":
        return [matrix(*_labelled(answers), task)]
    return []


def _labelled(answers: Sequence[tuple[Any, Any]]) -> tuple[list[tuple[str, str]], list[str]]:
    """(answer, truth) in words; of several right styles the one that was answered, else the first."""

    def right(answer: Any, truth: Any) -> str:
        if isinstance(truth, tuple):
            return str(answer if answer in truth else truth[0])
        return str(truth)

    pairs = [(NO_ANSWER if a is None else str(a), right(a, truth)) for a, truth in answers]
    return pairs, sorted({truth for _, truth in pairs}, key=lambda name: (len(name) < 3, name))
