import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llark.embed.windowed import frame_count, join, regrid, windows


@given(total=st.integers(1, 500), window=st.integers(2, 60), whole=st.booleans(), data=st.data())
def test_windows_cover_everything_and_join_to_what_was_cut(
    total: int, window: int, whole: bool, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, window - 1))
    spans = windows(total, window, overlap, whole=whole)
    values = np.arange(total)[:, None].astype(float)
    assert spans[0][0] == 0
    assert spans[-1][1] == total
    assert all(0 < end - start <= window for start, end in spans)
    assert all(before[1] - after[0] >= overlap for before, after in itertools.pairwise(spans))
    for causal in (True, False):
        joined = join([values[start:end] for start, end in spans], spans, causal=causal)
        np.testing.assert_array_equal(joined, values)


def test_a_causal_join_takes_the_earlier_window_and_any_other_the_middle() -> None:
    spans = [(0, 10), (6, 16)]
    pieces = [np.zeros((10, 1)), np.ones((10, 1))]
    assert join(pieces, spans, causal=True)[:, 0].tolist() == [0.0] * 10 + [1.0] * 6
    assert join(pieces, spans, causal=False)[:, 0].tolist() == [0.0] * 8 + [1.0] * 8


@given(
    duration=st.fractions(Fraction(1, 50), 4),
    rate=st.fractions(3, 120),
    wanted=st.fractions(1, 3),
    seed=st.integers(0, 99),
)
def test_averaging_keeps_the_integral_over_the_clip(
    duration: Fraction, rate: Fraction, wanted: Fraction, seed: int
) -> None:
    values = np.random.default_rng(seed).normal(size=(frame_count(duration, rate), 3))
    frames = regrid(values, rate, duration, wanted)
    assert frames.shape == (frame_count(duration, wanted), 3)
    spans = np.minimum(float(1 / wanted), float(duration) - np.arange(len(frames)) * float(1 / wanted))
    held = np.minimum(float(1 / rate), float(duration) - np.arange(len(values)) * float(1 / rate))
    np.testing.assert_allclose((frames * spans[:, None]).sum(0), (values * held[:, None]).sum(0), atol=1e-4)


def test_a_constant_stays_and_borders_fall_where_they_should() -> None:
    rate = Fraction(44_100, 128)
    assert np.ptp(regrid(np.full((400, 1), 2.5), rate, Fraction(1), Fraction(10))) < 1e-6
    step = (np.arange(345) >= 172).astype(float)[:, None]  # 0.4992 s
    frames = regrid(step, rate, Fraction(1), Fraction(10))[:, 0]
    assert frames[:4].max() == 0.0
    assert frames[5:].min() == pytest.approx(1.0)
    assert frames[4] == pytest.approx(0.5 * 10 - 172 / float(rate) * 10, abs=1e-4)


def test_an_overlap_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="an overlap of 5 does not fit"):
        windows(10, 5, 5)
