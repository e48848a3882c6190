"""Whole evaluations of made-up models: one that hears, one that is deaf, one that says nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llark.errors import UserMustAct
from llark.evaluate import report
from llark.evaluate.cases import CONDITIONS, TEXT_PRIORS, Case, LabelledClip, TestSet, donors, prompts_under
from llark.evaluate.options import OptionList
from llark.evaluate.report import FOLLOWS, KEEPS, Evaluation
from llark.evaluate.score import EvaluateConfig, evaluate, plan, tasks_of
from llark.evaluate.tasks import TASKS
from llark.records import GENRES, Annotation, Key, Tempo
from tests.evaluate.evaluate_fakes import (
    FIVE,
    annotation,
    deaf,
    half_deaf,
    hearing,
    make_items,
    run,
    sceptical,
    value,
)


@pytest.fixture(scope="module")
def heard_well() -> Evaluation:
    return run(hearing)


@pytest.fixture(scope="module")
def not_heard() -> Evaluation:
    return run(deaf)


def test_a_perfect_model_scores_one_on_everything(heard_well: Evaluation) -> None:
    values = {row.value for row in heard_well.rows if row.condition == "audio" and "strict" not in row.metric}
    assert values == {1.0}
    assert {answer.verdict for answer in heard_well.answers if answer.condition == "audio"} == {"right"}


def test_without_names_the_tasks_are_those_whose_truth_is_known() -> None:
    items = make_items(3)
    assert tasks_of(TestSet(tuple(items))) == FIVE
    only_key = [replace(item, truth=Annotation("x", 0, 25, key=Key("C major", 1.0))) for item in items]
    assert tasks_of(TestSet(tuple(only_key))) == ("key",)


def test_all_conditions_and_controls_are_run_by_default(heard_well: Evaluation) -> None:
    assert {row.condition for row in heard_well.rows} == set(CONDITIONS) - set(TEXT_PRIORS)


def test_a_model_that_hears_is_not_called_deaf(heard_well: Evaluation) -> None:
    assert heard_well.deaf == ()
    assert all(margin.low > 0.3 for margin in heard_well.margins)


def test_a_model_that_does_not_listen_is_called_deaf(not_heard: Evaluation) -> None:
    assert not_heard.deaf == FIVE
    for task in FIVE:
        metric = TASKS[task].headline
        assert value(not_heard, task, metric) == value(not_heard, task, metric, "shuffled")
        assert value(not_heard, task, metric) == value(not_heard, task, metric, "no audio")


def test_deafness_is_told_for_each_task() -> None:
    assert run(half_deaf).deaf == ("genre", "instruments", "meter", "tempo")


@pytest.mark.parametrize("condition", ["silence", "noise", "no audio"])
def test_without_the_right_sound_a_hearing_model_scores_nothing(
    heard_well: Evaluation, condition: str
) -> None:
    assert value(heard_well, "key", "mirex", condition) == 0.0
    assert value(heard_well, "key", "coverage", condition) == 0.0


def test_shuffled_audio_takes_the_score_away_and_not_the_answers(heard_well: Evaluation) -> None:
    assert value(heard_well, "key", "mirex", "shuffled") < 0.35
    assert value(heard_well, "key", "coverage", "shuffled") == 1.0


def test_a_model_that_believes_facts_agrees_with_them_and_follows_wrong_ones(heard_well: Evaluation) -> None:
    for task in FIVE:
        assert value(heard_well, task, "agreement", "facts") == 1.0
        assert value(heard_well, task, FOLLOWS, "wrong facts") == 1.0
        assert value(heard_well, task, KEEPS, "wrong facts") == 0.0
    assert value(heard_well, "key", "exact", "facts") < 0.3


def test_a_sceptical_model_keeps_to_what_it_said_without_facts() -> None:
    result = run(sceptical, tasks=("key", "tempo"), conditions=("audio", "facts", "wrong facts"))
    for task in ("key", "tempo"):
        assert value(result, task, FOLLOWS, "wrong facts") < 0.2
        assert value(result, task, KEEPS, "wrong facts") > 0.8


def test_facts_are_shown_in_the_conditions_of_that_name_alone() -> None:
    items = make_items(3)
    cases = [Case(item.clip_id, item.clip_id, item.track_id, "?", None) for item in items]
    facts = {item.clip_id: item.facts for item in items if item.facts}
    for condition in ("audio", "shuffled", "silence", "noise", "no audio"):
        assert all(put.facts is None for put in prompts_under(condition, cases, facts))
    assert [put.facts for put in prompts_under("facts", cases, facts)] == [item.facts for item in items]
    for put in prompts_under("wrong facts", cases, facts):
        assert put.facts is not None
        assert put.facts.clip_id != facts[put.id].clip_id


def test_agreement_counts_clips_whose_truth_is_unknown() -> None:
    items = [replace(item, truth=Annotation(item.clip_id, 0.0, 25.0)) for item in make_items(4)]
    items[0] = replace(items[0], truth=annotation("clip-0"))
    result = run(hearing, items, conditions=("audio", "facts"), tasks=("key",))
    counts = {(row.condition, row.metric): row.n for row in result.rows}
    assert counts["audio", "mirex"] == counts["facts", "mirex"] == 1
    assert counts["facts", "agreement"] == 8
    facts = [answer.verdict for answer in result.answers if answer.condition == "facts"]
    assert facts.count("not scored") == 7


def test_shuffled_audio_comes_from_another_track_and_every_clip_is_used_once() -> None:
    tracks = {item.clip_id: item.track_id for item in make_items(9, 3)}
    chosen = donors(tracks)
    assert sorted(chosen.values()) == sorted(tracks)
    assert all(tracks[clip] != tracks[donor] for clip, donor in chosen.items())


def test_shuffled_audio_comes_from_another_track_even_if_one_track_has_most_clips() -> None:
    tracks = {f"clip-{i}": "long" if i < 9 else f"short-{i}" for i in range(12)}
    assert all(tracks[clip] != tracks[donor] for clip, donor in donors(tracks).items())


def test_the_order_of_the_clips_changes_nothing() -> None:
    items = make_items(8)
    forth, back = run(half_deaf, items), run(half_deaf, items[::-1])
    assert forth.rows == back.rows
    assert forth.margins == back.margins


def test_the_constant_is_the_best_and_the_majority_the_commonest_of_the_training_truths() -> None:
    items = make_items(6)
    training = [
        LabelledClip(
            f"t{i}", f"t{i}", replace(annotation(f"t{i}"), key=Key("A minor", 1.0), tempo=Tempo(100.0, 1.0))
        )
        for i in range(5)
    ]
    items = [replace(item, truth=replace(item.truth, key=Key("A minor", 1.0))) for item in items[:6]] + items[
        6:
    ]
    settings = EvaluateConfig(("audio", "majority", "constant"), ("key", "tempo"))
    result = evaluate(TestSet(tuple(items)), deaf, settings, training=training)
    exact = np.mean([item.truth.key.name == "A minor" for item in items])
    near = np.mean([abs((i.truth.tempo.bpm or 0) - 100) <= 0.04 * (i.truth.tempo.bpm or 0) for i in items])
    for condition in ("majority", "constant"):
        assert value(result, "key", "exact", condition) == pytest.approx(exact)
        assert value(result, "tempo", "acc1", condition) == pytest.approx(near)


def test_a_model_that_always_gives_the_majority_answer_has_no_lead() -> None:
    items = make_items()
    best = max(GENRES, key=lambda genre: sum(item.truth.genre.labels == (genre,) for item in items))
    margin = run(
        lambda task, condition, puts: {put.id: best for put in puts}, items, tasks=("genre",)
    ).margins[0]
    assert margin.value == 0.0
    assert margin.deaf


def test_intervals_hold_the_value_and_narrow_with_more_tracks() -> None:
    def some(task: str, condition: str, puts: list[object]) -> dict[str, str]:
        right = hearing(task, condition, puts)  # type: ignore[arg-type]
        return {id_: text if i % 3 else "C major" for i, (id_, text) in enumerate(right.items())}

    widths = []
    for tracks in (10, 90):
        result = run(some, make_items(tracks), conditions=("audio",), tasks=("key",))
        row = next(row for row in result.rows if row.metric == "mirex")
        assert row.low <= row.value <= row.high
        widths.append(row.high - row.low)
    assert widths[1] < widths[0] / 2


def test_one_track_says_nothing_about_others() -> None:
    row = run(hearing, make_items(1), conditions=("audio",), tasks=("key",)).rows[0]
    assert (row.value, row.low, row.high, row.tracks, row.n) == (1.0, 0.0, 1.0, 1, 2)


def test_with_equal_tracks_a_long_track_counts_once() -> None:
    items = [
        replace(item, track_id="long" if i < 9 else f"short-{i}") for i, item in enumerate(make_items(5))
    ]

    def knows_the_long_one(task: str, condition: str, puts: list[object]) -> dict[str, str]:
        right = hearing(task, condition, puts)  # type: ignore[arg-type]
        return {id_: text if int(id_[5:]) < 9 else "?" for id_, text in right.items()}

    kept = {"conditions": ("audio",), "tasks": ("key",)}
    assert value(run(knows_the_long_one, items, **kept), "key", "exact") == 0.9
    assert value(run(knows_the_long_one, items, equal_tracks=True, **kept), "key", "exact") == 0.5


def test_a_hedged_answer_counts_leniently_and_not_strictly() -> None:
    result = run(hearing, tasks=("tempo", "key"), conditions=("audio",))
    assert value(result, "tempo", "acc2") == 1.0
    assert value(result, "tempo", "strict acc2") == 0.0  # "about"
    assert value(result, "key", "strict mirex") == 1.0


def test_questions_with_options_are_scored_with_their_own_text() -> None:
    texts = ("Rock", "Jazz", "Folk", "Soul")
    cases = tuple(
        Case(str(i), f"clip-{i}", f"clip-{i}", f"Which of these? {i}", OptionList(texts, i % 4))
        for i in range(40)
    )

    def answer(task: str, condition: str, puts: list[object]) -> dict[str, str]:
        heard = condition == "audio"
        return {put.id: "ABCD"[int(put.id) % 4] if heard else "(A)" for put in puts}  # type: ignore[attr-defined]

    result = evaluate(TestSet((), {"muchomusic": cases}), answer)
    assert value(result, "muchomusic", "accuracy") == 1.0
    assert value(result, "muchomusic", "accuracy", "no audio") == 0.25
    assert result.margins[0].value == 0.75
    assert not result.margins[0].deaf


def test_the_plan_holds_every_put_that_is_asked() -> None:
    asked: list[tuple[str, str, int]] = []

    def answer(task: str, condition: str, puts: list[object]) -> dict[str, str]:
        asked.append((task, condition, len(puts)))
        return hearing(task, condition, puts)  # type: ignore[arg-type]

    test_set, settings = TestSet(tuple(make_items(4))), EvaluateConfig()
    evaluate(test_set, answer, settings)  # type: ignore[arg-type]
    assert [(task, condition, len(puts)) for task, condition, puts in plan(test_set, settings)] == asked
    assert len(asked) == 5 * 7


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"conditions": ("audio", "whisper")}, "There is no condition 'whisper'"),
        ({"tasks": ("mood",)}, "There is no task 'mood'"),
    ],
)
def test_a_setting_that_cannot_be_met_is_refused(settings: dict[str, tuple[str, ...]], words: str) -> None:
    with pytest.raises(UserMustAct, match=words):
        run(hearing, **settings)


def test_test_sets_that_cannot_be_scored_are_refused() -> None:
    items = make_items(2)
    with pytest.raises(UserMustAct, match="same id"):
        run(hearing, [items[0], items[0]])
    unknown = [replace(item, truth=Annotation("x", 0.0, 25.0)) for item in items]
    with pytest.raises(UserMustAct, match="known truth"):
        run(hearing, unknown, conditions=("audio",))
    with pytest.raises(UserMustAct, match="4 of 4 answers missing"):
        run(lambda task, condition, puts: {}, items)


def test_a_report_says_who_is_deaf_and_leads_with_the_lead(
    heard_well: Evaluation, not_heard: Evaluation
) -> None:
    lines = report.table(heard_well).splitlines()
    assert lines[0] == (
        "| task | metric | lead over best control | audio | with facts | wrong facts | shuffled | silence | "
        "noise | no audio | majority | constant | n |"
    )
    tempo = next(line for line in lines if line.startswith("| tempo | Acc2"))
    assert tempo.split(" | ")[3] == "**1.00** [1.00, 1.00]"
    assert tempo.split(" | ")[2].startswith("+")
    assert "Deaf" not in report.page(heard_well)
    assert report.page(not_heard).count("**Deaf for") == 5


def test_a_written_report_holds_every_answer_and_is_read_back(heard_well: Evaluation, tmp_path: Path) -> None:
    path = report.write(tmp_path, heard_well, {"model": "fake"})
    again = report.read(path.parent)
    assert again.rows == heard_well.rows
    assert again.margins == heard_well.margins
    assert report.table(again) == report.table(heard_well)
    assert len(again.answers) == 7 * 5 * 60
    first = again.answers[0]
    assert (first.task, first.verdict, first.right) == ("genre", "right", 1.0)
    assert "- model: fake" in path.read_text()
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["answers.jsonl", "report.md", "scores.json"]


def test_a_folder_without_a_report_or_with_a_damaged_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match=r"no scores\.json"):
        report.read(tmp_path)
    report.write(tmp_path, run(hearing, make_items(2), tasks=("key",), conditions=("audio",)))
    answers = (tmp_path / "answers.jsonl").read_text()
    for damaged in (answers[:-9], '{"task": "key"}\n'):
        (tmp_path / "answers.jsonl").write_text(damaged)
        with pytest.raises(UserMustAct, match="is damaged, or of another release"):
            report.read(tmp_path)
    (tmp_path / "answers.jsonl").unlink()
    with pytest.raises(UserMustAct, match="is damaged, or of another release"):
        report.read(tmp_path)


def test_an_answer_with_separators_of_lines_is_read_back_whole(tmp_path: Path) -> None:
    said = "C major\u2028or \u0085 so"
    result = run(
        lambda task, condition, puts: {put.id: said for put in puts},
        make_items(2),
        tasks=("key",),
        conditions=("audio",),
    )
    report.write(tmp_path, result)
    assert {answer.answer for answer in report.read(tmp_path).answers} == {said}


def test_what_is_named_twice_is_asked_and_scored_once() -> None:
    once = run(hearing, make_items(2), tasks=("key",), conditions=("audio",))
    twice = run(hearing, make_items(2), tasks=("key", "key"), conditions=("audio", "audio"))
    assert (twice.rows, len(twice.answers)) == (once.rows, 4)
