"""Windows of a network that only passes on what it is given: each value must come from its own time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from llark.embed.encoder import Device, EncoderOptions, Sound
from llark.embed.windowed import WindowedEncoder, WindowedNetwork, encoder

RATE, HOP, WINDOW, OVERLAP = 1000, 10, 40, 8


def echo(batch: int, *, missing: int = 0, rate: str = "native") -> tuple[WindowedEncoder, list[torch.Size]]:
    """An encoder whose value k of a window is the window's sample k * HOP, and the shapes that it was given.
    `missing`: values fewer than there are, as a network without padding gives."""
    given: list[torch.Size] = []

    def run(samples: torch.Tensor) -> torch.Tensor:
        given.append(samples.shape)
        values = samples[:, ::HOP]
        return values[:, : values.shape[1] - missing, None]

    network = WindowedNetwork(run, RATE, HOP, WINDOW, OVERLAP, 1, "1", "none", least=3)
    return encoder("echo", network, EncoderOptions("echo", rate=rate), Device(batch=batch)), given


def ramp(samples: int) -> Sound:
    return Sound(np.arange(1, samples + 1, dtype=np.float32), RATE)


@pytest.mark.parametrize("samples", [1, 9, 10, 11, 399, 400, 401, 720, 721, 1234, 5000])
def test_each_value_comes_from_its_own_time_however_long_the_clip(samples: int) -> None:
    listen, given = echo(batch=4)
    heard = listen([ramp(samples)])[0]
    np.testing.assert_array_equal(heard[:, 0], np.arange(1, samples + 1, HOP))
    assert {shape[1] for shape in given} == {min(max(3, -(-samples // HOP)), WINDOW) * HOP}


def test_clips_of_all_lengths_are_heard_in_batches_of_one_length() -> None:
    listen, given = echo(batch=4)
    sounds = [ramp(samples) for samples in (1234, 55, 5000, 400, 52)]
    for sound, heard in zip(sounds, listen(sounds), strict=True):
        np.testing.assert_array_equal(heard[:, 0], sound.samples[::HOP])
    assert max(shape[0] for shape in given) == 4
    assert sum(shape[0] for shape in given) == 4 + 1 + 16 + 1 + 1


def test_what_a_network_without_padding_leaves_out_is_missing_at_the_very_end_alone() -> None:
    heard = echo(batch=4, missing=1)[0]([ramp(1234)])[0][:, 0]
    np.testing.assert_array_equal(heard[:-1], np.arange(1, 1224, HOP))
    assert heard[-1] == heard[-2]


def test_a_slower_rate_is_the_mean_over_the_seconds_of_each_frame() -> None:
    heard = echo(batch=4, rate="40/3")[0]([ramp(1000)])[0]
    assert heard.shape == (14, 1)
    assert heard[0, 0] == pytest.approx((1 + 11 + 21 + 31 + 41 + 51 + 61 + 0.5 * 71) / 7.5)
    assert echo(batch=4, rate="40/3")[0].card.frames_per_second == Fraction(40, 3)
