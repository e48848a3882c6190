"""MusicNet, Slakh and NSynth: notes with their right names, octaves and times."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llark.errors import UserMustAct
from llark.music.facts_line import describe_facts
from llark.music.names import note_name
from llark.prepare.datasets import musicnet, nsynth, slakh
from llark.prepare.reading import drum_name, program_name
from llark.records import Annotation, Dropped, Note, Notes, Track, from_json, to_json
from tests.prepare.datasets.dataset_trees import TREES, midi, slakh_metadata, slakh_stem, sound, write


def by_id(records: object) -> dict[str, Track]:
    return {record.id: record for record in records if isinstance(record, Track)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("pitch", "name"), [(69, "A4"), (60, "C4"), (59, "B3"), (61, "C#4"), (21, "A0"), (108, "C8"), (0, "C-1")]
)
def test_a_pitch_has_its_scientific_name(pitch: int, name: str) -> None:
    assert note_name(pitch) == name


@pytest.mark.parametrize(
    ("program", "name"),
    [(0, "Acoustic Grand Piano"), (40, "Violin"), (71, "Clarinet"), (127, "Gunshot")],
)
def test_general_midi_programs_count_from_0(program: int, name: str) -> None:
    assert program_name(program) == name


def test_percussion_keys_have_names_and_unknown_ones_are_kept() -> None:
    assert [drum_name(pitch) for pitch in (35, 38, 42, 93)] == [
        "Acoustic Bass Drum", "Acoustic Snare", "Closed Hi Hat", "drum 93",
    ]  # fmt: skip


def test_musicnet_labels_are_samples_and_their_instruments_count_from_1(tmp_path: Path) -> None:
    TREES["musicnet"](tmp_path)
    track = by_id(musicnet.read_tracks(tmp_path))["1727"]
    assert track.truth is not None
    assert track.truth.notes.notes == (
        Note(1.0, 2.0, 60, "Acoustic Grand Piano", program=0),
        Note(2.0, 3.0, 69, "Violin", program=40),
    )
    assert track.truth.notes.source == "musicnet"
    assert track.truth.instruments.labels == ("Acoustic Grand Piano", "Violin")
    assert track.truth.end_seconds == 447.0


def test_musicnet_reads_refined_midi_where_there_is_no_table(tmp_path: Path) -> None:
    TREES["musicnet"](tmp_path)
    track = by_id(musicnet.read_tracks(tmp_path))["2106"]
    assert track.truth is not None
    assert track.truth.notes.source == "musicnet_em"
    (note,) = track.truth.notes.notes
    assert (note.instrument, note.pitch_midi, note.velocity) == ("Cello", 48, 90)
    assert (note.onset_seconds, note.offset_seconds) == (pytest.approx(0.5), pytest.approx(1.5))


def test_a_musicnet_piece_without_notes_is_a_track(tmp_path: Path) -> None:
    TREES["musicnet"](tmp_path)
    track = by_id(musicnet.read_tracks(tmp_path))["1733"]
    assert track.truth is not None
    assert track.truth.notes == Notes()
    assert (track.artist, track.title) == ("Dvořák", 'Sonata "in A", for all, 2. Andantino')
    assert track.group == 'Dvořák: Sonata "in A", for all'
    assert track.duration_seconds is None


def test_musicnet_test_pieces_are_the_publisher_s_ten(tmp_path: Path) -> None:
    assert len(musicnet.TEST_IDS) == 10
    TREES["musicnet"](tmp_path)
    splits = {id_: track.split for id_, track in by_id(musicnet.read_tracks(tmp_path)).items()}
    assert splits == {"1727": "train", "1733": "train", "2106": "test"}


def test_slakh_notes_come_from_the_stems_that_sound(tmp_path: Path) -> None:
    TREES["slakh"](tmp_path)
    track = by_id(slakh.read_tracks(tmp_path))["Track00001"]
    assert track.truth is not None
    heard = [(n.instrument, n.pitch_midi, n.is_drum, n.program) for n in track.truth.notes.notes]
    assert heard == [
        ("Acoustic Snare", 38, True, None), ("drum 93", 93, True, None), ("Violin", 69, False, 40),
    ]  # fmt: skip
    assert [note.onset_seconds for note in track.truth.notes.notes] == pytest.approx(
        [0.0, 0.5, 1.0], abs=1e-3
    )
    assert track.truth.instruments.labels == ("Violin", "Drums")
    assert track.metadata["stems"] == ("S00", "S01")
    assert track.metadata["overall_gain"] == 0.18
    assert track.group == "1a81ae"


def test_slakh_notes_are_unknown_where_a_stem_has_none(tmp_path: Path) -> None:
    TREES["slakh"](tmp_path)
    (tmp_path / "train/Track00001/MIDI/S01.mid").unlink()
    track = by_id(slakh.read_tracks(tmp_path))["Track00001"]
    assert track.truth is not None
    assert track.truth.notes == Notes()


def test_a_stem_of_drums_is_drums_on_any_channel(tmp_path: Path) -> None:
    folder = tmp_path / "train/Track00002"
    write(folder / "metadata.yaml", slakh_metadata(slakh_stem("S00", 128, "Drums", is_drum=True)))
    write(folder / "MIDI/S00.mid", "")
    (folder / "MIDI/S00.mid").write_bytes(midi(0, [(0.0, 0.1, 36, 90)]))
    sound(folder / "mix.flac")
    track = by_id(slakh.read_tracks(tmp_path))["Track00002"]
    assert track.truth is not None
    (note,) = track.truth.notes.notes
    assert (note.instrument, note.is_drum, note.program) == ("Bass Drum 1", True, None)


@pytest.mark.parametrize(
    ("number", "split"),
    [(1, "train"), (49, "omitted"), (1500, "train"), (1501, "validation"), (1875, "validation"),
     (1876, "test"), (2100, "omitted")],
)  # fmt: skip
def test_slakh_splits_are_those_of_redux(number: int, split: str) -> None:
    assert slakh.split_of_number(number) == split


def test_slakh_redux_has_the_published_counts() -> None:
    splits = [slakh.split_of_number(number) for number in range(1, 2101)]
    assert [splits.count(split) for split in slakh.SPLITS] == [1289, 270, 151, 390]


def test_babyslakh_has_no_split_folders_and_wrong_flags(tmp_path: Path) -> None:
    folder = tmp_path / "babyslakh_16k/Track00003"
    write(folder / "metadata.yaml", slakh_metadata(slakh_stem("S00", 0, "Piano 1", audio_rendered=False)))
    sound(folder / "mix.wav")
    sound(folder / "stems/S00.wav")
    track = by_id(slakh.read_tracks(tmp_path))["Track00003"]
    assert track.split == "train"
    assert track.truth is not None
    assert track.truth.instruments.labels == ("Piano 1",)


def test_nsynth_notes_are_held_for_three_seconds(tmp_path: Path) -> None:
    TREES["nsynth"](tmp_path)
    track = by_id(nsynth.read_tracks(tmp_path))["a-069-025"]
    assert track.truth is not None
    assert track.truth.notes.notes == (Note(0.0, 3.0, 69, "keyboard", 25),)
    assert (track.metadata["pitch_name"], track.metadata["qualities_str"]) == ("A4", ("dark", "reverb"))
    assert (track.duration_seconds, track.group) == (4.0, "keyboard_acoustic_004")


def test_nsynth_reads_the_folders_of_the_asked_split_only(tmp_path: Path) -> None:
    TREES["nsynth"](tmp_path)
    write(tmp_path / "nsynth-train/examples.json", "not JSON")
    assert list(by_id(nsynth.read_tracks(tmp_path, "validation"))) == ["b-069-025"]
    with pytest.raises(UserMustAct, match="not JSON"):
        list(nsynth.read_tracks(tmp_path))


def test_notes_without_the_extra_say_which_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TREES["musicnet"](tmp_path)
    monkeypatch.setitem(sys.modules, "pretty_midi", None)
    with pytest.raises(UserMustAct, match=r"llark\[prepare\]"):
        list(musicnet.read_tracks(tmp_path))


def test_a_track_of_before_still_loads() -> None:
    old = '{"id":"a","path":"/a.wav","dataset":"d","split":"test","group":"g"}'
    track = from_json(Track, old)
    assert (track.id, track.metadata, track.truth, track.captions) == ("a", {}, None, ())
    annotation = from_json(Annotation, '{"clip_id":"a","start_seconds":0,"end_seconds":1}')
    assert annotation.notes == Notes()


def test_a_track_with_metadata_can_still_be_in_a_set() -> None:
    tracks = {Track("a", "/a", metadata={"n": 1}), Track("a", "/a", metadata={"n": 1})}
    assert len(tracks) == 1


def test_metadata_keep_their_types_through_json() -> None:
    given = {"text": "é", "count": 3, "share": 2.0, "flag": True, "list": ("a", "b")}
    read = from_json(Track, to_json(Track("a", "/a", metadata=given))).metadata
    assert read == given
    assert {name: type(value) for name, value in read.items()} == {n: type(v) for n, v in given.items()}


def test_notes_are_not_in_the_line_of_facts() -> None:
    plain = Annotation("a", 0.0, 1.0)
    with_notes = Annotation("a", 0.0, 1.0, notes=Notes((Note(0.0, 1.0, 60, "Violin"),), 1.0, "x"))
    assert describe_facts(with_notes) == describe_facts(plain)


@pytest.mark.parametrize(
    ("marker", "data"),
    [
        (b"MThd\0\0\0\6\0\1\0\2", b"\0\0"),
        (b"MThd\0\0\0\6\0\1\0\2", b"\xe7\x28"),
        (b"\xff\x58\x04", b"\xff\x59\2\x2e\7"),
    ],
    ids=["division 0", "SMPTE timing", "no such key"],
)
def test_a_midi_file_that_counts_no_time_costs_its_recording_alone(
    tmp_path: Path, marker: bytes, data: bytes
) -> None:
    TREES["slakh"](tmp_path)
    before = [r.id for r in slakh.read_tracks(tmp_path) if isinstance(r, Track)]
    path = next(tmp_path.glob(f"*/{before[0]}/MIDI/*.mid"))
    whole = path.read_bytes()
    at = whole.index(marker) + (len(marker) if marker.startswith(b"MThd") else 0)
    path.write_bytes(whole[:at] + data + whole[at + len(data) :])
    records = list(slakh.read_tracks(tmp_path))
    assert [r.id for r in records if isinstance(r, Track)] == before[1:]
    assert {r.id: r.reason for r in records if isinstance(r, Dropped)}[before[0]] == "bad-midi"


def test_a_bad_midi_file_is_a_drop_that_names_it(tmp_path: Path) -> None:
    TREES["slakh"](tmp_path)
    drops = {r.id: r for r in slakh.read_tracks(tmp_path) if isinstance(r, Dropped)}
    assert drops["Track01876"].reason == "bad-midi"
    assert drops["Track01876"].detail.startswith("test/Track01876/MIDI/S00.mid is no MIDI file")
