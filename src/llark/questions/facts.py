"""What a clip's annotation says, in the form that questions are asked about; and how its values are said."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from llark.music.facts_line import common_chords
from llark.music.theory import Chord, Scale
from llark.records import METER_NAMES, Annotation, Chords, ChordSpan

BEATS_IN_BAR = {2: 2, 3: 3, 4: 4, 6: 2}
"""Beats of one bar by meter; 6/8 is felt in two dotted quarters."""

MOST_CHORDS = 4


@dataclass(frozen=True)
class SoundingChord:
    """A chord and its stretch, in seconds from the start of the clip."""

    start_seconds: float
    end_seconds: float
    chord: Chord


@dataclass(frozen=True)
class Facts:
    """One annotation, times counted from the start of the clip. None or empty: not known."""

    annotation: Annotation

    def knows(self, fact: str) -> bool:
        """Whether anything is known of a field of the annotation."""
        loudness, melody = self.annotation.loudness, self.annotation.melody
        known = {
            "tempo": self.bpm is not None,
            "beats": bool(self.beats_seconds),
            "meter": self.meter is not None,
            "key": self.scale is not None,
            "chords": bool(self.chords),
            "instruments": bool(self.instruments),
            "genre": bool(self.genres),
            "mood": bool(self.moods),
            "loudness": loudness.integrated_lufs is not None or bool(loudness.dynamics),
            "sections": len(self.annotation.sections.spans) > 1,
            "melody": melody.contour is not None or melody.lowest_midi is not None,
            "isolated_chord": self.annotation.isolated_chord.label is not None,
        }
        return known.get(fact, True)

    def missing(self, *facts: str) -> str:
        """Those facts that are not known, as `the tempo and the meter`."""
        return listed([f"the {fact}" for fact in facts if not self.knows(fact)])

    @cached_property
    def seconds(self) -> float:
        """Length of the clip."""
        return self.annotation.end_seconds - self.annotation.start_seconds

    @cached_property
    def tempo_bpm(self) -> float | None:
        bpm = self.annotation.tempo.bpm
        return bpm if bpm is not None and bpm > 0 else None

    @cached_property
    def bpm(self) -> int | None:
        """The tempo as it is said, rounded as `facts_line.describe_facts` rounds it."""
        return None if self.tempo_bpm is None else int(f"{self.tempo_bpm:.0f}")

    @cached_property
    def meter(self) -> int | None:
        """2, 3, 4 or 6; None for a meter that has no name here."""
        beats = self.annotation.meter.beats_per_bar
        return beats if beats in METER_NAMES else None

    @property
    def meter_name(self) -> str | None:
        return None if self.meter is None else METER_NAMES[self.meter]

    @property
    def beats_in_bar(self) -> int | None:
        return None if self.meter is None else BEATS_IN_BAR[self.meter]

    @property
    def bar_seconds(self) -> float | None:
        if self.tempo_bpm is None or self.beats_in_bar is None:
            return None
        return self.beats_in_bar * 60 / self.tempo_bpm

    @cached_property
    def scale(self) -> Scale | None:
        name = self.annotation.key.name
        return None if name is None else Scale.of(name)

    @cached_property
    def beats_seconds(self) -> tuple[float, ...]:
        """Beats inside the clip, from its start."""
        return self._inside(self.annotation.beats.times_seconds)

    @cached_property
    def downbeats_seconds(self) -> tuple[float, ...]:
        return self._inside(self.annotation.beats.downbeats_seconds)

    def _inside(self, times: tuple[float, ...]) -> tuple[float, ...]:
        shifted = (time - self.annotation.start_seconds for time in times)
        return tuple(time for time in shifted if 0 <= time < self.seconds)

    @cached_property
    def chords(self) -> tuple[SoundingChord, ...]:
        """Chords in order of time, without silences; spans of one chord in a row are one."""
        merged: list[SoundingChord] = []
        for span in self.annotation.chords.spans:
            chord = Chord.of(span.label)
            start = max(0.0, span.start_seconds - self.annotation.start_seconds)
            end = min(self.seconds, span.end_seconds - self.annotation.start_seconds)
            if chord is None or end <= start:
                continue
            if merged and merged[-1].chord == chord and start - merged[-1].end_seconds < 0.05:
                start = merged.pop().start_seconds
            merged.append(SoundingChord(start, end, chord))
        return tuple(merged)

    @cached_property
    def common(self) -> tuple[Chord, ...]:
        """The chords that sound longest, most first: those that `facts_line.describe_facts` names."""
        parsed = [(span, Chord.of(span.label)) for span in self.annotation.chords.spans]
        named = [(span, chord) for span, chord in parsed if chord is not None]
        spans = tuple(ChordSpan(span.start_seconds, span.end_seconds, chord.label) for span, chord in named)
        by_name = {chord.name: chord for _, chord in named}
        return tuple(by_name[name] for name in common_chords(Chords(spans), most=MOST_CHORDS))

    @cached_property
    def different(self) -> frozenset[Chord]:
        return frozenset(span.chord for span in self.chords)

    @property
    def instruments(self) -> tuple[str, ...]:
        """Empty: not known, which is not the same as silence."""
        return self.annotation.instruments.labels

    @property
    def genres(self) -> tuple[str, ...]:
        return self.annotation.genre.labels[:2]

    @property
    def moods(self) -> tuple[str, ...]:
        return self.annotation.mood.labels[:3]


def listed(items: tuple[str, ...] | list[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def plain_number(number: float) -> str:
    """`25`, `17.3`: one decimal at most."""
    return f"{number:.1f}".removesuffix(".0")


def in_seconds(seconds: float) -> str:
    """`1 second`, `17.3 seconds`."""
    number = plain_number(seconds)
    return f"{number} second{'' if number == '1' else 's'}"


WORDS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip


def counted(number: int) -> str:
    """`three`, `14`: a small number in words."""
    return WORDS[number] if number < len(WORDS) else str(number)


def several(number: int, noun: str) -> str:
    """`no sharps`, `one sharp`, `three sharps`."""
    return f"{counted(number)} {noun}{'' if number == 1 else 's'}"
