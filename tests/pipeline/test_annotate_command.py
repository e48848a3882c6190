"""`llark annotate` as somebody who types it."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from llark import audio, cli
from llark.errors import UserMustAct
from llark.options import AnnotateOptions
from llark.pipeline import annotate as facts
from llark.prepare.crop import Crop
from llark.records import Annotation, Clip, Key, Track
from llark.report import text
from llark.storage import stages

RATE = 22050
needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the extra `plot` is not installed"
)


def chord(path: Path, seconds: float = 3.0) -> Path:
    """A C major chord that decays, struck once a second."""
    time = np.arange(round(RATE * seconds)) / RATE
    sound = np.zeros_like(time)
    for pitch in (48, 52, 55):
        for harmonic in range(1, 6):
            hz = 440 * 2 ** ((pitch - 69) / 12) * harmonic
            sound += 0.08 / harmonic**1.3 * np.sin(2 * np.pi * hz * time) * np.exp(-1.5 * (time % 1.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.save(path, sound.astype(np.float32), RATE)
    return path


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What a successful command writes to standard output."""
    cli.app(["annotate", *map(str, words)], result_action="return_value")
    return capsys.readouterr().out


def test_a_song_is_printed_with_its_facts_and_its_timeline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(capsys, chord(tmp_path / "c.wav"))
    rows = {row.split()[0]: row for row in out.splitlines() if row.strip()}
    assert "C major" in rows["one"]
    assert rows["loudness"][0] == "l"
    assert "LUFS" in out
    assert rows["chords"].split()[1].startswith("C··")
    assert max(len(row) for row in out.splitlines() if "/" not in row) <= 100


def test_json_is_one_line_a_song_that_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    songs = [chord(tmp_path / f"{name}.wav", 2.0) for name in "ab"]
    out = printed(capsys, *songs, "--json", "--jams", tmp_path / "jams")
    pages = [json.loads(row) for row in out.splitlines()]
    assert [page["facts"]["clip_id"] for page in pages] == ["a", "b"]
    assert pages[0]["facts"]["isolated_chord"]["label"] == "C:maj"
    written = json.loads((tmp_path / "jams" / "b.jams").read_text())
    assert {"chord", "vector"} <= {part["namespace"] for part in written["annotations"]}


def test_recordings_that_cannot_be_used_cost_no_other_and_the_order_is_the_one_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [chord(tmp_path / f"{name}.wav", 1.5) for name in ("e", "a", "b")]
    bad, missing = tmp_path / "c.mp3", tmp_path / "nowhere.wav"
    bad.write_bytes(bytes(3000))
    not_text = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
    not_text.write_bytes(good[0].read_bytes())
    songs = [good[0], bad, good[1], missing, not_text, good[2]]
    with pytest.raises(UserMustAct, match=r"^3 of 6 annotated, 3 dropped\.$"):
        cli.app(["annotate", *map(str, songs), "--json", "--jams", str(tmp_path / "jams")])
    said = capsys.readouterr()
    assert [json.loads(row)["facts"]["clip_id"] for row in said.out.splitlines()] == ["e", "a", "b"]
    assert sorted(path.name for path in (tmp_path / "jams").iterdir()) == ["a.jams", "b.jams", "e.jams"]
    lines = said.err.splitlines()
    assert lines[0] == f"c: {bad} is not an audio file that can be read, or is damaged."
    assert lines[1] == f"nowhere: There is no file or folder {missing}."
    assert lines[2].endswith("is not UTF-8 text; rename it.")
    with pytest.raises(UserMustAct, match="is not an audio file"):
        list(facts.annotate([bad]))


def test_a_folder_with_a_name_that_is_no_text_is_annotated_but_for_that_one(tmp_path: Path) -> None:
    song = chord(tmp_path / "music" / "a.wav", 1.5)
    Path(os.fsdecode(os.fsencode(tmp_path / "music") + b"/\xff.wav")).write_bytes(song.read_bytes())
    said = list(facts.annotate([tmp_path / "music", tmp_path / "gone"], tmp_path / "out", workers=0))
    assert "1 of 3 annotated, 2 dropped" in said[-1]
    drops = {drop.id: (drop.stage, drop.reason) for drop in stages.read_dropped(tmp_path / "out")}
    assert drops == {"\\udcff": ("annotate", "name-not-text"), "gone": ("annotate", "missing")}
    assert [a.clip_id for a in stages.read(tmp_path / "out", Annotation)] == ["a"]


def test_the_share_of_lost_recordings_that_stops_a_run_can_be_set(tmp_path: Path) -> None:
    chord(tmp_path / "music" / "a.wav", 1.5)
    for number in range(20):
        (tmp_path / "music" / f"broken {number}.flac").write_bytes(b"not music")
    with pytest.raises(UserMustAct, match="annotate stopped: 19 of 20 records were dropped"):
        list(facts.annotate([tmp_path / "music"], tmp_path / "out", workers=0))
    options = AnnotateOptions(drop_share=1)
    said = list(facts.annotate([tmp_path / "music"], tmp_path / "out", options, workers=0))
    assert "1 of 21 annotated, 20 dropped" in said[-1]


