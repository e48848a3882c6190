"""Which stage folders lie in a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from llark.errors import UserMustAct
from llark.records import Clip
from llark.storage import artifacts, stages

MADE = {
    "corpus": "corpus",
    "tracks": "prepare",
    "clips": "prepare",
    "truths": "prepare",
    "annotations": "annotate",
    "exchanges/heard": "instruct",
    "exchanges/measured": "instruct",
    "embeddings": "embed",
}
"""Folder of a run → the stage that fills it."""


def _fill(folder: Path, stage: str, name: str = "", finish: bool = True) -> Path:
    with stages.open_stage(folder, stage, {"holds": name} if stage == "prepare" else {}) as writer:
        writer.write(name, [Clip(f"{name}-clip", name, "x.wav", 0.0, 1.0)])
        if finish:
            writer.finish()
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name, stage in MADE.items():
        _fill(tmp_path / "run" / name, stage, name)
    return tmp_path / "run"


def test_every_folder_of_a_run_is_found_under_its_kind(run: Path) -> None:
    assert artifacts.look(run) == artifacts.Artifacts(
        corpora=(run / "corpus",),
        tracks=(run / "tracks",),
        clips=(run / "clips",),
        truths=(run / "truths",),
        annotations=(run / "annotations",),
        exchanges=(run / "exchanges" / "heard",),
        measured_exchanges=(run / "exchanges" / "measured",),
        embeddings=(run / "embeddings",),
    )
    assert sorted(map(str, artifacts.look(run).all)) == sorted(str(run / name) for name in MADE)


def test_the_folder_of_one_stage_is_found_by_what_it_says_of_itself(run: Path) -> None:
    kinds = {"corpora": "corpus", "tracks": "tracks", "clips": "clips", "truths": "truths"}
    kinds |= {"annotations": "annotations", "exchanges": "exchanges/measured", "embeddings": "embeddings"}
    for kind, name in kinds.items():
        assert artifacts.look(run / name) == artifacts.Artifacts(**{kind: (run / name,)})
    assert artifacts.look(_fill(run / "verdicts", "judge")) == artifacts.Artifacts()


def test_nothing_is_found_where_nothing_is_finished(tmp_path: Path) -> None:
    _fill(tmp_path / "run" / "clips", "prepare", "clips", finish=False)
    (tmp_path / "song.wav").write_bytes(b"")
    for place in (tmp_path / "run", tmp_path / "run" / "clips", tmp_path / "nowhere", tmp_path / "song.wav"):
        assert artifacts.look(place).all == ()


def test_folders_of_several_places_come_in_the_order_of_the_places(run: Path, tmp_path: Path) -> None:
    alone = _fill(tmp_path / "more", "prepare", "clips")
    found = artifacts.find([str(alone), run], ["clips", "truths"], "x")
    assert found.clips == (str(alone), run / "clips")
    assert found.truths == (run / "truths",)
    assert [clip.id for clip in stages.read_all(found.clips, Clip)] == ["clips-clip", "clips-clip"]


def test_a_run_in_an_object_store_is_found() -> None:
    for name in ("clips", "exchanges"):
        _fill(f"memory://artifacts/run/{name}", {"clips": "prepare"}.get(name, "instruct"), name)  # type: ignore[arg-type]
    found = artifacts.look("memory://artifacts/run")
    assert found == artifacts.Artifacts(
        clips=("memory://artifacts/run/clips",), exchanges=("memory://artifacts/run/exchanges",)
    )


def test_a_place_without_what_is_read_is_refused_with_the_reason(run: Path, tmp_path: Path) -> None:
    refused = {
        run / "corpus": "is the folder of the stage corpus; clips are in what prepare fills",
        tmp_path / "nowhere": "is not the folder of a finished stage",
        _fill(tmp_path / "begun", "prepare", "clips", finish=False): "is not finished; run its stage again",
    }
    for place, words in refused.items():
        with pytest.raises(UserMustAct, match=words):
            artifacts.find([run, place], ["clips"], "clips are in what prepare fills")


def test_the_plan_of_a_stage_is_known_from_its_beginning(tmp_path: Path) -> None:
    assert stages.plan_of(tmp_path / "x") is None
    with stages.open_stage(tmp_path / "x", "embed", {"encoder": "mini"}) as writer:
        begun = stages.plan_of(tmp_path / "x")
        writer.finish()
    finished = stages.plan_of(tmp_path / "x")
    assert begun is not None
    assert finished is not None
    assert begun["config"] == finished["config"] == {"encoder": "mini"}


def test_a_stage_that_has_not_one_record_is_forgotten_and_one_that_has_is_kept(tmp_path: Path) -> None:
    with stages.open_stage(tmp_path / "empty", "embed", {"encoder": "a"}):
        pass
    _fill(tmp_path / "full", "annotate", finish=False)
    for name in ("empty", "full", "nowhere"):
        stages.forget_begun(tmp_path / name)
    assert stages.plan_of(tmp_path / "empty") is None
    assert stages.plan_of(tmp_path / "full") is not None
    assert not (tmp_path / "nowhere").exists()
    with stages.open_stage(tmp_path / "empty", "embed", {"encoder": "b"}):
        pass
