"""Caption scores against the libraries' own corpus scores; a page of a whole evaluation."""

from __future__ import annotations

import pytest

pytest.importorskip("sacrebleu", reason="captions are scored with: pip install 'llark[evaluate]'")
pytest.importorskip("rouge_score", reason="captions are scored with: pip install 'llark[evaluate]'")

import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from llark.evaluate import score
from llark.evaluate.cases import LabelledClip, TestSet
from llark.evaluate.score import EvaluateConfig
from llark.evaluate.tasks import captions
from llark.records import Annotation

PEOPLE = [
    ("A mellow piano melody over soft drums and a warm bass.",),
    ("Fast rock with distorted guitars and loud drums at 160 BPM.", "Loud rock song with guitars."),
    ("A solo violin plays a sad tune in A minor.",),
]
SAID = [
    "A soft piano melody over drums and bass.",
    "Loud rock with distorted guitars and drums at about 160 BPM in E minor.",
    "An orchestra plays.",
]


def test_bleu_of_added_counts_is_sacrebleus_corpus_bleu() -> None:
    pairs = list(zip(SAID, PEOPLE, strict=True))
    found = captions.TASK.score(pairs)
    width = max(map(len, PEOPLE))
    streams = [[refs[min(i, len(refs) - 1)] for refs in PEOPLE] for i in range(width)]
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(SAID, streams).score / 100, abs=1e-9)
    assert 0.1 < found["bleu"] < 0.9


def test_rouge_is_the_best_of_the_references() -> None:
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    theirs = max(scorer.score(ref, SAID[1])["rougeL"].fmeasure for ref in PEOPLE[1])
    assert captions.rouge_l(SAID[1], PEOPLE[1]) == pytest.approx(theirs, abs=1e-9)


def test_meteor_is_one_for_the_same_words_almost_and_zero_for_others() -> None:
    assert captions.meteor("a sad violin tune", ["a sad violin tune"]) > 0.98
    assert captions.meteor("loud drums", ["a sad violin tune"]) == 0.0
    assert captions.meteor("violins played", ["a violin plays"]) > 0.2


def test_punctuation_makes_no_other_word_for_meteor() -> None:
    bare = captions.meteor("drums piano and bass", ["bass drums and a piano"])
    assert captions.meteor("Drums, piano and bass.", ["Bass, drums and a piano!"]) == bare > 0.4


def test_details_are_the_facts_that_the_readers_find() -> None:
    assert captions.details("It is a nice and moving piece.") == 0
    assert (
        captions.details("Rock at 120 BPM in A minor and 4/4, with drums, bass and piano; Am, F, C, G.") == 8
    )


def test_a_caption_of_nothing_scores_nothing_and_the_best_constant_is_a_control() -> None:
    items = [
        LabelledClip(f"clip-{i}", f"track-{i}", Annotation(f"clip-{i}", 0.0, 25.0), captions=refs)
        for i, refs in enumerate(PEOPLE)
    ]
    said = dict(zip((item.clip_id for item in items), SAID, strict=True))
    result = score.evaluate(
        TestSet(tuple(items)),
        lambda task, condition, puts: {put.id: said[put.id] if condition == "audio" else "" for put in puts},
        EvaluateConfig(("audio", "no audio", "constant")),
    )
    values = {(row.metric, row.condition): row.value for row in result.rows}
    assert (
        values["rouge_l", "no audio"] == values["bleu", "no audio"] == values["coverage", "no audio"] == 0.0
    )
    assert values["rouge_l", "audio"] > 0.4
    assert values["rouge_l", "constant"] > 0.3
    assert result.versions == {"captions": 3}
