"""The facts of a recording as one picture, in lanes over a common time axis.

Needs the extra `plot` (matplotlib). Colours are those of Okabe and Ito, which the colour-blind can tell
apart; nothing is said by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llark.errors import UserMustAct
from llark.music.facts_line import common_chords
from llark.music.names import chord_name
from llark.records import METER_NAMES, PITCH_CLASSES, Annotation, Tags
from llark.report.timeline import DYNAMIC_MARKS, clock, short_chord
from llark.storage import folders

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf")
_BLACK, _GREY, _PALE = "#222222", "#8a8a8a", "#d9d9d9"
_BLUE, _SKY, _GREEN, _RED = "#0072B2", "#56B4E9", "#009E73", "#D55E00"
_SECTION_COLOURS = ("#8fcbee", "#f2c35e", "#6cc4a8", "#f4ec8c", "#dfa9c8", "#6aa6d0", "#e6946a", "#bdbdbd")
_DYNAMIC_COLOURS = {
    "silence": "#ffffff", "quiet": "#dceaf5", "medium": "#a9cde8", "loud": "#6aa9d6",
    "crescendo": "#f5d9a8", "decrescendo": "#e3c8dc",
}  # fmt: skip
_WIDTH_INCHES, _DPI = 12.0, 110
_TITLE_INCHES, _AXIS_INCHES, _ROW_INCHES = 0.45, 0.5, 0.21
_GAP_BEATS = 3.5
"""A time without beats of so many is no slower tempo, but none that is known."""

_BAR_NUMBER_SHARE = 0.018
"""Of the picture's width that the number of a bar takes."""

_DOUBTFUL = 0.3
"""A key of less confidence is drawn with a question mark."""

_LETTER_INCHES = 0.082
"""What a letter of the lanes takes, so that words that do not fit are left out."""


@dataclass(frozen=True, eq=False)
class Picture:
    """What is drawn: the facts, and `envelope`, [columns, 2], the lowest and highest sample of each."""

    title: str
    facts: Annotation
    envelope: np.ndarray

    @property
    def seconds(self) -> float:
        return self.facts.end_seconds - self.facts.start_seconds

    def fits(self, word: str, seconds: float) -> bool:
        """Whether a word has room in a lane for so long."""
        return (len(word) + 0.6) * _LETTER_INCHES < seconds / self.seconds * _WIDTH_INCHES * 0.9


