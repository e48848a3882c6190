"""The paper's data sets, from their publishers' layout through `prepare` to the benchmarks for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llark import audio
from llark.evaluate.score import item_truth, tasks_of
from llark.evaluate.tasks import TASKS
from llark.options import EvaluateOptions
from llark.pipeline import testsets
from llark.prepare import crop, stage
from tests.prepare.datasets.dataset_trees import TREES

BENCHMARKS = {
    "giantsteps_key": {"key"},
    "giantsteps_tempo": {"tempo"},
    "gtzan": {"gtzan_genre"},
    "medleydb": {"medleydb_genre", "medleydb_instruments"},
    "musicnet": {"musicnet_instruments"},
    "nsynth": {"nsynth_instrument", "nsynth_pitch"},
    "medley_solos_db": {"medley_solos_instrument"},
    "musiccaps": {"captions"},
}
SUFFIXES = (".wav", ".mp3", ".flac", ".ogg")


def with_sound(root: Path) -> Path:
    """The recordings of a tree, each four seconds of a tone."""
    tone = np.sin(np.arange(4 * 8000) / 9).astype(np.float32)
    for path in root.rglob("*"):
        if path.suffix in SUFFIXES:
            made = path.with_name("made.wav")
            audio.save(made, tone, 8000)
            made.replace(path)
    return root


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_data_set_is_scored_by_its_own_benchmarks(name: str, tmp_path: Path) -> None:
    TREES[name](tmp_path / "source")
    settings = stage.PrepareConfig(
        source=str(with_sound(tmp_path / "source")), dataset=name, crop=crop.named("every", None, None, 0)
    )
    stage.run(settings, str(tmp_path / "out"), workers=0, drop_share=1.0)
    wanted = EvaluateOptions(clips=50)
    material = testsets.gather(tmp_path / "out", tmp_path / "report", wanted, embed=False)
    tasks = set(tasks_of(material.test_set))
    assert tasks >= BENCHMARKS[name]
    assert (
        tasks & {task for other in BENCHMARKS.values() for task in other if "_" in task} <= BENCHMARKS[name]
    )
    for task in BENCHMARKS[name]:
        truths = [item_truth(TASKS[task], item) for item in material.test_set.items]
        known = [truth for truth in truths if truth is not None]
        assert known
        if task != "captions":
            assert all(TASKS[task].credit(truth, truth) == 1.0 for truth in known)
    assert set(material.clips) == {item.clip_id for item in material.test_set.items}
