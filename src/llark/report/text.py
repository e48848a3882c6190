"""What a person sees of an answer: text for a terminal, or JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llark.music.names import chord_name, note_name
from llark.records import (
    METER_NAMES,
    UNKNOWN,
    Annotation,
    Answer,
    ChordSpan,
    Loudness,
    Span,
    Tags,
    to_dict,
)
from llark.report import timeline
from llark.report.terminal import printable, printable_json, printable_line
from llark.report.timeline import clock, short_chord


@dataclass(frozen=True)
class AskResult:
    """The answers to questions about one recording, the facts measured in it, and where the time went."""

    audio: str
    answers: tuple[Answer, ...]
    facts: Annotation
    timings_seconds: dict[str, float]


TIMING_WORDS = {"hear": "listening", "wait for the model": "loading the model", "answer": "answering"}
"""What the text calls the timings, by their names in the JSON."""


class Stopwatch:
    """Seconds by the name of what was timed, and in all."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> Stopwatch:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds["total"] = time.perf_counter() - self._began

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began


def as_json(result: AskResult) -> str:
    """Answers, facts, model and timings."""
    page: dict[str, Any] = {
        "audio": result.audio,
        "model": result.answers[0].model if result.answers else None,
        "answers": [
            {
                "question": a.question,
                "answer": a.text,
                "saw_facts": a.facts is not None,
                "kinds": list(a.kinds),
                "rests_on": list(a.rests_on),
            }
            for a in result.answers
        ],
        "facts": to_dict(result.facts),
        "timings_seconds": {name: round(value, 3) for name, value in result.timings_seconds.items()},
    }
    return printable_json(page, indent=1)


def as_text(result: AskResult) -> str:
    """The answers, and under them the evidence."""
    lines = []
    for answer in result.answers:
        lines += [f"> {answer.question}", answer.text or "(no answer)", ""]
    facts = result.facts
    lines.append(f"Measured, {clock(facts.start_seconds)} to {clock(facts.end_seconds)}:")
    lines += _fact_lines(facts)
    seconds = result.timings_seconds
    shown = {name: f"{value:.1f} s" for name, value in seconds.items() if name in TIMING_WORDS}
    parts = [f"{TIMING_WORDS[name]} {value}" for name, value in shown.items() if value != "0.0 s"]
    lines += ["", ", ".join([*parts, f"{seconds.get('total', 0.0):.1f} s in all"])]
    return printable("\n".join(lines))


def facts_as_text(title: str, facts: Annotation) -> str:
    """Every fact of a recording with its confidence, and under them the timeline; at most 100 columns."""
    head = f"{printable_line(title)}  {clock(facts.start_seconds)} to {clock(facts.end_seconds)}"
    return printable("\n".join([head, *_fact_lines(facts), "", timeline.draw(facts), ""]))


def facts_as_json(audio: str, facts: Annotation) -> str:
    """One line: the recording's path and all that is known of it."""
    return printable_json({"audio": audio, "facts": to_dict(facts)})


TABLE_HEAD = f"{'recording':<30}  length  tempo meter   key         LUFS  instruments and style"


def facts_as_row(facts: Annotation) -> str:
    """One line of a table under `TABLE_HEAD`; what is not known is a dash."""
    name = printable_line(facts.clip_id)
    name = name if len(name) <= 30 else f"…{name[-29:]}"
    tempo = "–" if facts.tempo.bpm is None else f"{facts.tempo.bpm:.1f}"
    meter = METER_NAMES.get(facts.meter.beats_per_bar or 0, "–")
    loud = facts.loudness.integrated_lufs
    words = ", ".join((*facts.instruments.labels[:3], *facts.genre.labels[:1]))
    return (
        f"{name:<30} {clock(facts.end_seconds - facts.start_seconds):>7} {tempo:>6} {meter:<8}"
        f"{facts.key.name or '–':<10}{'–' if loud is None else f'{loud:.1f}':>6}  {words[:27]}"
    ).rstrip()


def _fact_lines(facts: Annotation) -> list[str]:
    lines = []
    for row in fact_rows(facts):
        sure = f"{row.confidence:4.2f} {_bar(row.confidence)}" if row.value and row.confidence else ""
        lines.append(f"  {row.name:<12}{row.value or UNKNOWN:<58} {sure}".rstrip())
    return lines


