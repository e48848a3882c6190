"""The sources, on texts and files small enough to write out; MMA itself where it is installed."""

from __future__ import annotations

import io
import shutil
import struct
from pathlib import Path
from random import Random

import mido
import pytest

from llark.corpus import abc, midi, mma, scores, songs
from llark.corpus.piece import BEND, Control, Harmony, Part, ScoreNote, Unusable, draw

LIBRARY_FILE = """
// a file in the manner of the library
Begin Doc
   Time 7 is only talk, and so is
   DefGroove Nothing
End
SeqClear
Time 3
Timesig 3 4
DefGroove Sway   An easy three.
DefGroove SwayIntro  Four bars to begin with.
Time 6   // eighths
Timesig 6 8
  DefGroove Rock6
Time 2
DefGroove March6
Time 5
DefGroove Limp
TimeSig 4 4
Time 4/4
defgroove Plain
"""


def test_grooves_are_found_with_the_meter_they_are_heard_in() -> None:
    found = {g.name: (g.meter, g.library_beats) for g in mma.read_grooves("test/sway", LIBRARY_FILE)}
    assert found == {"Sway": (3, 1), "Rock6": (6, 3), "March6": (6, 1), "Plain": (4, 1)}


def test_a_polka_counted_in_four_is_heard_in_two() -> None:
    (groove,) = mma.read_grooves("stdlib/polka", "Time 4\nDefGroove Polka")
    assert (groove.meter, groove.library_beats, groove.beats_per_bar) == (2, 2, 2)
    assert groove.group == "mma/stdlib/polka"
    assert mma.read_grooves("stdlib/afro-cuban", "Time 3\nDefGroove Afro") == []


def test_a_script_puts_chords_on_the_library_beats() -> None:
    groove = mma.Groove("test/six", "Six", 6, 3, ())
    spans = (Harmony(0, 3, 0, "maj"), Harmony(3, 4, 9, "min"), Harmony(4, 8, 7, "7"))
    lines = mma.script(groove, spans, 4, seed=5).splitlines()
    assert lines[:3] == ["RndSeed 5", "Tempo 120", "Groove test/six:Six"]
    assert lines[3:] == ["1 C", "2 C / / Am", "3 G7", "4 G7"]


def test_library_beats_become_ours() -> None:
    part = Part("bass", 33, (ScoreNote(0, 3, 40, 80), ScoreNote(3, 5, 43, 80)), (Control(6, 7, 90),))
    (ours,) = mma.in_our_beats([part], 3)
    assert [(n.start, n.end) for n in ours.notes] == [(0, 1), (1, pytest.approx(5 / 3))]
    assert ours.controls[0].start == 2


@pytest.mark.skipif(shutil.which("mma") is None, reason="needs the Debian package mma")
def test_mma_plays_the_bars_of_its_script_with_the_chords_in_the_bass() -> None:
    groove = next(g for g in mma.find_grooves() if (g.file, g.name) == ("stdlib/waltz", "Waltz"))
    spans = (Harmony(0, 3, 2, "min"), Harmony(3, 6, 7, "maj"), Harmony(6, 12, 0, "maj"))
    parts, tempos = midi.read(mma.run(mma.script(groove, spans, 4, seed=1)))
    notes = [note for part in parts if not part.is_drums for note in part.notes]
    assert 10 < max(note.end for note in notes) < 13
    assert tempos.signatures[0][1:] == (3, 4)
    first_bar = {note.pitch % 12 for note in notes if note.start < 2.9}
    assert first_bar <= {2, 5, 9}
    assert len(first_bar) == 3


@pytest.mark.skipif(shutil.which("mma") is None, reason="needs the Debian package mma")
def test_what_mma_refuses_is_unusable_with_its_message() -> None:
    with pytest.raises(Unusable, match="could not be found") as caught:
        mma.run("Groove NoSuchGrooveAnywhere\n1 C\n")
    assert caught.value.reason == "mma-refused"


def midi_file(*messages: mido.Message | mido.MetaMessage, ticks: int = 480) -> bytes:
    buffer = io.BytesIO()
    mido.MidiFile(tracks=[mido.MidiTrack(messages)], ticks_per_beat=ticks).save(file=buffer)
    return buffer.getvalue()


def note(pitch: int, at: int, length: int, channel: int = 0) -> list[mido.Message]:
    """A note `at` ticks after the message before."""
    return [
        mido.Message("note_on", note=pitch, velocity=90, time=at, channel=channel),
        mido.Message("note_on", note=pitch, velocity=0, time=length, channel=channel),
    ]


