"""The labels of a track, cut to its clips."""

from __future__ import annotations

from llark.prepare.crop import crop_annotation
from llark.records import (
    Annotation,
    Beats,
    Chords,
    ChordSpan,
    Clip,
    Key,
    Loudness,
    Note,
    Notes,
    Sections,
    Span,
    Tag,
    Tags,
    Tempo,
)

TRACK = Annotation(
    clip_id="song",
    start_seconds=0.0,
    end_seconds=60.0,
    tempo=Tempo(120.0, 1.0, "set"),
    key=Key("A minor", 1.0, "set"),
    genre=Tags((Tag("rock", 1.0),), 1.0, "set"),
    beats=Beats((9.9, 10.0, 15.25, 20.0), (4, 1, 2, 3), 1.0, "set"),
    chords=Chords(
        (ChordSpan(0, 12, "C:maj"), ChordSpan(12, 19.5, "G:7"), ChordSpan(20, 60, "N")), 1.0, "set"
    ),
    notes=Notes(
        (
            Note(5.0, 9.0, 60, "piano"),
            Note(9.5, 10.5, 62, "piano"),
            Note(10.0, 10.0, 36, "drums", is_drum=True),
            Note(19.0, 25.0, 64, "piano", 80),
            Note(20.0, 21.0, 65, "piano"),
        ),
        1.0,
        "set",
    ),
    sections=Sections((Span(0, 15, "A", 1.0), Span(15, 60, "B", 1.0)), 1.0, "set"),
    loudness=Loudness(-14.0, confidence=1.0),
)


def _clip(start: float, end: float, offset: float = 0.0) -> Clip:
    return Clip(f"song@{start + offset}", "song", "song.wav", start, end, offset_seconds=offset)


def test_a_clip_of_the_tracks_file_keeps_its_part_of_the_labels_on_the_files_clock() -> None:
    cut = crop_annotation(TRACK, _clip(10.0, 20.0))
    assert (cut.clip_id, cut.start_seconds, cut.end_seconds) == ("song@10.0", 10.0, 20.0)
    assert cut.beats == Beats((10.0, 15.25), (1, 2), 1.0, "set")
    assert cut.chords.spans == (ChordSpan(10.0, 12, "C:maj"), ChordSpan(12, 19.5, "G:7"))
    assert cut.notes.notes == (
        Note(10.0, 10.5, 62, "piano"),
        Note(10.0, 10.0, 36, "drums", is_drum=True),
        Note(19.0, 20.0, 64, "piano", 80),
    )
    assert cut.sections.spans == (Span(10.0, 15, "A", 1.0), Span(15, 20.0, "B", 1.0))
    assert (cut.tempo, cut.key, cut.genre) == (TRACK.tempo, TRACK.key, TRACK.genre)
    assert cut.loudness == Loudness()


def test_a_clip_with_its_own_file_has_the_same_labels_shifted_to_its_start() -> None:
    cut = crop_annotation(TRACK, _clip(0.0, 10.0, offset=10.0))
    assert (cut.start_seconds, cut.end_seconds) == (0.0, 10.0)
    assert cut.beats.times_seconds == (0.0, 5.25)
    assert cut.chords.spans == (ChordSpan(0.0, 2.0, "C:maj"), ChordSpan(2.0, 9.5, "G:7"))
    assert [(note.onset_seconds, note.offset_seconds) for note in cut.notes.notes] == [
        (0.0, 0.5),
        (0.0, 0.0),
        (9.0, 10.0),
    ]


def test_each_beat_belongs_to_one_of_the_clips_side_by_side() -> None:
    clips = [_clip(start, start + 10.0) for start in range(0, 60, 10)]
    beats = [time for clip in clips for time in crop_annotation(TRACK, clip).beats.times_seconds]
    assert beats == list(TRACK.beats.times_seconds)


def test_what_a_clip_does_not_hold_is_unknown_there() -> None:
    cut = crop_annotation(TRACK, _clip(30.0, 40.0))
    assert (cut.beats, cut.notes) == (Beats(), Notes())
    assert cut.chords.spans == (ChordSpan(30.0, 40.0, "N"),)
    assert crop_annotation(TRACK, _clip(60.0, 70.0)) == Annotation("song@60.0", 60.0, 70.0)


def test_beats_without_positions_stay_without() -> None:
    bare = Annotation("song", 0.0, 0.0, beats=Beats((1.0, 2.0, 3.0), (), 1.0))
    assert crop_annotation(bare, _clip(1.5, 9.0)).beats == Beats((2.0, 3.0), (), 1.0)
