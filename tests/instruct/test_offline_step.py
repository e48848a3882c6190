from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from llark.instruct import Source
from llark.instruct.offline import OfflineConfig, OfflineTeacher, teach
from llark.records import Annotation, Dropped, Exchange, Key, from_json, to_json


def test_the_step_gives_what_the_teacher_gives(waltz: Annotation) -> None:
    config, source = OfflineConfig(most=7, seed=5), Source(waltz, dataset="set", split="test")
    step = pickle.loads(pickle.dumps(OfflineTeacher(config)))
    step.open()
    assert (step.name, step.id_of(source)) == ("instruct", "waltz-2")
    exchanges = list(step(source))
    plain = [replace(one, track_id="", dataset="", split="all", measured_by=()) for one in exchanges]
    assert plain == teach(waltz, config)
    assert {(one.track_id, one.dataset, one.split) for one in exchanges} == {("waltz-2", "set", "test")}
    assert len(exchanges) == 7


def test_exchanges_survive_their_json(waltz: Annotation) -> None:
    for exchange in OfflineTeacher()(Source(waltz)):
        assert from_json(Exchange, to_json(exchange)) == exchange


def test_an_exchange_of_the_release_before_is_read_without_its_provenance() -> None:
    line = (
        '{"clip_id":"a","question":"Q?","answer":"A.","task":"captioning",'
        '"kind":"caption","teacher":"offline-1","facts":["key"]}'
    )
    exchange = from_json(Exchange, line)
    assert exchange == Exchange("a", "Q?", "A.", "captioning", "caption", "offline-1", ("key",))
    assert (exchange.dataset, exchange.licence, exchange.measured_by) == ("", "unknown", ())


def test_an_annotation_that_cannot_be_used_is_dropped_with_the_reason(waltz: Annotation) -> None:
    step = OfflineTeacher()
    step.open()
    bad = replace(waltz, key=Key("D dorian")), replace(waltz, end_seconds=50.0)
    drops = [one for annotation in bad for one in step(Source(annotation))]
    assert all(isinstance(drop, Dropped) for drop in drops)
    assert [(drop.id, drop.stage, drop.reason) for drop in drops if isinstance(drop, Dropped)] == [
        ("waltz-2", "instruct", "unreadable-annotation"),
        ("waltz-2", "instruct", "no-length"),
    ]


def test_a_config_without_exchanges_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        OfflineConfig(most=0)