def test_a_midi_file_becomes_parts_by_program_with_times_in_quarters() -> None:
    data = midi_file(
        mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(100)),
        mido.MetaMessage("time_signature", numerator=3, denominator=4),
        mido.Message("program_change", program=40),
        mido.Message("pitchwheel", pitch=512),
        *note(60, 0, 480),
        mido.Message("program_change", program=68),  # oboe: a clarinet plays
        *note(62, 240, 480),
        *note(38, 0, 10, channel=9),
    )
    parts, tempos = midi.read(data)
    assert [(p.role, p.program) for p in parts] == [("chords", 40), ("chords", 71), ("drums", 0)]
    assert parts[0].notes == (ScoreNote(0, 1, 60, 90),)
    assert parts[0].controls == (Control(0, BEND, 512),)
    assert parts[1].notes == (ScoreNote(1.5, 2.5, 62, 90),)
    assert [round(bpm) for _, bpm in tempos.bpm] == [100]
    assert tempos.signatures == ((0, 3, 4),)


def test_bytes_that_are_no_midi_file_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="MIDI"):
        midi.read(b"MThd broken")


def test_a_part_in_seconds_survives_being_written_as_midi() -> None:
    part = Part(
        "chords",
        11,
        (ScoreNote(0.5, 1.25, 64, 77), ScoreNote(1.25, 2.0, 64, 70)),
        (Control(0.0, BEND, -400),),
    )
    parts, _ = midi.read(midi.write(part))
    (again,) = parts  # at 120 BPM a quarter is half a second
    assert [(n.start / 2, n.end / 2, n.pitch, n.velocity) for n in again.notes] == [
        (0.5, 1.25, 64, 77),
        (1.25, 2.0, 64, 70),
    ]
    assert again.controls == (Control(0.0, BEND, -400),)


def song(jitter: int = 0, tempo: int = 120, bars: int = 6) -> bytes:
    events = [mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))]
    events.append(mido.MetaMessage("time_signature", numerator=4, denominator=4))
    for k in range(4 * bars):
        late = jitter if k % 2 else 0
        events += note(60 + k % 5, late, 480 - late)
    return midi_file(*events)


def wad(**lumps: bytes) -> bytes:
    body, directory, place = b"", b"", 12
    for name, data in lumps.items():
        directory += struct.pack("<ii8s", place, len(data), name.encode())
        body, place = body + data, place + len(data)
    return struct.pack("<4sii", b"IWAD", len(lumps), place) + body + directory


def test_songs_of_a_wad_are_found_once_with_tempo_bounds_and_meter(tmp_path: Path) -> None:
    lumps = {"E1M1": b"map", "D_E1M1": song(), "D_E1M2": song(), "D_LOOSE": song(jitter=100)}
    (tmp_path / "freedoom1.wad").write_bytes(wad(**lumps))
    ((name, piece),) = songs.songs(tmp_path)
    assert name == "D_E1M1"
    assert (piece.slowest_bpm, piece.fastest_bpm) == (96.0, 144.0)
    assert (piece.meter, piece.key, piece.genres) == (4, None, ())
    assert piece.length_beats == 24.0


def test_a_song_whose_tempo_changes_is_left_out() -> None:
    events = [mido.MetaMessage("set_tempo", tempo=500_000), *note(60, 0, 480)]
    changing = midi_file(*events, mido.MetaMessage("set_tempo", tempo=400_000), *note(60, 0, 480))
    assert songs.as_piece(changing, "x", "") is None
    assert songs.as_piece(b"MThd", "x", "") is None


def test_a_file_that_is_no_wad_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="WAD"):
        songs.lumps(b"PK\x03\x04 something else")


TUNES = """X: 1
T:The Test -- Jig
M:6/8
L:1/8
K:Em
B|E2E G2A|B2B e2B|d2B A2G|F2E D2B,|
E2E G2A|B2B e2d|B2A G2F|E3 E2:|

X: 2
T:Mode
M:4/4
L:1/8
K:Ador
A8|A8|A8|A8|

X: 3
T:A Slip
M:9/8
L:1/8
K:G
G9|

X: 4
T:The Test
M:6/8
L:1/8
K:G
G6|G6|G6|G6|
"""


def test_tunes_keep_the_key_and_meter_of_their_own_lines() -> None:
    first, fourth = abc.read_tunes("test", TUNES)
    assert (first.title, first.meter, first.key) == ("The Test -- Jig", 6, 12 + 4)
    assert fourth.key == 7
    assert first.group == fourth.group == "abc/test"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        *[("G", 7), ("Bb", 10), ("F#m", 12 + 6), ("E Minor", 12 + 4), ("Amin", 12 + 9), ("D Major", 2)],
        *[(text, None) for text in ("Ador", "Dmix", "G % pentatonic", "GM", "Hp")],
    ],
)
def test_a_key_line_is_read_or_left_alone(text: str, key: int | None) -> None:
    assert abc.parse_key(text) == key


