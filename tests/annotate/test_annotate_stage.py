"""The annotate stage and whole recordings: bad input, flat memory, and the same facts from any worker."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from llark import audio, engine
from llark.annotate import melody
from llark.annotate.song import SongFacts
from llark.errors import BadAudio
from llark.networks.features import AudioFeatures
from llark.pipeline.ask import demo_recording
from llark.pipeline.listen import Listen, to_recording
from llark.records import Annotation, Clip, Melody, Track
from llark.storage import stages

RATE = 22050
rng = np.random.default_rng(17)


def tune(seconds: float, lowest: int = 60) -> np.ndarray:
    """A scale of decaying tones, up and down, two notes a second."""
    time = np.arange(round(RATE * 0.5)) / RATE
    steps = (0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2)
    notes = []
    for i in range(int(seconds * 2)):
        hz = 440 * 2 ** ((lowest + steps[i % len(steps)] - 69) / 12)
        tone = sum(np.sin(2 * np.pi * hz * k * time) / k**1.5 for k in range(1, 7))
        notes.append(0.2 * tone * np.exp(-2 * time) * np.clip((0.5 - time) / 0.02, 0, 1))
    return np.concatenate(notes).astype(np.float32)


def confidences(facts: Annotation) -> dict[str, float]:
    """Confidence of every fact there is, by name."""
    named = {field.name: getattr(facts, field.name) for field in dataclasses.fields(facts)}
    return {name: fact.confidence for name, fact in named.items() if hasattr(fact, "confidence")}


def heard_whole(name: str, samples: np.ndarray, window_seconds: float = 25.0) -> Annotation:
    recording = SongFacts(name, notes=True)
    for start, end in audio.windows(len(samples) / RATE, window_seconds):
        recording.add(AudioFeatures(samples[round(start * RATE) : round(end * RATE)], RATE), start)
    return recording.facts()


BAD = {
    "silence": np.zeros(RATE * 4, np.float32),
    "white noise": (0.1 * rng.standard_normal(RATE * 6)).astype(np.float32),
    "loud white noise": np.clip(rng.standard_normal(RATE * 6), -1, 1).astype(np.float32),
    "faint white noise": (1e-3 * rng.standard_normal(RATE * 4)).astype(np.float32),
    "one second of noise": (0.1 * rng.standard_normal(RATE)).astype(np.float32),
}


@pytest.mark.parametrize("name", BAD)
def test_no_fact_is_confident_on_silence_or_noise(name: str) -> None:
    found = confidences(heard_whole(name, BAD[name]))
    assert len(found) >= 14
    assert {fact: value for fact, value in found.items() if value > 0.5} == {}


def test_a_long_song_of_noise_has_no_sections_and_no_keys() -> None:
    windows = [
        AudioFeatures((0.1 * rng.standard_normal(RATE * 8)).astype(np.float32), RATE) for _ in range(3)
    ]
    recording = SongFacts("noise")
    for i in range(9):
        recording.add(windows[i * i % 3], 8.0 * i)
    found = recording.facts()
    assert {fact: value for fact, value in confidences(found).items() if value > 0.5} == {}
    assert found.loudness.integrated_lufs == pytest.approx(-17.1, abs=0.2)


@pytest.mark.parametrize("seconds", [1.0, 6.0])
def test_a_sine_has_no_melody_no_chord_and_no_beat(seconds: float) -> None:
    sine = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(RATE * seconds)) / RATE)
    found = heard_whole("sine", sine.astype(np.float32))
    assert (found.melody.contour, found.isolated_chord.label, found.tempo.bpm) == (None, None, None)
    assert found.key.confidence <= 0.5
    assert found.loudness.integrated_lufs == pytest.approx(-14.1, abs=0.2)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs the Debian package espeak-ng")
def test_speech_is_no_melody_and_has_no_key_and_no_chords(tmp_path: Path) -> None:
    words = "The quick brown fox jumps over the lazy dog, and then it walks slowly back to the river."
    subprocess.run(["espeak-ng", "-w", str(tmp_path / "speech.wav"), words], check=True)
    found = to_recording(Track("speech", str(tmp_path / "speech.wav"))).facts
    assert (found.melody.contour, found.isolated_chord.label) == (None, None)
    assert found.key.confidence <= 0.5
    assert found.chords.confidence <= 0.5


def test_a_recording_under_a_second_is_refused(tmp_path: Path) -> None:
    audio.save(tmp_path / "a.wav", np.zeros(2000, np.float32), 8000)
    with pytest.raises(BadAudio, match=r"0\.25 s long"):
        to_recording(Track("a", str(tmp_path / "a.wav")))


def test_a_melody_over_several_windows_is_one_melody() -> None:
    found = heard_whole("tune", tune(14.0), window_seconds=7.0)
    assert found.melody.contour == "wave"
    assert (found.melody.lowest_midi, found.melody.highest_midi) == (60, 72)
    assert len(found.melody.notes) == pytest.approx(28, abs=1)
    assert found.melody.notes[-1].onset_seconds == pytest.approx(13.5, abs=0.05)
    assert found.loudness.each_second_lufs[13] is not None


def test_a_track_with_a_segment_is_heard_there_and_told_in_seconds_of_the_file(tmp_path: Path) -> None:
    audio.save(tmp_path / "a.wav", tune(9.0), RATE)
    track = Track("a", str(tmp_path / "a.wav"), start_seconds=3.0, end_seconds=8.0)
    facts = to_recording(track).facts
    assert (facts.start_seconds, facts.end_seconds) == (3.0, 8.0)
    assert facts.melody.notes[0].onset_seconds == pytest.approx(3.0, abs=0.05)


def test_memory_stays_flat_however_long_a_recording_is() -> None:
    """Three hours are 432 windows: 432 times what the second ten of these add must be little."""
    window = AudioFeatures(tune(2.0), RATE)
    recording = SongFacts("long")
    for i in range(3):
        recording.add(window, 2.0 * i)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for i in range(3, 13):
        recording.add(window, 2.0 * i)
    grown = (tracemalloc.get_traced_memory()[0] - before) / 10
    tracemalloc.stop()
    assert grown * 432 < 30e6


@pytest.mark.slow
def test_the_facts_are_the_same_from_0_1_and_2_workers(tmp_path: Path) -> None:
    records: list[Track | Clip] = []
    for i in range(2):
        audio.save(tmp_path / f"{i}.wav", tune(3.0, lowest=55 + 4 * i), RATE)
        records.append(Track(str(i), str(tmp_path / f"{i}.wav")))
    records.append(Clip("0@1", "0", str(tmp_path / "0.wav"), 1.0, 3.0))
    found = []
    for workers in (0, 1, 2):
        out = tmp_path / f"out-{workers}"
        tally = engine.run(
            Listen(frames=False, notes=True), records, stages.open_stage(out, "annotate"), workers=workers
        )
        assert tally.outputs == 3
        found.append(list(stages.read(out, Annotation)))
    assert [facts.clip_id for facts in found[0]] == ["0", "1", "0@1"]
    assert found[0] == found[1] == found[2]


def test_a_damaged_recording_is_dropped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF....WAVE")
    writer = stages.open_stage(tmp_path / "out", "annotate")
    recordings = [Track("a", str(tmp_path / "a.wav")), Track("b", str(demo_recording()))]
    tally = engine.run(Listen(frames=False), recordings, writer)
    assert (tally.inputs, tally.lost, sum(tally.dropped.values())) == (2, 1, 1)


def test_once_a_window_has_no_melody_no_further_one_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    known = Melody("rising", 60, 72, (), 0.9, "period+basic-pitch")
    answers = iter([known, known, Melody(source=known.source)])
    monkeypatch.setattr(melody, "find", lambda *_: (asked.append(1), next(answers))[1])
    recording = SongFacts("song")
    for i in range(5):
        recording.add(AudioFeatures(tune(3.0), RATE), 3.0 * i)
    assert len(asked) == 3
    assert recording.facts().melody == Melody(source=known.source)


def test_a_silent_window_does_not_end_the_melody(monkeypatch: pytest.MonkeyPatch) -> None:
    note = melody.notes.Sounding(0, 40, 62, 0.9)
    known = Melody("rising", 60, 72, melody.notes.as_notes([note], 0.0), 0.9, "period+basic-pitch")
    monkeypatch.setattr(melody, "find", lambda *_: known)
    recording = SongFacts("song")
    for i, samples in enumerate((tune(3.0), np.zeros(3 * RATE), tune(3.0))):
        recording.add(AudioFeatures(samples, RATE), 3.0 * i)
    assert len(recording.facts().melody.notes) == 2


def test_the_share_that_repeats_itself_is_given_up_only_where_it_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line, noise = tune(6.0), 0.3 * np.random.default_rng(1).standard_normal(6 * RATE)
    least, both = melody.PERIODIC_SHARE, np.concatenate([line, noise])
    recordings = (line, noise, both, np.concatenate([noise, line]))
    given_up = [melody.periodic_share(samples) for samples in recordings]
    monkeypatch.setattr(melody, "PERIODIC_SHARE", 0.0)
    whole = [melody.periodic_share(samples) for samples in recordings]
    assert given_up == [share if share >= least else 0.0 for share in whole]
    assert whole[0] > 0.8
    assert 0.3 < whole[2] < 0.55
