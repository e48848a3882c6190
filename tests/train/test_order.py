"""Which examples make up a step."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llark.errors import UserMustAct
from llark.train.order import Order

LENGTHS = np.random.default_rng(1).integers(10, 500, 96)
TASKS = ["reasoning"] * 60 + ["captioning"] * 30 + ["understanding"] * 6
MIXTURE = (("captioning", 0.15), ("reasoning", 0.55), ("understanding", 0.30))


def numbers(step: list[tuple[int, int]]) -> list[int]:
    """A step's examples, without their epochs."""
    return [number for number, _ in step]


def test_every_example_comes_once_an_epoch_in_another_order_the_next() -> None:
    order = Order(LENGTHS, TASKS, batch=8, bucket=4)
    steps = [order(step) for step in range(24)]
    for number, epoch in enumerate((steps[:12], steps[12:])):
        assert Counter(one for step in epoch for one in step) == Counter((i, number) for i in range(96))
    assert [numbers(step) for step in steps[:12]] != [numbers(step) for step in steps[12:]]


def test_the_examples_of_a_step_are_of_like_length_and_the_steps_are_not_in_order() -> None:
    sorted_steps, plain = (Order(LENGTHS, TASKS, batch=8, bucket=bucket) for bucket in (12, 1))

    def waste(order: Order) -> float:
        return (
            sum(8 * LENGTHS[numbers(order(s))].max() - LENGTHS[numbers(order(s))].sum() for s in range(12))
            / LENGTHS.sum()
        )

    assert waste(sorted_steps) < 0.12
    assert waste(plain) > 0.4
    longest = [int(LENGTHS[numbers(sorted_steps(step))].max()) for step in range(12)]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


def test_tasks_have_their_shares_at_any_time_and_small_ones_come_again() -> None:
    order = Order(LENGTHS, TASKS, batch=8, bucket=4, mixture=MIXTURE)
    for begin in (0, 1000):
        drawn = [number for step in range(begin, begin + 100) for number in numbers(order(step))]
        counts = Counter(TASKS[number] for number in drawn)
        for task, share in MIXTURE:
            assert counts[task] / 800 == pytest.approx(share, abs=0.01)
    seen = Counter(number for step in range(100) for number in numbers(order(step)))
    rare = [seen[number] for number in range(90, 96)]
    assert max(rare) - min(rare) <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3000), st.booleans(), st.integers(1, 9), st.integers(1, 6))
def test_a_step_is_the_same_whatever_was_asked_before(
    step: int, mixed: bool, batch: int, bucket: int
) -> None:
    make = {"batch": batch, "bucket": bucket, "mixture": MIXTURE if mixed else (), "seed": 3}
    walked, jumped = Order(LENGTHS, TASKS, **make), Order(LENGTHS, TASKS, **make)  # type: ignore[arg-type]
    for earlier in range(max(0, step - 9), step):
        walked(earlier)
    chosen = walked(step)
    assert chosen == jumped(step)
    assert len(chosen) == batch
    assert list(LENGTHS[numbers(chosen)]) == sorted(LENGTHS[numbers(chosen)], reverse=True)


def test_a_task_that_nobody_wrote_and_no_examples_at_all_are_refused() -> None:
    with pytest.raises(
        UserMustAct, match="names the task singing, of which there is no example; there are: "
    ):
        Order(LENGTHS, TASKS, batch=2, bucket=1, mixture=(("singing", 1.0),))
    with pytest.raises(UserMustAct, match="no example to train on"):
        Order(np.array([]), [], batch=2, bucket=1)
