"""Annotations as JAMS 0.3 files, which other tools for music research open. Unknown facts are left out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llark import __version__
from llark.records import Annotation, Note, Tags
from llark.storage import folders

JAMS_VERSION = "0.3.5"
SUFFIX = ".jams"
_TIME_SIGNATURES = {2: (2, 4, 1), 3: (3, 4, 1), 4: (4, 4, 1), 6: (6, 8, 3)}
"""By our meter: the two numbers of the signature, and how many of its beats go into one of ours."""

Observation = dict[str, Any]


def as_jams(annotation: Annotation, title: str) -> dict[str, Any]:
    """The facts as a JAMS object. Times are seconds from the start of the track."""
    facts = annotation
    melody = facts.melody
    parts = [
        _part(facts, "tempo", facts.tempo.source, _tempo(facts)),
        _part(facts, "beat", facts.beats.source, _beats(facts)),
        _part(facts, "beat_position", facts.beats.source, _positions(facts)),
        _part(facts, "chord", facts.chords.source, _chords(facts)),
        _part(facts, "key_mode", facts.key.source, _keys(facts)),
        _part(facts, "segment_open", facts.sections.source, _spans(facts.sections.spans), "sections"),
        _part(facts, "segment_open", facts.loudness.source, _spans(facts.loudness.dynamics), "dynamics"),
        _part(facts, "vector", facts.loudness.source, _loudness(facts), "loudness in LUFS"),
        _part(facts, "note_midi", facts.notes.source, _notes(facts.notes.notes, facts.notes.confidence)),
        _part(facts, "note_midi", melody.source, _notes(melody.notes, melody.confidence), "melody"),
        *(_part(facts, "tag_open", tags.source, _tags(facts, tags), kind) for kind, tags in _tagged(facts)),
    ]
    return {
        "annotations": [part for part in parts if part["data"]],
        "file_metadata": {
            "title": title,
            "artist": "",
            "release": "",
            "duration": facts.end_seconds,
            "identifiers": {"llark": facts.clip_id},
            "jams_version": JAMS_VERSION,
        },
        "sandbox": {},
    }


def write(path: Path, annotation: Annotation, title: str) -> Path:
    """Writes one file, whole or not at all, and returns its path. The folder is made if need be.

    Raises `UserMustAct` where it cannot be written.
    """
    text = json.dumps(as_jams(annotation, title), indent=1, ensure_ascii=False)
    with folders.clear_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    return path


def _part(
    facts: Annotation, namespace: str, source: str, data: Iterable[Observation], kind: str = ""
) -> dict[str, Any]:
    """One annotation of a JAMS file: observations of one namespace."""
    return {
        "annotation_metadata": {
            "curator": {"name": "", "email": ""},
            "annotator": {},
            "version": __version__,
            "corpus": "",
            "annotation_tools": f"llark annotate ({source})",
            "annotation_rules": "",
            "validation": "",
            "data_source": "program",
        },
        "namespace": namespace,
        "data": list(data),
        "sandbox": {"kind": kind} if kind else {},
        "time": facts.start_seconds,
        "duration": round(facts.end_seconds - facts.start_seconds, 6),
    }


def _observation(start: float, end: float, value: object, confidence: float | None) -> Observation:
    return {"time": start, "duration": round(end - start, 6), "value": value, "confidence": confidence}


def _tempo(facts: Annotation) -> Iterable[Observation]:
    if facts.tempo.bpm is not None:
        yield _observation(facts.start_seconds, facts.end_seconds, facts.tempo.bpm, facts.tempo.confidence)


def _beats(facts: Annotation) -> Iterable[Observation]:
    beats = facts.beats
    places = beats.positions if len(beats.positions) == len(beats.times_seconds) else ()
    for i, time in enumerate(beats.times_seconds):
        yield _observation(time, time, places[i] if places else None, beats.confidence)


def _positions(facts: Annotation) -> Iterable[Observation]:
    """Beats with their bar; nothing where bars or meter are unknown."""
    beats, per_bar = facts.beats, facts.meter.beats_per_bar
    if per_bar not in _TIME_SIGNATURES or len(beats.positions) != len(beats.times_seconds):
        return
    count, unit, each = _TIME_SIGNATURES[per_bar]
    measure = 0
    for time, position in zip(beats.times_seconds, beats.positions, strict=True):
        measure += position == 1
        place = 1 + (position - 1) * each
        value = {"position": place, "measure": measure, "num_beats": count, "beat_units": unit}
        yield _observation(time, time, value, facts.meter.confidence)


def _chords(facts: Annotation) -> Iterable[Observation]:
    for span in facts.chords.spans:
        yield _observation(span.start_seconds, span.end_seconds, span.label, facts.chords.confidence)


def _keys(facts: Annotation) -> Iterable[Observation]:
    """The local keys of a song; where there are none, the one of the whole."""
    if facts.local_keys.spans:
        for span in facts.local_keys.spans:
            value = span.label.replace(" ", ":")
            yield _observation(span.start_seconds, span.end_seconds, value, span.confidence)
    elif facts.key.name is not None:
        value = facts.key.name.replace(" ", ":")
        yield _observation(facts.start_seconds, facts.end_seconds, value, facts.key.confidence)


def _spans(spans: Iterable[Any]) -> Iterable[Observation]:
    for span in spans:
        yield _observation(span.start_seconds, span.end_seconds, span.label, span.confidence)


def _loudness(facts: Annotation) -> Iterable[Observation]:
    """The loudness of each second; silent ones are left out."""
    for i, value in enumerate(facts.loudness.each_second_lufs):
        if value is not None:
            second = round(facts.start_seconds + i, 6)
            yield _observation(second, second + 1, [value], None)


def _notes(notes: Iterable[Note], confidence: float) -> Iterable[Observation]:
    for note in notes:
        yield _observation(note.onset_seconds, note.offset_seconds, note.pitch_midi, confidence)


def _tagged(facts: Annotation) -> list[tuple[str, Tags]]:
    return [("instruments", facts.instruments), ("genre", facts.genre), ("mood", facts.mood)]


def _tags(facts: Annotation, tags: Tags) -> Iterable[Observation]:
    for tag in tags.tags:
        yield _observation(facts.start_seconds, facts.end_seconds, tag.label, tag.confidence)