@dataclass(frozen=True)
class FactRow:
    """One fact as people read it."""

    name: str
    value: str
    """Empty where it is not known."""
    confidence: float = 0.0
    """From 0 to 1; 0 also for a plain measurement."""
    brief: str = ""
    """What of it holds for the whole recording, in a few words; empty where that is nothing."""


ALWAYS_SHOWN = ("tempo", "beats", "meter", "key", "chords", "instruments", "genre")
"""Facts of which a table says that they are unknown; others are left out then."""


def fact_rows(facts: Annotation) -> list[FactRow]:
    """Every fact with its confidence."""
    tempo, beats, melody, loudness = facts.tempo, facts.beats, facts.melody, facts.loudness
    bpm = brief_bpm = "" if tempo.bpm is None else f"{tempo.bpm:.1f} BPM"
    if bpm and tempo.alternative_bpm is not None:
        bpm += f" (or {tempo.alternative_bpm:.1f})"
        brief_bpm += f" (or {tempo.alternative_bpm:.0f})"
    counted = ""
    if beats.times_seconds:
        downbeats, first = len(beats.downbeats_seconds), clock(beats.times_seconds[0], 2)
        counted = f"{len(beats.times_seconds)}, of them {downbeats} downbeats; first at {first}"
    meter = METER_NAMES.get(facts.meter.beats_per_bar or 0, "")
    chords = facts.chords.spans
    line = ""
    if melody.contour and melody.lowest_midi is not None and melody.highest_midi is not None:
        compass = f"{note_name(melody.lowest_midi)} to {note_name(melody.highest_midi)}"
        line = f"one line, {melody.contour}, {compass}, {len(melody.notes)} notes"
    alone = facts.isolated_chord.label or ""
    key = facts.key.name or ""
    rows = [
        FactRow("tempo", bpm, tempo.confidence, brief_bpm),
        FactRow("beats", counted, beats.confidence),
        FactRow("meter", meter, facts.meter.confidence, f"{meter} time"),
        FactRow("key", key, facts.key.confidence, key),
        FactRow("chords", _listed(chords, chord_name), facts.chords.confidence, f"{len(chords)} chords"),
        FactRow("instruments", _tag_line(facts.instruments), facts.instruments.confidence),
        FactRow("genre", _tag_line(facts.genre), facts.genre.confidence),
        FactRow("mood", _tag_line(facts.mood), facts.mood.confidence),
        FactRow("keys", _listed(facts.local_keys.spans), facts.local_keys.confidence),
        FactRow("sections", _listed(facts.sections.spans), facts.sections.confidence),
        FactRow("melody", line, melody.confidence, f"one line: {melody.contour}"),
        FactRow(
            "one chord",
            chord_name(alone) if alone else "",
            facts.isolated_chord.confidence,
            f"one chord: {short_chord(alone)}",
        ),
        FactRow("notes", str(len(facts.notes.notes) or ""), facts.notes.confidence),
        FactRow("loudness", _loudness_line(loudness)),
        FactRow("dynamics", _listed(loudness.dynamics), loudness.confidence),
    ]
    return [row for row in rows if row.value or row.name in ALWAYS_SHOWN]


def _bar(confidence: float) -> str:
    full = round(confidence * 5)
    return "●" * full + "○" * (5 - full)


def _listed(
    spans: Sequence[Span | ChordSpan], name: Callable[[str], str] = lambda label: label, most: int = 4
) -> str:
    """When the first few begin, each with the name of its label."""
    shown = [f"{clock(span.start_seconds)} {name(span.label)}" for span in spans[:most]]
    if len(spans) > most:
        shown.append(f"… {len(spans)} in all")
    return ", ".join(shown)


def _loudness_line(loudness: Loudness) -> str:
    if loudness.integrated_lufs is None:
        return ""
    width = "" if loudness.range_lu is None else f", range {loudness.range_lu:.1f} LU"
    return f"{loudness.integrated_lufs:.1f} LUFS{width}, peak {loudness.peak_dbfs:.1f} dBFS"


def _tag_line(tags: Tags) -> str:
    return ", ".join(f"{tag.label} {tag.confidence:.2f}" for tag in tags.tags[:5])
