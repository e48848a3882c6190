"""What a person sees of an answer: text for a terminal, or JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
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
from llark.report.timeline import clock as clock


@dataclass(frozen=True)
class AskResult:
    """The answers to questions about one recording, the facts measured in it, and where the time went."""

    audio: str
    answers: tuple[Answer, ...]
    facts: Annotation
    timings_seconds: dict[str, float]


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
            {"question": a.question, "answer": a.text, "saw_facts": a.facts is not None}
            for a in result.answers
        ],
        "facts": to_dict(result.facts),
        "timings_seconds": {name: round(value, 3) for name, value in result.timings_seconds.items()},
    }
    return json.dumps(page, indent=1, ensure_ascii=False)


def as_text(result: AskResult) -> str:
    """The answers, and under them the evidence."""
    lines = []
    for answer in result.answers:
        lines += [f"> {answer.question}", answer.text or "(no answer)", ""]
    facts = result.facts
    lines.append(f"Measured, {clock(facts.start_seconds)} to {clock(facts.end_seconds)}:")
    lines += _fact_lines(facts)
    seconds = result.timings_seconds
    parts = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items() if name != "total")
    lines += ["", f"{parts}; in all {seconds.get('total', 0.0):.1f} s"]
    return "\n".join(lines)


def facts_as_text(title: str, facts: Annotation) -> str:
    """Every fact of a recording with its confidence, and under them the timeline; at most 100 columns."""
    head = f"{title}  {clock(facts.start_seconds)} to {clock(facts.end_seconds)}"
    return "\n".join([head, *_fact_lines(facts), "", timeline.draw(facts), ""])


def facts_as_json(audio: str, facts: Annotation) -> str:
    """One line: the recording's path and all that is known of it."""
    return json.dumps({"audio": audio, "facts": to_dict(facts)}, ensure_ascii=False)


TABLE_HEAD = f"{'recording':<30}  length  tempo meter   key         LUFS  instruments and style"


def facts_as_row(facts: Annotation) -> str:
    """One line of a table under `TABLE_HEAD`; what is not known is a dash."""
    name = facts.clip_id if len(facts.clip_id) <= 30 else f"…{facts.clip_id[-29:]}"
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
    for name, value, confidence in fact_rows(facts):
        sure = f"{confidence:4.2f} {_bar(confidence)}" if value != UNKNOWN and confidence else ""
        lines.append(f"  {name:<12}{value:<58} {sure}".rstrip())
    return lines


def fact_rows(facts: Annotation) -> list[tuple[str, str, float]]:
    """(name, value, confidence) of every fact; the value of one that is not known is `unknown`."""
    tempo = facts.tempo
    bpm = UNKNOWN if tempo.bpm is None else f"{tempo.bpm:.1f} BPM"
    if tempo.bpm is not None and tempo.alternative_bpm is not None:
        bpm += f" (or {tempo.alternative_bpm:.1f})"
    beats = facts.beats
    counted = f"{len(beats.times_seconds)}, of them {len(beats.downbeats_seconds)} downbeats"
    if beats.times_seconds:
        counted += f"; first at {clock(beats.times_seconds[0], 2)}"
    rows = [
        ("tempo", bpm, tempo.confidence),
        ("beats", counted if beats.times_seconds else UNKNOWN, beats.confidence),
        ("meter", METER_NAMES.get(facts.meter.beats_per_bar or 0, UNKNOWN), facts.meter.confidence),
        ("key", facts.key.name or UNKNOWN, facts.key.confidence),
        ("chords", _chord_line(facts.chords.spans), facts.chords.confidence),
    ]
    for name, tags in (("instruments", facts.instruments), ("genre", facts.genre), ("mood", facts.mood)):
        if tags.tags or name != "mood":
            rows.append((name, _tag_line(tags), tags.confidence))
    return rows + _rows_if_known(facts)


def _rows_if_known(facts: Annotation) -> list[tuple[str, str, float]]:
    """Facts that most recordings do not have, or that are plain measurements."""
    melody, alone, loudness = facts.melody, facts.isolated_chord, facts.loudness
    rows = []
    if facts.local_keys.spans:
        rows.append(("keys", _span_line(facts.local_keys.spans), facts.local_keys.confidence))
    if facts.sections.spans:
        rows.append(("sections", _span_line(facts.sections.spans), facts.sections.confidence))
    if melody.contour and melody.lowest_midi is not None and melody.highest_midi is not None:
        compass = f"{note_name(melody.lowest_midi)} to {note_name(melody.highest_midi)}"
        line = f"one line, {melody.contour}, {compass}, {len(melody.notes)} notes"
        rows.append(("melody", line, melody.confidence))
    if alone.label:
        rows.append(("one chord", chord_name(alone.label), alone.confidence))
    if facts.notes.notes:
        rows.append(("notes", str(len(facts.notes.notes)), facts.notes.confidence))
    if loudness.integrated_lufs is not None:
        rows.append(("loudness", _loudness_line(loudness), 0.0))
    if loudness.dynamics:
        rows.append(("dynamics", _span_line(loudness.dynamics), loudness.confidence))
    return rows


def _bar(confidence: float) -> str:
    full = round(confidence * 5)
    return "●" * full + "○" * (5 - full)


def _chord_line(spans: tuple[ChordSpan, ...], most: int = 4) -> str:
    shown = [f"{clock(s.start_seconds)} {chord_name(s.label)}" for s in spans[:most]]
    if len(spans) > most:
        shown.append(f"… {len(spans)} in all")
    return ", ".join(shown) or UNKNOWN


def _span_line(spans: tuple[Span, ...], most: int = 4) -> str:
    shown = [f"{clock(span.start_seconds)} {span.label}" for span in spans[:most]]
    if len(spans) > most:
        shown.append(f"… {len(spans)} in all")
    return ", ".join(shown)


def _loudness_line(loudness: Loudness) -> str:
    width = "" if loudness.range_lu is None else f", range {loudness.range_lu:.1f} LU"
    return f"{loudness.integrated_lufs:.1f} LUFS{width}, peak {loudness.peak_dbfs:.1f} dBFS"


def _tag_line(tags: Tags) -> str:
    return ", ".join(f"{tag.label} {tag.confidence:.2f}" for tag in tags.tags[:5]) or UNKNOWN
