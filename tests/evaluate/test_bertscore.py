"""BERTScore against the package of that name, on tiny encoders; and what a report says without one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bertscore_goldens import GOLDENS
from tiny_encoders import LAYER, PEOPLE, SAID, write_encoder

pytest.importorskip("sacrebleu", reason="captions are scored with: pip install 'llark[evaluate]'")
pytest.importorskip("rouge_score", reason="captions are scored with: pip install 'llark[evaluate]'")

from llark.errors import UserMustAct
from llark.evaluate import bertscore, page, report, score
from llark.evaluate.bertscore import Encoder, Scorer
from llark.evaluate.cases import Item, TestSet
from llark.evaluate.outcome import Absent, Evaluation, Settings
from llark.records import Annotation


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoders") / "bert", "bert")


def evaluated() -> Evaluation:
    """Good captions with sound, empty ones without."""
    items = [
        Item(f"clip-{i}", f"track-{i}", Annotation(f"clip-{i}", 0.0, 25.0), captions=refs)
        for i, refs in enumerate(PEOPLE[:3])
    ]
    said = dict(zip((item.clip_id for item in items), SAID, strict=False))
    return score.evaluate(
        TestSet(tuple(items)),
        lambda task, condition, puts: {put.id: said[put.id] if condition == "audio" else "" for put in puts},
        Settings(("audio", "no audio", "constant")),
    )


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_scores_are_those_of_the_reference(tmp_path: Path, kind: str) -> None:
    ours = Scorer(Encoder(str(write_encoder(tmp_path / kind, kind)), LAYER)).scores(SAID, PEOPLE)
    theirs = np.asarray(json.loads(GOLDENS.read_text())[kind])
    assert theirs.shape == (4, 3)
    assert np.abs(ours - theirs).max() < 2e-6


def test_the_same_text_scores_one_and_none_scores_zero(bert: Path) -> None:
    found = Scorer(Encoder(str(bert))).scores(["loud drums", "", "x"], [("loud drums",), ("a",), ("",)])
    assert found[0] == pytest.approx([1.0, 1.0, 1.0], abs=1e-6)
    assert not found[1:].any()


def test_a_known_encoder_is_cut_where_the_reference_cuts_it_and_another_at_its_end(
    tmp_path: Path, bert: Path
) -> None:
    assert Encoder(str(bert)).layer == 3
    with pytest.raises(UserMustAct, match="layers 1 to 3, not 9"):
        Encoder(str(write_encoder(tmp_path / "bert-base-uncased", "bert")))
    with pytest.raises(UserMustAct, match="layers 1 to 3, not 4"):
        Encoder(str(bert), 4)


def test_every_condition_has_a_row_and_the_best_constant_too(bert: Path) -> None:
    found = bertscore.add(evaluated(), str(bert), LAYER)
    values = {row.condition: row.value for row in found.rows if row.metric == "bertscore"}
    assert list(values) == ["audio", "no audio", "constant"]
    assert values["audio"] > 0.8
    assert values["no audio"] == 0.0
    assert values["constant"] > 0.8
    assert "| captions | BERTScore |" in report.table(found)


@pytest.mark.parametrize(
    ("encoder", "why"), [(None, "no encoder; name one with --bert-score"), ("/nowhere", "cannot be had")]
)
def test_without_an_encoder_the_row_says_so(tmp_path: Path, encoder: str | None, why: str) -> None:
    found = bertscore.add(evaluated(), encoder)
    assert [(one.task, one.metric) for one in found.absent] == [("captions", "bertscore")]
    assert why in found.absent[0].why
    line = next(line for line in report.table(found).splitlines() if "BERTScore" in line)
    assert line.startswith(f"| captions | BERTScore | not computed: {found.absent[0].why}")
    assert "not computed: " in page.page(found, {}, page.Media())
    report.write(tmp_path, found)
    assert report.read(tmp_path).absent == found.absent


def test_other_tasks_have_no_bertscore(bert: Path) -> None:
    other = Evaluation((), (), ())
    assert bertscore.add(other, None) == other
    assert Absent("captions", "bertscore", "x") not in other.absent
