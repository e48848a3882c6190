"""The Groove MIDI Dataset as a source: drummers to a click, alone or with our own band."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import mido
import numpy as np
import pytest

from llark import corpus
from llark.cli import app
from llark.corpus import clips, groove_midi
from llark.corpus.piece import Piece, Unusable
from llark.errors import StoreMismatch, UserMustAct

HEAD = "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split\n"
EDGE_OF_HAT, HAT, KICK, SNARE = 22, 42, 36, 38


def playing(bpm: int, bars: int = 24, late: int = 12) -> bytes:
    """Kick and snare a little late of every beat, the hi-hat's edge between."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm))])
    wait = late
    for beat in range(4 * bars):
        for drum in (SNARE if beat % 2 else KICK, EDGE_OF_HAT):
            track.append(mido.Message("note_on", channel=9, note=drum, velocity=100, time=wait))
            track.append(mido.Message("note_off", channel=9, note=drum, velocity=0, time=24))
            wait = 216
    buffer = io.BytesIO()
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(file=buffer)
    return buffer.getvalue()


def training_session() -> str:
    """A session whose group is of the training split."""
    names = (f"drummer1/session{number}" for number in range(1, 50))
    return next(name for name in names if clips.split_of(f"groove_midi/{name}") == "train")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two usable performances, of rock and of latin, and rows of every kind that is not used."""
    out, session = tmp_path / "groove", training_session()
    rows = [
        ("funk/fill", 100, "fill", "4-4", "fill.mid", 30.0), ("rock", 100, "beat", "4-4", "short.mid", 4.0),
        ("rock/half", 110, "beat", "6-8", "six.mid", 30.0), ("rock/indie", 120, "beat", "4-4", "a.mid", 48.0),
        ("latin/samba", 96, "beat", "4-4", "b.mid", 60.0),
    ]  # fmt: skip
    out.mkdir()
    lines = [
        f"drummer1,{session},{session}/1,{style},{bpm},{kind},{time},{file},{file}.wav,{seconds},train\n"
        for style, bpm, kind, time, file, seconds in rows
    ]
    (out / "info.csv").write_text(HEAD + "".join(lines))
    (out / "a.mid").write_bytes(playing(120))
    (out / "b.mid").write_bytes(playing(96))
    return out


def render(out: Path, folder: Path | None, sources: tuple[str, ...] | None = None) -> None:
    clips.render(
        out, clips=2, seed=5, sources=sources, workers=0, renderer="midirenderer", groove_midi_folder=folder,
        progress=False,
    )  # fmt: skip


def pieces(folder: Path) -> list[Piece]:
    found = groove_midi.drummers(folder)
    return [found.piece(Random(seed), 0.0, lambda group: True) for seed in range(40)]


def test_long_performances_in_three_and_four_are_used_and_fills_are_not(folder: Path) -> None:
    used = groove_midi.drummers(folder).performances
    assert [(p.file, p.bpm, p.meter, p.style) for p in used] == [
        ("a.mid", 120.0, 4, "rock"), ("b.mid", 96.0, 4, "latin"),
    ]  # fmt: skip


def test_the_kits_own_pitches_become_those_of_general_midi(folder: Path) -> None:
    drums = pieces(folder)[0].parts[0]
    assert {note.pitch for note in drums.notes} == {KICK, SNARE, HAT}
    assert drums.notes[0].start == pytest.approx(12 / 480)


def test_some_play_alone_and_others_with_bass_chords_and_a_key(folder: Path) -> None:
    made = pieces(folder)
    alone = [piece for piece in made if len(piece.parts) == 1]
    assert 8 <= len(alone) <= 26
    assert all(piece.key is None and not piece.harmony for piece in alone)
    for piece in made:
        assert piece.parts[0].is_drums
        assert not any(part.is_drums for part in piece.parts[1:])
        if len(piece.parts) > 1:
            assert {"bass", "chords"} <= {part.role for part in piece.parts}
            assert piece.key is not None
            assert piece.harmony[-1].end >= piece.length_beats - 1


def test_what_is_felt_in_two_as_well_as_in_four_has_no_meter(folder: Path) -> None:
    meters = {(piece.about["style"], piece.meter) for piece in pieces(folder)}
    assert meters == {("rock", 4), ("latin", None)}


def test_beats_are_the_clicks_and_the_licence_is_the_data_sets(folder: Path, tmp_path: Path) -> None:
    render(tmp_path / "out", folder)
    found = list(corpus.read(tmp_path / "out"))
    assert len(found) == 2
    for track, truth in found:
        assert (track.dataset, track.licence, track.split) == ("corpus-groove_midi", "CC-BY-4.0", "train")
        assert track.group == f"groove_midi/{training_session()}"
        assert truth.tempo.bpm is not None
        assert 96 / 1.13 < truth.tempo.bpm < 120 * 1.13
        steps = np.diff(truth.beats.times_seconds)
        assert steps.mean() == pytest.approx(60 / truth.tempo.bpm, rel=0.03)
        assert "drums" in truth.instruments.labels


def test_the_command_takes_the_folder_and_no_other_source(folder: Path, tmp_path: Path) -> None:
    words = "--clips 1 --seed 5 --renderer midirenderer --workers 0 --groove-midi"
    app(["corpus", str(tmp_path / "out"), *words.split(), str(folder)], result_action="return_value")
    assert [track.dataset for track, _ in corpus.read(tmp_path / "out")] == ["corpus-groove_midi"]


def test_another_data_set_in_the_same_corpus_is_refused(folder: Path, tmp_path: Path) -> None:
    render(tmp_path / "out", folder)
    (folder / "info.csv").write_text((folder / "info.csv").read_text().replace(",96,", ",97,"))
    with pytest.raises(StoreMismatch):
        render(tmp_path / "out", folder)


def test_a_performance_that_is_missing_is_dropped_with_its_name(folder: Path) -> None:
    (folder / "a.mid").unlink()
    (folder / "b.mid").write_bytes(b"MThd broken")
    with pytest.raises(Unusable, match=r"[ab]\.mid") as caught:
        groove_midi.drummers(folder).piece(Random(1), 0.0, lambda group: True)
    assert caught.value.reason == "unreadable"


def test_a_folder_that_is_not_the_data_set_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match=r"is not the Groove MIDI Dataset: info\.csv"):
        render(tmp_path / "out", tmp_path)
    (tmp_path / "info.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserMustAct, match=r"KeyError"):
        render(tmp_path / "out", tmp_path)
    (tmp_path / "info.csv").write_text(HEAD)
    with pytest.raises(UserMustAct, match="no performance of 10 s"):
        render(tmp_path / "out", tmp_path)
    with pytest.raises(UserMustAct, match="give both"):
        render(tmp_path / "out", None, sources=("groove_midi",))
