from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from llark.instruct.step import InstructConfig, InstructStep
from llark.instruct.teacher import teach
from llark.records import Annotation, Dropped, Exchange, Key, from_json, to_json


def test_the_step_gives_what_the_teacher_gives(waltz: Annotation) -> None:
    step = pickle.loads(pickle.dumps(InstructStep(InstructConfig(most=7, seed=5))))
    step.open()
    assert (step.name, step.id_of(waltz)) == ("instruct", "waltz-2")
    exchanges = list(step(waltz))
    assert exchanges == teach(waltz, most=7, seed=5)
    assert len(exchanges) == 7


def test_exchanges_survive_their_json(waltz: Annotation) -> None:
    for exchange in InstructStep()(waltz):
        assert from_json(Exchange, to_json(exchange)) == exchange


def test_an_annotation_that_cannot_be_used_is_dropped_with_the_reason(waltz: Annotation) -> None:
    step = InstructStep()
    step.open()
    drops = [*step(replace(waltz, key=Key("D dorian"))), *step(replace(waltz, end_seconds=50.0))]
    assert all(isinstance(drop, Dropped) for drop in drops)
    assert [(drop.id, drop.stage, drop.reason) for drop in drops if isinstance(drop, Dropped)] == [
        ("waltz-2", "instruct", "unreadable-annotation"),
        ("waltz-2", "instruct", "no-length"),
    ]


def test_a_config_without_exchanges_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        InstructConfig(most=0)
