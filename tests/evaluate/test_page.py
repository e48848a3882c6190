"""The page of an evaluation: what it shows, and that nothing in it is run or fetched."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from llark import audio
from llark.evaluate import judge, page, report
from llark.evaluate.cases import TestSet
from llark.evaluate.report import Absent, ScoreRow
from llark.evaluate.score import EvaluateConfig, evaluate
from llark.evaluate.tasks import TASKS
from llark.records import Annotation, Beats, Clip, Key
from llark.report import plots
from tests.evaluate.evaluate_fakes import annotation, deaf, hearing, make_items, run, sceptical


class Tags(HTMLParser):
    """Counts tags, and finds what is not closed."""

    VOID = ("meta", "line", "circle", "rect", "polygon", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def parsed(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    return tags


def test_a_page_holds_a_headline_a_plot_and_examples_for_every_task(tmp_path: Path) -> None:
    items = make_items(6)
    samples = np.sin(np.arange(2 * 8000) / 20).astype(np.float32)
    audio.save(tmp_path / "song.wav", samples, 8000)
    clips = {i.clip_id: Clip(i.clip_id, i.track_id, str(tmp_path / "song.wav"), 0.0, 2.0) for i in items}
    facts = {i.clip_id: i.facts for i in items if i.facts}
    result = run(deaf, items)
    path = page.write(tmp_path / "out", result, {"model": "a <b>"}, page.Media(clips, facts))
    text = path.read_text()
    tags = parsed(text)
    assert tags.open == []
    assert "a &lt;b&gt;" in text
    assert tags.seen.count("audio") == len(re.findall('class="wave"', text)) >= 15
    assert "Deaf for genre, instruments, key, meter, tempo" in text
    for label in ("circle of fifths", "octave lines", "rightly named", "genre: truth", "calibration"):
        assert label in text
    assert "GiantSteps key, 602 previews" in text


def test_a_page_neither_runs_nor_fetches_anything() -> None:
    text = page.page(run(hearing, make_items(3)), {"model": "x"}, page.Media())
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)
    assert "url(" not in text


def test_what_a_model_says_is_text_and_never_a_tag() -> None:
    def hostile(task: str, condition: str, puts: list[object]) -> dict[str, str]:
        return {put.id: "<img src=x onerror=alert(1)>" for put in puts}  # type: ignore[attr-defined]

    text = page.page(run(hostile, make_items(3), tasks=("key",)), {}, page.Media())
    assert "<img" not in text
    assert "&lt;img src=x" in text


def test_a_recording_that_is_gone_leaves_its_example_without_a_player() -> None:
    items = make_items(3)
    clips = {i.clip_id: Clip(i.clip_id, i.track_id, "/nowhere.wav", 0.0, 2.0) for i in items}
    text = page.page(run(hearing, items, tasks=("key",)), {}, page.Media(clips))
    assert "<audio" not in text
    assert "nowhere.wav" in text


@pytest.mark.parametrize(
    ("answer", "truth", "kind"),
    [
        ("C major", "C major", "right"),
        ("G major", "C major", "near"),
        ("F major", "C major", "wrong"),
        ("A minor", "C major", "near"),
        ("C minor", "C major", "near"),
        ("F# minor", "C major", "wrong"),
        ("C major", "C minor", "near"),
        ("F# major", "C minor", "wrong"),
        ("Eb major", "C minor", "near"),
    ],
)
def test_an_answer_is_near_on_the_circle_where_mirex_gives_it_a_part(
    answer: str, truth: str, kind: str
) -> None:
    part = TASKS["key"].credit(answer, truth)
    assert (part == 1.0, 0.0 < part < 1.0) == (kind == "right", kind == "near")
    assert f'class="bubble {kind}"' in plots.fifths([(answer, truth)])


def test_calibration_takes_lists_of_times_and_styles_whole() -> None:
    facts = replace(annotation("clip-1"), beats=Beats((0.5, 1.0, 1.5, 2.0), 0.7))
    verdict = run(hearing, make_items(3), tasks=("key",)).answers[0]
    for task, truth, right in (("beats", (0.5, 1.0, 1.5, 2.0), 1.0), ("genre", facts.genre.labels, 1.0)):
        sure = page._sure(replace(verdict, task=task, truth=truth), facts)
        assert sure is not None
        assert sure[1] == right


def test_an_octave_is_told_apart_from_another_wrong_tempo_and_shown_after_it() -> None:
    items = make_items(12, 1)
    said = {item.clip_id: item.truth.tempo.bpm or 0.0 for item in items}
    for number, clip in enumerate(said):
        said[clip] *= 2.0 if number else 1.3
    result = evaluate(
        TestSet(tuple(items)),
        lambda task, condition, puts: {put.id: f"{said[put.id]:.0f} BPM" for put in puts},
        EvaluateConfig(("audio",), ("tempo",)),
    )
    text = page.page(result, {}, page.Media())
    cards = re.findall(r'class="id">([^<]+)<', text)
    assert cards[0] == "clip-0: wrong"
    assert cards[1].endswith("wrong (an octave off: Acc2 counts it as right)")


def test_a_task_whose_truth_nobody_knows_has_a_line_and_no_number() -> None:
    items = [replace(item, truth=Annotation(item.clip_id, 0.0, 25.0)) for item in make_items(4)]
    items[0] = replace(items[0], truth=annotation("clip-0"))
    unknown = [replace(item, truth=Annotation(item.clip_id, 0.0, 25.0)) for item in items]
    result = run(hearing, unknown, tasks=("key",), conditions=("audio", "facts"))
    assert {row.metric for row in result.rows} == {"agreement"}
    assert "no truth is known" in page.page(result, {}, page.Media())


def test_a_task_that_was_named_and_that_no_clip_is_labelled_for_is_told() -> None:
    items = [replace(item, truth=replace(item.truth, key=Key())) for item in make_items(3)]
    items = [replace(item, facts=None) for item in items]
    result = run(hearing, items, tasks=("tempo", "key"), conditions=("audio",))
    assert "| key | MIREX | not computed: no clip has a known truth for it |" in report.table(result)
    assert "key <small>no truth is known</small>" in page.page(result, {}, page.Media())
    assert "key" not in report.table(run(hearing, items, conditions=("audio",)))


def test_a_lead_that_no_control_without_sound_was_run_for_is_not_called_hearing() -> None:
    items = make_items(12)
    kept = {"tasks": ("key",), "conditions": ("audio", "majority", "constant")}
    untested = page.page(run(hearing, items, **kept), {}, page.Media())
    assert ">untested<" in untested
    assert ">hears<" not in untested
    assert ">hears<" in page.page(run(hearing, items, tasks=("key",)), {}, page.Media())


def test_a_report_of_the_release_before_with_a_bertscore_is_read_and_shown(tmp_path: Path) -> None:
    row = ScoreRow("captions", "bertscore", "audio", 0.84, 0.8, 0.9, 4, 4)
    missing = Absent("captions", "bertscore", "no encoder; name one with --bert-score")
    old = replace(run(hearing, make_items(3), tasks=("key",)), rows=(row,), absent=(missing,))
    report.write(tmp_path, old)
    found = report.read(tmp_path)
    assert (found.rows, found.absent) == ((row,), (missing,))
    assert "| captions | BERTScore |" in report.table(found)
    assert f"| captions | BERTScore | not computed: {missing.why}" in report.table(found)
    assert "not computed: " in page.page(found, {}, page.Media())


LINE = {"how": "details", "task": "key", "judge": "<j>", "url": "http://x/v1", "found": "audio: 2.00"}


def test_what_judges_found_is_on_the_page_that_is_written_after_it(tmp_path: Path) -> None:
    result = run(hearing, make_items(3), tasks=("key",))
    report.write(tmp_path, result)
    judge.note(tmp_path, LINE)
    judge.note(tmp_path, LINE)
    found = judge.findings(tmp_path, result.answers)
    assert [{name: one[name] for name in LINE} for one in found] == [LINE]
    text = page.write(tmp_path, result).read_text()
    assert "What judges say" in text
    assert "<td>&lt;j&gt;</td><td>audio: 2.00</td>" in text
    assert "What judges say" not in page.page(run(hearing, make_items(3)), {}, page.Media())


def test_what_a_judge_found_about_other_answers_is_not_on_the_page(tmp_path: Path) -> None:
    report.write(tmp_path, run(hearing, make_items(3), tasks=("key",)))
    judge.note(tmp_path, LINE)
    assert "What judges say" not in page.write(tmp_path, run(deaf, make_items(3), tasks=("key",))).read_text()
    assert "What judges say" in page.write(tmp_path, run(hearing, make_items(3))).read_text()


def test_a_judges_findings_are_all_there_while_one_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(hearing, make_items(3), tasks=("key",))
    report.write(tmp_path, result)
    judge.note(tmp_path, LINE)

    def killed(made: Path, path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llark.storage.folders.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        judge.note(tmp_path, {**LINE, "found": "audio: 3.00"})
    assert [one["found"] for one in judge.findings(tmp_path, result.answers)] == ["audio: 2.00"]


def test_an_answer_is_shown_once_among_the_worst_and_the_best() -> None:
    items = make_items(1, 2)
    said = {item.clip_id: ", ".join((*item.truth.instruments.labels, "harp")) for item in items}
    result = run(lambda *_: said, items, tasks=("instruments",), conditions=("audio",))
    assert all(0.5 < (answer.right or 0.0) < 1.0 for answer in result.answers)
    cards = re.findall(r'class="id">([^<:]+):', page.page(result, {}, page.Media()))
    assert sorted(cards) == ["clip-0", "clip-1"]


def test_a_model_that_says_nothing_is_neither_a_parrot_nor_a_sceptic() -> None:
    def silent(task: str, condition: str, puts: list[object]) -> dict[str, str]:
        return {put.id: "I cannot tell." for put in puts}  # type: ignore[attr-defined]

    text = page.page(run(silent, make_items(6), tasks=("key",)), {}, page.Media())
    assert "Faithfulness" in text
    assert "<td>sceptical</td>" not in text
    assert "<td>parrots</td>" not in text
    kept = {"tasks": ("key",), "conditions": ("audio", "facts", "wrong facts")}
    assert "<td>sceptical</td>" in page.page(run(sceptical, make_items(6), **kept), {}, page.Media())
    assert "<td>parrots</td>" in page.page(run(hearing, make_items(6), **kept), {}, page.Media())


def test_every_curve_of_the_calibration_has_a_colour() -> None:
    measured = [name for name in TASKS if hasattr(annotation("x"), name)]
    drawn = plots.calibration({name: plots.bins([(0.5, 1.0)]) for name in measured})
    style = (Path(plots.__file__).parent / "templates" / "style.css").read_text()
    used = set(re.findall(r'class="curve (c\d+)"', drawn))
    assert len(used) == len(measured) == 7
    assert {
        name for name in used if f".{name} {{ stroke:" in style and f".key.{name} {{ fill:" in style
    } == used
