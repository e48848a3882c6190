"""The page of a prepared folder: the right numbers, and nothing that runs or is fetched."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from llark import audio
from llark.prepare import report, stage
from llark.prepare.stage import PrepareConfig
from llark.prepare.summary import PrepareSummary
from llark.records import Clip, Dropped, Tag, Tags, Track
from llark.report import plots

HOSTILE = "\"></title></style><script>alert(1)</script><img src='//x.test/a' onerror=alert(1)>"


class _Page(HTMLParser):
    """The tags, the attributes and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def _summary(text: str = "rock") -> PrepareSummary:
    found = PrepareSummary(dataset=text, source=text, out=text)
    found.add_track(
        Track(
            text, text, text, text, text, text, text, 95.0, metadata={"genre": (text,), "audio.format": text}
        )
    )
    found.add_clip(Clip(text, text, text, 0.0, 25.0, text))
    found.add_drop(Dropped(text, "prepare", text, text))
    found.lost[text] = 1
    return found


def test_nothing_that_a_data_set_says_becomes_markup() -> None:
    plain, hostile = _Page(report.page(_summary())), _Page(report.page(_summary(HOSTILE)))
    assert hostile.tags == plain.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in plain.attributes]
    assert hostile.text.count("<script>alert(1)</script>") == plain.text.count("rock") > 5


def test_the_page_asks_for_nothing_and_forbids_scripts() -> None:
    text = report.page(_summary())
    page = _Page(text)
    names = {name for name, _ in page.attributes}
    assert not names & {"src", "href", "onclick", "onload", "action"}
    assert not {"script", "link", "iframe", "img"} & page.tags.keys()
    assert "url(" not in text
    assert "@import" not in text
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def _bars(text: str) -> list[str]:
    """What the titles of a histogram's bars say."""
    titles = [value for name, value in _Page(text).attributes if name == "title"]
    return [title for title in titles if title]


def test_tracks_are_counted_by_length_and_the_longest_share_a_bar() -> None:
    found = PrepareSummary()
    for seconds in [30.02] * 100 + [45.0] * 60 + [61.0] * 40 + [7200.0]:
        found.add_track(Track("a", "a", duration_seconds=seconds))
    bars = _bars(report.page(found))
    assert bars[0] == "0:30 to 0:32: 100"
    assert bars[-1] == "1:00 and longer: 41"
    assert sum(int(bar.rpartition(" ")[2]) for bar in bars) == 201
    assert len(bars) <= 21


def test_the_most_frequent_tags_come_first_with_their_share() -> None:
    found = PrepareSummary()
    for index in range(20):
        genre = Tags((Tag("rock", 1.0),) if index < 15 else ())
        truth = stage.Annotation("a", 0, 0, genre=genre)
        found.add_track(
            Track(
                "a",
                "a",
                duration_seconds=9.0,
                truth=truth,
                metadata={"x.tags": (f"tag {index}",), "loudness": ("-9.1",)},
            )
        )
    text = " ".join(_Page(report.page(found)).text.split())
    assert "rock 15 75% tag 0 1 5%" in text
    assert "and 9 more" in text


def test_a_waveform_goes_from_the_lowest_to_the_highest_sample() -> None:
    samples = np.concatenate([np.full(300, 0.5), np.full(300, -1.0)]).astype(np.float32)
    drawing = plots.waveform(samples)
    points = drawing.partition('points="')[2].partition('"')[0].split()
    assert len(points) == 2 * 300
    assert (points[0], points[299], points[300], points[-1]) == ("0,26.0", "299,98.0", "299,98.4", "0,26.4")
    assert plots.waveform(np.zeros(1, np.float32)).count("<polygon") == 1


@pytest.mark.parametrize("clips", [1, 4, 30])
def test_the_page_of_a_real_folder_shows_up_to_six_waveforms(tmp_path: Path, clips: int) -> None:
    audio.save(tmp_path / "a.wav", np.sin(np.arange(clips * 8000)).astype(np.float32) / 2, 8000)
    settings = PrepareConfig(str(tmp_path), crop=stage.Crop(1.0))
    found = stage.run(settings, str(tmp_path / "out"), progress=False)
    assert found.whole.clips == clips
    page = _Page(Path(report.write(found)).read_text())
    assert page.tags["polygon"] == page.tags["figure"] == min(6, clips)
    assert "Nothing was lost." in page.text


def test_a_clip_that_cannot_be_drawn_says_why(tmp_path: Path) -> None:
    audio.save(tmp_path / "a.wav", np.zeros(16000, np.float32), 8000)
    found = stage.run(PrepareConfig(str(tmp_path)), str(tmp_path / "out"), progress=False)
    (tmp_path / "a.wav").unlink()
    page = _Page(Path(report.write(found)).read_text())
    assert page.tags["polygon"] == 0
    assert "There is no file" in page.text
