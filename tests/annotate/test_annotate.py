import numpy as np
import pytest

from llark.annotate import VERSION, annotate
from llark.networks.features import AudioFeatures
from llark.records import KEYS, Annotation, from_json, to_json

RATE = 22050
BEAT_SECONDS = 0.5


def band(bars: int) -> np.ndarray:
    """C, A minor, F, G, a bar of four beats each at 120 BPM: kick on one and three, clap on two and four."""
    noise = np.random.default_rng(5).standard_normal(RATE)
    time = np.arange(int(4 * BEAT_SECONDS * RATE)) / RATE
    beat = int(BEAT_SECONDS * RATE)
    sound = []
    for i in range(bars):
        root, third = ((0, 4), (9, 3), (5, 4), (7, 4))[i % 4]
        bar = np.zeros_like(time)
        for semitone, level in ((root - 12, 1.5), (root, 1.0), (root + third, 1.0), (root + 7, 1.0)):
            for harmonic in range(1, 6):
                pitch = 130.8128 * 2 ** (semitone / 12) * harmonic
                bar += 0.03 * level * np.sin(2 * np.pi * pitch * time) / harmonic**1.5 * np.exp(-time)
        for place in range(4):
            since = time[:beat]
            kick = np.sin(2 * np.pi * 60 * since) * np.exp(-15 * since)
            clap = 0.3 * noise[:beat] * np.exp(-40 * since)
            bar[place * beat : (place + 1) * beat] += 0.4 * (clap if place % 2 else kick)
        sound.append(bar)
    return np.concatenate(sound).astype(np.float32)


@pytest.fixture(scope="module")
def facts() -> Annotation:
    return annotate(AudioFeatures(band(6), RATE), "clip-7", start_seconds=50.0)


def test_the_facts_cover_the_clip_in_seconds_of_the_track(facts):
    assert (facts.clip_id, facts.start_seconds, facts.end_seconds) == ("clip-7", 50.0, 62.0)
    times = facts.beats.times_seconds
    assert 50.0 <= times[0] < 51.0
    assert 61.0 < times[-1] <= 62.0
    assert facts.chords.spans[0].start_seconds == 50.0
    assert facts.chords.spans[-1].end_seconds == 62.0


def test_the_tempo_and_beats_of_a_steady_band_are_found(facts):
    assert facts.tempo.bpm == pytest.approx(120.0, rel=0.02)
    assert np.diff(facts.beats.times_seconds) == pytest.approx(0.5, abs=0.05)


def test_the_chords_and_the_key_of_a_plain_cadence_are_found(facts):
    seconds: dict[str, float] = {}
    for span in facts.chords.spans:
        seconds[span.label] = seconds.get(span.label, 0.0) + span.end_seconds - span.start_seconds
    assert {"C:maj", "A:min"} <= set(seconds)
    assert seconds["C:maj"] == pytest.approx(4.0, abs=0.5)
    assert facts.key.name == "C major"


def test_every_confidence_is_a_probability(facts):
    for name in ("tempo", "beats", "meter", "key", "chords", "instruments", "genre"):
        assert 0.0 <= getattr(facts, name).confidence <= 1.0, name


def test_an_annotation_survives_being_written_and_read(facts):
    assert from_json(Annotation, to_json(facts)) == facts


@pytest.mark.parametrize("seconds", [0.3, 3.0])
def test_silence_has_no_facts(seconds):
    facts = annotate(AudioFeatures(np.zeros(int(RATE * seconds), np.float32), RATE), "quiet", 0.0)
    assert facts == Annotation("quiet", 0.0, seconds)


def test_noise_claims_no_key_and_no_chords_with_confidence():
    noise = (0.1 * np.random.default_rng(9).standard_normal(RATE * 6)).astype(np.float32)
    facts = annotate(AudioFeatures(noise, RATE), "noise", 0.0)
    assert facts.key.name in (None, *KEYS)
    assert facts.key.confidence < 0.5
    assert facts.chords.spans == ()


def test_annotations_name_their_version():
    assert VERSION.startswith("annotate-")
