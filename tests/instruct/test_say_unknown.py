"""When the teacher asks about what the truth does not say."""

from __future__ import annotations

import pytest

from llark.instruct.offline import OfflineConfig, teach
from llark.records import Annotation, Tag, Tags, Tempo

DRUMS = Tags((Tag("drums", 1.0),), 1.0, "truth")
BAND = Tags((Tag("piano", 1.0), Tag("drums", 1.0)), 1.0, "truth")


def key_answers(instruments: Tags, say_unknown: object) -> list[str]:
    config = OfflineConfig(most=200, say_unknown=say_unknown, kinds="basic")  # type: ignore[arg-type]
    truth = Annotation("a", 0.0, 12.0, Tempo(120.0, 1.0, "truth"), instruments=instruments)
    return [e.answer for e in teach(truth, config) if e.kind == "key"]


@pytest.mark.parametrize(
    ("instruments", "say_unknown", "asks"),
    [(DRUMS, "drums", True), (BAND, "drums", False), (BAND, True, True), (DRUMS, False, False)],
)
def test_an_unknown_key_is_asked_for_where_it_cannot_be_heard(
    instruments: Tags, say_unknown: object, asks: bool
) -> None:
    answers = key_answers(instruments, say_unknown)
    assert bool(answers) is asks
    assert all("tell" in answer for answer in answers)
