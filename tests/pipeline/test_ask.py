"""The walk on real parts: the bundled model, the bundled recording, and recordings made on the spot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llark import audio
from llark.errors import UserMustAct
from llark.model.base import has_base
from llark.music import readers
from llark.pipeline.ask import MusicLM, demo_recording
from llark.records import Annotation, Chords, Key, Tempo
from llark.report.text import AskResult, as_json

needs_base = pytest.mark.skipif(
    not has_base(), reason="the base language model is not in the cache; `llark fetch` gets it"
)


@pytest.fixture(scope="module")
def demo() -> AskResult:
    return MusicLM().ask(demo_recording(), "What is the tempo of this song?", "What key is it in?")


@needs_base
def test_the_demo_recordings_tempo_is_the_one_its_charter_wrote_down(demo: AskResult) -> None:
    assert demo.facts.tempo.bpm == pytest.approx(95.0, rel=0.04)
    said = readers.read_tempo(demo.answers[0].text)
    assert said == pytest.approx(95.0, rel=0.04)


@needs_base
def test_an_answer_with_facts_says_the_measured_key_or_that_it_cannot_tell(demo: AskResult) -> None:
    assert readers.read_key(demo.answers[1].text) == demo.facts.key.name


@needs_base
def test_the_json_of_a_walk_holds_everything_that_was_measured(demo: AskResult) -> None:
    page = json.loads(as_json(demo))
    assert page["facts"]["end_seconds"] == pytest.approx(30.0, abs=0.1)
    assert len(page["facts"]["beats"]["times_seconds"]) > 30
    assert page["timings_seconds"]["total"] > page["timings_seconds"]["hear"] > 0


def clicks(path: Path, bpm: float, seconds: float = 12.0) -> Path:
    """A drum machine: noise bursts on the beat, a low thump on every fourth."""
    rate = 22050
    samples = np.zeros(round(seconds * rate), np.float32)
    draw = np.random.default_rng(0)
    for beat, start in enumerate(np.arange(0, seconds - 0.3, 60 / bpm)):
        burst = draw.normal(0, 0.3, 2000) * np.exp(-np.arange(2000) / 300)
        thump = np.sin(2 * np.pi * 70 * np.arange(4000) / rate) * np.exp(-np.arange(4000) / 900)
        at = round(start * rate)
        samples[at : at + 2000] += burst.astype(np.float32)
        if beat % 4 == 0:
            samples[at : at + 4000] += 0.8 * thump.astype(np.float32)
    audio.save(path, samples, rate)
    return path


@pytest.mark.slow
@needs_base
def test_what_is_heard_without_facts_depends_on_the_recording(tmp_path: Path) -> None:
    answers = [
        MusicLM().ask(clicks(tmp_path / f"{bpm}.wav", bpm), "What is the tempo of this clip?", facts=False)
        for bpm in (70.0, 110.0)
    ]
    tempi = [readers.read_tempo(result.answers[0].text) for result in answers]
    assert tempi[0] != tempi[1]
    assert all(result.answers[0].facts is None for result in answers)


def test_no_question_is_refused_before_anything_is_heard() -> None:
    with pytest.raises(UserMustAct, match="no question"):
        MusicLM().ask(Path("nowhere.wav"), " ")


def test_a_songs_facts_are_those_that_most_confident_seconds_agree_on() -> None:
    from llark.annotate.song import merge

    windows = [
        Annotation("a", 0, 25, Tempo(100.0, 0.9, "t", 200.0), key=Key("C major", 0.9, "k")),
        Annotation("b", 25, 50, Tempo(101.0, 0.8, "t"), key=Key("G major", 0.3, "k")),
        Annotation("c", 50, 60, Tempo(50.0, 0.9, "t"), chords=Chords((), 0.0, "c")),
    ]
    song = merge("song", windows)
    assert song.tempo.bpm == pytest.approx(100.47, abs=0.05)
    assert song.tempo.alternative_bpm == pytest.approx(200.94, abs=0.1)
    assert song.tempo.confidence == pytest.approx((0.9 * 25 + 0.8 * 25) / 60)
    assert song.key.name == "C major"
    assert song.key.confidence == pytest.approx(0.9 * 25 / 60)
    assert (song.start_seconds, song.end_seconds) == (0, 60)
