from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import find_peaks

from llark.annotate import sections
from llark.annotate.sections import WIDTH


def song(form: str, each_seconds: int = 24, spread: float = 0.6, seed: int = 4) -> list[np.ndarray]:
    """Windows of 25 s: each letter is a sound and a harmony of its own, with noise around it."""
    rng = np.random.default_rng(seed)
    centres = {letter: rng.standard_normal(WIDTH) for letter in sorted(set(form))}
    points = [centres[letter] + spread * rng.standard_normal((each_seconds, WIDTH)) for letter in form]
    every = np.concatenate(points).astype(np.float32)
    return [every[at : at + 25] for at in range(0, len(every), 25)]


def test_parts_that_return_get_the_letter_they_had() -> None:
    found = sections.find(song("ABAC"), 0.0, 96.0)
    assert [span.label for span in found.spans] == ["A", "B", "A", "C"]
    starts = [span.start_seconds for span in found.spans]
    assert starts == pytest.approx([0.0, 24.0, 48.0, 72.0], abs=1.0)
    assert found.spans[-1].end_seconds == 96.0
    assert found.confidence > 0.7


def test_the_spans_leave_no_gap_and_begin_with_the_track() -> None:
    found = sections.find(song("ABCAB"), 30.0, 150.0)
    assert found.spans[0].start_seconds == 30.0
    for before, after in zip(found.spans, found.spans[1:], strict=False):
        assert before.end_seconds == after.start_seconds


def test_a_boundary_moves_to_the_downbeat_beside_it() -> None:
    found = sections.find(song("ABA"), 0.0, 72.0, downbeats_seconds=[0.7, 23.2, 40.0, 48.6])
    assert [span.start_seconds for span in found.spans] == [0.0, 23.2, 48.6]


@pytest.mark.parametrize("form", ["A", "AAAA"])
def test_a_song_without_a_change_has_no_sections(form: str) -> None:
    length = 24 * len(form) if len(form) > 1 else 90
    found = sections.find(song(form, each_seconds=length // len(form)), 0.0, float(length))
    assert found.spans == ()
    assert found.confidence == 0.0


def test_a_song_of_less_than_a_minute_has_none() -> None:
    assert sections.find(song("AB", each_seconds=28), 0.0, 56.0).spans == ()


def test_three_hours_are_seen_in_coarser_steps() -> None:
    found = sections.find(song("ABA", each_seconds=3600), 0.0, 10800.0)
    assert [span.label for span in found.spans] == ["A", "B", "A"]
    assert found.spans[1].start_seconds == pytest.approx(3600.0, abs=20.0)


@pytest.mark.parametrize("seed", range(20))
def test_peaks_are_the_ones_that_scipy_finds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded, so that there are flat tops; their heights differ, since scipy breaks ties as it happens."""
    rng = np.random.default_rng(seed)
    curve = np.cumsum(rng.standard_normal(300)).round()
    curve = (curve - curve.min()) / np.ptp(curve) + np.repeat(rng.random(150) * 1e-3, 2)
    monkeypatch.setattr(sections, "LEAST_NOVELTY", 0.3)
    theirs, _ = find_peaks(curve, height=0.3, distance=10, prominence=sections.LEAST_RISE)
    assert len(theirs) > 1
    assert sections._peaks(curve, 10).tolist() == theirs.tolist()


def test_a_flat_curve_and_none_at_all_have_no_peaks() -> None:
    for curve in (np.zeros(0), np.ones(1), np.ones(9), np.arange(9.0)):
        assert sections._peaks(curve, 3).tolist() == []
