"""Whole evaluations of made-up models: one that hears, one that is deaf, one that says nothing."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from llark.errors import UserMustAct
from llark.evaluate import report
from llark.evaluate.score import Evaluation, Heard, Item, Settings, agreement, donors, evaluate, heard_under
from llark.evaluate.tasks import TASKS
from llark.records import (
    GENRES,
    INSTRUMENTS,
    KEYS,
    METER_NAMES,
    Annotation,
    Embedding,
    Key,
    Meter,
    Tag,
    Tags,
    Tempo,
    describe_facts,
)

SILENCE = Heard("silence", Embedding("silence", "fake", np.full((2, 1), -1, np.float32), 2.0))
HEADLINES = {"genre": "accuracy", "instruments": "f1", "key": "mirex", "meter": "accuracy", "tempo": "acc2"}


def annotation(clip_id: str) -> Annotation:
    chance = random.Random(clip_id)
    words = chance.sample(INSTRUMENTS, chance.randint(1, 5))
    return Annotation(
        clip_id,
        0.0,
        25.0,
        tempo=Tempo(float(chance.randint(60, 180)), 1.0),
        meter=Meter(chance.choice(sorted(METER_NAMES)), 1.0),
        key=Key(chance.choice(KEYS), 1.0),
        instruments=Tags(tuple(Tag(word, 1.0) for word in words), 1.0),
        genre=Tags((Tag(chance.choice(GENRES), 1.0),), 1.0),
    )


def make_items(tracks: int = 30, clips: int = 2) -> list[Item]:
    """Clips whose only frame is their own number; their facts are another clip's annotation."""
    items = []
    for number in range(tracks * clips):
        name = f"clip-{number}"
        embedding = Embedding(name, "fake", np.full((2, 1), number, np.float32), 2.0)
        heard = Heard(name, embedding, facts=annotation(f"other-{number}"))
        items.append(Item(heard, f"track-{number // clips}", annotation(name)))
    return items


def tell(facts: Annotation, question: str) -> str:
    task = next(name for name in TASKS if question == TASKS[name].QUESTION)
    said = {
        "tempo": f"It runs at about {facts.tempo.bpm:.0f} BPM.",
        "key": f"This is in {facts.key.name}.",
        "meter": f"It is in {METER_NAMES[facts.meter.beats_per_bar or 4]} time.",
        "instruments": f"I hear {', '.join(facts.instruments.labels)}.",
        "genre": f"It sounds like {facts.genre.labels[0]}.",
    }
    return said[task]


def hearing(heard: list[Heard], question: str) -> list[str]:
    """Knows every clip by its frames; believes facts where it is shown any; says nothing of silence."""
    answers = []
    for clip in heard:
        assert clip.embedding is not None
        number = int(clip.embedding.frames[0, 0])
        known = clip.facts or annotation(f"clip-{number}")
        answers.append("I cannot tell." if number < 0 else tell(known, question))
    return answers


def deaf(heard: list[Heard], question: str) -> list[str]:
    """Answers by the name of the clip, and never listens."""
    return [tell(annotation(f"guess-{clip.clip_id}"), question) for clip in heard]


def half_deaf(heard: list[Heard], question: str) -> list[str]:
    """Hears the key alone."""
    return (hearing if question == TASKS["key"].QUESTION else deaf)(heard, question)


def run(model: object, items: list[Item] | None = None, **settings: object) -> Evaluation:
    made = Settings(**settings)  # type: ignore[arg-type]
    return evaluate(items or make_items(), model, made, stand_ins={"silence": SILENCE})  # type: ignore[arg-type]


def value(evaluation: Evaluation, task: str, metric: str, condition: str = "audio") -> float:
    return next(
        row.value
        for row in evaluation.rows
        if (row.task, row.metric, row.condition) == (task, metric, condition)
    )


@pytest.fixture(scope="module")
def heard_well() -> Evaluation:
    return run(hearing)


@pytest.fixture(scope="module")
def not_heard() -> Evaluation:
    return run(deaf)


def test_a_perfect_model_scores_one_on_everything(heard_well: Evaluation) -> None:
    values = {row.value for row in heard_well.rows if row.condition == "audio"}
    assert values == {1.0}
    assert {answer.verdict for answer in heard_well.answers if answer.condition == "audio"} == {"right"}


