"""Pictures of pages: what stands where, and that names in them are text."""

from __future__ import annotations

import numpy as np
import pytest
from markupsafe import Markup

from llark.records import KEYS
from llark.report import plots


@pytest.mark.parametrize(
    ("answer", "truth", "apart"),
    [
        ("C major", "C major", (0, True)),
        ("G major", "C major", (1, True)),
        ("F major", "C major", (-1, True)),
        ("A minor", "C major", (0, False)),
        ("C minor", "C major", (-3, False)),
        ("E minor", "A minor", (1, True)),
        ("F# major", "C major", (6, True)),
    ],
)
def test_keys_are_apart_by_fifths_of_their_signatures(
    answer: str, truth: str, apart: tuple[int, bool]
) -> None:
    assert plots.fifths_apart(answer, truth) == apart


def test_every_key_has_a_place_on_the_circle() -> None:
    assert sorted(plots.KEY_ORDER) == sorted(KEYS)
    assert plots.KEY_ORDER[:3] == ("C major", "G major", "D major")
    assert plots.KEY_ORDER[12:15] == ("A minor", "E minor", "B minor")


def test_calibration_bins_are_of_equal_size_and_hold_all_clips() -> None:
    sure = [(i / 100, float(i % 2)) for i in range(100)]
    found = plots.bins(sure)
    assert sum(one.n for one in found) == 100
    assert max(one.n for one in found) - min(one.n for one in found) <= 1
    assert [one.confidence for one in found] == sorted(one.confidence for one in found)


def test_a_waveform_is_drawn_to_its_loudest() -> None:
    quiet = plots.waveform(np.full(1000, 0.01, np.float32), to_loudest=True)
    assert quiet == plots.waveform(np.full(1000, 0.5, np.float32), to_loudest=True)


def test_a_circle_without_answers_says_none() -> None:
    assert ">0 answers<" in plots.fifths([(None, "C major")])


def test_what_a_drawing_says_is_escaped_in_texts_titles_and_attributes() -> None:
    hostile = '"><script>'
    drawings = [
        plots.matrix([(hostile, hostile)], [hostile], hostile),
        plots.calibration({hostile: plots.bins([(0.5, 1.0)])}),
    ]
    for drawing in drawings:
        assert isinstance(drawing, Markup)
        assert "<script" not in drawing
        assert "&#34;&gt;&lt;script&gt;" in drawing


def test_a_drawing_of_no_samples_is_a_flat_line() -> None:
    assert plots.waveform(np.zeros(0)) == plots.waveform(np.zeros(1))


def test_labels_are_counted_as_rightly_named_missed_and_wrongly_named_the_commonest_first() -> None:
    counted = plots.count_labels([({"piano", "harp"}, {"piano", "voice"}), (None, {"piano"})])
    assert counted == [("piano", 1, 1, 0), ("voice", 0, 1, 0), ("harp", 0, 0, 1)]
    assert [one.total for one in counted] == [2, 1, 1]
    assert len(plots.count_labels([(None, map(str, range(90)))])) == plots.MOST_LABELS
