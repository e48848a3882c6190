"""What a person sees of an answer: text for a terminal, or JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llark.records import METER_NAMES, UNKNOWN, Annotation, Answer, ChordSpan, Tags, chord_name, to_dict


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
    for name, value, confidence in fact_rows(facts):
        sure = f"{confidence:4.2f} {_bar(confidence)}" if value != UNKNOWN else ""
        lines.append(f"  {name:<12}{value:<58} {sure}".rstrip())
    seconds = result.timings_seconds
    parts = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items() if name != "total")
    lines += ["", f"{parts}; in all {seconds.get('total', 0.0):.1f} s"]
    return "\n".join(lines)


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
    return rows


def clock(seconds: float, decimals: int = 0) -> str:
    """75.4 → 1:15."""
    minutes, rest = divmod(round(seconds, decimals), 60)
    width = 2 if decimals == 0 else 3 + decimals
    return f"{int(minutes)}:{rest:0{width}.{decimals}f}"


def _bar(confidence: float) -> str:
    full = round(confidence * 5)
    return "●" * full + "○" * (5 - full)


def _chord_line(spans: tuple[ChordSpan, ...], most: int = 4) -> str:
    shown = [f"{clock(s.start_seconds)} {chord_name(s.label)}" for s in spans[:most]]
    if len(spans) > most:
        shown.append(f"… {len(spans)} in all")
    return ", ".join(shown) or UNKNOWN


def _tag_line(tags: Tags) -> str:
    return ", ".join(f"{tag.label} {tag.confidence:.2f}" for tag in tags.tags[:5]) or UNKNOWN
