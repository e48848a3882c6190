from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from random import Random

import pytest

from llark.errors import UserMustAct
from llark.llm import Retry, TokenBucket
from llark.llm.client import Reply, Sampling, retry_after
from llark.llm.ledger import (
    Budget,
    Ledger,
    OutOfBudget,
    Prices,
    SentBatch,
    SpendingLimits,
    Spent,
    key_of,
    likely_tokens,
    most_prompt_tokens,
)


class Clock:
    """A time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(2.0, 3.0, clock.now, clock.sleep)

    async def take(times: int) -> None:
        for _ in range(times):
            await bucket.take()

    asyncio.run(take(3))
    assert clock.seconds == 0.0
    asyncio.run(take(10))
    assert clock.seconds == pytest.approx(5.0)


def test_a_request_larger_than_the_bucket_waits_and_goes() -> None:
    clock = Clock()
    bucket = TokenBucket(10.0, 100.0, clock.now, clock.sleep)
    asyncio.run(bucket.take(5000.0))
    asyncio.run(bucket.take(50.0))
    assert clock.seconds == pytest.approx(5.0)


def test_waiting_doubles_up_to_a_limit_and_heeds_the_server() -> None:
    retry, rng = Retry(6, 1.0, 20.0), Random(0)
    for failures, most in ((1, 1.0), (2, 2.0), (4, 8.0), (9, 20.0), (5000, 20.0)):
        waits = [retry.wait(failures, None, rng) for _ in range(50)]
        assert most / 2 <= min(waits)
        assert max(waits) <= most
        assert len(set(waits)) > 40, "so that all do not come back at once"
    assert 30.0 <= retry.wait(1, 30.0, rng) <= 31.0
    assert retry.wait(1, 1e9, rng) < 602.0


@pytest.mark.parametrize("per_minute", [None, 600.0])
def test_a_pause_holds_all_until_it_is_over(per_minute: float | None) -> None:
    clock = Clock()
    bucket = TokenBucket.of_minute(per_minute, 16)
    bucket.now, bucket.sleep = clock.now, clock.sleep
    bucket._at = 0.0
    bucket.hold(5.0)
    bucket.hold(1.0)
    asyncio.run(bucket.take())
    assert clock.seconds == pytest.approx(5.0 if per_minute is None else 5.1)
    asyncio.run(bucket.take())
    assert clock.seconds == pytest.approx(5.0 if per_minute is None else 5.2)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("12", 12.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=lambda: 1445412480.0) == seconds


def test_what_a_prompt_can_cost_is_never_less_than_what_it_does() -> None:
    said = ["Hello", "é" * 100, "日本語" * 50]
    assert most_prompt_tokens(said) >= sum(len(text.encode()) for text in said)
    assert likely_tokens(["x" * 4000]) == 1004


def test_a_budget_counts_what_is_on_its_way_and_gives_back_what_was_not_needed() -> None:
    budget = Budget(SpendingLimits(usd=1.0), Prices(1000.0, 1000.0), Spent(1, 100, 100, 0.2))
    budget.reserve(300, 400)
    with pytest.raises(OutOfBudget, match=r"0\.9000 are spent"):
        budget.reserve(100, 1)
    assert budget.settle((300, 400), (100, 100)) == pytest.approx(0.2)
    budget.reserve(300, 300)
    assert budget.usd == pytest.approx(1.0)


def test_a_budget_in_dollars_needs_prices() -> None:
    with pytest.raises(UserMustAct, match="--price-in"):
        Budget(SpendingLimits(usd=1.0), Prices(), Spent())


def test_the_ledger_keeps_the_first_reply_and_counts_all_costs(tmp_path: Path) -> None:
    with Ledger(tmp_path / "x" / "replies.sqlite") as ledger:
        ledger.put("k", Reply("one", "stop", "m", 10, 5), 0.5)
        ledger.put("k", Reply("two", "stop", "m", 10, 5), 0.25)
        ledger.lose("j", "timeout", 7, 3, 0.125)
        ledger.keep_batch(SentBatch("d", "waiting", "b", 2, 100, 50, 1.0))
    with Ledger(tmp_path / "x" / "replies.sqlite") as ledger:
        assert ledger.get("k") == Reply("one", "stop", "m", 10, 5)
        assert ledger.get("nobody") is None
        assert ledger.spent() == Spent(1, 127, 63, 1.875)
        assert ledger.lost() == {"bought-twice": 1, "timeout": 1}
        ledger.keep_batch(SentBatch("d", "merged", "b", 2, 100, 50, 1.0))
        assert ledger.spent().usd == 0.875


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, but a text of some length" * 20)
    with pytest.raises(UserMustAct, match="cannot be used for the replies"):
        Ledger(tmp_path / "text")
    other = sqlite3.connect(tmp_path / "newer")
    other.execute("PRAGMA user_version=99")
    other.close()
    with pytest.raises(UserMustAct, match="another version"):
        Ledger(tmp_path / "newer")


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with Ledger(tmp_path / "replies.sqlite") as ledger:
        ledger._db.execute("PRAGMA query_only=ON")  # as a full or read-only disk answers
        with pytest.raises(UserMustAct, match="cannot be written"):
            ledger.put("k", Reply("one", "stop", "m", 10, 5), 0.5)
        with pytest.raises(UserMustAct, match="cannot be written"):
            ledger.lose("k", "timeout", 1, 1, 0.1)


def test_replies_that_the_release_before_bought_are_found_under_their_keys(tmp_path: Path) -> None:
    chat = [
        {"role": "system", "content": "Be true."},
        {"role": "user", "content": "Tonart: Fis-Dur \u00e9"},
    ]
    # As llark 0.1 computed it, and the tables that it made.
    key = "2fd21a8158cf709f93c24f166bf6ac6a4ada187199c8f9d0fff217283dc05aa8"
    assert key_of(Sampling("m", 0.7, 2048, 3).body(chat)) == key
    old = sqlite3.connect(tmp_path / "replies.sqlite")
    old.executescript(
        """
        CREATE TABLE replies (key TEXT PRIMARY KEY, text TEXT NOT NULL, finish TEXT NOT NULL,
          model TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, reply_tokens INTEGER NOT NULL,
          usd REAL NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
        CREATE TABLE lost (key TEXT NOT NULL, reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,
          reply_tokens INTEGER NOT NULL, usd REAL NOT NULL, at REAL NOT NULL);
        CREATE TABLE seen (band INTEGER PRIMARY KEY, signature BLOB NOT NULL, owner TEXT NOT NULL);
        CREATE TABLE batches (digest TEXT PRIMARY KEY, state TEXT NOT NULL, batch_id TEXT NOT NULL,
          count INTEGER NOT NULL, held TEXT NOT NULL);
        INSERT INTO batches VALUES ('d', 'waiting', 'b', 2, '[100, 50, 1.0]');
        PRAGMA user_version=1;
        """
    )
    old.execute("INSERT INTO replies VALUES (?, 'So.', 'stop', 'm', 1, 2, 0.5, 0.0)", (key,))
    old.commit()
    old.close()
    with Ledger(tmp_path / "replies.sqlite") as ledger:
        assert ledger.get(key) == Reply("So.", "stop", "m", 1, 2)
        assert ledger.batches() == [SentBatch("d", "waiting", "b", 2, 100, 50, 1.0)]
        assert ledger.spent() == Spent(1, 101, 52, 1.5)
