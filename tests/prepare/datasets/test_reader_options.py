"""Options of a single reader: named, typed, refused, and in the settings only where they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llark import audio
from llark.errors import UserMustAct
from llark.prepare import datasets, stage
from llark.prepare.stage import PrepareConfig
from llark.records import Annotation
from llark.storage import stages
from tests.prepare.datasets.dataset_trees import TREES


def _read(name: str) -> datasets.ReadTracks:
    return datasets.load(name).read_tracks


def test_the_options_of_a_reader_are_those_of_its_signature() -> None:
    assert datasets.known_options(_read("giantsteps_tempo")) == {"version": (2, 1)}
    assert datasets.known_options(_read("wavcaps")) == {"music_only": (True, False), "fewest_words": (4, int)}
    others = set(datasets.names()) - {"giantsteps_tempo", "wavcaps"}
    assert {name: datasets.known_options(_read(name)) for name in others} == {name: {} for name in others}


def test_words_become_the_values_that_the_reader_takes() -> None:
    given = {"music_only": "False", "fewest_words": "12"}
    assert datasets.typed_options("wavcaps", _read("wavcaps"), given) == {
        "music_only": False,
        "fewest_words": 12,
    }
    assert datasets.typed_options("giantsteps_tempo", _read("giantsteps_tempo"), {"version": "1"}) == {
        "version": 1
    }


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("giantsteps_tempo", {"versoin": "1"}, "no option 'versoin'. Did you mean version? It has version."),
        ("giantsteps_tempo", {"version": "3"}, "giantsteps_tempo takes version=2 or 1; not '3'."),
        ("wavcaps", {"music_only": "maybe"}, "takes music_only=true or false; not 'maybe'."),
        ("wavcaps", {"fewest_words": "-1"}, "takes fewest_words=a whole number (4); not '-1'."),
        ("gtzan", {"version": "1"}, "gtzan has no option 'version'. It has none."),
    ],
)
def test_another_option_is_refused_with_those_there_are(name: str, given: dict[str, str], says: str) -> None:
    with pytest.raises(UserMustAct) as caught:
        datasets.typed_options(name, _read(name), given)
    assert says in str(caught.value)


def test_a_plan_without_options_is_as_it_was_before_there_were_any() -> None:
    assert "options" not in PrepareConfig("x").plan()
    assert PrepareConfig("x", options={"version": "1"}).plan()["options"] == {"version": "1"}


def test_version_1_of_giantsteps_tempo_is_prepared_when_asked_for(tmp_path: Path) -> None:
    TREES["giantsteps_tempo"](tmp_path / "set")
    for path in list((tmp_path / "set/audio").iterdir()):
        path.unlink()
        audio.save(path.with_suffix(".wav"), np.full(16000, 0.1, np.float32), 8000)
    settings = PrepareConfig(str(tmp_path / "set"), "giantsteps_tempo", options={"version": "1"})
    stage.run(settings, str(tmp_path / "out"), progress=False, drop_share=1.0)
    tempi = [truth.tempo.bpm for truth in stages.read(tmp_path / "out/truths", Annotation)]
    assert tempi == [137.6, 120.0]
