from __future__ import annotations

from llark.annotate import local_keys
from llark.records import Annotation, Key, Span


def song(*keys: tuple[str | None, float]) -> list[Annotation]:
    return [
        Annotation("s", 25.0 * i, 25.0 * (i + 1), key=Key(name, confidence, "harmony"))
        for i, (name, confidence) in enumerate(keys)
    ]


def test_a_song_that_modulates_has_a_span_for_each_key() -> None:
    found = local_keys.find(song(("C major", 0.9), ("C major", 0.7), ("D major", 0.8), ("D major", 0.8)))
    assert found.spans == (Span(0.0, 50.0, "C major", 0.8), Span(50.0, 100.0, "D major", 0.8))
    assert found.confidence == 0.8


def test_one_window_of_another_key_is_in_no_span() -> None:
    found = local_keys.find(
        song(("C major", 0.9), ("C major", 0.9), ("F major", 0.9), ("C major", 0.9), ("C major", 0.9))
    )
    assert [(span.start_seconds, span.end_seconds) for span in found.spans] == [(0.0, 50.0), (75.0, 125.0)]


def test_a_doubtful_window_between_two_of_one_key_belongs_to_them_at_a_price() -> None:
    found = local_keys.find(song(("C major", 0.9), ("G major", 0.3), ("C major", 0.9)))
    assert found.spans == (Span(0.0, 75.0, "C major", 0.6),)


def test_doubtful_keys_make_no_spans() -> None:
    assert local_keys.find(song(("C major", 0.4), ("C major", 0.4))).spans == ()
    assert local_keys.find([]).spans == ()
