"""The ported networks say what the authors' own code says, to a ten-thousandth, with the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llark.networks.beat import BeatNet
from llark.networks.chord import ChordNet
from tests.annotate.parity_goldens import GOLDENS
from tests.networks.rhythm_harmony_goldens import music

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def goldens() -> dict[str, np.ndarray]:
    with np.load(GOLDENS) as page:
        return dict(page)


def test_the_beat_nets_are_the_authors_nets(goldens: dict[str, np.ndarray]) -> None:
    features = torch.from_numpy(goldens["beat_features"])
    with torch.inference_mode():
        heard = torch.stack([net(features)[0] for net in BeatNet.load().nets]).mean(dim=0)[:, :2].numpy()
    assert heard.shape == goldens["beats"].shape
    assert goldens["beats"].max() > 0.1
    assert np.abs(heard - goldens["beats"]).max() < TOLERANCE


def test_beats_from_samples_are_the_authors_beats(goldens: dict[str, np.ndarray]) -> None:
    theirs = goldens["beats_of_music"]
    assert theirs.max() > 0.3
    assert np.abs(BeatNet.load()(music()).activations - theirs).max() < TOLERANCE


def test_the_chord_net_is_the_authors_net(goldens: dict[str, np.ndarray]) -> None:
    with torch.inference_mode():
        scores = ChordNet.load().net(torch.from_numpy(goldens["cqt"]))[2]
    triad, bass, seventh = torch.split(scores, [73, 13, 4, scores.shape[1] - 90], dim=1)[:3]
    for name, ours in (("triad", triad), ("bass", bass), ("seventh", seventh)):
        assert goldens[name].max() > 0.5
        assert np.abs(torch.softmax(ours, dim=1).numpy() - goldens[name]).max() < TOLERANCE, name
