"""The facts of a recording as one picture, in lanes over a common time axis.

Needs the extra `plot` (matplotlib). Colours are those of Okabe and Ito, which the colour-blind can tell
apart; nothing is said by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llark.errors import UserMustAct
from llark.music.facts_line import common_chords
from llark.music.names import chord_name, note_name
from llark.records import PITCH_CLASSES, UNKNOWN, Annotation, Note
from llark.report.terminal import printable
from llark.report.text import fact_rows
from llark.report.timeline import Stretch, clock, lanes
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
_NO_COLOUR = "#f2f2f2"
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
    values = _values(picture)
    shown = [lane for lane in _LANES if len(values[lane.name])]
    summary = _summary(picture.facts)
    rows = max(len(listed) for listed in summary.values())
    inches = [_TITLE_INCHES, sum(lane.height for lane in shown), _AXIS_INCHES, _ROW_INCHES * (rows + 1.5)]
    height = sum(inches) + 0.1
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=_DPI)
    sides = {"left": 0.085, "right": 0.985}
    grid = figure.add_gridspec(
        len(shown), 1, height_ratios=[lane.height for lane in shown], hspace=0.16, **sides,
        top=1 - inches[0] / height, bottom=1 - sum(inches[:2]) / height,
    )  # fmt: skip
    for row, lane in enumerate(shown):
        axes = figure.add_subplot(grid[row])
        _prepare(axes, picture, lane, last=row == len(shown) - 1)
        lane.draw(axes, picture, values[lane.name])
    below = {"top": 1 - sum(inches[:3]) / height, "bottom": 0.1 / height}
    columns = figure.add_gridspec(1, len(summary), wspace=0.12, **sides, **below)
    for column, (title, listed) in enumerate(summary.items()):
        _draw_list(figure.add_subplot(columns[column]), title, listed, rows)
    figure.suptitle(
        printable(picture.title), x=0.085, y=1 - 0.12 / height, ha="left", va="top", fontsize=12,
        fontweight="bold", color=_BLACK, parse_math=False,
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


def _values(picture: Picture) -> dict[str, Sequence[Any]]:
    """What the lanes draw, by their names; a lane of which nothing is known has nothing."""
    facts = picture.facts
    stretches = lanes(facts, lambda span: picture.fits(span.label, span.end_seconds - span.start_seconds))
    lufs = facts.loudness.each_second_lufs
    return {
        "wave": (picture.envelope,),
        **stretches,
        "bars and\nbeats": facts.beats.times_seconds,
        "tempo\nBPM": () if facts.tempo.bpm is None else (facts.tempo.bpm,),
        "notes": facts.notes.notes or facts.melody.notes,
        # Of the seconds that sound: none where all is shorter than one, or is a click in silence.
        "loudness\nLUFS": lufs if any(value is not None for value in lufs) else (),
    }


def _draw_wave(axes: Axes, picture: Picture, _: Sequence[np.ndarray]) -> None:
    low, high = picture.envelope[:, 0], picture.envelope[:, 1]
    times = np.linspace(picture.facts.start_seconds, picture.facts.end_seconds, len(low))
    axes.fill_between(times, low, high, color=_GREY, linewidth=0)
    top = max(0.05, float(np.abs(picture.envelope).max()) * 1.05) if len(low) else 1.0
    axes.set_ylim(-top, top)


def _draw_beats(axes: Axes, picture: Picture, times_seconds: Sequence[float]) -> None:
    """Long lines for downbeats, short ones for the other beats; only downbeats where it would be a carpet."""
    downbeats = picture.facts.beats.downbeats_seconds
    others = sorted(set(times_seconds) - set(downbeats))
    if len(times_seconds) / _WIDTH_INCHES < 32 or not downbeats:
        axes.vlines(others, 0.2, 0.5, color=_SKY, linewidth=0.9)
    axes.vlines(downbeats, 0.0, 0.62, color=_BLUE, linewidth=1.5 if len(downbeats) < 150 else 0.8)
    axes.set_ylim(0, 1.15)
    every = next(n for n in (1, 2, 4, 8, 16, 32, 64, 128, 10**9) if len(downbeats) / n <= 30)
    free = picture.facts.start_seconds
    for bar, second in enumerate(downbeats):
        if bar % every == 0 and second >= free:
            free = second + _BAR_NUMBER_SHARE * picture.seconds
            _write(axes, second, 0.68, str(bar + 1), size=7, color=_BLUE, va="bottom")


def _draw_tempo(axes: Axes, picture: Picture, bpm: Sequence[float]) -> None:
    """The tempo of every bar or so as a curve, and the tempo of the whole as a line."""
    times, curve = tempo_curve(np.asarray(picture.facts.beats.times_seconds))
    axes.plot(times, curve, color=_GREEN, linewidth=1.1)
    known = curve[np.isfinite(curve)]
    usual = np.percentile(known, (2, 98)) if len(known) else np.array([*bpm, *bpm])
    axes.axhline(bpm[0], color=_PALE, linewidth=0.8, zorder=0)
    axes.set_ylim(min(bpm[0] * 0.8, usual[0] * 0.95), max(bpm[0] * 1.25, usual[1] * 1.05))
    _label_heights(axes, {bpm[0]: f"{bpm[0]:.0f}"})


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
    axes: Axes, picture: Picture, stretches: Sequence[Stretch], colours: Sequence[Any], size: float = 8.5
) -> None:
    """Stretches as boxes side by side, each with its word where there is room."""
    axes.set_ylim(0, 1)
    for (start, end, _, word), colour in zip(stretches, colours, strict=True):
        axes.broken_barh([(start, end - start)], (0.06, 0.88), facecolor=colour, edgecolor="white", lw=0.6)
        if word and picture.fits(word, end - start):
            _write(axes, (start + end) / 2, 0.48, word, size=size)


def _write(
    axes: Axes, x: float, y: float, words: str, *, size: float, color: str = _BLACK, ha: str = "center",
    va: str = "center", **style: Any,
) -> None:  # fmt: skip
    axes.text(x, y, words, fontsize=size, color=color, ha=ha, va=va, **{"clip_on": True} | style)


def _label_heights(axes: Axes, labels: Mapping[float, str]) -> None:
    """Ticks at the left of a lane, each with its label."""
    axes.set_yticks(list(labels), list(labels.values()))
    axes.tick_params(axis="y", labelsize=8, colors=_GREY, length=2, pad=1)


def _draw_chords(axes: Axes, picture: Picture, chords: Sequence[Stretch]) -> None:
    """A box for each chord; where most are too narrow for their names, a key to the commonest colours."""
    _draw_boxes(axes, picture, chords, [chord_colour(chord.label) for chord in chords])
    narrow = [not picture.fits(chord.word, chord.end_seconds - chord.start_seconds) for chord in chords]
    if sum(narrow) <= len(chords) / 2:
        return
    axes.set_ylim(-0.9, 1)
    colours = {chord_name(chord.label): chord_colour(chord.label) for chord in chords}
    step = picture.seconds / 18
    for i, name in enumerate(common_chords(picture.facts.chords, most=12)):
        left = picture.facts.start_seconds + i * 1.5 * step
        axes.broken_barh([(left, step * 0.25)], (-0.78, 0.5), facecolor=colours[name], lw=0)
        _write(axes, left + step * 0.33, -0.53, name, size=8, ha="left")


def chord_colour(label: str) -> tuple[float, float, float] | str:
    """Neighbours on the circle of fifths have neighbouring colours; minor is paler, no chord near white."""
    import colorsys

    root, _, quality = label.partition(":")
    if root not in PITCH_CLASSES:
        return _NO_COLOUR
    place = PITCH_CLASSES.index(root) * 7 % 12
    minor = quality.startswith(("min", "dim", "hdim"))
    return colorsys.hls_to_rgb((0.58 + place / 12) % 1.0, 0.85 if minor else 0.70, 0.42 if minor else 0.62)


def _draw_keys(axes: Axes, picture: Picture, keys: Sequence[Stretch]) -> None:
    if not picture.facts.local_keys.spans and picture.facts.key.confidence < _DOUBTFUL:
        asked = [key._replace(word=f"{key.word}?") for key in keys]
        _draw_boxes(axes, picture, asked, [_NO_COLOUR] * len(asked))
        return
    chords = [key.label.replace(" minor", ":min").replace(" major", ":maj") for key in keys]
    _draw_boxes(axes, picture, keys, [chord_colour(chord) for chord in chords])


def _draw_sections(axes: Axes, picture: Picture, sections: Sequence[Stretch]) -> None:
    letters = sorted({section.label for section in sections})
    places = [letters.index(section.label) % len(_SECTION_COLOURS) for section in sections]
    _draw_boxes(axes, picture, sections, [_SECTION_COLOURS[place] for place in places], size=10)


def _draw_dynamics(axes: Axes, picture: Picture, dynamics: Sequence[Stretch]) -> None:
    _draw_boxes(axes, picture, dynamics, [_DYNAMIC_COLOURS[one.label] for one in dynamics], size=8)


def _draw_loudness(axes: Axes, picture: Picture, lufs: Sequence[float | None]) -> None:
    values = np.array([np.nan if value is None else value for value in lufs])
    top, lowest = float(np.nanmax(values)), float(np.nanmin(values))
    low = min(top - 24.0, lowest) if top - lowest < 45 else top - 45.0
    edges = picture.facts.start_seconds + np.arange(len(values) + 1)
    edges[-1] = picture.facts.end_seconds
    axes.stairs(np.maximum(np.nan_to_num(values, nan=low), low), edges, baseline=low, fill=True, color=_SKY)
    whole = picture.facts.loudness.integrated_lufs
    axes.set_ylim(low, top + 2)
    if whole is not None:
        axes.axhline(whole, color=_BLUE, linewidth=0.8)
        _label_heights(axes, {whole: f"{whole:.0f}", low: f"{low:.0f}"})


def _draw_notes(axes: Axes, picture: Picture, notes: Sequence[Note]) -> None:
    pitches = [note.pitch_midi for note in notes]
    lasting = [note.offset_seconds - note.onset_seconds for note in notes]
    onsets = [note.onset_seconds for note in notes]
    axes.barh(pitches, lasting, left=onsets, height=0.9, color=_RED, linewidth=0)
    low, high = min(pitches) - 2, max(pitches) + 2
    octaves = [pitch for pitch in range(0, 128, 12) if low <= pitch <= high]
    axes.set_ylim(low, high)
    _label_heights(axes, {pitch: note_name(pitch) for pitch in octaves})
    for pitch in octaves:
        axes.axhline(pitch, color=_PALE, linewidth=0.5, zorder=0)


@dataclass(frozen=True)
class Lane:
    """One row of the picture."""

    name: str
    """At its left; `_values` has what it draws under it."""
    height: float
    """In inches."""
    draw: Callable[[Axes, Picture, Sequence[Any]], None]


_LANES = (
    Lane("wave", 0.8, _draw_wave),
    Lane("sections", 0.3, _draw_sections),
    Lane("key", 0.3, _draw_keys),
    Lane("chords", 0.5, _draw_chords),
    Lane("bars and\nbeats", 0.45, _draw_beats),
    Lane("tempo\nBPM", 0.5, _draw_tempo),
    Lane("notes", 0.9, _draw_notes),
    Lane("dynamics", 0.3, _draw_dynamics),
    Lane("loudness\nLUFS", 0.6, _draw_loudness),
)


# --- what holds for the whole -----------------------------------------------------------------------------


def _summary(facts: Annotation) -> dict[str, list[tuple[str, float]]]:
    """(what holds, confidence) of the facts without a place in time, under the title of each column."""
    instruments, genre, mood = (
        [(tag.label, tag.confidence) for tag in tags.tags]
        for tags in (facts.instruments, facts.genre, facts.mood)
    )
    whole = [(row.brief, row.confidence) for row in fact_rows(facts) if row.value and row.brief]
    return {"whole": whole[:6], "instruments": instruments[:6], "style": [*genre[:3], *mood[:3]]}


def _draw_list(axes: Axes, title: str, listed: Sequence[tuple[str, float]], rows: int) -> None:
    """Each fact with a bar for its confidence; all lists have room for as many `rows`."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(rows + 0.3, -1.2)
    _write(axes, 0, -0.75, title, size=9, ha="left", fontweight="bold", clip_on=False)
    if not listed:
        _write(axes, 0, 0.25, UNKNOWN, size=8.5, color=_GREY, ha="left", clip_on=False)
        return
    _write(axes, 1, -0.75, "confidence", size=7.5, color=_GREY, ha="right", clip_on=False)
    for row, (name, confidence) in enumerate(listed):
        _write(axes, 0, row + 0.25, name, size=8.5, ha="left", clip_on=False)
        axes.barh(row + 0.25, 0.3, left=0.58, height=0.5, color=_PALE)
        axes.barh(row + 0.25, 0.3 * confidence, left=0.58, height=0.5, color=_BLUE)
        _write(axes, 1, row + 0.25, f"{confidence:.2f}", size=8, ha="right", clip_on=False)
