"""Pictures of the pages, as SVG that stands in the HTML. Colours are classes of `templates/style.css`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from llark.records import KEYS, PITCH_CLASSES

FIFTHS = tuple(PITCH_CLASSES[7 * step % 12] for step in range(12))
"""C G D A E B F# C# Ab Eb Bb F."""

KEY_ORDER = tuple(f"{tonic} major" for tonic in FIFTHS) + tuple(
    f"{PITCH_CLASSES[(PITCH_CLASSES.index(tonic) + 9) % 12]} minor" for tonic in FIFTHS
)
"""The 24 keys by the circle of fifths, the minor keys under their relative major."""

assert set(KEY_ORDER) == set(KEYS)

FIFTHS_LEGEND = (
    "outer ring: in the right mode; inner: in the other,",
    "the relative key at 0. Yellow: scored in part.",
)
MOST_LABELS = 40
SLOW_BPM, FAST_BPM = 40.0, 260.0
OCTAVES = ((1.0, "1"), (2.0, "2"), (0.5, "½"), (3.0, "3"), (1 / 3, "⅓"))
WAVE_COLUMNS = 300
"""Columns of a waveform."""


class Drawing:
    """The shapes of one SVG, in the order in which they are drawn. Places and sizes are in pixels; what a
    shape says is escaped."""

    def __init__(self) -> None:
        self._shapes: list[Markup] = []

    def add(self, tag: str, kind: str, inside: object = "", **attributes: float | str) -> None:
        """A shape of the class `kind`; of attributes an underscore is a hyphen."""
        rounded = [(n, round(v, 2) if isinstance(v, float) else v) for n, v in attributes.items()]
        named = [Markup(' {}="{}"').format(name.replace("_", "-"), value) for name, value in rounded]
        filled = Markup('<{0} class="{1}"{2}>{3}</{0}>')
        self._shapes.append(filled.format(tag, kind, Markup("").join(named), inside))

    def text(self, x: float, y: float, words: object, kind: str = "axis", anchor: str = "middle") -> None:
        self.add("text", kind, words, x=x, y=y, text_anchor=anchor)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self.add("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)

    def circle(self, x: float, y: float, radius: float, kind: str, title: str = "") -> None:
        self.add("circle", kind, _title(title), cx=x, cy=y, r=radius)

    def box(self, x: float, y: float, wide: float, high: float, kind: str, title: str = "") -> None:
        self.add("rect", kind, _title(title), x=x, y=y, width=wide, height=high)

    def svg(self, width: float, height: float, label: str, kind: str = "plot", fit: str = "meet") -> Markup:
        """The whole picture. `label` is what a screen reader says of it; with the fit `none` it fills any
        frame, stretched."""
        aspect = "none" if fit == "none" else f"xMidYMid {fit}"
        return Markup(
            '<svg class="{0}" viewBox="0 0 {1:g} {2:g}" width="{1:g}" preserveAspectRatio="{3}" role="img" '
            'aria-label="{4}"><title>{4}</title>{5}</svg>'
        ).format(kind, width, height, aspect, label, Markup("").join(self._shapes))


def _title(words: str) -> Markup:
    """What a shape says under the mouse."""
    return Markup("<title>{}</title>").format(words) if words else Markup("")


def fifths(pairs: Sequence[tuple[str | None, str]]) -> Markup:
    """Where (answer, truth) fall on the circle of fifths, the right key at the top.

    Outer ring: answers in the right mode; inner ring: in the other one, the relative key at the top.
    """
    answered = [(answer, truth) for answer, truth in pairs if answer is not None]
    counts = Counter((*fifths_apart(*pair), _nearness(*pair)) for pair in answered)
    middle, drawing = 150.0, Drawing()

    def on_circle(radius: float, steps: int) -> tuple[float, float]:
        """So many fifths clockwise from the top."""
        angle = 2 * math.pi * steps / 12
        return middle + radius * math.sin(angle), middle - radius * math.cos(angle)

    for ring in (110, 62):
        drawing.circle(middle, middle, ring, "ring")
    for (steps, same_mode, kind), count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        # The area of a bubble, not its width, is as its count.
        radius = 1.5 + 17 * math.sqrt(count / len(answered))
        note = f"{count} of {len(answered)}: {steps:+d} fifths, {'same' if same_mode else 'other'} mode"
        drawing.circle(*on_circle(110 if same_mode else 62, steps), radius, f"bubble {kind}", note)
    for steps in range(-5, 7):
        x, y = on_circle(138, steps)
        drawing.text(x, y + 4, f"{steps:+d}".replace("-", "−") if steps else "0")
    drawing.text(middle, middle - 2, f"{len(answered)} answers")
    drawing.text(middle, middle + 12, f"{len(pairs) - len(answered)} without")
    for place, words in enumerate(FIFTHS_LEGEND):
        drawing.text(middle, 310 + 14 * place, words)
    return drawing.svg(300, 332, "answers on the circle of fifths, relative to the right key")


def fifths_apart(answer: str, truth: str) -> tuple[int, bool]:
    """(fifths from truth to answer, −5 to 6; whether the modes are the same).

    Of another mode the relative key is 0: what counts is the key signature.
    """
    steps = (_signature(answer) - _signature(truth) + 5) % 12 - 5
    return steps, answer.split()[1] == truth.split()[1]


def _signature(key: str) -> int:
    """Fifths above C of the major key with the same signs."""
    tonic, mode = key.split()
    return (FIFTHS.index(tonic) - (3 if mode == "minor" else 0)) % 12


def _nearness(answer: str, truth: str) -> str:
    """`right`, `near` where MIREX gives a part (a fifth above, relative or parallel), or `wrong`."""
    if answer == truth:
        return "right"
    steps, same_mode = fifths_apart(answer, truth)
    parallel = answer.split()[0] == truth.split()[0]
    return "near" if (same_mode and steps == 1) or (not same_mode and steps == 0) or parallel else "wrong"


def tempo(pairs: Sequence[tuple[float | None, float]]) -> Markup:
    """Answered against true tempo, both logarithmic, with lines for 1, 2, ½, 3 and ⅓ times the truth."""
    left, top, side, drawing = 44.0, 10.0, 320.0, Drawing()

    def at(true_bpm: float, answer_bpm: float) -> tuple[float, float]:
        shares = [math.log(b / SLOW_BPM) / math.log(FAST_BPM / SLOW_BPM) for b in (true_bpm, answer_bpm)]
        x, y = (side * min(1.0, max(0.0, share)) for share in shares)
        return left + x, top + side - y

    drawing.box(left, top, side, side, "frame")
    for factor, name in OCTAVES:
        low, high = max(SLOW_BPM, SLOW_BPM / factor), min(FAST_BPM, FAST_BPM / factor)
        start, end = (at(bpm, bpm * factor) for bpm in (low, high))
        drawing.line(*start, *end, "octave main" if factor == 1 else "octave")
        drawing.text(end[0] - 4, end[1] + 12, f"×{name}", anchor="end")
    for bpm in (50, 75, 100, 150, 200):
        x, y = at(bpm, bpm)
        drawing.text(x, top + side + 14, bpm)
        drawing.text(left - 6, y + 4, bpm, anchor="end")
    answered = [(answer, truth) for answer, truth in pairs if answer is not None]
    for answer, truth in answered:
        # Within 4 % of a multiple, as Acc1 and Acc2 count.
        hits = [factor for factor, _ in OCTAVES if abs(answer - factor * truth) <= 0.04 * factor * truth]
        kind = "right" if 1.0 in hits else "near" if hits else "wrong"
        drawing.circle(*at(truth, answer), 3.2, f"point {kind}", f"{answer:g} for {truth:g} BPM")
    counted = f"{len(answered)} answers, {len(pairs) - len(answered)} without."
    drawing.text(left + side / 2, top + side + 30, "true tempo, BPM")
    drawing.text(left + 6, top + 14, "answer, BPM", anchor="start")
    drawing.text(left + side / 2, top + side + 48, f"{counted} Green: within 4 %; yellow: at an octave")
    return drawing.svg(left + side + 16, top + side + 56, "answered against true tempo, with octave lines")


def matrix(pairs: Sequence[tuple[str, str]], names: Sequence[str], label: str) -> Markup:
    """How often each truth (rows) was answered as each value (columns), rows in shares of their sum."""
    columns = [*names, *sorted({answer for answer, _ in pairs} - set(names))]
    counts = Counter(pairs)
    side = 22 if len(columns) <= 16 else 14
    left, top, drawing = 112.0, 92.0, Drawing()
    for row, truth in enumerate(names):
        whole = sum(counts[answer, truth] for answer in columns)
        y = top + side * row
        drawing.text(left - 6, y + side * 0.7, f"{truth} ({whole})", anchor="end")
        for column, answer in enumerate(columns):
            count, x = counts[answer, truth], left + side * column
            share = count / whole if whole else 0.0
            drawing.add(
                "rect", f"cell {'hit' if answer == truth else 'miss'}",
                _title(f"{truth} answered as {answer}: {count} of {whole}"),
                x=x, y=y, width=side - 1, height=side - 1, fill_opacity=0.04 + 0.96 * share,
            )  # fmt: skip
            if count and side > 16:
                kind = "count on" if share > 0.5 else "count"
                drawing.text(x + side * 0.47, y + side * 0.66, count, kind)
    for column, answer in enumerate(columns):
        place = f"translate({left + side * (column + 0.7):.1f} {top - 6:.1f}) rotate(-52)"
        drawing.add("text", "axis", answer, transform=place)
    width, height = left + side * len(columns) + 52, top + side * len(names) + 8
    return drawing.svg(width, height, f"{label}: truth in rows, answers in columns")


class LabelCount(NamedTuple):
    """How often a label was rightly named, missed, and wrongly named."""

    label: str
    right: int
    missed: int
    wrong: int

    @property
    def total(self) -> int:
        return self.right + self.missed + self.wrong


def count_labels(pairs: Iterable[tuple[Iterable[str] | None, Iterable[str]]]) -> list[LabelCount]:
    """For each label, the commonest ones, how often it was rightly named, missed, and wrongly named."""
    right, missed, wrong = Counter[str](), Counter[str](), Counter[str]()
    for answer, truth in pairs:
        named, there = set(answer or ()), set(truth)
        right.update(named & there)
        missed.update(there - named)
        wrong.update(named - there)
    names = sorted(right | missed | wrong, key=lambda name: (-right[name] - missed[name], name))
    return [LabelCount(name, right[name], missed[name], wrong[name]) for name in names[:MOST_LABELS]]


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


def calibration(curves: Mapping[str, Sequence[Bin]]) -> Markup:
    """How often measured facts are right, against how sure they are."""
    left, top, side, drawing = 44.0, 10.0, 260.0, Drawing()
    drawing.box(left, top, side, side, "frame")
    drawing.line(left, top + side, left + side, top, "octave main")
    for number, (name, groups) in enumerate(curves.items()):
        places = [(left + side * one.confidence, top + side * (1 - one.right), one) for one in groups]
        drawing.add("polyline", f"curve c{number}", points=" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places))
        for x, y, one in places:
            note = f"{name}: sure {one.confidence:.2f}, right {one.right:.2f}, n = {one.n}"
            drawing.circle(x, y, 2 + math.sqrt(one.n) / 2, f"knot c{number}", note)
        drawing.text(left + side + 12, top + 16 + 18 * number, name, f"key c{number}", "start")
    for tick in (0, 0.5, 1):
        drawing.text(left + side * tick, top + side + 14, f"{tick:g}")
        drawing.text(left - 6, top + side * (1 - tick) + 4, f"{tick:g}", anchor="end")
    drawing.text(left + side / 2, top + side + 30, "confidence of the measured fact")
    drawing.text(left + 6, top + 14, "share right", anchor="start")
    return drawing.svg(left + side + 120, top + side + 38, "calibration of the measured facts")


def waveform(samples: np.ndarray, *, to_loudest: bool = False) -> Markup:
    """[samples] from −1 to 1 as a drawing: from the lowest to the highest sample of each of up to 300
    columns. `to_loudest` scales them so that the loudest sample is at the edge."""
    samples = np.clip(np.nan_to_num(samples), -1, 1) if len(samples) else np.zeros(1, np.float32)
    if to_loudest:
        samples = samples / max(1e-6, float(np.abs(samples).max(initial=0.0)))
    columns = np.array_split(samples, min(WAVE_COLUMNS, len(samples)))
    tops = [f"{x},{50 - 48 * float(part.max()):.1f}" for x, part in enumerate(columns)]
    lows = [f"{x},{50.4 - 48 * float(part.min()):.1f}" for x, part in enumerate(columns)]
    drawing = Drawing()
    drawing.line(0, 50, len(columns), 50, "grid")
    drawing.add("polygon", "envelope", points=" ".join([*tops, *reversed(lows)]))
    return drawing.svg(max(1, len(columns) - 1), 100, "waveform", "wave", "none")
