"""The metrics, against mir_eval and against counts done by hand."""

from __future__ import annotations

import itertools
import random

import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llark.evaluate.tasks import TASKS, instruments, key, tempo
from llark.records import INSTRUMENTS, KEYS, Annotation, Key, Tag, Tags

PARTS = (
    "VERSION",
    "QUESTION",
    "HEADLINE",
    "read",
    "truth",
    "points",
    "rates",
    "credit",
    "constants",
    "score",
)


def scored(task: str, pairs: list[tuple[object, object]]) -> dict[str, float]:
    return {row.metric: row.value for row in TASKS[task].score(pairs)}


def test_the_folder_holds_the_five_benchmarks() -> None:
    assert list(TASKS) == ["genre", "instruments", "key", "meter", "tempo"]


@pytest.mark.parametrize("name", TASKS)
def test_every_benchmark_has_the_same_parts(name: str) -> None:
    task = TASKS[name]
    assert [part for part in PARTS if not hasattr(task, part)] == []
    assert task.HEADLINE in {row.metric for row in task.score([(None, a_truth(name))])}
    assert task.__doc__


def a_truth(task: str) -> object:
    truths = {
        "tempo": 120.0,
        "key": "C major",
        "meter": 4,
        "instruments": frozenset({"piano"}),
        "genre": ("rock",),
    }
    return truths[task]


@pytest.mark.parametrize("name", TASKS)
def test_an_unknown_fact_is_not_scored(name: str) -> None:
    assert TASKS[name].truth(Annotation("c", 0.0, 25.0)) is None
    assert TASKS[name].score([]) == []


@pytest.mark.parametrize("name", TASKS)
def test_no_answer_lowers_coverage_and_scores_nothing(name: str) -> None:
    rows = scored(name, [(None, a_truth(name))])
    assert set(rows.values()) == {0.0}
    right = scored(name, [(a_truth(name) if name != "genre" else "rock", a_truth(name))])
    assert set(right.values()) == {1.0}


def test_key_scores_are_those_of_mir_eval() -> None:
    pairs = list(itertools.product(KEYS, KEYS))
    theirs = np.mean([mir_eval.key.weighted_score(truth, answer) for answer, truth in pairs])
    assert abs(scored("key", pairs)["mirex"] - theirs) < 1e-9
    assert scored("key", pairs)["exact"] == 1 / 24


def test_acc1_is_a_hit_of_mir_eval_at_four_percent() -> None:
    chance = random.Random(0)
    pairs = [(chance.uniform(20, 400), chance.uniform(40, 240)) for _ in range(500)]
    pairs += [(truth * factor, truth) for _, truth in pairs for factor in (0.961, 1.039, 0.959, 1.041)]
    theirs = [
        mir_eval.tempo.detection(np.array([truth, 0.0]), 1.0, np.array([answer, answer]), tol=0.04)[0]
        for answer, truth in pairs
    ]
    assert abs(scored("tempo", pairs)["acc1"] - np.mean(theirs)) < 1e-9


def test_acc2_allows_double_triple_half_and_third_and_nothing_else() -> None:
    pairs = [(120.0 * factor, 120.0) for factor in (1, 2, 3, 1 / 2, 1 / 3, 4, 2 / 3, 1.5, 1 / 4)]
    assert [tempo.points(*pair)[3] for pair in pairs] == [True] * 5 + [False] * 4
    assert scored("tempo", pairs)["acc1"] == pytest.approx(1 / 9, abs=1e-12)


@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from(INSTRUMENTS), max_size=6),
            st.sets(st.sampled_from(INSTRUMENTS), min_size=1, max_size=6),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_instrument_scores_are_precision_and_recall_of_mir_eval(
    pairs: list[tuple[set[str], set[str]]],
) -> None:
    def f_measure(answers: list[set[str]], truths: list[set[str]]) -> float:
        right = sum(len(a & t) for a, t in zip(answers, truths, strict=True))
        named, there = sum(map(len, answers)), sum(map(len, truths))
        return float(
            mir_eval.util.f_measure(right / named if named else 0.0, right / there if there else 0.0)
        )

    rows = scored("instruments", pairs)
    answers, truths = [a for a, _ in pairs], [t for _, t in pairs]
    assert abs(rows["f1"] - f_measure(answers, truths)) < 1e-9
    assert abs(rows["clip_f1"] - np.mean([f_measure([a], [t]) for a, t in pairs])) < 1e-9
    occurring = set().union(*answers, *truths)
    each = [f_measure([a & {word} for a in answers], [t & {word} for t in truths]) for word in occurring]
    assert abs(rows["macro_f1"] - np.mean(each)) < 1e-9


def test_a_family_word_is_one_member_that_the_music_has() -> None:
    assert instruments.resolve({"guitar"}, {"electric guitar", "drums"}) == {"electric guitar"}
    assert instruments.resolve({"guitar", "electric guitar"}, {"electric guitar"}) == {"electric guitar"}
    assert instruments.resolve({"guitar"}, {"piano"}) == {"acoustic guitar"}
    assert instruments.credit({"guitar"}, {"piano"}) == 0.0


def test_a_genre_is_right_if_it_is_any_of_the_true_ones_and_only_the_first_said_counts() -> None:
    genre = TASKS["genre"]
    assert genre.credit(genre.read("pop, or maybe rock"), ("rock", "pop")) == 1.0
    assert genre.credit(genre.read("jazz, blues, rock, pop, metal"), ("rock", "pop")) == 0.0


def test_truths_come_from_the_annotation() -> None:
    annotation = Annotation(
        "c", 0.0, 25.0, key=Key("Eb major", 1.0), instruments=Tags((Tag("harp", 1.0),), 1.0)
    )
    assert key.truth(annotation) == "Eb major"
    assert instruments.truth(annotation) == {"harp"}
