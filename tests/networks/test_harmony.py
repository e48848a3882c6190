"""The harmony nets: what they may not depend on, and what they hear in made-up sounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from llark.networks import harmony
from llark.networks.chord import ChordNet, ChordOutput
from llark.networks.harmony import CHORDS, KEYS, HarmonyNet
from llark.records import KEYS as KEY_NAMES

RATE = 22050


@pytest.fixture(scope="module")
def net() -> HarmonyNet:
    return HarmonyNet.load()


@pytest.fixture(scope="module")
def ears() -> ChordNet:
    return ChordNet.load()


def made_up(frames: int, seed: int = 0) -> ChordOutput:
    """Any posteriors and magnitudes."""
    draw = np.random.default_rng(seed)

    def shares(width: int) -> np.ndarray:
        rows = draw.random((frames, width)) ** 6
        return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)

    chroma, bass_chroma = (draw.random((frames, 12)).astype(np.float32) for _ in range(2))
    return ChordOutput(
        np.zeros((frames, 432), np.float32), shares(73), shares(13), shares(4), chroma, bass_chroma
    )


def moved(heard: ChordOutput, semitones: int) -> ChordOutput:
    """The same, `semitones` higher."""

    def turned(rows: np.ndarray) -> np.ndarray:
        return np.roll(rows.reshape(len(rows), -1, 12), semitones, axis=2).reshape(len(rows), -1)

    return replace(
        heard,
        triad=np.concatenate([heard.triad[:, :1], turned(heard.triad[:, 1:])], axis=1),
        bass=np.concatenate([heard.bass[:, :1], turned(heard.bass[:, 1:])], axis=1),
        chroma=turned(heard.chroma),
        bass_chroma=turned(heard.bass_chroma),
    )


@pytest.mark.parametrize("semitones", [1, 6, 11])
def test_music_in_another_key_is_heard_the_same_moved(net: HarmonyNet, semitones: int) -> None:
    plain, other = net(made_up(90)), net(moved(made_up(90), semitones))
    for before, after in ((plain.key[None], other.key[None]), (plain.chords, other.chords)):
        circles = before[:, :-1].reshape(len(before), -1, 12)
        expected = np.roll(circles, semitones, axis=2).reshape(len(before), -1)
        assert np.abs(after[:, :-1] - expected).max() < 1e-5
        assert after[:, -1] == pytest.approx(before[:, -1], abs=1e-5)


@pytest.mark.parametrize("frames", [1, 3, 4, 30, 401])
def test_probabilities_add_up_to_one_in_clips_of_any_length(net: HarmonyNet, frames: int) -> None:
    found = net(made_up(frames))
    assert found.chords.shape == (frames, CHORDS)
    assert found.key.shape == (KEYS,)
    assert found.chords.sum(axis=1) == pytest.approx(np.ones(frames), abs=1e-4)
    assert found.key.sum() == pytest.approx(1, abs=1e-5)


def test_where_nothing_is_heard_there_is_no_key(net: HarmonyNet) -> None:
    found = net(made_up(0))
    assert found.chords.shape == (0, CHORDS)
    assert found.key[-1] == 1


def test_loudness_changes_nothing(net: HarmonyNet) -> None:
    heard = made_up(80)
    quiet = replace(heard, chroma=heard.chroma * 0.01, bass_chroma=heard.bass_chroma * 0.01)
    assert np.abs(net(quiet).key - net(heard).key).max() < 1e-3


def test_a_row_says_which_chord_follows_which() -> None:
    triad = np.zeros((8 * 24, 73), np.float32)
    triad[: 4 * 24, 1 + 7] = 1  # G major, then …
    triad[4 * 24 :, 1 + 0] = 1  # … C major
    silent = made_up(8 * 24)
    rows = harmony.of_clip(harmony.evidence(replace(silent, triad=triad)))
    first = 4 * harmony.CIRCLES  # lag of six frames; from major, five semitones under, to major
    to_major = rows[first : first + 48].reshape(2, 12, 2, 12)[0, 5, 0]
    assert int(to_major.argmax()) == 0
    assert to_major[0] == pytest.approx(np.sqrt(6 / (48 - 6)), abs=1e-3)


def test_between_two_steps_a_frame_is_between_their_values() -> None:
    rows = np.array([[0.0], [4.0]], np.float32)
    found = harmony.at_every_frame(rows, 8)[:, 0]
    assert found.tolist() == [0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4]


def test_a_reader_treats_all_twelve_alike() -> None:
    torch.manual_seed(1)
    reader = harmony.Reader(5, 3, width=4, forget=0.0, dropout=0.0).eval()
    heard = torch.randn(2, 5, 12)
    plain, turned = reader(heard), reader(heard.roll(4, 2))
    circles = plain[:, :-1].view(2, 3, 12).roll(4, 2).flatten(1)
    assert torch.allclose(turned[:, :-1], circles, atol=1e-5)


def tone(pitches: list[int], seconds: float) -> np.ndarray:
    """A plucked chord with eight harmonics; MIDI pitches."""
    time = np.arange(int(seconds * RATE)) / RATE
    sound = np.zeros_like(time)
    for pitch in pitches:
        for harmonic in range(1, 9):
            hertz = 440 * 2 ** ((pitch - 69) / 12) * harmonic
            sound += np.sin(2 * np.pi * hertz * time) / harmonic**1.5 * np.exp(-2 * time)
    return (0.1 * sound * np.minimum(1, 200 * (seconds - time).clip(0))).astype(np.float32)


MAJOR_TUNE = [0, 2, 4, 5, 7, 4, 0, 7, 9, 11, 12, 7, 5, 4, 2, -1, 0, 4, 7, 12, 11, 9, 7, 5, 4, 2, 0, 0]
MINOR_TUNE = [0, 2, 3, 5, 7, 8, 7, 5, 3, 2, 0, -1, 0, 3, 7, 12, 10, 8, 7, 5, 3, 2, -1, 0, 3, 2, -1, 0]


@pytest.mark.parametrize(
    ("tonic", "tune", "name"),
    [(60, MAJOR_TUNE, "C major"), (67, MAJOR_TUNE, "G major"), (57, MINOR_TUNE, "A minor")],
)
def test_the_key_of_one_unaccompanied_line_is_heard(
    net: HarmonyNet, ears: ChordNet, tonic: int, tune: list[int], name: str
) -> None:
    line = np.concatenate([tone([tonic + step], 0.35) for step in tune])
    assert KEY_NAMES[int(net(ears(line)).key[:24].argmax())] == name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_and_drums_have_no_key_and_no_chord(net: HarmonyNet, ears: ChordNet, seed: int) -> None:
    draw = np.random.default_rng(seed)
    hiss = draw.standard_normal(8 * RATE).astype(np.float32)
    since = (np.arange(len(hiss)) % (RATE // 2)) / RATE
    kick = np.sin(2 * np.pi * 55 * since) * np.exp(-18 * since)
    drums = (0.3 * hiss * np.exp(-30 * ((since + 0.25) % 0.5)) + kick).astype(np.float32)
    for sound in (0.1 * hiss, drums):
        found = net(ears(sound))
        assert found.key[:24].max() < 0.3
        assert found.chords[:, -1].mean() > 0.8


def test_few_are_heard_as_many_are() -> None:
    torch.manual_seed(2)
    circle = harmony.Circle(5, 7)
    heard = torch.randn(20, 5, 12)
    together = circle(heard)
    assert together.std() > 0.1
    assert torch.allclose(torch.cat([circle(heard[:1]), circle(heard[1:7])]), together[:7], atol=1e-5)