def test_a_pickup_comes_before_the_first_downbeat_and_the_loop_keeps_the_bars() -> None:
    tune = abc.read_tunes("test", TUNES)[0]
    notes, bars = abc.as_notes(tune)
    assert bars == 8
    assert notes[0].start == pytest.approx(-1 / 3)
    assert notes[1].start == 0
    assert (notes[1].pitch, notes[2].start) == (64, pytest.approx(2 / 3))
    looped, whole = abc.looped(notes, bars, 2, 40)
    assert whole == 24
    assert (
        sum(n.start == pytest.approx(16) for n in looped) == 1
    )  # the second time round begins on its downbeat


def test_a_tune_is_harmonised_from_its_own_key_and_comes_home() -> None:
    tune = abc.read_tunes("test", TUNES)[0]
    notes, bars = abc.as_notes(tune)
    spans = abc.harmony_for(notes, tune.key, 2, bars)
    assert (spans[0].root, spans[0].quality) == (4, "min")
    assert (spans[-1].root, spans[-1].quality) == (4, "min")
    assert spans[-1].end == 16


def test_bars_that_do_not_add_up_are_unusable() -> None:
    (tune,) = abc.read_tunes("t", "X:1\nT:Odd\nM:4/4\nL:1/4\nK:C\nCCCC|CCC|CCCC|CCCC|CCCC|CCCC|")
    with pytest.raises(Unusable) as caught:
        abc.as_notes(tune)
    assert caught.value.reason == "irregular-bars"


def test_a_piece_from_a_tune_knows_meter_key_and_downbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    tune = abc.read_tunes("test", TUNES)[0]
    monkeypatch.setattr(abc, "choose", lambda rng: tune)
    for seed in range(8):
        piece = abc.piece(Random(seed), 30, lambda group: True)
        assert (piece.meter, piece.genres) == (6, ("folk",))
        assert piece.key is not None
        tonic = next(n for n in piece.parts[0].notes if n.start == pytest.approx(2.0))
        assert (tonic.pitch - piece.key) % 12 == 0
        assert piece.key >= 12


@pytest.mark.parametrize(("signature", "alone"), [("4/4", None), ("2/4", None), ("3/4", 3), ("6/8", 6)])
def test_a_tune_alone_does_not_tell_two_four_from_four_four(
    monkeypatch: pytest.MonkeyPatch, signature: str, alone: int | None
) -> None:
    bar = {"4/4": "C2E2", "2/4": "CE", "3/4": "CEG", "6/8": "CEGCEG"}[signature]
    length = {"4/4": "1/4", "2/4": "1/4", "3/4": "1/4", "6/8": "1/8"}[signature]
    bars = "|".join([bar] * 8)
    (tune,) = abc.read_tunes("t", f"X:1\nT:Plain\nM:{signature}\nL:{length}\nK:C\n{bars}|")
    monkeypatch.setattr(abc, "choose", lambda rng: tune)
    found = {
        bool(piece.harmony): piece.meter
        for piece in (abc.piece(Random(n), 30, lambda _: True) for n in range(12))
    }
    assert found == {False: alone, True: tune.meter}


@pytest.mark.parametrize(
    ("sharps", "bass", "key"), [(0, 0, 0), (0, 9, 12 + 9), (2, 11, 12 + 11), (-3, 3, 3), (1, 2, None)]
)
def test_a_key_needs_the_signature_and_the_final_bass_to_agree(
    sharps: int, bass: int, key: int | None
) -> None:
    assert scores.final_key(sharps, bass) == key


def test_a_score_becomes_parts_in_beats_with_ties_joined() -> None:
    from music21 import key, meter, note, stream, tie

    parts = []
    for pitches in (("G4", "A4", "B4"), ("C3", "F3", "G3")):
        part = stream.Part()
        for bar in range(8):
            measure = stream.Measure(number=bar + 1)
            if bar == 0:
                measure.append([key.KeySignature(0), meter.TimeSignature("3/4")])
            last = bar == 7
            for k in range(3):
                tone = note.Note("C5" if last and pitches[0] == "G4" else "C3" if last else pitches[k])
                if not last and bar % 2 == 0 and k == 2:
                    tone.tie = tie.Tie("start")
                if bar % 2 == 1 and k == 0 and not last:
                    tone.pitch, tone.tie = note.Note(pitches[2]).pitch, tie.Tie("stop")
                measure.append(tone)
            part.append(measure)
        parts.append(part)
    piece = scores._from_score(stream.Score(parts), "test/score", "Nobody", Random(2), 100)
    assert (piece.meter, piece.modulates, piece.genres) == (3, True, ("classical",))
    assert piece.key is not None
    assert piece.key < 12
    lengths = {round(n.end - n.start, 1) for n in piece.parts[0].notes}
    assert lengths == {1.0, 2.0}
    assert piece.length_beats == 21  # the last bar, often held, is left out


def test_a_draw_gives_up_when_nothing_is_admitted() -> None:
    with pytest.raises(Unusable) as caught:
        draw(lambda: 1, lambda item: False)
    assert caught.value.reason == "no-such-group"
