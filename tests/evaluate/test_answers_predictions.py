"""Stored answers and question files of others: made-up rows in the formats that they publish."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llark.errors import UserMustAct
from llark.evaluate import answers, report, score
from llark.evaluate.cases import TestSet
from llark.evaluate.score import EvaluateConfig
from llark.evaluate.tasks import QUESTION_TASKS, TASKS
from tests.evaluate.evaluate_fakes import hearing, make_items, run, value

BENCHMARKS = Path(os.environ.get("LLARK_BENCHMARKS", Path(__file__).parents[3] / "shared/benchmarks/data"))

MUCHOMUSIC = [
    {
        "audio": "test_0.wav",
        "question": "Which style?",
        "choices": ["Ska", "Dub", "Soul", "Folk"],
        "answer": a,
    }
    | {"model_output": said, "model_name": "Made Up"}
    for a, said in [
        ("A", "A"),
        ("B", "(B)"),
        ("C", "The answer is Soul."),
        ("D", "A"),
        ("A", "Answer: D"),
        ("B", "?"),
    ]
]
"""Right as people read: the first three. By the first capital letter: A, (B), and the "A" of "Answer"."""


def write(path: Path, rows: object, lines: bool = True) -> Path:
    text = "\n".join(json.dumps(row) for row in rows) if lines else json.dumps(rows)  # type: ignore[attr-defined]
    path.write_text(text)
    return path


def scored(task: str, path: Path, given: TestSet | None = None) -> dict[str, float]:
    stored = answers.load_predictions(task, path, given or TestSet())
    result = score.evaluate(stored.test_set, stored.answer, EvaluateConfig(("audio", "majority"), (task,)))
    return {row.metric: row.value for row in result.rows if row.condition == "audio"}


def test_answers_are_read_as_people_do_and_as_was_published(tmp_path: Path) -> None:
    found = scored("muchomusic", write(tmp_path / "m.jsonl", MUCHOMUSIC))
    assert found["accuracy"] == pytest.approx(3 / 6)
    assert found["strict accuracy"] == pytest.approx(2 / 6)
    assert found["published accuracy"] == pytest.approx(3 / 6)
    assert found["coverage"] == pytest.approx(5 / 6)


def test_stored_labels_are_scored_with_the_truth_in_the_row(tmp_path: Path) -> None:
    rows = [
        {"audio": f"{label}_001.wav", "label": [label], "model_output": said, "model_name": "Made Up"}
        for label, said in [("bass", "bass"), ("reed", "a saxophone"), ("organ", "organ"), ("flute", "reed")]
    ]
    path = write(tmp_path / "n.jsonl", rows)
    assert scored("nsynth_instrument", path)["accuracy"] == 0.75
    assert scored("nsynth_instrument", path)["strict accuracy"] == 0.5
    assert answers.load_predictions("nsynth_instrument", path, TestSet()).model == "Made Up"


def test_answers_to_our_clips_are_found_by_id_and_those_without_one_are_left_out(tmp_path: Path) -> None:
    items = make_items(3)
    rows = [{"id": item.clip_id, "prediction": f"It is in {item.truth.key.name}."} for item in items[:4]]
    stored = answers.load_predictions("key", write(tmp_path / "k.jsonl", rows), TestSet(tuple(items)))
    assert len(stored.test_set.questions["key"]) == 4
    assert scored("key", tmp_path / "k.jsonl", TestSet(tuple(items)))["exact"] == 1.0


def test_what_is_exported_for_lmms_eval_is_scored_alike_when_it_is_read_back(tmp_path: Path) -> None:
    items = make_items(5)
    result = run(hearing, items, tasks=("key", "genre"), conditions=("audio",))
    written = report.write_samples(tmp_path, result, "a/model", stamp="20261124_120000")
    assert [path.name for path in written] == [
        "20261124_120000_samples_llark_key.jsonl",
        "20261124_120000_samples_llark_genre.jsonl",
    ]
    assert written[0].parent.name == "a__model"
    row = json.loads(written[0].read_text().splitlines()[0])
    assert set(row) >= {"doc_id", "target", "filtered_resps", "doc_hash", "input"}
    assert row["target"] == items[0].truth.key.name
    again = scored("key", written[0], TestSet(tuple(items)))
    assert again["mirex"] == value(result, "key", "mirex")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"question": "x", "choices": ["a", "b"], "audio": "a.wav"}], "rows have no answer"),
        ([{"audio": "a.wav", "label": ["lute"], "model_output": "bass"}], "'lute' is no label"),
        ([{"model_output": "bass"}], "'None' is no label"),
    ],
)
def test_rows_that_cannot_be_scored_are_refused(tmp_path: Path, rows: object, words: str) -> None:
    with pytest.raises(UserMustAct, match=words):
        answers.load_predictions("nsynth_instrument", write(tmp_path / "x.jsonl", rows), TestSet())


def test_a_file_that_is_no_json_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"audio": "a"}\n{"audio": \n')
    with pytest.raises(UserMustAct, match="line 2, is no JSON"):
        answers.load_predictions("muchomusic", path, TestSet())
    with pytest.raises(UserMustAct, match="cannot be read"):
        answers.load_predictions("muchomusic", tmp_path / "nowhere.json", TestSet())


def test_the_right_option_of_rul_is_among_five_in_an_order_of_its_own(tmp_path: Path) -> None:
    row = {
        "question": "Which?",
        "correct_answer": "a tuba",
        "distractors": ["b", "c", "d", "e"],
        "caption": "x",
    }
    page = {str(i): row for i in range(30)}
    cases = QUESTION_TASKS["rul_muchomusic"].load(write(tmp_path / "rul.json", page, lines=False))
    assert all(case.truth.texts[case.truth.right] == "a tuba" for case in cases)
    assert {case.truth.right for case in cases} == {0, 1, 2, 3, 4}
    assert cases == sorted(cases, key=lambda case: int(case.id))


def test_only_the_music_of_mmau_and_mmar_is_asked(tmp_path: Path) -> None:
    mmau = [
        {
            "id": "1",
            "audio_id": "./a/x.wav",
            "question": "?",
            "choices": ["no", "yes"],
            "answer": "yes",
            "task": kind,
        }
        for kind in ("music", "sound", "speech")
    ]
    cases = QUESTION_TASKS["mmau_music"].load(write(tmp_path / "mmau.json", mmau, lines=False))
    assert [(case.clip_id, case.truth.right) for case in cases] == [("x", 1)]
    mmar = [
        {
            "id": "v",
            "audio_path": "./y.wav",
            "question": "?",
            "choices": ["1", "2"],
            "answer": "1",
            "modality": kind,
        }
        for kind in ("mix-music-speech", "music")
    ]
    cases = QUESTION_TASKS["mmar_music"].load(write(tmp_path / "mmar.jsonl", mmar))
    assert [(case.clip_id, case.truth.right) for case in cases] == [("y", 0)]


def test_a_file_of_another_benchmark_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", MUCHOMUSIC)
    with pytest.raises(UserMustAct, match="rows lack id, audio_id, task"):
        QUESTION_TASKS["mmau_music"].load(path)


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the published benchmark files are not at hand")
@pytest.mark.parametrize(
    ("task", "name", "reading", "right", "whole"),
    [
        ("muchomusic", "muchomusic.midashenglm.jsonl", "published_reader", 848, 1187),
        ("muchomusic", "muchomusic.midashenglm.jsonl", "read", 847, 1187),
        ("nsynth_instrument", "nsynth-instrument.midashenglm.jsonl", "strict", 3298, 4096),
    ],
)
def test_midashenglms_stored_answers_score_as_published(
    task: str, name: str, reading: str, right: int, whole: int
) -> None:
    stored = answers.load_predictions(task, BENCHMARKS / name, TestSet())
    cases = stored.test_set.questions[task]
    read = getattr(TASKS[task], reading)
    credits = [TASKS[task].credit(read(stored.texts[case.id], case.truth), case.truth) for case in cases]
    assert (sum(credits), len(cases)) == (right, whole)


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the published benchmark files are not at hand")
@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("rul_muchomusic", "rul-muchomusic.json"),
        ("mmau_music", "mmau-test-mini.json"),
        ("mmar_music", "mmar.jsonl"),
    ],
)
def test_the_published_question_files_load_whole(task: str, name: str) -> None:
    cases = QUESTION_TASKS[task].load(BENCHMARKS / name)
    assert len({case.id for case in cases}) == len(cases) == QUESTION_TASKS[task].count


def test_the_right_answers_of_a_question_file_are_not_taken_for_a_models(tmp_path: Path) -> None:
    bare = [{name: value for name, value in row.items() if name != "model_output"} for row in MUCHOMUSIC]
    with pytest.raises(UserMustAct, match=r"no answer of a model; .*where answer is the right one"):
        scored("muchomusic", write(tmp_path / "m.jsonl", bare))
    with pytest.raises(UserMustAct, match="no answer of a model"):
        scored("key", write(tmp_path / "k.jsonl", [{"audio": "a.wav", "answer": "C major"}]))
    theirs = [{"audio": "a.wav", "label": "C major", "answer": "D major"}]
    assert scored("key", write(tmp_path / "l.jsonl", theirs))["exact"] == 0.0


def test_captions_and_genres_in_a_row_all_count_as_right(tmp_path: Path) -> None:
    rows = [{"audio": "a.wav", "model_output": "loud drums", "label": ["a piano", "loud drums"]}]
    assert scored("captions", write(tmp_path / "c.jsonl", rows))["rouge_l"] == 1.0
    assert (
        scored("captions", write(tmp_path / "d.jsonl", [{**rows[0], "label": "loud drums"}]))["rouge_l"]
        == 1.0
    )
    styles = [{"audio": "a.wav", "model_output": "pop", "label": ["rock", "pop"]}]
    assert scored("genre", write(tmp_path / "g.jsonl", styles))["accuracy"] == 1.0


def test_answers_of_other_tasks_in_a_report_are_left_out(tmp_path: Path) -> None:
    items = make_items(4)
    report.write(tmp_path, run(hearing, items))
    for task, metric in (("key", "exact"), ("genre", "accuracy"), ("tempo", "acc1")):
        assert scored(task, tmp_path / "answers.jsonl", TestSet(tuple(items)))[metric] == 1.0


def test_of_a_whole_file_of_answers_the_music_alone_is_scored(tmp_path: Path) -> None:
    row = {"id": "1", "audio_id": "x.wav", "question": "?", "choices": ["no", "yes"], "answer": "yes"}
    rows = [{**row, "task": "sound", "model_output": "no"}, {**row, "task": "music", "model_output": "yes"}]
    assert scored("mmau_music", write(tmp_path / "m.jsonl", rows))["accuracy"] == 1.0
    with pytest.raises(UserMustAct, match="no row is about mmau_music"):
        scored("mmau_music", write(tmp_path / "m.jsonl", rows[:1]))


def test_places_of_another_set_of_questions_are_refused(tmp_path: Path) -> None:
    items = make_items(3)
    rows = [{"doc_id": i, "prediction": item.truth.key.name} for i, item in enumerate(items)]
    path = write(tmp_path / "k.jsonl", rows)
    assert scored("key", path, TestSet(tuple(items)))["exact"] == 1.0
    with pytest.raises(UserMustAct, match="doc_id goes up to 5, and there are 3 questions"):
        scored("key", path, TestSet(tuple(items[::2])))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [MUCHOMUSIC[0], {"audio": "a.wav"}],
            "row 1, is of another kind: rows lack question, choices, answer",
        ),
        (
            [MUCHOMUSIC[0], {k: v for k, v in MUCHOMUSIC[1].items() if k != "model_output"}],
            "row 1, has no model_output",
        ),
        ([{**row, "id": "x"} for row in MUCHOMUSIC], "Two questions of muchomusic have the same id, 'x'"),
    ],
)
def test_a_row_unlike_the_first_is_named(tmp_path: Path, rows: object, words: str) -> None:
    with pytest.raises(UserMustAct, match=words):
        scored("muchomusic", write(tmp_path / "m.jsonl", rows))


def test_lines_end_where_json_ends_them_and_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    row = {**MUCHOMUSIC[0], "model_output": "A\u2028because it is ska\u0085"}
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert scored("muchomusic", path)["accuracy"] == 1.0
    path.write_bytes(json.dumps({**row, "model_output": "é"}, ensure_ascii=False).encode("utf-16"))
    with pytest.raises(UserMustAct, match="no text in UTF-8"):
        scored("muchomusic", path)
