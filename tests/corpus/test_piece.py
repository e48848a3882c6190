"""How a swaying tempo places the beats."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from llark.corpus.audible import truth
from llark.corpus.piece import MOST_SWAY, Part, Piece, ScoreNote, Timing, some_sway
from llark.corpus.take import Take, perform


def test_a_steady_tempo_puts_beats_at_equal_distances() -> None:
    timing = Timing(bpm=120.0, start_beat=3.0)
    assert [timing.seconds(beat) for beat in (2, 3, 4, 6.5)] == [-0.5, 0.0, 0.5, 1.75]


def test_a_swaying_tempo_stays_within_its_share_and_keeps_its_mean() -> None:
    timing = Timing(bpm=120.0, start_beat=0.0, sway=0.03, period_seconds=5.0, phase=0.2)
    times = np.array([timing.seconds(beat) for beat in range(41)])
    local_bpm = 60 / np.diff(times)
    assert 120 / 1.03 - 0.1 < local_bpm.min() < 118
    assert 122 < local_bpm.max() < 120 / 0.97 + 0.1
    assert times[0] == 0.0
    assert times[40] == pytest.approx(20.0)  # four whole periods


def test_one_clip_in_seven_sways_and_none_by_more_than_three_per_cent() -> None:
    drawn = [some_sway(Random(f"{n}"))[0] for n in range(2000)]
    assert 0.11 < np.mean([sway > 0 for sway in drawn]) < 0.19
    assert max(drawn) <= MOST_SWAY


def test_played_notes_and_true_beats_sway_together() -> None:
    notes = tuple(ScoreNote(float(beat), beat + 0.4, 60, 90) for beat in range(32))
    piece = Piece((Part("melody", 0, notes),), 32.0, "g", meter=4)
    take = Take(piece, 120.0, 0.0, 15.0, sway=(0.03, 6.0, 0.0))
    facts = truth(piece, "x", take.timing, take.seconds, ["piano"])
    played = [note.start - 2.0 for note in perform(take, Random(0))[0].notes]
    offset = np.array(facts.beats.times_seconds) - np.array(played[: len(facts.beats.times_seconds)])
    assert np.abs(offset).max() < 0.05
    assert np.ptp(np.diff(facts.beats.times_seconds)) > 0.02
