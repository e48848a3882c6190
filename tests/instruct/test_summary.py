from __future__ import annotations

import pytest

from llark.instruct.summary import distinct, self_bleu


def test_distinct_n_is_the_share_of_different_n_grams() -> None:
    assert distinct(["a b a b"], 1) == 2 / 4
    assert distinct(["a b a b"], 2) == 2 / 3
    assert distinct(["a b", "a b"], 2) == 1 / 2
    assert distinct(["a"], 2) == 0.0


def test_self_bleu_is_one_for_copies_and_small_for_strangers() -> None:
    assert self_bleu(["the same words again here"] * 3) == pytest.approx(1.0)
    assert self_bleu(["a b c d e", "f g h i j", "k l m n o"]) == 0.0


def test_self_bleu_is_bleu_4_with_smoothed_counts_worked_out_by_hand() -> None:
    one, other = "the cat sat on the mat", "the cat lay on the mat"
    # 5 of 6 words; of 5, 4 and 3 longer n-grams 3, 1 and 0 match; one is added to each.
    by_hand = (5 / 6 * 4 / 6 * 2 / 5 * 1 / 4) ** 0.25
    assert self_bleu([one, other]) == pytest.approx(by_hand)


def test_a_short_text_pays_the_brevity_penalty() -> None:
    long, short = "a b c d e f g h", "a b c d"
    # The short one matches whole and is half as long as its only reference; the long one has no penalty.
    penalty = 2.718281828459045 ** (1 - 8 / 4)
    long_score = (4 / 8 * 4 / 8 * 3 / 7 * 2 / 6) ** 0.25
    assert self_bleu([long, short]) == pytest.approx((penalty + long_score) / 2)


def test_one_text_has_no_others() -> None:
    with pytest.raises(ValueError, match="there are 1"):
        self_bleu(["alone"])
