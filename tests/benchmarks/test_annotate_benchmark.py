"""`benchmarks/annotate.py`: which clip counts for what, what is done to it, and how facts are marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import annotate_against
import annotate_clips
import annotate_heard
import annotate_real
import annotate_rendered
import annotate_report
import annotate_scores
import numpy as np
import pytest
from annotate_clips import Case
from annotate_heard import Facts, Remembered, all_facts
from annotate_scores import Mark

from llark import annotate, audio
from llark.corpus import builtin
from llark.corpus.take import Take
from llark.networks.features import AudioFeatures
from llark.records import (
    KEYS,
    Annotation,
    Beats,
    Chords,
    ChordSpan,
    Key,
    LocalKeys,
    Meter,
    Span,
    Tag,
    Tags,
    Tempo,
    Track,
)

RATE = 22_050


def chords(*spans: tuple[float, float, str]) -> Chords:
    return Chords(tuple(ChordSpan(*span) for span in spans), 0.9)


TRUTH = Annotation(
    "a", 0.0, 8.0,
    tempo=Tempo(60.0, 1.0), meter=Meter(4, 1.0), key=Key("A minor", 1.0),
    beats=Beats(tuple(float(i) for i in range(8)), (1, 2, 3, 4) * 2, 1.0),
    chords=chords((0.0, 2.0, "A:min"), (2.0, 6.0, "E:7"), (6.0, 8.0, "A:min")),
    instruments=Tags((Tag("piano", 1.0), Tag("bass", 1.0)), 1.0),
)  # fmt: skip


def tone(seconds: float = 3.0, hertz: float = 440.0) -> np.ndarray:
    time = np.arange(round(RATE * seconds)) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * time) * np.exp(-6 * (time % 0.5))).astype(np.float32)


def case(folder: Path, id_: str = "a", **facts: object) -> Case:
    path = folder / f"{id_}.wav"
    audio.save(path, tone(), RATE)
    return Case(id_, str(path), replace(TRUTH, clip_id=id_, **facts), "builtin/shuffle 3", ("x",))  # type: ignore[arg-type]


# --- which clip counts for what ---------------------------------------------------------------------------


def conditions(group: str, truth: Annotation) -> set[str]:
    return set(annotate_clips.conditions_of(Track("a", "a.ogg", group=group), truth))


def test_a_clip_counts_for_what_its_truth_says() -> None:
    assert conditions("builtin/pop 3", TRUTH) == {
        "4/4",
        "tempo 45–70",
        "minor keys",
        "chords off the bar line",
    }
    in_six = replace(TRUTH, meter=Meter(6, 1.0), tempo=Tempo(220.0, 1.0), key=Key("C major", 1.0))
    assert conditions("builtin/shuffle 3", in_six) == {"6/8", "tempo 180–220", "chords off the bar line"}
    assert conditions("freedoom/1", Annotation("a", 0.0, 8.0)) == set()


def test_solo_melodies_are_tunes_without_chords_and_drums_only_are_drums() -> None:
    bare = Annotation("a", 0.0, 8.0, instruments=Tags((Tag("flute", 1.0),), 1.0))
    assert conditions("abc/thefoxchase", bare) == {"solo melodies"}
    assert conditions("abc/thefoxchase", replace(bare, chords=TRUTH.chords)) == set()
    drums = replace(bare, instruments=Tags((Tag("drums", 1.0),), 1.0))
    assert conditions("mma/stdlib/swing", drums) == {"drums only", "swing"}


@pytest.mark.parametrize(
    ("group", "swings"),
    [
        ("builtin/shuffle 11", True),
        ("builtin/jazz waltz 2", True),
        ("builtin/rock 5", False),
        ("mma/stdlib/fastjazzwaltz", True),
        ("mma/stdlib/jazzrock", False),
        ("mma/casio/march1", False),
        ("abc/swingingonagate", False),
    ],
)
def test_styles_swing_by_our_word_or_by_their_name(group: str, swings: bool) -> None:
    assert annotate_clips.swings(group) is swings


def test_only_beats_that_leave_the_grid_are_uneven() -> None:
    even = Beats(tuple(0.5 * i for i in range(12)))
    swaying = Beats(tuple(0.5 * i + 0.05 * np.sin(i) for i in range(12)))
    assert annotate_clips.uneven(even) < 1e-9
    assert annotate_clips.uneven(swaying) > annotate_clips.SWAY_FROM


def test_chord_changes_off_the_bar_line_are_counted() -> None:
    assert annotate_clips.off_bar_share(TRUTH) == 1.0
    on_the_bar = replace(TRUTH, chords=chords((0.0, 4.0, "A:min"), (4.0, 6.0, "E:7"), (6.0, 8.0, "A:min")))
    assert annotate_clips.off_bar_share(on_the_bar) == 0.5
    assert annotate_clips.off_bar_share(replace(TRUTH, beats=Beats())) == 0.0


# --- what is done to it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", annotate_clips.DAMAGES)
def test_damage_is_the_same_each_time_and_moves_no_onset(condition: str, tmp_path: Path) -> None:
    own = case(tmp_path)
    first, again = (
        next(iter(annotate_clips.damaged([own], condition, tmp_path / folder))) for folder in ("b", "c")
    )
    assert Path(first.path).read_bytes() == Path(again.path).read_bytes()
    assert first.conditions == (condition,)
    heard, _ = audio.load(first.path, sample_rate=RATE)
    ratio = first.truth.tempo.bpm / 60.0  # type: ignore[operator]
    assert len(heard) == pytest.approx(3 * RATE / ratio, abs=2)
    onset = round(1.5 / ratio * RATE)
    assert np.abs(heard[onset : onset + 400]).max() > 1.3 * np.abs(heard[onset - 500 : onset - 100]).max()


def test_a_detuned_clip_is_40_cents_off_and_its_truth_goes_as_much_faster(tmp_path: Path) -> None:
    (found,) = annotate_clips.damaged([case(tmp_path)], "detuned ±40 cents", tmp_path)
    heard, _ = audio.load(found.path)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    cents = 1200 * np.log2(spectrum.argmax() * RATE / len(heard) / 440)
    assert abs(cents) == pytest.approx(40, abs=3)
    times = 2 ** (cents / 1200)
    assert found.truth.tempo.bpm == pytest.approx(60 * times, rel=2e-3)
    assert found.truth.beats.times_seconds[7] == pytest.approx(7 / times, rel=2e-3)
    assert found.truth.chords.spans[1].start_seconds == pytest.approx(2 / times, rel=2e-3)
    assert found.truth.key == TRUTH.key


def test_the_mp3_is_one_of_64_kbit_a_second_and_begins_where_the_clip_does(tmp_path: Path) -> None:
    (found,) = annotate_clips.damaged([case(tmp_path)], "mp3 64 kbit/s", tmp_path)
    data = Path(found.path).read_bytes()
    assert found.path.endswith(".mp3")
    assert len(data) * 8 / 3 == pytest.approx(64_000, rel=0.1)
    heard, _ = audio.load(found.path, sample_rate=RATE)
    plain = tone()
    products = np.fft.irfft(np.fft.rfft(heard, 2 * RATE * 3) * np.conj(np.fft.rfft(plain, 2 * RATE * 3)))
    assert int(products.argmax()) in (0, 1)


def test_after_the_change_a_piece_is_in_the_other_key_and_before_it_as_it_was() -> None:
    piece = builtin.piece(Random(3), 60.0, lambda group: True)
    take = Take(piece, 100.0, 0.0, 24.0)
    moved, (key, beat) = annotate_rendered._modulating(take, 0.6, Random(1))
    assert key != piece.key
    assert beat % (piece.beats_per_bar or 4) == 0
    assert beat == pytest.approx(0.6 * 40, abs=2.1)
    up = (key - (piece.key or 0)) % 12
    for before, after in zip(piece.harmony, (h for h in moved.piece.harmony if h.start < beat), strict=False):
        assert (before.root, before.start) == (after.root, after.start)
    late = {(h.start, h.root) for h in moved.piece.harmony if h.start > beat}
    assert late == {(h.start, (h.root + up) % 12) for h in piece.harmony if h.start > beat}
    for old, new in zip(piece.parts, moved.piece.parts, strict=True):
        assert len(new.notes) == len(old.notes)
        assert all(n.end <= beat or n.start >= beat for n in new.notes)


# --- how facts are marked ---------------------------------------------------------------------------------


def marks(found: Annotation, truth: Annotation = TRUTH) -> dict[str, float | None]:
    return {name: score(found, truth) for name, (_, score) in annotate_scores.MEASURES.items()}


def test_the_truth_is_all_right_and_nothing_known_is_all_wrong() -> None:
    assert set(marks(TRUTH).values()) == {1.0}
    assert set(marks(Annotation("a", 0.0, 8.0)).values()) == {0.0}


def test_what_the_truth_does_not_know_is_not_marked() -> None:
    assert set(marks(TRUTH, Annotation("a", 0.0, 8.0)).values()) == {None}


@pytest.mark.parametrize(
    ("column", "change", "value"),
    [
        ("key", {"key": Key("C major", 0.9)}, 0.3),
        ("key", {"key": Key("E minor", 0.9)}, 0.5),
        ("key", {"key": Key("A major", 0.9)}, 0.2),
        ("tempo Acc1", {"tempo": Tempo(62.0, 0.9)}, 1.0),
        ("tempo Acc1", {"tempo": Tempo(120.0, 0.9)}, 0.0),
        ("tempo Acc2", {"tempo": Tempo(120.0, 0.9)}, 1.0),
        ("tempo Acc2", {"tempo": Tempo(90.0, 0.9)}, 0.0),
        ("meter", {"meter": Meter(2, 0.9)}, 0.0),
        ("beat F", {"beats": Beats(tuple(i / 2 for i in range(16)), (1, 2) * 8, 0.9)}, 2 / 3),
        ("chords", {"chords": chords((0.0, 4.0, "A:min7"), (4.0, 8.0, "E:maj"))}, 0.5),
        ("instruments", {"instruments": Tags((Tag("piano", 0.9), Tag("organ", 0.6)), 0.9)}, 0.5),
    ],
)
def test_marks_are_those_of_the_literature(column: str, change: dict[str, object], value: float) -> None:
    found = replace(TRUTH, **change)  # type: ignore[arg-type]
    assert marks(found)[column] == pytest.approx(value)


def test_local_keys_are_marked_by_the_second() -> None:
    truth = LocalKeys((Span(0.0, 6.0, "C major"), Span(6.0, 10.0, "D major")))
    found = LocalKeys((Span(0.0, 8.0, "C major"), Span(8.0, 10.0, "D major")))
    assert annotate_scores.local_key_score(found, truth) == pytest.approx(0.8)


def some_marks(values: Sequence[float], confidences: Sequence[float]) -> list[Mark]:
    return [
        Mark(str(i), f"g{i}", value, sure, sure > 0)
        for i, (value, sure) in enumerate(zip(values, confidences, strict=True))
    ]


def test_the_surer_half_is_that_with_the_highest_confidence() -> None:
    half = annotate_scores.surer_half(some_marks([1, 0, 1, 0, 1], [0.9, 0.1, 0.8, 0.0, 0.7]))
    assert [mark.case_id for mark in half] == ["0", "2", "4"]


def test_calibration_is_perfect_where_confidence_is_the_share_that_is_right() -> None:
    right = annotate_scores.reliability(some_marks([1, 1, 1, 0], [0.75] * 4))
    assert right.error == pytest.approx(0.0)
    wrong = annotate_scores.reliability(some_marks([0, 0, 0, 0, 0], [0.95] * 4 + [0.0]))
    assert wrong.error == pytest.approx(0.95)
    assert wrong.counts.tolist() == [4]


def test_an_interval_is_wide_for_few_pieces_and_holds_the_value() -> None:
    found = annotate_scores.result(some_marks([1, 1, 0, 1], [0.9] * 4), "t")
    assert (found.value, found.n) == (0.75, 4)
    assert found.low <= 0.5
    assert found.high == 1.0


def test_a_row_says_whether_ours_leads_ties_or_trails_and_where_it_loses() -> None:
    good, bad = some_marks([1, 1, 1, 1], [0.9] * 4), some_marks([1, 1, 0, 0], [0.9, 0.9, 0.9, 0.0])
    assert annotate_against.verdict("key", {"ours": good, "madmom": bad}).startswith("leads madmom by 0.500")
    assert annotate_against.verdict("key", {"ours": good, "madmom": good}) == "ties madmom"
    said = annotate_against.verdict("key", {"ours": bad, "madmom": good, "essentia": bad})
    assert said.startswith("trails madmom by 0.500")
    assert said.endswith("0.250 of it where ours says unknown (1 clips), 0.250 where it answers")
    assert annotate_against.verdict("meter", {"ours": good}) == "ours alone"


def test_the_tables_hold_every_bar_and_say_whether_it_is_met(tmp_path: Path) -> None:
    cases = [case(tmp_path, str(i)) for i in range(6)]
    right = {c.id: Facts(replace(c.truth, key=replace(TRUTH.key, confidence=0.8))) for c in cases}
    wrong = {**right, "0": Facts(replace(TRUTH, meter=Meter(3, 0.9))), "1": Facts(Annotation("1", 0.0, 8.0))}
    lines = annotate_report.tables(cases, wrong)
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")]
        for line in lines
        if "|" in line
    }
    assert {bar.title for bar in annotate_report.BARS} <= set(rows)
    assert rows["meter, all conditions"][2:7:2] == ["0.85", rows["meter, all conditions"][4], "no"]
    assert rows["meter, all conditions"][3] == "0.667"
    assert rows["key, surer half"][3] == "1.000"
    assert rows["key, solo melodies"][6] == "–"
    assert rows["x"][2] == "0.83 (6)"
    annotate_report.plot(cases, wrong, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_real_song_is_judged_as_a_whole_and_by_its_windows() -> None:
    def window(number: int) -> Case:
        truth = Annotation(f"w{number}", 0.0, 25.0, tempo=Tempo(120.0, 1.0))
        return Case(
            truth.clip_id, "s.flac", truth, "act/song", ("real songs",), 25.0 * number, 25.0 * number + 25
        )

    heard = [Tempo(121.0, 0.9), Tempo(120.0, 0.8), Tempo(60.0, 0.9), Tempo()]
    facts = {f"w{i}": Facts(Annotation(f"w{i}", 0.0, 25.0, tempo=tempo)) for i, tempo in enumerate(heard)}
    lines = annotate_real.table([window(i) for i in range(4)], {"ours": facts})
    assert lines[2] == "| act/song | 120 | 120.5, 2 and 3 of 4 |"
    assert lines[3].endswith("songs 1.00 and 1.00, windows 0.50 and 0.75 |")


def test_seconds_of_a_core_are_told_as_a_ratio_to_ours(tmp_path: Path) -> None:
    cases = [case(tmp_path)]
    facts = {"a": Facts(TRUTH)}
    lines = annotate_against.table(cases, {"ours": facts, "librosa": facts}, {"ours": 0.5, "librosa": 2.0})
    assert lines[0] == "| 1 held-out clips | n | ours | librosa | |"
    assert "| tempo Acc1 | 1 | 1.000 | 1.000 | ties librosa |" in lines
    assert "| meter | 1 | 1.000 | – | ours alone |" in lines
    assert "| seconds of one core a clip | | 0.50 (1.0×) | 2.00 (4.0×) | ours is the quickest |" in lines


# --- what is kept -----------------------------------------------------------------------------------------


def test_facts_from_what_was_kept_are_those_of_a_fresh_hearing(tmp_path: Path) -> None:
    samples = tone(4.0) + tone(4.0, 554.4)
    fresh = annotate.annotate(AudioFeatures(samples, RATE), "a")
    first = annotate.annotate(Remembered(samples, RATE, tmp_path / "a.npz"), "a")
    again = annotate.annotate(Remembered(samples, RATE, tmp_path / "a.npz"), "a")
    assert first == again
    assert (first.key.name, first.meter, first.chords.spans) == (
        fresh.key.name,
        fresh.meter,
        fresh.chords.spans,
    )
    assert first.key.confidence == pytest.approx(fresh.key.confidence, abs=0.01)
    assert first.instruments.labels == fresh.instruments.labels


@pytest.mark.slow
def test_a_song_over_a_window_long_has_the_keys_of_its_windows(tmp_path: Path) -> None:
    audio.save(tmp_path / "song.wav", np.concatenate([tone(16.0), tone(16.0, 466.2)]), RATE)
    truth = Annotation("song", 0.0, 32.0)
    song = Case("song", str(tmp_path / "song.wav"), truth, "g", ("songs that modulate",))
    found = all_facts("ours", [song], tmp_path, workers=1)["song"].annotation
    assert (found.start_seconds, found.end_seconds) == (0.0, 32.0)
    heard = {path.name.split(".")[0] for path in (tmp_path / "heard").rglob("song@*.npz")}
    assert heard == {"song@0", "song@25"}


def test_facts_are_asked_for_once(tmp_path: Path) -> None:
    own = case(tmp_path)
    found = all_facts("ours", [own], tmp_path, workers=1)
    (kept,) = (tmp_path / "facts").rglob("*.json")
    assert kept.parent.name.startswith(annotate.VERSION)
    kept.write_text(kept.read_text().replace('"clip_id": "a"', '"clip_id": "kept"'))
    assert found["a"].annotation.clip_id == "a"
    assert all_facts("ours", [own], tmp_path, workers=1)["a"].annotation.clip_id == "kept"


def test_other_weights_have_other_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("annotate", "networks", "weights"):
        (tmp_path / name).mkdir()
    for name in annotate_heard.FROZEN:
        (tmp_path / "weights" / f"{name}.safetensors").write_bytes(b"x")
    monkeypatch.setattr(annotate_heard, "PACKAGE", tmp_path)
    frozen, facts = annotate_heard.frozen_digest.__wrapped__, annotate_heard.facts_digest.__wrapped__
    first = frozen(), facts()
    (tmp_path / "weights" / "rhythm.safetensors").write_bytes(b"trained")
    second = frozen(), facts()
    (tmp_path / "annotate" / "key.py").write_text("KEY = 1")
    assert first[0] == second[0] == frozen()
    assert len({first[1], second[1], facts()}) == 3


def test_keys_have_the_spelling_that_mir_eval_reads() -> None:
    import mir_eval

    assert [mir_eval.key.weighted_score(key, key) for key in KEYS] == [1.0] * 24