def save(path: Path, picture: Picture) -> Path:
    """Draws into a PNG, SVG or PDF file, as its suffix says, and returns its path.

    Raises `UserMustAct` for another suffix, where matplotlib is not installed, or the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserMustAct(f"A picture is one of {', '.join(SUFFIXES)}; {path.name} ends in {path.suffix!r}.")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserMustAct("--plot needs matplotlib: pip install 'llark[plot]'") from error
    lanes = [lane for lane in _LANES if lane.is_known(picture.facts)]
    summary = _summary(picture.facts)
    rows = max(len(listed) for listed in summary.values())
    inches = [_TITLE_INCHES, sum(lane.height for lane in lanes), _AXIS_INCHES, _ROW_INCHES * (rows + 1.5)]
    height = sum(inches) + 0.1
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=_DPI)
    sides = {"left": 0.085, "right": 0.985}
    grid = figure.add_gridspec(
        len(lanes), 1, height_ratios=[lane.height for lane in lanes], hspace=0.16, **sides,
        top=1 - inches[0] / height, bottom=1 - sum(inches[:2]) / height,
    )  # fmt: skip
    for row, lane in enumerate(lanes):
        axes = figure.add_subplot(grid[row])
        _prepare(axes, picture, lane, last=row == len(lanes) - 1)
        lane.draw(axes, picture)
    below = {"top": 1 - sum(inches[:3]) / height, "bottom": 0.1 / height}
    columns = figure.add_gridspec(1, len(summary), wspace=0.12, **sides, **below)
    for column, (title, listed) in enumerate(summary.items()):
        _draw_list(figure.add_subplot(columns[column]), title, listed, rows)
    figure.suptitle(
        picture.title, x=0.085, y=1 - 0.12 / height, ha="left", va="top", fontsize=12, fontweight="bold",
        color=_BLACK, parse_math=False,
    )  # fmt: skip
    with folders.clear_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata=None if path.suffix.lower() == ".png" else {"Date": None})
    return path


def _prepare(axes: Axes, picture: Picture, lane: Lane, *, last: bool) -> None:
    """Axes without a frame, with the lane's name at the left and the time under the last one."""
    facts = picture.facts
    axes.set_xlim(facts.start_seconds, facts.end_seconds)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_yticks([])
    axes.set_ylabel(lane.name, rotation=0, ha="right", va="center", fontsize=9, color=_BLACK, labelpad=8)
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
    step = next((step for step in steps if picture.seconds / step <= 13), steps[-1])
    first = -(-facts.start_seconds // step) * step
    ticks = np.arange(first, facts.end_seconds + 1e-6, step)
    axes.set_xticks(ticks)
    axes.tick_params(axis="x", length=3 if last else 0, labelsize=8, colors=_GREY)
    axes.set_xticklabels([clock(tick) for tick in ticks] if last else [])
    if last:
        axes.set_xlabel("minutes and seconds", fontsize=7.5, color=_GREY, loc="right", labelpad=1)


# --- lanes ------------------------------------------------------------------------------------------------


def _draw_wave(axes: Axes, picture: Picture) -> None:
    low, high = picture.envelope[:, 0], picture.envelope[:, 1]
    times = np.linspace(picture.facts.start_seconds, picture.facts.end_seconds, len(low))
    axes.fill_between(times, low, high, color=_GREY, linewidth=0)
    top = max(0.05, float(np.abs(picture.envelope).max()) * 1.05) if len(low) else 1.0
    axes.set_ylim(-top, top)


def _draw_beats(axes: Axes, picture: Picture) -> None:
    """Long lines for downbeats, short ones for the other beats; only downbeats where it would be a carpet."""
    beats = picture.facts.beats
    downbeats = beats.downbeats_seconds
    others = sorted(set(beats.times_seconds) - set(downbeats))
    if len(beats.times_seconds) / _WIDTH_INCHES < 32 or not downbeats:
        axes.vlines(others, 0.2, 0.5, color=_SKY, linewidth=0.9)
    axes.vlines(downbeats, 0.0, 0.62, color=_BLUE, linewidth=1.5 if len(downbeats) < 150 else 0.8)
    axes.set_ylim(0, 1.15)
    every = next(n for n in (1, 2, 4, 8, 16, 32, 64, 128, 10**9) if len(downbeats) / n <= 30)
    free = picture.facts.start_seconds
    for bar, second in enumerate(downbeats):
        if bar % every == 0 and second >= free:
            free = second + _BAR_NUMBER_SHARE * picture.seconds
            axes.text(
                second, 0.68, str(bar + 1), fontsize=7, color=_BLUE, ha="center", va="bottom", clip_on=True
            )


def _draw_tempo(axes: Axes, picture: Picture) -> None:
    """The tempo of every bar or so as a curve, and the tempo of the whole as a line."""
    tempo = picture.facts.tempo.bpm or 0.0
    times, curve = tempo_curve(np.asarray(picture.facts.beats.times_seconds))
    axes.plot(times, curve, color=_GREEN, linewidth=1.1)
    known = curve[np.isfinite(curve)]
    usual = np.percentile(known, (2, 98)) if len(known) else np.array([tempo, tempo])
    axes.axhline(tempo, color=_PALE, linewidth=0.8, zorder=0)
    axes.set_ylim(min(tempo * 0.8, usual[0] * 0.95), max(tempo * 1.25, usual[1] * 1.05))
    axes.set_yticks([tempo])
    axes.set_yticklabels([f"{tempo:.0f}"])
    axes.tick_params(axis="y", labelsize=8, colors=_GREY, length=2, pad=1)


def tempo_curve(times_seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[n] seconds and beats per minute there: the median of four beats, so that one that is missing or too
    many is no leap; not a number where there are no beats for a while, so that the curve is broken there."""
    steps = np.diff(times_seconds)
    if len(steps) < 8:
        return np.zeros(0), np.zeros(0)
    windows = np.lib.stride_tricks.sliding_window_view(steps, 4)
    middle = (times_seconds[4:] + times_seconds[:-4]) / 2
    gap = (windows > _GAP_BEATS * np.median(steps)).any(axis=1)
    curve = 60 / np.maximum(np.median(windows, axis=1), 1e-3)
    return middle, np.where(gap, np.nan, curve)


def _draw_boxes(
    axes: Axes, picture: Picture, boxes: Sequence[tuple[float, float, str, Any]], size: float = 8.5
) -> None:
    """Boxes (start, end, word, colour) side by side, each with its word where there is room."""
    axes.set_ylim(0, 1)
    for start, end, word, colour in boxes:
        axes.broken_barh([(start, end - start)], (0.06, 0.88), facecolor=colour, edgecolor="white", lw=0.6)
        if word and picture.fits(word, end - start):
            _word(axes, (start + end) / 2, 0.48, word, size=size, color=_BLACK)


def _word(axes: Axes, x: float, y: float, word: str, *, size: float, color: str) -> None:
    axes.text(x, y, word, fontsize=size, color=color, ha="center", va="center", clip_on=True)


def _draw_chords(axes: Axes, picture: Picture) -> None:
    """A box for each chord; where most are too narrow for their names, a key to the commonest colours."""
    spans = picture.facts.chords.spans
    boxes = [(s.start_seconds, s.end_seconds, short_chord(s.label), chord_colour(s.label)) for s in spans]
    _draw_boxes(axes, picture, boxes)
    narrow = [not picture.fits(word, end - start) for start, end, word, _ in boxes]
    if sum(narrow) <= len(boxes) / 2:
        return
    axes.set_ylim(-0.9, 1)
    colours = {chord_name(span.label): chord_colour(span.label) for span in spans}
    step = picture.seconds / 18
    for i, name in enumerate(common_chords(picture.facts.chords, most=12)):
        left = picture.facts.start_seconds + i * 1.5 * step
        axes.broken_barh([(left, step * 0.25)], (-0.78, 0.5), facecolor=colours[name], lw=0)
        axes.text(left + step * 0.33, -0.53, name, fontsize=8, color=_BLACK, va="center", clip_on=True)


def chord_colour(label: str) -> tuple[float, float, float] | str:
    """Neighbours on the circle of fifths have neighbouring colours; minor is paler, no chord near white."""
    import colorsys

    root, _, quality = label.partition(":")
    if root not in PITCH_CLASSES:
        return "#f2f2f2"
    place = PITCH_CLASSES.index(root) * 7 % 12
    minor = quality.startswith(("min", "dim", "hdim"))
    return colorsys.hls_to_rgb((0.58 + place / 12) % 1.0, 0.85 if minor else 0.70, 0.42 if minor else 0.62)


def _draw_keys(axes: Axes, picture: Picture) -> None:
    facts = picture.facts
    spans = [(s.start_seconds, s.end_seconds, s.label) for s in facts.local_keys.spans]
    if not spans and facts.key.name:
        spans = [(facts.start_seconds, facts.end_seconds, facts.key.name)]
    doubt = "?" if not facts.local_keys.spans and facts.key.confidence < _DOUBTFUL else ""
    boxes: list[tuple[float, float, str, Any]] = []
    for start, end, name in spans:
        tonic, mode = name.split()
        colour = chord_colour(f"{tonic}:{'min' if mode == 'minor' else 'maj'}")
        boxes.append((start, end, name + doubt, "#f2f2f2" if doubt else colour))
    _draw_boxes(axes, picture, boxes)


def _draw_sections(axes: Axes, picture: Picture) -> None:
    spans = picture.facts.sections.spans
    letters = sorted({span.label for span in spans})
    colours = {letter: _SECTION_COLOURS[i % len(_SECTION_COLOURS)] for i, letter in enumerate(letters)}
    boxes = [(s.start_seconds, s.end_seconds, s.label, colours[s.label]) for s in spans]
    _draw_boxes(axes, picture, boxes, size=10)


def _draw_dynamics(axes: Axes, picture: Picture) -> None:
    spans = picture.facts.loudness.dynamics
    boxes = []
    for span in spans:
        roomy = picture.fits(span.label, span.end_seconds - span.start_seconds)
        word = span.label if roomy else DYNAMIC_MARKS[span.label]
        boxes.append((span.start_seconds, span.end_seconds, word, _DYNAMIC_COLOURS[span.label]))
    _draw_boxes(axes, picture, boxes, size=8)


def _seconds_lufs(facts: Annotation) -> list[float]:
    """Of the seconds that sound: none where all is shorter than one, or is a click in silence."""
    return [value for value in facts.loudness.each_second_lufs if value is not None]


def _draw_loudness(axes: Axes, picture: Picture) -> None:
    known = picture.facts.loudness.each_second_lufs
    values = np.array([np.nan if value is None else value for value in known])
    top = float(np.nanmax(values))
    low = min(top - 24.0, float(np.nanmin(values))) if top - float(np.nanmin(values)) < 45 else top - 45.0
    edges = picture.facts.start_seconds + np.arange(len(values) + 1)
    edges[-1] = picture.facts.end_seconds
    axes.stairs(np.maximum(np.nan_to_num(values, nan=low), low), edges, baseline=low, fill=True, color=_SKY)
    whole = picture.facts.loudness.integrated_lufs
    axes.set_ylim(low, top + 2)
    if whole is not None:
        axes.axhline(whole, color=_BLUE, linewidth=0.8)
        axes.set_yticks([whole, low])
        axes.set_yticklabels([f"{whole:.0f}", f"{low:.0f}"])
    axes.tick_params(axis="y", labelsize=8, colors=_GREY, length=2, pad=1)


def _draw_notes(axes: Axes, picture: Picture) -> None:
    facts = picture.facts
    notes = facts.notes.notes or facts.melody.notes
    axes.barh(
        [note.pitch_midi for note in notes],
        [note.offset_seconds - note.onset_seconds for note in notes],
        left=[note.onset_seconds for note in notes],
        height=0.9,
        color=_RED,
        linewidth=0,
    )
    pitches = [note.pitch_midi for note in notes]
    low, high = min(pitches) - 2, max(pitches) + 2
    octaves = [pitch for pitch in range(0, 128, 12) if low <= pitch <= high]
    axes.set_ylim(low, high)
    axes.set_yticks(octaves)
    axes.set_yticklabels([f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.tick_params(axis="y", labelsize=8, colors=_GREY, length=2, pad=1)
    for pitch in octaves:
        axes.axhline(pitch, color=_PALE, linewidth=0.5, zorder=0)


@dataclass(frozen=True)
class Lane:
    """One row of the picture. `height` is in inches."""

    name: str
    height: float
    is_known: Callable[[Annotation], bool]
    draw: Callable[[Axes, Picture], None]


_LANES = (
    Lane("wave", 0.8, lambda facts: True, _draw_wave),
    Lane("sections", 0.3, lambda facts: bool(facts.sections.spans), _draw_sections),
    Lane("key", 0.3, lambda facts: bool(facts.local_keys.spans or facts.key.name), _draw_keys),
    Lane("chords", 0.5, lambda facts: bool(facts.chords.spans), _draw_chords),
    Lane("bars and\nbeats", 0.45, lambda facts: bool(facts.beats.times_seconds), _draw_beats),
    Lane("tempo\nBPM", 0.5, lambda facts: facts.tempo.bpm is not None, _draw_tempo),
    Lane("notes", 0.9, lambda facts: bool(facts.notes.notes or facts.melody.notes), _draw_notes),
    Lane("dynamics", 0.3, lambda facts: bool(facts.loudness.dynamics), _draw_dynamics),
    Lane("loudness\nLUFS", 0.6, lambda facts: bool(_seconds_lufs(facts)), _draw_loudness),
)


# --- what holds for the whole -----------------------------------------------------------------------------


def _summary(facts: Annotation) -> dict[str, list[tuple[str, float]]]:
    """(what holds, confidence) of the facts without a place in time, under the title of each column."""
    style = [*_tag_rows(facts.genre)[:3], *_tag_rows(facts.mood)[:3]]
    return {"whole": _whole_rows(facts), "instruments": _tag_rows(facts.instruments), "style": style}


def _draw_list(axes: Axes, title: str, listed: Sequence[tuple[str, float]], rows: int) -> None:
    """Each fact with a bar for its confidence; all lists have room for as many `rows`."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(rows + 0.3, -1.2)
    axes.text(0, -0.75, title, fontsize=9, fontweight="bold", color=_BLACK, va="center")
    if not listed:
        axes.text(0, 0.25, "unknown", fontsize=8.5, color=_GREY, va="center")
        return
    axes.text(1, -0.75, "confidence", fontsize=7.5, color=_GREY, va="center", ha="right")
    for row, (name, confidence) in enumerate(listed):
        axes.text(0, row + 0.25, name, fontsize=8.5, color=_BLACK, va="center")
        axes.barh(row + 0.25, 0.3, left=0.58, height=0.5, color=_PALE)
        axes.barh(row + 0.25, 0.3 * confidence, left=0.58, height=0.5, color=_BLUE)
        axes.text(1, row + 0.25, f"{confidence:.2f}", fontsize=8, color=_BLACK, va="center", ha="right")


def _whole_rows(facts: Annotation) -> list[tuple[str, float]]:
    """(what holds, confidence) of what is known."""
    rows = []
    if facts.tempo.bpm is not None:
        other = f" (or {facts.tempo.alternative_bpm:.0f})" if facts.tempo.alternative_bpm else ""
        rows.append((f"{facts.tempo.bpm:.1f} BPM{other}", facts.tempo.confidence))
    if facts.meter.beats_per_bar in METER_NAMES:
        rows.append((f"{METER_NAMES[facts.meter.beats_per_bar or 0]} time", facts.meter.confidence))
    if facts.key.name:
        rows.append((facts.key.name, facts.key.confidence))
    if facts.chords.spans:
        rows.append((f"{len(facts.chords.spans)} chords", facts.chords.confidence))
    alone = facts.isolated_chord
    if alone.label:
        rows.append((f"one chord: {short_chord(alone.label)}", alone.confidence))
    if facts.melody.contour:
        rows.append((f"one line: {facts.melody.contour}", facts.melody.confidence))
    return rows[:6]


def _tag_rows(tags: Tags) -> list[tuple[str, float]]:
    return [(tag.label, tag.confidence) for tag in tags.tags[:6]]
