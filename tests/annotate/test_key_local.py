from __future__ import annotations

import numpy as np
import pytest

from llark.annotate.key import find_course
from llark.records import KEYS, Annotation, Key, LocalKeys, Span


def keys_of(*windows: dict[str, float]) -> LocalKeys:
    """The local keys of a song whose windows of 25 s have these probabilities of keys; none if none."""
    annotations, heard = [], []
    for number, probable in enumerate(windows):
        name = max(probable, key=lambda key: probable[key], default=None)
        key = Key(name, probable[name], "harmony") if name else Key(source="harmony")
        annotations.append(Annotation("s", 25.0 * number, 25.0 * (number + 1), key=key))
        heard.append(np.array([*(probable.get(key, 0.0) for key in KEYS), 1 - sum(probable.values())]))
    return find_course(annotations, heard)


def test_a_song_that_modulates_has_a_span_for_each_key() -> None:
    found = keys_of({"C major": 0.9}, {"C major": 0.7}, {"D major": 0.8}, {"D major": 0.8})
    assert found.spans == (Span(0.0, 50.0, "C major", 0.8), Span(50.0, 100.0, "D major", 0.8))
    assert found.confidence == 0.8


def test_windows_that_waver_between_two_keys_have_the_one_that_is_likelier_in_all() -> None:
    found = keys_of({"D major": 0.54, "G major": 0.43}, {"G major": 0.72, "D major": 0.25})
    assert found.spans == (Span(0.0, 50.0, "G major", 0.575),)


def test_one_window_that_is_likelier_in_another_key_changes_nothing() -> None:
    home = {"C major": 0.9, "F major": 0.05}
    found = keys_of(home, home, {"F major": 0.85, "C major": 0.1}, home, home)
    assert found.spans == (Span(0.0, 125.0, "C major", 0.74),)


def test_one_window_that_is_surely_in_another_key_is_in_no_span() -> None:
    home, away = {"C major": 0.9}, {"F# major": 0.98}
    found = keys_of(home, home, away, home, home)
    assert [(span.start_seconds, span.end_seconds) for span in found.spans] == [(0.0, 50.0), (75.0, 125.0)]


def test_a_window_without_a_key_between_two_of_one_key_belongs_to_them_at_a_price() -> None:
    found = keys_of({"C major": 0.9}, {}, {"C major": 0.9})
    assert found.spans == (Span(0.0, 75.0, "C major", 0.6),)


@pytest.mark.parametrize("windows", [[], [{}, {}], [{"C major": 0.4}, {"C major": 0.4}], [{"C major": 0.9}]])
def test_doubtful_keys_no_keys_and_single_windows_make_no_spans(windows: list[dict[str, float]]) -> None:
    found = keys_of(*windows)
    assert found.spans == ()
    assert found.confidence == 0