@needs_matplotlib
def test_a_picture_goes_into_a_file_or_for_several_into_a_folder(tmp_path: Path) -> None:
    song = chord(tmp_path / "c.wav", 1.5)
    list(facts.annotate([song], options=AnnotateOptions(plot=tmp_path / "one.svg")))
    assert "<!-- loudness -->" in (tmp_path / "one.svg").read_text()
    other = chord(tmp_path / "d.wav", 1.5)
    with pytest.raises(UserMustAct, match="2 recordings: name a folder"):
        list(facts.annotate([song, other], options=AnnotateOptions(plot=tmp_path / "two.png")))
    list(facts.annotate([song, other], options=AnnotateOptions(plot=tmp_path / "pictures")))
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["c.png", "d.png"]


def test_a_picture_of_no_known_format_is_refused_before_anything_is_heard(tmp_path: Path) -> None:
    song, out = chord(tmp_path / "c.wav", 1.5), tmp_path / "out"
    for kept in (None, out):
        with pytest.raises(UserMustAct, match=r"one of \.png, \.svg, \.pdf, not \.bmp\. For a folder"):
            list(facts.annotate([song], kept, options=AnnotateOptions(plot=tmp_path / "x.bmp"), workers=0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.wav"]


@needs_matplotlib
def test_a_folder_that_is_there_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "take.2").mkdir()
    list(facts.annotate([chord(tmp_path / "c.wav", 1.5)], options=AnnotateOptions(plot=tmp_path / "take.2")))
    assert [path.name for path in (tmp_path / "take.2").iterdir()] == ["c.png"]


def test_a_folder_becomes_a_stage_that_is_done_once(tmp_path: Path) -> None:
    for name in ("x/a.wav", "b.wav"):
        chord(tmp_path / "music" / name, 1.5)
    (tmp_path / "music" / "broken.flac").write_bytes(b"not music")
    first = list(facts.annotate([tmp_path / "music"], tmp_path / "out", workers=0))
    assert first[0].splitlines()[0].startswith("recording ")
    assert "2 of 3 annotated, 1 dropped" in first[-1]
    assert [a.clip_id for a in stages.read(tmp_path / "out", Annotation)] == ["b", "x/a"]
    about = (tmp_path / "out" / "about.json").stat().st_mtime_ns
    assert list(facts.annotate([tmp_path / "music"], tmp_path / "out", workers=0)) == first
    assert (tmp_path / "out" / "about.json").stat().st_mtime_ns == about


def test_the_clips_of_a_prepared_folder_are_annotated_one_by_one(tmp_path: Path) -> None:
    song = chord(tmp_path / "c.wav", 4.0)
    with stages.open_stage(tmp_path / "made" / "clips", "prepare") as writer:
        clips = [c for c in Crop(window_seconds=2.0)(Track("c", str(song))) if isinstance(c, Clip)]
        writer.write("c", clips)
        writer.finish()
    said = list(
        facts.annotate(
            [tmp_path / "made"], tmp_path / "out", AnnotateOptions(jams=tmp_path / "jams"), workers=0
        )
    )
    assert "2 of 2 annotated" in said[-1]
    found = list(stages.read(tmp_path / "out", Annotation))
    assert [(a.start_seconds, a.end_seconds) for a in found] == [(0.0, 2.0), (2.0, 4.0)]
    assert len(list((tmp_path / "jams").glob("*.jams"))) == 2
    with pytest.raises(UserMustAct, match="it goes alone"):
        list(facts.annotate([tmp_path / "made", song], tmp_path / "out2", workers=0))


def test_a_folder_without_out_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="say with --out"):
        list(facts.annotate([tmp_path]))


def test_the_name_of_a_record_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    inside = facts._inside(tmp_path, "/../../etc/../song", ".jams")
    assert inside == tmp_path / "etc" / "song.jams"


def test_the_wave_of_a_picture_has_the_peaks_of_the_recording(tmp_path: Path) -> None:
    samples = np.zeros(RATE * 60, np.float32)
    samples[RATE * 45], samples[RATE * 15] = 0.8, -0.6
    audio.save(tmp_path / "a.wav", samples, RATE)
    wave = facts.envelope(str(tmp_path / "a.wav"), 0.0, 60.0)
    assert wave[:, 1].argmax() == 900
    assert wave[:, 0].argmin() == 300
    assert (wave.max(), wave.min()) == (pytest.approx(0.8, abs=1e-3), pytest.approx(-0.6, abs=1e-3))


def test_a_row_of_the_table_says_what_is_known() -> None:
    row = text.facts_as_row(Annotation("a" * 40, 0.0, 75.4, key=Key("E minor", 0.7)))
    assert row.split() == [f"…{'a' * 29}", "1:15", "–", "–", "E", "minor", "–"]
    assert row.index("E minor") == text.TABLE_HEAD.index("key")