def test_a_model_that_hears_is_not_called_deaf(heard_well: Evaluation) -> None:
    assert heard_well.deaf == ()
    assert all(margin.low > 0.3 for margin in heard_well.margins)


def test_a_model_that_does_not_listen_is_called_deaf(not_heard: Evaluation) -> None:
    assert not_heard.deaf == tuple(TASKS)
    for task, metric in HEADLINES.items():
        assert value(not_heard, task, metric) == value(not_heard, task, metric, "shuffled")


def test_deafness_is_told_for_each_task() -> None:
    assert run(half_deaf).deaf == ("genre", "instruments", "meter", "tempo")


def test_shuffled_audio_and_silence_take_the_score_away(heard_well: Evaluation) -> None:
    assert value(heard_well, "key", "mirex", "shuffled") < 0.35
    assert value(heard_well, "key", "coverage", "shuffled") == 1.0
    assert value(heard_well, "key", "mirex", "silence") == 0.0
    assert value(heard_well, "key", "coverage", "silence") == 0.0


def test_with_facts_the_share_that_repeats_them_is_counted_apart_from_the_truth(
    heard_well: Evaluation,
) -> None:
    for task in TASKS:
        assert value(heard_well, task, "agreement", "facts") == 1.0
    assert value(heard_well, "key", "exact", "facts") < 0.3


def test_facts_are_shown_in_the_facts_condition_alone() -> None:
    items = make_items(3)
    for condition in ("audio", "shuffled", "silence"):
        assert all(clip.facts is None for clip in heard_under(condition, items, {"silence": SILENCE}))
    assert [clip.facts for clip in heard_under("facts", items, {})] == [item.heard.facts for item in items]


def test_agreement_counts_clips_whose_truth_is_unknown() -> None:
    items = [replace(item, truth=Annotation(item.heard.clip_id, 0.0, 25.0)) for item in make_items(4)]
    items[0] = replace(items[0], truth=annotation("clip-0"))
    result = run(hearing, items, conditions=("audio", "facts"), tasks=("key",))
    assert {(row.condition, row.metric): row.n for row in result.rows} == {
        ("audio", "coverage"): 1,
        ("audio", "mirex"): 1,
        ("audio", "exact"): 1,
        ("facts", "coverage"): 1,
        ("facts", "mirex"): 1,
        ("facts", "exact"): 1,
        ("facts", "agreement"): 8,
    }
    assert [answer.verdict for answer in result.answers if answer.condition == "facts"].count(
        "not scored"
    ) == 7


def test_shuffled_audio_comes_from_another_track_and_every_clip_is_used_once() -> None:
    items = make_items(9, 3)
    chosen = donors(items)
    assert sorted(chosen) == list(range(27))
    assert all(items[i].track_id != items[donor].track_id for i, donor in enumerate(chosen))


def test_shuffled_audio_comes_from_another_track_even_if_one_track_has_most_clips() -> None:
    items = [
        replace(item, track_id="long" if i < 9 else f"short-{i}") for i, item in enumerate(make_items(6))
    ]
    assert all(items[i].track_id != items[donor].track_id for i, donor in enumerate(donors(items)))


def test_the_order_of_the_clips_changes_nothing() -> None:
    items = make_items(8)
    forth, back = run(half_deaf, items), run(half_deaf, items[::-1])
    assert forth.rows == back.rows
    assert forth.margins == back.margins


def test_the_majority_answer_is_the_best_constant_of_the_training_truths() -> None:
    items = make_items(6)
    training = [
        replace(annotation(f"t{i}"), key=Key("A minor", 1.0), tempo=Tempo(100.0, 1.0)) for i in range(5)
    ]
    items = [replace(item, truth=replace(item.truth, key=Key("A minor", 1.0))) for item in items[:6]] + items[
        6:
    ]
    result = evaluate(items, deaf, Settings(conditions=("audio", "majority")), training=training)
    exact = np.mean([item.truth.key.name == "A minor" for item in items])
    near = np.mean(
        [abs((item.truth.tempo.bpm or 0) - 100) <= 0.04 * (item.truth.tempo.bpm or 0) for item in items]
    )
    assert value(result, "key", "exact", "majority") == pytest.approx(exact)
    assert value(result, "tempo", "acc1", "majority") == pytest.approx(near)


