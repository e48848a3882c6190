"""K-weighting by BLAS is K-weighting by `scipy.signal`, and loads none of it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.signal import lfilter

from llark.networks import weighting

rng = np.random.default_rng(5)


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 192000])
@pytest.mark.parametrize("samples", [1, 3, 16384, 16386, 40000])
def test_a_filter_in_blocks_is_the_filter_of_scipy(rate: int, samples: int) -> None:
    noise = rng.standard_normal(samples)
    ahead, back = weighting.k_weighting(rate)
    theirs = lfilter(ahead, back, noise)
    assert np.abs(theirs).max() > 0
    np.testing.assert_allclose(weighting.filtered(noise, ahead, back), theirs, atol=1e-6)


def test_at_48_khz_the_filters_are_the_standards_table() -> None:
    """ITU-R BS.1770-4, tables 1 and 2."""
    ahead, back = weighting.k_weighting(48000)
    shelf = (
        [1.53512485958697, -2.69169618940638, 1.19839281085285],
        [1.0, -1.69065929318241, 0.73248077421585],
    )
    high_pass = [1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621]
    np.testing.assert_allclose(ahead, np.convolve(shelf[0], high_pass[0]), atol=1e-9)
    np.testing.assert_allclose(back, np.convolve(shelf[1], high_pass[1]), atol=1e-9)


@pytest.mark.parametrize("rate", [1000, 2000, 3363, 4000])
def test_a_tone_is_as_loud_at_a_low_rate_as_at_a_usual_one(rate: int) -> None:
    """Below 3,364 Hz the shelf's corner lies beyond what the rate can hold, where its filter is unstable."""
    energies = [
        weighting.weigh(
            (0.5 * np.sin(2 * np.pi * 220 * np.arange(5 * hertz) / hertz)).astype(np.float32), hertz
        )
        for hertz in (rate, 8000)
    ]
    np.testing.assert_allclose(energies[0].steps[5:-5], energies[1].steps[5:-5], rtol=0.01)
    assert energies[0].peak == pytest.approx(0.5, abs=0.01)


@pytest.mark.slow
def test_a_song_is_annotated_without_the_slow_and_large_parts_of_scipy() -> None:
    program = """
import sys
import numpy as np
from llark.annotate import sections
from llark.annotate.song import SongFacts
from llark.networks.features import AudioFeatures
recording = SongFacts("song")
for window in range(2):
    noise = np.random.default_rng(1).standard_normal(30 * 8000).astype(np.float32)
    samples = 0.1 * noise * (1 + np.sin(np.arange(len(noise)) / 1000))
    recording.add(AudioFeatures(samples, 8000), 30.0 * window)
facts = recording.facts()
rng = np.random.default_rng(2)
parts = rng.standard_normal((3, 1, sections.WIDTH))[[0, 1, 0, 2]]
points = parts + 0.6 * rng.standard_normal((4, 24, sections.WIDTH))
assert sections.find(list(points.astype(np.float32)), 0.0, 96.0).spans
assert facts.loudness.integrated_lufs is not None
print(sorted({"scipy.signal", "scipy.stats"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
