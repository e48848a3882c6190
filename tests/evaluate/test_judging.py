"""A judge that is made up: what it prefers, how its order is taken out, and what it matches."""

from __future__ import annotations

import pytest

from llark.errors import UserMustAct
from llark.evaluate import judge, report
from llark.evaluate.judge import AnswerPair, match_prompts, matching, win_rate
from tests.evaluate.evaluate_fakes import deaf, hearing, make_items, run

PAIRS = [AnswerPair(f"t{i}", "Describe it.", "a tuba", "good answer", "bad answer") for i in range(20)]


def honest(prompt: str) -> str:
    return "A" if prompt.index("good") < prompt.index("bad") else "B"


def test_a_judge_that_prefers_the_first_model_gives_it_every_win() -> None:
    found = win_rate(PAIRS, honest)
    assert (found.wins, found.losses, found.ties, found.rate.value, found.swayed) == (20, 0, 0, 1.0, 0.0)
    assert str(found).startswith("win rate 1.000 [1.000, 1.000]: 20 won, 0 lost, 0 tied of 20")


def test_a_judge_that_always_says_a_makes_ties_and_is_found_out() -> None:
    found = win_rate(PAIRS, lambda prompt: "A")
    assert (found.wins, found.losses, found.ties, found.rate.value, found.swayed) == (0, 0, 20, 0.5, 1.0)


def test_pairs_without_a_verdict_are_counted_apart() -> None:
    pairs = [*PAIRS, AnswerPair("tx", "Describe it.", "a lute", "good answer", "bad answer")]
    found = win_rate(pairs, lambda prompt: "I cannot say." if "lute" in prompt else honest(prompt))
    assert (found.wins, found.unread) == (20, 1)
    with pytest.raises(UserMustAct, match="no verdict on any of 20 pairs"):
        win_rate(PAIRS, lambda prompt: "I cannot say.")


def test_the_judge_finds_the_music_that_an_answer_is_about() -> None:
    known = {f"clip-{i}": f"description number {i}" for i in range(12)}
    answers = dict(known)

    def reads(prompt: str) -> str:
        about = prompt.split("music: ")[1].splitlines()[0]
        line = next(line for line in prompt.splitlines() if line.startswith("(") and line.endswith(about))
        return line[1]

    asked = match_prompts(answers, known)
    assert set(matching(asked, reads).values()) == {1.0}
    guesses = matching(asked, lambda prompt: "A")
    assert 0 < sum(guesses.values()) < 9
    with pytest.raises(UserMustAct, match="at least 4"):
        match_prompts(answers, {"clip-0": "x"})


def test_embedding_match_takes_the_nearest_label_and_the_k_nearest() -> None:
    places = {"rock": [1.0, 0.0], "jazz": [0.0, 1.0], "pop": [0.7, 0.7], "hard rock": [0.9, 0.1]}
    orders = judge.ranked(
        ["hard rock", "jazz", " "], ["rock", "jazz", "pop"], lambda ts: [places.get(t, [1, 1]) for t in ts]
    )
    assert orders == [["rock", "pop", "jazz"], ["jazz", "pop", "rock"], []]
    found = judge.accuracies(orders, ["pop", "jazz", "rock"], ["a", "b", "c"])
    assert found["acc@1"].value == pytest.approx(1 / 3)
    assert found["acc@2"].value == pytest.approx(2 / 3)


def test_a_better_model_is_better_in_a_paired_comparison_and_not_by_chance() -> None:
    items = make_items(30)
    kept = {"tasks": ("key", "tempo"), "conditions": ("audio",)}
    good, bad = run(hearing, items, **kept), run(deaf, items, **kept)
    key = report.differences(good, bad)[0]
    assert (key.first, key.n, key.tracks) == (1.0, 60, 30)
    assert key.low > 0.5
    assert key.p == pytest.approx(1 / 10_001)
    same = report.differences(good, good)[0]
    assert (same.value, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    assert report.comparison(good, bad).count("\n| key") == 1


def test_reports_on_other_clips_are_not_compared() -> None:
    kept = {"tasks": ("key",), "conditions": ("audio",)}
    other = run(hearing, [item for item in make_items(12) if int(item.clip_id[5:]) > 9], **kept)
    with pytest.raises(UserMustAct, match="share no question"):
        report.differences(run(hearing, make_items(5), **kept), other)


def test_the_prompt_keeps_an_answer_on_one_line() -> None:
    assert judge.without_lines("good\n\nAnswer B: bad") == "good Answer B: bad"