def test_a_model_that_always_gives_the_majority_answer_has_no_lead() -> None:
    items = make_items()
    best = max(GENRES, key=lambda genre: sum(item.truth.genre.labels == (genre,) for item in items))

    def always(heard: list[Heard], question: str) -> list[str]:
        return [best] * len(heard)

    margin = run(always, items, tasks=("genre",)).margins[0]
    assert margin.value == 0.0
    assert margin.deaf


def test_intervals_hold_the_value_and_narrow_with_more_tracks() -> None:
    def some(heard: list[Heard], question: str) -> list[str]:
        right = hearing(heard, question)
        return [text if i % 3 else "C major" for i, text in enumerate(right)]

    widths = []
    for tracks in (10, 90):
        row = run(some, make_items(tracks), conditions=("audio",), tasks=("key",)).rows[1]
        assert row.metric == "mirex"
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

    def knows_the_long_one(heard: list[Heard], question: str) -> list[str]:
        right = hearing(heard, question)
        return [text if int(clip.clip_id[5:]) < 9 else "?" for text, clip in zip(right, heard, strict=True)]

    kept = {"conditions": ("audio",), "tasks": ("key",)}
    assert value(run(knows_the_long_one, items, **kept), "key", "exact") == 0.9
    assert value(run(knows_the_long_one, items, equal_tracks=True, **kept), "key", "exact") == 0.5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"conditions": ("audio", "noise")}, "noise"),
        ({"tasks": ("mood",)}, "There is no task 'mood'"),
    ],
)
def test_a_setting_that_cannot_be_met_is_refused(settings: dict[str, tuple[str, ...]], words: str) -> None:
    with pytest.raises(UserMustAct, match=words):
        run(hearing, **settings)


def test_test_sets_that_cannot_be_scored_are_refused() -> None:
    items = make_items(2)
    with pytest.raises(UserMustAct, match="two tracks"):
        run(hearing, items[:2])
    with pytest.raises(UserMustAct, match="same id"):
        run(hearing, [items[0], items[0]])
    unknown = [replace(item, truth=Annotation("x", 0.0, 25.0)) for item in items]
    with pytest.raises(UserMustAct, match="known truth"):
        run(hearing, unknown, conditions=("audio",))
    with pytest.raises(UserMustAct, match="3 answers to 4 clips"):
        run(lambda heard, question: ["?"] * 3, items)


def test_agreement_of_descriptions_is_counted_by_fact() -> None:
    facts = [annotation("a"), annotation("b")]
    wrong = replace(facts[1], tempo=Tempo(300.0, 1.0))
    shares = agreement([describe_facts(facts[0]), describe_facts(wrong)], facts)
    assert shares["tempo"] == (0.5, 2)
    assert shares["key"] == (1.0, 2)


def test_a_report_says_who_is_deaf_and_leads_with_the_lead(
    heard_well: Evaluation, not_heard: Evaluation
) -> None:
    lines = report.table(heard_well).splitlines()
    heads = (
        "task | metric | lead over best control | hears | with facts | shuffled | silence | majority | clips"
    )
    assert lines[0] == f"| {heads} |"
    tempo = next(line for line in lines if line.startswith("| tempo | Acc2"))
    assert tempo.split(" | ")[3] == "**1.00** [1.00, 1.00]"
    assert tempo.split(" | ")[2].startswith("+")
    assert "Deaf" not in report.page(heard_well)
    assert report.page(not_heard).count("**Deaf for") == 5
    assert len(report.table(heard_well, headlines_only=True).splitlines()) == 2 + 5


def test_a_written_report_holds_every_answer_and_is_read_back(
    heard_well: Evaluation, tmp_path: object
) -> None:
    path = report.write(str(tmp_path), heard_well, {"model": "fake"})
    again = report.read(path.parent)
    assert again.rows == heard_well.rows
    assert again.margins == heard_well.margins
    assert report.table(again) == report.table(heard_well)
    assert len(again.answers) == 4 * 5 * 60
    first = again.answers[0]
    assert (first.task, first.verdict, first.right) == ("genre", "right", 1.0)
    assert "- model: fake" in path.read_text()
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "answers.jsonl",
        "report.md",
        "scores.json",
    ]


def test_a_folder_without_a_report_is_refused(tmp_path: object) -> None:
    with pytest.raises(UserMustAct, match=r"no scores\.json"):
        report.read(str(tmp_path))
