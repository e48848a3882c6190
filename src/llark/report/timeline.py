"""A timeline of plain text: what happens when, in lanes under a time axis, like the staves of a score.

Everything fits in 100 columns and needs no colour. A recording longer than a minute takes several lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from llark.music.names import chord_name
from llark.records import Annotation, ChordSpan, Span

NAME_WIDTH = 10
LANE_WIDTH = 88
SYSTEM_SECONDS = (60.0, 120.0, 300.0, 600.0, 1800.0)
"""How long one line of the score may be; the first that needs no more than `MOST_SYSTEMS` is taken."""

ONE_SYSTEM_SECONDS = 30.0
"""A recording up to this is one line, whatever its length."""

MOST_SYSTEMS = 6
_LANES = ("sections", "key", "chords", "beats", "dynamics", "loudness")
_WORD_COLUMNS = 11
"""What a word for the dynamics needs; where there is less, its mark is written."""

_LEVELS = "▁▂▃▄▅▆▇█"
_SHORT_CHORDS = {" major": "", " minor": "m", "no chord": "–"}
DYNAMIC_MARKS = {
    "silence": "", "quiet": "p", "medium": "mf", "loud": "f", "crescendo": "<", "decrescendo": ">",
}  # fmt: skip
"""What musicians write for the dynamics, where a word is too long."""


@dataclass(frozen=True)
class System:
    """One line of the score: from `start_seconds`, each column lasting `column_seconds`."""

    start_seconds: float
    end_seconds: float
    column_seconds: float

    @property
    def width(self) -> int:
        return max(1, math.ceil(round((self.end_seconds - self.start_seconds) / self.column_seconds, 6)))

    def column(self, second: float) -> int:
        return math.floor(round((second - self.start_seconds) / self.column_seconds, 6))


def clock(seconds: float, decimals: int = 0, *, hours: bool = False) -> str:
    """75.4 → 1:15. With `hours` 3675.4 is 1:01:15, else 61:15."""
    minutes, rest = divmod(round(seconds, decimals), 60)
    width = 2 if decimals == 0 else 3 + decimals
    whole = f"{int(minutes // 60)}:{int(minutes % 60):02d}" if hours and minutes >= 60 else f"{int(minutes)}"
    return f"{whole}:{rest:0{width}.{decimals}f}"


class Stretch(NamedTuple):
    """What holds for a while: its label in the facts, and the word for it in a lane."""

    start_seconds: float
    end_seconds: float
    label: str
    word: str


def lanes(facts: Annotation, has_room: Callable[[Span], bool]) -> dict[str, list[Stretch]]:
    """What lasts for a while, by the name of its lane; a lane of which nothing is known is empty.

    Dynamics that have no room are written as marks.
    """
    whole_key = facts.key.name and Span(facts.start_seconds, facts.end_seconds, facts.key.name)
    keys = facts.local_keys.spans or ((whole_key,) if whole_key else ())
    dynamics = [(s, s.label if has_room(s) else DYNAMIC_MARKS[s.label]) for s in facts.loudness.dynamics]
    spans: dict[str, Iterable[tuple[Span | ChordSpan, str]]] = {
        "sections": [(s, s.label) for s in facts.sections.spans],
        "key": [(s, s.label) for s in keys],
        "chords": [(s, short_chord(s.label)) for s in facts.chords.spans],
        "dynamics": dynamics,
    }
    return {
        name: [Stretch(s.start_seconds, s.end_seconds, s.label, word) for s, word in listed]
        for name, listed in spans.items()
    }


def draw(facts: Annotation) -> str:
    """The lanes of what is known: sections, keys, chords, beats, dynamics and loudness."""
    blocks = []
    for system in systems(facts.start_seconds, facts.end_seconds):
        narrow = _WORD_COLUMNS * system.column_seconds
        stretches = lanes(facts, lambda span: span.end_seconds - span.start_seconds > narrow)  # noqa: B023
        drawn = {name: _stretches(listed, system) for name, listed in stretches.items()}
        drawn |= {"beats": _beats(facts, system), "loudness": _loudness(facts, system)}
        lines = [f"{name:<{NAME_WIDTH}}{drawn[name]}".rstrip() for name in _LANES if drawn[name].strip()]
        blocks.append("\n".join([_axis(system), *lines]))
    return "\n\n".join(blocks)


def systems(start_seconds: float, end_seconds: float) -> list[System]:
    """The lines of the score for a recording."""
    length = end_seconds - start_seconds
    longest = SYSTEM_SECONDS if length > ONE_SYSTEM_SECONDS else (max(length, 1e-3),)
    fitting = (seconds for seconds in longest if length <= seconds * MOST_SYSTEMS)
    seconds = next(fitting, math.ceil(length / MOST_SYSTEMS / 600) * 600.0)
    count = max(1, math.ceil(round(length / seconds, 6)))
    starts = [start_seconds + i * seconds for i in range(count)]
    return [System(at, min(at + seconds, end_seconds), seconds / LANE_WIDTH) for at in starts]


def _axis(system: System) -> str:
    """Clock times at round seconds, each beginning in its column."""
    length = system.column_seconds * LANE_WIDTH
    step = next((s for s in (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600) if length / s <= 8), 1800)
    row = [" "] * (system.width + 8)
    second = math.ceil(system.start_seconds / step - 1e-9) * step
    while second < system.end_seconds:
        _write(row, system.column(second), clock(second, 0 if step >= 1 else 1), len(row))
        second += step
    return " " * NAME_WIDTH + "".join(row).rstrip()


def _write(row: list[str], at: int, text: str, limit: int) -> None:
    for i, letter in enumerate(text):
        if at + i < min(limit, len(row)):
            row[at + i] = letter


def _stretches(stretches: Iterable[Stretch], system: System, fill: str = "·") -> str:
    """Each stretch begins with its word, if that fits, or with a bar."""
    row = [" "] * system.width
    for start, end, _, word in stretches:
        if end <= system.start_seconds or start >= system.end_seconds:
            continue
        first = max(0, system.column(max(start, system.start_seconds)))
        last = min(system.width, max(first + 1, system.column(min(end, system.end_seconds - 1e-9)) + 1))
        if end < system.end_seconds:
            last = max(first + 1, min(last, system.column(end)))
        shown = word if len(word) < last - first or (last - first == len(word) == 1) else "|"
        _write(row, first, shown + fill * (last - first - len(shown)), last)
    return "".join(row)


def short_chord(label: str) -> str:
    """`C:maj` → `C`, `A:min` → `Am`, `G:7` → `G7`; `N` → a dash."""
    name = chord_name(label)
    for long, short in _SHORT_CHORDS.items():
        name = name.replace(long, short)
    return name


def _beats(facts: Annotation, system: System) -> str:
    """A bar line in a column with a downbeat, and a dot in one with another beat, if there is room."""
    row = [" "] * system.width
    beats = facts.beats
    places = beats.positions if len(beats.positions) == len(beats.times_seconds) else ()
    tight = len(beats.times_seconds) * system.column_seconds > facts.end_seconds - facts.start_seconds
    for i, time in enumerate(beats.times_seconds):
        if not system.start_seconds <= time < system.end_seconds:
            continue
        column = min(system.column(time), system.width - 1)
        if places and places[i] == 1:
            row[column] = "|"
        elif row[column] == " " and not (tight and places):
            row[column] = "."
    return "".join(row)


def _loudness(facts: Annotation, system: System) -> str:
    """A bar for each column, from 24 LU under the loudest second of the recording up to it."""
    known = [value for value in facts.loudness.each_second_lufs if value is not None]
    if not known:
        return ""
    top, row = max(known), []
    for column in range(system.width):
        second = system.start_seconds + (column + 0.5) * system.column_seconds - facts.start_seconds
        seconds = facts.loudness.each_second_lufs
        value = seconds[min(int(second), len(seconds) - 1)]
        step = len(_LEVELS) - 1 - int((top - value) / 3) if value is not None else -1
        row.append(_LEVELS[max(step, 0)] if value is not None else " ")
    return "".join(row)
