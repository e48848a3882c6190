"""JAMS files: the values of known facts, nothing of unknown ones, and what the jams package says of them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llark.annotate import jams
from llark.errors import UserMustAct
from llark.records import (
    Annotation,
    Beats,
    Chords,
    ChordSpan,
    Key,
    LocalKeys,
    Loudness,
    Melody,
    Meter,
    Note,
    Notes,
    Sections,
    Span,
    Tag,
    Tags,
    Tempo,
)

NOTE = Note(0.5, 1.25, 60, "unknown", velocity=90)
FACTS = Annotation(
    "folder/song",
    0.0,
    8.0,
    tempo=Tempo(120.0, 0.9, "beats", 60.0),
    beats=Beats((0.5, 1.0, 1.5, 2.0), (1, 2, 1, 2), 0.8, "beats"),
    meter=Meter(6, 0.7, "beats"),
    key=Key("Eb minor", 0.6, "chords"),
    chords=Chords((ChordSpan(0.0, 4.0, "Eb:min7"), ChordSpan(4.0, 8.0, "N")), 0.75, "net"),
    instruments=Tags((Tag("piano", 0.9), Tag("voice", 0.6)), 0.75, "tags"),
    genre=Tags((Tag("jazz", 0.8),), 0.8, "tags"),
    notes=Notes((NOTE,), 0.65, "basic-pitch"),
    loudness=Loudness(-14.0, 6.0, -1.0, (-13.0, None, -15.0), (Span(0, 3, "loud", 0.7),), 0.7, "bs1770"),
    sections=Sections((Span(0.0, 4.0, "A", 0.9), Span(4.0, 8.0, "B", 0.8)), 0.85, "ssm"),
    melody=Melody("rising", 60, 60, (NOTE,), 0.7, "basic-pitch"),
)


def parts(facts: Annotation) -> dict[tuple[str, str], list[dict[str, Any]]]:
    page = jams.as_jams(facts, "song")
    return {(p["namespace"], p["sandbox"].get("kind", "")): p["data"] for p in page["annotations"]}


def test_every_known_fact_has_its_namespace() -> None:
    assert set(parts(FACTS)) == {
        ("tempo", ""), ("beat", ""), ("beat_position", ""), ("chord", ""), ("key_mode", ""),
        ("segment_open", "sections"), ("segment_open", "dynamics"), ("vector", "loudness in LUFS"),
        ("note_midi", ""), ("note_midi", "melody"), ("tag_open", "instruments"), ("tag_open", "genre"),
    }  # fmt: skip


def test_values_are_spelled_as_jams_wants_them() -> None:
    found = parts(FACTS)
    assert found["tempo", ""] == [{"time": 0.0, "duration": 8.0, "value": 120.0, "confidence": 0.9}]
    assert [o["value"] for o in found["beat", ""]] == [1, 2, 1, 2]
    assert [o["value"] for o in found["chord", ""]] == ["Eb:min7", "N"]
    assert found["key_mode", ""][0]["value"] == "Eb:minor"
    assert found["note_midi", ""] == [{"time": 0.5, "duration": 0.75, "value": 60, "confidence": 0.65}]
    assert [(o["time"], o["value"]) for o in found["vector", "loudness in LUFS"]] == [
        (0, [-13.0]),
        (2, [-15.0]),
    ]
    assert [o["value"] for o in found["tag_open", "instruments"]] == ["piano", "voice"]


def test_the_two_beats_of_six_eight_are_its_first_and_fourth_quaver() -> None:
    places = [observation["value"] for observation in parts(FACTS)["beat_position", ""]]
    assert [(p["measure"], p["position"], p["num_beats"], p["beat_units"]) for p in places] == [
        (1, 1, 6, 8), (1, 4, 6, 8), (2, 1, 6, 8), (2, 4, 6, 8),
    ]  # fmt: skip


def test_the_keys_of_a_song_take_the_place_of_its_one_key() -> None:
    local = LocalKeys((Span(0.0, 4.0, "C major", 0.9), Span(4.0, 8.0, "D major", 0.8)), 0.85, "chords")
    found = parts(Annotation("song", 0.0, 8.0, key=Key("C major", 0.5, "chords"), local_keys=local))
    assert [(o["time"], o["value"]) for o in found["key_mode", ""]] == [(0.0, "C:major"), (4.0, "D:major")]


def test_unknown_facts_are_left_out() -> None:
    page = jams.as_jams(Annotation("song", 0.0, 8.0), "song")
    assert page["annotations"] == []
    assert page["file_metadata"]["duration"] == 8.0


@pytest.mark.skipif(
    importlib.util.find_spec("jams") is None, reason="pip install jams==0.3.5 checks the schema"
)
def test_the_jams_package_finds_the_file_valid(tmp_path: Path) -> None:
    import jams as reference

    path = jams.write(tmp_path / "a" / "song.jams", FACTS, "song")
    assert reference.load(str(path), strict=True).validate(strict=True)


def test_a_file_is_written_whole_into_a_new_folder(tmp_path: Path) -> None:
    path = jams.write(tmp_path / "a" / "song.jams", FACTS, "Élan")
    assert json.loads(path.read_text())["file_metadata"]["title"] == "Élan"
    assert [p.name for p in path.parent.iterdir()] == ["song.jams"]


WRITES = """
import sys
from pathlib import Path
from llark.annotate import jams
from llark.records import Annotation
jams.write(Path(sys.argv[1]), Annotation("a", 0.0, 1.0), "Élan")
"""


def test_a_file_is_utf_8_whatever_the_machine_writes_by_itself(tmp_path: Path) -> None:
    strict = ["-X", "warn_default_encoding", "-W", "error::EncodingWarning:llark.annotate.jams"]
    subprocess.run([sys.executable, *strict, "-c", WRITES, str(tmp_path / "a.jams")], check=True)
    assert json.loads((tmp_path / "a.jams").read_bytes())["file_metadata"]["title"] == "Élan"


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserMustAct, match=r"Cannot write to .*taken/a\.jams"):
        jams.write(tmp_path / "taken" / "a.jams", FACTS, "a")
